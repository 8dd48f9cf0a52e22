"""`ap-sql`: ask a warehouse something, in SQL; the answer as a table or as CSV, whole. Nothing is written."""

from __future__ import annotations

import argparse
import csv
import os
import sys
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from ap_connectors.core import cli, duckdb_files, postgresql
from ap_connectors.core.errors import Stop

_MOST = 1000


def main() -> None:
    """Run the command."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Print the answer to one question; return the exit status."""
    parser = cli.parser("ap-sql", "Ask a warehouse something, in SQL. It is only read.")
    parser.add_argument("query", help="one SELECT")
    parser.add_argument(
        "--database",
        default=os.environ.get("TARGET_WAREHOUSE_DATABASE"),
        help="DuckDB file, or URL of a PostgreSQL database; default: TARGET_WAREHOUSE_DATABASE",
    )
    parser.add_argument("--csv", action="store_true", help="the answer as CSV, all rows")
    cli.runs(parser, _ask)
    return cli.main(parser, arguments)


def _ask(given: argparse.Namespace) -> int:
    if not given.database:
        raise Stop("Name the database: --database FILE, or TARGET_WAREHOUSE_DATABASE.")
    names, rows = _answer(given.database, given.query)
    _write(names, rows, as_csv=given.csv)
    return 0


def _answer(database: str, query: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    connection: Any
    if postgresql.is_postgresql(database):
        from target_warehouse.postgres import PostgreSQL  # noqa: PLC0415 - DuckDB does without it

        PostgreSQL.require()
        import psycopg  # noqa: PLC0415

        try:
            with postgresql.connect(database, "ap-sql") as connection:
                connection.read_only = True
                cursor = connection.execute(query.encode())
                return [column.name for column in cursor.description or ()], cursor.fetchall()
        except psycopg.Error as error:
            raise Stop(postgresql.masked(str(error).strip(), database)) from None
    with duckdb_files.connect(database, _tell, read_only=True) as connection:
        import duckdb  # noqa: PLC0415 - PostgreSQL does without it

        try:
            found = connection.execute(query)
            return [column[0] for column in found.description or ()], found.fetchall()
        except duckdb.Error as error:
            raise Stop(str(error).strip()) from None


def _tell(words: str) -> None:
    print(f"ap-sql: {words}", file=sys.stderr, flush=True)  # noqa: T201


def _write(names: Sequence[str], rows: Sequence[tuple[Any, ...]], *, as_csv: bool) -> None:
    if as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(["" if value is None else _exact(value) for value in row] for row in rows)
        return
    shown = [["" if value is None else _plain(value) for value in row] for row in rows[:_MOST]]
    wide = [max(map(len, column)) for column in zip(names, *shown, strict=True)]
    right = [all(_is_number(row[place]) for row in rows[:_MOST]) for place in range(len(names))]
    for line in (list(names), ["-" * size for size in wide], *shown):
        places = zip(line, wide, right, strict=True)
        cells = [cell.rjust(size) if number else cell.ljust(size) for cell, size, number in places]
        sys.stdout.write("  ".join(cells).rstrip() + "\n")
    if len(rows) > _MOST:
        sys.stdout.write(f"... and {len(rows) - _MOST} more rows: --csv has them all\n")


def _is_number(value: Any) -> bool:
    return value is None or isinstance(value, int | float | Decimal)


def _exact(value: Any) -> Any:
    """Return a decimal without the zeros that the type of its column adds behind the second place."""
    if not isinstance(value, Decimal) or not value.is_finite():
        return value
    whole, point, part = f"{value:f}".partition(".")
    return f"{whole}.{part.rstrip('0').ljust(2, '0')}" if point and len(part) > 2 else f"{value:f}"


def _plain(value: Any) -> str:
    return str(_exact(value)).replace("\n", "\\n").replace("\t", "\\t")
