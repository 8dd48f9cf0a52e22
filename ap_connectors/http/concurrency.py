"""Concurrency that keeps order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


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
