"""The figures of `tap-ivesk` as a table, as aims with yes or no, and as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from benchmarks.contestants import Contestant
from benchmarks.ivesk import contestants, measure
from benchmarks.ivesk.measure import Discovery
from benchmarks.ivesk.output import Comparison, Count
from benchmarks.report import MEMORY, RECORDS, Order, aim, loop_aim, memory_aims, paces, peaks, row, share, times_aim
from benchmarks.turns import Progress, Speed

PLAIN_TIMES = 4.0
LOOP_SHARE = 0.6
DISCOVERY_TIMES = 1.5


@dataclass
class Results:
    """Everything measured; a part that was not asked for is empty."""

    documents: int
    rounds: int
    speed: list[Speed[Count]] = field(default_factory=list)
    fidelity: dict[str, Comparison] = field(default_factory=dict)
    memory: dict[int, float] = field(default_factory=dict)
    discovery: Discovery | None = None

    def speed_of(self, contestant: Contestant) -> Speed[Count]:
        """Return one contestant's figures."""
        return next(one for one in self.speed if one.contestant is contestant)

    def text(self) -> str:
        """Return the whole report."""
        memory = peaks("Peak memory of tap-ivesk, documents and lines", "documents", self.memory)
        parts = [*_speed(self), *_fidelity(self), *memory, *_discovery(self)]
        return "\n".join(["tap-ivesk", *parts, "", *_aims(self), *(f"LOST  {loss}" for loss in self.losses())])

    def losses(self) -> Iterator[str]:
        """Say what `tap-ivesk` lost: nothing, or the benchmark has failed."""
        for one in self.speed:
            count = one.count
            if one.contestant.ours and not count.documents == count.document_records == self.documents:
                yield f"{one.contestant.name}: {count.documents:,} documents in {count.document_records:,} records"
            if one.contestant is contestants.WITH_LINES and count.line_records != count.lines:
                yield f"{one.contestant.name}: {count.line_records:,} of {count.lines:,} lines"
        ours = self.fidelity.get(contestants.OURS.name)
        for what, kept in (("numbers", ours.numbers), ("unknown fields", ours.unknown)) if ours else ():
            if kept.same != kept.sent:
                yield f"{contestants.OURS.name}: {kept.same:,} of {kept.sent:,} {what} came as they were sent"

    def as_json(self) -> dict[str, Any]:
        """Return the same figures for programs."""
        return {
            "documents": self.documents,
            "rounds": self.rounds,
            "speed": {
                one.contestant.name: {
                    "seconds": one.whole.seconds,
                    "cpu_seconds": one.whole.cpu,
                    "empty_queue_seconds": one.empty.seconds,
                    "documents_per_second": one.per_second,
                    "documents_per_second_running": one.per_second_running,
                    **dataclasses.asdict(one.count),
                }
                for one in self.speed
            },
            "fidelity": {name: dataclasses.asdict(found) for name, found in self.fidelity.items()},
            "memory_megabytes": {str(size): peak for size, peak in self.memory.items()},
            "discovery_seconds": dataclasses.asdict(self.discovery) if self.discovery else None,
        }


def measured(order: Order, progress: Progress) -> Results:
    """Measure what is asked for."""
    results = Results(order.records or RECORDS, order.rounds)
    if "speed" in order.parts:
        results.speed = measure.speed(results.documents, order.rounds, progress)
    if "fidelity" in order.parts:
        results.fidelity = measure.fidelity(progress)
    if "discovery" in order.parts:
        results.discovery = measure.discovery(progress)
    if "memory" in order.parts:
        results.memory = measure.memory(order.sizes(*MEMORY), progress)
    return results


def _speed(results: Results) -> Iterator[str]:
    if not results.speed:
        return
    plain, exact = (results.speed_of(one) for one in (contestants.PLAIN, contestants.EXACT))
    yield f"\n{results.documents:,} documents; medians of {results.rounds} rounds, contestants in turn"
    yield row("", "seconds", "CPU s", "start s", "docs/s", "running", "x plain", "of exact", "docs", "lines")
    for one in results.speed:
        yield row(
            one.contestant.name,
            *paces(one),
            f"{one.per_second / plain.per_second:.2f}",
            f"{one.per_second_running / exact.per_second_running:.0%}",
            f"{one.count.documents:,}",
            f"{one.count.line_records:,}",
        )
    lines = results.speed_of(contestants.WITH_LINES)
    both = lines.count.document_records + lines.count.line_records
    yield f"{lines.contestant.name}: {both:,} records, {both / lines.whole.seconds:,.0f} a second"


def _fidelity(results: Results) -> Iterator[str]:
    if not results.fidelity:
        return
    yield "\nWhat came through, of all that the service sent"
    yield row("", "numbers digit for digit", "numbers by value", "unknown fields", width=26)
    for name, found in results.fidelity.items():
        numbers, unknown = found.numbers, found.unknown
        cells = (share(numbers, numbers.same), share(numbers, numbers.equal), share(unknown, unknown.equal))
        yield row(name, *cells, width=26)


def _discovery(results: Results) -> Iterator[str]:
    if found := results.discovery:
        yield "\nDiscovery"
        yield row("tap-ivesk --discover", f"{found.discover:.2f} s")
        yield row("import singer_sdk", f"{found.bare_import:.2f} s")


def _aims(results: Results) -> Iterator[str]:
    if results.speed:
        ours, plain, exact = (results.speed_of(one) for one in (contestants.OURS, contestants.PLAIN, contestants.EXACT))
        yield times_aim(ours, plain, "the plain tap", PLAIN_TIMES)
        yield loop_aim(ours, exact, LOOP_SHARE)
    yield from memory_aims(results.memory.values())
    if found := results.discovery:
        ratio = found.discover / found.bare_import
        yield aim(ratio < DISCOVERY_TIMES, f"discovery takes {ratio:.2f} of the SDK's import; aim < {DISCOVERY_TIMES}")
