"""STATE goes out after the rows that it covers are committed, whatever happens; two runs never mix."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests import preloaded
from tests.campaign import seeds
from tests.conftest import catalogs, tap_command
from tests.duckdb_held import held
from tests.target_vicai.conftest import lines, record, settings, state
from tests.target_warehouse.conftest import SCHEMA, Database, Target, command, raw, schema
from tests.target_warehouse.test_warehouse_streams import check, held_by_vic

HEAD = schema("things", {"id": "string", "n": "integer"})
_KILLS = 5


def stored(database: Database) -> list[Any]:
    return [
        json.loads(text) for (text,) in database.rows("SELECT CAST(state AS varchar) FROM _state ORDER BY pipeline")
    ]


def read_up_to(state: dict[str, Any]) -> dict[str, str]:
    """How far each stream, or each of its parts, was read: the values of its bookmarks."""
    found = {}
    for stream, bookmark in state["bookmarks"].items():
        for one in (bookmark, *bookmark.get("partitions", ())):
            if "replication_key_value" in one:
                found[f"{stream} {one.get('context')}"] = one["replication_key_value"]
    return found


def test_the_last_state_is_kept_with_the_rows(target: Target, database: Database) -> None:
    value = '{"type": "STATE", "value": {"n" : 1.50, "quote": "it\'s"}}'
    run = target([HEAD, record("things", id="1"), state(0), record("things", id="2"), value])
    # Of states that are certain together the last goes out, to the byte.
    assert run.out == '{"n" : 1.50, "quote": "it\'s"}\n'
    assert database.texts("_state", "pipeline", "state", "company") == [(SCHEMA, '{"n" : 1.50, "quote": "it\'s"}', "")]
    target([HEAD, state(7)], state_id="another")
    assert stored(database) == [{"n": 7}, {"n": 1.5, "quote": "it's"}]


def test_what_came_before_wrong_input_is_loaded(target: Target, database: Database) -> None:
    run = target([HEAD, record("things", id="1"), state(1), record("things", id="2"), "Traceback"], expect=1)
    assert run.states == [{"n": 1}]
    assert "is not JSON" in run.complaint
    assert database.rows("SELECT id FROM things ORDER BY id") == [("1",), ("2",)]


def test_a_row_that_the_database_does_not_take(target: Target, database: Database) -> None:
    if not database.is_postgresql:
        pytest.skip("DuckDB takes all that fits its types")
    # Entries of an index have a largest size.
    noise = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=9000))
    records = [record("things", id=one) for one in ("1", noise, "2")]
    run = target([HEAD, *records, state(1)], expect=1)
    assert run.states == [{"n": 1}]
    assert [(one["code"], one["line"]) for one in run.rejected] == [("warehouse_refused", 3)]
    assert database.rows("SELECT id FROM things ORDER BY id") == [("1",), ("2",)]


def test_what_another_program_made_is_refused(target: Target, database: Database) -> None:
    # As target-duckdb leaves it: names in lower case, text.
    database.rows("CREATE SCHEMA stored") if database.is_postgresql else None
    with database.connected() as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS stored")
        connection.execute("CREATE TABLE stored.things (internalid varchar, totalamount varchar)")
    run = target(
        [schema("things", {"internalId": "string"}, ["internalId"]), record("things", internalId="1")], expect=1
    )
    assert "The table things was not made by target-warehouse" in run.complaint
    assert "docs/upgrade.md" in run.complaint
    assert database.rows("SELECT count(*) FROM things") == [(0,)]


def test_wrong_settings(target: Target, database: Database, tmp_path: Path) -> None:
    (tmp_path / "text.duckdb").write_text("no database" * 100)
    for url, words in (
        (str(tmp_path / "text.duckdb"), "is not a DuckDB file"),
        # As SQLAlchemy writes it. A file of that name was made, and the password was in the log.
        (
            "postgresql+psycopg2://user:hunter2secret@127.0.0.1:1/x",
            "neither the path of a DuckDB file nor a URL of PostgreSQL",
        ),
        ("/proc/none/w.duckdb", "cannot be made"),
        ("postgresql://user:hunter2secret@127.0.0.1:1/x", "PostgreSQL at 127.0.0.1: "),
    ):
        run = target([HEAD, state(1)], expect=1, database=url)
        assert words in run.complaint
        assert "hunter2secret" not in run.err
        assert run.out == ""
    assert not list(Path().glob("postgresql*"))


def test_names_that_are_odd(target: Target, database: Database) -> None:
    long = "x" * 80
    streams = ["_state", "Quoted \"name'", "UPPER", "upper", long]
    fields = {
        "id": "string",
        "ID": "string",
        "select": "string",
        'q"uote': "string",
        long: "string",
        f"{long}y": "string",
    }
    messages = []
    for stream in streams:
        head = schema(stream, fields)
        head["stream"] = stream
        row = {name: f"{stream[:5]}{number}" for number, name in enumerate(fields)}
        messages += [head, {"type": "RECORD", "stream": stream, "record": row}]
    assert target([*messages, state(1)]).states == [{"n": 1}]
    again = target([*messages, state(1)])
    assert again.report["total"]["unchanged"] == len(streams)
    assert len(database.tables()) == len(streams) + 1
    assert "_state_" in database.tables()
    assert len(database.types("UPPER")) == len(fields) + 1


def test_a_key_that_changes(target: Target, database: Database) -> None:
    fields = {"id": "string", "n": "integer"}
    target([HEAD, record("things", id="1", n=1), record("things", id="2", n=1)])
    both = schema("things", fields, ["id", "n"])
    target([both, record("things", id="1", n=1), record("things", id="1", n=2)])
    assert database.rows("SELECT id, n FROM things ORDER BY id, n") == [("1", 1), ("1", 2), ("2", 1)]
    for head in (HEAD, schema("things", fields, [])):
        run = target([head, record("things", id="3", n=3), state(1)], expect=1)
        assert "The key of things has changed from id, n to" in run.complaint
        assert run.out == ""
    assert len(database.rows("SELECT * FROM things")) == 3


# Two at once


@contextlib.contextmanager
def holding(database: Database) -> Iterator[None]:
    """Another program that has the file open, or another run of the pipeline."""
    if database.is_postgresql:
        run = f"target-warehouse {SCHEMA}  {SCHEMA}"
        with database.connected() as connection:
            connection.execute(f"SELECT pg_advisory_lock(hashtextextended('{run}', 0))")
            yield
        return
    with held(database.url):
        yield


def test_a_run_waits_for_another(target: Target, database: Database, tmp_path: Path) -> None:
    target([HEAD, record("things", id="1", n=1)])
    log = tmp_path / "log"
    with log.open("wb") as err:
        with holding(database):
            source, sink = os.pipe()
            with os.fdopen(source, "rb") as stdin, os.fdopen(sink, "wb") as out:
                process = preloaded.start(command(tmp_path, database), stdin=stdin, stdout=err, stderr=err)
                out.write(lines([HEAD, record("things", id="1", n=2), state(1)]))
            until = time.monotonic() + 60
            while b"waiting until it" not in log.read_bytes():
                assert time.monotonic() < until, log.read_text()
                time.sleep(0.05)
        assert process.wait(60) == 0, log.read_text()
    assert database.rows("SELECT n FROM things") == [(2,)]


def test_companies_load_side_by_side(database: Database, tmp_path: Path) -> None:
    if not database.is_postgresql:
        pytest.skip("DuckDB lets one program write to a file")
    processes = []
    for number in range(4):
        folder = tmp_path / str(number)
        folder.mkdir()
        fields = {"id": "string", "n": "integer", **{f"f{number}_{one}": "number" for one in range(number)}}
        head = schema("things", fields)
        rows = [raw("things", f'{{"id": "{one}", "n": {one}, "f{number}_0": {one}}}') for one in range(300)]
        rows.append(raw("things", f'{{"id": "last", "n": {2 ** (62 + number)}}}'))
        (folder / "input").write_bytes(lines([head, *rows, state(number)]))
        config = command(folder, database, company=f"c{number}")
        with (folder / "input").open("rb") as stdin, (folder / "err").open("wb") as err:
            processes.append(preloaded.start(config, stdin=stdin, stdout=err, stderr=err))
    for number, process in enumerate(processes):
        assert process.wait(120) == 0, (tmp_path / str(number) / "err").read_text()
    found = database.rows("SELECT company, count(*), max(n) FROM things GROUP BY company ORDER BY company")
    assert found == [(f"c{number}", 301, 2 ** (62 + number)) for number in range(4)]
    assert len(stored(database)) == 4


# Killed


@seeds(range(20), sample=1)
def test_faults_of_the_service_lose_nothing(
    sandbox: SandboxProcess, database: Database, tmp_path: Path, seed: int
) -> None:
    """Storms of 429 and 503, resets, broken-off answers: after as many runs as it takes the warehouse is whole."""
    dice = random.Random(1000 + seed)
    sandbox.control.reset(documents=0, invoices=80, vicai={"rate_requests": 0})
    kinds: list[dict[str, Any]] = [
        {"kind": "status", "status": 503},
        {"kind": "status", "status": 429},
        {"kind": "reset"},
        {"kind": "truncate"},
        {"kind": "html"},
        {"kind": "lost"},
    ]
    for number, fault in enumerate(dice.sample(kinds, 4)):
        sandbox.control.fault(**fault, path="/vicai/v0", rate=0.03, seed=seed * 10 + number)
    account = settings(sandbox, tmp_path) | {"documents_from": None, "ledger_path": None, "invoice_states": ["ALL"]}
    catalog = catalogs("tap_vicai")("invoices", "invoice_line_items", "purchase_orders", "purchase_order_line_items")
    place, known = tmp_path / "target", None
    place.mkdir()
    for _ in range(6):
        tap = tap_command(tmp_path, account, catalog=catalog, state=known, module="tap_vicai")
        read = preloaded.run(tap, timeout=300)
        # What a broken-off tap wrote is loaded, too; its last line may be half a line.
        written = preloaded.run(command(place, database, memory_mb=64), input=read.stdout)
        assert written.returncode == 0, written.stderr.decode()[-2000:]
        known = json.loads(written.stdout.splitlines()[-1]) if written.stdout else known
        if read.returncode == 0:
            break
    assert read.returncode == 0, read.stderr.decode()[-2000:]
    sandbox.control.clear_faults()
    whole = preloaded.run(tap_command(tmp_path, account, catalog=catalog, module="tap_vicai"))
    assert {"invoices", "invoice_line_items"} <= check(database, whole.stdout, held_by_vic(sandbox)).keys()


@seeds(range(50))
def test_killed_at_any_point_the_next_run_is_whole(
    sandbox: SandboxProcess, database: Database, tmp_path: Path, seed: int
) -> None:
    """Kill tap and target together, at random moments, with changes in between; then let one run end."""
    chance = random.Random(seed)
    sandbox.control.reset(documents=0, invoices=150, vicai={"rate_requests": 0})
    account = settings(sandbox, tmp_path) | {"documents_from": None, "ledger_path": None, "invoice_states": ["ALL"]}
    catalog = catalogs("tap_vicai")(
        "company", "invoices", "invoice_line_items", "purchase_orders", "purchase_order_line_items", "vendors"
    )
    log, known = tmp_path / "err", None
    place = tmp_path / "target"
    place.mkdir()
    for number in range(_KILLS + 1):
        tap = tap_command(tmp_path, account, catalog=catalog, state=known, module="tap_vicai")
        last = number == _KILLS
        out = tmp_path / f"out-{number}"
        source, sink = os.pipe()
        with log.open("ab") as err, out.open("wb") as states:
            with os.fdopen(sink, "wb") as piped, Path(os.devnull).open("rb") as nothing:
                reader = preloaded.start(tap, stdin=nothing, stdout=piped, stderr=err)
            with os.fdopen(source, "rb") as piped_in:
                # Little memory: many transactions.
                writer = preloaded.start(
                    command(place, database, memory_mb=64), stdin=piped_in, stdout=states, stderr=err
                )
            if not last:
                time.sleep(chance.random())
                for process in chance.sample([reader, writer], 2):
                    process.send_signal(signal.SIGKILL)
            ended = [process.wait(120) for process in (reader, writer)]
        if last:
            assert ended == [0, 0], log.read_text()[-3000:]
        complete = [line for line in out.read_text().splitlines(keepends=True) if line.endswith("\n")]
        if complete:
            known = json.loads(complete[-1])
            (kept,) = stored(database)
            # It may be ahead: a kill can come after the commit, and before the STATE is out.
            assert all(read_up_to(kept)[name] >= value for name, value in read_up_to(known).items())
        if not last and chance.random() < 0.5:
            ids = [one["internalId"] for one in sandbox.control.vicai.records("invoices")]
            sandbox.control.vicai.touch("invoices", chance.sample(ids, 5))
    # All of it once more, without a state, is what has to be there.
    whole = preloaded.run(tap_command(tmp_path, account, catalog=catalog, module="tap_vicai"))
    assert {"invoices", "invoice_line_items"} <= check(database, whole.stdout, held_by_vic(sandbox)).keys()
