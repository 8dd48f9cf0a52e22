"""Calls that may hang, in threads of their own: a caller waits no longer than a limit, and holds up no other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from ap_connectors.webhooks.errors import unavailable

T = TypeVar("T")


class TimeLimit:
    """Runs calls in daemon threads, so that one that never ends cannot keep the process from ending.

    Args:
        seconds: the longest time that a caller waits.
        most: calls under way at once, those included that no caller waits for any more.
    """

    def __init__(self, seconds: float, most: int) -> None:
        self._seconds = seconds
        self._free = threading.BoundedSemaphore(most)

    async def call(self, function: Callable[[], T], what: str) -> T:
        """Return what a function returns.

        Raises:
            Refused: 503, it takes too long, or too many are under way. What the function raises.
        """
        if not self._free.acquire(blocking=False):
            raise unavailable(f"{what} has to wait.", detail="Too many such calls are under way.")
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(function())
            except BaseException as error:
                future.set_exception(error)
            finally:
                self._free.release()

        threading.Thread(target=run, name="time-limit", daemon=True).start()
        try:
            # Shielded: the thread cannot be stopped, and a future that is cancelled takes no result.
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(future)), self._seconds)
        except asyncio.TimeoutError:
            raise unavailable(f"{what} takes too long.", detail=f"More than {self._seconds:g} s.") from None
