"""Runs the real commands, each in a process of its own that need not load the libraries first.

Most of a command's second goes into importing the SDK and our own modules, and the tests run commands by the thousand.
So one process imports them all and forks for every command (`tests.forking`). That is executed from the first line of
its `__main__` on, as by `python -m`, with its own arguments, environment, standard files and status. The same for
Meltano, in an environment of its own.

Between tries the commands pause for a twentieth of what users wait, unless a test asks for `real_pauses`: how often
something is tried, and what comes after the last try, does not hang on that.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from demo import commands
from tests.forking import number

ROOT = Path(__file__).parent.parent
WEBHOOKS = "ap_connectors.webhooks"
OURS = ("TAP_", "TARGET_", "MAPPER_", "AP_")
"""How variables begin that nothing reads before a command runs."""


def run(
    command: Sequence[str],
    *,
    input: bytes = b"",
    env: Mapping[str, str] | None = None,
    timeout: float = 120,
    real_pauses: bool = False,
    unprivileged: bool = False,
) -> subprocess.CompletedProcess[bytes]:
    """Run a command as `subprocess.run` does with `capture_output`; `env` is added to the environment.

    `unprivileged`: root, too, may read and write only what the files' modes allow.

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
            how = {"real_pauses": real_pauses, "unprivileged": unprivileged}
            process = start(command, stdin=stdin, stdout=out, stderr=err, env=env, **how)
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
    unprivileged: bool = False,
) -> Process | subprocess.Popen[bytes]:
    """Start `python -m module ...` as `subprocess.Popen` does."""
    server = _server("webhooks" if command[2] == WEBHOOKS else "ours")
    if environment() != server.environment or Path.cwd() != ROOT:
        assert not unprivileged
        whole = {**os.environ, **(env or {})}
        return subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=stderr, env=whole)
    python, option, *arguments = command
    assert (python, option) == (sys.executable, "-m")
    files = (stdin.fileno(), stdout.fileno(), stderr.fileno())
    return server.start(arguments, files, env=env or {}, haste=not real_pauses, unprivileged=unprivileged)


def run_meltano(command: Sequence[str], env: Mapping[str, str], cwd: Path) -> bytes:
    """Run `meltano ...` in a folder; return what it printed, once it ended well."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with start_meltano(command, env, stdout=out, stderr=err, cwd=cwd) as process:
            status = process.wait()
        assert status == 0, _content(err).decode()[-3000:]
        return _content(out)


def start_meltano(
    command: Sequence[str], env: Mapping[str, str], *, stdout: IO[Any], stderr: IO[Any], cwd: Path = ROOT
) -> Process:
    """Start `meltano ...` in a session of its own, with this environment and no other."""
    base = commands.environment({})
    assert command[0] == commands.path("meltano")
    assert base.items() <= env.items()
    server = _server("meltano", tuple(base.items()))
    with Path(os.devnull).open() as stdin:
        files = (stdin.fileno(), stdout.fileno(), stderr.fileno())
        return server.start(command, files, env=env, cwd=cwd, session=True, script=True)


class Piped:
    """A command whose standard output is read while it runs; a context manager as `subprocess.Popen` is."""

    def __init__(self, begin: Callable[[IO[bytes]], Process | subprocess.Popen[bytes]]) -> None:
        source, sink = os.pipe()
        with os.fdopen(sink, "wb") as out:
            self._process = begin(out)
        self.stdout = os.fdopen(source, "rb")
        self.pid, self.poll, self.wait = self._process.pid, self._process.poll, self._process.wait
        self.kill, self.send_signal = self._process.kill, self._process.send_signal

    def __enter__(self) -> Piped:
        return self

    def __exit__(self, *_: object) -> None:
        self.stdout.close()
        self.wait()


def piped(command: Sequence[str], *, stderr: IO[Any]) -> Piped:
    """Start `python -m module ...` with nothing to read, its output in a pipe."""
    with Path(os.devnull).open() as stdin:
        return Piped(lambda out: start(command, stdin=stdin, stdout=out, stderr=stderr, real_pauses=True))


class Process:
    """A command that runs, or has ended."""

    def __init__(self, told: socket.socket) -> None:
        self._told = told
        self.pid = number(told)
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
                self.returncode = number(self._told)
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
    """The process that has libraries loaded; it ends with this one, when its socket is closed."""

    def __init__(self, kind: str, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self._lock = threading.Lock()
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.forking", str(theirs.fileno()), kind],
                cwd=ROOT,
                env=environment,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        atexit.register(self._end)

    def _end(self) -> None:
        self._socket.close()
        self._process.wait()

    def start(
        self,
        arguments: Sequence[str],
        files: Sequence[int],
        *,
        env: Mapping[str, str],
        cwd: Path = ROOT,
        haste: bool = False,
        unprivileged: bool = False,
        session: bool = False,
        script: bool = False,
    ) -> Process:
        """Start a module, or a script, with these standard files; `env` is added to the environment."""
        order = {"arguments": list(arguments), "env": dict(env), "cwd": str(cwd), "haste": haste}
        order |= {"unprivileged": unprivileged, "session": session, "script": script}
        content = json.dumps(order).encode()
        ours, theirs = socket.socketpair()
        with theirs, self._lock:
            socket.send_fds(self._socket, [len(content).to_bytes(8, "big")], [*files, theirs.fileno()])
            self._socket.sendall(content)
        return Process(ours)


def environment() -> dict[str, str]:
    """The environment, but for what changes with each test."""
    return {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}


@functools.cache
def _server(kind: str, variables: tuple[tuple[str, str], ...] | None = None) -> _Server:
    return _Server(kind, environment() if variables is None else dict(variables))
