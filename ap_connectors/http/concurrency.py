"""Requests under way at once: results in their order, calls ahead of their use, and how many the limit has use for."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")
K = TypeVar("K", bound=Hashable)
LEAST, MOST = 8, 64
_SHARE = 10.0
"""A window's requests are sent within a tenth of it, so that the limit decides how long a run takes, not distance."""
_DRIFT = 1.0002
"""What was best once is not so for ever: routes change. Doubles in 3,500 answers."""
_SLOW, _NOISE = 2.0, 0.1


def ordered(function: Callable[[T], R], items: Iterable[T], *, workers: int) -> Iterator[R]:
    """Call `function` on each item in up to `workers` threads; yield the results in the items' order.

    At most twice as many items as workers are under way, so memory stays flat however long `items` is. The
    first error ends the iteration where that item's result would have stood.
    """
    source = iter(items)
    threads = ThreadPoolExecutor(workers, thread_name_prefix="ap-http")
    try:
        under_way: deque[Future[R]] = deque(threads.submit(function, item) for item in islice(source, 2 * workers))
        while under_way:
            yield under_way.popleft().result()
            under_way.extend(threads.submit(function, item) for item in islice(source, 1))
    finally:
        # An error must not wait for calls that are still being retried.
        threads.shutdown(wait=False, cancel_futures=True)


class Prefetcher(Generic[K, R]):
    """Makes calls ahead of their use, while the results of earlier ones are worked on. A context manager.

    Args:
        fetch: called in a thread, with a key.
        workers: calls at once.
    """

    def __init__(self, fetch: Callable[[K], R], *, workers: int = 2) -> None:
        self._fetch = fetch
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="ap-prefetch")
        self._under_way: dict[K, Future[R]] = {}

    def __enter__(self) -> Prefetcher[K, R]:
        return self

    def __exit__(self, *_: object) -> None:
        # Neither an error nor a reader who has enough must wait for a call that is still being retried.
        self._threads.shutdown(wait=False, cancel_futures=True)

    def request(self, *keys: K) -> None:
        """Have the calls of exactly these keys under way: start the missing ones, abandon others."""
        for stale in self._under_way.keys() - set(keys):
            self._under_way.pop(stale).cancel()
        for key in keys:
            if key not in self._under_way:
                self._under_way[key] = self._threads.submit(self._fetch, key)

    def take(self, key: K) -> R:
        """Wait for the result of a requested call. Requested again, the call is made again."""
        return self._under_way.pop(key).result()


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
