"""Counts of requests, kept where requests are sent and credited to the work that the sending thread is doing."""

from __future__ import annotations

import threading


class RequestCounts:
    """Counters that any number of threads may share.

    Attributes:
        requests: HTTP requests sent, including repeated ones and those for tokens.
        retries: repeats of a call after a failure. A repeat after a 429 does not count: the service only asked to wait.
        throttled: answers with status 429.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.requests = 0
        self.retries = 0
        self.throttled = 0

    def add(self, *, requests: int = 0, retries: int = 0, throttled: int = 0) -> None:
        """Add to the counters."""
        with self._lock:
            self.requests += requests
            self.retries += retries
            self.throttled += throttled


class counting:  # noqa: N801 - a context manager; as a generator it would take three times as long, for each record
    """Credit the requests that this thread sends inside to `counts` only; afterwards to what was credited before."""

    __slots__ = ("_before", "_counts")

    def __init__(self, counts: RequestCounts) -> None:
        self._counts = counts

    def __enter__(self) -> None:
        self._before = current()
        _of_thread.counts = self._counts

    def __exit__(self, *_: object) -> None:
        _of_thread.counts = self._before


def current() -> RequestCounts | None:
    """Return the counters that this thread's requests are credited to, or None."""
    counts: RequestCounts | None = getattr(_of_thread, "counts", None)
    return counts


def count(*, requests: int = 0, retries: int = 0, throttled: int = 0) -> None:
    """Add to this thread's counters, if it has any."""
    if counts := current():
        counts.add(requests=requests, retries=retries, throttled=throttled)


_of_thread = threading.local()
