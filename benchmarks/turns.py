"""Contestants in turn, so that a slow minute of the machine hits them alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Generic, Protocol, TypeVar

from benchmarks.contestants import Contestant, Source
from benchmarks.processes import Run, median, run

Progress = Callable[[str], None]


class Count(Protocol):
    """What was counted in an output."""

    @property
    def records(self) -> int:
        """Different records: a repetition is no merit."""


C = TypeVar("C", bound=Count)


@dataclass(frozen=True)
class Speed(Generic[C]):
    """One contestant's medians: the whole process, and the same command where there is nothing to read."""

    contestant: Contestant
    count: C
    whole: Run
    empty: Run

    @property
    def per_second(self) -> float:
        """Records a second, start of the process included."""
        return self.count.records / self.whole.seconds

    @property
    def per_second_running(self) -> float:
        """Records a second once it runs."""
        return self.count.records / max(self.whole.seconds - self.empty.seconds, 1e-3)


def once(source: Source, one: Contestant) -> Run:
    """Run a contestant, its output to a file as the others' is, and forget what it wrote."""
    with TemporaryDirectory(prefix="benchmarks-") as folder:
        return run(source.command(one, Path(folder)), Path(folder, "output"))


def in_turn(
    contestants: Sequence[Contestant],
    full: Source,
    empty: Source,
    *,
    rounds: int,
    count: Callable[[Path], C],
    progress: Progress,
) -> list[Speed[C]]:
    """Measure them all in each round; what they write in the first is counted."""
    whole: dict[str, list[Run]] = {one.name: [] for one in contestants}
    start: dict[str, list[Run]] = {one.name: [] for one in contestants}
    counts: dict[str, C] = {}
    for number in range(rounds):
        for one in contestants:
            progress(f"speed: round {number + 1} of {rounds}, {one.name}")
            with TemporaryDirectory(prefix="benchmarks-") as folder:
                whole[one.name].append(run(full.command(one, Path(folder)), Path(folder, "output")))
                if one.name not in counts:
                    counts[one.name] = count(Path(folder))
            start[one.name].append(once(empty, one))
    return [Speed(one, counts[one.name], median(whole[one.name]), median(start[one.name])) for one in contestants]
