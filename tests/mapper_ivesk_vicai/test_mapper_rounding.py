"""Lawful rounding: what may differ, by how much, what is booked then, and what is set aside as before."""

from __future__ import annotations

import random
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest

from ap_connectors.core.errors import Stop
from mapper_ivesk_vicai.amounts import read_header, read_lines
from mapper_ivesk_vicai.lines import LineTables
from mapper_ivesk_vicai.tables import ACCOUNTS, OBJECTS, VAT_CLASSES
from mapper_ivesk_vicai.tolerance import Tolerance
from tests.mapper_ivesk_vicai.conftest import Mapper, document, line, messages

Record = dict[str, Any]


def stated(subtotal: str, vat: str | None, total: str | None, **more: Any) -> Record:
    amounts = {"subtotal": subtotal, "vat": vat, "total": total}
    return {name: value if value is None else Decimal(value) for name, value in amounts.items()} | more


def purchase(header: Record, *lines: Record, **more: Any) -> Record:
    return document(**{**header, "lines": [line(**one) for one in lines], **more})


THREE = [stated("33.33", "7.00", "40.33"), stated("33.33", "7.00", "40.33"), stated("33.33", "6.99", "40.32")]
PER_DOCUMENT = purchase(stated("99.99", "21.00", "120.99"), *THREE)
"""VAT is counted of the whole document: 21 % of 99.99 are 20.9979; of the lines each is rounded by itself."""
CASH = purchase(stated("10.00", "2.12", "12.10"), stated("10.00", "2.12", "12.12"))
"""Paid in cash: rounded to what five-cent coins can make."""
KRONER = purchase(stated("79.60", "19.90", "100"), stated("79.60", "19.90", "99.50"), currency="NOK")
IN_HEADER = purchase(stated("100", "21", "121"), stated("100.00", None, None))
REVERSE = purchase(stated("100", "21", "100"), stated("100", "21", "121"), separatevat=True)
"""The buyer owes the VAT to the state: it is shown, and not paid."""


def sent(found: Record) -> list[tuple[Any, Any]]:
    return [(one["amount"], one.get("invoiceLineItemInfo", {}).get("vatAmount")) for one in found["lineItems"]]


@pytest.mark.parametrize(
    ("said", "total", "lines", "rounding"),
    [
        (PER_DOCUMENT, "120.99", [("33.33", "7.00"), ("33.33", "7.00"), ("33.33", "6.99")], "0.01"),
        (CASH, "12.10", [("10.00", "2.12")], "-0.02"),
        (KRONER, "100", [("79.60", "19.90")], "0.50"),
        (IN_HEADER, "121", [("100", None)], None),
        (REVERSE, "100", [("100", "21")], None),
    ],
)
def test_the_header_as_it_is_and_the_lines_as_they_are(
    mapper: Mapper, said: Record, total: str, lines: list[tuple[str, str | None]], rounding: str | None
) -> None:
    done = mapper(messages(said))
    assert done.only["totalAmount"] == total
    assert sent(done.only) == [(Decimal(net), vat if vat is None else Decimal(vat)) for net, vat in lines]
    assert done.only["externalData"].get("rounding_difference") == rounding
    assert done.report["rounded"] == (
        {} if rounding is None else {said["currency"]: {"documents": 1, "difference": rounding.removeprefix("-")}}
    )


@pytest.mark.parametrize(
    ("said", "more", "whole"),
    [
        (PER_DOCUMENT, ("0.00", "0.01"), ("99.99", "21.00")),
        (CASH, ("-0.02", None), ("9.98", "2.12")),
        (KRONER, ("0.50", None), ("80.10", "19.90")),
        (IN_HEADER, None, ("100", None)),
        (REVERSE, None, ("100", "21")),
    ],
)
def test_a_rounding_line_makes_the_lines_the_header(
    mapper: Mapper, said: Record, more: tuple[str, str | None] | None, whole: tuple[str, str | None]
) -> None:
    accounts = {"6312": "KTO-6312", "rounding": "KTO-6990"}
    found = mapper(messages(said), rounding="line", accounts=accounts).only
    lines = found["lineItems"]
    assert len(lines) == len(said["lines"]) + (more is not None)
    if more is not None:
        net, vat = more
        info = {} if vat is None else {"invoiceLineItemInfo": {"vatAmount": Decimal(vat)}}
        # Nothing but VAT: Vic.ai has a mark for that.
        mark = {"lineItemIsVatOnly": True} if not Decimal(net) else {}
        named = {"index": len(lines) - 1, "description": "Rounding", "costAccountExternalId": "KTO-6990"}
        assert lines[-1] == {**named, "amount": Decimal(net), **info, **mark}
    assert sum(net for net, _ in sent(found)) == Decimal(whole[0])
    if whole[1] is not None:
        assert sum(vat or 0 for _, vat in sent(found)) == Decimal(whole[1])


def test_a_credit_note_is_rounded_the_other_way(mapper: Mapper) -> None:
    said = purchase(stated("-10.00", "-2.12", "-12.10"), stated("-10.00", "-2.12", "-12.12", quantity=-1))
    done = mapper(messages(said), rounding="line")
    found = done.only
    assert (found["transactionType"], found["totalAmount"]) == ("CREDITNOTE", "12.10")
    assert sent(found) == [(10, Decimal("2.12")), (Decimal("-0.02"), None)]
    # Its account is the table's business, and nothing that is to be corrected in ivesk.
    assert "costAccountExternalId" not in found["lineItems"][1]
    assert done.warnings == []


BEYOND: list[tuple[Record, str]] = [
    # Three lines and one rate: two cents, not three.
    (purchase(stated("99.99", "21.02", "121.01"), *THREE), "several"),
    # A misread total: no coin makes 12.11; and 12.05 is too far from 12.12.
    (purchase(stated("10.00", "2.12", "12.11"), stated("10.00", "2.12", "12.12")), "does_not_add_up"),
    (purchase(stated("10.00", "2.12", "12.05"), stated("10.00", "2.12", "12.12")), "does_not_add_up"),
    # Rounded to a whole krone by more than half of one; and zloty are not rounded.
    (purchase(stated("79.60", "19.90", "101"), stated("79.60", "19.90", "99.50"), currency="NOK"), "does_not_add_up"),
    (purchase(stated("10.00", "2.12", "12.10"), stated("10.00", "2.12", "12.12"), currency="PLN"), "does_not_add_up"),
    # VAT in the header alone, and not what the lines' rates make.
    (purchase(stated("100", "12", "112"), stated("100.00", None, None)), "header_and_lines_differ"),
    (purchase(stated("100", "12", "112"), stated("100", "0", "100")), "header_and_lines_differ"),
    # A VAT of 0, and no rate that says otherwise.
    (purchase(stated("100", "21", "121"), stated("100", "0", "100", vatpercent=None)), "several"),
    # One line says its VAT, the other does not.
    (purchase(stated("100", "21", "121"), stated("50", "10.5", "60.5"), stated("50", None, None)), "several"),
    # VAT is not paid, but that is not said; or it is said, and the total is neither with VAT nor without.
    (purchase(stated("100", "21", "100"), stated("100", "21", "121")), "does_not_add_up"),
    (purchase(stated("100", "21", "110"), stated("100", "21", "121"), separatevat=True), "does_not_add_up"),
    (purchase(stated("100", "21", "100"), stated("90", "21", "111"), separatevat=True), "several"),
]


def test_what_rounding_does_not_explain_is_set_aside_as_before(mapper: Mapper) -> None:
    done = mapper(messages(*({**one, "id": f"d-{n}", "docnum": str(n)} for n, (one, _) in enumerate(BEYOND))), expect=1)
    assert [one["rejected"]["code"] for one in done.rejects] == [code for _, code in BEYOND]
    assert done.records("training_invoices") == []
    vat, _ = done.rejects[0]["rejected"]["params"]["reasons"]
    assert vat["params"] == {
        "field": "vat",
        "stated": "21.02",
        "together": "20.99",
        "difference": "0.03",
        "currency": "EUR",
    }


def test_half_a_cent_is_half_of_the_smallest_unit(mapper: Mapper) -> None:
    """A dinar of Kuwait has a thousand fils: four of them are a digit that was misread, and no rounding."""
    said = [
        purchase(stated("10.001", "0", "10.001"), stated(net, "0", net), currency="KWD") for net in ("10.002", "10.005")
    ]
    done = mapper(messages(*({**one, "id": f"d-{n}", "docnum": str(n)} for n, one in enumerate(said))), expect=1)
    assert [one["externalId"] for one in done.records("training_invoices")] == ["d-0"]
    assert done.rejects[0]["rejected"]["params"]["reasons"][0]["params"]["difference"] == "0.004"


def test_documents_that_are_both(mapper: Mapper) -> None:
    """VAT by document, and then cash; VAT of two rates in the header alone; VAT separate, and paid all the same; ..."""
    lines = [stated("10.10", "2.12", "12.22")] * 3
    two_rates = [stated("100", None, "100", vatpercent=21), stated("50", None, None, vatpercent=9, vatclass="PVM5")]
    said = [
        purchase(stated("30.30", "6.37", "36.65"), *lines),
        purchase(stated("150", "25.50", "175.50"), *two_rates),
        purchase(stated("100", "21", "121"), stated("100", "21", "121"), separatevat=True),
        purchase(stated("100", "21", "100"), stated("100", None, "100"), separatevat=True),
        # A receipt tells its total only; the lines' cents do not.
        purchase(stated("12.10", None, "12.10") | {"subtotal": None}, stated("10.00", "2.12", "12.12")),
        # A kilogram at 3.333: the line's parts have more digits than its total.
        purchase(stated("3.33", "0.70", "4.03"), stated("3.333", "0.69993", "4.03")),
        # Of a price with VAT, 4.035 three times, each part is rounded by itself.
        purchase(stated("10.00", "2.10", "12.10"), stated("10.00", "2.10", "12.11")),
        # A VAT of 0 beside a rate of 21 % is not one that the line tells.
        purchase(stated("100", "21", "121"), stated("60", "0", "60"), stated("40", "0", "40")),
        # Yen have no cents.
        purchase(stated("3333", "700", "4033"), stated("3333", "699", "4032"), currency="JPY"),
        purchase(stated("3333", "600", "3933"), stated("3333", "599", "3932"), currency="rwf"),
    ]
    done = mapper(messages(*({**one, "id": f"d-{n}", "docnum": str(n)} for n, one in enumerate(said))))
    found = done.records("training_invoices")
    assert [one["totalAmount"] for one in found] == [
        "36.65",
        "175.50",
        "121",
        "100",
        "12.10",
        "4.03",
        "12.10",
        "121",
        "4033",
        "3933",
    ]
    assert sent(found[1]) == [(100, None), (50, None)]
    assert sent(found[3]) == [(100, None)]
    assert sent(found[7]) == [(60, None), (40, None)]


def test_the_tolerance_is_a_setting(mapper: Mapper) -> None:
    said = messages(PER_DOCUMENT, {**CASH, "id": "d-2", "docnum": "2"})
    for exact in (0, "0", "0.00"):
        done = mapper(said, expect=1, tolerance=exact)
        assert [one["rejected"]["code"] for one in done.rejects] == ["several", "does_not_add_up"]
    # An amount is all there is, for whatever differs; half a cent a line leaves cash as it was.
    assert len(mapper(said, tolerance="0.02").records("training_invoices")) == 2
    assert len(mapper(said, tolerance={"per_rate": 0}).records("training_invoices")) == 2
    none_of_lines = mapper(said, expect=1, tolerance='{"per_line": "0", "per_rate": "0.005"}')
    assert [one["record"]["id"] for one in none_of_lines.rejects] == ["d-1"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("ein Cent", "tolerance must be an amount from 0, such as 0.02."),
        (-1, "tolerance must be an amount from 0, such as 0.02."),
        (True, "tolerance must be an amount from 0, such as 0.02."),
        ("NaN", "tolerance must be an amount from 0, such as 0.02."),
        ({"per_line": "x"}, "tolerance.per_line must be an amount from 0, such as 0.02."),
        ({"line": "0.01"}, "tolerance: line is unknown; known are per_line and per_rate."),
    ],
)
def test_a_tolerance_that_is_none_is_explained(given: Any, words: str) -> None:
    with pytest.raises(Stop) as stopped:
        Tolerance.of(given)
    assert str(stopped.value) == words


# Many documents, by the rules of the law


COINS = {"EUR": Decimal("0.05"), "NOK": Decimal(1)}


def rounded(amount: Decimal, to: Decimal = Decimal("0.01")) -> Decimal:
    return (amount / to).quantize(Decimal(1), ROUND_HALF_UP) * to


def lawful(dice: random.Random) -> tuple[Record, list[Record]]:
    """A header and lines as a seller may write them: VAT of each rate counted of its sum; sometimes paid in cash."""
    sign, currency = dice.choice((1, 1, -1)), dice.choice(("EUR", "NOK", "PLN"))
    lines: list[Record] = []
    nets: dict[Decimal, Decimal] = {}
    for _ in range(dice.randint(1, 12)):
        percent = Decimal(dice.choice((0, 5, 9, 12, 15, 21, 25)))
        net = rounded(Decimal(dice.randint(1, 5000)) * dice.randint(1, 99999) * sign / 1_000_000)
        nets[percent] = nets.get(percent, Decimal(0)) + net
        vat = rounded(net * percent / 100)
        lines.append({"subtotal": net, "vat": vat, "vatpercent": percent, "total": net + vat})
    subtotal = sum(nets.values(), Decimal(0))
    vat = sum((rounded(net * percent / 100) for percent, net in nets.items()), Decimal(0))
    total, how = subtotal + vat, dice.choice(("lines", "cash", "header alone", "header alone, lines 0"))
    if how == "cash" and currency in COINS:
        total = rounded(total, COINS[currency])
    for one in lines if how.startswith("header") else ():
        one.update({"vat": 0, "total": one["subtotal"]} if how.endswith("0") else {"vat": None, "total": None})
    return {"currency": currency, "subtotal": subtotal, "vat": vat, "total": total}, lines


def test_every_lawful_document_passes_and_a_line_makes_up_for_rounding() -> None:
    dice = random.Random(7)
    tables = LineTables({ACCOUNTS: {}, VAT_CLASSES: {}, OBJECTS: {}}, "pass")
    differing = 0
    for _ in range(2000):
        said, lines = lawful(dice)
        header, _ = read_header(said)
        agreed, wrong = read_lines(header, lines, Tolerance())
        assert agreed is not None, (said, lines, wrong)
        more = tables.rounding(agreed.rest)
        differing += more is not None
        net = sum((one.subtotal or 0 for one in agreed.lines), Decimal(0)) + (more.net if more else 0)
        vat = sum((one.vat or 0 for one in agreed.lines), Decimal(0)) + ((more.vat or 0) if more else 0)
        tells = any(one.vat is not None for one in agreed.lines)
        assert net + (vat if tells else said["vat"]) == said["total"], (said, lines)
    assert 200 < differing < 1000


def test_a_misread_digit_passes_only_within_the_tolerance() -> None:
    dice = random.Random(8)
    for _ in range(2000):
        said, lines = lawful(dice)
        if said["currency"] == "NOK" or lines[0]["vat"] is None or said["total"] != said["subtotal"] + said["vat"]:
            continue
        fields, part = dice.choice((said, dice.choice(lines))), dice.choice(("subtotal", "vat", "total"))
        before, digits = fields[part], list(str(fields[part]))
        place = dice.choice([n for n, digit in enumerate(digits) if digit.isdigit()])
        digits[place] = dice.choice([digit for digit in "0123456789" if digit != digits[place]])
        fields[part] = Decimal("".join(digits))
        agreed, _ = read_lines(read_header(said)[0], lines, Tolerance())
        allowed = Decimal("0.02") if fields is said else Decimal("0.005") * (len(lines) + 7)
        assert agreed is None or abs(fields[part] - before) <= allowed, (said, lines, part)
