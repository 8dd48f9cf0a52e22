"""What the jobs have to bring, asked of the sandbox's control API, against the tables: field by field.

It shares no code with the taps or `ap-tieout`, so that what they get wrong together does not go unnoticed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from ap_connectors.sandbox.process import Control

Key = tuple[str, ...]
Fields = Mapping[str, msgspec.Raw]
"""A record: the JSON of each field, with every digit as it is sent."""

_NULL = msgspec.Raw(b"null")
_record = msgspec.json.Decoder(dict[str, msgspec.Raw])
_records = msgspec.json.Decoder(list[dict[str, msgspec.Raw]] | None)


@dataclass(frozen=True)
class Stream:
    """One stream, which is one table."""

    key: Key
    resource: str = ""
    """What the sandbox's control API calls it."""
    parent: str = ""
    """The stream whose records hold its records, or tell which to ask for."""
    held_in: str = ""
    """The field of the parent's records that holds them."""
    from_parent: Mapping[str, str] = field(default_factory=dict)
    """Fields that each record has of its parent, by our name."""
    place: tuple[str, int] | None = None
    """The field with a record's place in its parent, and the first place."""
    in_full: bool = False
    """Whether every run reads all of it, because the service cannot be asked for changes."""
    left_out: Key = ()
    """Fields that are not compared: deselected in `meltano.yml`, or new in every answer."""


IVESK: Mapping[str, Stream] = {
    "exported_documents": Stream(("id",), left_out=("lines", "url")),
    "exported_document_lines": Stream(
        ("document_id", "line_number"),
        parent="exported_documents",
        held_in="lines",
        from_parent={"document_id": "id", "exportedat": "exportedat"},
        place=("line_number", 1),
    ),
}
VIC: Mapping[str, Stream] = {
    "company": Stream(("company",), in_full=True),
    "accounts": Stream(("internalId",), "accounts"),
    "dimensions": Stream(("internalId",), "dimensions"),
    "vendors": Stream(("internalId",), "vendors"),
    "vendor_groups": Stream(("id",), "vendorGroups", in_full=True),
    "tags": Stream(("id",), "tags", in_full=True),
    "vendor_tags": Stream(("id",), "vendorTags", in_full=True),
    "payment_terms": Stream(("id",), "paymentTerms", in_full=True),
    "tax_codes": Stream(("id",), "taxCodes", in_full=True),
    "vat_codes": Stream(("internalId",), "vatCodes", in_full=True),
    # The service shows no id of them: each version is a row.
    "training_invoices": Stream(("vendorExternalId", "refNumber", "externalUpdatedAt"), "trainingInvoices"),
    "purchase_orders": Stream(("internalId",), "purchaseOrders", left_out=("lineItems",)),
    "purchase_order_line_items": Stream(
        ("internalId",),
        parent="purchase_orders",
        held_in="lineItems",
        from_parent={"purchase_order_id": "internalId", "purchase_order_updated_at": "internalUpdatedAt"},
    ),
    "invoices": Stream(("internalId",), "invoices"),
    "invoice_line_items": Stream(
        ("invoice_id", "index"),
        parent="invoices",
        from_parent={"invoice_id": "internalId", "invoice_updated_at": "internalUpdatedAt"},
        place=("index", 0),
    ),
    "payment_batches": Stream(("id",), "paymentBatches", left_out=("payments", "credits")),
    "payments": Stream(
        ("id", "batch_id"),
        parent="payment_batches",
        held_in="payments",
        from_parent={"batch_id": "id", "batch_last_event_at": "last_event_at"},
    ),
    "credits": Stream(
        ("id", "batch_id"),
        parent="payment_batches",
        held_in="credits",
        from_parent={"batch_id": "id", "batch_last_event_at": "last_event_at"},
    ),
}
FILES = "invoice_documents"
"""The stream of Vic.ai's files, a record for each invoice; its source is the disk."""


@dataclass(frozen=True)
class Sent:
    """The records of a service's streams, by key; and which parent each belongs to, where it has one."""

    schema: str
    streams: Mapping[str, Stream]
    records: dict[str, dict[Key, Fields]]
    parents: dict[str, dict[Key, Key]]

    def news(self, before: Sent | None = None) -> dict[str, int]:
        """The number of records by stream that a run has to read if the last one read everything that was `before`."""
        fresh: dict[str, set[Key]] = {}
        for name, stream in self.streams.items():
            there, old = self.records[name], before.records[name] if before else {}
            if stream.parent:
                fresh[name] = {key for key in there if self.parents[name][key] in fresh[stream.parent]}
            else:
                fresh[name] = {key for key in there if stream.in_full or there[key] != old.get(key)}
        return {name: len(keys) for name, keys in fresh.items()} | {FILES: len(fresh.get("invoices", ()))}


def ivesk(control: Control) -> Sent:
    """All documents that Įvesk has exported, and their lines."""
    return _sent("ivesk", IVESK, lambda *_: map(_record.decode, control.document_lines()), control)


def vic(control: Control) -> Sent:
    """Everything of Vic.ai's: posted invoices, and all of the rest."""
    return _sent("vicai", VIC, lambda name, stream: _of_vic(control, name, stream), control)


def _sent(
    schema: str, streams: Mapping[str, Stream], ask: Callable[[str, Stream], Iterable[Fields]], control: Control
) -> Sent:
    sent = Sent(schema, streams, {}, {})
    for name, stream in streams.items():
        records, parents = sent.records.setdefault(name, {}), sent.parents.setdefault(name, {})
        seen: Counter[Key] = Counter()
        whole = sent.records[stream.parent].items() if stream.parent else ()
        parts = ((parent, part) for parent, record in whole for part in _parts(control, stream, record))
        for parent, record in parts if stream.parent else (((), record) for record in ask(name, stream)):
            own = _key(text(record.get(part, _NULL)) for part in stream.key)
            seen[own] += 1
            number = (*own, str(seen[own]))
            records[number], parents[number] = record, parent
    return sent


def _of_vic(control: Control, name: str, stream: Stream) -> Iterator[Fields]:
    if not stream.resource:
        options = control.vicai.overview(sums=False)["options"]
        company = {"status": "PASS", "version": "10.40.4", "company": options["company"]}
        yield {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in company.items()}
        return
    for line in control.vicai.record_lines(stream.resource):
        record = _record.decode(line)
        if name == "payment_batches":
            record["last_event_at"] = _latest(line)
        if name != "invoices" or text(record["status"]) == "POSTED":
            yield record


def _parts(control: Control, stream: Stream, parent: Fields) -> Iterator[Fields]:
    if stream.held_in:
        held = parent.get(stream.held_in, _NULL)
    else:
        held = msgspec.Raw(control.raw("GET", f"/vicai/lines/{text(parent['internalId'])}"))
    own = {ours: parent[theirs] for ours, theirs in stream.from_parent.items()}
    for number, part in enumerate(_records.decode(held) or (), stream.place[1] if stream.place else 0):
        place = {stream.place[0]: msgspec.Raw(b"%d" % number)} if stream.place else {}
        yield place | part | own


def _latest(batch: bytes) -> msgspec.Raw:
    """The latest of all times of a batch, its payments and its credits; all have the same form here."""
    plain = msgspec.json.decode(batch)
    things = [plain, *(plain.get("payments") or ()), *(plain.get("credits") or ())]
    times = [value for thing in things for name, value in thing.items() if name.endswith("At") and value]
    return msgspec.Raw(msgspec.json.encode(max(times, default=None)))


def _key(values: Iterable[object]) -> Key:
    return tuple("" if value is None else str(value) for value in values)


def text(raw: msgspec.Raw) -> str | None:
    """A field as text: a string without quotation marks, anything else as its JSON, null as None."""
    value = bytes(raw)
    if value == b"null":
        return None
    return msgspec.json.decode(value, type=str) if value.startswith(b'"') else value.decode()


Table = tuple[Mapping[str, str], list[dict[str, Any]]]
"""The type of each column, and the rows as DuckDB gives them, without what the loader adds."""


def tables(file: Path, sent: Sent) -> dict[str, Table]:
    """The tables of a service."""
    found: dict[str, Table] = {}
    with duckdb.connect(str(file), read_only=True) as connection:
        for name in sent.streams:
            columns = connection.execute(
                "select column_name, data_type from information_schema.columns "
                "where table_schema = ? and table_name = ? and column_name not like '!_sdc!_%' escape '!'",
                [sent.schema, name],
            ).fetchall()
            chosen = ", ".join(f'"{column}"' for column, _ in columns)
            query = f"select {chosen} from {sent.schema}.{name} order by all"
            rows = [
                dict(zip((column for column, _ in columns), row, strict=True))
                for row in connection.execute(query).fetchall()
            ]
            found[name] = dict(columns), rows
    return found


def differences(sent: Sent, file: Path) -> Iterator[str]:
    """Says in a line each what is not the same."""
    there = tables(file, sent)
    for name, stream in sent.streams.items():
        yield from _stream(name, stream, sent.records[name], *there[name])


def _stream(
    name: str, stream: Stream, ours: Mapping[Key, Fields], types: Mapping[str, str], rows: Iterable[dict[str, Any]]
) -> Iterator[str]:
    theirs: dict[Key, dict[str, Any]] = {}
    seen: Counter[Key] = Counter()
    for row in rows:
        own = _key(_shown(row[part]) for part in stream.key)
        seen[own] += 1
        number = (*own, str(seen[own]))
        theirs[number] = row
    for one, record in ours.items():
        title = f"{name} {' '.join(one[:-1])}"
        if one not in theirs:
            yield f"{title} is not in the warehouse"
            continue
        row = dict(theirs[one])
        for left_out in stream.left_out:
            row.pop(left_out, None)
        for named, raw in record.items():
            if named not in stream.left_out:
                yield from _field(f"{title}: {named}", raw, types.get(named), row.pop(named, None))
        for column, value in row.items():
            if value is not None:
                yield f"{title}: {column} came from nowhere: {value}"
    for one in theirs.keys() - ours.keys():
        yield f"{name} {' '.join(one[:-1])} is in the warehouse only"


def _shown(value: Any) -> Any:
    """A part of a key as the service writes it."""
    return value.isoformat(timespec="milliseconds") if isinstance(value, datetime) else value


def _moment(raw: msgspec.Raw) -> datetime:
    return datetime.fromisoformat(str(text(raw)).replace("Z", "+00:00"))


# What a field has to be in a column of each type.
_AS: Mapping[str, Callable[[msgspec.Raw], Any]] = {
    "VARCHAR": text,
    "JSON": lambda raw: bytes(raw).decode(),
    "DECIMAL(38,9)": lambda raw: Decimal(str(text(raw))),
    "TIMESTAMP WITH TIME ZONE": _moment,
    "TIMESTAMP": _moment,
    "DATE": lambda raw: date.fromisoformat(str(text(raw))),
    "BIGINT": msgspec.json.decode,
    "BOOLEAN": msgspec.json.decode,
}


def _field(title: str, raw: msgspec.Raw, kind: str | None, value: Any) -> Iterator[str]:
    if kind is None:
        if text(raw) is not None:
            yield f"{title} has no column"
    elif kind not in _AS:
        # A type that is not expected may have lost something.
        yield f"{title} is kept as {kind}"
    elif (expected := None if text(raw) is None else _AS[kind](raw)) != value:
        yield f"{title} {expected} became {value}"
