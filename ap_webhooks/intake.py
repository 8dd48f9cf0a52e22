"""Takes the bodies of requests in, within limits of size, time and memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import anyio
from starlette.requests import ClientDisconnect, Request

from ap_webhooks.refused import Refused, unavailable

_MB = 1_000_000
_LINGER_BYTES = 2 * _MB
_LINGER_SECONDS = 1.0


class Intake:
    """Bounds what is read.

    Args:
        seconds: how long one body may take.
        most_mb: what all bodies may hold together.
    """

    def __init__(self, seconds: float, most_mb: float) -> None:
        self._seconds = seconds
        self._most = most_mb * _MB
        self.held = 0

    @contextmanager
    def hold(self) -> Iterator[Hold]:
        """Give what reads one body; its bytes count as held until the context ends."""
        hold = Hold(self)
        try:
            yield hold
        finally:
            self.held -= hold.taken

    def check(self, request: Request, limit_mb: float) -> None:
        """Refuse what says itself that it is too large.

        Raises:
            Refused: 413.
        """
        said = request.headers.get("content-length", "")
        if said.isdecimal() and int(said) > limit_mb * _MB:
            raise _too_large(limit_mb)

    async def read(self, hold: Hold, request: Request, limit_mb: float, sink: Callable[[bytes], object]) -> None:
        """Give the pieces of a body to `sink`; see `Hold.read`."""
        self.check(request, limit_mb)
        try:
            with anyio.fail_after(self._seconds):
                async for piece in request.stream():
                    hold.taken += len(piece)
                    self.held += len(piece)
                    if hold.taken > limit_mb * _MB:
                        raise _too_large(limit_mb)
                    if self.held > self._most:
                        raise unavailable("Too much is under way.", detail="See max_waiting_mb.")
                    sink(piece)
        except TimeoutError:
            raise Refused(408, "slow", f"The body took longer than {self._seconds:g} s.") from None
        except ClientDisconnect:
            raise Refused(
                400, "broken", "The body broke off.", detail="The sender hung up; nothing is stored."
            ) from None


class Hold:
    """Reads one body; `taken` are its bytes so far."""

    def __init__(self, intake: Intake) -> None:
        self.taken = 0
        self._intake = intake

    async def read(self, request: Request, limit_mb: float, sink: Callable[[bytes], object]) -> None:
        """Give the pieces of a body to `sink` as they come.

        Raises:
            Refused: 413, it is too large; 408, it takes too long; 400, it breaks off; 503, we hold too much already.
        """
        await self._intake.read(self, request, limit_mb, sink)


async def linger(request: Request) -> None:
    """Take in what is left of a body that is not wanted, if it is little and comes soon.

    A connection that is closed over unread bytes is reset, and the sender would never see why.
    """
    left = _LINGER_BYTES
    try:
        with anyio.move_on_after(_LINGER_SECONDS):
            async for piece in request.stream():
                left -= len(piece)
                if left < 0:
                    return
    except (ClientDisconnect, RuntimeError):
        return


def _too_large(limit_mb: float) -> Refused:
    return Refused(413, "oversized", f"The body is larger than {limit_mb:g} MB.")
