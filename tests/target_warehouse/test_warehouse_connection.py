"""PostgreSQL goes away in mid-run, or refuses: nothing is lost, nothing comes twice, the words are clear."""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

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


def test_a_value_of_another_run_is_not_lost_where_a_column_becomes_wider(database: Database, tmp_path: Path) -> None:
    """The column had no value when it was looked at, and has one when it is changed."""
    head = schema("things", {"id": "string", "at": {"type": ["string", "null"], "format": "date-time"}})
    with loading(database, tmp_path, company="a") as first:
        first.send(lines([head, record("things", id="1")]))
        assert first.end() == 0
    changes = zlib.crc32(f"target-warehouse {SCHEMA}".encode())
    with loading(database, tmp_path, company="b") as load, database.connected() as other:
        load.send(lines([head]))
        load.until(lambda: sessions(database, "state = 'idle' AND query = 'COMMIT'"), "it does not begin")
        other.execute("BEGIN")
        other.execute(f"SELECT pg_advisory_xact_lock_shared({changes})")  # as the other run has it while it writes
        other.execute(f"UPDATE {SCHEMA}.things SET at = '2026-01-05T10:00:00Z'")
        load.send(lines([record("things", id="1", at="2026-01-05T10:00:00"), state(1)]))
        load.feed.close()
        load.until(lambda: sessions(database, "wait_event_type = 'Lock'"), "it does not wait for the other run")
        other.execute("COMMIT")
        assert load.end() == 0, load.err
    assert database.texts("things", "company", "at") == [("a", "2026-01-05T10:00:00+00"), ("b", "2026-01-05T10:00:00")]


def test_a_row_is_refused_in_each_of_many_streams(target: Target, database: Database) -> None:
    """There are more of them than tries, and each is found by a try of its own."""
    noise = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=9000))
    streams = [f"s{number}" for number in range(9)]
    messages = [
        message
        for name in streams
        for message in (schema(name, {"id": "string"}), record(name, id=noise), record(name, id="1"))
    ]
    run = target([*messages, state(1)], expect=1)
    assert run.states == [{"n": 1}]
    assert run.report["reject_codes"] == {"warehouse_refused": len(streams)}
    assert all(database.rows(f"SELECT id FROM {name}") == [("1",)] for name in streams)


def test_limits_of_the_server(target: Target, database: Database) -> None:
    """What no other try changes is said at once; what the server cuts off is tried again."""
    wide = schema("wide", {"id": "string"} | {f"f{number}": "integer" for number in range(1700)})
    run = target([wide, record("wide", id="1"), state(1)], expect=1)
    assert "wide: its table would have 1702 columns, and a table here holds 1600." in run.complaint
    assert "trying again" not in run.err
    assert run.out == ""
    target([HEAD, record("things", id="1", n=1)])
    database.rows(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no %', NEW.id; END $$"
    )
    database.rows(
        "CREATE TRIGGER strict BEFORE INSERT ON things FOR EACH ROW WHEN (NEW.n = 2) EXECUTE FUNCTION refuse()"
    )
    run = target([HEAD, record("things", id="2", n=2), record("things", id="3", n=3), state(1)], expect=1)
    assert [(one["code"], one["params"]) for one in run.rejected] == [("warehouse_refused", {"said": "no 2"})]
    assert database.rows("SELECT id FROM things ORDER BY id") == [("1",), ("3",)]
    database.rows("CREATE UNIQUE INDEX once ON things (n)")
    run = target([HEAD, record("things", id="4", n=9), record("things", id="5", n=9), state(1)], expect=1)
    assert 'unique constraint "once". Nothing was loaded. They break a rule that the table things' in run.complaint
    assert run.out == ""
    name = urlsplit(database.url).path[1:]
    database.rows(f"ALTER DATABASE {name} SET statement_timeout = '200ms'")
    with database.connected() as other:
        other.execute("SET statement_timeout = 0")
        other.execute(f"SELECT pg_advisory_lock(hashtextextended('target-warehouse {SCHEMA}  {SCHEMA}', 0))")
        run = target([HEAD, record("things", id="4"), state(1)], expect=1)
    assert "Another run of stored loads into the schema stored, and has not ended in time." in run.complaint
    database.rows(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    assert "takes no writes: it is a standby server, or default_transact" in target([], "--test", expect=1).complaint


@pytest.mark.parametrize("arrives", [True, False], ids=["it was done", "it was not done"])
def test_the_connection_is_lost_at_the_commit(database: Database, target: Target, arrives: bool) -> None:
    """Whether it was done is not known: all of it is repeated, and comes once."""
    log = schema("log", {"n": "integer"}, [])
    target([HEAD, log])
    rows = [record("things", id="1", n=1), record("log", n=1), record("log", n=2)]
    with Wire(database.url, arrives=arrives) as wire:
        run = target([HEAD, log, *rows, state(1)], database=wire.url)
    assert wire.cut
    assert run.states == [{"n": 1}]
    assert "trying again" in run.err
    assert database.rows("SELECT id, n FROM things") == [("1", 1)]
    assert database.rows("SELECT n FROM log ORDER BY n") == [(1,), (2,)]
    assert database.rows("SELECT CAST(state AS text) FROM _state") == [('{"n":1}',)]


class Wire:
    """A way to the server that breaks once, when rows are committed: before that arrives, or before the answer does."""

    def __init__(self, url: str, *, arrives: bool) -> None:
        self._server, self._arrives, self.cut = urlsplit(url), arrives, False
        self._at = self._server.hostname or "", self._server.port or 5432
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = self._server._replace(netloc=f"tester@127.0.0.1:{self._listener.getsockname()[1]}").geturl()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Wire:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # it was shut down
            while True:
                client, _ = self._listener.accept()
                with client, socket.create_connection(self._at) as server:
                    self._forward(client, server)

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        sent = b""
        while True:
            ready, _, _ = select.select([client, server], [], [])
            if server in ready:
                client.sendall(server.recv(65536) or b"")
            if client in ready:
                if not (said := client.recv(65536)):
                    return
                sent += said
                if b"INSERT INTO" in sent and b"COMMIT\0" in said and not self.cut:
                    self.cut = True
                    if self._arrives:
                        server.sendall(said)
                        server.recv(65536)  # it is done
                    return
                server.sendall(said)


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
