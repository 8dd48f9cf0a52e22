"""The log of calls to the emulated services: what came, what was answered, and whether a key came along."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from ap_sandbox import clock

MOST = 20_000


@dataclass
class Call:
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


@dataclass
class Calls:
    """The latest 20,000 calls."""

    latest: deque[Call] = field(default_factory=lambda: deque(maxlen=MOST))
    count: int = 0

    def begin(self, method: str, path: str, query: str, key: str) -> Call:
        """Writes a call down; its status follows when it is answered."""
        self.count += 1
        call = Call(self.count, clock.iso(int(clock.now() * 1000)), method, path, query, key)
        self.latest.append(call)
        return call

    def clear(self) -> None:
        """Forgets all calls."""
        self.latest.clear()
        self.count = 0
