"""The log of a company's calls to the services."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from ap_connectors.sandbox import clock

MOST, LEAST = 20_000, 1_000
"""How many calls are kept in all; and of each of many companies at least."""


@dataclass(slots=True)
class LoggedCall:
    """One call.

    `key` says whether `x-api-key` or the access token was `ok`, `wrong`, `expired` or `none`, and never what it was;
    `request_id` is the X-Request-Id that the caller gave.
    """

    n: int
    at: str
    method: str
    path: str
    query: str
    key: str
    status: int | None = None
    fault: str | None = None
    request_id: str | None = None


class CallLog:
    """The latest calls, `most` of them, and how many there were in all."""

    def __init__(self, most: int = MOST) -> None:
        self.latest: deque[LoggedCall] = deque(maxlen=most)
        self.count = 0

    def begin(self, method: str, path: str, query: str, key: str) -> LoggedCall:
        """Log a call; its status follows when it is answered."""
        self.count += 1
        call = LoggedCall(self.count, clock.iso(int(clock.now() * 1000)), method, path, query, key)
        self.latest.append(call)
        return call

    def clear(self) -> None:
        """Forget all calls."""
        self.latest.clear()
        self.count = 0
