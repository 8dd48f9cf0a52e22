"""Vic.ai's payment batches, with their payments and credits, against the warehouse."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import msgspec

from ap_connectors.core.raw_json import NULL, Record
from ap_connectors.tieout.compare import Options, Window
from ap_connectors.tieout.compare import compare as compare_books
from ap_connectors.tieout.facts import Book, Fact, Fields, moment
from ap_connectors.tieout.result import Comparison
from ap_connectors.tieout.vic_streams import Kind, fields_of
from ap_connectors.tieout.warehouse import Table, Warehouse
from ap_connectors.vicai.client import VicaiClient

_held = msgspec.json.Decoder(list[Record | None] | None)
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
    ours = {kind.stream: Book() for kind in (BATCHES, *PARTS)}
    for batch in BATCHES.read(client, None):
        fields = {**fields_of(batch, ("id", "name")), "last_event_at": _latest(batch)}
        fact = BATCHES.fact(company, fields, None)
        window.take(ours[BATCHES.stream], str(fields["id"]), fact)
        for kind in PARTS:
            for part in _held.decode(batch.get(kind.stream, NULL)) or ():
                if part is not None:
                    own = {**fields_of(part, kind.names), "batch_id": fields["id"]}
                    window.take(ours[kind.stream], kind.key_of(own), _part(kind, company, own, fact.at))
    if batch_table:
        theirs = {BATCHES.stream: loaded}
        yield _compared(options, window, BATCHES, ours, theirs)
    for kind in PARTS:
        if table := tables[kind.stream]:
            yield _compared(options, window, kind, ours, {kind.stream: _parts(kind, table, company, loaded, ours)})


def _compared(
    options: Options, window: Window, kind: Kind, ours: dict[str, Book], theirs: dict[str, Book]
) -> Comparison:
    comparison = options.comparison(kind.stream, window)
    window.leave_out(ours[kind.stream], theirs[kind.stream])
    compare_books(comparison, ours[kind.stream], theirs[kind.stream], lines=False)
    return comparison


def _batches(table: Table, company: str) -> Book:
    table.demand(BATCHES.key)
    book = Book()
    for row in table.records(BATCHES.names):
        book.add(BATCHES.key_of(row), BATCHES.fact(company, row, None))
    return book


def _parts(kind: Kind, table: Table, company: str, batches: Book, ours: dict[str, Book]) -> Book:
    """Read payments or credits; those of batches that are too new to be compared are left out."""
    table.demand(kind.key)
    table.demand_exact(("amount",))
    newer, book = ours[BATCHES.stream].newer, Book()
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
