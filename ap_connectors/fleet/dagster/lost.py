"""Runs that nothing tells the end of: what Dagster's own launcher does not see.

Its code server tells of a process that died. Where the code server died with it, as when a machine loses its power, or
where PostgreSQL was down at that moment, the run stays "started" for good, and keeps its place in each limit of runs.
So each run locks a file in the folder of the fleet; the system frees the lock, however its process ends.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

import dagster
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, DefaultSensorStatus, RunsFilter, SkipReason

from ap_connectors.core import files
from ap_connectors.fleet import companies
from ap_connectors.fleet.members import Fleet

BEGUN = "ap-fleet/begun"
"""Tag of a run whose file is there, with its id: a retry has the tags of the run that it is made from."""
_SECONDS = 30
_UNTOLD = 120.0
"""Seconds within which a run that has started gets to its step."""
_WORDS = "Its process is gone, and could not say so: with its machine, or while the database was down."

_held: dict[str, int] = {}


def hold(instance: DagsterInstance, fleet: Fleet, run_id: str) -> None:
    """Lock the file of a run as long as this process lives; tries of the run share it."""
    if run_id in _held:
        return
    path = _folder(fleet) / run_id
    with files.replacing(path) as file:
        # Locked before others see it; the lock is that of the file, whatever its name.
        _held[run_id] = os.dup(file.fileno())
        fcntl.flock(_held[run_id], fcntl.LOCK_EX)
    # Of a command such as `dagster asset materialize`; a worker's file is removed by the sensor.
    atexit.register(path.unlink, missing_ok=True)
    instance.add_run_tags(run_id, {BEGUN: run_id})


def sensor(path: Path, pool: str) -> dagster.SensorDefinition:
    """Return what tells Dagster of lost runs; its `run_retries` start them again."""

    @dagster.sensor(
        name="lost_runs",
        minimum_interval_seconds=_SECONDS,
        default_status=DefaultSensorStatus.RUNNING,
        description="Tells of runs whose process is gone, so that they are started again and keep no place.",
    )
    def lost_runs(context: dagster.SensorEvaluationContext) -> SkipReason:
        instance = context.instance
        lost = [*_unlocked(instance, companies.read(path)), *_not_begun(instance, pool)]
        for run in lost:
            context.log.warning(f"Run {run.run_id}: {_WORDS}")
            instance.report_run_failed(run, _WORDS)
        return SkipReason(f"Lost runs: {', '.join(run.run_id for run in lost) or 'none'}.")

    return lost_runs


def _unlocked(instance: DagsterInstance, fleet: Fleet) -> Iterator[DagsterRun]:
    """Yield started runs whose lock is free; remove the files of runs that have ended."""
    for file in _folder(fleet).glob("*"):
        # The lock first: whoever has freed it has told the end before, if it could.
        run = instance.get_run_by_id(file.name) if _is_free(file) else None
        if run is not None and run.status is DagsterRunStatus.STARTED:
            yield run
        elif run is not None and run.is_finished:
            file.unlink(missing_ok=True)


def _not_begun(instance: DagsterInstance, pool: str) -> Iterator[DagsterRun]:
    """Yield runs that have started long ago and do not wait for the pool, and have no file yet."""
    storage = instance.event_log_storage
    waiting = (
        {step.run_id for step in storage.get_concurrency_info(pool).pending_steps}
        if storage.supports_global_concurrency_limits
        else set()
    )
    for record in instance.get_run_records(RunsFilter(statuses=[DagsterRunStatus.STARTED])):
        run, began = record.dagster_run, record.start_time or time.time()
        if run.tags.get(BEGUN) != run.run_id and run.run_id not in waiting and time.time() - began > _UNTOLD:
            yield run


def _is_free(path: Path) -> bool:
    try:
        file = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(file)
    return True


def _folder(fleet: Fleet) -> Path:
    found = fleet.folder / "dagster"
    found.mkdir(parents=True, exist_ok=True)
    return found
