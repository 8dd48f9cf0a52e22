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


class Loop:
    """Gathers rows by stream, and merges them."""

    def __init__(self, path: str) -> None:
        self._connection = duckdb.connect(path)
        self._schemas: dict[str, tuple[dict[str, str], list[str]]] = {}
        self._rows: dict[str, list[dict[str, msgspec.Raw]]] = {}

    def declare(self, stream: str, schema: dict[str, Any], key: list[str]) -> None:
        """Make the table of a stream."""
        types = {name: type_of(prop) for name, prop in schema["properties"].items()}
        columns = ", ".join(f'"{name}" {kind}' for name, kind in types.items())
        self._connection.execute(f'CREATE TABLE IF NOT EXISTS "{stream}" ({columns})')
        self._schemas[stream], self._rows[stream] = (types, key), []

    def add(self, stream: str, record: msgspec.Raw) -> None:
        """Add a record."""
        rows = self._rows[stream]
        rows.append(_line(record))
        if len(rows) >= _BATCH:
            self.flush(stream)

    def flush(self, stream: str) -> None:
        """Merge what has gathered."""
        types, key = self._schemas[stream]
        rows, self._rows[stream] = self._rows[stream], []
        columns: dict[str, list[str | None]] = {}
        for name, kind in types.items():
            read = (lambda raw: str(raw, "utf-8")) if kind == "JSON" else _plain
            found = (row.get(name) for row in rows)
            columns[name] = [None if raw is None or bytes(raw) == b"null" else read(raw) for raw in found]
        staged = pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})  # noqa: F841 - SQL
        casts = ", ".join(f'"{name}"::{kind} AS "{name}"' for name, kind in types.items())
        same = " AND ".join(f't."{name}" = s."{name}"' for name in key) or "FALSE"
        self._connection.execute(
            f'MERGE INTO "{stream}" AS t USING (SELECT {casts} FROM staged) AS s ON ({same}) '
            "WHEN MATCHED THEN UPDATE WHEN NOT MATCHED THEN INSERT"
        )

    def close(self) -> None:
        """Merge the rest."""
        for stream in self._schemas:
            self.flush(stream)
        self._connection.close()


def _plain(raw: msgspec.Raw) -> str | None:
    return _text(raw) if bytes(raw)[:1] == b'"' else str(raw, "utf-8")


def main() -> None:
    """Read lines, load them."""
    loop = Loop(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["path"])
    for line in sys.stdin.buffer:
        message = _line(line)
        kind = bytes(message["type"])
        if kind == b'"RECORD"':
            loop.add(str(_text(message["stream"])), message["record"])
        elif kind == b'"SCHEMA"':
            schema = json.loads(bytes(message["schema"]))
            loop.declare(str(_text(message["stream"])), schema, json.loads(bytes(message["key_properties"])))
    loop.close()


if __name__ == "__main__":
    main()
