"""Fields of documents and lines, as text and as exact numbers."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Any

from ap_connectors.core.errors import Reject
from ap_connectors.singer.coercion import CoercionError, check_encodable, digits, quoted, reader

Fields = Mapping[str, Any]
"""A document, or one of its lines: decoded JSON, numbers int or Decimal."""

# A number has at most a thousand digits on either side of the point, so a million of them add up exactly.
EXACT = Context(prec=2100, traps=[Inexact, InvalidOperation])

_number = reader("number", {})


def text(fields: Fields, name: str) -> str | None:
    """Return a field as the text that it is; None if it is null, absent or blank.

    Raises:
        Reject: it is neither text nor a number, or holds what no file can.
    """
    value = fields.get(name)
    try:
        if type(value) is str:
            if not value.isascii():
                check_encodable(value)
            return value if value.strip() else None
        if isinstance(value, int | Decimal) and not isinstance(value, bool):
            value = digits(value)
    except CoercionError as misfit:
        raise Reject(f"{name} {misfit.words}.") from None
    if value is not None and not isinstance(value, str):
        raise Reject(f"{name} is not text: {quoted(value)}.")
    return value


def code(fields: Fields, name: str) -> str | None:
    """Return a field as text without white space around it, for codes are looked up and compared.

    Raises:
        Reject: it is neither text nor a number.
    """
    value = text(fields, name)
    return None if value is None else value.strip()


def needed(fields: Fields, name: str) -> str:
    """Return a code.

    Raises:
        Reject: there is none.
    """
    value = code(fields, name)
    if value is None:
        raise Reject(f"{name} is missing.")
    return value


def shown(document: Fields) -> str:
    """Return how a message calls a document, on one line: its number, else its id."""
    return one_line(document.get("docnum") or document.get("id") or "without number and id")


def one_line(value: Any) -> str:
    """Return any value as text for a message, on one line and without what no file can hold."""
    return " ".join(str(value).split()).encode(errors="replace").decode()


def amount(fields: Fields, name: str, where: str = "") -> Decimal | None:
    """Return a number, exactly, from a number or from decimal text; None if it is null, absent or empty text.

    Args:
        fields: where it is a member.
        name: its name.
        where: what stands before the name in a message ("line 2: ").

    Raises:
        Reject: it is no number.
    """
    value = fields.get(name)
    if value is None or value == "":
        return None
    try:
        return Decimal(_number(value))
    except CoercionError as misfit:
        raise Reject(f"{where}{name} {misfit.words}.") from None


def plain(number: Decimal) -> str:
    """Return all digits of a number, without an exponent."""
    return format(number, "f")
