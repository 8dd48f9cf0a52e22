"""Runs that nothing tells the end of: what Dagster's own launcher does not see.

Its code server tells of a process that died. Where the code server died with it, as when a machine loses its power, or
where PostgreSQL was down at that moment, the run stays "started" for good, and keeps its place in each limit of runs.
So each run locks a file in the folder of the fleet; the system frees the lock, however its process ends.
"""

from __future__ import annotations

import atexit
import fcntl
import json
import logging
import os
import time
from collections.abc import Collection, Iterator
from pathlib import Path

import dagster
from dagster import (
    AssetKey,
    DagsterEventType,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    DefaultSensorStatus,
    RunsFilter,
    SkipReason,
)

from ap_connectors.core import files
from ap_connectors.fleet import companies
from ap_connectors.fleet.members import Fleet

_SECONDS = 30
"""Between two looks."""
_DEAD, _NOT_BEGUN = 2, 4
"""Looks, one after the other, that find a run without its process, or before its step: no clock is asked, and the code
server, which sees more, has told meanwhile what it can tell."""
_OLD = 24 * 3600.0
"""Seconds after which a file is removed whose run this Dagster does not know."""
_WORDS = "Its process is gone, and could not say so: with its machine, or while the database was down."

_held: dict[str, int] = {}


def hold(fleet: Fleet, run_id: str, log: logging.Logger) -> None:
    """Lock the file of a run as long as this process lives; tries of the run share it.

    Where there can be no file or no lock, the run goes on without: whether it is lost is then not known.
    """
    if run_id in _held:
        return
    path = _folder(fleet) / run_id
    try:
        with files.replacing(path) as file:
            # Locked before others see it; the lock is that of the file, whatever its name.
            fcntl.flock(file.fileno(), fcntl.LOCK_EX)
            held = os.dup(file.fileno())
    except OSError as error:
        log.warning(f"{path}: {error.strerror}. If this run is lost with its machine, nothing will tell of it.")
        return
    _held[run_id] = held
    # Of a command such as `dagster asset materialize`; a worker's file is removed by the sensor.
    atexit.register(path.unlink, missing_ok=True)


def sensor(path: Path, pipelines: Collection[AssetKey]) -> dagster.SensorDefinition:
    """Return what tells Dagster of lost runs of some assets; its `run_retries` start them again."""

    @dagster.sensor(
        name="lost_runs",
        minimum_interval_seconds=_SECONDS,
        default_status=DefaultSensorStatus.RUNNING,
        description="Tells of runs whose process is gone, so that they are started again and keep no place.",
    )
    def lost_runs(context: dagster.SensorEvaluationContext) -> SkipReason:
        instance, before = context.instance, json.loads(context.cursor or "{}")
        found = [(run, _DEAD) for run in _unlocked(instance, companies.read(path))]
        found += [(run, _NOT_BEGUN) for run in _not_begun(instance, pipelines)]
        looks = {run.run_id: before.get(run.run_id, 0) + 1 for run, _ in found}
        lost = [run for run, most in found if looks[run.run_id] >= most]
        for run in lost:
            context.log.warning(f"Run {run.run_id}: {_WORDS}")
            instance.report_run_failed(run, _WORDS)
        context.update_cursor(json.dumps(looks))
        return SkipReason(f"Lost runs: {', '.join(run.run_id for run in lost) or 'none'}.")

    return lost_runs


def _unlocked(instance: DagsterInstance, fleet: Fleet) -> Iterator[DagsterRun]:
    """Yield started runs whose lock is free; remove the files of runs that have ended."""
    for file in _folder(fleet).glob("*"):
        # The lock first: whoever has freed it has told the end before, if it could.
        if not _is_free(file):
            continue
        run = instance.get_run_by_id(file.name)
        if run is not None and run.status is DagsterRunStatus.STARTED:
            yield run
        elif run.is_finished if run is not None else _is_old(file):
            file.unlink(missing_ok=True)


def _not_begun(instance: DagsterInstance, pipelines: Collection[AssetKey]) -> Iterator[DagsterRun]:
    """Yield started runs of ours whose step has not begun, and does not wait for a pool."""
    waiting = instance.event_log_storage.get_concurrency_run_ids()
    for run in instance.get_runs(RunsFilter(statuses=[DagsterRunStatus.STARTED])):
        # Other code locations have runs in the same Dagster, of which nothing is known here.
        selected = {*(run.asset_selection or ()), *(check.asset_key for check in run.asset_check_selection or ())}
        if not selected or not selected <= set(pipelines) or run.run_id in waiting:
            continue
        if not instance.get_records_for_run(run.run_id, of_type=DagsterEventType.STEP_START, limit=1).records:
            yield run


def _is_free(path: Path) -> bool:
    """Return whether the lock can be had; of what cannot be opened or locked nothing is known."""
    try:
        file = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(file)
    return True


def _is_old(path: Path) -> bool:
    return time.time() - path.stat().st_mtime > _OLD


def _folder(fleet: Fleet) -> Path:
    return fleet.folder / "dagster"
