"""Reading what a contestant wrote, whichever way it frames documents."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import msgspec

from benchmarks.contestants import DOCUMENTS, LINES
from ivesk import contract

Fields = dict[str, msgspec.Raw]


class _Message(msgspec.Struct):
    """A Singer message, or a bare document: then none of these is there."""

    type: str | None = None
    stream: str | None = None
    record: msgspec.Raw = msgspec.Raw(b"")


_NO_LINES = msgspec.Raw(b"[]")
_message = msgspec.json.Decoder(_Message)
_fields = msgspec.json.Decoder(Fields)
_items = msgspec.json.Decoder(list[Fields])
_number = msgspec.json.Decoder(Decimal)
_anything = msgspec.json.Decoder(float_hook=Decimal)


def records(file: Path, stream: str) -> Iterator[Fields]:
    """Yield a stream's records; a bare loop's lines are documents."""
    with file.open("rb") as lines:
        for line in lines:
            message = _message.decode(line)
            if message.type is None and stream == DOCUMENTS:
                yield _fields.decode(line)
            elif message.type == "RECORD" and message.stream == stream:
                yield _fields.decode(message.record)


@dataclass(frozen=True)
class Count:
    """How much came: different documents, all document records, the lines in them, and records of lines."""

    documents: int
    document_records: int
    lines: int
    line_records: int


def count(file: Path) -> Count:
    """Count what a contestant wrote."""
    keys: list[bytes] = []
    lines = 0
    for record in records(file, DOCUMENTS):
        keys.append(bytes(record["id"]))
        lines += len(_items.decode(record["lines"]))
    return Count(len(set(keys)), len(keys), lines, sum(1 for _ in records(file, LINES)))


@dataclass
class Fidelity:
    """How many values came through: `sent` by the service, `same` text, and `equal` in value."""

    sent: int = 0
    same: int = 0
    equal: int = 0

    def add(self, sent: msgspec.Raw, came: msgspec.Raw | None) -> None:
        """Compare one value."""
        self.sent += 1
        if came is not None:
            self.same += bytes(sent) == bytes(came)
            self.equal += _value(sent) == _value(came)


@dataclass(frozen=True)
class Comparison:
    """What became of the numbers and of the fields that no schema mentions, in documents and in their lines."""

    numbers: Fidelity
    unknown: Fidelity


def compare(file: Path, store: Iterator[bytes]) -> Comparison:
    """Compare a contestant's documents with the service's own, value by value."""
    known, known_in_lines = (frozenset(contract.schema(name)["properties"]) for name in ("document", "line"))
    came = {bytes(record["id"]): record for record in records(file, DOCUMENTS)}
    result = Comparison(Fidelity(), Fidelity())
    for line in store:
        sent = _fields.decode(line)
        got = came.get(bytes(sent["id"]), {})
        _compare(result, sent, got, known)
        got_lines = _items.decode(got.get("lines", _NO_LINES))
        for place, sent_line in enumerate(_items.decode(sent["lines"])):
            _compare(result, sent_line, got_lines[place] if place < len(got_lines) else {}, known_in_lines)
    return result


def _compare(result: Comparison, sent: Fields, got: Fields, known: frozenset[str]) -> None:
    for name, raw in sent.items():
        if name not in known:
            result.unknown.add(raw, got.get(name))
        elif bytes(raw)[:1] in b"-0123456789":
            result.numbers.add(raw, got.get(name))


def _value(raw: msgspec.Raw) -> object:
    """Return a number exactly, also one that came as text; anything else as Python objects."""
    try:
        return _number.decode(raw)
    except msgspec.ValidationError:
        return _anything.decode(raw)
