"""Rate limits on our side, stricter than the service's own: at most N requests in any window of S seconds.

The limit is the service's, and it counts an account's requests whichever process sends them. `ap-fleet` names a folder
in AP_RATE_LIMIT_DIR for the processes that it starts: there is a file of times for each account, which they share.
Without that variable each process counts for itself.
"""

from __future__ import annotations

import fcntl
import hashlib
import math
import os
import threading
import time
from array import array
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ap_connectors.core.errors import Outage, Stop
from ap_connectors.http import shutdown
from ap_connectors.http.concurrency import AdaptiveConcurrency

FOLDER = "AP_RATE_LIMIT_DIR"

_LEASE = 300.0
"""Seconds for which a request counts that has no answer: its process may have been killed."""
_HOLD = 0
"""The first time in the file: nothing is sent before it. Behind it, until when each request counts."""
_LOOK_AGAIN = 0.5
_SURE, _NOISE = 0.9, 0.1
"""Of the quickest answer so far this part, less these seconds, is surely distance; the rest may be chance."""


class SharedWindow:
    """Times on this machine's clock, which all processes share. Threads of one process need a lock of their own.

    Args:
        path: of the file; it is made if it is missing.

    Raises:
        Stop: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise Stop(f"{FOLDER}: {path} cannot be opened: {error.strerror}.") from None

    def take(self, most: int) -> tuple[int, float]:
        """Take one of `most` places; return its number and 0, or -1 and the seconds until it is worth asking again."""
        with self._times() as times:
            now = time.monotonic()
            # A later time than any lease was written before the machine started anew.
            valid = [now < until <= now + 2 * _LEASE for until in times]
            if valid[_HOLD]:
                return -1, times[_HOLD] - now
            taken = [until for until, holds in zip(times[1:], valid[1:], strict=True) if holds]
            if len(taken) >= most:
                return -1, min(taken) - now
            place = next((number for number, holds in enumerate(valid) if number and not holds), len(times))
            self._write(place, now + _LEASE)
            return place, 0.0

    def answered(self, place: int, until: float) -> None:
        """Let a request that was answered count until a time of `time.monotonic`."""
        with self._times():
            self._write(place, until)

    def hold(self, until: float) -> None:
        """Have no process send anything before a time of `time.monotonic`."""
        with self._times() as times:
            if times[_HOLD] < until or times[_HOLD] > time.monotonic() + 2 * _LEASE:
                self._write(_HOLD, until)

    @contextmanager
    def _times(self) -> Iterator[array[float]]:
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            times = array("d", b"")
            content = os.pread(self._file, os.fstat(self._file).st_size, 0)
            times.frombytes(content[: len(content) // times.itemsize * times.itemsize] or array("d", [0.0]).tobytes())
            yield times
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def _write(self, place: int, until: float) -> None:
        moment = array("d", [until])
        os.pwrite(self._file, moment.tobytes(), place * moment.itemsize)


def shared_window(account: str, host: str) -> SharedWindow | None:
    """Return what the processes of this machine share for an account at a host; None unless AP_RATE_LIMIT_DIR is set.

    Raises:
        Stop: its file cannot be opened.
    """
    folder = os.environ.get(FOLDER, "").strip()
    if not folder:
        return None
    # The account's name need not be known to who sees the folder.
    name = hashlib.sha256(f"{account}\n{host}".encode()).hexdigest()
    return SharedWindow(Path(folder) / name)


class RateLimit:
    """At most `requests` in any window of `seconds`, from all threads together.

    Only the service knows when, between sending and answer, it counts a request. That is no later than the way back
    before the answer, and no earlier than the way there after sending; both ways together take as long as the quickest
    answer. So a request counts until `seconds` after its answer, less what is sure of that. None of the service's
    windows ever contains more than `requests` of ours, and still a whole window's worth can be sent in one burst.

    Args:
        requests: how many.
        seconds: in how long.
        adapts: whether the number of requests under way is kept to what the limit has use for (see
            `AdaptiveConcurrency`); else only the callers' threads bound it.
        shared: what other processes send to the same account counts, too.
    """

    def __init__(
        self, requests: int, seconds: float, *, adapts: bool = False, shared: SharedWindow | None = None
    ) -> None:
        self._requests = requests
        self.seconds = seconds
        self._changed = threading.Condition()
        self._under_way = 0
        self._free_at: deque[float] = deque()
        self._held_until = 0.0
        self._quickest = math.inf
        self._at_once = AdaptiveConcurrency(requests / seconds) if adapts else None
        self._shared = shared

    @contextmanager
    def slot(self, kind: str = "") -> Iterator[None]:
        """Wait until a request may be sent; send it inside.

        Args:
            kind: what answers are compared with that take about as long.

        Raises:
            Outage: the process is shutting down.
        """
        place = self._take()
        sent = time.monotonic()
        try:
            yield
        finally:
            with self._changed:
                now = time.monotonic()
                self._under_way -= 1
                self._quickest = min(self._quickest, now - sent)
                self._free_at.append(now + self.seconds)
                if self._shared:
                    # Other processes may be on another way.
                    self._shared.answered(place, now + self.seconds)
                if self._at_once:
                    self._at_once.answered(kind, now - sent)
                    self._changed.notify(max(1, self._at_once.allowed - self._under_way))
                else:
                    self._changed.notify()

    def failed(self) -> None:
        """Send less at once: the service is too busy, or failed."""
        if self._at_once:
            with self._changed:
                self._at_once.failed()

    def hold(self, seconds: float) -> None:
        """Send nothing for so long: the service answered 429 (other processes may use the same client id)."""
        with self._changed:
            self._held_until = max(self._held_until, time.monotonic() + seconds)
            if self._shared:
                self._shared.hold(self._held_until)
        self.failed()

    def _take(self) -> int:
        """Wait for a place; return its number among those that processes share."""
        with self._changed:
            while True:
                place, wait = 0, self._wait()
                if wait <= 0 and self._shared:
                    place, wait = self._shared.take(self._requests)
                if wait <= 0:
                    self._under_way += 1
                    return place
                if shutdown.is_requested():
                    raise Outage("Given up because the process is shutting down.")
                self._changed.wait(min(wait, _LOOK_AGAIN))

    def _wait(self) -> float:
        """Return the seconds until it is worth looking again; 0 if a request may be sent now."""
        now = time.monotonic()
        arrives = now + (max(0.0, _SURE * self._quickest - _NOISE) if self._free_at else 0.0)
        while self._free_at and self._free_at[0] <= arrives:
            self._free_at.popleft()
        if now < self._held_until:
            return self._held_until - now
        if self._at_once and self._under_way >= self._at_once.allowed:
            return _LOOK_AGAIN
        if self._under_way + len(self._free_at) < self._requests:
            return 0.0
        return self._free_at[0] - arrives if self._free_at else _LOOK_AGAIN
