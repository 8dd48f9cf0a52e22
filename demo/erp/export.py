"""The ERP's file: its master data as Singer messages, and what changes in it."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Context, Decimal
from pathlib import Path
from typing import Any

import msgspec

from demo.erp.chart import (
    ACCOUNTS,
    DEPARTMENTS,
    FIRMS,
    GOODS,
    GROUPS,
    PLACES,
    PROJECTS,
    TAGS,
    TOWNS,
    TRADES,
    VAT_CODES,
)
from demo.erp.streams import STREAMS, Record

Export = dict[str, list[Record]]
"""The records of each stream."""

VENDORS = 80
VENDOR_TAGS = 40
ORDERS = 10
CHANGES = 12
WITHOUT_EMAIL = 7
"""The number of the vendor whose e-mail address the ERP does not know."""

TAKEN, CHANGED = "2026-01-05T06:30:00", "2026-01-06T06:30:00"
"""When the file was written; the ERP's clock has no zone."""

_EXACT = Context(prec=60)
_ENCODER = msgspec.json.Encoder(decimal_format="number")
_DECODER = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)


def master_data() -> Export:
    """Everything that the ERP holds at first."""
    tags = [
        {"vendorExternalId": vendor_id(number * 2), "tagValue": TAGS[number % len(TAGS)]}
        for number in range(VENDOR_TAGS)
    ]
    made: Export = {
        "vendor_tags": tags,
        "purchase_orders": [_order(number) for number in range(ORDERS)],
        "vendors": [_vendor(number) for number in range(VENDORS)],
        "payment_terms": [_term(*term) for term in _TERMS],
        "vendor_groups": [{"name": name} for name in GROUPS],
        "tags": [{"value": value} for value in TAGS],
        "tax_codes": [
            {"code": "NO-MVA", "description": "Merverdiavgift", "rate": "25.00"},
            {"code": "LT-PVM", "description": "Pridėtinės vertės mokestis", "rate": "21.00000000000000001"},
        ],
        "vat_codes": [_vat_code(*line.split(" ", 1)) for line in VAT_CODES.split("\n") if line],
        "accounts": [_account(*line.split(" ", 1)) for line in ACCOUNTS.split("\n") if line],
        "dimensions": [
            *(_dimension("KST", "Kostnadssted", 100 + place, name) for place, name in enumerate(DEPARTMENTS)),
            *(_dimension("PRJ", "Prosjekt", 2601 + place, name) for place, name in enumerate(PROJECTS)),
        ],
    }
    return {name: made[name] for name in STREAMS}


def changed(export: Export) -> Export:
    """The ERP's records after twelve changes: ten records are other than before, and two are new."""
    after = {name: [dict(record) for record in records] for name, records in export.items()}
    vendors = after["vendors"]
    dates = {"externalUpdatedAt": CHANGED}
    vendors[2] |= dates | {"phone": "+47 55 00 11 22"}
    vendors[WITHOUT_EMAIL] |= dates | {"addressStreet": "Liepų g. 8 – įėjimas iš kiemo"}
    vendors[11] |= dates | {"email": None}
    vendors[23] |= dates | {"paymentTermName": _TERMS[2][0]}
    vendors[31] |= dates | {"defaultPaymentInfo": {**vendors[31]["defaultPaymentInfo"], "bban": "15064444555"}}
    vendors[40] |= dates | {"externalData": {**vendors[40]["externalData"], "kreditt": Decimal("98765432109876543.21")}}
    after["accounts"][9] |= dates | {"name": "Aksjer i Žemaitijos Ąžuolas AB"}
    after["dimensions"][5] |= dates | {"name": "Vilniaus ir Šiaulių skyrius"}
    after["vat_codes"][2] |= dates | {"rate": Decimal("11.11")}
    after["purchase_orders"][3] |= {"status": "closed"}
    vendors.append(_vendor(VENDORS) | dates)
    after["vendor_tags"].append({"vendorExternalId": vendor_id(VENDORS), "tagValue": TAGS[0]})
    return after


def misspelt() -> tuple[Record, Record]:
    """One more vendor, whose name somebody has pasted a letter into; and the same with its name as it should be."""
    good = _vendor(VENDORS + 1) | {"externalUpdatedAt": CHANGED}
    return good | {"name": (good["name"] + " – sveiki, mieli partneriai! ").ljust(300, "…")}, good


def write(file: Path, export: Mapping[str, Iterable[Record]], taken: str) -> None:
    """Writes records as Singer messages: every stream with its SCHEMA, and a STATE at the end."""
    lines: list[Record] = []
    for name, records in export.items():
        fields = dict.fromkeys(field for record in records for field in record)
        schema = {"type": "object", "properties": {field: {} for field in fields}}
        lines.append({"type": "SCHEMA", "stream": name, "schema": schema, "key_properties": list(STREAMS[name].key)})
        lines += [{"type": "RECORD", "stream": name, "record": record} for record in records]
    lines.append({"type": "STATE", "value": {"taken_at": taken}})
    file.write_bytes(b"".join(_ENCODER.encode(line) + b"\n" for line in lines))


def read(file: Path) -> Export:
    """The records of a file, every number with its digits."""
    export: Export = {}
    for line in file.read_bytes().splitlines():
        message = _DECODER.decode(line)
        if message["type"] == "RECORD":
            export.setdefault(message["stream"], []).append(message["record"])
    return export


def reasons(rejects: Path) -> Iterator[str]:
    """Why each vendor of a reject file was set aside."""
    for line in rejects.read_bytes().splitlines():
        message = _DECODER.decode(line)
        if message["type"] == "RECORD":
            yield f"  ! {message['record']['externalId']}  {message['rejected']['reason']}"


def correct(rejects: Path, corrected: Path, good: Record) -> None:
    """Does what a person would do in an editor: the rejected vendor gets its right name, all else stays."""
    lines = [_DECODER.decode(line) for line in rejects.read_bytes().splitlines()]
    for line in lines:
        if line["type"] == "RECORD" and line["record"]["externalId"] == good["externalId"]:
            line["record"]["name"] = good["name"]
    corrected.write_bytes(b"".join(_ENCODER.encode(line) + b"\n" for line in lines))


_TERMS = (
    ("7 dager netto", 7, None, None),
    ("21 dager netto", 21, None, None),
    ("45 dienos", 45, None, None),
    ("10 dager, rabatt innen 3", 10, 3, "1.500000000000000001"),
)


def _term(name: str, days: int, discount_days: int | None, discount: str | None) -> Record:
    term: Record = {"name": name, "daysToPay": days, "description": f"Forfall etter {days} dager"}
    return term | ({"discountDays": discount_days, "discountPercentage": discount} if discount else {})


def _account(number: str, name: str) -> Record:
    return _dated(f"GL-{number}", int(number)) | {
        "number": number,
        "name": name,
        "externalData": {"saft": number[:2], "sperret": number.startswith("20")},
    }


def _dimension(kind: str, title: str, number: int, name: str) -> Record:
    kinds = {"type": kind, "typeName": title, "typeExternalId": kind}
    return _dated(f"{kind}-{number}", number) | kinds | {"shortName": str(number), "name": name}


def _vat_code(code: str, rest: str) -> Record:
    description, rate = rest.split("|")
    return _dated(f"SAFT-{code}", len(rest)) | {
        "code": code,
        "description": description,
        "activeStartingAt": "2026-01-01T00:00:00",
        "rate": Decimal(rate),
    }


def vendor_id(number: int) -> str:
    """The ERP's id of a vendor."""
    return f"L-{20001 + number}"


def _vendor(number: int) -> Record:
    is_local = number % 5 != 2
    place = PLACES[number % len(PLACES)] if is_local else TOWNS[number // 5 % len(TOWNS)]
    trade = TRADES[number // len(PLACES)]
    name = f"{place} {trade} AS" if is_local else f"UAB „{FIRMS[number // 5 % len(FIRMS)]} {1 + number // 25}“"
    account = f"{15060000000 + number * 104729}"
    iban = f"NO93{account}" if is_local else f"LT12100001{account}"[:20]
    vendor = _dated(vendor_id(number), number) | {
        "name": name,
        "phone": f"+47 77 {number:02} 31 {99 - number % 50}" if is_local else f"+370 5 2{number:02} 0990",
        "addressStreet": f"Strandgata {number + 1}" if is_local else f"Ąžuolyno g. {number + 1}",
        "addressCity": place,
        "addressPostalCode": f"{6000 + number * 13}" if is_local else f"LT-{44000 + number}",
        "countryCode": "NO" if is_local else "LT",
        "currency": "NOK" if is_local else "EUR",
        "state": "CONFIRMED",
        "confirmedAt": f"2025-11-{1 + number % 28:02}T09:15:00.000Z",
        "taxInfo": {"orgNumber": f"{910000000 + number * 7919}", "is1099vendor": False},
        "defaultPaymentInfo": {
            "bban": account,
            "internationalBankAccount": {"iban": iban, "bic": "FJLYNOKK" if is_local else "FJLYLT2X"},
            "defaultMethod": "BBAN" if is_local else "IBAN",
        },
        "paymentTermName": _TERMS[number % len(_TERMS)][0],
        "vendorGroupName": GROUPS[number % 2] if is_local else GROUPS[2],
        "externalData": {"kreditt": Decimal(f"{12345678901234567 + number}.{number % 100:02}"), "sperret": False},
    }
    return vendor if number == WITHOUT_EMAIL else vendor | {"email": f"faktura{number}@leverandor.example"}


def _order(number: int) -> Record:
    lines = [_line(number, place) for place in range(1, 2 + number % 3 + 1)]
    total = Decimal(0)
    for line in lines:
        total = _EXACT.add(total, Decimal(line["lineItemTotal"]))
    return {
        "externalId": f"BEST-26{number + 1:03}",
        "poNumber": f"26{number + 1:03}",
        "issuedOn": f"2026-01-{2 + number % 3:02}",
        "deliverOn": f"2026-02-{1 + number:02}",
        "currencyId": "NOK",
        "description": f"Bestilling til {PROJECTS[number % len(PROJECTS)]}",
        "vendorExternalId": vendor_id(number * 3),
        "amount": str(total),
        "status": "open",
        "lineItems": lines,
    }


def _line(order: int, number: int) -> Record:
    goods, unit = GOODS[(order + number) % len(GOODS)]
    quantity = Decimal(f"{number + order}.5")
    # The first order's lines have nineteen digits.
    price = Decimal("123456789012345.6789") if order == 0 else Decimal(f"{order * 37 + number}.90")
    return {
        "lineNumber": number,
        "productNumber": f"V-{order:02}{number}",
        "productDescription": goods,
        "unitOfMeasure": unit,
        "quantityRequested": str(quantity),
        "matchingType": "TWO_WAY",
        "unitAmount": str(price),
        "lineItemTotal": str(_EXACT.multiply(quantity, price)),
        "dimensions": [{"externalId": f"PRJ-{2601 + order % len(PROJECTS)}"}],
    }


def _dated(external_id: str, number: int) -> Record:
    when = f"2025-12-{1 + number % 28:02}T{7 + number % 10:02}:{number % 60:02}:07"
    # As many a clock has it: with parts of a second, or without.
    return {"externalId": external_id, "externalUpdatedAt": when if number % 3 else f"{when}.250"}
