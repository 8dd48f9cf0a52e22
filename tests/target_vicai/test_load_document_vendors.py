"""Vendors that documents name are found or made, and never changed: tried from every side."""

from __future__ import annotations

import threading
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests.campaign import one_in
from tests.target_vicai.conftest import PREFIX, Record, Target, load, snake, state, styled, upper, version
from tests.target_vicai.scene import PDF
from tests.target_vicai.store import Store

ERP_IBAN, OTHER_IBAN, THIRD_IBAN = "LT601010012345678901", "LT121000011101001000", "NO9386011117947"
NEVER = "1970-01-01T00:00:00"
REFERENCE = {"kind": "vendor", "key": "LT-304111222", "field": "vendorExternalId"}


def erp_vendor(**changes: Any) -> Record:
    """A vendor as the ERP knows it."""
    return {
        "externalId": "50010",
        "externalUpdatedAt": "2026-01-01T00:00:00",
        "name": "UAB Žalia",
        "addressStreet": "Liepų g. 5",
        "countryCode": "LT",
        "state": "CONFIRMED",
        "taxInfo": {"orgNumber": "304111222", "taxId": "LT100001234567"},
        "defaultPaymentInfo": {
            "internationalBankAccount": {"iban": ERP_IBAN, "bic": "HABALT22"},
            "defaultMethod": "IBAN",
            "paymentTerm": {"count": 30, "unit": "DAYS"},
        },
    } | changes


def mark(**changes: Any) -> Record:
    return {"countryCode": "LT", "orgNumber": "304111222", "taxId": "LT100001234567", "date": "2026-03-05"} | changes


def document_vendor(key: str = "LT-304111222", iban: str | None = OTHER_IBAN, **changes: Any) -> Record:
    """The same vendor as a document names it: another name, address, account."""
    named = changes.pop("documentVendor", mark())
    account = {"internationalBankAccount": {"iban": iban}, "defaultMethod": "IBAN"}
    return {
        "externalId": key,
        "externalUpdatedAt": NEVER,
        "name": "UAB Kita",
        "addressStreet": "Kita g. 1",
        "countryCode": "LT",
        "taxInfo": {"orgNumber": "304111222", "taxId": "LT100001234567"},
        **({"defaultPaymentInfo": account} if iban else {}),
        "documentVendor": named,
        "ivesk_document_id": "d-1",
        "ivesk_company_code": "302320404",
    } | changes


@pytest.fixture
def pdf(tmp_path: Path) -> Path:
    path = tmp_path / "doc.pdf"
    path.write_bytes(PDF)
    return path


def training(pdf: Path, **changes: Any) -> Record:
    return {
        "externalId": "d-1",
        "externalUpdatedAt": "2026-03-06T10:00:00.000",
        "transactionType": "INVOICE",
        "refNumber": "SF-1",
        "currency": "EUR",
        "totalAmount": "12.10",
        "vendorExternalId": "LT-304111222",
        "documentVendor": mark(name="UAB Kita"),
        "paymentInfo": {"internationalBankAccount": {"iban": OTHER_IBAN}, "defaultMethod": "IBAN"},
        "lineItems": [{"index": 0, "amount": Decimal(10)}],
        "document": str(pdf),
    } | changes


def invoice(pdf: Path, **changes: Any) -> Record:
    return {
        "externalId": "d-1",
        "refNumber": "SF-1",
        "currency": "EUR",
        "transactionType": "INVOICE",
        "totalAmount": "12.10",
        "vendorExternalId": "LT-304111222",
        "documentVendor": mark(),
        "lineItems": [{"index": 0, "amount": "10.00"}],
        "document": str(pdf),
    } | changes


# Found


def test_the_vendor_of_the_erp_is_found_and_left_alone(store: Store, target: Target, pdf: Path) -> None:
    """The ERP's vendor and the same seller from ivesk were two vendors."""
    target(load("vendors", erp_vendor()))
    store.look()
    run = target([*load("vendors", document_vendor()), *load("training_invoices", training(pdf))])
    assert (run.counts("vendors")["unchanged"], run.counts("training_invoices")["created"]) == (1, 1)
    [made] = store.change().only(trainingInvoices=(1, 0, 0)).added("trainingInvoices")
    assert made["vendorExternalId"] == "50010"
    told = f"a document names another bank account, {OTHER_IBAN}. Vic.ai has {ERP_IBAN} for the vendor, and keeps it."
    assert told in run.err
    account = {"kind": "IBAN", "accountNumber": THIRD_IBAN}
    run = target(load("invoices", invoice(pdf, paymentInfo=account)))
    assert f"a document names another bank account, {THIRD_IBAN[4:]}. Vic.ai has {ERP_IBAN}" in run.err
    # Nor is the invoice to be paid there. Its own account, however it is spelled, goes along.
    own = {"kind": "IBAN", "accountNumber": "lt60 1010 0123 4567 8901"}
    more = [invoice(pdf, externalId="d-2", refNumber="SF-2", paymentInfo=own), invoice(pdf, paymentInfo=account)]
    assert target(load("invoices", *more)).counts("invoices")["unchanged"] == 1
    paid = {one["externalId"]: one.get("paymentInfo") or {} for one in store.vicai.control.vicai.records("invoices")}
    assert paid["d-1"] == {}
    assert paid["d-2"]["internationalBankAccount"]["iban"] == own["accountNumber"]
    same = target(load("vendors", document_vendor(iban="lt60 1010 0123 4567 8901"), document_vendor(iban=None)))
    assert "another bank account" not in same.err


def test_no_invoice_is_paid_to_an_account_that_only_its_document_knows(store: Store, target: Target, pdf: Path) -> None:
    """However its vendor was named: by the vendor table, by a person in the reject file, by a mark."""
    giro = {"bankGiro": "991-2346", "defaultMethod": "BANKGIRO"}
    swedish = {"countryCode": "SE", "name": "Göta AB", "taxInfo": {"orgNumber": "551234-5678"}}
    target(load("vendors", erp_vendor(), erp_vendor(externalId="50011", defaultPaymentInfo=giro, **swedish)))
    [internal] = [
        one["internalId"] for one in store.vicai.control.vicai.records("vendors") if one.get("externalId") == "50010"
    ]

    def named(number: str, iban: str = OTHER_IBAN, **changes: Any) -> Record:
        """An invoice to process whose document says where to pay."""
        own = {"externalId": number, "refNumber": number, "ivesk_document_id": number, "documentVendor": None}
        return invoice(pdf, paymentInfo={"kind": "IBAN", "accountNumber": iban}, **own | changes)

    def new(iban: str, date: str) -> Record:
        """A vendor that only documents know."""
        meant = mark(orgNumber="777888999", taxId=None, date=date)
        tax = {"orgNumber": "777888999"}
        return document_vendor("LT-777888999", iban, name="UAB Nauja", taxInfo=tax, documentVendor=meant)

    of_new: Record = {"vendorExternalId": "LT-777888999", "documentVendor": mark(orgNumber="777888999", taxId=None)}
    foreign = [
        named("by the table", vendorExternalId="50010"),
        named("by Vic's id", vendorExternalId=None, vendorInternalId=internal),
        named("by an object", vendorExternalId=None, vendor={"externalId": "50010"}),
        named("paid by giro", vendorExternalId="50011"),
        named("paid by giro, marked", documentVendor=mark(countryCode="SE", orgNumber="5512345678", taxId=None)),
    ]
    right = named("its own", "lt60 1010 0123 4567 8901", vendorExternalId="50010")
    of_erp = named("the ERP's own", vendorExternalId="50010", ivesk_document_id=None)
    run = target(
        [
            *load("vendors", new(ERP_IBAN, "2026-03-05")),
            *load("invoices", *foreign, right, of_erp, named("new", ERP_IBAN, **of_new), named("older", **of_new)),
            *load("vendors", new(THIRD_IBAN, "2026-03-06")),
            *load("invoices", named("newest", THIRD_IBAN, **of_new)),
        ]
    )
    paid = {
        one["externalId"]: ((one.get("paymentInfo") or {}).get("internationalBankAccount") or {}).get("iban")
        for one in store.vicai.control.vicai.records("invoices")
    }
    assert paid == {
        **dict.fromkeys((one["externalId"] for one in foreign), None),
        "its own": "lt60 1010 0123 4567 8901",
        "the ERP's own": OTHER_IBAN,
        "new": ERP_IBAN,
        "older": None,
        "newest": THIRD_IBAN,
    }
    theirs = {"50010": ERP_IBAN, "50011": "9912346", "LT-777888999": ERP_IBAN}
    for key, account in theirs.items():
        told = (
            f"vendors {key}: a document names another bank account, {OTHER_IBAN}. Vic.ai has {account} for the vendor"
        )
        assert told in run.err
    # Exported again with a foreign account, an invoice is not told to be corrected to that.
    for status, iban in {"READY_FOR_POST": THIRD_IBAN, "POSTED": "LT021000011101002000"}.items():
        forged = [one | {"paymentInfo": {"kind": "IBAN", "accountNumber": iban}} for one in (right, foreign[0])]
        ids = [one["internalId"] for one in store.vicai.control.vicai.records("invoices")]
        store.vicai.control.vicai.touch("invoices", ids, status=status)
        run = target(load("invoices", *forged))
        assert run.counts("invoices")["unchanged"] == 2
        assert f"vendors 50010: a document names another bank account, {iban.removeprefix('NO93')}." in run.err
    run = target(
        load(
            "training_invoices",
            training(pdf, vendorExternalId="50010", documentVendor=None) | {"ivesk_document_id": "d-1"},
        )
    )
    assert f"vendors 50010: a document names another bank account, {OTHER_IBAN}." in run.err


def test_the_erps_own_vendor_goes_before_the_one_that_documents_made(store: Store, target: Target, pdf: Path) -> None:
    """A new seller's document comes first; days later the ERP has the vendor, under a key of its own."""
    target([*load("vendors", document_vendor()), *load("training_invoices", training(pdf))])
    target(load("vendors", erp_vendor()))
    store.look()
    second = training(pdf, externalId="d-2", refNumber="SF-2")
    run = target([*load("vendors", document_vendor()), *load("training_invoices", training(pdf), second)])
    assert (run.counts("vendors")["unchanged"], run.counts("training_invoices")["updated"]) == (1, 1)
    store.look()
    assert {one["vendorExternalId"] for one in store.all("trainingInvoices")} == {"50010"}


def test_records_of_the_earlier_mapper_find_the_vendor_as_well(store: Store, target: Target, pdf: Path) -> None:
    """Its invoices have no mark: the vendor's own record tells, if it was clear."""
    target(load("vendors", erp_vendor(), erp_vendor(externalId="7", name="Nord AS", countryCode="NO", taxInfo={})))
    store.look()
    no_mark: Record = {"documentVendor": None, "ivesk_document_id": "d-1"}
    old = document_vendor("304111222", externalUpdatedAt="2026-03-06T10:00:00.000", **no_mark)
    other = document_vendor("7", name="Sud AS", countryCode="PT", taxInfo={"orgNumber": "7"}, **no_mark)
    invoices = [
        training(pdf, vendorExternalId="304111222", **no_mark),
        training(pdf, externalId="d-2", refNumber="SF-2", vendorExternalId="7", **no_mark),
    ]
    run = target([*load("vendors", old, other), *load("training_invoices", *invoices)], expect=1)
    assert [(one["record"]["externalId"], one["rejected"]["code"]) for one in run.rejects] == [
        ("7", "vendor_differs"),
        ("d-2", "vendor_differs"),
    ]
    [made] = store.change().only(trainingInvoices=(1, 0, 0)).added("trainingInvoices")
    assert made["vendorExternalId"] == "50010"


@one_in(3)
@pytest.mark.parametrize(
    "settings",
    [
        {"update_mode": "replace"},
        {"compare": "none"},
        {"compare": "none", "update_mode": "replace"},
        {"deletes": "records", "update_mode": "replace"},
        {"deletes": "mirror", "max_delete_fraction": 1, "compare": "none"},
        {"bank_changes": "hold"},
        {"stream_maps": {"vendors": {"document_vendor": "documentVendor", "documentVendor": "__NULL__"}}},
        {"stream_maps": {"vendors": {"documentVendor": "__NULL__", "ivesk_document_id": "__NULL__"}}},
        {"stream_maps": {"vendors": {"name": "name", "externalId": "externalId", "__else__": "__NULL__"}}},
    ],
    ids=str,
)
def test_no_setting_lets_a_document_change_a_vendor(store: Store, target: Target, settings: Record) -> None:
    target(load("vendors", erp_vendor(), erp_vendor(externalId="304111222", taxInfo={"orgNumber": "777"})))
    store.look()
    unmarked = {"documentVendor": None}
    hostile = [
        document_vendor(),
        document_vendor("50010"),
        document_vendor(" 50010\u00a0"),
        document_vendor(defaultPaymentInfo=None, name=None, countryCode=None, taxInfo={}),
        document_vendor(defaultPaymentInfo={"bban": "86011117947", "defaultMethod": "BBAN"}),
        document_vendor(externalUpdatedAt="2030-01-01T00:00:00", state="UNCONFIRMED"),
        document_vendor("50010", _sdc_deleted_at="2026-03-03T12:00:00+00:00"),
        document_vendor("50010", documentVendor={}),
        # As the mapper of an earlier version wrote it, and its reject file has it.
        document_vendor("50010", externalUpdatedAt="2026-03-06T10:00:00.000", **unmarked),
        document_vendor("304111222", externalUpdatedAt="2026-03-06T10:00:00.000", **unmarked),
        document_vendor("50010", countryCode="PL", documentVendor=mark(countryCode="PL")),
        document_vendor("50010", documentVendor=mark(taxId="LT100009999999")),
    ]
    # Expressions of stream maps name the fields, so each spelling would need its own.
    styles = () if "stream_maps" in settings else (snake, upper)
    alike = [styled(document_vendor("50010"), style) for style in styles]
    again = [{**one, "rejected": {"at": "2020-01-01T00:00:00Z", "code": "x"}} for one in load("vendors", *hostile)[1:]]
    messages = [*load("vendors", *hostile, *alike, number=7), *again, version("vendors", 7), state(1)]
    run = target(messages, expect=None, **settings)
    assert run.states == [{"n": 1}], run.err[-2000:]
    store.untouched()
    assert run.writes == []
    assert run.report["bank_changes"] == []


def test_names_and_addresses_change_where_the_mark_says_so(store: Store, target: Target) -> None:
    target(load("vendors", erp_vendor(managers=[{"name": "Ona"}])))
    store.look()
    said = document_vendor(
        documentVendor=mark(update=True), addressCity="Kaunas", phone="+370", state="UNCONFIRMED", email="x@y.example"
    )
    run = target(load("vendors", said), update_mode="replace", compare="none")
    [(before, now)] = store.change().only(vendors=(0, 1, 0)).changed("vendors")
    given = {"name": "UAB Kita", "addressStreet": "Kita g. 1", "addressCity": "Kaunas"}
    assert now == before | given | {"internalUpdatedAt": now["internalUpdatedAt"]}
    assert run.report["bank_changes"] == []
    run = target(load("vendors", said))
    assert run.counts("vendors")["unchanged"] == 1


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


def test_spellings_of_numbers_find_the_vendor(store: Store, target: Target) -> None:
    target(
        load(
            "vendors",
            erp_vendor(taxInfo={"orgNumber": "LT 304-111-222", "taxId": "100001234567"}),
            erp_vendor(externalId="7", name="Nordlys AS", countryCode=None, taxInfo={"taxId": "NO 912 345 678 MVA"}),
            erp_vendor(
                externalId="8",
                name="Göta AB",
                countryCode="SE",
                taxInfo={"orgNumber": "551234-5678"},
                state="UNCONFIRMED",
                errors=[{"message": "Leverandøren er sperret"}],
            ),
        )
    )
    store.look()
    named = [
        mark(),
        mark(countryCode=None, taxId="lt100001234567", orgNumber=None),
        mark(orgNumber="304 111 222", taxId=None, countryCode="lt"),
        mark(countryCode="NO", orgNumber="912345678", taxId=None),
        mark(countryCode=None, orgNumber=None, taxId="NO912345678"),
        mark(countryCode="SE", orgNumber=None, taxId="SE551234567801"),
    ]
    records = [
        document_vendor(f"K-{n}", documentVendor=one, taxInfo={}, countryCode=None) for n, one in enumerate(named)
    ]
    run = target(load("vendors", *records))
    assert run.counts("vendors")["unchanged"] == len(records)
    store.untouched()


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


# Made


def test_the_erps_midnight_wins_over_the_documents_instant(store: Store, target: Target) -> None:
    """Two clocks never compete: the ERP's own vendor of the same day was left out as older."""
    target(load("vendors", document_vendor(externalUpdatedAt="2026-04-06T10:00:00.000")))
    [made] = store.change().only(vendors=(1, 0, 0)).added("vendors")
    assert made["externalUpdatedAt"] == NEVER
    own = erp_vendor(externalId="LT-304111222", externalUpdatedAt="2026-04-06T00:00:00")
    run = target(load("vendors", own))
    [(_, now)] = store.change().only(vendors=(0, 1, 0)).changed("vendors")
    assert now["defaultPaymentInfo"]["internationalBankAccount"] == {"iban": ERP_IBAN, "bic": "HABALT22"}
    iban = next(one for one in run.report["bank_changes"] if one["field"].endswith(".iban"))
    assert (iban["from"], iban["to"]) == (OTHER_IBAN, ERP_IBAN)


def test_of_several_documents_about_a_new_vendor_the_newest_invoice_counts(store: Store, target: Target) -> None:
    """However they were exported, and by whichever of its numbers they name it; it is one vendor."""
    by_vat = mark(orgNumber=None, date="2024-01-05")
    by_both, by_code = mark(date="2026-03-05"), mark(taxId=None, date="2025-06-01")
    records = [
        document_vendor("LT100001234567", name="UAB Sena", documentVendor=by_vat, taxInfo={"taxId": "LT100001234567"}),
        document_vendor("LT-304111222", ERP_IBAN, name="UAB Nauja", documentVendor=by_both),
        document_vendor("LT-304111222", THIRD_IBAN, name="UAB Vidurinė", documentVendor=by_code),
    ]
    run = target(load("vendors", *records))
    [made] = store.change().only(vendors=(1, 0, 0)).added("vendors")
    assert made["name"] == "UAB Nauja"
    assert made["defaultPaymentInfo"]["internationalBankAccount"]["iban"] == ERP_IBAN
    assert made["taxInfo"] == {"orgNumber": "304111222", "taxId": "LT100001234567"}
    assert [one["to"] for one in run.report["bank_changes"]] == [ERP_IBAN]
    # To a later run it is a vendor that exists.
    target(load("vendors", document_vendor(iban=THIRD_IBAN, documentVendor=mark(date="2027-01-01"))))
    store.untouched()


def test_the_erp_names_it_first_in_the_same_run(store: Store, target: Target, pdf: Path) -> None:
    for plan in (True, False):
        messages = [
            *load("vendors", erp_vendor(), document_vendor()),
            *load("training_invoices", training(pdf)),
        ]
        run = target(messages, dry_run=plan, compare="none" if plan else "vic")
        assert (run.counts("vendors")["created"], run.counts("vendors")["unchanged"]) == (1, 1)
        assert run.counts("training_invoices")["created"] == 1
        if plan:
            store.untouched()
    assert (
        store.change().only(vendors=(1, 0, 0), trainingInvoices=(1, 0, 0)).added("vendors")[0]["externalId"] == "50010"
    )


@pytest.mark.parametrize("kind", ["lost", "reset", "truncate"])
def test_a_lost_answer_makes_no_second_vendor(store: Store, vicai: SandboxProcess, target: Target, kind: str) -> None:
    vicai.control.fault(kind, path=f"{PREFIX}/vendors/LT-304111222", method="PUT", times=2)
    run = target(load("vendors", document_vendor()))
    assert run.counts("vendors")["created"] == 1
    [made] = store.change().only(vendors=(1, 0, 0)).added("vendors")
    assert made["defaultPaymentInfo"]["internationalBankAccount"]["iban"] == OTHER_IBAN


def test_two_runs_at_once_make_one_vendor(store: Store, vicai: SandboxProcess, target: Target) -> None:
    """Whoever makes it, the other one changes nothing: it looks again just before it writes."""
    vicai.control.fault("slow", path=f"{PREFIX}/vendors/LT-304111222", method="GET", times=1, seconds=2)
    runs: dict[str, Any] = {}

    def run(iban: str) -> None:
        runs[iban] = target(load("vendors", document_vendor(iban=iban)))

    first = threading.Thread(target=run, args=[OTHER_IBAN])
    first.start()
    while not vicai.control.faults()[0]["hits"]:
        time.sleep(0.01)
    run(ERP_IBAN)
    first.join()
    [made] = store.change().only(vendors=(1, 0, 0)).added("vendors")
    effects = {iban: one.counts("vendors") for iban, one in runs.items()}
    assert sorted(one["created"] for one in effects.values()) == [0, 1]
    assert effects[made["defaultPaymentInfo"]["internationalBankAccount"]["iban"]]["created"] == 1


def test_vics_vendors_are_read_once(vicai: SandboxProcess, target: Target) -> None:
    vicai.control.vicai.add("vendors", 250)
    records = [
        document_vendor(
            f"LT-{n}", documentVendor=mark(orgNumber=str(n), taxId=None), taxInfo={"orgNumber": str(n)}, name=f"UAB {n}"
        )
        for n in range(400_000_000, 400_000_030)
    ]
    run = target(load("vendors", *records))
    assert run.counts("vendors")["created"] == len(records)
    known = target(load("vendors", *records))
    assert known.counts("vendors")["unchanged"] == len(records)
    lists = [call for call in known.calls if call["path"] == f"{PREFIX}/vendors"]
    assert len(known.calls) <= len(lists) + 2, "the list, the token and the health check"
    cursors = [call["query"] for call in lists]
    assert len(cursors) == len({str(one) for one in cursors}), "no page twice"


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


def test_a_full_load_of_the_erps_keeps_the_vendors_of_documents(store: Store, target: Target) -> None:
    target(load("vendors", document_vendor()))
    store.look()
    own = [one for one in store.all("vendors") if one.get("externalId") and one["externalId"] != "LT-304111222"]
    shown = ("internalId", "internalUpdatedAt", "description", "errors")
    known = [{name: value for name, value in one.items() if name not in shown} for one in own]
    target([*load("vendors", *known, number=7), version("vendors", 7), state(1)], deletes="mirror")
    store.untouched()
