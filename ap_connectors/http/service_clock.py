"""The clock of a service, as its answers tell it: this machine's may be minutes or hours away."""

from __future__ import annotations

import time
from datetime import timezone
from email.utils import parsedate_to_datetime

import requests


class ServiceClock:
    """Tells what time it is at a service, by the header `Date` of its last answer, to the second. Thread-safe."""

    def __init__(self) -> None:
        self._noted: tuple[str, int, float] | None = None

    def note(self, response: requests.Response) -> None:
        """Take the time from an answer; one that has none, or an unreadable one, is passed over."""
        text, noted = response.headers.get("Date") or "", self._noted
        if noted and noted[0] == text:
            # Answers come by the hundred in a second.
            self._noted = text, noted[1], time.monotonic()
            return
        try:
            at = parsedate_to_datetime(text)
        except (TypeError, ValueError):
            return
        at = at if at.tzinfo else at.replace(tzinfo=timezone.utc)
        self._noted = text, int(at.timestamp() * 1000), time.monotonic()

    def now(self) -> int | None:
        """Return the service's time (milliseconds since 1970); None if no answer has told it."""
        if (noted := self._noted) is None:
            return None
        _, at, then = noted
        return at + int((time.monotonic() - then) * 1000)
