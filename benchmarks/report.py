"""How figures are put into words: rows, shares, aims with yes or no. What is measured, each service says itself."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from benchmarks.output import Fidelity
from benchmarks.processes import Run
from benchmarks.turns import Progress

RECORDS = 30_000
MEMORY = (10_000, 100_000)
"""What taps read, unless told otherwise."""
MEGABYTES = 150.0
FLAT = 1.15
"""Memory counts as flat when the longest read takes at most this many times what the shortest takes."""


@dataclass(frozen=True)
class Order:
    """What is asked for: which parts, how many records, how often, and the sizes for memory; empty is the usual."""

    parts: frozenset[str]
    records: int | None
    rounds: int
    memory: tuple[int, ...]
    full: bool

    def sizes(self, *usual: int) -> list[int]:
        """Return the sizes for memory, given those that are usual for a service."""
        return list(dict.fromkeys([*(self.memory or usual), *[1_000_000] * self.full]))


class Results(Protocol):
    """What was measured of one service; a part that was not asked for is empty."""

    def text(self) -> str:
        """Return the report."""

    def as_json(self) -> dict[str, Any]:
        """Return the same figures for programs."""

    def losses(self) -> Iterator[str]:
        """Say what our tap lost: nothing, or the benchmark has failed."""


class Paced(Protocol):
    """A contestant's medians: the whole process, and the same command where there is nothing to do."""

    @property
    def whole(self) -> Run:
        """The whole process."""

    @property
    def empty(self) -> Run:
        """Its start and end."""

    @property
    def per_second(self) -> float:
        """Records a second, start of the process included."""

    @property
    def per_second_running(self) -> float:
        """Records a second once it runs."""


Measure = Callable[[Order, Progress], Results]


def machine() -> str:
    """Name what the figures depend on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} cores, {platform.python_implementation()} {platform.python_version()}, {platform.system()}"


def row(name: str, *cells: str, width: int = 10) -> str:
    """Return a line of a table."""
    return f"{name:26}" + "".join(f"{cell:>{width}}" for cell in cells)


def paces(one: Paced) -> Sequence[str]:
    """Return a contestant's medians as cells: seconds, CPU, the start alone, records a second, and once it runs."""
    return (
        f"{one.whole.seconds:.2f}",
        f"{one.whole.cpu:.2f}",
        f"{one.empty.seconds:.2f}",
        f"{one.per_second:,.0f}",
        f"{one.per_second_running:,.0f}",
    )


def peaks(title: str, unit: str, memory: Mapping[int, float]) -> Iterator[str]:
    """Show peak memory in MB by the number of records; nothing if it was not measured."""
    if memory:
        yield f"\n{title}"
        for size, peak in memory.items():
            yield row(f"{size:,} {unit}", f"{peak:.0f} MB")


def share(kept: Fidelity, number: int) -> str:
    """Say how many of the values came through."""
    return f"all {kept.sent:,}" if number == kept.sent else f"{number:,} of {kept.sent:,}"


def aim(met: bool, words: str) -> str:
    """Say whether an aim was met."""
    return f"{'yes' if met else 'NO ':4}  {words}"


def times_aim(ours: Paced, other: Paced, name: str, times: float) -> str:
    """Judge how many times as fast as another we are, its start and ours included."""
    whole, running = ours.per_second / other.per_second, ours.per_second_running / other.per_second_running
    return aim(whole >= times, f"{whole:.1f} times {name} (running: {running:.1f}); aim {times}")


def loop_aim(ours: Paced, loop: Paced, least: float) -> str:
    """Judge which share of a bare loop's speed we reach once we run."""
    whole, running = ours.per_second / loop.per_second, ours.per_second_running / loop.per_second_running
    words = f"{running:.0%} of the exact loop, running (start included: {whole:.0%}); aim {least * 100:.0f} %"
    return aim(running >= least, words)


def memory_aims(peaks: Iterable[float]) -> Iterator[str]:
    """Judge memory, given from the shortest read to the longest."""
    if not (peaks := list(peaks)):
        return
    yield aim(max(peaks) < MEGABYTES, f"{max(peaks):.0f} MB at most; aim < {MEGABYTES:.0f}")
    if len(peaks) > 1:
        growth = peaks[-1] / peaks[0]
        yield aim(growth <= FLAT, f"memory at the longest is {growth:.2f} of the shortest; aim flat ({FLAT})")
