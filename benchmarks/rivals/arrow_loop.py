"""The least that brings records into DuckDB with typed columns: no widening, no STATE, no second look at anything."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow as pa

_line = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_text = msgspec.json.Decoder(str | None).decode
_BATCH = 10_000


def type_of(prop: dict[str, Any]) -> str:
    """Return the type of a column."""
    kinds = {prop["type"]} if isinstance(prop["type"], str) else set(prop["type"])
    if kinds & {"object", "array"}:
        return "JSON"
    if "number" in kinds or prop.get("format") == "x-singer.decimal":
        return "DECIMAL(38,9)"
    named = {"date": "DATE", "date-time": "TIMESTAMPTZ"}.get(prop.get("format", ""))
    return named or ("BOOLEAN" if "boolean" in kinds else "BIGINT" if "integer" in kinds else "VARCHAR")


class Table:
    """Gathers the rows of a stream, and merges them."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, name: str, schema: dict[str, Any], key: list[str]
    ) -> None:
        self._connection, self._name = connection, name
        self._types = {name: type_of(prop) for name, prop in schema["properties"].items()}
        self._same = " AND ".join(f't."{name}" = s."{name}"' for name in key) or "FALSE"
        self._rows: list[dict[str, msgspec.Raw]] = []
        columns = ", ".join(f'"{name}" {kind}' for name, kind in self._types.items())
        connection.execute(f'CREATE TABLE IF NOT EXISTS "{self._name}" ({columns})')

    def add(self, record: msgspec.Raw) -> None:
        """Add a record."""
        self._rows.append(_line(record))
        if len(self._rows) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Merge what has gathered."""
        columns: dict[str, list[str | None]] = {}
        for name, kind in self._types.items():
            found = (row.get(name) for row in self._rows)
            columns[name] = [None if raw is None or bytes(raw) == b"null" else _cell(raw, kind) for raw in found]
        staged = pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})  # noqa: F841 - SQL
        casts = ", ".join(f'"{name}"::{kind} AS "{name}"' for name, kind in self._types.items())
        self._connection.execute(
            f'MERGE INTO "{self._name}" AS t USING (SELECT {casts} FROM staged) AS s ON ({self._same}) '
            "WHEN MATCHED THEN UPDATE WHEN NOT MATCHED THEN INSERT"
        )
        self._rows = []


def _cell(raw: msgspec.Raw, kind: str) -> str | None:
    return _text(raw) if kind != "JSON" and bytes(raw)[:1] == b'"' else str(raw, "utf-8")


def main() -> None:
    """Read lines, load them."""
    tables: dict[str, Table] = {}
    with duckdb.connect(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["path"]) as connection:
        for line in sys.stdin.buffer:
            message = _line(line)
            match bytes(message["type"]):
                case b'"RECORD"':
                    tables[str(_text(message["stream"]))].add(message["record"])
                case b'"SCHEMA"':
                    told = json.loads(line)
                    tables[told["stream"]] = Table(connection, told["stream"], told["schema"], told["key_properties"])
        for table in tables.values():
            table.flush()


if __name__ == "__main__":
    main()
