"""Tap, mapper and target of one run, as children: their pipes, their log, their end."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from ap_connectors.core.errors import Stop
from ap_connectors.fleet import children
from ap_connectors.fleet.results import Status

GRACE = 60.0
"""Seconds for children to finish what is under way once they are told to end."""
_READER_ENDED = "program that reads our output has ended"
_TICK = 1.0

Stopped = Literal["late", "ended"]


@dataclass
class _Child:
    plugin: str
    pid: int
    log: int
    status: int | None = None
    rest: bytes = b""
    last: str = ""
    error: str = ""

    def send(self, number: signal.Signals) -> None:
        if self.status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    @property
    def failed(self) -> bool:
        return self.status not in {None, 0}


@dataclass(frozen=True)
class Start:
    """How a plugin is started.

    Args:
        plugin: its command, or the path of its program.
        files: contents of its options, as "--config"; they may be secret.
    """

    plugin: str
    files: dict[str, bytes]


class Flow:
    """Runs the plugins of a pipeline, and follows them to their end.

    Args:
        log: path of the file that gets what they say.
        mask: masks secrets in a line.
        on_state: gets each STATE that the target puts out; what it raises ends the run.
        until: when the time is over, by `time.monotonic`.
    """

    def __init__(self, log: Path, mask: Callable[[str], str], on_state: Callable[[bytes], None], until: float) -> None:
        self._log, self._mask, self._on_state, self._until = log, mask, on_state, until
        self._children: list[_Child] = []
        self._out, self._out_rest = -1, b""
        self._pressed = 0
        self.stopped: Stopped | None = None
        """Why it was told to end before it was done."""

    def start(self, plugins: Sequence[Start]) -> None:
        """Start the plugins, records going from each to the next."""
        null = os.open(os.devnull, os.O_RDONLY)
        reads, writes = zip(*(os.pipe() for _ in plugins), strict=True)
        logs = [os.pipe() for _ in plugins]
        mine = {null, *reads, *writes, *(file for pair in logs for file in pair)}
        # The target first: who reads is there when something is written.
        for number in reversed(range(len(plugins))):
            given, memory = [], []
            for option, content in plugins[number].files.items():
                memory.append(children.sealed(content))
                given += [option, f"/dev/fd/{memory[-1]}"]
            files = (reads[number - 1] if number else null, writes[number], logs[number][1])
            pid = children.run(plugins[number].plugin, given, files, sorted(mine))
            self._children.insert(0, _Child(plugins[number].plugin, pid, logs[number][0]))
            for file in memory:
                os.close(file)
        self._out = reads[-1]
        for file in mine - {self._out, *(child.log for child in self._children)}:
            os.close(file)

    def follow(self) -> None:
        """Read what they say and the STATEs until all have ended."""
        try:
            with self._opened() as log, _wakeup() as woken:
                self._read_all(log, woken)
        except BaseException:
            for child in self._children:
                child.send(signal.SIGKILL)
            raise
        finally:
            for child in self._children:
                self._bury(child)

    def stop(self, why: Stopped) -> None:
        """Have the tap end at the next record; mapper and target then see the end of their input, and finish."""
        self.stopped = self.stopped or why
        for child in self._children[:1]:
            child.send(signal.SIGTERM)

    def ending(self) -> tuple[Status, str]:
        """Return how it ended, and why: what failed first on the way of the records says it."""
        failed = [child for child in self._children if child.failed]
        if not failed:
            return "done", ""
        first = next((one for one in failed if one.error and _READER_ENDED not in one.error), None)
        first = first or next((one for one in reversed(failed) if _READER_ENDED not in one.error), failed[-1])
        said = first.error or first.last
        if first.status is not None and first.status < 0:
            name = signal.Signals(-first.status).name
            return "outage", f"{first.plugin} was killed ({name}); the next run goes on. {said}".strip()
        status: Status = "outage" if first.status == children.OUTAGE else "failed"
        return status, f"{first.plugin}: {said or f'ended with status {first.status}'}"

    def _read_all(self, log: IO[bytes], woken: int) -> None:
        until = self._until
        with selectors.DefaultSelector() as selector:
            for child in self._children:
                selector.register(child.log, selectors.EVENT_READ, child)
            selector.register(self._out, selectors.EVENT_READ)
            selector.register(woken, selectors.EVENT_READ)
            while len(selector.get_map()) > 1:
                if self.stopped == "ended" and until == self._until:
                    until = min(until, time.monotonic() + GRACE)
                for key, _ in selector.select(max(0.0, min(until - time.monotonic(), _TICK))):
                    content = _read(key.fd)
                    if key.fd == woken:
                        continue
                    if key.data is None:
                        self._take_states(content)
                    else:
                        self._take_words(key.data, content, log)
                    if not content:
                        selector.unregister(key.fd)
                        os.close(key.fd)
                        if key.data is not None:
                            self._bury(key.data)
                if time.monotonic() >= until:
                    until = time.monotonic() + self._press()

    def _take_words(self, child: _Child, content: bytes, log: IO[bytes]) -> None:
        """Write what a child says into the log, a line at a time, without secrets; keep its errors."""
        *lines, child.rest = (child.rest + content).split(b"\n")
        if not content and child.rest:
            lines, child.rest = [*lines, child.rest], b""
        for line in lines:
            text = self._mask(line.decode(errors="replace"))
            self._write(log, f"{child.plugin}: {text}\n".encode())
            *heads, words = (part.strip() for part in text.split(" | "))
            child.last = words or child.last
            if {"ERROR", "CRITICAL"} & set(heads):
                child.error = f"{child.error} {words}".strip()

    def _opened(self) -> IO[bytes]:
        try:
            log = self._log.open("ab", buffering=0)
            self._log.chmod(0o600)
        except OSError as error:
            raise self._unwritable(error) from None
        return log

    def _write(self, log: IO[bytes], line: bytes) -> None:
        try:
            log.write(line)
        except OSError as error:
            raise self._unwritable(error) from None

    def _unwritable(self, error: OSError) -> Stop:
        return Stop(f"{self._log}: the log cannot be written: {error.strerror}.")

    def _take_states(self, content: bytes) -> None:
        *lines, self._out_rest = (self._out_rest + content).split(b"\n")
        if not content and self._out_rest:
            lines, self._out_rest = [*lines, self._out_rest], b""
        if lines := [line for line in lines if line.strip()]:
            self._on_state(lines[-1])

    def _bury(self, child: _Child) -> None:
        if child.status is not None:
            return
        _, status = os.waitpid(child.pid, 0)
        child.status = os.waitstatus_to_exitcode(status)
        if child.failed:
            # Who feeds it may be waiting for its service, and would learn of this with the next record only.
            for other in self._children[: self._children.index(child)]:
                other.send(signal.SIGTERM)

    def _press(self) -> float:
        """End what has not ended in time, harder each time; return the seconds until the next time."""
        self._pressed += 1
        if self._pressed == 1 and self.stopped is None:
            self.stop("late")
            return GRACE / 2
        for child in self._children:
            child.send(signal.SIGTERM if self._pressed <= 2 else signal.SIGKILL)
        return GRACE / 4


@contextlib.contextmanager
def _wakeup() -> Iterator[int]:
    """Give a file that can be read when a signal has come."""
    woken, wake = os.pipe()
    for file in (woken, wake):
        os.set_blocking(file, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    try:
        yield woken
    finally:
        signal.set_wakeup_fd(-1)
        os.close(woken)
        os.close(wake)


def _read(file: int) -> bytes:
    with contextlib.suppress(BlockingIOError):
        return os.read(file, 65536)
    return b""
