"""The figures of `tap-vicai` as a table, as aims with yes or no, and as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from benchmarks.contestants import Contestant
from benchmarks.report import MEMORY, RECORDS, Order, aim, loop_aim, memory_aims, paces, peaks, row, share, times_aim
from benchmarks.turns import Progress, Speed
from benchmarks.vicai import contestants, measure
from benchmarks.vicai.measure import Children
from benchmarks.vicai.output import Comparison, Count

PLAIN_TIMES = 4.5
RIVAL_TIMES = 2.5
LOOP_SHARE = 0.6
LINES_SECONDS = {False: 4.0, True: 12.0}
"""For the lines of 600 invoices: with no limit, and under the service's."""


@dataclass
class Results:
    """Everything measured; a part that was not asked for is empty."""

    invoices: int
    rounds: int
    speed: list[Speed[Count]] = field(default_factory=list)
    fidelity: dict[str, Comparison] = field(default_factory=dict)
    children: list[Children] = field(default_factory=list)
    lines: int = 0
    memory: dict[int, float] = field(default_factory=dict)

    def speed_of(self, contestant: Contestant) -> Speed[Count]:
        """Return one contestant's figures."""
        return next(one for one in self.speed if one.contestant is contestant)

    @property
    def rival(self) -> Speed[Count] | None:
        """The fastest of dlt and Airbyte, if any of them is there."""
        rivals = [one for one in self.speed if one.contestant in contestants.RIVALS]
        return max(rivals, key=lambda one: one.per_second, default=None)

    def text(self) -> str:
        """Return the whole report."""
        memory = peaks("Peak memory of tap-vicai", "invoices", self.memory)
        parts = [*_speed(self), *_fidelity(self), *_children(self), *memory]
        return "\n".join(["tap-vicai", *parts, "", *_aims(self), *(f"LOST  {loss}" for loss in self.losses())])

    def losses(self) -> Iterator[str]:
        """Say what `tap-vicai` lost: nothing, or the benchmark has failed."""
        for one in self.speed:
            if one.contestant.ours and not one.count.invoices == one.count.invoice_records == self.invoices:
                yield f"{one.contestant.name}: {one.count.invoices:,} of {self.invoices:,} invoices"
        for child in self.children:
            if child.contestant.ours and child.count.line_records != self.lines:
                yield f"{child.contestant.name}: {child.count.line_records:,} of {self.lines:,} lines"
        ours = self.fidelity.get(contestants.OURS.name)
        for what, kept in dataclasses.asdict(ours).items() if ours else ():
            if kept["same"] != kept["sent"]:
                yield f"{contestants.OURS.name}: {kept['same']:,} of {kept['sent']:,} {what} came as they were sent"

    def as_json(self) -> dict[str, Any]:
        """Return the same figures for programs."""
        return {
            "invoices": self.invoices,
            "rounds": self.rounds,
            "speed": {
                one.contestant.name: {
                    "seconds": one.whole.seconds,
                    "cpu_seconds": one.whole.cpu,
                    "empty_seconds": one.empty.seconds,
                    "invoices_per_second": one.per_second,
                    "invoices_per_second_running": one.per_second_running,
                    **dataclasses.asdict(one.count),
                }
                for one in self.speed
            },
            "fidelity": {name: dataclasses.asdict(found) for name, found in self.fidelity.items()},
            "children": [
                {
                    "name": one.contestant.name,
                    "limited": one.limited,
                    "seconds": one.taken.seconds,
                    "refused": one.refused,
                    **dataclasses.asdict(one.count),
                }
                for one in self.children
            ],
            "memory_megabytes": {str(size): peak for size, peak in self.memory.items()},
            "not_measured": list(measure.absent(contestants.READERS)),
        }


def measured(order: Order, progress: Progress) -> Results:
    """Measure what is asked for."""
    results = Results(order.records or RECORDS, order.rounds)
    if "speed" in order.parts:
        results.speed = measure.speed(results.invoices, order.rounds, progress)
    if "fidelity" in order.parts:
        results.fidelity = measure.fidelity(progress)
    if "children" in order.parts:
        results.children, results.lines = measure.children(progress)
    if "memory" in order.parts:
        results.memory = measure.memory(order.sizes(*MEMORY), progress)
    return results


def _speed(results: Results) -> Iterator[str]:
    if not results.speed:
        return
    plain, exact = (results.speed_of(one) for one in (contestants.PLAIN, contestants.EXACT))
    rival = results.rival
    yield f"\n{results.invoices:,} invoices; medians of {results.rounds} rounds, contestants in turn"
    yield row("", "seconds", "CPU s", "start s", "inv/s", "running", "x plain", "x rival", "of exact", "invoices")
    for one in results.speed:
        yield row(
            one.contestant.name,
            *paces(one),
            f"{one.per_second / plain.per_second:.2f}",
            f"{one.per_second / rival.per_second:.2f}" if rival else "-",
            f"{one.per_second_running / exact.per_second_running:.0%}",
            f"{one.count.invoices:,}",
        )
    yield from _absent(contestants.READERS)


def _fidelity(results: Results) -> Iterator[str]:
    if not results.fidelity:
        return
    yield f"\nWhat came through of {measure.FIDELITY_INVOICES:,} invoices, of all that the service sent"
    yield row("", "numbers digit for digit", "numbers by value", "unknown fields", "the rest as sent", width=25)
    for name, found in results.fidelity.items():
        cells = (
            share(found.numbers, found.numbers.same),
            share(found.numbers, found.numbers.equal),
            share(found.unknown, found.unknown.equal),
            share(found.others, found.others.same),
        )
        yield row(name, *cells, width=25)
    yield from _absent(contestants.READERS)


def _children(results: Results) -> Iterator[str]:
    for limited in (False, True):
        runs = [one for one in results.children if one.limited is limited]
        if runs:
            limit = f"{measure.REQUESTS} requests in {measure.SECONDS} s" if limited else "no limit"
            yield f"\nLines of {measure.CHILD_INVOICES} invoices at {measure.LATENCY_MS} ms, {limit}; one run each"
            yield row("", "seconds", "CPU s", "lines", "429s")
            for one in runs:
                cells = (f"{one.taken.seconds:.2f}", f"{one.taken.cpu:.2f}", f"{one.count.line_records:,}")
                yield row(one.contestant.name, *cells, f"{one.refused:,}")
            yield from _absent(contestants.LIMITED if limited else contestants.LINE_READERS)


def _absent(all_of_them: tuple[Contestant, ...]) -> Iterator[str]:
    return (row(name, "not measured: not installed", width=29) for name in measure.absent(all_of_them))


def _aims(results: Results) -> Iterator[str]:
    if results.speed:
        ours, plain, exact = (results.speed_of(one) for one in (contestants.OURS, contestants.PLAIN, contestants.EXACT))
        yield times_aim(ours, plain, "the plain tap", PLAIN_TIMES)
        if rival := results.rival:
            yield times_aim(ours, rival, rival.contestant.name, RIVAL_TIMES)
        yield loop_aim(ours, exact, LOOP_SHARE)
    if ours_kept := results.fidelity.get(contestants.OURS.name):
        kept = all(score.same == score.sent for score in vars(ours_kept).values())
        yield aim(kept, "every digit and every unknown field kept")
    for one in results.children:
        if one.contestant.ours:
            most = LINES_SECONDS[one.limited]
            words = f"{one.taken.seconds:.1f} s for the lines, {one.contestant.name}; aim {most:.0f}"
            if one.limited:
                words += f"; {one.refused} times 429, under the limit; aim 0"
            yield aim(one.taken.seconds <= most and not one.refused, words)
    yield from memory_aims(results.memory.values())
