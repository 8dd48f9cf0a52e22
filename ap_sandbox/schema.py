"""The JSON Schema of queue answers, served at `/ivesk/api/schema/jsonexport.json`."""

from __future__ import annotations

from typing import Any

_TEXT = {"type": ["string", "null"]}
_AMOUNT = {"type": ["number", "null"]}
_FLAG = {"type": ["boolean", "null"]}
_DATE = {"type": ["string", "null"], "format": "date"}
_INSTANT = {"type": "string", "format": "date-time"}

_LINE: dict[str, Any] = {
    **dict.fromkeys(("lineid", "code", "name", "unit", "vatclass", "warehouse", "object"), _TEXT),
    **dict.fromkeys(("quantity", "price", "subtotal", "vat", "vatpercent", "total"), _AMOUNT),
}
_DOCUMENT: dict[str, Any] = {
    "id": {"type": "string"},
    **dict.fromkeys(("date", "operationdate", "duedate"), _DATE),
    "paymentterm": {"type": ["integer", "null"]},
    **dict.fromkeys(("docnum", "ordernum", "doctype", "currency", "url", "filename"), _TEXT),
    **dict.fromkeys(("subtotal", "vat", "total", "currencyrate"), _AMOUNT),
    **dict.fromkeys(("report2isaf", "separatevat", "hasreceipt"), _FLAG),
    **{
        f"{side}{part}": _TEXT
        for side in ("seller", "buyer")
        for part in ("id", "code", "vat", "name", "nameascii", "address", "country")
    },
    "selleriban": _TEXT,
    **{f"{side}{part}": _FLAG for side in ("seller", "buyer") for part in ("isperson", "isfavorite")},
    "lines": {"type": "array", "items": {"type": "object", "properties": _LINE}},
    "userdata": {"type": ["string", "object", "null"]},
    "sourcedata": {"type": ["string", "object", "null"]},
    "digitizedat": _INSTANT,
    "exportedat": _INSTANT,
}
SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Documents of a queue",
    "type": "object",
    "required": ["documents"],
    "properties": {
        "$schema": {"type": "string"},
        "documents": {"type": "array", "items": {"type": "object", "required": ["id"], "properties": _DOCUMENT}},
        "next": _INSTANT,
    },
}
