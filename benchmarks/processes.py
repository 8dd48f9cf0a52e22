"""Running whole processes, contestants in turn, and reading what they took."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.results import Row, progress

HERE = sys.executable
"""The Python that the project is installed in."""
ROOT = Path(__file__).resolve().parent.parent
_ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
"""Unbuffered output, or bytecode that is not kept, would be measured too."""
_EVERY = 0.5
"""Seconds between two looks at the memory of a tree of processes."""

# A small Python in between starts the command: a child's peak counts that of the process it was forked from.
_MEASURE = """
import json, resource, subprocess, sys, time
start = time.perf_counter()
with open(sys.argv[1], "wb") as out:
    status = subprocess.run(sys.argv[2:], stdout=out).returncode
seconds = time.perf_counter() - start
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([seconds, used.ru_utime + used.ru_stime, used.ru_maxrss, status]))
"""


class FailedError(RuntimeError):
    """A contestant ended with another status than 0, or cannot be started."""


@dataclass(frozen=True)
class Run:
    """What one command took: `seconds` on the clock, `cpu_seconds` of all its processes, and how it ended."""

    seconds: float
    cpu_seconds: float
    megabytes: float = 0.0
    """10^6 bytes: the largest process's resident peak, or that of the whole tree, shared pages once."""
    status: int = 0


def run(
    command: Sequence[str],
    output: Path | None = None,
    *,
    given: Path | None = None,
    may_stop: bool = False,
    tree: bool = False,
    cwd: Path = ROOT,
    environment: Mapping[str, str] = _ENVIRONMENT,
) -> Run:
    """Run a command, its output to a file or to nowhere.

    Args:
        command: The whole command line.
        output: The file that its standard output goes to.
        given: The file that it reads from its standard input.
        may_stop: Any status is fine.
        tree: Memory is that of the command and all its descendants together (Linux).
        cwd: Where it runs.
        environment: All its variables.

    Raises:
        FailedError: It failed, unless it `may_stop`; the message ends with the last 2,000 characters that it said.
    """
    wrapped = [HERE, "-S", "-E", "-c", _MEASURE, str(output or os.devnull), *command]
    with Path(given or os.devnull).open("rb") as read:
        process = subprocess.Popen(
            wrapped, stdin=read, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=cwd, env=environment
        )
        peak = [0.0]
        watched = threading.Thread(target=_watch, args=(process, peak))
        if tree:
            watched.start()
        answer, told = process.communicate()
    said = told.decode(errors="replace")[-2000:]
    if process.returncode:
        raise FailedError(f"{' '.join(command)}: {said}")
    seconds, cpu, most, status = json.loads(answer)
    if status and not may_stop:
        raise FailedError(f"{' '.join(command)}: status {status}\n{said}")
    if tree:
        watched.join()
    return Run(seconds, cpu, peak[0] if tree else most * (1 if sys.platform == "darwin" else 1024) / 1e6, status)


def _watch(process: subprocess.Popen[bytes], peak: list[float]) -> None:
    while process.returncode is None:
        peak[0] = max(peak[0], sum(map(_megabytes, _descendants(process.pid))))
        with suppress(subprocess.TimeoutExpired):
            process.wait(_EVERY)


def _descendants(pid: int) -> Iterator[int]:
    with suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split():
            yield int(child)
            yield from _descendants(int(child))


def _megabytes(pid: int) -> float:
    with suppress(OSError, IndexError, ValueError):
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
        return int(text.partition("\nPss:")[2].split()[0]) * 1024 / 1e6
    return 0.0


def median(runs: Sequence[Run]) -> Run:
    """Return the medians of several runs, and the highest peak."""
    seconds, cpu = statistics.median(one.seconds for one in runs), statistics.median(one.cpu_seconds for one in runs)
    return Run(seconds, cpu, max(one.megabytes for one in runs))


class Measured(NamedTuple):
    """One round of a contestant: the whole run, the same command with nothing to do, and what else is told."""

    name: str
    whole: Run
    idle: Run
    cells: Mapping[str, Any]


PACES = ("seconds", "cpu_seconds", "empty_seconds", "per_second", "per_second_running")
_Contestant = Any


def in_turn(
    contestants: Sequence[_Contestant], rounds: int, measure: Callable[[_Contestant], Iterable[Measured]]
) -> list[Row]:
    """Measure all in each round, so that a slow minute of the machine hits them alike; return rows of medians.

    Args:
        contestants: Who is measured; each has a `name`, and may be measured in the first round only (`once`).
        rounds: How often.
        measure: Runs one; may tell of several commands. Where the cells have `records`, the row has its pace.
    """
    found: dict[str, list[Measured]] = {}
    for number in range(rounds):
        for one in contestants:
            if not (number and one.once):
                progress(f"round {number + 1} of {rounds}, {one.name}")
                for measured in measure(one):
                    found.setdefault(measured.name, []).append(measured)
    rows = []
    for name, several in found.items():
        whole, idle = median([one.whole for one in several]), median([one.idle for one in several])
        cells = {**vars(whole), **several[-1].cells, "empty_seconds": idle.seconds}
        # Of few records the start takes longer than they do, or seems to.
        running = cells["running_seconds"] = whole.seconds - idle.seconds if whole.seconds > idle.seconds else None
        if "records" in cells:
            cells["per_second"] = cells["records"] / whole.seconds
            cells["per_second_running"] = cells["records"] / running if running else None
        rows.append(Row(name, cells))
    return rows
