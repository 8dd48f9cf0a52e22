"""What the warehouse holds: asked of the DuckDB file, as a user would."""

from pathlib import Path
from typing import Any

import duckdb

from demo.books import DOCUMENT_AMOUNTS, LINE_AMOUNTS, Books, Document, Sums

# A document that comes again with fewer lines leaves its older lines behind; `exportedat` tells them apart.
CURRENT_LINES = """
    from ivesk.exported_documents as d
    join ivesk.exported_document_lines as l on l.document_id = d.id and l.exportedat = d.exportedat
"""

# Amounts are text, so nothing is lost; DuckDB adds them up exactly as decimals.
_SUMS = f"""
    with lines as (select d.id, count(*) as n {CURRENT_LINES} group by d.id)
    select currency, count(*), coalesce(sum(n), 0)::bigint, coalesce(sum(total::decimal(38, 9)), 0)
    from ivesk.exported_documents left join lines using (id)
    group by currency
"""


def read(file: Path) -> Books:
    """All documents with their current lines, and the sums as DuckDB makes them."""
    with duckdb.connect(str(file), read_only=True) as connection:
        lines: dict[str, list[Any]] = {}
        columns = ", ".join(f"l.{name}" for name in LINE_AMOUNTS)
        for key, *amounts in _rows(connection, f"select d.id, {columns} {CURRENT_LINES} order by d.id, l.line_number"):
            lines.setdefault(key, []).append(tuple(amounts))
        when = "strftime(exportedat, '%Y-%m-%dT%H:%M:%S.%gZ')"
        columns = ", ".join(DOCUMENT_AMOUNTS)
        documents = {
            key: Document(currency, exportedat, tuple(amounts), tuple(lines.get(key, ())))
            for key, currency, exportedat, *amounts in _rows(
                connection, f"select id, currency, {when}, {columns} from ivesk.exported_documents"
            )
        }
        sums = {currency or "": Sums(*numbers) for currency, *numbers in _rows(connection, _SUMS)}
    return Books(documents, sums)


def files(file: Path) -> list[tuple[str, str | None, str | None]]:
    """The id of the document, path and SHA-256 of each file that the warehouse knows."""
    with duckdb.connect(str(file), read_only=True) as connection:
        rows = _rows(connection, "select document_id, path, sha256 from ivesk.document_files order by document_id")
    return [(key, path, sha256) for key, path, sha256 in rows]


def _rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    return connection.execute(query).fetchall()
