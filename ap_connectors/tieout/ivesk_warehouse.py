"""Compares Įvesk's queues and columns of master data with the warehouse: documents, lines and files."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from ap_connectors.core.bookmarks import Bookmark
from ap_connectors.core.companies import same_company
from ap_connectors.core.exact import counted
from ap_connectors.core.progress import watched
from ap_connectors.core.raw_json import NULL, Record, text
from ap_connectors.ivesk.client import IveskClient, Queue
from ap_connectors.ivesk.contract import PARTIES, companies_of
from ap_connectors.ivesk.doctypes import Doctypes
from ap_connectors.tieout.compare import Options, Window
from ap_connectors.tieout.compare import compare as compare_snapshots
from ap_connectors.tieout.fields import TRUE, Compared, FieldCheck, amount
from ap_connectors.tieout.result import Comparison, Result
from ap_connectors.tieout.snapshot import (
    AmountReader,
    Amounts,
    DocumentSummary,
    Fields,
    LinesSummary,
    Snapshot,
    instant_or_none,
    summarize_lines,
)
from ap_connectors.tieout.warehouse import Table, Warehouse

JOB = "the job ivesk-to-warehouse"

_AMOUNTS = ("subtotal", "vat", "total")
_MORE_OF_A_LINE = ("quantity", "price", "vatpercent")
_PARTIES = ("buyercode", "sellercode", "buyerisfavorite", "sellerisfavorite")
_DOCUMENT = ("id", "docnum", "doctype", "date", "currency", *_PARTIES, *_AMOUNTS)
_LINE = ("document_id", "line_number", "vatclass", *_AMOUNTS, *_MORE_OF_A_LINE)
_OF_DOCUMENT: Mapping[str, Compared] = {**dict.fromkeys(_AMOUNTS, amount), "date": str, "currency": str}
"""What counts and sums compare of a document's fields. Of lines they say only that one differs; so each field does."""

_MIDNIGHT = re.compile(r"[T ]00:00:00(\.0+)?(Z|[+]00(:?00)?)?$")
"""What a column of times adds to a date."""
_decode_lines = msgspec.json.Decoder(list[Record | None] | None).decode


def compare(
    client: IveskClient,
    warehouse: Warehouse,
    options: Options | None = None,
    *,
    doctype: str | Sequence[str] | None = None,
    company_codes: Collection[str] = (),
    columns: Iterable[Mapping[str, str]] = (),
) -> Result:
    """Compare the queues, and columns of master data, with the warehouse.

    Args:
        client: reads them.
        warehouse: the schema with the tap's tables.
        options: what is compared, and what counts.
        doctype: the tap's setting, if it loads documents of some kinds only.
        company_codes: likewise, if it loads some companies only.
        columns: likewise; each with `company_code` and `column`.

    Raises:
        Stop: tables or columns are missing or not exact; key or address are wrong. Outage: Įvesk failed for too long.
    """
    options = options or Options()
    result = Result("ivesk-warehouse", "Įvesk", warehouse.name)
    chosen = _Chosen(Doctypes(doctype), company_codes)
    if not warehouse.find("digitized_documents"):
        warehouse.table("exported_documents", JOB)
    queues: tuple[Queue, ...] = ("exported", "digitized")
    for queue in queues:
        if warehouse.find(f"{queue}_documents"):
            result.comparisons.append(_compare_queue(client, warehouse, options, queue, chosen))
    wanted = [(one["company_code"], one["column"]) for one in columns]
    if wanted and (table := warehouse.find("columns")):
        result.comparisons.append(_compare_columns(client, options, table, wanted))
    return options.note(result, warehouse)


@dataclass(frozen=True)
class _Chosen:
    """Which documents the tap loads: settings of it."""

    doctypes: Doctypes
    company_codes: Collection[str]

    def wants(self, fields: Fields) -> bool:
        """Whether the tap would load a document that Įvesk sends."""
        codes = [code for code in self.company_codes if code.strip()]
        of_company = not codes or any(same_company(code, one) for one in companies(fields) for code in codes)
        return of_company and self.doctypes.wants(fields.get("doctype"))

    def covers(self, fields: Fields) -> bool:
        """Whether the tap would load a row; the warehouse may hold more, from before its settings were changed."""
        return self.wants(fields) and self.doctypes.covers(fields.get("doctype"))


def _compare_queue(
    client: IveskClient, warehouse: Warehouse, options: Options, queue: Queue, chosen: _Chosen
) -> Comparison:
    documents, instant = warehouse.table(f"{queue}_documents", JOB), f"{queue}at"
    documents.require(("id", instant, "total"))
    lines = warehouse.find(f"{queue}_document_lines")
    for table in (documents, lines):
        if table:
            table.require_exact((*_AMOUNTS, *_MORE_OF_A_LINE))
    theirs = Snapshot()
    left_out = 0
    for row in documents.records((*_DOCUMENT, instant)):
        if chosen.covers(row):
            theirs.add(row["id"] or "", _summarize(row, instant, _summarize_lines(()) if lines else None))
        else:
            left_out += 1
    window = options.window(theirs)
    comparison = options.comparison(documents.name, window)
    if left_out:
        comparison.not_compared.append(
            f"{counted(left_out, 'row')} of {documents.name} of companies or types that the settings do not name: not "
            "compared."
        )
    if lines:
        options.require_booked(comparison, lines, ["vatclass"], owes=False)
        _add_lines(lines, instant, theirs, comparison)
    else:
        comparison.not_compared.append(f"{queue}_document_lines is not in the warehouse: lines are not compared.")
    ours = Snapshot()
    comparison.sides = (ours, theirs)
    checks = _checks(comparison, documents, lines, instant, fields=options.fields)
    _read(client, window, queue, chosen, total=len(theirs), into=ours, checks=checks)
    window.leave_out(ours, theirs)
    compare_snapshots(comparison, ours, theirs, lines=lines is not None, versioned=True)
    options.compare_files(comparison, warehouse.find("document_files"), "document_id", theirs)
    if theirs.older:
        comparison.notes.append(
            f"{counted(theirs.older, 'row')} of older exports in {documents.name}; the newest counts."
        )
    return comparison


def _checks(
    comparison: Comparison, documents: Table, lines: Table | None, instant: str, *, fields: bool
) -> tuple[FieldCheck, FieldCheck]:
    """Return what checks every field, of documents and of their lines."""
    not_compared = {"url": "links are made anew for every answer", "lines": ""}
    if documents.is_rounded_json("lines"):
        not_compared["lines"] = "it is kept as JSON, whose numbers the loader rounds"
    elif documents.has("lines"):
        del not_compared["lines"]
    own = FieldCheck(
        comparison, documents if fields else None, ("id",), instant, compared=_OF_DOCUMENT, not_compared=not_compared
    )
    return own, FieldCheck(comparison, lines if fields else None, ("document_id", "line_number"), instant)


def _compare_columns(
    client: IveskClient, options: Options, table: Table, wanted: Collection[tuple[str, str]]
) -> Comparison:
    """Compare values of master data; they have a time of change each, and the list of them is in no order."""
    key, theirs, ours = ("company_code", "column", "code"), Snapshot(), Snapshot()
    table.require(key)
    names, left_out = (*key, "modifiedat"), 0
    for row in table.records(names):
        if (row["company_code"], row["column"]) in wanted:
            theirs.add(*_column_value(row, key))
        else:
            left_out += 1
    window = options.window(theirs)
    comparison = options.comparison(table.name, window)
    if left_out:
        comparison.not_compared.append(
            f"{counted(left_out, 'row')} of {table.name} of columns that the settings do not name: not compared."
        )
    check = FieldCheck(comparison, table if options.fields else None, key, "modifiedat")
    for company_code, column in wanted:
        own = {"company_code": company_code, "column": column}
        raw = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in own.items()}
        for values in client.column(company_code, column, None):
            for value in values:
                record = value | raw
                window.take(ours, *_column_value(_fields(record, names), key))
                check.add(record)
    check.finish()
    window.leave_out(ours, theirs)
    compare_snapshots(comparison, ours, theirs, lines=False, versioned=table.has("modifiedat"))
    return comparison


def _column_value(fields: Fields, key: Iterable[str]) -> tuple[str, DocumentSummary]:
    company, at = fields["company_code"] or "", instant_or_none(fields["modifiedat"])
    return " ".join(fields[name] or "-" for name in key), DocumentSummary(fields["code"] or "", at, company)


def companies(fields: Fields) -> list[str]:
    """Return the codes of a document's companies, however a warehouse writes true."""
    own = [party for party in PARTIES if (fields.get(f"{party}isfavorite") or "").lower() in TRUE]
    return companies_of({party: fields.get(f"{party}code") for party in PARTIES}, own)


def _read(
    client: IveskClient,
    window: Window,
    queue: Queue,
    chosen: _Chosen,
    *,
    total: int,
    into: Snapshot,
    checks: tuple[FieldCheck, FieldCheck],
) -> None:
    """Fill Įvesk's snapshot, and check each field on the way."""
    instant = f"{queue}at"
    since = Bookmark(not_before=window.since or 0)
    documents = (one for page in client.pages(queue, since, chosen.doctypes.asked) for one in page.records)
    for document in watched(documents, f"{queue}_documents", total, "documents"):
        fields = _fields(document, (*_DOCUMENT, instant))
        if chosen.wants(fields):
            key = str(fields["id"])
            window.take(into, key, _summarize(fields, instant, _lines_of(document)))
            checks[0].add(document)
            if checks[1].active:
                own = {"document_id": document["id"], instant: document.get(instant, NULL)}
                numbered = ((b"%d" % number, line) for number, line in _numbered(document))
                checks[1].add(*(line | own | {"line_number": msgspec.Raw(number)} for number, line in numbered))
    for check in checks:
        check.finish()


def _fields(record: Record, names: Iterable[str]) -> dict[str, str | None]:
    return {name: text(record, name) or None for name in names}


def _numbered(document: Record) -> list[tuple[int, Record]]:
    """Return the lines that a document of the queue holds, numbered as the tap numbers them."""
    try:
        held = _decode_lines(document.get("lines", NULL)) or []
    except msgspec.ValidationError:
        held = []
    return [(number, line) for number, line in enumerate(held, 1) if line is not None]


def _lines_of(document: Record) -> LinesSummary:
    numbered = _numbered(document)
    return _summarize_lines({**_fields(line, _LINE), "line_number": str(number)} for number, line in numbered)


def _summarize_lines(lines: Iterable[Fields]) -> LinesSummary:
    return summarize_lines(lines, _line_amounts, _MORE_OF_A_LINE, "line_number", "vatclass")


def _line_amounts(read: AmountReader, line: Fields) -> Amounts:
    return read(line, "subtotal"), read(line, "vat"), read(line, "total")


def _summarize(fields: Fields, instant: str, lines: LinesSummary | None) -> DocumentSummary:
    read = AmountReader()
    stated = _line_amounts(read, fields)
    company = next(iter(companies(fields)), "")
    date, currency = _MIDNIGHT.sub("", fields.get("date") or ""), fields.get("currency") or ""
    at = instant_or_none(fields.get(instant))
    is_credit = "credit" in (fields.get("doctype") or "").lower()
    return DocumentSummary(
        fields.get("docnum") or "", at, company, date, currency, stated, lines, tuple(read.unreadable), is_credit
    )


def _add_lines(table: Table, instant: str, snapshot: Snapshot, comparison: Comparison) -> None:
    """Give the warehouse's documents their lines: those that came with the same export."""
    table.require(("document_id", "line_number"))
    has_instant, left_over, orphans = table.has(instant), 0, 0
    rows = table.records((*_LINE, instant), together="document_id")
    for key, group in itertools.groupby(rows, lambda row: str(row["document_id"])):
        document, lines = snapshot.get(key), list(group)
        if document is None:
            orphans += len(lines)
            continue
        current = [line for line in lines if not has_instant or instant_or_none(line[instant]) == document.at]
        left_over += len(lines) - len(current)
        document.lines = _summarize_lines(current)
        snapshot.put(key, document)
    if left_over:
        comparison.not_compared.append(f"{counted(left_over, 'line')} of older exports left over in {table.name}.")
    if orphans:
        comparison.not_compared.append(
            f"{counted(orphans, 'line')} in {table.name} of documents that are not compared."
        )
