"""PostgreSQL goes away in mid-run, or refuses: nothing is lost, nothing comes twice, the words are clear."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import psycopg
import pytest

from tests import postgresql, preloaded
from tests.postgresql import empty_database, needs_postgresql
from tests.target_vicai.conftest import lines, record, state
from tests.target_warehouse.conftest import SCHEMA, Database, Target, command, schema

pytestmark = needs_postgresql

HEAD = schema("things", {"id": "string", "n": "integer", "words": "string"})
_MUCH = "x" * 1000
"""So much in a record that 1,500 of them are written at once."""


def things(start: int, end: int) -> bytes:
    return lines([record("things", id=str(number), n=number, words=_MUCH) for number in range(start, end)])


@pytest.fixture
def database() -> Database:
    return Database(empty_database("warehouse"))


class Load:
    """A load that is fed bit by bit."""

    def __init__(self, feed: IO[bytes], out: Path, err: Path, process: Any) -> None:
        self.feed, self._out, self._err, self._process = feed, out, err, process

    def send(self, content: bytes) -> None:
        self.feed.write(content)
        self.feed.flush()

    def until(self, happened: Callable[[], object], what: str) -> None:
        end = time.monotonic() + 60
        while not happened():
            assert time.monotonic() < end, f"{what}: {self.err}"
            time.sleep(0.02)

    @property
    def states(self) -> list[Any]:
        return [json.loads(line) for line in self._out.read_text().splitlines(keepends=True) if line.endswith("\n")]

    @property
    def err(self) -> str:
        return self._err.read_text()

    def end(self) -> int:
        self.feed.close()
        status: int = self._process.wait(120)
        return status


@contextlib.contextmanager
def loading(database: Database, folder: Path, **settings: Any) -> Iterator[Load]:
    out, err = folder / "out", folder / "err"
    source, sink = os.pipe()
    with os.fdopen(source, "rb") as stdin, out.open("wb") as stdout, err.open("wb") as stderr:
        order = command(folder, database, memory_mb=64, **settings)
        process = preloaded.start(order, stdin=stdin, stdout=stdout, stderr=stderr)
    with process, os.fdopen(sink, "wb") as feed:  # the process ends when its input does
        yield Load(feed, out, err, process)


def sessions(database: Database, condition: str = "TRUE") -> list[int]:
    """The server's processes that work for target-warehouse."""
    found = database.rows(
        f"SELECT pid FROM pg_stat_activity WHERE application_name = 'target-warehouse' AND {condition}"
    )
    return [pid for (pid,) in found]


def cut(database: Database) -> None:
    assert all(done for (done,) in database.rows(f"SELECT pg_terminate_backend({sessions(database)[0]})"))


def whole(database: Database, size: int) -> None:
    assert database.rows("SELECT count(*), count(DISTINCT id), sum(n) FROM things") == [(size, size, sum(range(size)))]


def test_the_connection_is_lost_between_two_transactions(database: Database, tmp_path: Path) -> None:
    with loading(database, tmp_path) as load:
        load.send(lines([HEAD]) + things(0, 1500) + lines([state(1)]))
        load.until(lambda: load.states, "the first rows are not written")
        cut(database)
        load.send(things(1500, 3000) + lines([state(2)]))
        load.until(lambda: len(load.states) == 2, "the next rows are not written")
        cut(database)
        # A SCHEMA that changes the table is looked at before a transaction begins.
        grown = schema("things", {"id": "string", "n": "integer", "words": "string", "new": "number"})
        load.send(lines([grown]) + things(3000, 3010) + lines([state(3)]))
        assert load.end() == 0, load.err
    assert load.states == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert "terminating connection due to administrator command" in load.err
    assert "trying again" in load.err
    whole(database, 3010)


def test_the_connection_is_lost_in_a_transaction(database: Database, tmp_path: Path, target: Target) -> None:
    target(lines([HEAD]) + things(0, 10))
    with loading(database, tmp_path) as load:
        with database.connected() as other:
            other.execute("BEGIN")
            other.execute(f"LOCK TABLE {SCHEMA}.things IN EXCLUSIVE MODE")
            load.send(lines([HEAD]) + things(0, 1500) + lines([state(1)]))
            waiting = "wait_event_type = 'Lock' AND state = 'active'"
            load.until(lambda: sessions(database, waiting), "it does not wait for the table")
            assert load.states == []
            cut(database)
            load.until(lambda: "trying again" in load.err, "it did not notice")
        assert load.end() == 0, load.err
    assert load.states == [{"n": 1}]
    whole(database, 1500)


def test_the_server_restarts(database: Database, tmp_path: Path) -> None:
    if postgresql.GIVEN:
        pytest.skip("the server is not ours")
    with loading(database, tmp_path) as load:
        load.send(lines([HEAD]) + things(0, 1500) + lines([state(1)]))
        load.until(lambda: load.states, "the first rows are not written")
        with postgresql.stopped():
            load.send(things(1500, 3000) + lines([state(2)]))
            load.until(lambda: load.err.count("trying again") >= 2, "it did not notice")
            assert load.states == [{"n": 1}]
        assert load.end() == 0, load.err
    assert load.states == [{"n": 1}, {"n": 2}]
    whole(database, 3000)


@pytest.mark.long
def test_the_server_does_not_come_back(database: Database, tmp_path: Path) -> None:
    if postgresql.GIVEN:
        pytest.skip("the server is not ours")
    with loading(database, tmp_path) as load:
        load.send(lines([HEAD]) + things(0, 1500) + lines([state(1)]))
        load.until(lambda: load.states, "the first rows are not written")
        with postgresql.stopped():
            load.send(things(1500, 3000) + lines([state(2)]))
            assert load.end() == 1
    assert load.states == [{"n": 1}]
    (complaint,) = [line for line in load.err.splitlines() if "| ERROR" in line]
    assert "The warehouse failed 8 times: database: PostgreSQL at 127.0.0.1: " in complaint
    assert complaint.endswith("The next run goes on from the last STATE.")
    whole(database, 1500)


def test_what_the_user_may_not_do(database: Database, target: Target) -> None:
    target(lines([HEAD]) + things(0, 10))
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS reader")
        connection.execute("CREATE ROLE reader LOGIN")
        connection.execute(f"GRANT USAGE ON SCHEMA {SCHEMA} TO reader")
        connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {SCHEMA} TO reader")
    run = target(lines([HEAD]) + things(10, 20), expect=1, database=database.url.replace("tester", "reader"))
    assert "database: PostgreSQL at 127.0.0.1: permission denied for table things" in run.complaint
    assert run.out == ""
    whole(database, 10)


def test_a_view_stands_on_a_column_that_has_to_widen(database: Database, target: Target) -> None:
    target(lines([HEAD]) + things(0, 10))
    database.rows("CREATE VIEW doubled AS SELECT id, 2 * n AS n FROM things")
    run = target([HEAD, record("things", id="10", n="ten"), state(1)], expect=1)
    assert "stored.things has to change" in run.complaint
    assert "while the view stored.doubled reads it (operator does not exist: integer * text)" in run.complaint
    assert "Nothing was changed. Drop the view, run again, and make it anew." in run.complaint
    assert run.out == ""
    whole(database, 10)
