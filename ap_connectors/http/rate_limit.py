"""A rate limit, kept ahead of the service's own: so many requests in any so many seconds, in bursts if need be."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from ap_connectors.core.errors import Outage
from ap_connectors.http import shutdown

_LOOK_AGAIN = 0.5


class RateLimit:
    """At most `requests` in any window of `seconds`, whatever thread they come from.

    A request counts from when it is sent until `seconds` after its answer: when exactly the service counted it, only
    the service knows, but it was not later than that. So no window of the service's own ever holds more than
    `requests` of ours, and yet a whole window's worth may be sent in one burst.
    """

    def __init__(self, requests: int, seconds: float) -> None:
        self._requests = requests
        self.seconds = seconds
        self._changed = threading.Condition()
        self._under_way = 0
        self._free_at: deque[float] = deque()
        self._held_until = 0.0

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Wait until a request may be sent; send it inside.

        Raises:
            Outage: the process is about to end.
        """
        self._take()
        try:
            yield
        finally:
            with self._changed:
                self._under_way -= 1
                self._free_at.append(time.monotonic() + self.seconds)
                self._changed.notify()

    def hold(self, seconds: float) -> None:
        """Let nobody send for so long: the service has said that it is too much (others may use the same client id)."""
        with self._changed:
            self._held_until = max(self._held_until, time.monotonic() + seconds)

    def _take(self) -> None:
        with self._changed:
            while (wait := self._wait()) > 0:
                if shutdown.is_near():
                    raise Outage("Given up, for the run is ending.")
                self._changed.wait(min(wait, _LOOK_AGAIN))
            self._under_way += 1

    def _wait(self) -> float:
        """Seconds until it is worth looking again; 0 if a request may be sent now."""
        now = time.monotonic()
        while self._free_at and self._free_at[0] <= now:
            self._free_at.popleft()
        if now < self._held_until:
            return self._held_until - now
        if self._under_way + len(self._free_at) < self._requests:
            return 0.0
        return self._free_at[0] - now if self._free_at else _LOOK_AGAIN
