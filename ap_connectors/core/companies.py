"""Who a company is: its registration and VAT numbers, however they are written (`912345678`, `NO 912 345 678 MVA`)."""

from __future__ import annotations

import functools
import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

from ap_connectors.core.validate import id_text

_FILLING = re.compile(r"[\s.\-/]+")
# Countries whose VAT numbers may be the registration number with the country before it.
_COUNTRIES = "AT|BE|BG|CH|CY|CZ|DE|DK|EE|EL|ES|FI|FR|GB|GR|HR|HU|IE|IS|IT|LI|LT|LU|LV|MT|NL|NO|PL|PT|RO|SE|SI|SK|UA|XI"
_NUMBER = re.compile(rf"({_COUNTRIES})?(\d[\dA-Z]*?)(?:MVA)?")
_VAT = re.compile(rf"({_COUNTRIES})([\dA-Z]*\d[\dA-Z]*?)(?:MVA)?")


@functools.lru_cache(maxsize=4096)
def _parts(written: str) -> tuple[str, str]:
    """Return country, empty if it does not say, and number."""
    plain = _FILLING.sub("", id_text(written)).upper()
    found = _NUMBER.fullmatch(plain)
    return (found[1] or "", found[2]) if found else ("", plain)


def same_company(one: str | None, other: str | None) -> bool:
    """Whether two registration numbers are the same but for blanks, country and Norway's MVA.

    Two that name different countries differ; so do blank ones from everything.
    """
    (country, number), (other_country, other_number) = _parts(one or ""), _parts(other or "")
    return bool(number) and number == other_number and (not country or not other_country or country == other_country)


def same_spelling(one: str, other: str) -> bool:
    """Whether two names are one but for blanks, and for how an editor has put Ą together."""
    return _spelled(one) == _spelled(other)


def _spelled(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", name).split())


# Who is who

DOCUMENT_VENDOR = "documentVendor"
"""By this member a record says that its vendor was read from a document, and who it is (docs/vendors.md)."""

_SAME_NUMBER = {"BE", "DK", "FI", "LV", "NO", "PT", "SE"}
"""Countries in which the VAT number is the registration number, with the country before it (in Sweden 01 behind it)."""
_OTHER_NAMES = {"EL": "GR", "UK": "GB", "XI": "GB"}
_WORD = re.compile(r"\w+")

Relation = Literal["same", "differs", "perhaps", "other", "unknown"]
"""Of two companies: the same; the same by one number, though another fact differs; perhaps the same, for one has the
other's number in another field; two; or nothing tells (their names may)."""


@dataclass(frozen=True)
class Identity:
    """Who a company is: its country, and its registration number or VAT number in it. Made by `of`.

    Args:
        country: two letters; None if not known.
        code: the registration number, plain: without blanks, country and Norway's MVA.
        vat: the VAT number, plain, with the country before it if that is known.
    """

    country: str | None = None
    code: str | None = None
    vat: str | None = None

    @classmethod
    def of(cls, country: str | None, code: str | None, vat: str | None) -> Identity:
        """Return the identity that three fields tell, however they are written.

        What stands in for a number that is not known ("0", "n/a") does not count: strangers would be one company.
        """
        code_country, number = _parts(_number(code))
        vat_country, vat_number = _parts(_number(vat))
        if not vat_country and (found := _VAT.fullmatch(vat_number)):
            vat_country, vat_number = found.groups()  # letters may follow: ATU12345678
        home = two_letters(country) or two_letters(code_country) or two_letters(vat_country)
        vat_home = two_letters(vat_country) or home
        if vat_number and not number and vat_home == home and home in _SAME_NUMBER:
            number = vat_number.removesuffix("01") if home == "SE" and len(vat_number) > _SWEDISH else vat_number
        return cls(home, number or None, f"{vat_home or ''}{vat_number}" if vat_number else None)

    @property
    def numbers(self) -> tuple[str, ...]:
        """Its numbers without countries: what it may be found by."""
        bare = self.vat.removeprefix(_country_of(self.vat)) if self.vat else None
        return tuple(dict.fromkeys(number for number in (self.code, bare) if number))

    def relation(self, other: Identity) -> Relation:
        """Return how it is related to another company, by country and numbers."""
        elsewhere = bool(self.country and other.country and self.country != other.country)
        same_code = bool(self.code) and self.code == other.code and not elsewhere
        same_vat = bool(self.vat and other.vat) and _same_vat(self.vat or "", other.vat or "")
        differs = elsewhere or (bool(self.code and other.code) and not same_code)
        differs = differs or (bool(self.vat and other.vat) and not same_vat)
        if same_code or same_vat:
            return "differs" if differs else "same"
        if not elsewhere and set(self.numbers) & set(other.numbers):
            return "perhaps"
        return "other" if differs else "unknown"


def _number(written: str | None) -> str:
    """Return a number as it is written; empty if it has no digit but 0."""
    return written if written and any(each.isdigit() and each != "0" for each in written) else ""


_SWEDISH = 10
"""Digits of a Swedish registration number."""


def two_letters(country: str | None) -> str | None:
    """Return a country as ISO 3166 has it, two letters; None if it is not known, or is spelled in another way."""
    spelled = id_text(country or "").upper()
    is_code = len(spelled) == 2 and spelled.isascii() and spelled.isalpha()
    return _OTHER_NAMES.get(spelled, spelled) if is_code else None


def same_name(one: str | None, other: str | None) -> bool:
    """Whether two names are the same but for case, quotation marks, and the place of the legal form."""
    name = plain_name(one)
    return bool(name) and name == plain_name(other)


@functools.lru_cache(maxsize=4096)
def plain_name(name: str | None) -> str:
    """Return what all spellings of a name have in common; empty without a name."""
    return " ".join(sorted(_WORD.findall(unicodedata.normalize("NFKC", name or "").casefold())))


def _country_of(vat: str) -> str:
    return vat[:2] if vat[:2].isalpha() else ""


def _same_vat(one: str, other: str) -> bool:
    country, other_country = _country_of(one), _country_of(other)
    alike = not country or not other_country or country == other_country
    return alike and one.removeprefix(country) == other.removeprefix(other_country)
