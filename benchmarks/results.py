"""What is asked for, and what was measured: rows in tables, aims with yes or no, losses; the one way to print them."""

from __future__ import annotations

import math
import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Order:
    """What is asked for: how many records, rounds, sizes for memory; `None` or empty is what is usual."""

    records: int | None = None
    rounds: int = 3
    memory: tuple[int, ...] = ()
    against: Path | None = None
    """Another checkout, whose commands are measured beside ours."""

    def sizes(self, *usual: int) -> tuple[int, ...]:
        """Return the sizes for memory, given those that are usual for a service."""
        return self.memory or usual


@dataclass
class Share:
    """How many values came through: `sent` by the service, the `same` text, and `equal` in value."""

    sent: int = 0
    same: int = 0
    equal: int = 0

    def add(self, *, same: bool, equal: bool) -> None:
        """Count one value."""
        self.sent += 1
        self.same += same
        self.equal += equal

    def text(self, number: int) -> str:
        """Return how many of all that is."""
        return f"all {self.sent:,}" if number == self.sent else f"{number:,} of {self.sent:,}"


COLUMNS: Mapping[str, tuple[str, str]] = {
    "seconds": ("seconds", ".2f"),
    "cpu_seconds": ("CPU s", ".2f"),
    "empty_seconds": ("start s", ".2f"),
    "running_seconds": ("without start", ".2f"),
    "per_second": ("a second", ",.0f"),
    "per_second_running": ("running", ",.0f"),
    "times_plain": ("x plain", ".2f"),
    "times_rival": ("x rival", ".2f"),
    "of_loop": ("of loop", ".0%"),
    "records": ("records", ","),
    "line_records": ("lines", ","),
    "numbers_same": ("numbers digit for digit", ""),
    "numbers_equal": ("numbers by value", ""),
    "unknown_equal": ("unknown fields", ""),
    "others_same": ("the rest as sent", ""),
    "loaded": ("loaded", ","),
    "set_aside": ("set aside", ","),
    "lists": ("lists", ","),
    "writes": ("writes", ","),
    "requests": ("requests", ","),
    "throttled": ("429s", ","),
    "ends": ("ends", ""),
    "companies": ("companies", ","),
    "cpu_each": ("CPU s each", ".2f"),
    "failed": ("failed", ","),
    "megabytes": ("peak MB", ".0f"),
    "count": ("n", ","),
    "p50_ms": ("p50 ms", ".1f"),
    "p99_ms": ("p99 ms", ".1f"),
    "longest_ms": ("longest ms", ".1f"),
}
"""What a cell is called in a table, and how it is written."""


@dataclass(frozen=True)
class Row:
    """What was measured of one contestant; a table shows some of the cells, JSON has all."""

    name: str
    cells: dict[str, Any]

    def __getitem__(self, cell: str) -> Any:
        return self.cells[cell]

    def times(self, other: Row, cell: str) -> float:
        """Return how many times another's cell this one is; NaN where either was too short to be measured."""
        return self[cell] / other[cell] if self[cell] and other[cell] else math.nan

    def as_json(self) -> dict[str, Any]:
        """Return the cells for programs, NaN as null."""
        return {name: None if _missing(value) else value for name, value in self.cells.items()}


@dataclass
class Table:
    """Rows under a title; `shown` are their cells in order."""

    key: str
    title: str
    shown: Sequence[str]
    rows: Sequence[Row]
    notes: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """Yield the lines to print."""
        texts = [
            [row.name, *(_text(row.cells.get(cell), COLUMNS[cell][1]) for cell in self.shown)] for row in self.rows
        ]
        grid = [["", *(COLUMNS[cell][0] for cell in self.shown)], *texts]
        first, *others = (max(map(len, column)) + 2 for column in zip(*grid, strict=True))
        yield f"\n{self.title}"
        for name, *cells in grid:
            padded = (cell.rjust(max(10, wide)) for cell, wide in zip(cells, others, strict=True))
            yield f"{name:{max(26, first)}}{''.join(padded)}".rstrip()
        yield from self.notes


_PACES = ("per_second", "per_second_running")


def _text(value: Any, form: str) -> str:
    return "-" if _missing(value) else format(value, form) if form else str(value)


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


@dataclass
class Results:
    """Everything measured of one command, and the order that asked for it."""

    name: str
    order: Order
    tables: list[Table] = field(default_factory=list)
    aims: list[tuple[bool, str]] = field(default_factory=list)
    """What was aimed at, and whether it was met; that is for a person to judge, and no failure."""
    losses: list[str] = field(default_factory=list)
    """What our command lost or did wrong: nothing, or the benchmark has failed."""
    absent: list[str] = field(default_factory=list)
    """What is not measured because it is not installed."""

    def table(self, key: str, title: str, shown: Sequence[str], rows: Sequence[Row]) -> Table:
        """Add a table; return it."""
        self.tables.append(Table(key, title, shown, rows))
        return self.tables[-1]

    def aim(self, met: bool, words: str) -> None:
        """Add an aim, in words that have both the figure and what it should be."""
        self.aims.append((bool(met), words))

    def times_aim(self, ours: Row, other: Row, name: str, times: float) -> None:
        """Judge how many times as fast as another we are, start included."""
        whole, running = (ours.times(other, cell) for cell in _PACES)
        self.aim(whole >= times, f"{whole:.1f} times {name} (running: {running:.1f}); aim {times}")

    def share_aim(self, ours: Row, other: Row, name: str, least: float) -> None:
        """Judge which share of another's speed we reach once we run."""
        whole, running = (ours.times(other, cell) for cell in _PACES)
        words = f"{running:.0%} of {name}, running (start included: {whole:.0%}); aim {least:.0%}"
        self.aim(running >= least, words)

    def memory_aims(self, rows: Sequence[Row], most: float, growth: float | None = None) -> None:
        """Judge peak memory in MB, given from the shortest read to the longest."""
        if peaks := [row["megabytes"] for row in rows]:
            self.aim(max(peaks) < most, f"{max(peaks):.0f} MB at most; aim < {most:.0f}")
            if growth and len(peaks) > 1:
                times = peaks[-1] / peaks[0]
                self.aim(times <= growth, f"memory at the longest is {times:.2f} of the shortest; aim flat ({growth})")

    def text(self) -> str:
        """Return the report."""
        lines = [self.name, *(line for table in self.tables for line in table.lines())]
        lines += [f"{name:26}not measured: not installed" for name in dict.fromkeys(self.absent)]
        aims = (f"{'yes' if met else 'NO':6}{words}" for met, words in self.aims)
        return "\n".join([*lines, "", *aims, *(f"LOST  {loss}" for loss in self.losses)])

    def as_json(self) -> dict[str, Any]:
        """Return the same figures for programs."""
        tables = {table.key: {row.name: row.as_json() for row in table.rows} for table in self.tables}
        aims = [{"met": met, "words": words} for met, words in self.aims]
        return {**tables, "aims": aims, "losses": self.losses, "not_measured": self.absent}


def progress(words: str) -> None:
    """Tell whoever waits what is measured now."""
    print(f"... {words}", file=sys.stderr, flush=True)


def machine() -> str:
    """Name what the figures depend on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} cores, {platform.python_implementation()} {platform.python_version()}, {platform.system()}"
