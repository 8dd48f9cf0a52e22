"""Vic.ai against the warehouse: invoices, orders, payments and master data."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import msgspec

from ap_connectors.core.errors import Stop
from ap_connectors.core.instants import UTC
from ap_connectors.core.raw_json import Record, text
from ap_connectors.http.concurrency import ordered
from ap_connectors.tieout import vic_payments
from ap_connectors.tieout.compare import Options, Window, compare_files
from ap_connectors.tieout.compare import compare as compare_books
from ap_connectors.tieout.facts import Book, Fact, Fields, moment
from ap_connectors.tieout.fields import FieldCheck
from ap_connectors.tieout.result import Comparison, Row, Tie
from ap_connectors.tieout.vic_streams import (
    INTERNAL,
    MASTER_DATA,
    PURCHASE_ORDERS,
    TRAINING_INVOICES,
    Kind,
    LineKind,
    fields_of,
    invoices,
    parts_of,
)
from ap_connectors.tieout.warehouse import Table, Warehouse
from ap_connectors.vicai.client import VicaiClient

JOB = "the job vic-to-warehouse"

_AT_ONCE = 8
"""Requests under way at once."""


def compare(
    client: VicaiClient,
    warehouse: Warehouse,
    options: Options | None = None,
    *,
    invoice_states: Iterable[str] = ("POSTED",),
) -> Tie:
    """Compare Vic.ai with the warehouse, table by table; what the warehouse does not have is left out.

    Args:
        client: reads Vic.ai.
        warehouse: the schema with the tap's tables.
        options: what is compared, and what counts.
        invoice_states: the tap's setting.

    Raises:
        Stop: tables or columns are missing or not exact; credentials are wrong, or another company's. Outage: Vic.ai
            failed for too long.
    """
    options = options or Options()
    kinds = (invoices(invoice_states), PURCHASE_ORDERS, TRAINING_INVOICES, *MASTER_DATA)
    tables = [(kind, warehouse.find(kind.stream)) for kind in kinds]
    if not any(table for _, table in tables):
        warehouse.table("invoices", JOB)
    tie = Tie("vic-warehouse", "Vic.ai", warehouse.name)
    company = text(client.company(), "company") or ""
    _guard_tenant(warehouse.find("company"), company)
    for kind, table in tables:
        if table:
            tie.comparisons += _compare(client, options, _Loaded(kind, table, warehouse), company)
    tie.comparisons += vic_payments.compare(client, warehouse, options, company)
    return tie


def _guard_tenant(table: Table | None, company: str) -> None:
    loaded = [row["company"] for row in table.records(("company",))] if table and company else []
    if loaded and company not in loaded:
        raise Stop(
            f'The warehouse holds the books of "{loaded[0]}", the credentials are of "{company}". '
            "Set --schema to where that company's tables are, or take the other company's credentials."
        )


def _compare(client: VicaiClient, options: Options, loaded: _Loaded, company: str) -> Iterator[Comparison]:
    kind, theirs = loaded.kind, loaded.read(company)
    window = options.window(theirs, kind.clock) if kind.instant else Window()
    comparison = options.comparison(kind.stream, window, kind.clock)
    ours = Book()
    checks = list(loaded.field_checks(comparison)) if options.fields else []
    for record in kind.read(client, window.since):
        fields = fields_of(record, kind.names)
        held = kind.lines.held(record.get(kind.held_in)) if kind.lines else None
        window.take(ours, kind.key_of(fields), kind.fact(company, fields, held), keyed=kind.keyed)
        for check, parts in checks:
            check.add(*parts(record))
    for check, _ in checks:
        check.finish()
    window.leave_out(ours, theirs)
    comparison.notes += loaded.notes
    compare_books(comparison, ours, theirs, lines=loaded.has_lines, clock=kind.clock)
    if kind.stream == "invoices":
        compare_files(comparison, loaded.files, "invoice_id", theirs, read=options.files)
        _explain(client, comparison)
    yield comparison
    if options.fields and loaded.single_lines:
        yield _compare_lines(client, options, loaded.single_lines, _unchanged(ours, theirs))


def _unchanged(ours: Book, theirs: Book) -> Iterator[tuple[str, int | None]]:
    """Yield key and version of what both sides hold in the same version."""
    for key in ours:
        mine, other = ours.get(key), theirs.get(key)
        if mine and other and mine.at == other.at:
            yield key, mine.at


def _compare_lines(
    client: VicaiClient, options: Options, table: Table, invoices: Iterable[tuple[str, int | None]]
) -> Comparison:
    """Compare the ungrouped lines of invoices, field by field; Vic.ai has to be asked for each invoice's."""
    comparison = options.comparison(table.name)
    check = FieldCheck(comparison, table, ("invoice_id", "index"), "invoice_updated_at", alone=True)

    def read(invoice: tuple[str, int | None]) -> list[Record]:
        key, at = invoice
        lines = client.whole_list("getInvoicelineItems", id=key, **INTERNAL)
        own = {"invoice_id": key, "invoice_updated_at": None if at is None else UTC.text(at)}
        raw = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in own.items()}
        return [{"index": msgspec.Raw(b"%d" % number)} | line | raw for number, line in enumerate(lines)]

    row = Row(("", "", ""))
    for lines in ordered(read, invoices, workers=_AT_ONCE):
        row.source.documents += len(lines)
        check.add(*lines)
    check.finish()
    row.destination.documents = check.rows
    comparison.rows = [row]
    return comparison


class _Loaded:
    """What the warehouse holds of a kind. Lines are with the record, in a table of their own, or not there at all."""

    def __init__(self, kind: Kind, table: Table, warehouse: Warehouse) -> None:
        self.kind = kind
        self.notes: list[str] = []
        self.files = warehouse.find("invoice_documents")
        self.single_lines = warehouse.find("invoice_line_items") if kind.stream == "invoices" else None
        self._table = table
        self._beside = kind.lines is not None and table.has(kind.held_in)
        own_table = kind.lines.table if kind.lines and not self._beside else None
        self._lines = warehouse.find(own_table[0]) if own_table else None
        if self._beside and table.is_rounded_json(kind.held_in):
            self._beside = False
            self.notes.append(
                f"{table.name}.{kind.held_in} is kept as JSON, whose numbers the loader rounds: lines are not "
                "compared. Declare it as text (see docs/warehouse.md) and load anew."
            )
        elif kind.lines and not self.has_lines:
            self.notes.append(f"Lines of {table.name} are not in the warehouse: they are not compared.")

    @property
    def has_lines(self) -> bool:
        """Whether there are lines to compare."""
        return self._beside or self._lines is not None

    def field_checks(self, comparison: Comparison) -> Iterator[tuple[FieldCheck, Callable[[Record], list[Record]]]]:
        """Yield what checks every field, of records and of lines in a table of their own; and what it is given."""
        kind = self.kind
        yield (
            FieldCheck(comparison, self._table, kind.key, kind.instant, keyed=kind.keyed),
            lambda record: [{name: value for name, value in record.items() if name != kind.held_in or self._beside}],
        )
        if kind.lines and kind.lines.table and self._lines:
            _, owner, version = kind.lines.table
            yield (
                FieldCheck(comparison, self._lines, (owner, kind.lines.place or "index"), version),
                lambda record: parts_of(record, kind.held_in, {owner: kind.key[0], version: kind.instant or ""}),
            )

    def read(self, company: str) -> Book:
        """Return the warehouse's book."""
        kind, table, book = self.kind, self._table, Book()
        table.demand(kind.key)
        table.demand_exact([name for name in kind.stated if name])
        for row in table.records((*kind.names, kind.held_in) if self._beside else kind.names):
            held = (row.get(kind.held_in) or "").encode()
            lines = kind.lines.held(held) if kind.lines and self.has_lines else None
            book.add(kind.key_of(row), kind.fact(company, row, lines), keyed=kind.keyed)
        if kind.lines and self._lines:
            _add_lines(book, kind.lines, self._lines)
        return book


def _add_lines(book: Book, kind: LineKind, table: Table) -> None:
    """Give records the lines that came with the same version of them."""
    assert kind.table is not None  # noqa: S101 - who calls has found it
    _, owner, version = kind.table
    table.demand((owner, kind.amount))
    table.demand_exact((kind.amount, *kind.more))
    groups = itertools.groupby(table.records((*kind.names, owner, version), together=owner), lambda row: row[owner])
    for key, group in groups:
        if fact := book.get(str(key)):
            fact.lines = kind.added_up(_current(group, version, fact))
            book.put(str(key), fact)


def _current(rows: Iterable[Fields], version: str, fact: Fact) -> list[Fields]:
    return [row for row in rows if row[version] is None or moment(row[version]) == fact.at]


def _explain(client: VicaiClient, comparison: Comparison) -> None:
    """Say what has become of invoices that the warehouse has and Vic.ai's list does not show."""
    if (extra := comparison.found.get("extra")) is None:
        return
    for number, one in enumerate(extra.named):
        present = client.found("getInvoice", id=one.key, useSystem="INTERNAL")
        words = "Vic.ai does not have it any more" if present is None else f"at Vic.ai it is {present.get('status')}"
        extra.named[number] = replace(one, words=f"{one.words}; {words}")
