"""Vic.ai against the warehouse: invoices, orders, payments and master data."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import replace

from ap_connectors.core.errors import Stop
from ap_connectors.core.raw_json import text
from ap_connectors.tieout import vic_payments
from ap_connectors.tieout.compare import Options, Window, compare_files
from ap_connectors.tieout.compare import compare as compare_books
from ap_connectors.tieout.facts import Book, Fact, Fields, moment
from ap_connectors.tieout.result import Comparison, Tie
from ap_connectors.tieout.vic_streams import (
    MASTER_DATA,
    PURCHASE_ORDERS,
    TRAINING_INVOICES,
    Kind,
    LineKind,
    fields_of,
    invoices,
)
from ap_connectors.tieout.warehouse import Table, Warehouse
from ap_connectors.vicai.client import VicaiClient

JOB = "the job vic-to-warehouse"


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
            tie.comparisons.append(_compare(client, options, _Loaded(kind, table, warehouse), company))
    tie.comparisons += vic_payments.compare(client, warehouse, options, company)
    return tie


def _guard_tenant(table: Table | None, company: str) -> None:
    loaded = [row["company"] for row in table.records(("company",))] if table and company else []
    if loaded and company not in loaded:
        raise Stop(
            f'The warehouse holds the books of "{loaded[0]}", the credentials are of "{company}". '
            "Set --schema to where that company's tables are, or take the other company's credentials."
        )


def _compare(client: VicaiClient, options: Options, loaded: _Loaded, company: str) -> Comparison:
    kind, theirs = loaded.kind, loaded.read(company)
    window = options.window(theirs, kind.clock) if kind.instant else Window()
    comparison = options.comparison(kind.stream, window, kind.clock)
    ours = Book()
    for record in kind.read(client, window.since):
        fields = fields_of(record, kind.names)
        held = kind.lines.held(record.get(kind.held_in)) if kind.lines else None
        window.take(ours, kind.key_of(fields), kind.fact(company, fields, held), keyed=kind.keyed)
    window.leave_out(ours, theirs)
    comparison.notes += loaded.notes
    compare_books(comparison, ours, theirs, lines=loaded.has_lines, clock=kind.clock)
    if kind.stream == "invoices":
        compare_files(comparison, loaded.files, "invoice_id", theirs)
        _explain(client, comparison)
    return comparison


class _Loaded:
    """What the warehouse holds of a kind. Lines are with the record, in a table of their own, or not there at all."""

    def __init__(self, kind: Kind, table: Table, warehouse: Warehouse) -> None:
        self.kind = kind
        self.notes: list[str] = []
        self.files = warehouse.find("invoice_documents")
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
