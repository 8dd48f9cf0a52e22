"""Įvesk's exported queue against the warehouse's `exported_documents`, with lines and files."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable

import msgspec

from ap_connectors.core.bookmarks import Bookmark
from ap_connectors.core.exact import counted
from ap_connectors.core.raw_json import NULL, Record, text
from ap_connectors.ivesk.client import IveskClient
from ap_connectors.tieout.compare import Options, Window, compare_files
from ap_connectors.tieout.compare import compare as compare_books
from ap_connectors.tieout.facts import Amounts, Book, Fact, Fields, Lines, Reading, lines_of, moment
from ap_connectors.tieout.fields import FieldCheck
from ap_connectors.tieout.result import Comparison, Tie
from ap_connectors.tieout.warehouse import Table, Warehouse

JOB = "the job ivesk-to-warehouse"

_AMOUNTS = ("subtotal", "vat", "total")
_MORE_OF_A_LINE = ("quantity", "price", "vatpercent")
_PARTIES = ("buyercode", "sellercode", "buyerisfavorite", "sellerisfavorite")
_DOCUMENT = ("id", "docnum", "exportedat", "doctype", "date", "currency", *_PARTIES, *_AMOUNTS)
_LINE = ("document_id", "exportedat", "line_number", *_AMOUNTS, *_MORE_OF_A_LINE)

_lines = msgspec.json.Decoder(list[Record | None] | None)


def compare(
    client: IveskClient,
    warehouse: Warehouse,
    options: Options | None = None,
    *,
    doctype: str | None = None,
    company_codes: Collection[str] = (),
) -> Tie:
    """Compare the exported queue with the warehouse.

    Args:
        client: reads the queue.
        warehouse: the schema with the tap's tables.
        options: what is compared, and what counts.
        doctype: the tap's setting, if it loads documents of one kind only.
        company_codes: likewise, if it loads some companies only.

    Raises:
        Stop: tables or columns are missing or not exact; key or address are wrong. Outage: Įvesk failed for too long.
    """
    options = options or Options()
    documents = warehouse.table("exported_documents", JOB)
    documents.demand(("id", "exportedat", "total"))
    lines = warehouse.find("exported_document_lines")
    for table in (documents, lines):
        if table:
            table.demand_exact((*_AMOUNTS, *_MORE_OF_A_LINE))
    theirs = Book()
    for row in documents.records(_DOCUMENT):
        if _is_wanted(row, doctype, company_codes):
            theirs.add(str(row["id"]), _fact(row, _added_up(()) if lines else None))
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
    compare_books(comparison, ours, theirs, lines=lines is not None)
    compare_files(comparison, warehouse.find("document_files"), "document_id", theirs, read=options.files)
    if theirs.older:
        comparison.notes.append(
            f"{counted(theirs.older, 'row')} of older exports in {documents.name}; the newest counts."
        )
    return Tie("ivesk-warehouse", "Įvesk", warehouse.name, [comparison])


def companies(fields: Fields) -> list[str]:
    """Return the codes of the companies that a document belongs to: the accountant's own, or else both parties'."""
    codes = {party: (fields.get(f"{party}code") or "").strip() for party in ("buyer", "seller")}
    known = {party: code for party, code in codes.items() if code}
    own = [code for party, code in known.items() if (fields.get(f"{party}isfavorite") or "").lower() in {"true", "t"}]
    return own or list(known.values())


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
) -> Book:
    book = Book()
    since = Bookmark(not_before=window.since or 0)
    for page in client.pages("exported", since, doctype):
        for document in page.documents:
            fields = _fields(document, _DOCUMENT)
            if _is_wanted(fields, None, company_codes):
                key = str(fields["id"])
                window.take(book, key, _fact(fields, _lines_held(document)))
                checks[0].add({name: value for name, value in document.items() if name != "lines"})
                if checks[1].active:
                    own = {"document_id": document["id"], "exportedat": document.get("exportedat", NULL)}
                    numbered = ((b"%d" % number, line) for number, line in _numbered(document))
                    checks[1].add(*(line | own | {"line_number": msgspec.Raw(number)} for number, line in numbered))
    for check in checks:
        check.finish()
    return book


def _fields(record: Record, names: Iterable[str]) -> dict[str, str | None]:
    return {name: text(record, name) or None for name in names}


def _numbered(document: Record) -> list[tuple[int, Record]]:
    """Return the lines that a document of the queue holds, numbered as the tap numbers them."""
    try:
        held = _lines.decode(document.get("lines", NULL)) or []
    except msgspec.ValidationError:
        held = []
    return [(number, line) for number, line in enumerate(held, 1) if line is not None]


def _lines_held(document: Record) -> Lines:
    numbered = _numbered(document)
    return _added_up({**_fields(line, _LINE), "line_number": str(number)} for number, line in numbered)


def _added_up(lines: Iterable[Fields]) -> Lines:
    return lines_of(lines, _line_amounts, _MORE_OF_A_LINE, "line_number")


def _line_amounts(reading: Reading, line: Fields) -> Amounts:
    return reading(line, "subtotal"), reading(line, "vat"), reading(line, "total")


def _fact(fields: Fields, lines: Lines | None) -> Fact:
    reading = Reading()
    stated = _line_amounts(reading, fields)
    company = next(iter(companies(fields)), "")
    date, currency = fields.get("date") or "", fields.get("currency") or ""
    at = moment(fields.get("exportedat"))
    return Fact(fields.get("docnum") or "", at, company, date, currency, stated, lines, tuple(reading.unreadable))


def _add_lines(table: Table, book: Book, comparison: Comparison) -> None:
    """Give the warehouse's documents their lines: those that came with the same export."""
    table.demand(("document_id", "line_number"))
    has_instant, left_over, orphans = table.has("exportedat"), 0, 0
    rows = table.records(_LINE, together="document_id")
    for key, group in itertools.groupby(rows, lambda row: str(row["document_id"])):
        fact, lines = book.get(key), list(group)
        if fact is None:
            orphans += len(lines)
            continue
        current = [line for line in lines if not has_instant or moment(line["exportedat"]) == fact.at]
        left_over += len(lines) - len(current)
        fact.lines = _added_up(current)
        book.put(key, fact)
    if left_over:
        comparison.notes.append(
            f"{counted(left_over, 'line')} of older exports left over in {table.name}; see docs/warehouse.md."
        )
    if orphans:
        comparison.notes.append(f"{counted(orphans, 'line')} in {table.name} of no document that is compared.")
