"""Coercion of one value: JSON to what a schema declares, exactly, or an error in clear words.

A reader is made once from a schema and coerces values that are not null. Numbers are int and Decimal, never float.
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
from ap_connectors.core.errors import Reject
from ap_connectors.core.validate import id_text

Reader = Callable[[Any], Any]

_PLAIN = re.compile(r"-?[0-9]+(?:\.[0-9]+)?").fullmatch
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}").fullmatch
_MIDNIGHT = re.compile(r"([0-9-]{10})[T ]00:00(?::00(?:[.,]0+)?)?\s*(?:Z|z|[+-]\d\d:?(?:\d\d)?)?").fullmatch
_WITH_CLOCK = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}").match
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}").fullmatch
# Beyond this many digits a number is a mistake or an attack: 1e999999999 would fill the memory as text.
_MOST_DIGITS = 1000
_MOST_BITS = 3322  # as many digits
_MOST_LEVELS = 100
_QUOTED = 60
_as_json = msgspec.json.Encoder().encode


class CoercionError(Exception):
    """A value does not fit its schema. On its way up, every list and object adds where it is.

    Args:
        words: what is wrong, to follow the field's path: "is not a number: '12,50'".
        code: the same for programs (see `core.reject_codes`).
        params: what the words name.
    """

    def __init__(self, words: str, code: str, **params: Any) -> None:
        super().__init__(words)
        self.words, self.code, self.params = words, code, params
        self._steps: list[str | int] = []

    def within(self, step: str | int) -> CoercionError:
        """Add which member, or which element, of the value around it the value is."""
        self._steps.append(step)
        return self

    def reject(self, path: str = "") -> Reject:
        """Return the reject of a record: "lineItems[2].amount is not a number: '12,50'".

        Args:
            path: of the coerced value.
        """
        for step in reversed(self._steps):
            path = f"{path}[{step}]" if isinstance(step, int) else joined(path, step)
        place = {"fields": [path]} if self.code == "missing_field" else {"field": path}
        return Reject(f"{path or 'The value'} {self.words}", self.code, **place, **self.params)


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
        words = f"is not a finite number of at most {_MOST_DIGITS} digits"
        raise CoercionError(words, "too_many_digits", most=_MOST_DIGITS)


def reader(kind: str, schema: Mapping[str, Any]) -> Reader:
    """Return the reader of a kind: a JSON type other than object with members or array, or a format.

    Args:
        kind: a key of `NATURAL`.
        schema: where `maxLength`, `minimum` and `maximum` are looked up.
    """
    return _READERS[kind](schema)


def _text(schema: Mapping[str, Any], check: Callable[[str], str] | None = None) -> Reader:
    most = schema.get("maxLength", sys.maxsize)

    def read(value: Any) -> str:
        if type(value) is not str:
            if type(value) is not int and type(value) is not Decimal:
                raise CoercionError(f"is not text: {quoted(value)}", "not_text", value=quoted(value))
            value = digits(value)
        if len(value) > most:
            words = f"is longer than {most} characters ({len(value)})"
            raise CoercionError(words, "too_long", most=most, length=len(value), value=quoted(value))
        if not value.isascii():
            check_encodable(value)
        return value if check is None else check(value)

    return read


def check_encodable(value: Any) -> None:
    """Raise CoercionError if JSON can't carry a value, or a name in it."""
    try:
        _as_json(value)
    except UnicodeEncodeError:
        words = "holds half a character (a lone surrogate), which JSON can't carry"
        raise CoercionError(words, "half_a_character") from None


def _check_depth(value: Any) -> None:
    """Raise CoercionError if a value is nested too deeply to be compared."""
    level = [value]
    for _ in range(_MOST_LEVELS):
        inside = (one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list))
        if not (level := [child for children in inside for child in children]):
            return
    raise CoercionError(f"is nested in more than {_MOST_LEVELS} levels", "nested_too_deeply")


def _checked_text(check: Callable[[str], str]) -> Callable[[Mapping[str, Any]], Reader]:
    return lambda schema: _text(schema, check)


def _not_a_number(value: Any) -> CoercionError:
    words = f"is not a number: {quoted(value)} (write it like 1234.50, with a point and without an exponent)"
    return CoercionError(words, "not_a_number", value=quoted(value))


def _decimal_text(schema: Mapping[str, Any]) -> Reader:
    check = _within(schema)

    def read(value: Any) -> str:
        if type(value) is str:
            if not _PLAIN(value):
                raise _not_a_number(value)
        elif type(value) is int or type(value) is Decimal:
            value = digits(value)
        else:
            raise _not_a_number(value)
        if check is not None:
            check(Decimal(value))
        return str(value)

    return read


def _number(schema: Mapping[str, Any]) -> Reader:
    check = _within(schema)

    def read(value: Any) -> int | Decimal:
        number = _as_number(value)
        if check is not None:
            check(number)
        return number

    return read


def _as_number(value: Any) -> int | Decimal:
    if type(value) is str:
        if not _PLAIN(value):
            raise _not_a_number(value)
        value = Decimal(value)
    if type(value) is Decimal or type(value) is int:
        _check_size(value)
        return value
    raise _not_a_number(value)


def _integer(schema: Mapping[str, Any]) -> Reader:
    check = _within(schema)

    def read(value: Any) -> int:
        number = _as_number(value)
        if type(number) is Decimal and number != number.to_integral_value():
            words = f"is not a whole number: {quoted(value)}"
            raise CoercionError(words, "not_a_whole_number", value=quoted(value))
        whole = int(number)
        if check is not None:
            check(whole)
        return whole

    return read


def _within(schema: Mapping[str, Any]) -> Callable[[int | Decimal], None] | None:
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is None and most is None:
        return None

    def check(number: int | Decimal) -> None:
        if least is not None and number < least:
            words = f"is less than {least}: {quoted(number)}"
            raise CoercionError(words, "too_small", least=str(least), value=quoted(number))
        if most is not None and number > most:
            words = f"is more than {most}: {quoted(number)}"
            raise CoercionError(words, "too_large", most=str(most), value=quoted(number))

    return check


def _boolean(_schema: Mapping[str, Any]) -> Reader:
    def read(value: Any) -> bool:
        if type(value) is bool:
            return value
        found = {"true": True, "false": False}.get(value.lower()) if type(value) is str else None
        if found is None:
            words = f"is neither true nor false: {quoted(value)}"
            raise CoercionError(words, "not_true_or_false", value=quoted(value))
        return found

    return read


def _not_a_date(value: Any) -> CoercionError:
    return CoercionError(f"is not a date such as 2026-01-31: {quoted(value)}", "not_a_date", value=quoted(value))


def _not_a_time(value: Any) -> CoercionError:
    words = f"is not a time such as 2026-01-31T10:11:12: {quoted(value)}"
    if isinstance(value, str) and _DAY(value):
        words = f"has no time of day: {quoted(value)} (write it like {value}T00:00:00)"
    return CoercionError(words, "not_a_time", value=quoted(value))


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
        raise _not_a_date(value) from None
    return day


def _date_time(value: str) -> str:
    return value if instants.is_usual(value) else _odd_date_time(value)


@lru_cache(maxsize=8192)
def _odd_date_time(value: str) -> str:
    try:
        # A day alone, or hours and minutes, are read as a time here, but refused by services.
        if not value.isascii() or not _WITH_CLOCK(value):
            raise ValueError  # noqa: TRY301
        instants.milliseconds(value)
    except ValueError:
        raise _not_a_time(value) from None
    return value


def _uuid(value: str) -> str:
    """Return a UUID as Vic.ai writes it: databases pad theirs, and some (SQL Server) write capitals."""
    meant = id_text(value)
    if not _UUID(meant):
        raise CoercionError(f"is not a UUID: {quoted(value)}", "not_a_uuid", value=quoted(value))
    return meant.lower()


def _in_text(
    check: Callable[[str], str], error: Callable[[Any], CoercionError]
) -> Callable[[Mapping[str, Any]], Reader]:
    def make(_schema: Mapping[str, Any]) -> Reader:
        def read(value: Any) -> str:
            if type(value) is not str:
                raise error(value)
            return check(value)

        return read

    return make


def _free(_schema: Mapping[str, Any]) -> Reader:
    def read(value: Any) -> Any:
        _check_depth(value)
        check_encodable(value)
        return value

    return read


def not_an_object(value: Any) -> CoercionError:
    """Return the error of a value that should be an object."""
    return CoercionError(f"is not an object: {quoted(value)}", "not_an_object", value=quoted(value))


def _free_object(_schema: Mapping[str, Any]) -> Reader:
    def read(value: Any) -> Any:
        if type(value) is not dict:
            raise not_an_object(value)
        _check_depth(value)
        check_encodable(value)
        return value

    return read


_READERS: dict[str, Callable[[Mapping[str, Any]], Reader]] = {
    "string": _text,
    "decimal": _decimal_text,
    "number": _number,
    "integer": _integer,
    "boolean": _boolean,
    "date": _in_text(_date, _not_a_date),
    "date-time": _in_text(_date_time, _not_a_time),
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
