"""When a STATE may go out: as soon as every record before it is settled, and not before."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable


class StateGate:
    """Holds every STATE back until the records before it are written, found equal, or safely set aside.

    Records settle in any order, for many are under way at once. Of several states that may go out together, the last
    does; states go out in the order in which they came.

    Args:
        before: called before a state goes out, to make durable what it vouches for (the reject file).
        write: takes a line; standard output unless given.
    """

    def __init__(self, before: Callable[[], None], write: Callable[[bytes], None] | None = None) -> None:
        self._before = before
        self._write = write or _to_standard_output
        self._lock = threading.Lock()
        self._last = 0
        # Numbers in the order in which they were given out, so the first key is the earliest that is not settled.
        self._unsettled: dict[int, None] = {}
        self._states: deque[tuple[int, bytes]] = deque()

    def begin(self) -> int:
        """Return the number of a record that is not settled yet."""
        with self._lock:
            self._last += 1
            self._unsettled[self._last] = None
            return self._last

    def ack(self, number: int) -> None:
        """Take note that a record is dealt with; let out the state that waited for it."""
        with self._lock:
            del self._unsettled[number]
            self._let_out()

    def state(self, value: bytes) -> None:
        """Take a STATE's value, to go out when everything before it is settled."""
        with self._lock:
            self._states.append((self._last, value))
            self._let_out()

    def _let_out(self) -> None:
        if not self._states:
            return
        earliest = next(iter(self._unsettled), None)
        ready = None
        while self._states and (earliest is None or self._states[0][0] < earliest):
            ready = self._states.popleft()[1]
        if ready is not None:
            self._before()
            self._write(ready + b"\n")


def _to_standard_output(line: bytes) -> None:
    out = sys.stdout.buffer
    rest = memoryview(line)
    while rest:
        # Where Python runs unbuffered, a signal makes this write less than it was given.
        rest = rest[out.write(rest) or 0 :]
    out.flush()
