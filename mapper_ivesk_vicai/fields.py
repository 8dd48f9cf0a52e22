"""Fields of a document or of a line: text as it is, numbers exact; and when it was issued, is due, and was exported."""

from __future__ import annotations

import datetime
from collections.abc import Container
from decimal import Decimal
from typing import Any

import msgspec

from ap_connectors.core import instants
from ap_connectors.core.errors import Reject
from ap_connectors.core.raw_json import JsonObject
from ap_connectors.singer.coercion import CoercionError, quoted, reader

_as_json = msgspec.json.Encoder().encode
_VOID: tuple[Any, ...] = ("", [], {})
_text, _number = reader("string", {}), reader("number", {})


def text(fields: JsonObject, name: str, line: int | None = None) -> str | None:
    """Return a field as the text that it is; None if it is null, absent or blank.

    Args:
        fields: where it is a member: a document or one of its lines.
        name: its name.
        line: number of the line, from 1; None for a field of the document.

    Raises:
        Reject: it is neither text nor a number, or contains half a character.
    """
    value = fields.get(name)
    if value is None:
        return None
    if type(value) is not str or not value.isascii():  # else it is as it should be
        try:
            value = _text(value)
        except CoercionError as error:
            raise _reject(error, name, line) from None
    return value if value.strip() else None


def code(fields: JsonObject, name: str, line: int | None = None) -> str | None:
    """Return a field as text without white space around it, because codes are looked up and compared.

    Raises:
        Reject: it is neither text nor a number.
    """
    value = text(fields, name, line)
    return None if value is None else value.strip()


def amount(fields: JsonObject, name: str, line: int | None = None) -> Decimal | None:
    """Return a number, exactly, from a number or from decimal text; None if it is null, absent or empty text.

    Raises:
        Reject: it is not a number.
    """
    value = fields.get(name)
    if value is None or value == "":
        return None
    try:
        return Decimal(_number(value))
    except CoercionError as error:
        raise _reject(error, name, line) from None


def number_or_words(fields: JsonObject, name: str) -> Decimal | None:
    """Return a number, exactly; None also for words in its place ("30 d."), which no amount hangs on."""
    try:
        return amount(fields, name)
    except Reject:
        return None


def _reject(error: CoercionError, name: str, line: int | None) -> Reject:
    where = "" if line is None else f"line {line}: "
    return Reject(f"{where}{name} {error.words}.", error.code, field=path(name, line), **error.params)


def path(name: str, line: int | None = None) -> str:
    """Return how programs call a field: "total", and "lines[1].total" in the second line."""
    return name if line is None else f"lines[{line - 1}].{name}"


def plain(number: Decimal) -> str:
    """Return all digits of a number, without an exponent."""
    return format(number, "f")


def shown(document: JsonObject) -> str:
    """Return how a message calls a document, on one line: its number, else its id."""
    return one_line(document.get("docnum") or document.get("id") or "without number and id")


def shown_value(value: Any) -> str:
    """Return how a message shows a value that is not what it should be."""
    try:
        return quoted(value)
    except CoercionError:
        return "a number of too many digits"


def one_line(value: Any) -> str:
    """Return any value as text for a message, on one line and without half characters."""
    return " ".join(str(value).split()).encode(errors="replace").decode()


def missing(name: str) -> Reject:
    """Return the reason of a document that lacks a field."""
    return Reject(f"{name} is missing.", "missing_field", fields=[name])


def given(**members: Any) -> JsonObject:
    """Return the members that are not None."""
    return {name: value for name, value in members.items() if value is not None}


def further(fields: JsonObject, placed: Container[str]) -> JsonObject:
    """Return the fields that say something and are not `placed`; numbers as text, so that no reader rounds them."""
    given = {name: value for name, value in fields.items() if value is not None and name not in placed}
    return {
        name: value if type(value) is str else _as_text(value) for name, value in given.items() if value not in _VOID
    }


def as_words(value: Any) -> str | None:
    """Return any value as one text; None if it says nothing."""
    if value is None or value in _VOID:
        return None
    worded = _as_text(value)
    return worded if isinstance(worded, str) else _as_json(worded).decode()


def _as_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _as_text(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_as_text(element) for element in value]
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return plain(Decimal(value))
    return value


def check_due(issued: str | None, due: str | None) -> None:
    """Check that an invoice is not due before it was issued: one of the dates is misread, and is paid by or booked by.

    Raises:
        Reject: it is.
    """
    first, second = _date(issued), _date(due)
    if first is not None and second is not None and second < first:
        raise Reject(
            f"It is due on {due}, before the day it was issued ({issued}): correct one of the dates.",
            "due_before_date",
            due=due,
            date=issued,
        )


def _date(stated: str | None) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat((stated or "")[:10])
    except ValueError:
        return None  # what is wrong with it is told where it is written


def exported(document: JsonObject) -> str:
    """Return when ivesk last changed the document: UTC, and without a zone, as Vic.ai wants an ERP's own time.

    Raises:
        Reject: it does not say.
    """
    stated = code(document, "exportedat") or code(document, "digitizedat")
    if stated is None:
        raise Reject("exportedat is missing (and digitizedat).", "missing_field", fields=["exportedat"])
    try:
        moment = instants.milliseconds(stated)
        written = stated[:-1] if stated.endswith("Z") else instants.LOCAL.text(moment)
        if instants.LOCAL.milliseconds(written) != moment:
            raise ValueError  # noqa: TRY301 - in UTC it is before 1970, or after 9999
    except ValueError:
        raise Reject(
            f"exportedat is not a time such as 2026-01-31T10:11:12.000Z: {quoted(stated)}.",
            "not_a_time",
            field="exportedat",
            value=quoted(stated),
        ) from None
    return written


def stated_export(document: JsonObject) -> str | None:
    """Return what the document says of when it was exported, or else digitised: it tells its states apart."""
    stated = (document.get(name) for name in ("exportedat", "digitizedat"))
    return next((one for one in stated if isinstance(one, str) and one.strip()), None)


def payment_days(document: JsonObject, *, least: int) -> int | None:
    """Return the term in days; None if it is not a whole number of at least `least`. The due date says it as well."""
    days = number_or_words(document, "paymentterm")
    return int(days) if days is not None and days == days.to_integral_value() and days >= least else None
