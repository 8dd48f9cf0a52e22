"""Master data but for vendors: accounts, dimensions, VAT and tax codes, payment terms, groups and tags."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from ap_connectors.sandbox import clock
from ap_connectors.sandbox.fake_data import SeededRandom, uuid_like
from ap_connectors.sandbox.vicai import times
from ap_connectors.sandbox.vicai.seed import chart, vendors

Record = dict[str, Any]

_FIRST_ACCOUNT_ID, _FIRST_DIMENSION_ID, _FIRST_VAT_CODE_ID = 101, 501, 701
_FIRST_TAG_ID, _FIRST_VENDOR_TAG_ID = 31, 8001
_GROUPS = ("Strøm og nett", "Eiendom", "Åpne rammeavtaler", "Utenlandske leverandører", "Ąžuolo grupė")
_TAGS = ("EHF", "Fast leverandør", "Krever PO", "Sperret", "Miljøfyrtårn", "Utland", "Ny i år", "Žalia")
# Name, days to pay, discount days, discount percentage.
_TERMS = (
    ("14 dager netto", 14, None, None),
    ("30 dager netto", 30, None, None),
    ("10 dager, 2 % innen 5", 10, 5, "2.50"),
    ("20 dager netto", 20, 0, "0.00"),
    ("Løpende måned + 15", 45, None, None),
    ("60 dagar netto", 60, None, None),
)
_TAX_CODES = (
    ("TX-AUSTIN", "Austin, Texas: state and city sales tax", "0.0825"),
    ("OR-NONE", "Oregon has no sales tax", "0"),
    ("ID-STATE", "Idaho state sales tax", "0.06000"),
    ("MN-DULUTH", "Duluth, Minnesota: state, county and city sales tax", "0.08875"),
)


def _imported(place: int, number: int, minute: int) -> int:
    """Return when a record came in: all of a kind within four instants, as files are imported."""
    return clock.START + minute * times.MINUTE + place * 4 // number * 750


def accounts(seed: int) -> list[Record]:
    """Return the accounts (Account); `internalUpdatedAt` in milliseconds since 1970."""
    made = []
    for place, (number, name) in enumerate(chart.ACCOUNTS):
        rng, changed = SeededRandom(seed, "account", place), _imported(place, len(chart.ACCOUNTS), 1)
        account: Record = {
            "internalId": str(_FIRST_ACCOUNT_ID + place),
            "internalUpdatedAt": changed,
            "externalId": f"KTO-{number}",
            "externalUpdatedAt": times.wall_text(changed - rng.between(1, 300 * clock.DAY)),
            "number": number,
            "name": name,
        }
        if rng.below(3):
            account["externalData"] = {"saft": number[:2], "sperret": rng.chance(12)} if rng.chance(2) else None
        made.append(account)
    return made


def dimensions(seed: int) -> list[Record]:
    """Return the dimensions (Dimension); `internalUpdatedAt` in milliseconds since 1970."""
    planned = [(*kind, *value.split(" ", 1)) for *kind, values in chart.DIMENSIONS for value in values.split("|")]
    made = []
    for place, (type_, type_name, type_id, number, name) in enumerate(planned):
        rng, changed = SeededRandom(seed, "dimension", place), _imported(place, len(planned), 5)
        dimension: Record = {
            "name": name,
            "type": type_,
            "typeName": type_name,
            "typeExternalId": type_id,
            "shortName": number,
            "displayName": f"{number} {name}",
            "internalId": str(_FIRST_DIMENSION_ID + place),
            "internalUpdatedAt": changed,
            "externalId": f"{type_id}-{number}",
            "externalUpdatedAt": times.wall_text(changed - rng.between(1, 90 * clock.DAY)),
        }
        if rng.chance(4):
            dimension["externalData"] = {"ansvarlig": rng.pick(("Åse", "Bjørn", "Rūta"))} if rng.below(3) else None
        made.append(dimension)
    return made


def vat_codes(seed: int) -> list[Record]:
    """Return the VAT codes (VatCode), `rate` a Decimal; `internalUpdatedAt` in milliseconds since 1970."""
    made = []
    for place, (code, rate, description, first, last) in enumerate(chart.VAT_CODES):
        rng, changed = SeededRandom(seed, "vat code", place), _imported(place, len(chart.VAT_CODES), 3)
        vat_code: Record = {
            "internalId": str(_FIRST_VAT_CODE_ID + place),
            "internalUpdatedAt": changed,
            "externalId": f"MVA-{code}",
            "externalUpdatedAt": times.wall_text(changed - rng.between(1, 30 * clock.DAY)),
            "code": code,
            "description": description,
            "activeStartingAt": f"{first}T00:00:00",
            "rate": Decimal(rate).scaleb(-2),
        }
        if last:
            vat_code["activeEndingAt"] = f"{last}T23:59:59"
        if rate and rng.below(3):
            vat_code |= {"vatCreditAccount": "2700", "vatDebitAccount": "2710", "defaultInvoiceCreditAccount": "2400"}
        if rng.chance(3):
            vat_code["remoteData"] = {"saft": code.split("-", 1)[0]}
        made.append(vat_code)
    return made


def tax_codes(seed: int) -> list[Record]:
    """Return the tax codes (TaxCode), `rate` decimal text."""
    return [
        {"id": uuid_like(seed, "tax code", code), "code": code, "description": description, "rate": rate}
        for code, description, rate in _TAX_CODES
    ]


def payment_terms(seed: int) -> list[Record]:
    """Return the payment terms (PaymentTerm)."""
    return [
        {
            "id": vendors.term_id(seed, place),
            "name": name,
            "description": None if place % 2 else f"Forfall {days} dager etter fakturadato",
            "daysToPay": days,
            "discountDays": discount_days,
            "discountPercentage": percentage,
        }
        for place, (name, days, discount_days, percentage) in enumerate(_TERMS)
    ]


def vendor_groups(seed: int) -> list[Record]:
    """Return the vendor groups (VendorGroup)."""
    return [{"id": vendors.group_id(seed, place), "name": name} for place, name in enumerate(_GROUPS)]


def tags() -> list[Record]:
    """Return the tags (Tag)."""
    return [{"id": str(_FIRST_TAG_ID + place), "value": value} for place, value in enumerate(_TAGS)]


def vendor_tags(seed: int, vendors: list[Record]) -> list[Record]:
    """Return which vendor has which tag (VendorTag), by internal ids; a third of the vendors have one or two."""
    pairs = []
    for place, vendor in enumerate(vendors):
        rng = SeededRandom(seed, "vendor tag", place)
        if rng.chance(3):
            first = rng.below(len(_TAGS))
            places = (first, (first + 3) % len(_TAGS)) if rng.chance(4) else (first,)
            pairs += [(vendor["internalId"], str(_FIRST_TAG_ID + tag)) for tag in places]
    return [
        {"id": str(_FIRST_VENDOR_TAG_ID + place), "vendorId": vendor, "tagId": tag}
        for place, (vendor, tag) in enumerate(pairs)
    ]
