"""Singer messages from the lines of an input: numbers as they were written, and clear words for invalid lines.

A number with a point or an exponent is a `Decimal`, any other an `int`; never a float. A STATE's value stays the bytes
that came. If a member comes twice the last one counts, as JSON parsers do.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

import msgspec

from ap_connectors.core import text_files
from ap_connectors.core.errors import Reject, Stop

_QUOTED = 60
T = TypeVar("T")


class Message(msgspec.Struct, kw_only=True, gc=False):
    """One Singer message. It has what its type requires: a RECORD has a `stream` and a `record`, and so on."""

    type: str
    """SCHEMA, RECORD, STATE or ACTIVATE_VERSION."""
    stream: str | None = None
    record: dict[str, Any] | None = None
    schema: dict[str, Any] | None = None
    key_properties: list[str] | None = None
    value: msgspec.Raw = msgspec.Raw()
    """A STATE's value, the same bytes; empty (and so false) in other messages."""
    version: int | None = None
    rejected: dict[str, Any] | None = None
    """What a reject file says beside a record: `code`, `params`, `reason`, `at` (instant in UTC), `line`. Else None."""


class RawMessage(Message, kw_only=True, gc=False):
    """A message whose record is JSON still: the bytes that came, or nothing where it cannot be decoded."""

    record: msgspec.Raw = msgspec.Raw()  # type: ignore[assignment]
    time_extracted: str | None = None


class Line(msgspec.Struct, gc=False):
    """A line of the input, counted from 1, without the white space around it."""

    number: int
    raw: bytes
    message: Message
    too_deep: bool = False
    """Whether the record is nested too deeply to be read: the message has the fields that are not, null for others."""

    def checked(self, record: T) -> T:
        """Return the record, as the message has it or as something else was made of it.

        Raises:
            Reject: the message has not all of it, as it is nested too deeply.
        """
        if self.too_deep:
            raise too_deep()
        return record


def too_deep() -> Reject:
    """Return the reject of a record that is nested more deeply than programs can read."""
    return Reject("the record is nested too deeply to be read", "nested_too_deeply")


_REQUIRED = {
    "RECORD": ("stream", "record"),
    "SCHEMA": ("stream", "schema"),
    "STATE": ("value",),
    "ACTIVATE_VERSION": ("stream", "version"),
}
_decode = msgspec.json.Decoder(Message, float_hook=Decimal).decode
_decode_raw = msgspec.json.Decoder(RawMessage, float_hook=Decimal).decode


def read(lines: Iterable[bytes], source: str = "the input", *, raw_records: bool = False) -> Iterator[Line]:
    """Yield the messages of the lines, in any encoding that `text_files` knows; empty lines are skipped.

    Args:
        lines: of the input.
        source: what errors call the input.
        raw_records: whether messages are `RawMessage`s.

    Raises:
        Stop: a line is not JSON, or not a Singer message that our targets understand. It quotes up to 60
            characters of what is not JSON, and of a message only its type.
    """
    decode: Callable[[bytes], Message] = _decode_raw if raw_records else _decode
    for number, line in enumerate(text_files.utf8_lines(lines, source), 1):
        raw = line.strip()
        if number == 1:
            raw = raw.removeprefix(codecs.BOM_UTF8).lstrip()
        if not raw:
            continue
        if not raw.isascii():
            _check_text(f"Line {number} of {source}", raw)
        shallow: bytes | None = None
        try:
            message = decode(raw)
        except (msgspec.DecodeError, InvalidOperation, RecursionError) as error:
            if isinstance(error, RecursionError):
                shallow = _shallow(raw)
            message = _read_slowly(f"Line {number} of {source}", shallow or raw)
            if raw_records:
                message = _without_record(message)
        if message.type != "RECORD" or message.stream is None or message.record is None:
            _check(f"Line {number} of {source}", message)
        yield Line(number, raw, message, shallow is not None)


def _check_text(where: str, raw: bytes) -> None:
    # The decoder skips unknown members unread, but they would end up in a reject file.
    try:
        raw.decode()
    except UnicodeDecodeError:
        raise Stop(f"{where} is not UTF-8 text. Singer messages are JSON in UTF-8.") from None


def _check(where: str, message: Message) -> None:
    """Check that a message is of a known type and has what its type requires."""
    kind = message.type
    if kind == "BATCH":
        raise Stop(
            f"{where} is a BATCH message, which names files instead of bringing records. "
            "Switch batch_config off in the tap's settings."
        )
    if kind not in _REQUIRED:
        raise Stop(f"{where} is a message of the unknown type {_quote(kind)}; known are {', '.join(_REQUIRED)}.")
    for name in _REQUIRED[kind]:
        value = getattr(message, name)
        if value is None or (name == "value" and not value):
            raise Stop(f"{where} is of type {kind}, but has no {name!r}; see the Singer specification.")


_PIECES = re.compile(rb'[^"\[\]{}]+|"(?:[^"\\]|\\.)*"|[\[\]{}]|"')


_MOST_LEVELS = 20
"""Levels that are kept of a message that is nested too deeply: no field that a target reads lies deeper."""


def _shallow(raw: bytes) -> bytes | None:
    """Return the JSON of a RECORD with null for what is nested deeply in it; None for any other message."""
    kept, depth = bytearray(), 0
    for piece in _PIECES.findall(raw):
        opens = piece in (b"[", b"{")
        depth += opens
        if depth <= _MOST_LEVELS:
            kept += piece
        elif opens and depth == _MOST_LEVELS + 1:
            kept += b"null"
        depth -= piece in (b"]", b"}")
    try:
        kind = _decode(bytes(kept)).type
    except (msgspec.DecodeError, InvalidOperation):
        return None
    return bytes(kept) if kind == "RECORD" else None


def _read_slowly(where: str, raw: bytes) -> Message:
    """Read a line that msgspec rejects: raise an error that says why, or accept what is valid JSON all the same.

    Valid are a lone surrogate, and a number of any size, which becomes text. The record's schema will reject these: one
    such record must not end a run.
    """
    try:
        plain = json.loads(
            raw.decode(), parse_float=_or_text(Decimal), parse_int=_or_text(int), parse_constant=_not_json
        )
    except RecursionError:
        raise Stop(f"{where} is nested too deeply to be read.") from None
    except json.JSONDecodeError as error:
        raise Stop(_syntax_error(where, error)) from None
    except ValueError as error:
        raise Stop(f"{where} holds {error}, which is neither JSON nor a number; let the tap leave null.") from None
    try:
        message = msgspec.convert({**plain, "value": None} if isinstance(plain, dict) else plain, _AnyValue)
    except msgspec.ValidationError as error:
        raise Stop(
            f"{where} is JSON, but not a Singer message: {error}. Is something else mixed into the tap's output?"
        ) from None
    if message.type == "STATE" and "value" in plain:
        raise Stop(f"{where} is a STATE message with half a character in it (a lone surrogate).")
    return Message(**{name: getattr(message, name) for name in _AnyValue.__struct_fields__ if name != "value"})


def _without_record(message: Message) -> RawMessage:
    names = [name for name in Message.__struct_fields__ if name != "record"]
    return RawMessage(**{name: getattr(message, name) for name in names})


class _AnyValue(Message):
    """A message whose value can be anything."""

    value: Any = None


def _or_text(make: Callable[[str], Any]) -> Callable[[str], Any]:
    def number(digits: str) -> Any:
        try:
            return make(digits)
        except (ValueError, InvalidOperation):
            return digits

    return number


def _not_json(name: str) -> Any:
    raise ValueError(name)


def _syntax_error(where: str, error: json.JSONDecodeError) -> str:
    text = error.doc
    if text[0] == "{" and error.msg == "Extra data":
        return f"{where} goes on after the end of its JSON, at column {error.colno}: do two writers share the output?"
    if text[0] == "{" and (error.pos >= len(text) or error.msg.startswith("Unterminated string")):
        return f"{where} ends in the middle of a message: did the tap break off? See its own messages."
    return (
        f"{where} is not JSON at column {error.colno}: {_quote(text)}. "
        "Is the tap's log mixed into its output? A list is named: --input FILE.csv."
    )


def _quote(text: str) -> str:
    return repr(text if len(text) <= _QUOTED else text[: _QUOTED - 1] + "…")
