"""`--against CHECKOUT`: the same reading and loading with this checkout's commands and another's, in the same run."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from benchmarks import contestants, loading, reading, warehouse
from benchmarks.contestants import Contestant
from benchmarks.processes import FailedError
from benchmarks.results import Aim, Order, Progress, Results, Row
from benchmarks.warehouse import Loader

READERS = {
    "ivesk": (reading.IVESK, (contestants.TAP_IVESK, contestants.TAP_IVESK_LINES)),
    "vicai": (reading.VICAI, (contestants.TAP_VICAI,)),
}
NOISE = 1.1
"""CPU time that differs by less is the same; the time on the clock depends on what else the machine does."""


def measured(service: str, checkout: Path, order: Order, progress: Progress) -> Results:
    """Measure one service's commands of both checkouts, in turn.

    Raises:
        FailedError: the other checkout has no such commands.
    """
    label = _label(checkout)
    results = Results(f"this checkout beside {label}")
    if service in READERS:
        described, ours = READERS[service]
        pairs = _pairs(ours, checkout, label)
        rows = reading.speed(described, _flat(pairs), order, results, progress)
        _judge(pairs, rows, results)
        return results
    if service == "warehouse":
        loaders = [one for one in (warehouse.DUCKDB, warehouse.POSTGRESQL) if one.there]
        beside = _pairs(loaders, checkout, label)
        _judge(beside, warehouse.loads(_flat(beside), order, results, progress), results)
        return results
    records = order.records or loading.RECORDS
    pairs = _pairs([contestants.WRITING], checkout, label)
    written = loading.writes(round(records * loading.WRITTEN), order.rounds, _flat(pairs), results, progress)
    _judge(pairs, written, results)
    pairs = _pairs([contestants.COMPARING], checkout, label)
    compared = loading.unchanged(round(records * loading.COMPARED), _flat(pairs), results, progress)
    _judge(pairs, compared, results)
    return results


def _label(checkout: Path) -> str:
    """Return the other checkout's commit, or its folder's name where git does not know one."""
    command = ["git", "-C", str(checkout), "rev-parse", "--short", "HEAD"]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return found or checkout.name


_One = TypeVar("_One", Contestant, Loader)


def _pairs(ours: Sequence[_One], checkout: Path, label: str) -> list[tuple[_One, _One]]:
    pairs = [(one, one.at(checkout, label)) for one in ours]
    for _, other in pairs:
        if not Path(other.command[0]).exists():
            raise FailedError(f"{other.command[0]} does not exist: run `make .venv/.dev` in {checkout} first.")
    return pairs


def _flat(pairs: Sequence[tuple[_One, _One]]) -> list[_One]:
    return [one for pair in pairs for one in pair]


def _judge(pairs: Sequence[tuple[_One, _One]], rows: Sequence[Row], results: Results) -> None:
    """Say of each command how much time it takes beside the other checkout's."""
    by_name = {row.name: row for row in rows}
    for ours, theirs in pairs:
        mine, other = by_name[ours.name], by_name[theirs.name]
        cpu, clock = (mine[cell] / other[cell] for cell in ("cpu_seconds", "seconds"))
        words = f"{ours.name}: {cpu:.0%} of the other's CPU time, {clock:.0%} of its time on the clock"
        results.aims.append(Aim(cpu <= NOISE, f"{words}; aim {NOISE:.0%} of the CPU time"))
