"""Runs the real commands, each in a process of its own that need not load the libraries first.

Most of a command's second goes into importing the SDK and our own modules, and the tests run commands by the thousand.
So one process imports them all and forks for every command. That is executed from the first line of its `__main__` on,
as by `python -m`, with its own arguments, environment, standard files and status.

Between tries the commands pause for a twentieth of what users wait, unless a test asks for `real_pauses`: how often
something is tried, and what comes after the last try, does not hang on that.
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple
from importlib import metadata
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parent.parent
LIBRARIES = ("singer_sdk", "singer_sdk.tap_base", "singer_sdk.target_base", "singer_sdk.mapper_base", "sqlite3")
COMMANDS = (
    "tap_ivesk.tap",
    "tap_vicai.tap",
    "tap_saft.tap",
    "tap_rejects.tap",
    "tap_webhooks.tap",
    "target_vicai.target",
    "target_ivesk.target",
    "target_warehouse.target",
    "mapper_ivesk_vicai.mapper",
    "ap_connectors.tieout.cli",
    "ap_connectors.webhooks.cli",
)
OURS = ("TAP_", "TARGET_", "MAPPER_", "AP_")
"""How variables begin that nothing reads before a command runs."""
HASTE = 20


def run(
    command: Sequence[str],
    *,
    input: bytes = b"",
    env: Mapping[str, str] | None = None,
    timeout: float = 120,
    real_pauses: bool = False,
) -> subprocess.CompletedProcess[bytes]:
    """Run a command as `subprocess.run` does with `capture_output`; `env` is added to the environment.

    Raises:
        subprocess.TimeoutExpired: it took too long, and was killed.
    """
    if env and not all(name.startswith(OURS) for name in env):
        # What a library does when it is loaded may hang on these.
        whole = {**os.environ, **env}
        return subprocess.run(command, input=input, capture_output=True, timeout=timeout, env=whole)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        source, sink = os.pipe()
        with os.fdopen(source, "rb") as stdin:
            process = start(command, stdin=stdin, stdout=out, stderr=err, env=env, real_pauses=real_pauses)
        feeder = threading.Thread(target=_feed, args=(sink, input))
        feeder.start()
        with process:
            try:
                status = process.wait(timeout)
            finally:
                process.kill()
                feeder.join()
        return subprocess.CompletedProcess(command, status, _content(out), _content(err))


def start(
    command: Sequence[str],
    *,
    stdin: IO[Any],
    stdout: IO[Any],
    stderr: IO[Any],
    env: Mapping[str, str] | None = None,
    real_pauses: bool = False,
) -> Process | subprocess.Popen[bytes]:
    """Start `python -m module ...` as `subprocess.Popen` does."""
    if _environment() != _server().environment or Path.cwd() != ROOT:
        whole = {**os.environ, **(env or {})}
        return subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=stderr, env=whole)
    python, option, *arguments = command
    assert (python, option) == (sys.executable, "-m")
    order = {"arguments": arguments, "env": env or {}, "real_pauses": real_pauses}
    return _server().start(order, (stdin.fileno(), stdout.fileno(), stderr.fileno()))


class Process:
    """A command that runs, or has ended."""

    def __init__(self, told: socket.socket) -> None:
        self._told = told
        self.pid = _number(told)
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the status, below zero if a signal ended it, or None if it still runs."""
        if self.returncode is None and select.select([self._told], [], [], 0)[0]:
            return self.wait(None)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; return the status.

        Raises:
            subprocess.TimeoutExpired: it still runs.
        """
        if self.returncode is None:
            if not select.select([self._told], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
            with self._told:
                self.returncode = _number(self._told)
        return self.returncode

    def send_signal(self, how: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            # Its end may be on its way to us.
            with suppress(ProcessLookupError):
                os.kill(self.pid, how)

    def kill(self) -> None:
        """Kill it, unless it has ended."""
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()


def _feed(sink: int, content: bytes) -> None:
    try:
        with os.fdopen(sink, "wb") as pipe:
            pipe.write(content)
    except BrokenPipeError:
        pass  # It did not want to read all; `subprocess.run` says nothing of that either.


def _content(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


class _Server:
    """The process that has the libraries loaded; it ends with this one, when its socket is closed."""

    def __init__(self) -> None:
        self.environment = _environment()
        self._lock = threading.Lock()
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.preloaded", str(theirs.fileno())],
                cwd=ROOT,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        atexit.register(self._end)

    def _end(self) -> None:
        self._socket.close()
        self._process.wait()

    def start(self, order: Mapping[str, Any], files: Sequence[int]) -> Process:
        """Start a command with these standard files."""
        ours, theirs = socket.socketpair()
        content = json.dumps(order).encode()
        with theirs, self._lock:
            socket.send_fds(self._socket, [len(content).to_bytes(8, "big")], [*files, theirs.fileno()])
            self._socket.sendall(content)
        return Process(ours)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}


@functools.cache
def _server() -> _Server:
    return _Server()


def _received(source: socket.socket, size: int) -> bytes:
    content = b""
    while len(content) < size:
        more = source.recv(size - len(content))
        assert more, "the other side has ended"
        content += more
    return content


def _number(source: socket.socket) -> int:
    return int.from_bytes(_received(source, 8), "big", signed=True)


def _tell(sink: socket.socket, number: int) -> None:
    sink.sendall(number.to_bytes(8, "big", signed=True))


# In the process that forks


class _Forks:
    """Forks for every command that is asked for, and tells how each ended."""

    def __init__(self, asks: socket.socket) -> None:
        self._asks = asks
        self._reports: dict[int, socket.socket] = {}
        self._ended, self._ends = socket.socketpair()
        for one in (self._ended, self._ends):
            one.setblocking(False)

    def order(self) -> dict[str, Any]:
        """Return what a command is to do, in the process that is to be the command."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._ends.fileno(), warn_on_full_buffer=False)
        while True:
            ready, _, _ = select.select([self._asks, self._ended], [], [])
            if self._ended in ready:
                self._ended.recv(4096)
                self._bury()
            if self._asks in ready:
                order = self._fork()
                if order is not None:
                    return order

    def _fork(self) -> dict[str, Any] | None:
        size, files, _, _ = socket.recv_fds(self._asks, 8, 4)
        if not size:
            os._exit(0)
        order: dict[str, Any] = json.loads(_received(self._asks, int.from_bytes(size, "big")))
        *standard, report = files
        child = os.fork()
        if child == 0:
            self._forget()
            _use(standard)
            os.close(report)
            return order
        # Else it would go unnoticed that the command has stopped reading.
        for file in standard:
            os.close(file)
        self._reports[child] = socket.socket(fileno=report)
        _tell(self._reports[child], child)
        return None

    def _forget(self) -> None:
        """Have nothing of this process left in the command's."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for one in (self._asks, self._ended, self._ends, *self._reports.values()):
            one.close()

    def _bury(self) -> None:
        with suppress(ChildProcessError):
            while True:
                child, status = os.waitpid(-1, os.WNOHANG)
                if not child:
                    return
                # The test may have ended meanwhile.
                with self._reports.pop(child) as report, suppress(BrokenPipeError):
                    _tell(report, os.waitstatus_to_exitcode(status))


def _use(standard: Sequence[int]) -> None:
    """Take these files as standard input, output and error."""
    for number, file in enumerate(standard):
        os.dup2(file, number)
        os.close(file)
    # What is known of the old files, such as whether they can be sought in, is not true of these.
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115


def _make_haste() -> None:
    """Shorten the pauses of the policy that clients have unless told otherwise."""
    from ap_connectors.http.session import RetryPolicy  # noqa: PLC0415 - only the command's process has it

    usual = RetryPolicy()
    short = RetryPolicy(usual.tries, usual.first_pause / HASTE, usual.longest_pause / HASTE, usual.longest_asked)
    RetryPolicy.__init__.__defaults__ = astuple(short)


def _end(status: int) -> None:
    """End as Python does, but leave it to the system to take the memory back.

    Python would go through every object of every library, each in a page of memory that is copied for it first: longer
    than most commands run.
    """
    threading._shutdown()  # type: ignore[attr-defined] # waits for the threads, as Python does first
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            try:
                stream.flush()
            except OSError:
                status = 120
    os._exit(status)


if __name__ == "__main__":
    for name in (*LIBRARIES, *COMMANDS):
        importlib.import_module(name)
    assert threading.active_count() == 1, "a fork would take only one of them along"
    # Every command asks for its version; what answers that is loaded with the first answer.
    metadata.version("ap-connectors")
    # The objects that all commands share stay shared.
    gc.freeze()
    order = _Forks(socket.socket(fileno=int(sys.argv[1]))).order()
    os.environ.update(order["env"])
    if not order["real_pauses"]:
        _make_haste()
    sys.argv = order["arguments"]
    try:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    except SystemExit as ending:
        if not isinstance(ending.code, int):
            raise
        _end(ending.code)
