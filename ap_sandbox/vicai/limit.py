"""The rate limit: so many requests in a window that slides with the time."""

from __future__ import annotations

import math
import time
from collections import deque


class Limit:
    """Counts the requests of one client; `throttled` is how many were refused."""

    def __init__(self) -> None:
        self.throttled = 0
        self._admitted: deque[float] = deque()

    def wait(self, requests: int, seconds: float) -> int | None:
        """Admit a request, or return the whole seconds until another one can pass; `requests` 0 admits all."""
        now = time.monotonic()
        while self._admitted and self._admitted[0] <= now - seconds:
            self._admitted.popleft()
        if requests and len(self._admitted) >= requests:
            self.throttled += 1
            return max(1, math.ceil(self._admitted[len(self._admitted) - requests] + seconds - now))
        self._admitted.append(now)
        return None
