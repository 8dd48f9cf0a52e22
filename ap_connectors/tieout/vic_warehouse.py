"""Compares Vic.ai with the warehouse: invoices, orders, payments and master data."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import msgspec

from ap_connectors.core.exact import counted
from ap_connectors.core.instants import UTC
from ap_connectors.core.progress import watched
from ap_connectors.core.raw_json import Record, text
from ap_connectors.http.concurrency import ordered
from ap_connectors.tieout import vic_payment_batches
from ap_connectors.tieout.compare import Options, Window
from ap_connectors.tieout.compare import compare as compare_snapshots
from ap_connectors.tieout.fields import FieldCheck
from ap_connectors.tieout.result import Comparison, Result, Row
from ap_connectors.tieout.snapshot import DocumentSummary, Fields, Snapshot, instant_or_none
from ap_connectors.tieout.vic_live import live_streams
from ap_connectors.tieout.vic_streams import (
    INTERNAL,
    MASTER_DATA,
    PURCHASE_ORDERS,
    TRAINING_INVOICES,
    LineSpec,
    StreamSpec,
    fields_of,
    invoices,
    parts_of,
)
from ap_connectors.tieout.warehouse import Table, Warehouse
from ap_connectors.vicai.client import Forbidden, NotFound, VicaiClient, require_company

JOB = "the job vic-to-warehouse"

_AT_ONCE = 8
"""Requests under way at once."""


def compare(
    client: VicaiClient,
    warehouse: Warehouse,
    options: Options | None = None,
    *,
    invoice_states: Iterable[str] = ("POSTED",),
) -> Result:
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
    specs = (invoices(invoice_states), PURCHASE_ORDERS, TRAINING_INVOICES, *MASTER_DATA)
    tables = [(spec, warehouse.find(spec.stream)) for spec in specs]
    if not any(table for _, table in tables):
        warehouse.table("invoices", JOB)
    result = Result("vic-warehouse", "Vic.ai", warehouse.name)
    result.company = company = text(client.company(), "company") or ""
    if table := warehouse.find("company"):
        _require_company(table, company)
        result.not_compared.append("Of the table company only the name is compared.")
    for spec, table in tables:
        if table:
            result.comparisons += _compare(client, options, _WarehouseStream(spec, table, warehouse), company)
    result.comparisons += vic_payment_batches.compare(client, warehouse, options, company)
    for spec in live_streams(invoice_states, _companies(warehouse)):
        if table := warehouse.find(spec.stream):
            result.comparisons += _compare_live(client, options, _WarehouseStream(spec, table, warehouse), company)
    if not warehouse.find("payments") and any(one.booking.owed for one in result.comparisons):
        result.notes.append("Payments are not in the warehouse: the AP balance knows only what the ERP says is paid.")
    return options.note(result, warehouse)


def _companies(warehouse: Warehouse) -> list[str]:
    """Return the ids of the companies whose invoices the warehouse has (v2)."""
    table = warehouse.find("company_invoices")
    return sorted({row["company_id"] or "" for row in table.records(("company_id",))}) if table else []


def _require_company(table: Table, company: str) -> None:
    require_company(
        company,
        [row["company"] or "" for row in table.records(("company",))],
        what="The warehouse",
        remedy="Set --schema to where that company's tables are, or take the other company's credentials.",
    )


def _compare(client: VicaiClient, options: Options, loaded: _WarehouseStream, company: str) -> Iterator[Comparison]:
    spec, theirs = loaded.spec, loaded.read(company)
    window = options.window(theirs, spec.clock) if spec.instant else Window()
    comparison = options.comparison(spec.stream, window, spec.clock)
    options.require_booked(comparison, loaded.table, spec.booked_by, owes=spec.owed is not None)
    ours = Snapshot()
    comparison.sides = (ours, theirs)
    checks = list(loaded.field_checks(comparison)) if options.fields else []
    for record in watched(spec.read(client, window.since), spec.stream, len(theirs)):
        fields = fields_of(record, spec.names)
        held = spec.lines.summarize_json(record.get(spec.lines_field)) if spec.lines else None
        window.take(ours, spec.key_of(fields), spec.summarize(company, fields, held), keyed=spec.keyed)
        for check, parts in checks:
            check.add(*parts(record))
    for check, _ in checks:
        check.finish()
    window.leave_out(ours, theirs)
    comparison.not_compared += loaded.notes
    versioned = spec.instant is not None and loaded.table.has(spec.instant)
    compare_snapshots(comparison, ours, theirs, lines=loaded.has_lines, clock=spec.clock, versioned=versioned)
    if spec.stream == "invoices":
        options.compare_files(comparison, loaded.files, "invoice_id", theirs)
        _explain(client, comparison)
    if loaded.single_lines and not options.line_items:
        comparison.not_compared.append(f"{loaded.single_lines.name} is not compared (--no-line-items).")
    yield comparison
    if loaded.single_lines and options.line_items:
        yield _compare_lines(client, options, loaded.single_lines, ours, theirs)


def _compare_live(
    client: VicaiClient, options: Options, loaded: _WarehouseStream, company: str
) -> Iterator[Comparison]:
    """Compare a stream that not every service has, nor every company a right to."""
    name, problem = loaded.spec.stream, ""
    if loaded.spec.is_costly and not options.line_items:
        problem = "--no-line-items"
    else:
        try:
            yield from _compare(client, options, loaded, company)
        except (NotFound, Forbidden) as error:
            problem = str(error)
    if problem:
        comparison = options.comparison(name)
        comparison.not_compared.append(f"{name} is not compared ({problem}).")
        yield comparison


def _unchanged(ours: Snapshot, theirs: Snapshot) -> Iterator[tuple[str, int | None]]:
    """Yield key and version of what both sides hold in the same version."""
    for key in ours:
        mine, other = ours.get(key), theirs.get(key)
        if mine and other and mine.at == other.at:
            yield key, mine.at


def _compare_lines(client: VicaiClient, options: Options, table: Table, ours: Snapshot, theirs: Snapshot) -> Comparison:
    """Compare the ungrouped lines of invoices, field by field; this takes a request for each invoice."""
    comparison = options.comparison(table.name)
    comparison.sides = (ours, theirs)
    check = FieldCheck(comparison, table, ("invoice_id", "index"), "invoice_updated_at", alone=True)

    def read(invoice: tuple[str, int | None]) -> tuple[str, str | None, list[Record]]:
        key, at = invoice
        lines = client.whole_list("getInvoicelineItems", id=key, **INTERNAL)
        version = None if at is None else UTC.text(at)
        own = {"invoice_id": key, "invoice_updated_at": version}
        raw = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in own.items()}
        return key, version, [{"index": msgspec.Raw(b"%d" % number)} | line | raw for number, line in enumerate(lines)]

    row = Row(("", "", ""))
    found = ordered(read, _unchanged(ours, theirs), workers=_AT_ONCE)
    for key, version, lines in watched(found, table.name, len(theirs), "invoices"):
        row.source.documents += len(lines)
        check.own(key, version)
        check.add(*lines)
    check.finish()
    row.destination.documents = check.rows
    comparison.rows = [row]
    if left := table.count() - check.rows:
        comparison.not_compared.append(_left_over(left, table))
    return comparison


def _left_over(rows: int, table: Table) -> str:
    return (
        f"{counted(rows, 'row')} of {table.name} came with an earlier state of their document, or with one that is not "
        "compared: not compared."
    )


class _WarehouseStream:
    """What the warehouse holds of a stream. Lines are with the record, in a table of their own, or not there at all."""

    def __init__(self, spec: StreamSpec, table: Table, warehouse: Warehouse) -> None:
        self.spec = spec
        self.notes: list[str] = []
        self.files = warehouse.find("invoice_documents") if spec.stream == "invoices" else None
        self.single_lines = warehouse.find("invoice_line_items") if spec.stream == "invoices" else None
        self.table = table
        self._lines = warehouse.find(spec.lines.table[0]) if spec.lines and spec.lines.table else None
        has_field = spec.lines is not None and table.has(spec.lines_field)
        self._exact_field = has_field and not table.is_rounded_json(spec.lines_field)
        self._with_record = self._exact_field and not self._lines
        if has_field and not self._exact_field:
            self.notes.append(
                f"{table.name}.{spec.lines_field} is kept as JSON, whose numbers the loader rounds: lines are not "
                "compared. Load anew with target-warehouse, which keeps them (docs/upgrade.md)."
            )
        elif spec.lines and not self.has_lines:
            self.notes.append(f"Lines of {table.name} are not in the warehouse: they are not compared.")

    @property
    def has_lines(self) -> bool:
        """Whether there are lines to compare."""
        return self._with_record or self._lines is not None

    def field_checks(self, comparison: Comparison) -> Iterator[tuple[FieldCheck, Callable[[Record], list[Record]]]]:
        """Yield what checks every field, of records and of lines in a table of their own; and what it is given."""
        spec = self.spec
        left_out = dict.fromkeys(spec.left_out, "") | ({} if self._exact_field else {spec.lines_field: ""})
        check = FieldCheck(
            comparison,
            self.table,
            spec.key,
            spec.instant,
            keyed=spec.keyed,
            compared=spec.compared,
            not_compared=left_out,
        )
        yield check, lambda record: [record]
        if spec.lines and spec.lines.table and self._lines:
            _, owner, version = spec.lines.table
            place = spec.lines.place or "index"
            yield (
                FieldCheck(comparison, self._lines, (owner, place), version),
                lambda record: parts_of(record, spec.lines_field, {owner: spec.key[0], version: spec.instant or ""}),
            )

    def read(self, company: str) -> Snapshot:
        """Return the warehouse's snapshot."""
        spec, table, snapshot = self.spec, self.table, Snapshot()
        table.require(spec.key)
        table.require_exact([name for name in spec.amount_fields if name])
        for row in table.records((*spec.names, spec.lines_field) if self._with_record else spec.names):
            held = (row.get(spec.lines_field) or "").encode()
            lines = spec.lines.summarize_json(held) if spec.lines and self.has_lines else None
            snapshot.add(spec.key_of(row), spec.summarize(company, row, lines), keyed=spec.keyed)
        if spec.lines and self._lines:
            current = _add_lines(snapshot, spec.lines, self._lines)
            if left := self._lines.count() - current:
                self.notes.append(_left_over(left, self._lines))
        return snapshot


def _add_lines(snapshot: Snapshot, spec: LineSpec, table: Table) -> int:
    """Give records the lines that came with the same version of them; return how many that are."""
    assert spec.table is not None  # noqa: S101 - the caller has found it
    _, owner, version = spec.table
    table.require((owner, spec.amount))
    table.require_exact((spec.amount, *spec.more))
    groups = itertools.groupby(table.records((*spec.names, owner, version), together=owner), lambda row: row[owner])
    count = 0
    for key, group in groups:
        if document := snapshot.get(str(key)):
            lines = _current(group, version, document)
            count += len(lines)
            document.lines = spec.summarize(lines)
            snapshot.put(str(key), document)
    return count


def _current(rows: Iterable[Fields], version: str, document: DocumentSummary) -> list[Fields]:
    return [row for row in rows if row[version] is None or instant_or_none(row[version]) == document.at]


def _explain(client: VicaiClient, comparison: Comparison) -> None:
    """Add what has become of invoices that the warehouse has and Vic.ai's list does not show."""
    if (extra := comparison.differences.get("extra")) is None:
        return
    for number, one in enumerate(extra.named):
        present = client.found("getInvoice", id=one.key, useSystem="INTERNAL")
        words = "Vic.ai does not have it any more" if present is None else f"at Vic.ai it is {present.get('status')}"
        extra.named[number] = replace(one, words=f"{one.words}; {words}")
