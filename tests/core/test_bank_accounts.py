"""Account numbers and KID: however they are spelled, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ap_connectors.core import bank_accounts
from ap_connectors.core.bank_accounts import Account

Read = Callable[[str], str]


@pytest.mark.parametrize(
    ("read", "written", "number"),
    [
        (bank_accounts.iban, "LT12 1000 0111 0100 1000", "LT121000011101001000"),
        (bank_accounts.iban, "lt121000011101001000", "LT121000011101001000"),
        (bank_accounts.iban, "\u00a0NO93\u00a08601\u202f11 17947\u2060", "NO9386011117947"),
        (bank_accounts.iban, "PT50000201231234567890154", "PT50000201231234567890154"),
        (bank_accounts.iban, "SC18SSCB11010000000000001497USD", "SC18SSCB11010000000000001497USD"),
        (bank_accounts.norwegian, "8601.11.17947", "86011117947"),
        (bank_accounts.norwegian, "1503 20 80119", "15032080119"),
        (bank_accounts.kid, "2345676", "2345676"),
        (bank_accounts.kid, "234 5676", "2345676"),
        (bank_accounts.kid, "12345678903", "12345678903"),
    ],
)
def test_one_number_in_several_spellings(read: Read, written: str, number: str) -> None:
    assert read(written) == number
    assert read(number) == number


@pytest.mark.parametrize(
    ("read", "written", "words"),
    [
        (bank_accounts.iban, "LT991000011101001000", "check digits"),
        (bank_accounts.iban, "LT12100001110100100", "19 characters instead of 20"),
        (bank_accounts.iban, "86011117947", "two letters"),
        (bank_accounts.iban, "", "two letters"),
        (bank_accounts.iban, "ĄŽ121000011101001000", "two letters"),
        (bank_accounts.iban, "LT12100001110100100\u0660", "two letters"),
        (bank_accounts.norwegian, "8601.11.17948", "control digit"),
        (bank_accounts.norwegian, "8601 11 1794", "eleven digits"),
        (bank_accounts.kid, "2345677", "neither mod 10 nor mod 11"),
        (bank_accounts.kid, "2", "2 to 25 digits"),
        (bank_accounts.kid, "F-2026/17", "2 to 25 digits"),
        (bank_accounts.kid, "1" * 26, "2 to 25 digits"),
    ],
)
def test_what_is_wrong_with_a_number(read: Read, written: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read(written)


@pytest.mark.parametrize("digits", ["234567", "99", "1503208011", "100000000000000000000000"])
def test_of_ten_last_digits_at_most_two_make_a_kid(digits: str) -> None:
    good = []
    for last in "0123456789-":
        try:
            good.append(bank_accounts.kid(digits + last))
        except ValueError:
            continue
    assert 1 <= len(good) <= 2


def test_every_mistyped_digit_of_an_iban_is_noticed() -> None:
    number = "LT121000011101001000"
    for place in range(2, len(number)):
        for digit in "0123456789":
            wrong = number[:place] + digit + number[place + 1 :]
            if wrong != number:
                with pytest.raises(ValueError, match="check digits"):
                    bank_accounts.iban(wrong)


def test_the_country_says_how_a_number_without_letters_is_read() -> None:
    assert bank_accounts.account("8601.11.17947", "NO") == Account("BBAN", "86011117947")
    assert bank_accounts.account("NO93 8601 1117 947", "NO") == Account("IBAN", "NO9386011117947")
    assert bank_accounts.account("NO93 8601 1117 947", "SE") == Account("IBAN", "NO9386011117947")
    for country in ("LT", None):
        with pytest.raises(ValueError, match="is not an IBAN"):
            bank_accounts.account("86011117947", country)
