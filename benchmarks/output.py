"""Reading what a contestant wrote, whichever way it frames and names records; counting it, and comparing each value."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.results import Share

_GZIP = b"\x1f\x8b"


class Digits(str):
    """A JSON number, as it is written."""

    __slots__ = ()


class _Message(msgspec.Struct):
    """A Singer message, or one of Airbyte's, which names the stream in the record; of a bare record nothing is set."""

    type: str | None = None
    stream: str | None = None
    record: msgspec.Raw = msgspec.Raw(b"")


class _InAirbyte(msgspec.Struct):
    data: msgspec.Raw


_message = msgspec.json.Decoder(_Message)
_in_airbyte = msgspec.json.Decoder(_InAirbyte)
_exact = json.JSONDecoder(parse_float=Digits, parse_int=Digits)


def records(folder: Path, stream: str, *, bare: str) -> Iterator[bytes]:
    """Yield the JSON texts of a stream's records.

    dlt writes a folder for each stream; the others write Singer's messages, Airbyte's, or bare records of the stream
    `bare`, to `output`.
    """
    if (folder / "out").is_dir():
        for file in sorted((folder / "out" / stream).glob("*.jsonl*")):
            packed = file.read_bytes()
            yield from (gzip.decompress(packed) if packed.startswith(_GZIP) else packed).splitlines()
        return
    with (folder / "output").open("rb") as lines:
        for line in lines:
            message = _message.decode(line)
            if message.type is None and stream == bare:
                yield line
            elif message.type == "RECORD" and message.stream == stream:
                yield bytes(message.record)
            elif message.type == "RECORD" and message.stream is None and stream == bare:
                yield bytes(_in_airbyte.decode(message.record).data)


@dataclass(frozen=True)
class Layout:
    """Where records are: their stream and its key, the stream of their lines, and the field that holds these, too."""

    stream: str
    key: str
    lines: str
    held_in: str


@dataclass(frozen=True)
class Count:
    """How much came: different records, all of them, the lines that they hold, and records of lines."""

    records: int
    all_records: int
    held_lines: int
    line_records: int


def count(folder: Path, layout: Layout) -> Count:
    """Count what a contestant wrote."""
    keys: list[str] = []
    held = 0
    for text in records(folder, layout.stream, bare=layout.stream):
        record = plain(msgspec.json.decode(text))
        keys.append(record[_name(layout.key)])
        held += len(record.get(layout.held_in) or ())
    lines = sum(1 for _ in records(folder, layout.lines, bare=layout.stream))
    return Count(len(set(keys)), len(keys), held, lines)


@dataclass
class Comparison:
    """What became of the numbers, of what no contract mentions, and of the rest (texts, times, flags; not nulls)."""

    numbers: Share = field(default_factory=Share)
    unknown: Share = field(default_factory=Share)
    others: Share = field(default_factory=Share)


def compare(folder: Path, layout: Layout, store: Iterable[bytes], known: Mapping[str, Any]) -> Comparison:
    """Compare a contestant's records with the service's own, value by value, at any depth."""
    result = Comparison()
    came = (plain(_exact.decode(text.decode())) for text in records(folder, layout.stream, bare=layout.stream))
    by_key = {record[_name(layout.key)]: record for record in came}
    for text in store:
        sent = _exact.decode(text.decode())
        _compare(result, sent, by_key.get(sent[layout.key]), known)
    return result


def plain(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object by names that no contestant's manner of writing them changes."""
    return {_name(name): value for name, value in record.items()}


def _name(name: str) -> str:
    return name.replace("_", "").lower()


def _compare(result: Comparison, sent: Any, came: Any, known: Mapping[str, Any]) -> None:
    if isinstance(sent, dict) and isinstance(came, str) and came.startswith("{"):
        # The contract may call for an object's JSON as text.
        came = _exact.decode(came)
    if isinstance(sent, dict):
        fields = plain(came) if isinstance(came, dict) else {}
        for name, value in sent.items():
            if value is None:
                continue
            if name in known.get("properties", {}):
                _compare(result, value, fields.get(_name(name)), known["properties"][name])
            else:
                got = fields.get(_name(name))
                result.unknown.add(same=_same(value, got), equal=_value(value) == _value(got))
    elif isinstance(sent, list):
        items = came if isinstance(came, list) else []
        for place, value in enumerate(sent):
            _compare(result, value, items[place] if place < len(items) else None, known.get("items", {}))
    else:
        score = result.numbers if isinstance(sent, Digits) else result.others
        score.add(same=_same(sent, came), equal=_value(sent) == _value(came))


def _same(sent: Any, came: Any) -> bool:
    """Whether a value is written alike: a number as a number, with the same digits."""
    if isinstance(sent, dict):
        return isinstance(came, dict) and all(_same(value, came.get(name)) for name, value in sent.items())
    if isinstance(sent, list):
        return isinstance(came, list) and len(sent) == len(came) and all(map(_same, sent, came))
    return type(sent) is type(came) and bool(sent == came)


def _value(value: Any) -> Any:
    """Return a value with its numbers as what they are worth."""
    if isinstance(value, dict):
        return {_name(name): _value(one) for name, one in value.items() if one is not None}
    if isinstance(value, list):
        return [_value(one) for one in value]
    return Decimal(value) if isinstance(value, Digits) else value
