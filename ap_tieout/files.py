"""Documents without a file, where the warehouse knows of files."""

from __future__ import annotations

from ap_tieout.facts import Book
from ap_tieout.tie import Comparison
from ap_tieout.warehouse import Table


def compare_files(comparison: Comparison, table: Table | None, owner: str, book: Book) -> None:
    """Say which documents of a book have no file.

    Args:
        comparison: where to say it.
        table: of the files, or None if the warehouse has none.
        owner: its column with the document's key.
        book: the warehouse's documents.
    """
    if table is None:
        comparison.notes.append("Files are not in the warehouse (documents_dir is not set): they are not compared.")
        return
    table.demand((owner, "path"))
    reasons: dict[str, str | None] = {}
    for row in table.records((owner, "path", "error")):
        reasons[str(row[owner])] = None if row["path"] else (row["error"] or "it has no path")
    for key in book:
        reason = reasons.get(key, f"no row in {table.name}")
        fact = book.get(key)
        if reason is not None and fact is not None:
            comparison.tell("file", key, fact.label, reason)
