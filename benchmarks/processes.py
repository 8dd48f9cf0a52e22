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
import resource, subprocess, sys
status = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(status)
"""


_ROOT = Path(__file__).resolve().parent.parent
_ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
"""Unbuffered output, or bytecode that is not kept, would be measured too."""


class FailedError(RuntimeError):
    """A contestant ended with another status than 0."""


@dataclass(frozen=True)
class Run:
    """What one process took: `seconds` on the clock, and `cpu` seconds of its own."""

    seconds: float
    cpu: float


def median(runs: list[Run]) -> Run:
    """Return the medians of several runs."""
    return Run(statistics.median(one.seconds for one in runs), statistics.median(one.cpu for one in runs))


def run(command: list[str], output: Path | None = None) -> Run:
    """Run a command, its output to a file or to nowhere.

    Raises:
        FailedError: it failed; the message ends with what it said.
    """
    with Path(output or os.devnull).open("wb") as out, TemporaryFile() as said:
        start = time.perf_counter()
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=said, cwd=_ROOT, env=_ENVIRONMENT
        )
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            said.seek(0)
            raise FailedError(f"{' '.join(command)}: status {child.returncode}\n{said.read().decode()[-2000:]}")
        return Run(seconds, usage.ru_utime + usage.ru_stime)


def peak_megabytes(command: list[str]) -> float:
    """Return the most memory that a command had resident, in MB (10^6 bytes).

    A small Python in between starts it: a child's peak counts that of the process it was forked from.

    Raises:
        FailedError: it failed.
    """
    wrapped = [sys.executable, "-S", "-E", "-c", _PEAK, *command]
    done = subprocess.run(
        wrapped, stdin=subprocess.DEVNULL, capture_output=True, check=False, cwd=_ROOT, env=_ENVIRONMENT
    )
    if done.returncode:
        raise FailedError(f"{' '.join(command)}: status {done.returncode}\n{done.stderr.decode()[-2000:]}")
    unit = 1 if sys.platform == "darwin" else 1024
    return int(done.stdout) * unit / 1e6
