"""Compares Įvesk's exported queue with the warehouse's `exported_documents`, with lines and files."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable

import msgspec

from ap_connectors.core.bookmarks import Bookmark
from ap_connectors.core.exact import counted
from ap_connectors.core.raw_json import NULL, Record, text
from ap_connectors.ivesk.client import IveskClient
from ap_connectors.ivesk.contract import PARTIES, companies_of
from ap_connectors.tieout.compare import Options, Window, compare_files
from ap_connectors.tieout.compare import compare as compare_snapshots
from ap_connectors.tieout.fields import FieldCheck
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
_DOCUMENT = ("id", "docnum", "exportedat", "doctype", "date", "currency", *_PARTIES, *_AMOUNTS)
_LINE = ("document_id", "exportedat", "line_number", *_AMOUNTS, *_MORE_OF_A_LINE)

_decode_lines = msgspec.json.Decoder(list[Record | None] | None).decode


def compare(
    client: IveskClient,
    warehouse: Warehouse,
    options: Options | None = None,
    *,
    doctype: str | None = None,
    company_codes: Collection[str] = (),
) -> Result:
    """Compare the exported queue with the warehouse.

    Args:
        client: reads the queue.
        warehouse: the schema with the tap's tables.
        options: what is compared, and what counts.
        doctype: the tap's setting, if it loads documents of one type only.
        company_codes: likewise, if it loads some companies only.

    Raises:
        Stop: tables or columns are missing or not exact; key or address are wrong. Outage: Įvesk failed for too long.
    """
    options = options or Options()
    documents = warehouse.table("exported_documents", JOB)
    documents.require(("id", "exportedat", "total"))
    lines = warehouse.find("exported_document_lines")
    for table in (documents, lines):
        if table:
            table.require_exact((*_AMOUNTS, *_MORE_OF_A_LINE))
    theirs = Snapshot()
    for row in documents.records(_DOCUMENT):
        if _is_wanted(row, doctype, company_codes):
            theirs.add(str(row["id"]), _summarize(row, _summarize_lines(()) if lines else None))
    window = options.window(theirs)
    comparison = options.comparison(documents.name, window)
    if lines:
        _add_lines(lines, theirs, comparison)
    else:
        comparison.notes.append("exported_document_lines is not in the warehouse: lines are not compared.")
    checks = (
        FieldCheck(comparison, documents if options.fields else None, ("id",), "exportedat", volatile=("url",)),
        FieldCheck(comparison, lines if options.fields else None, ("document_id", "line_number"), "exportedat"),
    )
    ours = _read(client, window, doctype, company_codes, checks)
    window.leave_out(ours, theirs)
    compare_snapshots(comparison, ours, theirs, lines=lines is not None)
    compare_files(comparison, warehouse.find("document_files"), "document_id", theirs, read=options.files)
    if theirs.older:
        comparison.notes.append(
            f"{counted(theirs.older, 'row')} of older exports in {documents.name}; the newest counts."
        )
    return Result("ivesk-warehouse", "Įvesk", warehouse.name, [comparison])


def companies(fields: Fields) -> list[str]:
    """Return the codes of a document's companies; a warehouse may write true as "true" or "t"."""
    own = [party for party in PARTIES if (fields.get(f"{party}isfavorite") or "").lower() in {"true", "t"}]
    return companies_of({party: fields.get(f"{party}code") for party in PARTIES}, own)


def _is_wanted(fields: Fields, doctype: str | None, company_codes: Collection[str]) -> bool:
    """Whether the tap would load a document; the warehouse may hold more, from before its settings were changed."""
    codes = {code.strip() for code in company_codes}
    return (not codes or not codes.isdisjoint(companies(fields))) and (
        not doctype or fields.get("doctype") in {None, doctype}
    )


def _read(
    client: IveskClient,
    window: Window,
    doctype: str | None,
    company_codes: Collection[str],
    checks: tuple[FieldCheck, FieldCheck],
) -> Snapshot:
    snapshot = Snapshot()
    since = Bookmark(not_before=window.since or 0)
    for page in client.pages("exported", since, doctype):
        for document in page.records:
            fields = _fields(document, _DOCUMENT)
            if _is_wanted(fields, None, company_codes):
                key = str(fields["id"])
                window.take(snapshot, key, _summarize(fields, _lines_of(document)))
                checks[0].add({name: value for name, value in document.items() if name != "lines"})
                if checks[1].active:
                    own = {"document_id": document["id"], "exportedat": document.get("exportedat", NULL)}
                    numbered = ((b"%d" % number, line) for number, line in _numbered(document))
                    checks[1].add(*(line | own | {"line_number": msgspec.Raw(number)} for number, line in numbered))
    for check in checks:
        check.finish()
    return snapshot


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
    return summarize_lines(lines, _line_amounts, _MORE_OF_A_LINE, "line_number")


def _line_amounts(read: AmountReader, line: Fields) -> Amounts:
    return read(line, "subtotal"), read(line, "vat"), read(line, "total")


def _summarize(fields: Fields, lines: LinesSummary | None) -> DocumentSummary:
    read = AmountReader()
    stated = _line_amounts(read, fields)
    company = next(iter(companies(fields)), "")
    date, currency = fields.get("date") or "", fields.get("currency") or ""
    at = instant_or_none(fields.get("exportedat"))
    return DocumentSummary(
        fields.get("docnum") or "", at, company, date, currency, stated, lines, tuple(read.unreadable)
    )


def _add_lines(table: Table, snapshot: Snapshot, comparison: Comparison) -> None:
    """Give the warehouse's documents their lines: those that came with the same export."""
    table.require(("document_id", "line_number"))
    has_instant, left_over, orphans = table.has("exportedat"), 0, 0
    rows = table.records(_LINE, together="document_id")
    for key, group in itertools.groupby(rows, lambda row: str(row["document_id"])):
        document, lines = snapshot.get(key), list(group)
        if document is None:
            orphans += len(lines)
            continue
        current = [line for line in lines if not has_instant or instant_or_none(line["exportedat"]) == document.at]
        left_over += len(lines) - len(current)
        document.lines = _summarize_lines(current)
        snapshot.put(key, document)
    if left_over:
        comparison.notes.append(
            f"{counted(left_over, 'line')} of older exports left over in {table.name}; see docs/warehouse.md."
        )
    if orphans:
        comparison.notes.append(f"{counted(orphans, 'line')} in {table.name} of documents that are not compared.")
