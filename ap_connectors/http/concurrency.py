"""Threads whose results arrive in order: a map over many items, and calls that are made ahead of their use."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")
K = TypeVar("K", bound=Hashable)


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
