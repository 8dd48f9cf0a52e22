"""How many requests are under way at once: as many as the rate limit has use for, and fewer when answers slow down."""

from __future__ import annotations

import math

LEAST, MOST = 8, 64

_SHARE = 10.0
"""A window's requests are sent within a tenth of it, so that the limit decides how long a run takes, not distance."""
_DRIFT = 1.0002
"""What was best once is not so for ever: routes change. Doubles in 3,500 answers."""
_SLOW, _NOISE = 2.0, 0.1


class AdaptiveConcurrency:
    """Adapts the number of requests under way to how long answers take. Its owner has a lock around every call.

    By Little's law as many are under way as are sent in the time of an answer. What counts for that is how long
    answers take at best, by kind of call: a service that answers slowly because it is busy must not get more of it.
    The first answers, when little is under way, tell what is needed. Later on, when answers take twice as long as at
    best, or fail, a quarter less is allowed; else half as much more.

    Args:
        rate: requests a second that the limit allows.
    """

    def __init__(self, rate: float) -> None:
        self.allowed = LEAST
        self._rate = rate
        self._best: dict[str, float] = {}
        self._usual = 0.0
        self._answers, self._took, self._expected, self._failed = 0, 0.0, 0.0, False
        self._first = LEAST

    def answered(self, kind: str, seconds: float) -> None:
        """Count an answer, and how long it took."""
        best = self._best[kind] = min(seconds, self._best.get(kind, seconds) * _DRIFT)
        self._usual = best if not self._usual else self._usual + (best - self._usual) / 10
        self._answers += 1
        self._took += seconds
        self._expected += best
        if self._first > 0 and not self._is_slow:
            self._first -= 1
            self.allowed = self._wanted
        elif self._answers >= self.allowed:
            self._adapt()

    def failed(self) -> None:
        """Remember an answer by which the service says that it is too busy, or failed."""
        self._failed = True

    @property
    def _wanted(self) -> int:
        return max(LEAST, min(MOST, math.ceil(_SHARE * self._rate * self._usual)))

    @property
    def _is_slow(self) -> bool:
        return self._failed or self._took > _SLOW * self._expected + _NOISE * self._answers

    def _adapt(self) -> None:
        self.allowed = max(LEAST, self.allowed * 3 // 4) if self._is_slow else min(self._wanted, self.allowed * 3 // 2)
        self._answers, self._took, self._expected, self._failed = 0, 0.0, 0.0, False
