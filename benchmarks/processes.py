"""Running whole processes and reading what they took."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

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
_ROOT = Path(__file__).resolve().parent.parent
_ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
"""Unbuffered output, or bytecode that is not kept, would be measured too."""


class FailedError(RuntimeError):
    """A contestant ended with another status than 0."""


@dataclass(frozen=True)
class Run:
    """What one process took: `seconds` on the clock, `cpu_seconds` of its own, memory at its peak; and how it ended."""

    seconds: float
    cpu_seconds: float
    megabytes: float = 0.0
    """10^6 bytes, resident."""
    status: int = 0


def median(runs: list[Run]) -> Run:
    """Return the medians of several runs."""
    seconds = statistics.median(one.seconds for one in runs)
    return Run(seconds, statistics.median(one.cpu_seconds for one in runs))


def run(command: list[str], output: Path | None = None, *, given: Path | None = None, may_stop: bool = False) -> Run:
    """Run a command, its output to a file or to nowhere; `given` is what it reads from its standard input.

    Raises:
        FailedError: it failed, unless it `may_stop`; the message ends with what it said.
    """
    wrapped = [sys.executable, "-S", "-E", "-c", _MEASURE, str(output or os.devnull), *command]
    with Path(given or os.devnull).open("rb") as read:
        done = subprocess.run(wrapped, stdin=read, capture_output=True, check=False, cwd=_ROOT, env=_ENVIRONMENT)
    said = done.stderr.decode(errors="replace")[-2000:]
    if done.returncode:
        raise FailedError(f"{' '.join(command)}: {said}")
    seconds, cpu, most, status = json.loads(done.stdout)
    if status and not may_stop:
        raise FailedError(f"{' '.join(command)}: status {status}\n{said}")
    return Run(seconds, cpu, most * (1 if sys.platform == "darwin" else 1024) / 1e6, status)
