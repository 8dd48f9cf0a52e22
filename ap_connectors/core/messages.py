"""Singer messages from the lines of an input: every number as it was written, and clear words for what is none.

A number with a point or an exponent is a `Decimal`, any other an `int`; never a float. A STATE's value stays the bytes
that came. Of members that come twice the last one counts, as everywhere with JSON.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from ap_connectors.core.errors import Stop

_QUOTED = 60


class Message(msgspec.Struct, kw_only=True, gc=False):
    """One Singer message. What its type demands is there: a RECORD has a `stream` and a `record`, and so on."""

    type: str
    """SCHEMA, RECORD, STATE or ACTIVATE_VERSION."""
    stream: str | None = None
    record: dict[str, Any] | None = None
    schema: dict[str, Any] | None = None
    key_properties: list[str] | None = None
    value: msgspec.Raw = msgspec.Raw()
    """A STATE's value, the very bytes; empty (and so false) in other messages, which have none."""
    version: int | None = None
    rejected: dict[str, Any] | None = None
    """What our reject files say beside a record: `reason`, `at` (instant in UTC), `line`. Else None."""


class Line(msgspec.Struct, gc=False):
    """A line of the input, counted from 1, without the white space around it."""

    number: int
    raw: bytes
    message: Message


_DEMANDED = {
    "RECORD": ("stream", "record"),
    "SCHEMA": ("stream", "schema"),
    "STATE": ("value",),
    "ACTIVATE_VERSION": ("stream", "version"),
}
_decode = msgspec.json.Decoder(Message, float_hook=Decimal).decode


def read(lines: Iterable[bytes]) -> Iterator[Line]:
    """Yield the messages of the lines; empty lines are skipped.

    Raises:
        Stop: a line is not JSON in UTF-8, or no Singer message that a target of ours understands. It quotes up to 60
            characters of what is not JSON, and of a message nothing but its type.
    """
    for number, line in enumerate(lines, 1):
        raw = line.strip()
        if number == 1:
            raw = raw.removeprefix(codecs.BOM_UTF8).lstrip()
        if not raw:
            continue
        if not raw.isascii():
            _check_text(number, raw)
        try:
            message = _decode(raw)
        except (msgspec.DecodeError, InvalidOperation, RecursionError):
            message = _read_slowly(number, raw)
        if message.type != "RECORD" or message.stream is None or message.record is None:
            _check(number, message)
        yield Line(number, raw, message)


def _check_text(number: int, raw: bytes) -> None:
    # Members that nobody asked for are passed over unread, and would end up in a reject file as they are.
    try:
        raw.decode()
    except UnicodeDecodeError:
        hint = ", but looks like UTF-16" if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else ""
        raise Stop(f"Line {number} of the input is not UTF-8 text{hint}. Singer messages are JSON in UTF-8.") from None


def _check(number: int, message: Message) -> None:
    """Look whether a message is of a known type and has what its type demands."""
    kind = message.type
    if kind == "BATCH":
        raise Stop(
            f"Line {number} of the input is a BATCH message, which names files instead of bringing records. "
            "Switch batch_config off in the tap's settings."
        )
    if kind not in _DEMANDED:
        raise Stop(
            f"Line {number} of the input is a message of the unknown type {_quote(kind)}; "
            f"known are {', '.join(_DEMANDED)}."
        )
    for name in _DEMANDED[kind]:
        value = getattr(message, name)
        if value is None or (name == "value" and not value):
            raise Stop(
                f"Line {number} of the input is of type {kind}, but has no {name!r}; see the Singer specification."
            )


def _read_slowly(number: int, raw: bytes) -> Message:
    """Read a line that msgspec does not take: say why, or read what is legal JSON all the same.

    Legal are half of a surrogate pair, and numbers beyond any measure, which become text; let whoever takes the
    record's fields judge these. One such record is no reason to end a run.
    """
    try:
        plain = json.loads(
            raw.decode(), parse_float=_or_text(Decimal), parse_int=_or_text(int), parse_constant=_no_json
        )
    except RecursionError:
        raise Stop(f"Line {number} of the input is nested too deeply to be read.") from None
    except json.JSONDecodeError as error:
        raise Stop(_not_json(number, error)) from None
    except ValueError as error:
        raise Stop(
            f"Line {number} of the input holds {error}, which is neither JSON nor a number; let the tap leave null."
        ) from None
    try:
        message = msgspec.convert({**plain, "value": None} if isinstance(plain, dict) else plain, _Unstated)
    except msgspec.ValidationError as error:
        raise Stop(
            f"Line {number} of the input is JSON, but no Singer message: {error}. "
            "Is something else mixed into the tap's output?"
        ) from None
    if message.type == "STATE" and "value" in plain:
        raise Stop(f"Line {number} of the input is a STATE message with half a character in it (a lone surrogate).")
    return Message(**{name: getattr(message, name) for name in _Unstated.__struct_fields__ if name != "value"})


class _Unstated(Message):
    """A message of which everything but a STATE's value is of interest."""

    value: Any = None


def _or_text(make: Callable[[str], Any]) -> Callable[[str], Any]:
    def number(digits: str) -> Any:
        try:
            return make(digits)
        except (ValueError, InvalidOperation):
            return digits

    return number


def _no_json(name: str) -> Any:
    raise ValueError(name)


def _not_json(number: int, error: json.JSONDecodeError) -> str:
    text, line = error.doc, f"Line {number} of the input"
    if text[0] == "{" and error.msg == "Extra data":
        return f"{line} goes on after the end of its JSON, at column {error.colno}: do two writers share the output?"
    if text[0] == "{" and (error.pos >= len(text) or error.msg.startswith("Unterminated string")):
        return f"{line} ends in the middle of a message: did the tap break off? See its own messages."
    return (
        f"{line} is not JSON at column {error.colno}: {_quote(text)}. "
        "Is the tap's log mixed into its output? It belongs on standard error."
    )


def _quote(text: str) -> str:
    return repr(text if len(text) <= _QUOTED else text[: _QUOTED - 1] + "…")
