"""Counting and comparing invoices, whichever way a contestant frames and names them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from ap_connectors.vicai import contract
from benchmarks import output
from benchmarks.output import Fidelity
from benchmarks.vicai.contestants import INVOICES, LINES

_GZIP = b"\x1f\x8b"


class Digits(str):
    """A JSON number, as it is written."""

    __slots__ = ()


_exact = json.JSONDecoder(parse_float=Digits, parse_int=Digits)


class _Airbyte(msgspec.Struct):
    """A message of the Airbyte CDK's; it names the stream in the record."""

    type: str | None = None
    record: dict[str, msgspec.Raw] | None = None


_airbyte = msgspec.json.Decoder(_Airbyte)


def texts(folder: Path, stream: str) -> Iterator[bytes]:
    """Yield the JSON texts of a stream's records.

    dlt writes a folder for each stream; the others write Singer's messages, Airbyte's or bare invoices to `output`.
    """
    if (folder / "out").is_dir():
        for file in sorted((folder / "out" / stream).glob("*.jsonl*")):
            packed = file.read_bytes()
            yield from (gzip.decompress(packed) if packed.startswith(_GZIP) else packed).splitlines()
        return
    with (folder / "output").open("rb") as lines:
        if lines.read(50).find(b'"type":"LOG"') >= 0:
            lines.seek(0)
            for line in lines:
                message = _airbyte.decode(line)
                if message.type == "RECORD" and message.record:
                    yield bytes(message.record["data"])
            return
    yield from (bytes(record) for record in output.records(folder / "output", stream, bare=INVOICES))


@dataclass(frozen=True)
class Count:
    """How much came: different invoices, all records of invoices, and records of lines."""

    invoices: int
    invoice_records: int
    line_records: int

    @property
    def records(self) -> int:
        """Different invoices."""
        return self.invoices


def count(folder: Path) -> Count:
    """Count what a contestant wrote."""
    keys = [plain(json.loads(text))["internalid"] for text in texts(folder, INVOICES)]
    return Count(len(set(keys)), len(keys), sum(1 for _ in texts(folder, LINES)))


@dataclass
class Comparison:
    """What became of the numbers, of what no contract mentions, and of the rest (texts, times, flags; not nulls)."""

    numbers: Fidelity = field(default_factory=Fidelity)
    unknown: Fidelity = field(default_factory=Fidelity)
    others: Fidelity = field(default_factory=Fidelity)


def compare(folder: Path, store: Iterable[bytes]) -> Comparison:
    """Compare a contestant's invoices with the service's own, value by value, at any depth."""
    result, known = Comparison(), contract.singer_schema("Invoice")
    came = (plain(_exact.decode(text.decode())) for text in texts(folder, INVOICES))
    invoices = {invoice["internalid"]: invoice for invoice in came}
    for text in store:
        sent = _exact.decode(text.decode())
        _compare(result, sent, invoices.get(sent["internalId"]), known)
    return result


def plain(record: dict[str, Any]) -> dict[str, Any]:
    """Return an object by names that no contestant's manner of writing them changes."""
    return {_name(name): value for name, value in record.items()}


def _name(name: str) -> str:
    return name.replace("_", "").lower()


def _compare(result: Comparison, sent: Any, came: Any, known: dict[str, Any]) -> None:
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
