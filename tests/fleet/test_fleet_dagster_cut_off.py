"""Runs of Dagster that are cut off: nothing is taken for done, nothing that lives for dead."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Sequence
from typing import Any

import dagster
import pytest
from dagster import AssetKey, DagsterEvent, DagsterEventType, DagsterRunStatus

from ap_connectors.fleet import companies
from ap_connectors.fleet.dagster import assets, lost
from tests.fleet.conftest import VIC, Fleet
from tests.fleet.dagster_runs import Forked, Runs


def test_an_outage_is_tried_again_whatever_else_failed(fleet: Fleet, runs: Runs) -> None:
    """Of one company; another has to be set right, and is tried once."""
    taps = {"flaky": "[ $(wc -l < flaky) -gt 1 ] || exit 75", "broken": "exit 1"}
    pipelines = {}
    for name, does in taps.items():
        program = fleet.folder / f"tap-{name}"
        program.write_text(f"#!/bin/sh\necho >> {name}\n{does}\n", "utf-8")
        program.chmod(0o700)
        pipelines[name] = {"tap": str(program), "target": "target-warehouse", "schema": name}
    companies = [{"id": f"c{number}", "pipelines": [name]} for number, name in enumerate(taps, 1)]
    fleet.write(*companies, pipelines=pipelines, retries=0)
    assert not runs.run("c1", "c2")
    assert [len((fleet.folder / name).read_text("utf-8").splitlines()) for name in taps] == [2, 1]
    assert runs.done("flaky") == {"c1"}
    first, line = runs.failure.splitlines()
    assert first == "1 of 2 companies not done (1 failed); the others are."
    assert line.startswith("c2 broken: failed: ")


def test_a_batch_that_is_killed_goes_on(fleet: Fleet, runs: Runs) -> None:
    """As when memory runs out, after the first of two companies is told: the other one is not taken for done."""
    program = fleet.folder / "tap-kills"
    parent = "$(cut -d' ' -f4 /proc/$PPID/stat)"
    program.write_text(
        "#!/bin/sh\n[ -e killed ] && exit\nuntil grep -q c1 output/state/history.jsonl; do sleep 0.1; done\n"
        f"touch killed\nkill -9 {parent}\n",
        "utf-8",
    )
    program.chmod(0o700)
    kills = {"tap": str(program), "target": "target-warehouse", "schema": "killed"}
    warehouses = [{"warehouse": f"{number}.duckdb"} for number in (1, 2)]
    quick, killing = [{"id": f"c{number}", **one} for number, one in enumerate(warehouses, 1)]
    fleet.write(
        {**fleet.company(1), **quick},
        {**killing, "pipelines": ["kills"]},
        pipelines={"kills": kills},
    )
    assert runs.run("c1", "c2"), runs.failure
    assert runs.done() == {"c1"}
    assert runs.done("kills") == {"c2"}


def test_a_company_that_leaves_the_file_meanwhile_holds_up_no_other(
    fleet: Fleet, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.write(*fleet.companies(2))

    def started(command: Sequence[str], **options: Any) -> Forked:
        # After the run has read the file, before the batch does.
        fleet.write(fleet.company(1))
        return Forked(command, **options)

    monkeypatch.setattr("ap_connectors.fleet.apart.Popen", started)
    assert runs.run("c1", "c2"), runs.failure
    assert runs.done() == {"c1"}
    assert "Not in companies.yml any more, and left out: c2" in runs.told


def test_a_run_that_nothing_tells_the_end_of(fleet: Fleet, runs: Runs) -> None:
    """Of started runs, those whose process has died, or which died before their step, are told of; no other."""
    fleet.write(*fleet.companies(1))
    read, instance = companies.read(fleet.path), runs.instance
    job = runs.definitions.resolve_implicit_global_asset_job_def()
    for pool in (assets.POOL, assets.POOL_DUCKDB):
        instance.event_log_storage.set_concurrency_slots(pool, 0)

    def started(*events: DagsterEventType, selected: frozenset[AssetKey] | None = frozenset({AssetKey([VIC])})) -> str:
        run = instance.create_run_for_job(job, asset_selection=selected)
        for kind in (DagsterEventType.RUN_START, *events):
            step = "companies" if kind is DagsterEventType.STEP_START else None
            event = DagsterEvent(kind.value, job.name, message="Started.", step_key=step)
            instance.report_dagster_event(event, run.run_id)
        return run.run_id

    died, lives = started(DagsterEventType.STEP_START), started(DagsterEventType.STEP_START)
    # The last is of another code location, whose steps are slow to begin.
    early, other = started(), started(selected=None)
    # Its file could not be written, or it began before there were such files.
    without = started(DagsterEventType.STEP_START)
    waiting = [started(), started()]
    for pool, id_ in zip((assets.POOL, assets.POOL_DUCKDB), waiting, strict=True):
        # companies.yml may have changed since, and the name of the pool with it.
        instance.event_log_storage.claim_concurrency_slot(pool, id_, "companies")
    log = logging.getLogger(__name__)
    for id_ in (died, lives):
        lost.hold(read, id_, log)
    folder = read.folder / "dagster"
    for name in ("old", "new"):
        (folder / name).touch()
    os.utime(folder / "old", (0, 0))
    os.close(lost._held.pop(died))
    sensor = runs.definitions.resolve_sensor_def("lost_runs")
    cursor = None

    def look() -> set[str]:
        nonlocal cursor
        cursor = sensor.evaluate_tick(dagster.build_sensor_context(instance, cursor=cursor)).cursor
        return {run.run_id for run in instance.get_runs() if run.status is DagsterRunStatus.FAILURE}

    assert [look() for _ in range(4)] == [set(), {died}, {died}, {died, early}]
    os.close(lost._held.pop(lives))
    assert [look() for _ in range(4)][-1] == {died, early, lives}
    assert {run.run_id for run in instance.get_runs() if not run.is_finished} == {other, without, *waiting}
    assert [path.name for path in folder.iterdir()] == ["new"]


def test_a_run_whose_file_cannot_be_locked(
    fleet: Fleet, runs: Runs, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """On a volume without locks, or in a folder of another user, it goes on, and is never told dead."""
    fleet.write(*fleet.companies(1))

    def refuses(*_: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    with monkeypatch.context() as patched:
        patched.setattr("fcntl.flock", refuses)
        lost.hold(companies.read(fleet.path), "a-run", logging.getLogger(__name__))
    assert "nothing will tell of it" in caplog.text
    assert list((companies.read(fleet.path).folder / "dagster").iterdir()) == []
