"""The measurements: speed, fidelity, memory, discovery. Each gives plain figures; `report` puts them into words."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.ivesk import contestants, output
from benchmarks.ivesk.contestants import source
from benchmarks.ivesk.output import Comparison, Count
from benchmarks.processes import Run, median, peak_megabytes, run
from benchmarks.turns import Progress, Speed, in_turn, once

_FIDELITY_DOCUMENTS = 1_000
_LONG_AMOUNTS = 50
_LONG = Decimal("1234567890123456.780")
_DISCOVERY_RUNS = 5


def speed(documents: int, rounds: int, progress: Progress) -> list[Speed[Count]]:
    """Measure all contestants on one queue."""
    progress(f"speed: preparing {documents:,} documents")
    with source(documents) as full, source(0) as empty:
        once(full, contestants.EXACT)  # fills the sandbox's cache
        return in_turn(contestants.ALL, full, empty, rounds=rounds, count=output.count, progress=progress)


def fidelity(progress: Progress) -> dict[str, Comparison]:
    """Compare what each contestant writes with the store: some amounts have 19 digits, some fields nobody mentioned."""
    found: dict[str, Comparison] = {}
    with source(_FIDELITY_DOCUMENTS, extra_fields=True, big_amounts=True) as queue:
        queue.sandbox.control.add(_LONG_AMOUNTS, overrides={"total": _LONG})
        for one in contestants.ALL:
            if one is contestants.WITH_LINES:
                continue  # its documents are those of the first
            progress(f"fidelity: {one.name}")
            with TemporaryDirectory(prefix="benchmarks-") as folder:
                run(queue.command(one), Path(folder, "output"))
                found[one.name] = output.compare(Path(folder), queue.sandbox.control.document_lines())
    return found


def memory(sizes: list[int], progress: Progress) -> dict[int, float]:
    """Measure the peak memory of `tap-ivesk` with documents and lines, in MB, by the queue's length."""
    peaks: dict[int, float] = {}
    for size in sizes:
        progress(f"memory: {size:,} documents")
        with source(size) as queue:
            peaks[size] = peak_megabytes(queue.command(contestants.WITH_LINES))
    return peaks


@dataclass(frozen=True)
class Discovery:
    """Medians in seconds: `tap-ivesk --discover`, and Python importing the SDK and ending."""

    discover: float
    bare_import: float


def discovery(progress: Progress) -> Discovery:
    """Measure what discovery adds to the SDK's own start."""
    bare = [sys.executable, "-c", "import singer_sdk"]
    discover: list[Run] = []
    imported: list[Run] = []
    progress("discovery")
    with source(0) as queue:
        run(queue.discovery)
        for _ in range(_DISCOVERY_RUNS):
            discover.append(run(queue.discovery))
            imported.append(run(bare))
    return Discovery(median(discover).seconds, median(imported).seconds)
