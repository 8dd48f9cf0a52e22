"""Runs commands the way a user does: by name, with settings in the environment."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import IO

from demo.project import ROOT, DemoError

PATIENCE = 600.0
"""Seconds that a command may take, on a machine that does much else, too."""
_GRACE = 5.0
_TAIL = 1500


def path(name: str) -> str:
    """Return where an installed command is."""
    return str(Path(sys.executable).with_name(name))


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a command: what any program needs, and these settings.

    It leaves out settings made for other runs, and any proxy: the sandbox is on this machine. Meltano is also faster
    with less; it reads the whole environment some thousand times.
    """
    needed = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "LC_CTYPE")
    kept = {name: os.environ[name] for name in needed if name in os.environ}
    # meltano.yml and the documents are not in ASCII, whatever the machine prefers.
    return {**kept, "PYTHONUTF8": "1", **settings}


def run(
    name: str, *arguments: str, settings: Mapping[str, str] | None = None, given: str = "", ends: Collection[int] = (0,)
) -> "subprocess.CompletedProcess[str]":
    """Run a command; `given` is its standard input. It has to end in time, with one of the statuses `ends`."""
    line = " ".join([name, *arguments])
    try:
        done = subprocess.run(
            [path(name), *arguments],
            cwd=ROOT,
            env=environment(settings or {}),
            input=given,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise DemoError(f"{line} has not ended after {PATIENCE:g} s.") from None
    if done.returncode not in ends:
        raise DemoError(f"{line} ended with status {done.returncode}:\n{done.stderr[-_TAIL:]}")
    return done


def spawn(command: list[str], env: Mapping[str, str], output: int | IO[str]) -> "subprocess.Popen[str]":
    """Start a process in a group of its own."""
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )


@contextlib.contextmanager
def started(
    command: list[str], env: Mapping[str, str], output: int | IO[str] = subprocess.PIPE
) -> Iterator["subprocess.Popen[str]"]:
    """Start a process in a group of its own, its output in a pipe or a file; end the group if it did not end well."""
    with spawn(command, env, output) as child:
        try:
            yield child
        finally:
            if child.poll() != 0:
                _end_group(child)


def _end_group(child: "subprocess.Popen[str]") -> None:
    until = time.monotonic() + _GRACE
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
        while time.monotonic() < until:
            child.poll()
            time.sleep(0.05)
            os.killpg(child.pid, 0)
        os.killpg(child.pid, signal.SIGKILL)
