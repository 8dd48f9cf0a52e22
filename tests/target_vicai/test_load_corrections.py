"""Corrections: a document that was loaded comes again, and says something else. None of it is lost in silence."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.target_vicai.cases_documents import invoice, training_invoice
from tests.target_vicai.conftest import Record, Result, Target, load
from tests.target_vicai.scene import AT, LATER, PDF, Scene, without
from tests.target_vicai.store import Store

CASES = Path(__file__).parents[3] / "shared" / "cases" / "accounting" / "target"
LINES = [
    {
        "index": 0,
        "amount": "100.00",
        "description": "Popierius",
        "comment": "Į sandėlį",
        "quantityInvoiced": "2",
        "billable": False,
        "vat": {"code": "1", "amount": "21.00", "rate": "21"},
        "costAccount": {"externalId": "KTO-1000"},
    },
    {"index": 1, "amount": "10.00", "costAccount": {"externalId": "KTO-1000"}, "vat": {"code": "0", "amount": "0"}},
    {"index": 2, "amount": "5.50", "costAccount": {"externalId": "KTO-1200"}},
]


def full(scene: Scene) -> Record:
    """An invoice that says all that can be said."""
    dimensions = [{"externalId": one["externalId"]} for one in scene.store.all("dimensions")[:2]]
    return invoice(scene) | {
        "totalAmount": "136.50",
        "glDate": "2026-03-02",
        "poNumber": "PO-7",
        "description": "Kovas",
        "source": "ivesk",
        "paymentRef": "1234567",
        "paymentTerm": {"count": 30, "unit": "DAYS"},
        "paymentInfo": {"kind": "IBAN", "accountNumber": "LT121000011101001000", "bic": "HABALT22"},
        "creditAccount": {"externalId": "KTO-2400"},
        "bolNumbers": [{"bolNumber": "CMR-1"}],
        "lineItems": [LINES[0] | {"dimensions": dimensions}, *LINES[1:]],
    }


def told(reject: Record) -> dict[str, tuple[Any, Any]]:
    """What a reject names: by field, Vic's value and the record's."""
    assert reject["rejected"]["code"] == "differs_at_vicai"
    params = reject["rejected"]["params"]
    return {one["field"]: (one["theirs"], one["ours"]) for one in params.get("differences") or [params]}


def differences(run: Result) -> dict[str, tuple[Any, Any]]:
    """What the only reject of an invoice names; an account of a case is no IBAN, and its vendor comes without it."""
    (reject,) = (one for one in run.rejects if one["stream"] == "invoices")
    return told(reject)


def line(place: int, **changes: Any) -> Callable[[Record], Record]:
    return lambda given: {
        "lineItems": [one | changes if number == place else one for number, one in enumerate(given["lineItems"])]
    }


IBAN = {"kind": "IBAN", "accountNumber": "LT602010012345678901"}
CHANGED: dict[str, tuple[Any, dict[str, tuple[str, str]]]] = {
    "number": ({"refNumber": "SF-0001A"}, {"refNumber": ("SF-0001", "SF-0001A")}),
    "kind": ({"transactionType": "CREDITNOTE"}, {"transactionType": ("INVOICE", "CREDITNOTE")}),
    "date of the books": ({"glDate": "2026-02-28"}, {"glDate": ("2026-03-02", "2026-02-28")}),
    "dates": (
        {"issueDate": "2026-02-27", "dueDate": "2026-04-01"},
        {"issueDate": ("2026-03-01", "2026-02-27"), "dueDate": ("2026-03-31", "2026-04-01")},
    ),
    "total": ({"totalAmount": "136.51"}, {"totalAmount": ("136.50", "136.51")}),
    "currency": ({"currency": "NOK"}, {"currency": ("EUR", "NOK")}),
    "order": ({"poNumber": "PO-8"}, {"poNumber": ("PO-7", "PO-8")}),
    "words": ({"description": "Balandis"}, {"description": ("Kovas", "Balandis")}),
    "reference": ({"paymentRef": "7654321"}, {"paymentRef": ("1234567", "7654321")}),
    "term": ({"paymentTerm": {"count": 14, "unit": "DAYS"}}, {"paymentTerm.count": ("30", "14")}),
    "account to pay": (
        {"paymentInfo": IBAN},
        {"paymentInfo.accountNumber": ("LT121000011101001000", "LT602010012345678901")},
    ),
    "bank": (
        {"paymentInfo": {"kind": "IBAN", "accountNumber": "LT121000011101001000", "bic": "AGBLLT2X"}},
        {"paymentInfo.bic": ("HABALT22", "AGBLLT2X")},
    ),
    "way to pay": (
        {"paymentInfo": {"kind": "BBAN", "accountNumber": "86011117947"}},
        {"paymentInfo.accountNumber": ("LT121000011101001000", "86011117947")},
    ),
    "account credited": (
        {"creditAccount": {"externalId": "KTO-2401"}},
        {"creditAccount.externalId": ("KTO-2400", "KTO-2401")},
    ),
    "freight": ({"bolNumbers": [{"bolNumber": "CMR-2"}]}, {"bolNumbers[0].bolNumber": ("CMR-1", "CMR-2")}),
    "VAT code": (line(0, vat={"code": "86", "amount": "21.00", "rate": "21"}), {"lineItems[0].vat.code": ("1", "86")}),
    "VAT": (
        line(0, vat={"code": "1", "amount": "20.99", "rate": "21"}),
        {"lineItems[0].vat.amount": ("21.00", "20.99")},
    ),
    "account": (
        line(1, costAccount={"externalId": "KTO-1200"}),
        {"lineItems[1].costAccount.externalId": ("KTO-1000", "KTO-1200")},
    ),
    "amount": (line(2, amount="5.51"), {"lineItems[2].amount": ("5.50", "5.51")}),
    "quantity": (line(0, quantityInvoiced="3"), {"lineItems[0].quantityInvoiced": ("2", "3")}),
    "a line's words": (
        line(0, description="Pieštukai", comment=""),
        {
            "lineItems[0].description": ("Popierius", "Pieštukai"),
            "lineItems[0].comment": ("Į sandėlį", ""),
        },
    ),
    "a line less": (lambda given: {"lineItems": given["lineItems"][:2]}, {"number of lineItems": ("3", "2")}),
    "what it no longer says": (
        {"paymentRef": None, "poNumber": None},
        {
            "paymentRef": ("1234567", "nothing"),
            "poNumber": ("PO-7", "nothing"),
        },
    ),
    "no account to pay to": ({"paymentInfo": None}, {"paymentInfo": ("accountNumber LT121000011101001000", "nothing")}),
}


def test_every_field_of_an_invoice_is_compared(scene: Scene, target: Target) -> None:
    given = full(scene)
    other = scene.store.all("vendors")[1]["externalId"]
    cases = CHANGED | {
        "vendor": (
            {"vendor": {"externalId": other}},
            {"vendor.externalId": (scene.vendor["externalId"], other)},
        )
    }
    # The same in other words is the same.
    same = [
        given,
        given | {"totalAmount": Decimal("136.500"), "currency": "eur"},
        given | {"paymentInfo": given["paymentInfo"] | {"accountNumber": "LT12 1000 0111 0100 1000"}},
        given | line(0, dimensions=given["lineItems"][0]["dimensions"][::-1])(given),
        without(given, "vendor") | {"vendorExternalId": scene.vendor["externalId"]},
    ]
    changed = [given | (change(given) if callable(change) else change) for change, _ in cases.values()]
    ids = [{"externalId": f"PIRK-{number}"} for number in range(len(same) + len(changed))]
    target(load("invoices", *(given | id_ for id_ in ids)), duplicates="allow")
    scene.store.look()
    run = target(load("invoices", *(one | id_ for one, id_ in zip([*same, *changed], ids, strict=True))), expect=1)
    assert (run.counts("invoices")["unchanged"], run.writes) == (len(same), [])
    found = {reject["record"]["externalId"]: told(reject) for reject in run.rejects}
    for (name, (_, expected)), id_ in zip(cases.items(), ids[len(same) :], strict=True):
        assert found[id_["externalId"]] == expected, name
    scene.store.untouched()


def test_what_vic_changes_in_an_invoice_is_no_correction(scene: Scene, target: Target) -> None:
    """Vic codes invoices: that is what it is for. Only what the record says anew is compared with that."""
    given = full(scene)
    target(load("invoices", given))
    (mine,) = [one for one in scene.vicai.control.vicai.records("invoices") if one["externalId"] == given["externalId"]]
    coded = {
        "glDate": "2026-03-31",
        "description": "AI",
        "lineItems": mine["lineItems"][:1],
        "paymentInfo": {"bban": "1"},
    }
    scene.vicai.control.vicai.touch("invoices", [mine["internalId"]], **coded)
    scene.store.look()
    assert target(load("invoices", given)).counts("invoices")["unchanged"] == 1
    assert differences(target(load("invoices", given | {"dueDate": "2026-05-01"}), expect=1)) == {
        "dueDate": ("2026-03-31", "2026-05-01")
    }
    # A correction that somebody has made at Vic by hand is no reject, and counts from then on.
    scene.vicai.control.vicai.touch("invoices", [mine["internalId"]], dueDate="2026-05-01")
    scene.store.look()
    corrected = given | {"dueDate": "2026-05-01"}
    assert target(load("invoices", corrected)).counts("invoices")["unchanged"] == 1
    scene.vicai.control.vicai.touch("invoices", [mine["internalId"]], dueDate="2026-06-01")
    assert target(load("invoices", corrected)).counts("invoices")["unchanged"] == 1
    assert set(differences(target(load("invoices", given), expect=1))) == {"dueDate"}


def test_an_invoice_that_the_erp_has_renamed_is_not_made_again(scene: Scene, target: Target) -> None:
    """A confirmation gives the invoice the id of the ERP's; then the document is exported once more."""
    given = invoice(scene)
    target(load("invoices", given))
    (mine,) = [one for one in scene.vicai.control.vicai.records("invoices") if one["externalId"] == given["externalId"]]
    confirmed = {"internalId": mine["internalId"], "externalId": "DZ-77", "externalUpdatedAt": AT}
    target(load("invoice_confirmations", confirmed))
    scene.store.look()
    assert target(load("invoices", given)).counts("invoices")["unchanged"] == 1
    run = target(load("invoices", given | {"dueDate": "2026-04-30"}))
    assert run.counts("invoices")["unchanged"] == 1
    assert "is posted" in run.err
    assert set(differences(target(load("invoices", given | {"refNumber": "SF-2"}), expect=1))) == {"refNumber"}
    scene.store.untouched()
    # What is deleted there is made anew.
    scene.vicai.control.vicai.delete("invoices", [mine["internalId"]])
    scene.store.look()
    assert target(load("invoices", given)).counts("invoices")["created"] == 1


def test_what_is_paid_and_was_corrected_after_posting_is_told_of_each(scene: Scene, target: Target) -> None:
    """Amount, vendor, account: nothing changes at Vic.ai any more, and each invoice is named; a coding is not."""
    other = scene.store.all("vendors")[1]["externalId"]
    corrected: dict[str, Record] = {
        "totalAmount": {"totalAmount": "110.00"},
        "currency": {"currency": "NOK"},
        "transactionType": {"transactionType": "CREDITNOTE"},
        "vendor.externalId": {"vendor": {"externalId": other}},
        "paymentInfo.accountNumber": {"paymentInfo": {"kind": "IBAN", "accountNumber": "LT601010012345678901"}},
        "": {
            "lineItems": [LINES[0] | {"costAccount": {"externalId": "KTO-1200"}}, *LINES[1:]],
            "dueDate": "2026-04-30",
        },
    }
    given = [full(scene) | {"externalId": f"PIRK-{number}"} for number in range(len(corrected))]
    target(load("invoices", *given), duplicates="allow")
    mine = {one["externalId"]: one["internalId"] for one in scene.vicai.control.vicai.records("invoices")}
    for number, one in enumerate(given):
        status = ("POSTED", "TRANSFERRED")[number % 2]
        scene.vicai.control.vicai.touch("invoices", [mine[one["externalId"]]], status=status)
    scene.store.look()
    newer = [one | change for one, change in zip(given, corrected.values(), strict=True)]
    for _ in range(2):
        run = target(load("invoices", *newer), expect=1)
        rejected = {one["record"]["externalId"]: one["rejected"] for one in run.rejects}
        told = {id_: [each["field"] for each in one["params"]["differences"]] for id_, one in rejected.items()}
        fields = {one["externalId"]: [field] for one, field in zip(given, corrected, strict=True) if field}
        assert told == fields
        assert {one["code"] for one in rejected.values()} == {"corrected_after_posting"}
        assert (run.counts("invoices")["unchanged"], run.writes) == (1, [])
    # It was a mistake; or the ledger is lost, and who has changed what is unknown.
    assert target(load("invoices", *given)).counts("invoices")["unchanged"] == len(given)
    (scene.pdf.parent.parent / "ledger.jsonl").unlink()
    assert target(load("invoices", *newer)).counts("invoices")["unchanged"] == len(given)
    scene.store.untouched()


def test_a_correction_is_set_aside_again_until_it_is_dealt_with(scene: Scene, target: Target) -> None:
    given, newer = invoice(scene), invoice(scene) | {"glDate": "2026-02-28", "totalAmount": "1.00"}
    target(load("invoices", given))
    aside = target(load("invoices", newer), expect=1)
    assert "glDate nothing, and the record says 2026-02-28; totalAmount" not in aside.reasons[0]
    assert set(differences(aside)) == {"glDate", "totalAmount"}
    for _ in range(2):
        assert set(differences(target(aside.reject_lines, expect=1))) == {"glDate", "totalAmount"}
    target(load("invoices", {"externalId": given["externalId"], "_sdc_deleted_at": LATER}), deletes="records")
    assert target(aside.reject_lines).counts("invoices")["created"] == 1


def test_a_plan_writes_down_nothing(scene: Scene, target: Target, tmp_path: Path) -> None:
    given = invoice(scene)
    target(load("invoices", given), dry_run=True)
    assert not (tmp_path / "ledger.jsonl").exists()
    target(load("invoices", given))
    before = (tmp_path / "ledger.jsonl").read_bytes()
    run = target(load("invoices", given | {"dueDate": "2026-04-30"}), dry_run=True, expect=1)
    assert "dueDate 2026-03-31, and the record says 2026-04-30" in run.err
    assert (tmp_path / "ledger.jsonl").read_bytes() == before


# Training invoices can be written again


def test_a_training_invoice_becomes_what_its_document_says(scene: Scene, target: Target) -> None:
    """Another vendor, number, account; and no account to pay to, no KID, no order any more."""
    other = scene.store.all("vendors")[1]["externalId"]
    given = training_invoice(scene) | {
        "ivesk_document_id": "d-1",
        "poNumber": "PO-1",
        "paymentInfo": {
            "internationalBankAccount": {"iban": "LT121000011101001000", "bic": "HABALT22"},
            "defaultMethod": "IBAN",
            "paymentTerm": {"count": 30, "unit": "DAYS"},
        },
        "invoiceInfo": {"kid": "1234567", "creditAccountExternalId": "KTO-2400"},
        "externalData": {"allocation": "A"},
    }
    target(load("training_invoices", given))
    scene.store.look()
    newer = without(given, "paymentInfo", "invoiceInfo", "poNumber", "externalData", "description", "document") | {
        "externalUpdatedAt": LATER,
        "refNumber": "TR-1B",
        "vendorExternalId": other,
        "lineItems": [{"index": 0, "amount": 7, "costAccountExternalId": "KTO-1200"}],
    }
    run = target(load("training_invoices", newer))
    assert run.counts("training_invoices")["updated"] == 1
    # The store knows a training invoice by its vendor and number.
    (after,) = scene.store.change().only(trainingInvoices=(1, 0, 1)).added("trainingInvoices")
    assert (after["refNumber"], after["vendorExternalId"]) == ("TR-1B", other)
    assert [one["costAccountExternalId"] for one in after["lineItems"]] == ["KTO-1200"]
    for name in ("poNumber", "description", "externalData"):
        assert after.get(name) is None, name
    assert "LT12" not in json.dumps(after["paymentInfo"])
    assert after["paymentInfo"].get("paymentTerm") is None
    assert after["invoiceInfo"]["kid"] == ""
    assert after["invoiceInfo"].get("creditAccountExternalId") in (None, "")
    again = target(load("training_invoices", newer))
    assert (again.counts("training_invoices")["unchanged"], again.writes) == (1, [])


def test_an_account_does_not_stay_under_another_vendor(scene: Scene, target: Target) -> None:
    """A record that is no document's keeps what it does not name, but not the old vendor's account."""
    other = scene.store.all("vendors")[1]["externalId"]
    account = {"internationalBankAccount": {"iban": "LT121000011101001000"}, "defaultMethod": "IBAN"}
    given = training_invoice(scene) | {"paymentInfo": account}
    target(load("training_invoices", given))
    scene.store.change()
    newer = {name: given[name] for name in ("externalId", "transactionType", "refNumber")} | {
        "externalUpdatedAt": LATER
    }
    target(load("training_invoices", newer))
    ((_, after),) = scene.store.change().changed("trainingInvoices")
    assert after["paymentInfo"] == account
    target(load("training_invoices", newer | {"vendorExternalId": other}))
    # The store knows a training invoice by its vendor and number.
    (after,) = scene.store.change().only(trainingInvoices=(1, 0, 1)).added("trainingInvoices")
    assert "LT12" not in json.dumps(after["paymentInfo"])
    assert after["description"] == given["description"]


# A document that moves to another company


@pytest.mark.parametrize("stream", ["invoices", "training_invoices"])
@pytest.mark.parametrize(
    ("why", "expected"),
    [
        ({"ivesk_moved_to": "391016469"}, ("moved_to_another_company", {"company": "391016469"})),
        ({"ivesk_left_out_as": "proforma"}, ("no_longer_booked", {"doctype": "proforma"})),
    ],
)
def test_a_document_that_is_not_booked_here_any_more_is_told(
    scene: Scene, target: Target, stream: str, why: dict[str, str], expected: tuple[str, Any]
) -> None:
    """The mapper says of each that is another company's, or is left out; of those that were loaded here, it is told."""
    given = invoice(scene) if stream == "invoices" else training_invoice(scene)
    given |= {"ivesk_document_id": given["externalId"], "ivesk_company_code": "302320404"}
    said = [
        {"externalId": id_, "ivesk_document_id": id_, "ivesk_company_code": "391016469", **why}
        for id_ in (given["externalId"], "d-never-ours")
    ]
    assert target(load(stream, *said)).counts(stream)["unchanged"] == 2
    target(load(stream, given))
    # Killed before the ledger had it: the record comes again. Later the company gets another client id.
    book = scene.pdf.parent.parent / "ledger.jsonl"
    book.unlink()
    target(load(stream, given))
    book.write_text(book.read_text().replace(f'"{scene.vicai.client_id}"', '"former-client"'))
    scene.store.look()
    run = target(load(stream, *said), expect=1)
    ((_, reject),) = [(one["record"], one["rejected"]) for one in run.rejects]
    assert (reject["code"], reject["params"]) == expected
    assert given["externalId"] in reject["reason"]
    assert run.writes == []
    # Told until it is gone.
    target(run.reject_lines, expect=1)
    gone = given | {"_sdc_deleted_at": LATER, "externalUpdatedAt": LATER}
    target(load(stream, gone), deletes="records")
    assert target(run.reject_lines).counts(stream)["unchanged"] == 1


@pytest.mark.parametrize("stream", ["invoices", "training_invoices"])
def test_a_reject_of_a_document_that_moved_since_is_not_booked_here(scene: Scene, target: Target, stream: str) -> None:
    """It was never loaded here, so Vic.ai knows nothing of it, and the other company's run loads it there."""
    given = invoice(scene) if stream == "invoices" else training_invoice(scene)
    id_ = given["externalId"]
    given |= {"ivesk_document_id": id_, "ivesk_company_code": "302320404"}
    first, moved, back = (f"2026-03-{day}T08:00:00.000Z" for day in ("01", "03", "05"))
    bad = target(load(stream, given | {"ivesk_exported_at": first, "issueDate": "never"}), expect=1)
    rejected = [text.replace("never", given["issueDate"]) for text in bad.reject_text.splitlines()]
    said = {"externalId": id_, "ivesk_document_id": id_, "ivesk_moved_to": "391016469", "ivesk_exported_at": moved}
    assert target(load(stream, said)).counts(stream)["unchanged"] == 1
    # Replayed, with its mark or without; a plan says the same.
    plain = load(stream, given | {"ivesk_exported_at": first})
    # A mapper that does not say when: what was set aside before the note is older.
    former = [text.replace(first, "") for text in rejected]
    former = [re.sub(r'("(?:first_)?at":")[^"]+', r"\g<1>2026-03-01T08:00:00.000Z", text) for text in former]
    for messages, more in ((rejected, {}), (former, {}), (plain, {}), (plain, {"dry_run": True})):
        run = target(messages, expect=1, **more)
        [reject] = run.report["rejects"]
        assert (reject["code"], reject["params"]) == ("older_export", {"company": "391016469", "doctype": None})
        assert run.writes == []
    assert target(load(stream, given | {"ivesk_exported_at": moved}), dry_run=True).counts(stream)["created"] == 1
    # It comes back, and is loaded; it moves to and fro as it likes.
    assert target(load(stream, given | {"ivesk_exported_at": back})).counts(stream)["created"] == 1


# The bookkeeper's cases


@pytest.fixture
def exported(tmp_path: Path) -> Callable[[str], list[str]]:
    """Return the lines of a case by its name; the document is where the target may read.

    Two suppliers of the cases have one VAT number, by which they would be one; here each has its own.
    """
    pdf = tmp_path / "doc.pdf"
    pdf.write_bytes(PDF)

    def lines(name: str) -> list[str]:
        text = (CASES / f"{name}.jsonl").read_text("utf-8").replace("./doc.pdf", str(pdf))
        one, other = (f'"orgNumber": "300000999", "taxId": "LT{vat}"' for vat in ("100001234567", "100009990000"))
        return text.replace(one, other).splitlines()

    return lines


@pytest.mark.skipif(not CASES.exists(), reason="the cases are not there")
@pytest.mark.parametrize(
    ("again", "fields"),
    [
        (
            "B2_reexport_supplier_lines",
            {
                "glDate": ("2026-03-05", "2026-02-28"),
                "vendor.externalId": ("304111222", "300000999"),
                "paymentInfo.accountNumber": ("LT121000011101001000", "LT602010012345678901"),
                "lineItems[0].vat.code": ("1", "86"),
                "lineItems[0].costAccount.externalId": ("KTO-6800", "KTO-7000"),
            },
        ),
        (
            "B3_reexport_number",
            {
                "refNumber": ("SF-1", "SF-1A"),
                "issueDate": ("2026-03-05", "2026-03-04"),
                "glDate": ("2026-03-05", "2026-03-04"),
            },
        ),
    ],
)
def test_an_invoice_is_exported_again(
    target: Target, exported: Callable[[str], list[str]], again: str, fields: Record
) -> None:
    target(exported("B1_invoice"))
    assert target(exported("B1_invoice")).writes == []
    assert differences(target(exported(again), expect=1)) == fields


@pytest.mark.skipif(not CASES.exists(), reason="the cases are not there")
def test_a_training_invoice_is_exported_again(
    store: Store, target: Target, exported: Callable[[str], list[str]]
) -> None:
    target(exported("C1_training"))
    assert target(exported("C1_training")).writes == []
    target(exported("C2_training_reexport"))
    store.look()
    (mine,) = [one for one in store.all("trainingInvoices") if one["refNumber"].startswith("SF-1")]
    assert (mine["refNumber"], mine["vendorExternalId"]) == ("SF-1B", "300000999")
    assert "LT12" not in json.dumps(mine, default=str)
    assert target(exported("C2_training_reexport")).writes == []
