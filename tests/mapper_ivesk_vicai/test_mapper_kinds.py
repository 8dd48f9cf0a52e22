"""What becomes of each kind of document, and of credit notes in all their forms."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.mapper_ivesk_vicai.conftest import COMPANY, OTHER, Mapped, Mapper, document, line, messages

HUNDRED = {"subtotal": Decimal(-100), "vat": Decimal(-21), "total": Decimal(-121)}


def credit(**changes: Any) -> dict[str, Any]:
    """A credit note of one line, -121 EUR, in which -1 piece of 100 is credited."""
    lines = [line(**HUNDRED, quantity=-1, price=100)]
    return document(**{"doctype": "creditnote", **HUNDRED, "lines": lines, **changes})


def booked(done: Mapped) -> dict[str, str]:
    """The type of each invoice that was made, by its number."""
    return {one["refNumber"]: one["transactionType"] for one in done.records("training_invoices") if "lineItems" in one}


def test_what_is_booked_and_what_is_left_out_unless_settings_say_otherwise(mapper: Mapper) -> None:
    kinds = ["invoice", "debitnote", "Proforma", "pro forma", "prepaymentInvoice", "cash-receipt", None]
    said = [document(id=f"d-{number}", doctype=kind) for number, kind in enumerate(kinds)]
    done = mapper(messages(*said, credit(id="d-7"), credit(id="d-8", doctype="Credit invoice")))
    assert booked(done) == {
        "SF-0": "INVOICE", "SF-1": "INVOICE", "SF-6": "INVOICE", "SF-7": "CREDITNOTE", "SF-8": "CREDITNOTE",
    }  # fmt: skip
    assert done.report["documents"]["kinds_left_out"] == {
        "Proforma": 1, "pro forma": 1, "prepaymentInvoice": 1, "cash-receipt": 1,
    }  # fmt: skip
    left_out = {one["externalId"]: one.get("ivesk_left_out_as") for one in done.records("training_invoices")}
    assert {id_: kind for id_, kind in left_out.items() if kind} == {
        "d-2": "Proforma", "d-3": "pro forma", "d-4": "prepaymentInvoice", "d-5": "cash-receipt",
    }  # fmt: skip
    # What is not booked is in no sum, and brings no vendor.
    assert done.report["sums"]["EUR"]["purchases"]["documents"] == 5
    assert "4 of kinds that are not booked (" in done.err
    nothing = mapper(messages(document(doctype="proforma")))
    assert nothing.records("vendors") == []
    assert "None of the" not in nothing.err


def test_an_unknown_kind_is_set_aside(mapper: Mapper) -> None:
    done = mapper(messages(document(doctype="Faktoringas ą"), document(id="d-2")), expect=1)
    assert done.reasons == [
        "It is a Faktoringas ą, and what becomes of such a document is not known: name it in doctypes, as invoice, "
        "creditnote, leave_out or set_aside."
    ]
    assert (done.rejects[0]["rejected"]["code"], done.rejects[0]["rejected"]["params"]) == (
        "kind_unknown",
        {"doctype": "Faktoringas ą"},
    )
    assert booked(done) == {"SF-2": "INVOICE"}
    assert done.report["sums"]["EUR"]["set_aside"]["documents"] == 1


def test_the_setting_says_what_becomes_of_a_kind(mapper: Mapper, tmp_path: Path) -> None:
    table = {
        "Prepayment invoice": "invoice",
        "cashreceipt": "set_aside",
        "memo": "creditnote",
        "debitnote": "leave_out",
    }
    path = tmp_path / "rūšys.csv"
    path.write_text("doctype;becomes\n" + "".join(f"{kind};{fate}\n" for kind, fate in table.items()), "utf-8")
    said = messages(
        document(doctype="prepaymentinvoice"),
        document(id="d-2", doctype="cashreceipt"),
        credit(id="d-3", doctype="memo"),
        document(id="d-4", doctype="debitnote"),
        document(id="d-5", doctype="proforma"),
    )
    for given in (table, json.dumps(table), str(path)):
        done = mapper(said, expect=1, doctypes=given)
        assert booked(done) == {"SF-1": "INVOICE", "SF-3": "CREDITNOTE"}
        assert done.reasons == ["It is a cashreceipt: such documents are set aside (doctypes)."]
        assert done.report["documents"]["kinds_left_out"] == {"debitnote": 1, "proforma": 1}
    nameless = mapper(messages(document(doctype=" ")), expect=1, doctypes={"": "set_aside"})
    assert nameless.reasons == ["It is a document without a kind: such documents are set aside (doctypes)."]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"memo": "credit"}, "doctypes.memo must be invoice, creditnote, leave_out or set_aside."),
        ({"memo": None}, "doctypes.memo must be invoice, creditnote, leave_out or set_aside."),
        (
            {"pro forma": "invoice", "Proforma": "leave_out"},
            "doctypes: Proforma is named twice, in two spellings, and differently.",
        ),
    ],
)
def test_a_table_of_kinds_that_cannot_be_meant_is_explained(mapper: Mapper, table: Any, words: str) -> None:
    assert mapper([], expect=1, doctypes=table).complaints == [words]


def test_a_receipt_without_a_buyer_is_left_out_and_an_invoice_without_one_is_not(mapper: Mapper) -> None:
    of_unknown = {"buyercode": None, "buyerisfavorite": False}
    done = mapper(
        messages(
            document(doctype="cashreceipt", **of_unknown),
            document(id="d-2", **of_unknown),
            document(id="d-3", doctype="cashreceipt", buyercode=OTHER),
            document(id="d-4", doctype="cashreceipt", buyercode=OTHER, buyerisfavorite=False, sellercode=COMPANY),
        ),
        expect=1,
    )
    assert [one["rejected"]["code"] for one in done.rejects] == ["whose_document"]
    documents = done.report["documents"]
    assert (documents["kinds_left_out"], documents["other_companies"], documents["sales"]) == (
        {"cashreceipt": 1},
        {OTHER: 1},
        1,
    )


# Signs


def test_a_quantity_has_the_sign_of_its_lines_amount(mapper: Mapper) -> None:
    """Some sellers credit -1 piece of 100, others 1 piece of -100; some have a discount or a return among the rest."""
    long = "123456789012345678901234567890.12"
    cases: list[tuple[dict[str, Any], str]] = [
        ({"quantity": -1, "price": 100}, "1"),
        ({"quantity": 1, "price": -100}, "1"),
        ({"quantity": 0, "price": None}, "0"),
        ({"quantity": Decimal(f"-{long}"), "price": None}, long),
    ]
    said = [credit(id=f"d-{number}", lines=[line(**HUNDRED, **changes)]) for number, (changes, _) in enumerate(cases)]
    done = mapper(messages(*said))
    for found, (_, quantity) in zip(done.records("training_invoices"), cases, strict=True):
        (only,) = found["lineItems"]
        assert (only["amount"], only["quantityInvoiced"]) == (100, quantity)
    kept = mapper(messages(credit(lines=[line(**HUNDRED, quantity=1, price=-100)])), credit_amounts="negative").only
    assert (kept["lineItems"][0]["amount"], kept["lineItems"][0]["quantityInvoiced"]) == (-100, "-1")
    minus = {"subtotal": Decimal(-4), "vat": 0, "total": Decimal(-4), "vatclass": "PVM5", "vatpercent": 0}
    free = minus | {"subtotal": 0, "total": 0}
    lines = [line(), line(**minus, quantity=1, price=-4), line(**minus, quantity=-2, price=2), line(**free, quantity=3)]
    found = mapper(messages(document(lines=lines, subtotal=2, total=Decimal("4.10")))).only
    assert [one["quantityInvoiced"] for one in found["lineItems"]] == ["2.000", "-1", "-2", "3"]


def test_the_corrected_invoice_stays_with_the_credit_note(mapper: Mapper) -> None:
    said = messages(credit(docnum="KR-1", originaldocnum="SF-0", originaldate="2026-02-01"))
    data = mapper(said).only["externalData"]
    assert (data["doctype"], data["originaldocnum"], data["originaldate"]) == ("creditnote", "SF-0", "2026-02-01")
    (sent,) = mapper(said, invoices_as="invoices", fields={"originaldocnum": "corrects"}).records("invoices")
    assert sent["fields"] == [{"label": "corrects", "value": "SF-0"}]


def test_a_credit_note_may_be_due_before_it_was_issued(mapper: Mapper) -> None:
    """It names the day on which the invoice that it corrects was due."""
    assert mapper(messages(credit(duedate="2026-01-31"))).only["dueDate"] == "2026-01-31"
    done = mapper(messages(document(duedate="2026-01-31"), document(id="d-2", duedate="2026-03-05")), expect=1)
    assert done.reasons == [
        "It is due on 2026-01-31, before the day it was issued (2026-03-05): correct one of the dates."
    ]
    assert done.rejects[0]["rejected"]["params"] == {"due": "2026-01-31", "date": "2026-03-05"}
    assert booked(done) == {"SF-2": "INVOICE"}
