"""What all processes of a machine have sent within a rate limit's window: a file of times for each account.

The limit is the service's, and it counts an account's requests whichever process sends them. `ap-fleet` names a folder
in AP_RATE_LIMIT_DIR for the processes that it starts; without that variable each process counts for itself.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ap_connectors.core.errors import Stop

FOLDER = "AP_RATE_LIMIT_DIR"

_LEASE = 300.0
"""Seconds for which a request counts that has no answer: its process may have been killed."""
_HOLD = 0
"""The first time in the file: nothing is sent before it. Behind it, until when each request counts."""


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


def of(account: str, host: str) -> SharedWindow | None:
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
