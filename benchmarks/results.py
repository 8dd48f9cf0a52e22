"""What is asked for, and what was measured: rows in tables, aims with yes or no, losses; the one way to print them."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Order:
    """What is asked for: parts, how many records, how often, and the sizes for memory; empty is the usual."""

    parts: frozenset[str]
    records: int | None
    rounds: int
    memory: tuple[int, ...]
    full: bool

    def sizes(self, *usual: int) -> list[int]:
        """Return the sizes for memory, given those that are usual for a service."""
        return list(dict.fromkeys([*(self.memory or usual), *[1_000_000] * self.full]))


@dataclass
class Fidelity:
    """How many values came through: `sent` by the service, `same` text, and `equal` in value."""

    sent: int = 0
    same: int = 0
    equal: int = 0

    def add(self, *, same: bool, equal: bool) -> None:
        """Count one value."""
        self.sent += 1
        self.same += same
        self.equal += equal


@dataclass(frozen=True)
class Share:
    """So many of all."""

    number: int
    whole: int

    def __str__(self) -> str:
        return f"all {self.whole:,}" if self.number == self.whole else f"{self.number:,} of {self.whole:,}"


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
    cells: Mapping[str, Any]

    def __getitem__(self, cell: str) -> Any:
        return self.cells[cell]

    def as_json(self) -> dict[str, Any]:
        """Return the cells for programs."""
        return {name: vars(cell) if isinstance(cell, Share) else cell for name, cell in self.cells.items()}

    def with_cells(self, **cells: Any) -> Row:
        """Return the row with more cells."""
        return Row(self.name, {**self.cells, **cells})


@dataclass
class Table:
    """Rows under a title; `shown` are their cells in order."""

    key: str
    title: str
    shown: tuple[str, ...]
    rows: list[Row]
    notes: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """Yield the lines to print."""
        heads = [COLUMNS[cell][0] for cell in self.shown]
        texts = {row.name: [_text(row.cells.get(cell), COLUMNS[cell][1]) for cell in self.shown] for row in self.rows}
        wide = [
            max(10, *(len(text) + 2 for text in (head, *(texts[row.name][place] for row in self.rows))))
            for place, head in enumerate(heads)
        ]
        name = max(26, *(len(row.name) + 2 for row in self.rows), 0)
        yield f"\n{self.title}"
        for title, cells in [("", heads), *texts.items()]:
            padded = "".join(cell.rjust(wide[place]) for place, cell in enumerate(cells))
            yield f"{title:{name}}{padded}".rstrip()
        yield from self.notes


def _text(value: Any, form: str) -> str:
    return "-" if value is None else format(value, form) if form else str(value)


@dataclass(frozen=True)
class Aim:
    """What was aimed at, and whether it was met; that is for a person to judge, and no failure."""

    met: bool
    words: str

    def __str__(self) -> str:
        return f"{'yes' if self.met else 'NO ':4}  {self.words}"


def times_aim(ours: Row, other: Row, name: str, times: float) -> Aim:
    """Judge how many times as fast as another we are, start included."""
    whole, running = (ours[pace] / other[pace] for pace in ("per_second", "per_second_running"))
    return Aim(whole >= times, f"{whole:.1f} times {name} (running: {running:.1f}); aim {times}")


def share_aim(ours: Row, other: Row, name: str, least: float) -> Aim:
    """Judge which share of another's speed we reach once we run."""
    whole, running = (ours[pace] / other[pace] for pace in ("per_second", "per_second_running"))
    words = f"{running:.0%} of {name}, running (start included: {whole:.0%}); aim {least * 100:.0f} %"
    return Aim(running >= least, words)


def memory_aims(peaks: Iterable[float], most: float, growth: float | None = None) -> Iterator[Aim]:
    """Judge peak memory in MB, given from the shortest read to the longest."""
    if found := list(peaks):
        yield Aim(max(found) < most, f"{max(found):.0f} MB at most; aim < {most:.0f}")
        if growth and len(found) > 1:
            times = found[-1] / found[0]
            yield Aim(times <= growth, f"memory at the longest is {times:.2f} of the shortest; aim flat ({growth})")


@dataclass
class Results:
    """Everything measured of one command."""

    name: str
    tables: list[Table] = field(default_factory=list)
    aims: list[Aim] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    """What our command lost or did wrong: nothing, or the benchmark has failed."""
    absent: list[str] = field(default_factory=list)
    """Contestants that are not installed."""

    def text(self) -> str:
        """Return the report."""
        lines = [self.name, *(line for table in self.tables for line in table.lines())]
        lines += [f"{name:26}not measured: not installed" for name in dict.fromkeys(self.absent)]
        return "\n".join([*lines, "", *map(str, self.aims), *(f"LOST  {loss}" for loss in self.losses)])

    def as_json(self) -> dict[str, Any]:
        """Return the same figures for programs."""
        tables = {table.key: {row.name: row.as_json() for row in table.rows} for table in self.tables}
        aims = [{"met": aim.met, "words": aim.words} for aim in self.aims]
        return {**tables, "aims": aims, "losses": self.losses, "not_measured": self.absent}


def machine() -> str:
    """Name what the figures depend on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} cores, {platform.python_implementation()} {platform.python_version()}, {platform.system()}"
