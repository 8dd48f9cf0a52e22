"""The figures of `target-vicai` as a table, as aims with yes or no, and as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.loading import contestants, measure
from benchmarks.loading.measure import Load, Memory, Rejects, Unchanged, Writing
from benchmarks.report import Order, aim, paces, row
from benchmarks.turns import Progress

RECORDS = 1_500
COMPARED, WRITTEN, HELD = 20 / 3, 2, 2_000 / 3
"""How many times as many records the other parts load: 10,000, 3,000 and 1,000,000."""
SPARE_SECONDS = 2.0
"""More than the rate limit alone makes a load last."""
UNCHANGED_SECONDS = 5.0
LOOP_SHARE = 0.7
MEGABYTES = 300.0


@dataclass
class Results:
    """Everything measured; a part that was not asked for is empty."""

    rounds: int
    rejects: Rejects | None = None
    unchanged: Unchanged | None = None
    writes: list[Writing] = field(default_factory=list)
    memory: dict[int, Memory] = field(default_factory=dict)
    not_measured: list[str] = field(default_factory=list)

    @property
    def share(self) -> tuple[float, float] | None:
        """Our writes a second beside the bare loop's: running, and start included; None if either is not there."""
        found = {one.loader: one for one in self.writes}
        if contestants.WRITING not in found or contestants.LOOP not in found:
            return None
        ours, loop = found[contestants.WRITING], found[contestants.LOOP]
        return ours.per_second_running / loop.per_second_running, ours.per_second / loop.per_second

    def text(self) -> str:
        """Return the whole report."""
        parts = [*_rejects(self.rejects), *_unchanged(self.unchanged), *_writes(self), *_memory(self.memory)]
        absent = [row(name, "not measured: not there", width=29) for name in self.not_measured]
        losses = [f"LOST  {loss}" for loss in self.losses()]
        return "\n".join(["target-vicai", *parts, *absent, "", *_aims(self), *losses])

    def losses(self) -> Iterator[str]:
        """Say where `target-vicai` did not do exactly what was asked: nowhere, or the benchmark has failed."""
        if self.rejects:
            bad = self.rejects.by_contract + self.rejects.by_service
            for load in self.rejects.loads:
                yield from _wrong(load, bad)
        if self.unchanged:
            yield from _wrong(self.unchanged.load, 0)
            if (made := self.unchanged.load.writes) != self.unchanged.changes:
                yield f"{made:,} writes for {self.unchanged.changes} changes"
        for writing in self.writes:
            for load in writing.loads:
                yield from _wrong(load, 0)
        for size, one in self.memory.items():
            if one.asked["writes"] or not one.acknowledged:
                state = "" if one.acknowledged else "; the last STATE did not come out"
                yield f"{size:,} unchanged accounts: {one.asked['writes']:,} writes{state}"

    def as_json(self) -> dict[str, Any]:
        """Return the same figures for programs."""
        found: dict[str, Any] = {"rounds": self.rounds, "not_measured": self.not_measured}
        if self.rejects:
            found["rejects"] = {
                "records": self.rejects.records,
                "bad_by_contract": self.rejects.by_contract,
                "bad_by_service": self.rejects.by_service,
                "loads": {load.loader.name: _load_json(load) for load in self.rejects.loads},
            }
        if self.unchanged:
            found["unchanged"] = {
                "records": self.unchanged.records,
                "changes": self.unchanged.changes,
                **_load_json(self.unchanged.load),
            }
        found["writes"] = {
            one.loader.name: {
                "records": one.records,
                "empty_seconds": one.empty.seconds,
                "writes_per_second": one.per_second,
                "writes_per_second_running": one.per_second_running,
                **_load_json(one.loads[0]),
                **_taken(one),
            }
            for one in self.writes
        }
        found["memory"] = {
            str(size): {
                "megabytes": one.megabytes,
                "seconds": one.taken.seconds,
                "records_per_second": size / one.taken.seconds,
                **one.asked,
            }
            for size, one in self.memory.items()
        }
        return found


def measured(order: Order, progress: Progress) -> Results:
    """Measure what is asked for; where our target itself is not there, only the others."""
    records = order.records or RECORDS
    results = Results(order.rounds)
    ours = contestants.COMPARING.there
    absent: list[str] = []
    if "rejects" in order.parts:
        results.rejects = measure.rejects(records, progress)
        absent += measure.absent(contestants.with_rejects(records))
    if "unchanged" in order.parts and ours:
        results.unchanged = measure.unchanged(round(records * COMPARED), progress)
    if "writes" in order.parts:
        results.writes = measure.writes(round(records * WRITTEN), order.rounds, progress)
        absent += measure.absent(contestants.WRITERS)
    if "memory" in order.parts and ours:
        results.memory = measure.memory(order.sizes(round(records * HELD)), progress)
    results.not_measured = list(dict.fromkeys(absent if ours else [*absent, contestants.COMPARING.name]))
    return results


def _rejects(found: Rejects | None) -> Iterator[str]:
    if not found:
        return
    yield (
        f"\n{found.records:,} new vendors at {measure.LATENCY_MS} ms, {measure.REQUESTS} requests in "
        f"{measure.SECONDS} s; one run each"
    )
    yield (
        f"{found.by_contract + found.by_service} are bad: {found.by_contract} against the contract, "
        f"{found.by_service} for reasons that only the service knows"
    )
    yield row("", "seconds", "CPU s", "loaded", "set aside", "requests", "429s", "ends")
    for load in found.loads:
        yield row(load.loader.name, *_cells(load), "stopped" if load.taken.status else "well")


def _unchanged(found: Unchanged | None) -> Iterator[str]:
    if not found:
        return
    load = found.load
    limit = f"{measure.REQUESTS} requests in {measure.SECONDS} s"
    yield f"\n{found.records:,} vendors that Vic has, {found.changes} of them changed, {limit}; one run"
    yield row("", "seconds", "CPU s", "lists", "writes", "requests", "429s")
    cells = (f"{load.calls['lists']:,}", f"{load.writes:,}", f"{load.requests:,}", f"{load.throttled:,}")
    yield row(load.loader.name, f"{load.taken.seconds:.2f}", f"{load.taken.cpu:.2f}", *cells)


def _writes(results: Results) -> Iterator[str]:
    if not results.writes:
        return
    records = results.writes[0].records
    yield f"\n{records:,} new vendors, no limit, {contestants.WORKERS} at once; medians of {results.rounds} rounds"
    yield row("", "seconds", "CPU s", "start s", "writes/s", "running", "of loop", "loaded")
    loop = next((one for one in results.writes if one.loader == contestants.LOOP), None)
    for one in results.writes:
        yield row(
            one.loader.name,
            *paces(one),
            f"{one.per_second_running / loop.per_second_running:.0%}" if loop else "-",
            f"{min(load.effect.loaded for load in one.loads):,}",
        )


def _memory(found: dict[int, Memory]) -> Iterator[str]:
    if not found:
        return
    yield "\nUnchanged accounts from a list server, no limit; one run each"
    yield row("", "seconds", "CPU s", "records/s", "lists", "writes", "peak MB")
    for size, one in found.items():
        cells = (f"{size / one.taken.seconds:,.0f}", f"{one.asked['pages']:,}", f"{one.asked['writes']:,}")
        name = f"{size:,} accounts"
        yield row(name, f"{one.taken.seconds:.2f}", f"{one.taken.cpu:.2f}", *cells, f"{one.megabytes:.0f}")


def _aims(results: Results) -> Iterator[str]:
    if results.rejects:
        yield from _rejects_aims(results.rejects)
    if results.unchanged:
        load, changes = results.unchanged.load, results.unchanged.changes
        words = f"{load.taken.seconds:.1f} s for {changes} changes; aim {UNCHANGED_SECONDS:.0f}"
        yield aim(
            load.taken.seconds <= UNCHANGED_SECONDS and not load.throttled, f"{words}; {load.throttled} times 429"
        )
        yield aim(load.writes == changes, f"{load.writes:,} writes; aim {changes}")
    if results.share:
        running, whole = results.share
        words = f"{running:.0%} of the loop's writes a second, running (start included: {whole:.0%}); aim 70 %"
        yield aim(running >= LOOP_SHARE, words)
    for size, one in results.memory.items():
        yield aim(
            one.megabytes < MEGABYTES, f"{one.megabytes:.0f} MB for {size:,} unchanged accounts; aim < {MEGABYTES:.0f}"
        )


def _rejects_aims(found: Rejects) -> Iterator[str]:
    sent = found.records - found.by_contract
    # What the limit itself takes: each window but the last is waited for.
    most = (sent - 1) // measure.REQUESTS * measure.SECONDS + SPARE_SECONDS
    bad = found.by_contract + found.by_service
    for load in found.loads:
        if load.loader.ours:
            words = f"{load.taken.seconds:.1f} s, {load.loader.name}; aim {most:.0f}; {load.throttled} times 429; aim 0"
            yield aim(load.taken.seconds <= most and not load.throttled, words)
            done = not any(_wrong(load, bad))
            yield aim(done, f"every good vendor in, every bad one set aside, {load.loader.name}")


def _wrong(load: Load, bad: int) -> Iterator[str]:
    """Say what our target did wrong; the others' doings are shown and not judged."""
    if not load.loader.ours:
        return
    wrong = {
        "missing": load.effect.missing,
        "with other values": load.effect.altered,
        "changed, or there, for no reason": load.effect.strange,
        "bad, not set aside": bad - load.aside.bad,
        "set aside for no reason, or twice": load.aside.others,
    }
    yield from (f"{load.loader.name}: {number:,} {what}" for what, number in wrong.items() if number)
    if not load.acknowledged:
        yield f"{load.loader.name}: the last STATE did not come out"


def _cells(load: Load) -> Sequence[str]:
    done = (f"{load.effect.loaded:,}", f"{load.aside.bad + load.aside.others:,}")
    return (f"{load.taken.seconds:.2f}", f"{load.taken.cpu:.2f}", *done, f"{load.requests:,}", f"{load.throttled:,}")


def _load_json(load: Load) -> dict[str, Any]:
    return {
        "seconds": load.taken.seconds,
        "cpu_seconds": load.taken.cpu,
        "status": load.taken.status,
        "requests": load.requests,
        "calls": dict(load.calls),
        "throttled": load.throttled,
        "acknowledged": load.acknowledged,
        **dataclasses.asdict(load.effect),
        "set_aside": load.aside.bad,
        "set_aside_wrongly": load.aside.others,
    }


def _taken(one: Writing) -> dict[str, float]:
    return {"seconds": one.whole.seconds, "cpu_seconds": one.whole.cpu}
