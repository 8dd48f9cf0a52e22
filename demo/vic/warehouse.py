"""What the warehouse holds of Vic.ai: asked of the DuckDB file, as a user would."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from demo.books import Sums
from demo.vic.streams import CURRENT_INVOICE_LINES, FILES, STREAMS

# Amounts are text, so nothing is lost; DuckDB adds them up exactly as decimals.
_INVOICES = f"""
    with lines as (select invoice_id, count(*) as n from vicai.invoice_line_items {CURRENT_INVOICE_LINES} group by 1)
    select currency, count(*), coalesce(sum(n), 0)::bigint, coalesce(sum(totalAmount::decimal(38, 9)), 0)
    from vicai.invoices left join lines on invoice_id = internalId
    group by currency
"""
_PAYMENTS = """
    select currencyId, count(*) filter (kind = 'payment'), count(*) filter (kind = 'credit'),
        coalesce(sum(amount::decimal(38, 9)) filter (kind = 'payment'), 0)
    from (select 'payment' as kind, currencyId, amount from vicai.payments
        union all select 'credit', currencyId, amount from vicai.credits)
    group by currencyId
"""


@dataclass(frozen=True)
class Table:
    """A table: the type of each column, and the rows as DuckDB gives them, without what the loader adds."""

    types: Mapping[str, str]
    rows: list[dict[str, Any]]


@dataclass(frozen=True)
class Tables:
    """All tables by stream, and the sums as DuckDB makes them, by currency."""

    tables: Mapping[str, Table]
    files: list[tuple[str, str | None, str | None]]
    """The invoice, path and SHA-256 of each file."""
    invoices: Mapping[str, Sums]
    payments: Mapping[str, Sums]
    """Payments, credits, and the sum of the payments."""


def read(file: Path) -> Tables:
    """All that the schema `vicai` holds; lines that their invoice or order no longer has are left out."""
    with duckdb.connect(str(file), read_only=True) as connection:
        return Tables(
            {name: _table(connection, name, stream.current) for name, stream in STREAMS.items()},
            [
                (key, path, sha256)
                for key, path, sha256 in connection.execute(
                    f"select invoice_id, path, sha256 from vicai.{FILES} order by invoice_id"
                ).fetchall()
            ],
            _sums(connection, _INVOICES),
            _sums(connection, _PAYMENTS),
        )


def _table(connection: duckdb.DuckDBPyConnection, name: str, current: str) -> Table:
    found = connection.execute(
        "select column_name, data_type from information_schema.columns "
        "where table_schema = 'vicai' and table_name = ? and column_name not like '!_sdc!_%' escape '!'",
        [name],
    ).fetchall()
    columns = ", ".join(f'"{column}"' for column, _ in found)
    rows = connection.execute(f"select {columns} from vicai.{name} {current} order by all").fetchall()
    return Table(dict(found), [dict(zip((column for column, _ in found), row, strict=True)) for row in rows])


def _sums(connection: duckdb.DuckDBPyConnection, query: str) -> dict[str, Sums]:
    return {currency or "": Sums(*numbers) for currency, *numbers in connection.execute(query).fetchall()}
