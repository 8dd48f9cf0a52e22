"""How many requests a piece of work cost: counted where they are sent, for whoever the thread works for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class RequestCounts:
    """Counters that any number of threads may share.

    Attributes:
        requests: HTTP requests sent, repeated ones and those for tokens among them.
        retries: repeats of a call after a failure. A repeat after a 429 is none: the service only asked us to wait.
        throttled: answers with status 429.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.requests = 0
        self.retries = 0
        self.throttled = 0

    def add(self, *, requests: int = 0, retries: int = 0, throttled: int = 0) -> None:
        """Count so many more."""
        with self._lock:
            self.requests += requests
            self.retries += retries
            self.throttled += throttled


@contextmanager
def counting(tally: RequestCounts) -> Iterator[None]:
    """Count what this thread sends inside on `tally`, and nowhere else; afterwards where it was counted before."""
    before = current()
    _of_thread.tally = tally
    try:
        yield
    finally:
        _of_thread.tally = before


def current() -> RequestCounts | None:
    """Return the tally that this thread's requests are counted on, or None."""
    tally: RequestCounts | None = getattr(_of_thread, "tally", None)
    return tally


def count(*, requests: int = 0, retries: int = 0, throttled: int = 0) -> None:
    """Count so many more on this thread's tally, if it has one."""
    if tally := current():
        tally.add(requests=requests, retries=retries, throttled=throttled)


_of_thread = threading.local()
