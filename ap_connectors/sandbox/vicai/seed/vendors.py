"""Vendors: most from Norway, others from the United States, Lithuania and Sweden, all invented."""

from __future__ import annotations

from typing import Any

from ap_connectors.sandbox import clock
from ap_connectors.sandbox.fake_data import (
    SeededRandom,
    iban,
    lithuanian_check_digit,
    luhn,
    modulo_11,
    uuid_like,
    without_diacritics,
)
from ap_connectors.sandbox.vicai import times

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


def vendor_name(country: str, place: int) -> str:
    """Return the name of the vendor that is number `place` of its country; the first few hundred differ."""
    first, second = (words.split("|") for words in _NAMES[country])
    lap, spot = divmod(place, len(first) * len(second))
    # Both lists advance at once, so that neighbours share neither word; the lap shifts where the pairs would repeat.
    chosen = f"{first[spot % len(first)]} {second[(spot + spot // len(first)) % len(second)]}"
    form = _FORMS.get(country, ("{}",))
    return form[place % len(form)].format(chosen) + (f" {lap + 1}" if lap else "")


def vendor_address(rng: SeededRandom, country: str) -> dict[str, str | None]:
    """Return street, town, postal code and state as a vendor's fields."""
    city, postal_code, state = rng.pick(_TOWNS[country])
    street, number = rng.pick(_STREETS[country].split("|")), rng.between(1, 199)
    return {
        "addressStreet": f"{number} {street}" if country == "US" else f"{street} {number}",
        "addressCity": city,
        "addressState": state,
        "addressPostalCode": postal_code,
    }


def _checked(rng: SeededRandom, prefix: str, length: int, weights: tuple[int, ...]) -> str:
    while True:
        digits = f"{prefix}{rng.below(10**length):0{length}d}"
        if (check := modulo_11(digits, weights)) is not None:
            return digits + check


def norwegian_org_number(rng: SeededRandom) -> str:
    """Return a Norwegian organisation number; real ones begin with 8 or 9, ours with 3."""
    return _checked(rng, "3", 7, (3, 2, 7, 6, 5, 4, 3, 2))


def bank_account(rng: SeededRandom) -> str:
    """Return a Norwegian bank account of 11 digits."""
    return _checked(rng, "99", 8, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2))


def bankgiro(rng: SeededRandom) -> str:
    """Return a Swedish bankgiro number."""
    digits = f"{rng.between(100, 999)}{rng.below(1000):03d}"
    return f"{digits[:3]}-{digits[3:]}{luhn(digits)}"


Record = dict[str, Any]

FIRST_ID = 2001
TERM_DAYS = (14, 30, 10, 20, 45, 60)
_CURRENCIES = {"NO": "NOK", "US": "USD", "LT": "EUR", "SE": "SEK"}
_PHONES = {"NO": "+47 {:03d} {:02d} {:03d}", "US": "+1 555 01{1:02d}", "LT": "+370 6{:02d} {:02d} {:03d}"}
_ERRORS = (
    {"message": "Bankkontonummeret finnes ikke i ERP-systemet", "field": "defaultPaymentInfo.bban"},
    {"message": "Leverandøren er sperret for bokføring"},
    {"message": "PVM kodas negalioja – patikrinkite mokėtojo duomenis", "field": "taxInfo.orgNumber"},
)
_ODD_IDS = ("Lev #7 & sønn", "LEV 100%", "Leverandør æøå", 'LEV "9"', "Tiekėjas ąčęž+1")
# One vendor in so many is special; the places keep the kinds apart.
_UNCONFIRMED_EVERY, _UNCONFIRMED_AT = 9, 5
_ERRORS_EVERY, _ERRORS_AT = 14, 6
_ODD_ID_EVERY, _ODD_ID_AT = 20, 11


def count(invoices: int) -> int:
    """Return how many vendors there are."""
    return min(400, max(40, invoices // 20))


def term_id(seed: int, place: int) -> str:
    """Return the id of a payment term."""
    return uuid_like(seed, "payment term", place)


def group_id(seed: int, place: int) -> str:
    """Return the id of a vendor group."""
    return uuid_like(seed, "vendor group", place)


def unconfirmed(place: int) -> bool:
    """Whether the ERP does not know a vendor yet, so that it has no external id."""
    return place % _UNCONFIRMED_EVERY == _UNCONFIRMED_AT


def vendors(seed: int, invoices: int) -> list[Record]:
    """Return all vendors in the contract's shape (Vendor), but `internalUpdatedAt` in milliseconds since 1970.

    Seven of ten came in four bulk imports, each at one instant; the rest one by one.
    """
    number = count(invoices)
    seen: dict[str, int] = {}
    made = []
    for place in range(number):
        country = COUNTRIES[place % len(COUNTRIES)]
        named = seen[country] = seen.get(country, -1) + 1
        made.append(_vendor(seed, place, _changed(seed, place, number), country, vendor_name(country, named)))
    return made


def _changed(seed: int, place: int, number: int) -> int:
    imported = number * 7 // 10
    if place < imported:
        return clock.START + 20 * times.MINUTE + place * 4 // imported * 1500
    return clock.advance(times.SeededInstants(seed, "vendors", number).at(place - imported), 30 * times.MINUTE)


def _vendor(seed: int, place: int, changed: int, country: str, name: str) -> Record:
    rng = SeededRandom(seed, "vendor", place)
    known = not unconfirmed(place)
    payment_info, tax_info = _payment_info(rng, country), _tax_info(rng, country)
    vendor: Record = {"internalId": str(FIRST_ID + place), "internalUpdatedAt": changed}
    if known:
        odd = place % _ODD_ID_EVERY == _ODD_ID_AT
        lap, spot = divmod(place // _ODD_ID_EVERY, len(_ODD_IDS))
        vendor["externalId"] = _ODD_IDS[spot] + (f" ({lap})" if lap else "") if odd else str(50_000 + place * 3)
        vendor["externalUpdatedAt"] = times.wall_text(changed - rng.between(1, 9 * clock.DAY))
    host = without_diacritics(name).lower()
    host = "".join(letter for letter in host if letter.isalnum())
    vendor |= {
        "name": name,
        "description": None if rng.below(4) else rng.pick(("Rammeavtale 2026", "Betaler alltid for sent", "EHF")),
        "email": None if rng.chance(6) else f"faktura@{host}.example",
        "phone": None if rng.chance(5) else _phone(rng, country),
        **vendor_address(rng, country),
        "countryCode": None if rng.chance(40) else country,
        "currency": _CURRENCIES[country],
        "confirmedAt": times.utc_text(changed - rng.between(1, clock.DAY)) if known else None,
        "state": "CONFIRMED" if known else "UNCONFIRMED",
        "taxInfo": tax_info,
        "defaultPaymentInfo": payment_info,
        "paymentTermId": None if rng.chance(6) else term_id(seed, rng.below(len(TERM_DAYS))),
        "vendorGroupId": group_id(seed, rng.below(5)) if rng.chance(3) else None,
        "externalData": {"kundenr": f"K{rng.below(10**5):05d}", "sperret": rng.chance(9)} if known else None,
    }
    if place % _ERRORS_EVERY == _ERRORS_AT:
        vendor["errors"] = [dict(error) for error in _ERRORS[: rng.between(1, len(_ERRORS))]]
    elif rng.chance(2):
        vendor["errors"] = []
    return vendor


def _phone(rng: SeededRandom, country: str) -> str:
    shape = _PHONES.get(country, "+46 8 {:03d} {:02d} {:03d}")
    return shape.format(rng.between(10, 99), rng.below(100), rng.below(1000))


def _tax_info(rng: SeededRandom, country: str) -> Record:
    # Numbers that are not given out: Norwegian ones that begin with 3, Lithuanian ones with 39, American ones with 07.
    if country == "US":
        tax_id = f"07-{rng.below(10**7):07d}"
        return {"taxId": tax_id, "is1099vendor": rng.chance(2), "orgNumber": None}
    if country == "NO":
        org_number = norwegian_org_number(rng)
        return {"taxId": f"NO{org_number}MVA", "is1099vendor": False, "orgNumber": org_number}
    if country == "LT":
        digits = f"39{rng.below(10**6):06d}"
        vat = f"{rng.between(1, 9)}{rng.below(10**6):06d}1"
        return {
            "taxId": f"LT{vat}{lithuanian_check_digit(vat)}",
            "is1099vendor": False,
            "orgNumber": f"{digits}{lithuanian_check_digit(digits)}",
        }
    digits = f"55{rng.below(10**7):07d}"
    org_number = digits + luhn(digits)
    return {"taxId": f"SE{org_number}01", "is1099vendor": False, "orgNumber": f"{org_number[:6]}-{org_number[6:]}"}


def _payment_info(rng: SeededRandom, country: str) -> Record:
    term: Record | None = {"count": rng.pick(TERM_DAYS), "unit": "DAYS"}
    info: Record = {
        "bankAccountNum": None,
        "bankCode": None,
        "paymentTerm": term if rng.below(8) else None,
        "bankGiro": None,
        "plusGiro": None,
        "bban": None,
        "internationalBankAccount": None,
    }
    return info | _ACCOUNTS[country](rng)


def _norwegian(rng: SeededRandom) -> Record:
    bban = bank_account(rng)
    international = {"iban": iban("NO", bban), "bic": "FJLYNOKK"}
    return {
        "bban": bban,
        "bankAccountNum": bban,
        "internationalBankAccount": international if rng.below(3) else None,
        "defaultMethod": rng.pick(("BBAN", "BBAN", "BANKACCOUNT")),
    }


def _american(rng: SeededRandom) -> Record:
    number = f"{rng.below(10**10):010d}"
    return {"bankAccountNum": number, "bankCode": f"0000{rng.below(10**5):05d}", "defaultMethod": "BANKACCOUNT"}


def _lithuanian(rng: SeededRandom) -> Record:
    account = {"iban": iban("LT", f"99999{rng.below(10**11):011d}"), "bic": "ZALILT2X" if rng.below(4) else None}
    return {"internationalBankAccount": account, "defaultMethod": "IBAN"}


def _swedish(rng: SeededRandom) -> Record:
    if rng.chance(3):
        digits = f"{rng.between(10, 99)}{rng.below(10**4):04d}"
        plusgiro = f"{digits[:2]} {digits[2:4]} {digits[4:]}-{luhn(digits)}"
        return {"plusGiro": plusgiro, "defaultMethod": "PLUSGIRO"}
    return {"bankGiro": bankgiro(rng), "defaultMethod": "BANKGIRO"}


_ACCOUNTS = {"NO": _norwegian, "US": _american, "LT": _lithuanian, "SE": _swedish}
