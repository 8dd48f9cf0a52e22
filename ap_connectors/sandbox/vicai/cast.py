"""Who sells to the company: names, towns and streets, all invented; whatever has check digits gets right ones."""

from __future__ import annotations

from ap_connectors.sandbox.fake_data import Dice

COMPANY = "Fjordlys Regnskap AS"

# First words and second words of names; every pair is a vendor.
_NAMES = {
    "NO": (
        "Bjørkåsen|Ålesund|Nordlys|Fjellvær|Trollheim|Sørøya|Østmarka|Måneskinn|Kråkenes|Vårsol|Blåbærlia|Fossegrim"
        "|Skårungen|Hålogaland|Lærdal|Tindved|Gråstein|Havørn|Rødberg|Solvår|Myrull|Elgtråkket|Furulia|Snøfonn|Isfjorden",
        "Elektro AS|Rør og Varme AS|Kontorsenter AS|Sjømat AS|Byggservice AS|Renhold AS|Transport AS|IT-drift AS"
        "|Bakeri & Café ANS|Trykkeri AS|Møbler AS|Eiendom AS|Bilverksted AS|Kraft AS|Vakt og Sikring AS",
    ),
    "US": (
        "Prairie|Blue Heron|Cottonwood|Granite Peak|Sagebrush|Harbor Point|Red Maple|Lone Star's End",
        "Software Inc.|Logistics LLC|Supply Co.|Cloud Services, Inc.|Consulting LLP",
    ),
    "LT": (
        "Žaliasis kiemas|Šiaurės ąžuolas|Čiurlionio dirbtuvės|Ėriuko pieva|Ūkininko kelias|Gėlių sala|Vėjo malūnas"
        "|Įlanka",
        "transportas|spauda|baldai|programos|statyba",
    ),
    "SE": (
        "Åkersberga|Västerhav|Björklöven|Östanå|Kärrtorp|Älvdalen",
        "Verktyg AB|Papper AB|Möbler AB|Data AB|Åkeri AB",
    ),
}
_FORMS = {"LT": ("UAB „{}“", "MB „{}“", "AB „{}“")}
# City, postal code, state (where there are any).
_TOWNS = {
    "NO": (
        ("Oslo", "0155", None), ("Bergen", "5003", None), ("Trondheim", "7011", None), ("Tromsø", "9008", None),
        ("Ålesund", "6002", None), ("Bodø", "8006", None), ("Drammen", "3015", None), ("Tønsberg", "3110", None),
        ("Røros", "7374", None), ("Mosjøen", "8656", None),
    ),
    "US": (
        ("Austin", "78701", "TX"), ("Portland", "97204", "OR"), ("Boise", "83702", "ID"), ("Duluth", "55802", "MN"),
    ),
    "LT": (("Vilnius", "LT-01103", None), ("Kaunas", "LT-44240", None), ("Šiauliai", "LT-76300", None)),
    "SE": (("Göteborg", "411 03", None), ("Malmö", "211 22", None), ("Örebro", "702 10", None)),
}  # fmt: skip
_STREETS = {
    "NO": "Storgata|Kirkeveien|Strandgaten|Bjørkeveien|Sjøgata|Ålegårdsvegen|Øvre Torggate|Fjordveien",
    "US": "Congress Ave|Main St|Elm St|Harbor Blvd",
    "LT": "Gedimino pr.|Žvėryno g.|Aušros al.|Čiurlionio g.",
    "SE": "Stationsvägen|Drottninggatan|Ågatan|Västra hamngatan",
}
# The countries of 25 vendors; then it starts again.
COUNTRIES = (*("NO",) * 3, "US", *("NO",) * 3, "LT", *("NO",) * 5, "SE", *("NO",) * 4, "US", *("NO",) * 4, "LT", "NO")


def name(country: str, place: int) -> str:
    """Return the name of the vendor that is number `place` of its country; the first few hundred differ."""
    first, second = (words.split("|") for words in _NAMES[country])
    lap, spot = divmod(place, len(first) * len(second))
    # Both lists advance at once, so that neighbours share neither word; the lap shifts where the pairs would repeat.
    chosen = f"{first[spot % len(first)]} {second[(spot + spot // len(first)) % len(second)]}"
    form = _FORMS.get(country, ("{}",))
    return form[place % len(form)].format(chosen) + (f" {lap + 1}" if lap else "")


def address(dice: Dice, country: str) -> dict[str, str | None]:
    """Return street, town, postal code and state as a vendor's fields."""
    city, postal_code, state = dice.pick(_TOWNS[country])
    street, number = dice.pick(_STREETS[country].split("|")), dice.between(1, 199)
    return {
        "addressStreet": f"{number} {street}" if country == "US" else f"{street} {number}",
        "addressCity": city,
        "addressState": state,
        "addressPostalCode": postal_code,
    }


def luhn(digits: str) -> str:
    """Return the check digit modulo 10 that ends a KID or a bankgiro number."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 - place % 2)
        total += doubled - 9 if doubled > 9 else doubled
    return str(-total % 10)


def modulo_11(digits: str, weights: tuple[int, ...]) -> str | None:
    """Return the check digit modulo 11, or None if these digits have none and so are never given out."""
    rest = -sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True)) % 11
    return str(rest) if rest < 10 else None


def _checked(dice: Dice, prefix: str, length: int, weights: tuple[int, ...]) -> str:
    while True:
        digits = f"{prefix}{dice.below(10**length):0{length}d}"
        if (check := modulo_11(digits, weights)) is not None:
            return digits + check


def org_number(dice: Dice) -> str:
    """Return a Norwegian organisation number; those that begin with 3 are nobody's, real ones have 8 or 9."""
    return _checked(dice, "3", 7, (3, 2, 7, 6, 5, 4, 3, 2))


def bban(dice: Dice) -> str:
    """Return a Norwegian bank account of 11 digits."""
    return _checked(dice, "99", 8, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2))


def bankgiro(dice: Dice) -> str:
    """Return a Swedish bankgiro number."""
    digits = f"{dice.between(100, 999)}{dice.below(1000):03d}"
    return f"{digits[:3]}-{digits[3:]}{luhn(digits)}"
