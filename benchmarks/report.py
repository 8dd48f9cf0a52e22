"""The figures as a table, as aims with yes or no, and as JSON."""

from __future__ import annotations

import dataclasses
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from benchmarks import contestants
from benchmarks.measure import Discovery, Speed
from benchmarks.output import Comparison, Fidelity

PLAIN_TIMES = 4.0
LOOP_SHARE = 0.6
MEGABYTES = 150.0
FLAT = 1.15
"""Memory counts as flat when the longest queue takes at most this many times what the shortest takes."""
DISCOVERY_TIMES = 1.5


@dataclass
class Results:
    """Everything measured; a part that was not asked for is empty."""

    documents: int
    rounds: int
    speed: list[Speed] = field(default_factory=list)
    fidelity: dict[str, Comparison] = field(default_factory=dict)
    memory: dict[int, float] = field(default_factory=dict)
    discovery: Discovery | None = None

    def speed_of(self, contestant: contestants.Contestant) -> Speed:
        """Return one contestant's figures."""
        return next(one for one in self.speed if one.contestant is contestant)


def machine() -> str:
    """Name what the figures depend on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} cores, {platform.python_implementation()} {platform.python_version()}, {platform.system()}"


def losses(results: Results) -> Iterator[str]:
    """Say what `tap-ivesk` lost: nothing, or the benchmark has failed."""
    for one in results.speed:
        count = one.count
        if one.contestant.ours and not count.documents == count.document_records == results.documents:
            yield f"{one.contestant.name}: {count.documents:,} documents in {count.document_records:,} records"
        if one.contestant is contestants.WITH_LINES and count.line_records != count.lines:
            yield f"{one.contestant.name}: {count.line_records:,} of {count.lines:,} lines"
    ours = results.fidelity.get(contestants.OURS.name)
    for what, kept in (("numbers", ours.numbers), ("unknown fields", ours.unknown)) if ours else ():
        if kept.same != kept.sent:
            yield f"{contestants.OURS.name}: {kept.same:,} of {kept.sent:,} {what} came as they were sent"


def text(results: Results) -> str:
    """Return the whole report."""
    parts = [machine(), *_speed(results), *_fidelity(results), *_memory(results), *_discovery(results)]
    return "\n".join([*parts, "", *_aims(results), *(f"LOST  {loss}" for loss in losses(results))])


def as_json(results: Results) -> dict[str, Any]:
    """Return the same figures for programs."""
    return {
        "machine": machine(),
        "documents": results.documents,
        "rounds": results.rounds,
        "speed": {
            one.contestant.name: {
                "seconds": one.whole.seconds,
                "cpu_seconds": one.whole.cpu,
                "empty_queue_seconds": one.empty.seconds,
                "documents_per_second": one.per_second,
                "documents_per_second_running": one.per_second_running,
                **dataclasses.asdict(one.count),
            }
            for one in results.speed
        },
        "fidelity": {name: dataclasses.asdict(found) for name, found in results.fidelity.items()},
        "memory_megabytes": {str(size): peak for size, peak in results.memory.items()},
        "discovery_seconds": dataclasses.asdict(results.discovery) if results.discovery else None,
    }


def _speed(results: Results) -> Iterator[str]:
    if not results.speed:
        return
    plain, exact = (results.speed_of(one) for one in (contestants.PLAIN, contestants.EXACT))
    yield f"\n{results.documents:,} documents; medians of {results.rounds} rounds, contestants in turn"
    yield _row("", "seconds", "CPU s", "start s", "docs/s", "running", "x plain", "of exact", "docs", "lines")
    for one in results.speed:
        yield _row(
            one.contestant.name,
            f"{one.whole.seconds:.2f}",
            f"{one.whole.cpu:.2f}",
            f"{one.empty.seconds:.2f}",
            f"{one.per_second:,.0f}",
            f"{one.per_second_running:,.0f}",
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
    yield _row("", "numbers digit for digit", "numbers by value", "unknown fields", width=26)
    for name, found in results.fidelity.items():
        numbers, unknown = found.numbers, found.unknown
        cells = (_share(numbers, numbers.same), _share(numbers, numbers.equal), _share(unknown, unknown.equal))
        yield _row(name, *cells, width=26)


def _share(kept: Fidelity, number: int) -> str:
    return f"all {kept.sent:,}" if number == kept.sent else f"{number:,} of {kept.sent:,}"


def _memory(results: Results) -> Iterator[str]:
    if results.memory:
        yield "\nPeak memory of tap-ivesk, documents and lines"
        for size, peak in results.memory.items():
            yield _row(f"{size:,} documents", f"{peak:.0f} MB")


def _discovery(results: Results) -> Iterator[str]:
    if found := results.discovery:
        yield "\nDiscovery"
        yield _row("tap-ivesk --discover", f"{found.discover:.2f} s")
        yield _row("import singer_sdk", f"{found.bare_import:.2f} s")


def _aims(results: Results) -> Iterator[str]:
    if results.speed:
        ours, plain, exact = (results.speed_of(one) for one in (contestants.OURS, contestants.PLAIN, contestants.EXACT))
        times, running = ours.per_second / plain.per_second, ours.per_second_running / plain.per_second_running
        yield _aim(times >= PLAIN_TIMES, f"{times:.1f} times the plain tap (running: {running:.1f}); aim {PLAIN_TIMES}")
        share, whole = ours.per_second_running / exact.per_second_running, ours.per_second / exact.per_second
        yield _aim(
            share >= LOOP_SHARE, f"{share:.0%} of the exact loop, running (start included: {whole:.0%}); aim 60 %"
        )
    if peaks := list(results.memory.values()):
        yield _aim(max(peaks) < MEGABYTES, f"{max(peaks):.0f} MB at most; aim < {MEGABYTES:.0f}")
        if len(peaks) > 1:
            growth = peaks[-1] / peaks[0]
            yield _aim(
                growth <= FLAT, f"memory at the longest queue is {growth:.2f} of the shortest; aim flat ({FLAT})"
            )
    if found := results.discovery:
        ratio = found.discover / found.bare_import
        yield _aim(ratio < DISCOVERY_TIMES, f"discovery takes {ratio:.2f} of the SDK's import; aim < {DISCOVERY_TIMES}")


def _aim(met: bool, words: str) -> str:
    return f"{'yes' if met else 'NO ':4}  {words}"


def _row(name: str, *cells: str, width: int = 10) -> str:
    return f"{name:26}" + "".join(f"{cell:>{width}}" for cell in cells)
