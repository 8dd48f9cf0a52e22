"""Registration numbers of companies, however they are written: `912345678`, `NO 912 345 678 MVA`."""

from __future__ import annotations

import functools
import re

from ap_connectors.core.validate import id_text

_FILLING = re.compile(r"[\s.\-/]+")
# Countries whose VAT numbers may be the registration number with the country before it.
_COUNTRIES = "AT|BE|BG|CH|CY|CZ|DE|DK|EE|EL|ES|FI|FR|GB|GR|HR|HU|IE|IS|IT|LI|LT|LU|LV|MT|NL|NO|PL|PT|RO|SE|SI|SK|UA|XI"
_NUMBER = re.compile(rf"({_COUNTRIES})?(\d[\dA-Z]*?)(?:MVA)?")


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
