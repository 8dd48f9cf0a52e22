"""The measurements: speed, fidelity, children, memory. Each gives plain figures; `report` puts them into words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.contestants import Contestant, Source
from benchmarks.processes import Run, peak_megabytes, run
from benchmarks.turns import Progress, Speed, in_turn, once
from benchmarks.vicai import contestants, output
from benchmarks.vicai.contestants import source
from benchmarks.vicai.output import Comparison, Count

FIDELITY_INVOICES = 1_000
CHILD_INVOICES = 600
LATENCY_MS = 50
REQUESTS, SECONDS = 500, 10
"""The limit that the service states."""


def speed(invoices: int, rounds: int, progress: Progress) -> list[Speed[Count]]:
    """Measure all that are there on the same invoices."""
    progress(f"speed: preparing {invoices:,} invoices")
    with source(invoices) as full, source(0) as empty:
        once(full, contestants.EXACT)  # fills the sandbox's cache
        return in_turn(present(contestants.READERS), full, empty, rounds=rounds, count=output.count, progress=progress)


def fidelity(progress: Progress) -> dict[str, Comparison]:
    """Compare what each contestant writes with the store: some amounts have 19 digits, some fields nobody mentioned."""
    found: dict[str, Comparison] = {}
    with source(FIDELITY_INVOICES, extra_fields=True, big_amounts=True) as full:
        for one in present(contestants.READERS):
            if one is contestants.DLT:
                continue  # what it lays out in many tables, the tuned one keeps together
            progress(f"fidelity: {one.name}")
            with TemporaryDirectory(prefix="benchmarks-") as folder:
                run(full.command(one, Path(folder)), Path(folder, "output"))
                store = full.sandbox.control.vicai.record_lines("invoices")
                found[one.name] = output.compare(Path(folder), store)
    return found


@dataclass(frozen=True)
class Children:
    """One contestant's run over the lines of all invoices; `refused` is how often the service answered 429."""

    contestant: Contestant
    limited: bool
    taken: Run
    count: Count
    refused: int


def children(progress: Progress) -> tuple[list[Children], int]:
    """Measure the reading of lines, one request for each invoice; and say how many lines there are."""
    found: list[Children] = []
    with source(CHILD_INVOICES, latency_ms=LATENCY_MS) as free:
        control = free.sandbox.control.vicai
        lines = sum(len(control.line_items(invoice["internalId"])) for invoice in control.records("invoices"))
        for one in present(contestants.LINE_READERS):
            progress(f"children: {one.name}")
            found.append(_children(free, one, limited=False))
    for one in present(contestants.LIMITED):
        progress(f"children: {one.name}, {REQUESTS} requests in {SECONDS} s")
        # A sandbox each, so that nobody inherits what another has used up.
        limit = {"rate_requests": REQUESTS, "rate_seconds": SECONDS}
        with source(CHILD_INVOICES, latency_ms=LATENCY_MS, **limit) as limited:
            found.append(_children(limited, one, limited=True))
    return found, lines


def _children(where: Source, one: Contestant, *, limited: bool) -> Children:
    with TemporaryDirectory(prefix="benchmarks-") as folder:
        taken = run(where.command(one, Path(folder)), Path(folder, "output"))
        refused = where.sandbox.control.vicai.overview(sums=False)["throttled"]
        return Children(one, limited, taken, output.count(Path(folder)), refused)


def memory(sizes: Sequence[int], progress: Progress) -> dict[int, float]:
    """Measure the peak memory of `tap-vicai` in MB, by the number of invoices."""
    peaks: dict[int, float] = {}
    for size in sizes:
        progress(f"memory: {size:,} invoices")
        with source(size) as full:
            peaks[size] = peak_megabytes(full.command(contestants.OURS))
    return peaks


def present(all_of_them: Sequence[Contestant]) -> list[Contestant]:
    """Return those whose packages are installed."""
    return [one for one in all_of_them if one.there]


def absent(all_of_them: Sequence[Contestant]) -> Iterator[str]:
    """Name the others."""
    return (one.name for one in all_of_them if not one.there)
