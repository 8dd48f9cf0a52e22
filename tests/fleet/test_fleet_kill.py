"""Killed anywhere, ended by a signal, run twice at once: no row is lost, none doubled, no state mixed up."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests import postgresql, preloaded
from tests.campaign import one_in, seeds
from tests.fleet.conftest import VIC, Fleet, children, needs_postgresql, wait_for
from tests.preloaded import Process

KILLS = 4
SIGNAL_WHILE_LOADING = """
import os, signal
from ap_connectors.fleet import children
from ap_connectors.fleet.cli import main
load = children.preload
def preload(names):
    os.kill(os.getpid(), signal.SIGINT)
    load(names)
children.preload = preload
"""
"""The signal comes when plugins are loaded, and before anything is run."""
DEMO = Path(__file__).parent.parent.parent / "demo"


def started(fleet: Fleet, *arguments: str) -> Process | subprocess.Popen[bytes]:
    with Path(os.devnull).open("r+b") as null:
        return preloaded.start(fleet.command("run", *arguments), stdin=null, stdout=null, stderr=null)


def descendants(pid: int) -> list[int]:
    """The processes that one has started, and those that these have."""
    return [one for child in children(pid) for one in (child, *descendants(child))]


def _unless(word: str, text: str) -> str:
    return "" if word in text else text


def hurt(process: Process | subprocess.Popen[bytes], dice: random.Random) -> None:
    """Kill the batch, a worker, a tap or a target; or the database."""
    wait_for(lambda: descendants(process.pid))
    time.sleep(dice.random() * 1.5)
    if not postgresql.GIVEN and dice.random() < 0.2:
        with postgresql.stopped():
            time.sleep(dice.random())
        return
    victims = descendants(process.pid) + [process.pid] * (dice.random() < 0.5)
    if victims:
        with contextlib.suppress(ProcessLookupError):
            os.kill(dice.choice(victims), signal.SIGKILL)


@pytest.mark.long
@needs_postgresql
@pytest.mark.skipif(sys.platform != "linux", reason="processes are found by /proc")
@seeds(range(5), sample=1)
def test_after_kills_every_warehouse_equals_its_service(big_fleet: Fleet, seed: int) -> None:
    """Four times, at random moments, while the companies work on."""
    fleet, dice = big_fleet, random.Random(seed)
    numbers = range(1, 4)
    fleet.write(*fleet.companies(len(numbers)))
    for _ in range(KILLS):
        process = started(fleet, "--jobs=3")
        hurt(process, dice)
        process.wait(180)
        for number in numbers:
            vic = fleet.of(number).control.vicai
            vic.touch("vendors", [dice.choice(vic.records("vendors"))["internalId"]])
    # What is left of a killed batch ends by itself, and then lets go of its locks.
    wait_for(lambda: all(one["status"] == "done" for one in _tried(fleet).values()))
    assert not any(fleet.differences(number) for number in numbers)
    names = [one["name"] for one in fleet.sandbox.control.companies()]
    tenants = fleet.rows("SELECT company, tenant FROM vicai._state ORDER BY company")
    assert tenants == [(f"c{number}", names[number - 1]) for number in numbers]


@needs_postgresql
@pytest.mark.skipif(sys.platform != "linux", reason="processes are found by /proc")
@seeds(range(5), sample=0)
def test_after_kills_nothing_is_lost_or_doubled_at_vic(big_fleet: Fleet, seed: int) -> None:
    """Documents of two companies as training invoices, with vendors; states in PostgreSQL or in a folder."""
    fleet, dice = big_fleet, random.Random(seed)
    companies = []
    for number in (1, 2):
        company = fleet.of(number)
        company.control.reset(documents=60, invoices=0)
        code = company.control.ivesk(sums=False)["companies"][0]["code"]
        tables = DEMO / "tables"
        settings = {
            "tap-ivesk": {"api_key": company.api_key, "company_codes": [code]},
            "mapper-ivesk-vicai": {
                "company_code": code,
                "vat_classes": str(tables / "vat.csv"),
                "accounts": str(tables / "accounts.csv"),
                "objects": str(tables / "objects.csv"),
                "max_rejects": 1000,
            },
            "target-vicai": {**fleet.credentials(number), "max_rejects": 1000},
        }
        companies.append({"id": f"c{number}", "pipelines": ["ivesk-to-vic"], "settings": settings})
    fleet.write(*companies, **({"state": fleet.warehouse} if seed % 2 else {}))
    for _ in range(KILLS):
        process = started(fleet, "--jobs=2")
        hurt(process, dice)
        process.wait(180)
    wait_for(lambda: all(one["status"] == "done" for one in _tried(fleet).values()))
    killed = [_at_vic(fleet, number) for number in (1, 2)]
    for number in (1, 2):
        fleet.of(number).control.reset(documents=60, invoices=0)
    for path in (fleet.folder / "output").glob("*/*"):
        shutil.rmtree(path, ignore_errors=True)
    if seed % 2:
        fleet.rows("DELETE FROM fleet_state")
    assert {one["status"] for one in _tried(fleet).values()} == {"done"}
    assert killed == [_at_vic(fleet, number) for number in (1, 2)]
    assert all(killed)


def _at_vic(fleet: Fleet, number: int) -> list[tuple[str, ...]]:
    """What a company has at Vic.ai that came from documents."""
    vic = fleet.of(number).control.vicai
    found = [("vendor", str(one["name"]), str(one.get("externalId"))) for one in vic.records("vendors")]
    found += [
        ("invoice", str(one.get("externalId")), str(one.get("totalAmount"))) for one in vic.records("trainingInvoices")
    ]
    return sorted(found)


def _tried(fleet: Fleet) -> dict[str, dict[str, Any]]:
    done = fleet.done("run", "--format=json")
    assert done.returncode in {0, 1}, done.stderr
    return {one["company"]: one for one in map(json.loads, done.stdout.splitlines())}


def test_a_signal_ends_taps_between_records_and_keeps_the_state(fleet: Fleet) -> None:
    # Many streams come after this one, however late the signal arrives.
    fleet.of(1).control.fault("slow", path="/vicai/v0/invoices", rate=1, seconds=10)
    fleet.write(*fleet.companies(2))
    process = started(fleet, "--jobs=1")
    wait_for(lambda: [one for one in fleet.of(1).control.calls() if one["path"] == "/vicai/v0/dimensions"])
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(60) == 1
    statuses = [line.split('"status":"')[1].split('"')[0] for line in fleet.written.splitlines() if '"run_id"' in line]
    assert statuses == ["ended", "ended"]
    assert not fleet.rows("SELECT 1 FROM vicai.accounts WHERE company = 'c2'")
    kept = fleet.rows("SELECT count(*) FROM vicai.accounts WHERE company = 'c1'")
    assert kept[0][0] == len(fleet.of(1).control.vicai.records("accounts"))
    assert fleet.rows("SELECT company FROM vicai._state") == [("c1",)]
    fleet.of(1).control.clear_faults()
    fleet.run()
    assert not any(fleet.differences(number) for number in (1, 2))


@one_in(3)
@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize("moment", ["loading", "at work"])
def test_a_batch_that_is_told_to_end_ends_and_tells_of_each_pipeline(fleet: Fleet, command: str, moment: str) -> None:
    """Also when what was ended is the last that was under way, and its company has further pipelines to run."""
    fleet.of(1).control.fault("slow", rate=1, seconds=30)
    companies = fleet.companies(2)
    for one in companies:
        one["pipelines"] = [VIC, "again"]
        one["settings"] = {"tap-vicai": one["settings"]["tap-vicai"]}
    fleet.write(*companies, pipelines={"again": {"tap": "tap-vicai", "target": "target-warehouse", "schema": "again"}})
    code = SIGNAL_WHILE_LOADING if moment == "loading" else "from ap_connectors.fleet.cli import main"
    given = [command, "--companies", str(fleet.path), "--jobs=1"]
    ask = [sys.executable, "-c", f"import sys\n{code}\nsys.exit(main({given!r}))"]
    with (fleet.folder / "said").open("w+b") as said:
        process = subprocess.Popen(ask, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT)
        try:
            if moment == "at work":
                wait_for(fleet.of(1).control.calls)
                process.send_signal(signal.SIGINT)
            status = process.wait(60)
        finally:
            process.kill()
            process.wait()
    told = (fleet.folder / "said").read_text(encoding="utf-8")
    assert told.count(": ended: the batch was ended before it began.") >= (4 if moment == "loading" else 3), told
    assert status == 1, told
    assert "Traceback" not in told
    if command == "run":
        assert "0 of 4 pipelines done" in told
        ends = [json.loads(line)["status"] for line in fleet.ask("history", "--format=json").splitlines()]
        assert ends == ["ended"] * 4


@pytest.mark.long
@needs_postgresql
@pytest.mark.skipif(sys.platform != "linux", reason="processes are found by /proc")
@pytest.mark.parametrize("place", ["folder", "postgresql"])
def test_a_batch_that_was_cut_off_is_told_of(big_fleet: Fleet, place: str) -> None:
    """As by the end of the machine: status and history say what was done until then, and what was not, and when."""
    fleet = big_fleet
    fleet.of(2).control.fault("slow", path="/vicai/v0/vendors", rate=1, seconds=30)
    fleet.write(*fleet.companies(2), **({"state": fleet.warehouse} if place == "postgresql" else {}))
    process = started(fleet, "--jobs=1")
    wait_for(lambda: [one for one in fleet.of(2).control.calls() if one["path"] == "/vicai/v0/dimensions"])
    assert "c2       vic-to-warehouse" in (said := fleet.ask("status", expect=1))
    assert "busy: its first run is under way, in the batch that began at 20" in said
    for pid in (process.pid, *descendants(process.pid)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait(60)
    # The database sees that the connection has ended.
    said = wait_for(lambda: _unless("busy", fleet.done("status").stdout.decode()))
    done, cut = said.splitlines()[1:]
    assert done.endswith("done")
    assert "cut off: the run that began at 20" in cut
    assert "was cut off before this was done, at 20" in cut
    assert [line.rsplit("  ", 1)[1][:7] for line in fleet.ask("history").splitlines()[1:]] == ["done", "cut off"]
    # It is in the history for good once another run has begun.
    fleet.run("--only=c1")
    fleet.run("--only=c1")
    told = [json.loads(line) for line in fleet.ask("history", "--format=json").splitlines()]
    ends = [("c1", "done"), ("c2", "cut off"), ("c1", "done"), ("c1", "done")]
    assert [(one["company"], one["status"]) for one in told] == ends
    assert "cut off" in fleet.ask("status", "--only=c2", expect=1)
    fleet.of(2).control.clear_faults()
    fleet.run()
    fleet.ask("status")
    assert not any(fleet.differences(number) for number in (1, 2))


@pytest.mark.long
def test_a_reader_that_has_enough_ends_the_batch_as_a_signal_does(fleet: Fleet) -> None:
    fleet.write(*fleet.companies(2))
    source, sink = os.pipe()
    with Path(os.devnull).open("r+b") as null, os.fdopen(sink, "wb") as out:
        process = preloaded.start(
            fleet.command("run", "--format=json", "--jobs=1"), stdin=null, stdout=out, stderr=null
        )
    os.close(source)
    assert process.wait(60) == 128 + signal.SIGPIPE
    told = [json.loads(line) for line in fleet.ask("history", "--format=json").splitlines()]
    assert [(one["company"], one["status"]) for one in told] == [("c1", "done"), ("c2", "ended")]


def test_two_runs_of_a_company_do_not_overlap(fleet: Fleet) -> None:
    fleet.write(fleet.company(1))
    fleet.run()
    path = fleet.folder / "output" / "state" / "c1" / "vic-to-warehouse.lock"
    with path.open("r+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        found = fleet.run(expect=1)["c1"]
    assert found["status"] == "busy"
    assert "another run of it is under way (process " in found["error"]
    assert fleet.run()["c1"]["status"] == "done"


@pytest.mark.long
@needs_postgresql
def test_two_runs_of_a_company_do_not_overlap_in_postgresql(big_fleet: Fleet) -> None:
    fleet = big_fleet
    fleet.write(*fleet.companies(2))
    with psycopg.connect(fleet.warehouse, autocommit=True) as connection:
        name = "ap-fleet c1 vic-to-warehouse"
        connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", (name,))
        found = fleet.run(expect=1)
    assert {name: one["status"] for name, one in found.items()} == {"c1": "busy", "c2": "done"}
    assert fleet.run()["c1"]["status"] == "done"


def test_a_state_that_another_has_changed_is_not_written_over(fleet: Fleet) -> None:
    from ap_connectors.core.errors import Stop  # noqa: PLC0415
    from ap_connectors.fleet.state import FolderStore  # noqa: PLC0415

    one, other = (FolderStore(fleet.folder, "c1", "erp-to-vic") for _ in range(2))
    one.lock()
    assert one.read() is None
    assert other.read() is None
    one.write(b'{"bookmarks": {"a": 1}}')
    with pytest.raises(Stop, match="another program has changed the state"):
        other.write(b'{"bookmarks": {"b": 1}}')
    assert other.read() == b'{"bookmarks": {"a": 1}}'
