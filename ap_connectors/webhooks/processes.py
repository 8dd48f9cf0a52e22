"""Processes of commands: recognized after a restart of ours, and ended together with their children."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

# Waits for a line before it runs the command, so that the database knows every command that runs. If we are killed
# before, the shell reads the end of its input, and ends too.
_WAIT_FOR_START = 'read -r go && exec "$@" </dev/null'


class Child:
    """A command in its own process group, which begins when `start` is called.

    Args:
        command: the program, looked up in PATH, and its arguments.
        cwd: folder to run in.
        env: its whole environment.
        log: file for its output.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, command: Sequence[str], cwd: Path, env: Mapping[str, str], log: Path) -> None:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the command comes from the rules
                ["/bin/sh", "-c", _WAIT_FOR_START, "run", *command],
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
        self.born = started_at(self.pid)

    def start(self) -> None:
        """Let the command begin."""
        assert self._process.stdin is not None  # noqa: S101 - PIPE above
        with suppress(BrokenPipeError), self._process.stdin as gate:
            gate.write(b"go\n")

    def cancel(self) -> None:
        """End the process before the command begins."""
        assert self._process.stdin is not None  # noqa: S101 - PIPE above
        self._process.stdin.close()
        self._process.wait()

    def exit_status(self) -> int | None:
        """Return its exit status, negative for a signal, or None while it runs."""
        return self._process.poll()


def started_at(pid: int) -> str:
    """Return when a process started, as the system counts; empty if that is unknown."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]


def is_running(pid: int, born: str) -> bool:
    """Return whether a process runs and is the one that started at `born`, not a later one with the same pid."""
    if born:
        return started_at(pid) == born
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def send_signal(pid: int, number: signal.Signals) -> None:
    """Send a signal to the process group of a child."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
