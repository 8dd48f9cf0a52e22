"""Lines of Singer messages, read for what they say of records: numbers with all their digits."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from ap_connectors.core.errors import Stop


class Message(msgspec.Struct, gc=False):
    """What matters here of a message; a RECORD has a `stream` and a `record`."""

    type: str
    stream: str | None = None
    record: dict[str, Any] | None = None
    rejected: dict[str, Any] | None = None
    """What a reject file says beside a record: `reason`, among others."""


_decode = msgspec.json.Decoder(Message, float_hook=Decimal).decode


def records(name: str, lines: Iterable[bytes]) -> Iterator[tuple[int, str, dict[str, Any], dict[str, Any] | None]]:
    """Yield the records of an input: number of the line from 1, stream, record, what a reject file says beside it.

    Args:
        name: what messages call the input.
        lines: as they stand in it.

    Raises:
        Stop: a line is no Singer message; nothing of it is shown.
    """
    for number, line in enumerate(lines, 1):
        raw = line.removeprefix(codecs.BOM_UTF8).strip()
        if not raw:
            continue
        try:
            message = _decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, InvalidOperation, RecursionError):
            message = _read_slowly(name, number, raw)
        if message.type != "RECORD":
            continue
        if message.stream is None or message.record is None:
            raise Stop(f"{name}, line {number}: a RECORD without a stream, or without a record.")
        yield number, message.stream, message.record, message.rejected


def _read_slowly(name: str, number: int, raw: bytes) -> Message:
    """Read what is legal JSON all the same (half of a surrogate pair, numbers beyond any measure), or say why not."""
    try:
        return msgspec.convert(json.loads(raw, parse_float=_decimal), Message)
    except msgspec.ValidationError:
        raise Stop(f"{name}, line {number}: JSON, but no Singer message. Is it what target-vicai was given?") from None
    except (ValueError, RecursionError):
        raise Stop(
            f"{name}, line {number}: no JSON. Is a log mixed into the input, or did its writer break off?"
        ) from None


def _decimal(digits: str) -> Decimal | str:
    try:
        return Decimal(digits)
    except InvalidOperation:
        return digits
