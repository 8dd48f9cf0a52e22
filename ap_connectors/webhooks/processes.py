"""Processes that outlive us: told apart from others that got the same number later, and ended with their children."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

# It waits for our word, so that nothing runs that the database does not know; if we are killed before, it ends.
_GATE = 'read -r go && exec "$@" </dev/null'


class Child:
    """A command in a process group of its own, which begins when `go` is called.

    Args:
        command: what is run; its first part is looked for in PATH.
        cwd: where.
        env: its whole environment.
        log: file for its output.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, command: Sequence[str], cwd: Path, env: Mapping[str, str], log: Path) -> None:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - what the rules say
                ["/bin/sh", "-c", _GATE, "run", *command],
                cwd=cwd,
                env=dict(env),
                stdin=subprocess.PIPE,
                stdout=descriptor,
                stderr=descriptor,
                start_new_session=True,
            )
        finally:
            os.close(descriptor)
        self.pid = self._process.pid
        self.born = born(self.pid)

    def go(self) -> None:
        """Let it begin."""
        assert self._process.stdin is not None  # noqa: S101 - asked for above
        with suppress(BrokenPipeError), self._process.stdin as gate:
            gate.write(b"go\n")

    def drop(self) -> None:
        """Let it not begin at all."""
        assert self._process.stdin is not None  # noqa: S101 - asked for above
        self._process.stdin.close()
        self._process.wait()

    def status(self) -> int | None:
        """Its exit status, negative for a signal, or None while it runs."""
        return self._process.poll()

    def end(self, number: int = signal.SIGTERM) -> None:
        """Send a signal to it and its children."""
        end(self.pid, number)


def born(pid: int) -> str:
    """When a process began, as the system counts; empty where that cannot be known."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]


def lives(pid: int, born_at: str) -> bool:
    """Whether a process is still the one that it was."""
    if born_at:
        return born(pid) == born_at
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def end(pid: int, number: int) -> None:
    """Send a signal to a process group that we made."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
