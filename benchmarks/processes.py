"""Running whole processes and reading what they took."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

_PEAK = """
import resource, subprocess, sys, time
start = time.perf_counter()
with open(sys.argv[1], "wb") as out:
    status = subprocess.run(sys.argv[2:], stdout=out).returncode
seconds = time.perf_counter() - start
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss)
sys.exit(status)
"""


_ROOT = Path(__file__).resolve().parent.parent
_ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
"""Unbuffered output, or bytecode that is not kept, would be measured too."""


class FailedError(RuntimeError):
    """A contestant ended with another status than 0."""


@dataclass(frozen=True)
class Run:
    """What one process took: `seconds` on the clock, and `cpu` seconds of its own; and how it ended."""

    seconds: float
    cpu: float
    status: int = 0


def median(runs: list[Run]) -> Run:
    """Return the medians of several runs."""
    return Run(statistics.median(one.seconds for one in runs), statistics.median(one.cpu for one in runs))


def run(command: list[str], output: Path | None = None, *, given: Path | None = None, may_stop: bool = False) -> Run:
    """Run a command, its output to a file or to nowhere; `given` is what it reads from its standard input.

    Raises:
        FailedError: it failed, which not everybody `may_stop` to do; the message ends with what it said.
    """
    with (
        Path(given or os.devnull).open("rb") as read,
        Path(output or os.devnull).open("wb") as out,
        TemporaryFile() as said,
    ):
        start = time.perf_counter()
        child = subprocess.Popen(command, stdin=read, stdout=out, stderr=said, cwd=_ROOT, env=_ENVIRONMENT)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode and not may_stop:
            said.seek(0)
            raise FailedError(f"{' '.join(command)}: status {child.returncode}\n{said.read().decode()[-2000:]}")
        return Run(seconds, usage.ru_utime + usage.ru_stime, child.returncode)


def peak_megabytes(command: list[str]) -> float:
    """Return the most memory that a command had resident, in MB (10^6 bytes).

    Raises:
        FailedError: it failed.
    """
    return run_with_peak(command)[1]


def run_with_peak(command: list[str], output: Path | None = None, *, given: Path | None = None) -> tuple[Run, float]:
    """Run a command as `run` does; return also the most memory that it had resident, in MB (10^6 bytes).

    A small Python in between starts it: a child's peak counts that of the process it was forked from.

    Raises:
        FailedError: it failed.
    """
    wrapped = [sys.executable, "-S", "-E", "-c", _PEAK, str(output or os.devnull), *command]
    with Path(given or os.devnull).open("rb") as read:
        done = subprocess.run(wrapped, stdin=read, capture_output=True, check=False, cwd=_ROOT, env=_ENVIRONMENT)
    if done.returncode:
        raise FailedError(f"{' '.join(command)}: status {done.returncode}\n{done.stderr.decode()[-2000:]}")
    seconds, cpu, most = map(float, done.stdout.split())
    unit = 1 if sys.platform == "darwin" else 1024
    return Run(seconds, cpu), most * unit / 1e6
