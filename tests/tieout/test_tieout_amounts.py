"""Amounts: equal ones look the same, and no digit gets lost."""

from __future__ import annotations

from decimal import Decimal

import pytest

from ap_connectors.core.exact import NotAnAmountError, add, canonical, money, total


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("10.50", "10.5"),
        ("1.05e1", "10.5"),
        ("+10.5", "10.5"),
        (" 010.500 ", "10.5"),
        ("-0.00", "0"),
        ("-0.10", "-0.1"),
        ("100", "100"),
        ("1E+2", "100"),
        ("5.", "5"),
        ("1234567890123456789.120000000001", "1234567890123456789.120000000001"),
        ("9" * 80 + ".10", "9" * 80 + ".1"),
        (None, None),
        ("  ", None),
    ],
)
def test_equal_amounts_look_the_same(text: str | None, same: str | None) -> None:
    assert canonical(text) == same


@pytest.mark.parametrize("text", ["12,50", "NaN", "Infinity", "1e999999999", "1 000", "null", "0x10"])
def test_what_is_no_amount(text: str) -> None:
    with pytest.raises(NotAnAmountError):
        canonical(text)


def test_sums_are_exact() -> None:
    many = ["0.1"] * 10 + ["1234567890123456789.12", "0.000000000000000000001"]
    assert total(many) == "1234567890123456790.120000000000000000001"
    assert add(*map(Decimal, many)) == Decimal("1234567890123456790.120000000000000000001")
    assert total([None, None]) is None


def test_money_shows_every_digit() -> None:
    assert money(Decimal("1234567.5")) == "1,234,567.50"
    assert money(Decimal("0.1250")) == "0.125"
    assert money(None) == "-"
