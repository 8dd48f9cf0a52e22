"""The real `target-warehouse` run into a DuckDB file and into PostgreSQL, and what is there afterwards."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from tests import preloaded
from tests.postgresql import empty_database, needs_postgresql
from tests.target_vicai.conftest import Message, lines

Record = dict[str, Any]
SCHEMA = "stored"


class Database:
    """A database that is loaded into."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_postgresql = url.startswith("postgresql:")

    def __str__(self) -> str:
        return "postgresql" if self.is_postgresql else "duckdb"

    @contextlib.contextmanager
    def connected(self) -> Iterator[Any]:
        if self.is_postgresql:
            with psycopg.connect(self.url, autocommit=True) as connection:
                connection.execute("SET TimeZone = 'UTC'")
                yield connection
            return
        with duckdb.connect(self.url) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            yield connection

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows of a query, in the schema that is loaded into."""
        with self.connected() as connection:
            connection.execute(f"SET search_path = '{SCHEMA}'")
            found = connection.execute(statement)
            return list(found.fetchall()) if found.description else []

    def texts(self, table: str, *columns: str, order: str | None = None) -> list[tuple[str | None, ...]]:
        """Columns of a table as text, by the first or another one's order."""
        shown = ", ".join(f'cast("{column}" as varchar)' for column in columns)
        return self.rows(f'SELECT {shown} FROM {SCHEMA}."{table}" ORDER BY "{order or columns[0]}"')

    def types(self, table: str) -> dict[str, str]:
        """The types of a table's columns."""
        found = self.rows(
            "SELECT column_name, data_type FROM information_schema.columns "
            f"WHERE table_schema = '{SCHEMA}' AND table_name = '{table}' ORDER BY ordinal_position"
        )
        return {name: type_.lower() for name, type_ in found}

    def tables(self) -> set[str]:
        found = self.rows(f"SELECT table_name FROM information_schema.tables WHERE table_schema = '{SCHEMA}'")
        return {name for (name,) in found}


@pytest.fixture(params=["duckdb", pytest.param("postgresql", marks=needs_postgresql)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    return Database(empty_database("warehouse") if request.param == "postgresql" else f"{tmp_path}/warehouse.duckdb")


class Result:
    """How a load ended, and what it said."""

    def __init__(self, done: subprocess.CompletedProcess[bytes], folder: Path) -> None:
        self.status = done.returncode
        self.out, self.err = done.stdout.decode(), done.stderr.decode()
        self._folder = folder

    @property
    def states(self) -> list[Any]:
        return [json.loads(text) for text in self.out.splitlines()]

    @functools.cached_property
    def report(self) -> Record:
        content: Record = json.loads((self._folder / "report.json").read_text(encoding="utf-8"))
        return content

    def counts(self, stream: str) -> Record:
        """What the report counts of a stream, where it is not nothing."""
        names = ("received", "created", "updated", "unchanged", "deleted", "rejected")
        found = self.report["streams"].get(stream, {})
        return {name: found[name] for name in names if found.get(name)}

    @property
    def rejected(self) -> list[Record]:
        path = self._folder / "rejects.jsonl"
        content = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [mark["rejected"] for text in content if "rejected" in (mark := json.loads(text))]

    @property
    def complaint(self) -> str:
        """The one ERROR line of the log."""
        (found,) = [line.split(" | ")[-1].strip() for line in self.err.splitlines() if "| ERROR" in line]
        return found

    def log(self, level: str = "WARNING") -> list[str]:
        return [line.split(" | ")[-1].strip() for line in self.err.splitlines() if f"| {level}" in line]


Target = Callable[..., Result]


def command(folder: Path, into: Database, **settings: Any) -> list[str]:
    """The command line of a run with its settings."""
    chosen = {
        "database": into.url,
        "schema": SCHEMA,
        "report_path": str(folder / "report.json"),
        "rejects_path": str(folder / "rejects.jsonl"),
        **settings,
    }
    config = folder / "config.json"
    config.touch(0o600)
    config.write_text(json.dumps(chosen), encoding="utf-8")
    return [sys.executable, "-m", "target_warehouse", "--config", str(config)]


@pytest.fixture
def target(database: Database, tmp_path: Path) -> Target:
    """Run the real `target-warehouse`: `target(messages, expect=0)`; other keywords are settings."""
    numbers = itertools.count(1)

    def run(messages: Sequence[Message] | bytes, *arguments: str, expect: int | None = 0, **settings: Any) -> Result:
        folder = tmp_path / f"run-{next(numbers)}"
        folder.mkdir()
        content = messages if isinstance(messages, bytes) else lines(messages)
        done = preloaded.run([*command(folder, database, **settings), *arguments], input=content)
        assert expect in {None, done.returncode}, done.stderr.decode()[-3000:]
        return Result(done, folder)

    return run


def schema(stream: str, fields: Mapping[str, Any], key: Sequence[str] = ("id",), **members: Any) -> Record:
    """A SCHEMA message: `{"id": "string", "at": {"type": "string", "format": "date-time"}}`."""
    properties = {name: {"type": [prop, "null"]} if isinstance(prop, str) else prop for name, prop in fields.items()}
    content = {"type": "object", "properties": properties, **members}
    return {"type": "SCHEMA", "stream": stream, "schema": content, "key_properties": list(key)}


def raw(stream: str, record: str, **members: Any) -> str:
    """A RECORD message whose record is this JSON, to the byte."""
    more = "".join(f', "{name}": {json.dumps(value)}' for name, value in members.items())
    return f'{{"type": "RECORD", "stream": "{stream}", "record": {record}{more}}}'
