"""Who a company is, by country and numbers however they are written."""

from __future__ import annotations

import unicodedata

import pytest

from ap_connectors.core.companies import Identity, same_name, same_spelling, two_letters

of = Identity.of
ZALIA = of("LT", "304111222", "LT100001234567")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (("LT", "304 111 222", "lt 100001234567"), ZALIA),
        ((" lt", "LT304111222", "100001234567"), ZALIA),
        ((None, "304111222", "LT100001234567"), ZALIA),
        (("NO", None, "NO 912 345 678 MVA"), Identity("NO", "912345678", "NO912345678")),
        ((None, "NO912345678MVA", None), Identity("NO", "912345678", None)),
        (("SE", None, "SE551234567801"), Identity("SE", "5512345678", "SE551234567801")),
        (("SE", "551234-5678", None), Identity("SE", "5512345678", None)),
        (("EL", None, "EL123456789"), Identity("GR", None, "GR123456789")),
        ((None, None, "ATU12345678"), Identity("AT", None, "ATU12345678")),
        (("UK", "SC123456", "GB 123 4567 89"), Identity("GB", "SC123456", "GB123456789")),
        # Registered for VAT in another country than its own.
        (("DE", "HRB 86 000", "LT100009876543"), Identity("DE", "HRB86000", "LT100009876543")),
        (("Lithuania", " ", ""), Identity()),
        # What people write where a number is asked for that they do not have.
        (("LT", "0", "nėra"), Identity("LT")),
        (("NO", "000 000 000", "NO 000000000 MVA"), Identity("NO")),
        (("LT", "N/A", "-"), Identity("LT")),
    ],
)
def test_an_identity_however_it_is_written(written: tuple[str | None, ...], meant: Identity) -> None:
    assert of(*written) == meant


@pytest.mark.parametrize(
    ("other", "relation"),
    [
        (of("LT", "304111222", None), "same"),
        (of("LT", None, "LT100001234567"), "same"),
        (of(None, "304111222", None), "same"),
        (of(None, None, "100001234567"), "same"),
        (of("LT", "304111222", "LT100001234568"), "differs"),
        (of("LT", "304111223", "LT100001234567"), "differs"),
        (of("PL", None, "LT100001234567"), "differs"),
        (of("PL", "304111222", None), "other"),
        (of("LT", "304111223", None), "other"),
        # An ERP that has the VAT number where the registration number belongs.
        (of("LT", "LT100001234567", None), "perhaps"),
        (of("LT", None, "304111222"), "perhaps"),
        (of("LT", None, None), "unknown"),
        (of(None, None, None), "unknown"),
    ],
)
def test_how_two_companies_are_related(other: Identity, relation: str) -> None:
    assert ZALIA.relation(other) == relation
    assert other.relation(ZALIA) == relation


def test_two_companies_of_two_countries_may_have_one_number() -> None:
    one, other = of("NO", "912345678", "NO912345678MVA"), of("PT", "912345678", "PT912345678")
    assert one.relation(other) == "other"


def test_spellings() -> None:
    """An editor may write Ą as A and a tail; whose credentials these are hangs on nothing but the name."""
    assert same_spelling("Ąžuolas  UAB", unicodedata.normalize("NFD", " Ąžuolas UAB"))
    assert not same_spelling("Ąžuolas UAB", "Azuolas UAB")
    assert not same_spelling("Ąžuolas UAB", "ąžuolas UAB")


def test_names() -> None:
    assert same_name("UAB „Žalia šaka“", '"ŽALIA  ŠAKA", UAB')
    assert not same_name("UAB Žalia", "UAB Zalia")
    assert not same_name(None, None)
    assert not same_name("„“", "“„")


def test_countries() -> None:
    assert [two_letters(each) for each in (" lt", "EL", "LTU", "ĄŽ", "", None)] == ["LT", "GR", None, None, None, None]
