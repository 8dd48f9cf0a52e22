"""Warehouses with views: loaded by the real target, from records that have the taps' own schemas."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import psycopg

from target_warehouse.views import command
from tests import preloaded
from tests.conftest import discovered

Record = dict[str, Any]
Streams = Mapping[str, Sequence[Mapping[str, Any]]]
_as_json = msgspec.json.Encoder(decimal_format="number").encode


class Warehouse:
    """A database with the schemas vicai, ivesk, saft and answers.

    Args:
        url: a DuckDB file, or the URL of a PostgreSQL database.
        folder: for the files of runs.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        self.is_postgresql = url.startswith("postgresql:")

    @contextlib.contextmanager
    def connected(self) -> Any:
        connection: Any = psycopg.connect(self.url, autocommit=True) if self.is_postgresql else duckdb.connect(self.url)
        with connection:
            yield connection

    def values(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        with self.connected() as connection:
            found = connection.execute(query)
            return list(found.fetchall()) if found.description else []

    def columns(self, relation: str) -> list[str]:
        """The names of the columns of a table or view."""
        with self.connected() as connection:
            return [column[0] for column in connection.execute(f"SELECT * FROM {relation} LIMIT 0").description]

    def sums(self, query: str) -> dict[Any, Any]:
        """A query's last column by the others; a sum that is nothing is left out."""
        found: dict[Any, Any] = {}
        for *key, value in self.values(query):
            place = key[0] if len(key) == 1 else tuple(key)
            assert place not in found, place
            if value:
                found[place] = value
        return found

    def load(self, schema: str, lines: bytes, expect: int = 0, **settings: Any) -> str:
        """Load Singer messages into a schema; return the log."""
        config = self.folder / "config.json"
        config.touch(0o600)
        chosen = {"database": self.url, "schema": schema, "rejects_path": str(self.folder / "rejects.jsonl")}
        config.write_text(json.dumps(chosen | settings), encoding="utf-8")
        done = preloaded.run([sys.executable, "-m", "target_warehouse", "--config", str(config)], input=lines)
        assert done.returncode == expect, done.stderr.decode()[-3000:]
        return done.stderr.decode()

    def fill(self, tap: str, streams: Streams, schema: str | None = None, **settings: Any) -> str:
        """Load records as those of a tap, into its schema; return the log."""
        return self.load(schema or tap, messages(f"tap_{tap}", streams), **settings)

    def ap_views(self, *arguments: str, expect: int = 0) -> tuple[str, str]:
        """Run `ap-views`; return what it prints and what it complains about."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = command.run([*arguments, "--database", self.url])
        assert status == expect, err.getvalue()
        return out.getvalue(), err.getvalue()


@functools.cache
def schemas(tap: str) -> dict[str, Record]:
    """What a tap declares of its streams: schema and key, by name."""
    return {stream["tap_stream_id"]: stream for stream in json.loads(discovered(tap))["streams"]}


def messages(tap: str, streams: Streams, without: Sequence[str] = ()) -> bytes:
    """Singer messages of records; fields `without` are not selected."""
    found: list[Any] = []
    for name, records in streams.items():
        declared = schemas(tap)[name]
        properties = {one: prop for one, prop in declared["schema"]["properties"].items() if one not in without}
        schema = {**declared["schema"], "properties": properties}
        key = declared.get("key_properties", [])
        found.append({"type": "SCHEMA", "stream": name, "schema": schema, "key_properties": key})
        found += [{"type": "RECORD", "stream": name, "record": record} for record in records]
    return b"".join(_as_json(message) + b"\n" for message in found)


def added(pairs: Any) -> dict[Any, Decimal]:
    """Sums of amounts by key; a sum that is nothing is left out."""
    sums: dict[Any, Decimal] = {}
    for key, amount in pairs:
        sums[key] = sums.get(key, Decimal(0)) + amount
    return {key: amount for key, amount in sums.items() if amount}


MakeWarehouse = Callable[[], Warehouse]
