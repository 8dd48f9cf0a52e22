"""A vendor that a document does not name clearly is set aside with its invoice, and not made up."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.campaign import one_in
from tests.target_vicai.conftest import Record, Target, load
from tests.target_vicai.document_vendors import NEVER, document_vendor, erp_vendor, invoice, mark, training
from tests.target_vicai.store import Store

REFERENCE = {"kind": "vendor", "key": "LT-304111222", "field": "vendorExternalId"}


def test_one_number_in_two_countries_is_two_companies(store: Store, target: Target) -> None:
    """Two companies became one: name, country and IBAN replaced, status 0."""
    norway = {"orgNumber": "912345678", "taxId": "NO912345678MVA"}
    portugal = {"orgNumber": "912345678", "taxId": "PT912345678"}
    known = erp_vendor(externalId="912345678", name="Nordlys AS", countryCode="NO", taxInfo=norway)
    target(load("vendors", known))
    store.look()
    given: Record = {"name": "Lusitana Lda", "countryCode": "PT", "taxInfo": portugal}
    given["iban"] = "PT50000201231234567890154"
    old = document_vendor("912345678", documentVendor=None, **given)
    run = target(load("vendors", old), expect=1)
    store.untouched()
    [reject] = run.rejects
    assert reject["rejected"]["code"] == "vendor_differs"
    assert reject["rejected"]["params"] == {
        "document": {"name": "Lusitana Lda", "country": "PT", "code": "912345678", "vat": "PT912345678"},
        "vendors": [
            {
                "externalId": "912345678",
                "name": "Nordlys AS",
                "country": "NO",
                "code": "912345678",
                "vat": "NO912345678",
            }
        ],
    }
    for side in ("Lusitana Lda (PT, code 912345678", "912345678 Nordlys AS (NO, code 912345678"):
        assert side in reject["rejected"]["reason"]
    target(load("vendors", document_vendor("PT-912345678", documentVendor=mark(countryCode="PT", **portugal), **given)))
    [made] = store.change().only(vendors=(1, 0, 0)).added("vendors")
    assert (made["externalId"], made["countryCode"], made["externalUpdatedAt"]) == ("PT-912345678", "PT", NEVER)


@one_in(3)
@pytest.mark.parametrize(
    "case",
    [
        # Two of that number: which?
        ([{"externalId": "1"}, {"externalId": "2", "name": "UAB Žalia (filialas)"}], {}, "ambiguous_vendor"),
        # The code says one, the VAT number another.
        (
            [{"externalId": "1"}, {"externalId": "2", "taxInfo": {"orgNumber": "5", "taxId": "LT100009999999"}}],
            {"taxId": "LT100009999999"},
            "ambiguous_vendor",
        ),
        ([{"externalId": "1", "taxInfo": {"orgNumber": "304111222", "taxId": "LT5"}}], {}, "vendor_differs"),
        ([{"externalId": "1", "taxInfo": {"orgNumber": "5", "taxId": "LT100001234567"}}], {}, "vendor_differs"),
        ([{"externalId": "1", "countryCode": "PL"}], {}, "vendor_differs"),
        # The ERP has a number in the wrong field, or none.
        ([{"externalId": "1", "taxInfo": {"orgNumber": "LT100001234567"}}], {}, "ambiguous_vendor"),
        ([{"externalId": "1", "taxInfo": {"taxId": "304111222"}}], {}, "ambiguous_vendor"),
        ([{"externalId": "1", "taxInfo": {}, "name": "KITA UAB"}], {}, "ambiguous_vendor"),
        ([{"externalId": "1", "name": "„Kita“, UAB"}], {"orgNumber": None, "taxId": None}, "ambiguous_vendor"),
        # One key, two companies.
        ([{"externalId": "s-1", "taxInfo": {}, "name": "AB Visai kas kita"}], {"key": "s-1"}, "vendor_differs"),
        ([{"externalId": "LT-304111222", "countryCode": "PL", "taxInfo": {}}], {}, "vendor_differs"),
    ],
)
def test_what_is_not_clear_is_set_aside_with_its_invoice(
    store: Store, target: Target, pdf: Path, case: tuple[list[Record], Record, str]
) -> None:
    known, named, code = case
    target(load("vendors", *(erp_vendor(**one) for one in known)))
    store.look()
    key = named.get("key", "LT-304111222")
    meant = {name: value for name, value in mark(name="UAB Kita", **named).items() if name != "key"}
    tax = {name: meant[name] for name in ("orgNumber", "taxId")}
    said = [
        *load("vendors", document_vendor(key, documentVendor=meant, taxInfo=tax)),
        *load("training_invoices", training(pdf, vendorExternalId=key, documentVendor=meant)),
    ]
    run = target(said, expect=1)
    store.untouched()
    assert [reject["rejected"]["code"] for reject in run.rejects] == [code, code]
    reason = run.rejects[0]["rejected"]["reason"]
    assert "UAB Kita (LT" in reason
    assert all(str(one["externalId"]) in reason for one in known)
    # A person says which one is meant, in the line of the invoice.
    mended = [dict(line) for line in run.reject_lines]
    for line in mended:
        if line.get("stream") == "training_invoices" and line["type"] == "RECORD":
            line["record"] |= {"documentVendor": None, "vendorExternalId": known[0]["externalId"]}
    target([line for line in mended if line["stream"] == "training_invoices"])
    [made] = store.change().only(trainingInvoices=(1, 0, 0)).added("trainingInvoices")
    assert made["vendorExternalId"] == known[0]["externalId"]


def test_a_vendor_that_the_erp_does_not_know_yet(store: Store, target: Target, pdf: Path) -> None:
    """Vic.ai has it without an id of the ERP's: it is neither doubled nor touched."""
    unconfirmed = next(
        one for one in store.all("vendors") if not one.get("externalId") and one["taxInfo"].get("orgNumber")
    )
    meant = mark(
        countryCode=unconfirmed["countryCode"], **{n: unconfirmed["taxInfo"][n] for n in ("orgNumber", "taxId")}
    )
    said = document_vendor(
        "K-1", countryCode=meant["countryCode"], documentVendor=meant, taxInfo=unconfirmed["taxInfo"]
    )
    run = target([*load("vendors", said), *load("invoices", invoice(pdf, documentVendor=meant))])
    [made] = store.change().only(invoices=(1, 0, 0)).added("invoices")
    assert made["vendorInternalId"] == unconfirmed["internalId"]
    assert "without an external id" in run.err
    run = target(load("training_invoices", training(pdf, documentVendor=meant)), expect=1)
    assert [one["rejected"]["code"] for one in run.rejects] == ["vendor_without_external_id"]
    store.untouched()


def test_an_invoice_waits_for_no_vendor_that_is_unknown(store: Store, target: Target, pdf: Path) -> None:
    """The mapper sends no vendors (`vendors: never`): an unknown one is told, not made up."""
    for stream, record in (("training_invoices", training(pdf)), ("invoices", invoice(pdf))):
        run = target(load(stream, record), expect=1)
        assert [one["rejected"]["code"] for one in run.rejects] == ["unknown_reference"]
        assert run.rejects[0]["rejected"]["params"]["references"] == [REFERENCE]
    store.untouched()


def test_numbers_of_persons_are_not_shown(target: Target) -> None:
    person = {"orgNumber": "38501010000", "taxId": "LT100007777777"}
    target(load("vendors", erp_vendor(externalId="p-1", taxInfo=person), erp_vendor(externalId="p-2", taxInfo=person)))
    meant = mark(person=True, **person)
    run = target(load("vendors", document_vendor("s-1", documentVendor=meant, taxInfo=person)), expect=1)
    [reject] = run.rejects
    for shown in (reject["rejected"]["reason"], str(reject["rejected"]["params"]), run.err, run.report_text):
        assert "38501010000" not in shown
        assert "100007777777" not in shown
    assert "code hidden" in reject["rejected"]["reason"]
