"""How a tap writes decimals, and declares them: as numbers, as text, or as text that says that it is a decimal."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from singer_sdk import typing as th

from ap_connectors.core.exact import NotAnAmountError, canonical

SINGER = {"format": "x-singer.decimal", "precision": 38, "scale": 9}
"""What makes a decimal of a text, in Snowflake and PostgreSQL too. Without the two numbers Snowflake has no cents."""
MARK = "x-decimal"
"""The member of a contract's text field that says that it holds decimals; it is not told."""

_OLD = SINGER["format"], None
_is_number = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?").fullmatch
_as_json = msgspec.json.Encoder().encode


def setting(default: str) -> th.Property[str]:
    """Return the setting `decimals`."""
    return th.Property(
        "decimals",
        th.StringType(allowed_values=["number", "text", "singer"]),
        default=default,
        title="Decimals",
        description="How amounts and other decimals are written: as number, as text, or as singer, which is text with "
        "the format x-singer.decimal. target-warehouse makes decimals of all three; other loaders: docs/warehouse.md.",
    )


def declared(schema: Mapping[str, Any], how: str | None) -> dict[str, Any]:
    """Return a stream's schema as the setting wants it.

    Args:
        schema: of the service: decimals are numbers, or text with `MARK`.
        how: the setting; None leaves them as they are.
    """
    properties = schema["properties"].items()
    return {**schema, "properties": {name: _field(field, how) for name, field in properties}}


def _field(field: Mapping[str, Any], how: str | None) -> dict[str, Any]:
    plain = {name: member for name, member in field.items() if name != MARK}
    is_decimal = MARK in field or set(field.get("type", ())) - {"null"} == {"number"}
    return plain | declaration(how) if is_decimal and how else plain


def declaration(how: str | None) -> dict[str, Any]:
    """Return how a field of decimals is declared."""
    if how == "singer":
        return {"type": ["string", "null"], **SINGER}
    return {"type": ["string" if how == "text" else "number", "null"]}


def as_number(raw: bytes) -> bytes:
    """Return a decimal that is text as a number, its digits as they are; anything else as it came."""
    if raw[:1] != b'"':
        return raw
    text = raw[1:-1]
    if _is_number(text):
        return text
    try:
        number = canonical(text.decode()) if text.isascii() else None
    except NotAnAmountError:
        return raw
    return number.encode() if number is not None else raw


def complete(effective: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema with what the SDK drops when it reads one from a catalog: members that it does not know.

    Args:
        effective: the schema as the catalog has it.
        own: the stream's own.
    """
    properties = {}
    for name, field in effective.get("properties", {}).items():
        mine = own["properties"].get(name, {})
        more = {}
        # A catalog of 0.1.0 declares decimals as text without a format.
        same_format = mine.get("format") == field.get("format") or (mine.get("format"), field.get("format")) == _OLD
        if mine.get("type") == field.get("type") and same_format:
            more = {key: member for key, member in mine.items() if key not in field and key != "properties"}
        if field.get("format") == SINGER["format"]:
            more = SINGER | more
        properties[name] = more | field
    return {
        **{key: member for key, member in own.items() if key.startswith("x-")},
        **effective,
        "properties": properties,
    }
