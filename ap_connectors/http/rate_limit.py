"""A rate limit on our side, stricter than the service's own: at most N requests in any window of S seconds."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from ap_connectors.core.errors import Outage
from ap_connectors.http import shutdown
from ap_connectors.http.adaptive_concurrency import AdaptiveConcurrency
from ap_connectors.http.shared_window import SharedWindow

_LOOK_AGAIN = 0.5
_SURE, _NOISE = 0.9, 0.1
"""Of the quickest answer so far this part, less these seconds, is surely distance; the rest may be chance."""


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
