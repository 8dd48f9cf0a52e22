"""How figures are put into words: rows, shares, aims with yes or no. What is measured, each service says itself."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from benchmarks.output import Fidelity
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


Measure = Callable[[Order, Progress], Results]


def machine() -> str:
    """Name what the figures depend on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} cores, {platform.python_implementation()} {platform.python_version()}, {platform.system()}"


def row(name: str, *cells: str, width: int = 10) -> str:
    """Return a line of a table."""
    return f"{name:26}" + "".join(f"{cell:>{width}}" for cell in cells)


def share(kept: Fidelity, number: int) -> str:
    """Say how many of the values came through."""
    return f"all {kept.sent:,}" if number == kept.sent else f"{number:,} of {kept.sent:,}"


def aim(met: bool, words: str) -> str:
    """Say whether an aim was met."""
    return f"{'yes' if met else 'NO ':4}  {words}"


def memory_aims(peaks: Iterable[float]) -> Iterator[str]:
    """Judge memory, given from the shortest read to the longest."""
    if not (peaks := list(peaks)):
        return
    yield aim(max(peaks) < MEGABYTES, f"{max(peaks):.0f} MB at most; aim < {MEGABYTES:.0f}")
    if len(peaks) > 1:
        growth = peaks[-1] / peaks[0]
        yield aim(growth <= FLAT, f"memory at the longest is {growth:.2f} of the shortest; aim flat ({FLAT})")
