"""A gate for STATE messages: one leaves when every record before it is acknowledged."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from ap_connectors.singer.message_io import write_out


class StateGate:
    """Holds every STATE back until the records before it are written, found equal, or durably set aside.

    Records are acknowledged in any order, because many are under way at once. States leave in their order; of several
    that may leave together, the last does.

    Args:
        before: called before a state leaves, to make durable what it vouches for (the reject file).
        write: writes a line; to standard output unless given.
    """

    def __init__(self, before: Callable[[], None], write: Callable[[bytes], None] | None = None) -> None:
        self._before = before
        self._write = write or write_out
        self._lock = threading.Lock()
        self._last = 0
        # In ascending order, so the first key is the earliest record that is not acknowledged.
        self._pending: dict[int, None] = {}
        self._states: deque[tuple[int, bytes]] = deque()

    def begin(self) -> int:
        """Return the number of a new record, which is to be acknowledged."""
        with self._lock:
            self._last += 1
            self._pending[self._last] = None
            return self._last

    def ack(self, number: int) -> None:
        """Acknowledge a record; release the state that waited for it."""
        with self._lock:
            del self._pending[number]
            self._release()

    def state(self, value: bytes) -> None:
        """Add the value of a STATE; it leaves when every record before it is acknowledged."""
        with self._lock:
            self._states.append((self._last, value))
            self._release()

    def _release(self) -> None:
        if not self._states:
            return
        earliest = next(iter(self._pending), None)
        ready = None
        while self._states and (earliest is None or self._states[0][0] < earliest):
            ready = self._states.popleft()[1]
        if ready is not None:
            self._before()
            self._write(ready + b"\n")
