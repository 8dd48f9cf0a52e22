"""Vic.ai's payment batches, with their payments and credits, against the warehouse."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

import msgspec

from ap_connectors.core.raw_json import Record
from ap_connectors.tieout.compare import Options, Window
from ap_connectors.tieout.compare import compare as compare_books
from ap_connectors.tieout.facts import Book, Fact, Fields, moment
from ap_connectors.tieout.fields import FieldCheck
from ap_connectors.tieout.result import Comparison
from ap_connectors.tieout.vic_streams import Kind, fields_of, parts_of
from ap_connectors.tieout.warehouse import Table, Warehouse
from ap_connectors.vicai.client import VicaiClient

# A time of a batch, or of what it holds: "...At" and an instant.
_TIME = re.compile(rb'"\w*At":\s*"(\d{4}-[^"]+)"')

BATCHES = Kind(
    "payment_batches",
    (("listPaymentBatches", {"status": "all"}),),
    key=("id",),
    label="name",
    instant="last_event_at",
    way="pages",
)
PARTS = tuple(
    Kind(
        stream,
        (),
        key=("id", "batch_id"),
        label="id",
        instant=None,
        currency="currencyId",
        date="approvedAt",
        stated=(None, None, "amount"),
    )
    for stream in ("payments", "credits")
)


def compare(client: VicaiClient, warehouse: Warehouse, options: Options, company: str) -> Iterator[Comparison]:
    """Compare batches, payments and credits, as far as the warehouse has them; a batch dates what it holds."""
    tables = {kind.stream: warehouse.find(kind.stream) for kind in (BATCHES, *PARTS)}
    batch_table = tables[BATCHES.stream]
    if not any(tables.values()):
        return
    loaded = _batches(batch_table, company) if batch_table else Book()
    window = options.window(loaded)
    sides = {kind.stream: _Side(options, window, kind, tables[kind.stream]) for kind in (BATCHES, *PARTS)}
    for batch in BATCHES.read(client, None):
        latest = _latest(batch)
        fact = BATCHES.fact(company, {**fields_of(batch, ("id", "name")), "last_event_at": latest}, None)
        held = {kind.stream: parts_of(batch, kind.stream, {"batch_id": "id"}) for kind in PARTS}
        event = {"last_event_at": msgspec.Raw(msgspec.json.encode(latest))}
        own = {name: value for name, value in batch.items() if name not in held} | event
        sides[BATCHES.stream].take(fields_of(own, BATCHES.names), fact, own)
        for kind in PARTS:
            for part in held[kind.stream]:
                fields = fields_of(part, kind.names)
                sides[kind.stream].take(fields, _part(kind, company, fields, fact.at), part)
    if batch_table:
        yield sides[BATCHES.stream].compared(loaded)
    newer = sides[BATCHES.stream].book.newer
    for kind in PARTS:
        if table := tables[kind.stream]:
            yield sides[kind.stream].compared(_parts(kind, table, company, loaded, newer))


class _Side:
    """What Vic.ai holds of a kind."""

    def __init__(self, options: Options, window: Window, kind: Kind, table: Table | None) -> None:
        self.book = Book()
        self._window, self._kind = window, kind
        self._comparison = options.comparison(kind.stream, window)
        self._check = FieldCheck(self._comparison, table if options.fields else None, kind.key, kind.instant)

    def take(self, fields: Fields, fact: Fact, record: Record) -> None:
        """Take in a record, and what is compared of it."""
        self._window.take(self.book, self._kind.key_of(fields), fact)
        if not self._window.is_newer(fact.at):
            self._check.add(record)

    def compared(self, theirs: Book) -> Comparison:
        """Return the comparison with the warehouse's."""
        self._check.finish()
        self._window.leave_out(self.book, theirs)
        compare_books(self._comparison, self.book, theirs, lines=False)
        return self._comparison


def _batches(table: Table, company: str) -> Book:
    table.demand(BATCHES.key)
    book = Book()
    for row in table.records(BATCHES.names):
        book.add(BATCHES.key_of(row), BATCHES.fact(company, row, None))
    return book


def _parts(kind: Kind, table: Table, company: str, batches: Book, newer: Collection[str]) -> Book:
    """Read payments or credits; those of batches that are too new to be compared are left out."""
    table.demand(kind.key)
    table.demand_exact(("amount",))
    book = Book()
    for row in table.records(kind.names):
        batch = batches.get(row["batch_id"] or "")
        if row["batch_id"] not in newer:
            book.add(kind.key_of(row), _part(kind, company, row, batch.at if batch else None))
    return book


def _part(kind: Kind, company: str, fields: Fields, at: int | None) -> Fact:
    fact = kind.fact(company, fields, None)
    fact.at = at
    return fact


def _latest(batch: Record) -> str | None:
    """Return the latest of all times of a batch, its payments and its credits."""
    times: Iterable[str] = (found.decode() for found in _TIME.findall(msgspec.json.encode(batch)))
    return max(times, key=lambda time: moment(time) or 0, default=None)
