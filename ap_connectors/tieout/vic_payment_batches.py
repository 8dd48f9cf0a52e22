"""Compares Vic.ai's payment batches, with their payments and credits, with the warehouse."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import msgspec

from ap_connectors.core.raw_json import Record
from ap_connectors.tieout.compare import Options, Window
from ap_connectors.tieout.compare import compare as compare_snapshots
from ap_connectors.tieout.fields import FieldCheck
from ap_connectors.tieout.result import Comparison
from ap_connectors.tieout.snapshot import DocumentSummary, Fields, Snapshot
from ap_connectors.tieout.vic_streams import PAYMENT_BATCHES, PAYMENTS_AND_CREDITS, StreamSpec, fields_of, parts_of
from ap_connectors.tieout.warehouse import Table, Warehouse
from ap_connectors.vicai.client import VicaiClient
from ap_connectors.vicai.contract import latest_event


def compare(client: VicaiClient, warehouse: Warehouse, options: Options, company: str) -> Iterator[Comparison]:
    """Compare batches, payments and credits, as far as the warehouse has them; a batch dates what it holds."""
    tables = {spec.stream: warehouse.find(spec.stream) for spec in (PAYMENT_BATCHES, *PAYMENTS_AND_CREDITS)}
    batch_table = tables[PAYMENT_BATCHES.stream]
    if not any(tables.values()):
        return
    loaded = _batches(batch_table, company) if batch_table else Snapshot()
    window = options.window(loaded)
    sides = {
        spec.stream: _Side(options, window, spec, tables[spec.stream])
        for spec in (PAYMENT_BATCHES, *PAYMENTS_AND_CREDITS)
    }
    for batch in PAYMENT_BATCHES.read(client, None):
        latest = latest_event(msgspec.json.decode(msgspec.json.encode(batch)))
        document = PAYMENT_BATCHES.summarize(
            company, {**fields_of(batch, ("id", "name")), "last_event_at": latest}, None
        )
        event = {"last_event_at": msgspec.Raw(msgspec.json.encode(latest))}
        own_of_parts = {"batch_id": "id", "batch_last_event_at": "last_event_at"}
        held = {spec.stream: parts_of(batch | event, spec.stream, own_of_parts) for spec in PAYMENTS_AND_CREDITS}
        # What a batch consists of is in tables of its own, and with the batch only where that is selected.
        own = {name: value for name, value in batch.items() if name not in held or _has(batch_table, name)} | event
        sides[PAYMENT_BATCHES.stream].take(fields_of(own, PAYMENT_BATCHES.names), document, own)
        for spec in PAYMENTS_AND_CREDITS:
            for part in held[spec.stream]:
                fields = fields_of(part, spec.names)
                sides[spec.stream].take(fields, _part(spec, company, fields, document.at), part)
    if batch_table:
        yield sides[PAYMENT_BATCHES.stream].compared(loaded, versioned=_has(batch_table, "last_event_at"))
    newer = sides[PAYMENT_BATCHES.stream].snapshot.newer
    for spec in PAYMENTS_AND_CREDITS:
        if table := tables[spec.stream]:
            yield sides[spec.stream].compared(_parts(spec, table, company, loaded, newer))


def _has(table: Table | None, name: str) -> bool:
    return table is not None and table.has(name) and not table.is_rounded_json(name)


class _Side:
    """What Vic.ai holds of batches, payments or credits."""

    def __init__(self, options: Options, window: Window, spec: StreamSpec, table: Table | None) -> None:
        self.snapshot = Snapshot()
        self._window, self._spec = window, spec
        self._comparison = options.comparison(spec.stream, window)
        if table:
            options.require_booked(self._comparison, table, spec.booked_by, owes=spec.owed is not None)
        self._check = FieldCheck(
            self._comparison, table if options.fields else None, spec.key, spec.instant, compared=spec.compared
        )

    def take(self, fields: Fields, document: DocumentSummary, record: Record) -> None:
        """Add a record, and what is compared of it."""
        self._window.take(self.snapshot, self._spec.key_of(fields), document)
        if not self._window.is_newer(document.at):
            self._check.add(record)

    def compared(self, theirs: Snapshot, *, versioned: bool = False) -> Comparison:
        """Return the comparison with the warehouse's snapshot."""
        self._comparison.sides = (self.snapshot, theirs)
        self._check.finish()
        self._window.leave_out(self.snapshot, theirs)
        compare_snapshots(self._comparison, self.snapshot, theirs, lines=False, versioned=versioned)
        return self._comparison


def _batches(table: Table, company: str) -> Snapshot:
    table.require(PAYMENT_BATCHES.key)
    snapshot = Snapshot()
    for row in table.records(PAYMENT_BATCHES.names):
        snapshot.add(PAYMENT_BATCHES.key_of(row), PAYMENT_BATCHES.summarize(company, row, None))
    return snapshot


def _parts(spec: StreamSpec, table: Table, company: str, batches: Snapshot, newer: Collection[str]) -> Snapshot:
    """Read payments or credits; those of batches that are too new to be compared are left out."""
    table.require(spec.key)
    table.require_exact(("amount",))
    snapshot = Snapshot()
    for row in table.records(spec.names):
        batch = batches.get(row["batch_id"] or "")
        if row["batch_id"] not in newer:
            snapshot.add(spec.key_of(row), _part(spec, company, row, batch.at if batch else None))
    return snapshot


def _part(spec: StreamSpec, company: str, fields: Fields, at: int | None) -> DocumentSummary:
    document = spec.summarize(company, fields, None)
    document.at = at
    return document
