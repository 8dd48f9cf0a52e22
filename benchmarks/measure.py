"""The measurements: speed, fidelity, memory, discovery. Each gives plain figures; `report` puts them into words."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import contestants, output
from benchmarks.contestants import Contestant, source
from benchmarks.output import Comparison, Count
from benchmarks.processes import Run, peak_megabytes, run

Progress = Callable[[str], None]

_FIDELITY_DOCUMENTS = 1_000
_LONG_AMOUNTS = 50
_LONG = Decimal("1234567890123456.780")
_DISCOVERY_RUNS = 5


@dataclass(frozen=True)
class Speed:
    """One contestant's medians: the whole process, and the same command on an empty queue."""

    contestant: Contestant
    count: Count
    whole: Run
    empty: Run

    @property
    def per_second(self) -> float:
        """Documents a second, start of the process included."""
        return self.count.documents / self.whole.seconds

    @property
    def per_second_running(self) -> float:
        """Documents a second once it runs."""
        return self.count.documents / max(self.whole.seconds - self.empty.seconds, 1e-3)


def speed(documents: int, rounds: int, progress: Progress) -> list[Speed]:
    """Measure all contestants on one queue, in turn, so that a slow minute of the machine hits them alike."""
    with source(documents) as full, source(0) as empty, TemporaryDirectory(prefix="benchmarks-") as folder:
        progress(f"speed: preparing {documents:,} documents")
        run(full.command(contestants.EXACT))  # fills the sandbox's cache
        counts: dict[str, Count] = {}
        for one in contestants.ALL:
            progress(f"speed: counting what {one.name} writes")
            file = Path(folder, "output")
            run(full.command(one), file)
            counts[one.name] = output.count(file)
        whole: dict[str, list[Run]] = {one.name: [] for one in contestants.ALL}
        start: dict[str, list[Run]] = {one.name: [] for one in contestants.ALL}
        for number in range(rounds):
            for one in contestants.ALL:
                progress(f"speed: round {number + 1} of {rounds}, {one.name}")
                whole[one.name].append(run(full.command(one)))
                start[one.name].append(run(empty.command(one)))
    return [Speed(one, counts[one.name], _median(whole[one.name]), _median(start[one.name])) for one in contestants.ALL]


def fidelity(progress: Progress) -> dict[str, Comparison]:
    """Compare what each contestant writes with the store: some amounts have 19 digits, some fields nobody mentioned."""
    with (
        source(_FIDELITY_DOCUMENTS, extra_fields=True, big_amounts=True) as queue,
        TemporaryDirectory(prefix="benchmarks-") as folder,
    ):
        queue.sandbox.control.add(_LONG_AMOUNTS, overrides={"total": _LONG})
        found: dict[str, Comparison] = {}
        for one in contestants.ALL:
            if one is contestants.WITH_LINES:
                continue  # its documents are those of the first
            progress(f"fidelity: {one.name}")
            file = Path(folder, "output")
            run(queue.command(one), file)
            found[one.name] = output.compare(file, queue.sandbox.control.document_lines())
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
    return Discovery(_median(discover).seconds, _median(imported).seconds)


def _median(runs: list[Run]) -> Run:
    return Run(statistics.median(one.seconds for one in runs), statistics.median(one.cpu for one in runs))
