"""Bank accounts and payment references: written in one way, and checked by their control digits.

IBAN: ISO 13616 (mod 97, and the length of the country). Norwegian account numbers and KID: Finance Norway's rules
(mod 11; mod 10 or mod 11).
"""

from __future__ import annotations

import re
from itertools import cycle
from string import ascii_uppercase
from typing import Literal, NamedTuple

_FILLING = re.compile(r"[\s.\-\u00ad\u200b\u2010-\u2015\u2060\ufeff]+")
_IBAN = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}", re.ASCII)
_DIGITS = re.compile(r"\d+", re.ASCII)
_LENGTHS = {
    "AD": 24, "AT": 20, "BE": 16, "BG": 22, "CH": 21, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "EE": 20, "ES": 24,
    "FI": 18, "FO": 18, "FR": 27, "GB": 22, "GI": 23, "GL": 18, "GR": 27, "HR": 21, "HU": 28, "IE": 22, "IS": 26,
    "IT": 27, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "MC": 27, "MT": 31, "NL": 18, "NO": 15, "PL": 28, "PT": 25,
    "RO": 24, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "TR": 26, "UA": 29, "VA": 22,
}  # fmt: skip
_VALUES = str.maketrans({letter: str(value) for value, letter in enumerate(ascii_uppercase, 10)})
"""What letters count in an IBAN: A is 10, Z is 35."""
_NORWEGIAN = 11
_MOST_KID = 25


class Account(NamedTuple):
    """An account: how its number is to be read, and the number, plain."""

    kind: Literal["IBAN", "BBAN"]
    number: str


def plain(written: str) -> str:
    """Return a number without blanks, dots and hyphens, its letters in capitals: two spellings of one are equal."""
    return _FILLING.sub("", written).upper()


def iban(written: str) -> str:
    """Return an IBAN, plain.

    Raises:
        ValueError: it is not one; the words follow on "the account".
    """
    number = plain(written)
    if not _IBAN.fullmatch(number):
        raise ValueError("is not an IBAN: two letters, two digits, then 11 to 30 letters and digits")
    expected = _LENGTHS.get(number[:2])
    if expected is not None and len(number) != expected:
        raise ValueError(f"is not an IBAN of {number[:2]}: it has {len(number)} characters instead of {expected}")
    if int((number[4:] + number[:4]).translate(_VALUES)) % 97 != 1:
        raise ValueError("is not a valid IBAN: its check digits do not fit")
    return number


def norwegian(written: str) -> str:
    """Return a Norwegian account number, plain: eleven digits, the last one a control digit.

    Raises:
        ValueError: it is not one; the words follow on "the account".
    """
    number = plain(written)
    if not _DIGITS.fullmatch(number) or len(number) != _NORWEGIAN:
        raise ValueError("is not a Norwegian account number: it needs eleven digits")
    if _mod_11(number[:-1]) != number[-1]:
        raise ValueError("is not a valid Norwegian account number: its control digit does not fit")
    return number


def account(written: str, country: str | None) -> Account:
    """Return an account as a document spells it: an IBAN, or the number that Norway uses inside the country.

    Args:
        written: the number.
        country: of its holder, two letters; None if not known.

    Raises:
        ValueError: it is neither; the words follow on "the account".
    """
    if country == "NO" and _DIGITS.fullmatch(plain(written)):
        return Account("BBAN", norwegian(written))
    return Account("IBAN", iban(written))


def kid(written: str) -> str:
    """Return a Norwegian payment reference (KID), without blanks: 2 to 25 digits with a control digit at the end.

    Raises:
        ValueError: it is not one; the words follow on "the KID".
    """
    number = re.sub(r"\s+", "", written)
    body, control = number[:-1], number[-1:]
    if not 2 <= len(number) <= _MOST_KID or not _DIGITS.fullmatch(body) or control not in set("0123456789-"):
        raise ValueError(f"is not a KID: it needs 2 to {_MOST_KID} digits")
    if control not in {_mod_10(body), _mod_11(body)}:
        raise ValueError("is not a valid KID: its control digit fits neither mod 10 nor mod 11")
    return number


def _mod_10(digits: str) -> str:
    """Return the control digit by Luhn's rule."""
    doubled = (int(digit) * (2 - place % 2) for place, digit in enumerate(reversed(digits)))
    return str(-sum(sum(divmod(each, 10)) for each in doubled) % 10)


def _mod_11(digits: str) -> str:
    """Return the control digit with the weights 2 to 7 from the right; "-" where it would be ten."""
    weighted = zip(map(int, reversed(digits)), cycle(range(2, 8)), strict=False)
    control = -sum(digit * weight for digit, weight in weighted) % 11
    return "-" if control == 10 else str(control)
