"""Situations of daily bookkeeping, each with the booking that is right."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.mapper_ivesk_vicai.conftest import Mapper, document, line, messages

Record = dict[str, Any]
Booked = tuple[str, str, list[tuple[str, str | None, str | None]]]
"""Type, total, and of each line amount, VAT and quantity."""


def amounts(subtotal: str | None, vat: str | None, total: str | None, **more: Any) -> Record:
    stated = {"subtotal": subtotal, "vat": vat, "total": total}
    return {name: None if value is None else Decimal(value) for name, value in stated.items()} | more


def bought(header: Record, *lines: Record) -> Record:
    return {**header, "lines": [line(**one) for one in lines]}


GOODS = amounts("100", "21", "121", quantity=1, price=100)
BACK = amounts("-100", "-21", "-121", quantity=1, price=-100)

SITUATIONS: dict[str, tuple[Record, Booked]] = {
    "an advance is deducted": (
        bought(amounts("50", "10.5", "60.5"), GOODS, amounts("-50", "-10.5", "-60.5", quantity=1, name="Avansas")),
        ("INVOICE", "60.5", [("100", "21", "1"), ("-50", "-10.5", "-1")]),
    ),
    "nothing is left to pay": (
        bought(amounts("0", "0", "0"), GOODS, BACK),
        ("INVOICE", "0", [("100", "21", "1"), ("-100", "-21", "-1")]),
    ),
    "goods are exchanged": (
        bought(amounts("0", "0", "0", doctype="creditnote"), GOODS, BACK),
        ("CREDITNOTE", "0", [("-100", "-21", "-1"), ("100", "21", "1")]),
    ),
    "more is returned than bought, on an invoice": (
        bought(amounts("-50", "-10.5", "-60.5"), amounts("50", "10.5", "60.5", quantity=1), BACK),
        ("CREDITNOTE", "60.5", [("-50", "-10.5", "-1"), ("100", "21", "1")]),
    ),
    "a till prints prices with VAT": (
        bought(amounts("8.26", "1.73", "9.99"), amounts(None, "1.73", "9.99", quantity=1)),
        ("INVOICE", "9.99", [("8.26", "1.73", "1")]),
    ),
    "interest for late payment has no VAT": (
        bought(
            amounts("7.31", None, "7.31"), amounts("7.31", None, None, vatclass=None, vatpercent=None, quantity=None)
        ),
        ("INVOICE", "7.31", [("7.31", None, None)]),
    ),
    "a deposit for bottles stands among goods": (
        bought(
            amounts("101", "21", "122"), GOODS, amounts("1", None, None, vatclass="PVM5", vatpercent=None, quantity=10)
        ),
        ("INVOICE", "122", [("100", "21", "1"), ("1", None, "10")]),
    ),
    "foreign VAT, which is not deducted here": (
        bought(amounts("100", "19", "119"), amounts("100", "19", "119", vatclass="PVM0", vatpercent=19, quantity=1)),
        ("INVOICE", "119", [("100", "19", "1")]),
    ),
    "a Norwegian credit note in whole kroner": (
        bought(amounts("-79.68", "-19.92", "-100", currency="NOK"), amounts("-79.68", "-19.92", "-99.60", quantity=-1)),
        ("CREDITNOTE", "100", [("79.68", "19.92", "1")]),
    ),
    "delivery is free": (
        bought(amounts("100", "21", "121"), GOODS, amounts("0", "0", "0", quantity=1, name="Pristatymas")),
        ("INVOICE", "121", [("100", "21", "1"), ("0", "0", "1")]),
    ),
    "the same number in another year": (
        bought(amounts("100", "21", "121", docnum="1", date="2025-03-05"), GOODS),
        ("INVOICE", "121", [("100", "21", "1")]),
    ),
    "an instalment has the number of the first": (
        bought(amounts("50", "10.5", "60.5", docnum="1"), amounts("50", "10.5", "60.5", quantity=1)),
        ("INVOICE", "60.5", [("50", "10.5", "1")]),
    ),
}


def test_the_booking_is_right(mapper: Mapper) -> None:
    first = bought(amounts("100", "21", "121", docnum="1"), GOODS)
    said = [document(**{"id": f"d-{n}"} | one) for n, (one, _) in enumerate(SITUATIONS.values())]
    done = mapper(
        messages(document(id="d-first", **first), *said), vat_classes={"PVM1": "1", "PVM5": "0", "PVM0": None}
    )
    found = {one["externalId"]: one for one in done.records("training_invoices")}
    for number, (name, (_, (kind, total, lines))) in enumerate(SITUATIONS.items()):
        made = found[f"d-{number}"]
        assert (made["transactionType"], made["totalAmount"]) == (kind, total), name
        booked = [(one["amount"], vat(one), one.get("quantityInvoiced")) for one in made["lineItems"]]
        expected = [(Decimal(net), tax if tax is None else Decimal(tax), quantity) for net, tax, quantity in lines]
        assert booked == expected, name


def vat(made: Record) -> Decimal | None:
    found: Decimal | None = made.get("invoiceLineItemInfo", {}).get("vatAmount")
    return found


def test_what_is_not_clear_is_set_aside(mapper: Mapper) -> None:
    """A discount of the whole document that no line has; a line that says its total only; words for an amount."""
    wrong = [
        bought(amounts("90", "18.90", "108.90"), GOODS),
        bought(amounts("100", "21", "121"), amounts(None, None, "121")),
        bought(amounts("100", "21", "121") | {"total": "121 EUR"}, GOODS),
    ]
    done = mapper(messages(*(document(**{"id": f"d-{n}"} | one) for n, one in enumerate(wrong))), expect=1)
    assert [one["rejected"]["code"] for one in done.rejects] == ["several", "no_subtotal", "not_a_number"]
    assert done.records("training_invoices") == []


def test_the_ledger_goes_by_the_day_of_the_transaction(mapper: Mapper) -> None:
    """Electricity of December, billed in January: the cost belongs to the old year."""
    found = mapper(messages(document(date="2026-01-09", operationdate="2025-12-31"))).only
    assert (found["issueDate"], found["glDate"]) == ("2026-01-09", "2025-12-31")
