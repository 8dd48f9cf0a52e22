"""Counting and comparing documents and their lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import msgspec

from ap_connectors.ivesk import contract
from benchmarks.ivesk.contestants import DOCUMENTS, LINES
from benchmarks.output import Fidelity, records

Fields = dict[str, msgspec.Raw]

_NO_LINES = msgspec.Raw(b"[]")
_fields = msgspec.json.Decoder(Fields)
_items = msgspec.json.Decoder(list[Fields])
_number = msgspec.json.Decoder(Decimal)
_anything = msgspec.json.Decoder(float_hook=Decimal)


def _documents(folder: Path) -> Iterator[Fields]:
    return (_fields.decode(record) for record in records(folder / "output", DOCUMENTS, bare=DOCUMENTS))


@dataclass(frozen=True)
class Count:
    """How much came: different documents, all document records, the lines in them, and records of lines."""

    documents: int
    document_records: int
    lines: int
    line_records: int

    @property
    def records(self) -> int:
        """Different documents."""
        return self.documents


def count(folder: Path) -> Count:
    """Count what a contestant wrote."""
    keys: list[bytes] = []
    lines = 0
    for record in _documents(folder):
        keys.append(bytes(record["id"]))
        lines += len(_items.decode(record["lines"]))
    line_records = sum(1 for _ in records(folder / "output", LINES, bare=DOCUMENTS))
    return Count(len(set(keys)), len(keys), lines, line_records)


@dataclass(frozen=True)
class Comparison:
    """What became of the numbers and of the fields that no schema mentions, in documents and in their lines."""

    numbers: Fidelity
    unknown: Fidelity


def compare(folder: Path, store: Iterator[bytes]) -> Comparison:
    """Compare a contestant's documents with the service's own, value by value."""
    known, known_in_lines = (frozenset(contract.schema(name)["properties"]) for name in ("document", "line"))
    came = {bytes(record["id"]): record for record in _documents(folder)}
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
            _add(result.unknown, raw, got.get(name))
        elif bytes(raw)[:1] in b"-0123456789":
            _add(result.numbers, raw, got.get(name))


def _add(score: Fidelity, sent: msgspec.Raw, came: msgspec.Raw | None) -> None:
    score.add(
        same=came is not None and bytes(sent) == bytes(came), equal=came is not None and _value(sent) == _value(came)
    )


def _value(raw: msgspec.Raw) -> object:
    """Return a number exactly, also one that came as text; anything else as Python objects."""
    try:
        return _number.decode(raw)
    except msgspec.ValidationError:
        return _anything.decode(raw)
