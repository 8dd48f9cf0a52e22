"""Concurrency that keeps order, bounds what is under way, and hands errors on in their place."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator

import pytest

from ap_connectors.http.concurrency import Prefetcher, ordered


def test_results_come_in_the_items_order() -> None:
    def work(n: int) -> int:
        time.sleep(random.random() / 200)
        return n * n

    assert list(ordered(work, range(100), workers=8)) == [n * n for n in range(100)]


def test_calls_run_at_once_but_not_too_many() -> None:
    running, most, lock = 0, 0, threading.Lock()

    def work(n: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.005)
        with lock:
            running -= 1

    assert list(ordered(work, range(60), workers=4)) == [None] * 60
    assert most == 4


def test_no_more_is_taken_than_twice_the_workers() -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    results = ordered(lambda n: n, items(), workers=3)
    assert [next(results) for _ in range(5)] == [1, 2, 3, 4, 5]
    assert taken <= 5 + 2 * 3
    results.close()  # type: ignore[attr-defined]


def test_an_error_stands_in_its_place() -> None:
    def work(n: int) -> int:
        if n == 3:
            raise ValueError("three")
        return n

    results = ordered(work, range(10), workers=4)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)


class TestPrefetcher:
    def test_calls_run_while_earlier_results_are_worked_on(self) -> None:
        begun = threading.Event()

        def fetch(key: int) -> int:
            begun.set()
            return key * key

        with Prefetcher(fetch) as pages:
            pages.request(3)
            assert begun.wait(10)
            assert pages.take(3) == 9

    def test_what_is_under_way_is_not_asked_for_again(self) -> None:
        asked: list[str] = []
        with Prefetcher(asked.append, workers=1) as pages:
            pages.request("a", "b")
            pages.request("b", "c")
            for key in "bc":
                pages.take(key)
            pages.request("b")
            pages.take("b")
        assert asked[-3:] == ["b", "c", "b"]

    def test_an_error_comes_where_its_result_would(self) -> None:
        def fetch(key: int) -> int:
            if key == 2:
                raise ValueError("two")
            return key

        with Prefetcher(fetch) as pages:
            pages.request(1, 2)
            assert pages.take(1) == 1
            with pytest.raises(ValueError, match="two"):
                pages.take(2)

    def test_leaving_does_not_wait(self) -> None:
        hold = threading.Event()
        with Prefetcher[int, bool](lambda _: hold.wait(60)) as pages:
            pages.request(1, 2, 3)
        assert not hold.is_set()
        hold.set()
