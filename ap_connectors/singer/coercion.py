"""How one value is taken: what JSON brought, turned into what a schema declares, exactly, or refused in clear words.

A reader is made once from a schema and takes a value that is not null. Numbers come as int and Decimal, never as float.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

import msgspec

from ap_connectors.core import instants

Reader = Callable[[Any], Any]

_PLAIN = re.compile(r"-?[0-9]+(?:\.[0-9]+)?").fullmatch
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}").fullmatch
_MIDNIGHT = re.compile(r"([0-9-]{10})[T ]00:00(?::00(?:[.,]0+)?)?\s*(?:Z|z|[+-]\d\d:?(?:\d\d)?)?").fullmatch
# Beyond this many digits a number is a mistake or an attack: 1e999999999 would fill the memory as text.
_MOST_DIGITS = 1000
_MOST_BITS = 3322  # as many digits
_QUOTED = 60
_as_json = msgspec.json.Encoder().encode


class CoercionError(Exception):
    """A value does not fit its schema. On its way up, every list and object adds where it stands.

    Args:
        words: what is wrong, to follow the field's name: "is not a number: '12,50'".
    """

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words
        self._steps: list[str | int] = []

    def within(self, step: str | int) -> CoercionError:
        """Say which member, or which element, of the thing around it the value is."""
        self._steps.append(step)
        return self

    def sentence(self, path: str = "") -> str:
        """Return "lineItems[2].amount is not a number: '12,50'"."""
        for step in reversed(self._steps):
            path = f"{path}[{step}]" if isinstance(step, int) else joined(path, step)
        return f"{path or 'The value'} {self.words}"


def joined(path: str, name: str) -> str:
    """Return the path of a member."""
    return f"{path}.{name}" if path else name


def quoted(value: Any) -> str:
    """Return a value as a message shows it: short, on one line."""
    if isinstance(value, str):
        return repr(value) if len(value) <= _QUOTED else f"{value[:_QUOTED]!r}…"
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        text = digits(value)
        return text if len(text) <= _QUOTED else f"{text[:_QUOTED]}…"
    names: dict[type, str] = {dict: "an object", list: "a list", bool: str(value).lower(), type(None): "null"}
    return names.get(type(value), f"a {type(value).__name__}")


def digits(value: int | Decimal) -> str:
    """Return a number's digits, all of them, without an exponent."""
    _check_size(value)
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _check_size(value: int | Decimal) -> None:
    if isinstance(value, int):
        fits = value.bit_length() <= _MOST_BITS
    else:
        exponent = value.as_tuple().exponent
        fits = isinstance(exponent, int) and max(abs(exponent), abs(value.adjusted())) <= _MOST_DIGITS
    if not fits:
        raise CoercionError(f"is no number, or one of more than {_MOST_DIGITS} digits")


def reader(kind: str, schema: Mapping[str, Any]) -> Reader:
    """Return the reader of a kind: a JSON type other than object with members or array, or a format.

    Args:
        kind: a key of `NATURAL`.
        schema: where `maxLength` and `minimum` are looked up.
    """
    return _READERS[kind](schema)


def _text(schema: Mapping[str, Any], check: Callable[[str], str] | None = None) -> Reader:
    most = schema.get("maxLength", sys.maxsize)

    def read(value: Any) -> str:
        if type(value) is not str:
            if type(value) is not int and type(value) is not Decimal:
                raise CoercionError(f"is not text: {quoted(value)}")
            value = digits(value)
        if len(value) > most:
            raise CoercionError(f"is longer than {most} characters ({len(value)})")
        if not value.isascii():
            check_encodable(value)
        return value if check is None else check(value)

    return read


def check_encodable(value: Any) -> None:
    """Raise Misfit if JSON can't carry a value, or a name in it."""
    try:
        _as_json(value)
    except UnicodeEncodeError:
        raise CoercionError("holds half a character (a lone surrogate), which JSON can't carry") from None


def _checked_text(check: Callable[[str], str]) -> Callable[[Mapping[str, Any]], Reader]:
    return lambda schema: _text(schema, check)


def _no_number(value: Any) -> CoercionError:
    return CoercionError(
        f"is not a number: {quoted(value)} (write it like 1234.50, with a point and without an exponent)"
    )


def _decimal_text(schema: Mapping[str, Any]) -> Reader:
    check = _at_least(schema)

    def read(value: Any) -> str:
        if type(value) is str:
            if not _PLAIN(value):
                raise _no_number(value)
        elif type(value) is int or type(value) is Decimal:
            value = digits(value)
        else:
            raise _no_number(value)
        if check is not None:
            check(Decimal(value))
        return str(value)

    return read


def _number(schema: Mapping[str, Any]) -> Reader:
    check = _at_least(schema)

    def read(value: Any) -> int | Decimal:
        number = _as_number(value)
        if check is not None:
            check(number)
        return number

    return read


def _as_number(value: Any) -> int | Decimal:
    if type(value) is str:
        if not _PLAIN(value):
            raise _no_number(value)
        value = Decimal(value)
    if type(value) is Decimal or type(value) is int:
        _check_size(value)
        return value
    raise _no_number(value)


def _integer(schema: Mapping[str, Any]) -> Reader:
    check = _at_least(schema)

    def read(value: Any) -> int:
        number = _as_number(value)
        if type(number) is Decimal and number != number.to_integral_value():
            raise CoercionError(f"is not a whole number: {quoted(value)}")
        whole = int(number)
        if check is not None:
            check(whole)
        return whole

    return read


def _at_least(schema: Mapping[str, Any]) -> Callable[[int | Decimal], None] | None:
    if (least := schema.get("minimum")) is None:
        return None

    def check(number: int | Decimal) -> None:
        if number < least:
            raise CoercionError(f"is less than {least}: {quoted(number)}")

    return check


def _boolean(_schema: Mapping[str, Any]) -> Reader:
    def read(value: Any) -> bool:
        if type(value) is bool:
            return value
        found = {"true": True, "false": False}.get(value.lower()) if type(value) is str else None
        if found is None:
            raise CoercionError(f"is neither true nor false: {quoted(value)}")
        return found

    return read


@lru_cache(maxsize=8192)
def _date(value: str) -> str:
    midnight = _MIDNIGHT(value)
    day = midnight[1] if midnight else value
    try:
        # Ten characters of an instant are a date and nothing else.
        if len(day) != 10 or not day.isascii():
            raise ValueError  # noqa: TRY301
        instants.milliseconds(value)
    except ValueError:
        raise CoercionError(f"is not a date such as 2026-01-31: {quoted(value)}") from None
    return day


@lru_cache(maxsize=8192)
def _date_time(value: str) -> str:
    try:
        if not value.isascii():
            raise ValueError  # noqa: TRY301
        instants.milliseconds(value)
    except ValueError:
        raise CoercionError(f"is not a time such as 2026-01-31T10:11:12: {quoted(value)}") from None
    return value


def _uuid(value: str) -> str:
    if not _UUID(value):
        raise CoercionError(f"is not a UUID: {quoted(value)}")
    return value


def _written_as_text(check: Callable[[str], str], what: str) -> Callable[[Mapping[str, Any]], Reader]:
    def make(_schema: Mapping[str, Any]) -> Reader:
        def read(value: Any) -> str:
            if type(value) is not str:
                raise CoercionError(f"is not {what}: {quoted(value)}")
            return check(value)

        return read

    return make


def _free(_schema: Mapping[str, Any]) -> Reader:
    def read(value: Any) -> Any:
        check_encodable(value)
        return value

    return read


def _free_object(_schema: Mapping[str, Any]) -> Reader:
    def read(value: Any) -> Any:
        if type(value) is not dict:
            raise CoercionError(f"is not an object: {quoted(value)}")
        check_encodable(value)
        return value

    return read


_READERS: dict[str, Callable[[Mapping[str, Any]], Reader]] = {
    "string": _text,
    "decimal": _decimal_text,
    "number": _number,
    "integer": _integer,
    "boolean": _boolean,
    "date": _written_as_text(_date, "a date such as 2026-01-31"),
    "date-time": _written_as_text(_date_time, "a time such as 2026-01-31T10:11:12"),
    "uuid": _checked_text(_uuid),
    "object": _free_object,
    "any": _free,
}
NATURAL: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "decimal": (str, int, Decimal),
    "number": (int, Decimal),
    "integer": (int,),
    "boolean": (bool,),
    "date": (str,),
    "date-time": (str,),
    "uuid": (str,),
    "object": (dict,),
    "any": (str, int, Decimal, bool, dict, list),
}
"""The JSON values that are of a kind already, before any conversion."""
