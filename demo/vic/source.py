"""What Vic.ai holds: asked of the sandbox's control API, which the tap does not know."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import msgspec

from ap_connectors.sandbox.process import Control
from demo.vic.streams import FILES, STREAMS, Stream

Key = tuple[str, ...]
Fields = Mapping[str, msgspec.Raw]
"""A record: the JSON of each field, with every digit as it is sent."""

_record = msgspec.json.Decoder(dict[str, msgspec.Raw])
_records = msgspec.json.Decoder(list[dict[str, msgspec.Raw]] | None)
_POSTED = msgspec.Raw(b'"POSTED"')
_NULL = msgspec.Raw(b"null")


@dataclass(frozen=True)
class Source:
    """The records of each stream, by key; and which parent each belongs to, where it has one."""

    records: Mapping[str, Mapping[Key, Fields]]
    parents: Mapping[str, Mapping[Key, Key]]

    def news(self, before: "Source") -> dict[str, int]:
        """The number of records by stream that a run has to read if the last one read everything that was `before`."""
        fresh: dict[str, set[Key]] = {}
        for name, stream in STREAMS.items():
            there, old = self.records[name], before.records[name]
            if stream.parent:
                fresh[name] = {key for key in there if self.parents[name][key] in fresh[stream.parent]}
            else:
                fresh[name] = {key for key in there if stream.in_full or there[key] != old.get(key)}
        return {name: len(keys) for name, keys in fresh.items()} | {FILES: len(fresh["invoices"])}


NOTHING = Source({name: {} for name in STREAMS}, {})
"""What there was before the first run."""


def read(control: Control) -> Source:
    """Everything that the demo's streams are to bring: posted invoices, and all of the rest."""
    records: dict[str, dict[Key, Fields]] = {}
    parents: dict[str, dict[Key, Key]] = {}
    for name, stream in STREAMS.items():
        records[name], parents[name] = {}, {}
        seen: Counter[Key] = Counter()
        for parent, record in _read(control, name, stream, records):
            own = key(text(record.get(field, _NULL)) for field in stream.key)
            seen[own] += 1
            number = (*own, str(seen[own]))
            records[name][number], parents[name][number] = record, parent
    return Source(records, parents)


def key(values: Iterable[object]) -> Key:
    """What tells a record from the others of its stream."""
    return tuple("" if value is None else str(value) for value in values)


def text(raw: msgspec.Raw) -> str | None:
    """A field as text: a string without quotation marks, anything else as its JSON, null as None."""
    value = bytes(raw)
    if value == b"null":
        return None
    return msgspec.json.decode(value, type=str) if value.startswith(b'"') else value.decode()


def _read(
    control: Control, name: str, stream: Stream, whole: Mapping[str, Mapping[Key, Fields]]
) -> Iterator[tuple[Key, Fields]]:
    """The records of a stream, each with the key of the record that it is a part of."""
    if stream.parent:
        for parent, record in whole[stream.parent].items():
            own = {ours: record[theirs] for ours, theirs in stream.from_parent.items()}
            for number, part in enumerate(_parts(control, stream, record)):
                yield parent, ({"index": msgspec.Raw(b"%d" % number)} if "index" in stream.key else {}) | part | own
    elif not stream.resource:
        options = control.vicai.overview(sums=False)["options"]
        company = {"status": "PASS", "version": "0.20.0", "company": options["company"]}
        yield (), {field: msgspec.Raw(msgspec.json.encode(value)) for field, value in company.items()}
    else:
        for line in control.vicai.record_lines(stream.resource):
            record = _record.decode(line)
            if name == "payment_batches":
                record["last_event_at"] = _latest(line)
            if name != "invoices" or record["status"] == _POSTED:
                yield (), record


def _parts(control: Control, stream: Stream, parent: Fields) -> list[dict[str, msgspec.Raw]]:
    if stream.held_in:
        return _records.decode(parent.get(stream.held_in, _NULL)) or []
    number = text(parent["internalId"])
    return _records.decode(control.raw("GET", f"/vicai/lines/{number}")) or []


def _latest(batch: bytes) -> msgspec.Raw:
    """The latest of all times of a batch, its payments and its credits; all have the same form here."""
    plain = msgspec.json.decode(batch)
    things = [plain, *(plain.get("payments") or ()), *(plain.get("credits") or ())]
    times = [value for thing in things for name, value in thing.items() if name.endswith("At") and value]
    return msgspec.Raw(msgspec.json.encode(max(times, default=None)))
