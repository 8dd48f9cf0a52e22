"""Many records at once: keys in order, children after parents, memory bounded, an outage ends it cleanly."""

from __future__ import annotations

import functools
import random
import threading
import time
from collections.abc import Callable, Hashable, Iterator

import pytest

from ap_connectors.core.errors import Outage
from ap_connectors.http import shutdown
from ap_connectors.singer.worker_pool import Job, KeyedWorkerPool, Missing, Parent


class Log:
    """What happened, in order; and what the world has."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.given_up: list[str] = []
        self.abandoned: list[str] = []
        self.there: set[Parent] = set()

    def job(
        self,
        name: str,
        order_key: Hashable,
        *,
        needs: Parent | None = None,
        provides: Parent | None = None,
        fails: bool = False,
        seconds: float = 0.0,
        size: int = 0,
        work: Callable[[], object] | None = None,
    ) -> Job:
        def run() -> bool:
            if needs is not None and needs not in self.there:
                raise Missing(f"{needs} is missing", [needs])
            time.sleep(seconds)
            if work:
                work()
            self.done.append(name)
            if provides is not None and not fails:
                self.there.add(provides)
            return not fails

        return Job(
            order_key,
            run,
            lambda missing: self.given_up.append(f"{name}: {missing}"),
            lambda: self.abandoned.append(name),
            provides,
            size,
        )


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def pool() -> Iterator[KeyedWorkerPool]:
    # Threads of earlier tests may still be about.
    others = set(threading.enumerate())
    pool = KeyedWorkerPool(8, lambda: None)
    yield pool
    pool.close(5)
    for thread in set(threading.enumerate()) - others:
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.parametrize("seed", range(5))
def test_a_key_keeps_its_order(pool: KeyedWorkerPool, log: Log, seed: int) -> None:
    dice = random.Random(seed)
    names: dict[int, list[str]] = {order_key: [] for order_key in range(10)}
    for number in range(300):
        order_key = dice.randrange(10)
        names[order_key].append(f"{order_key}.{number}")
        pool.submit(log.job(names[order_key][-1], order_key, seconds=dice.random() / 500))
    pool.finish()
    for order_key, expected in names.items():
        assert [name for name in log.done if name.startswith(f"{order_key}.")] == expected


def test_keys_run_at_once(pool: KeyedWorkerPool, log: Log) -> None:
    together = threading.Barrier(8, timeout=10)
    for number in range(8):
        pool.submit(log.job(str(number), number, work=together.wait))
    pool.finish()
    assert len(log.done) == 8


def test_children_wait_for_parents_that_come_later(pool: KeyedWorkerPool, log: Log) -> None:
    pool.submit(log.job("grandchild", "g", needs="child"))
    pool.submit(log.job("child", "child", needs="parent", provides="child"))
    pool.submit(log.job("parent", "parent", provides="parent"))
    pool.finish()
    assert log.done == ["parent", "child", "grandchild"]
    assert log.given_up == []


def test_what_stands_behind_a_waiting_job_waits_too(pool: KeyedWorkerPool, log: Log) -> None:
    pool.submit(log.job("first", "x", needs="parent"))
    pool.submit(log.job("second", "x"))
    pool.wait()
    assert log.done == []
    pool.submit(log.job("parent", "parent", provides="parent"))
    pool.finish()
    assert log.done == ["parent", "first", "second"]


def test_a_parent_that_never_comes_is_given_up_and_the_rest_runs(pool: KeyedWorkerPool, log: Log) -> None:
    pool.submit(log.job("child", "x", needs="parent"))
    pool.submit(log.job("behind", "x"))
    pool.submit(log.job("other", "y"))
    pool.finish()
    assert log.given_up == ["child: parent is missing"]
    assert log.done == ["other", "behind"]


def test_a_parent_that_fails_leaves_its_children_to_be_given_up(pool: KeyedWorkerPool, log: Log) -> None:
    pool.submit(log.job("child", "x", needs="parent"))
    pool.submit(log.job("parent", "parent", provides="parent", fails=True))
    pool.finish()
    assert log.done == ["parent"]
    assert log.given_up == ["child: parent is missing"]


def test_what_waits_for_a_job_that_waits_in_vain_gets_another_chance(pool: KeyedWorkerPool, log: Log) -> None:
    """The parent is there already; only a change to it waits for something that never comes."""
    first = True

    def run() -> bool:
        nonlocal first
        if first:
            first = False
            raise Missing("the parent is under way", ["parent"])
        log.done.append("child")
        return True

    pool.submit(log.job("parent", "parent", needs="nothing", provides="parent"))
    pool.wait()
    pool.submit(Job("child", run, lambda missing: log.given_up.append(str(missing)), lambda: None))
    pool.finish()
    assert log.given_up == ["parent: nothing is missing"]
    assert log.done == ["child"]


def test_a_parent_whose_last_job_ends_while_its_child_looks(pool: KeyedWorkerPool, log: Log) -> None:
    """A parent is written twice; each job of it ends after the child has seen it under way, before the child waits."""
    gates = [threading.Event(), threading.Event()]
    over: list[Callable[[], bool]] = [lambda: pool.has_come("parent"), lambda: not pool.is_busy("parent")]
    looked = 0

    def run() -> bool:
        nonlocal looked
        looked += 1
        if looked <= 2:
            gates[looked - 1].set()
            deadline = time.monotonic() + 10
            while not over[looked - 1]():
                assert time.monotonic() < deadline
                time.sleep(0.001)
            raise Missing("the parent is under way", ["parent"])
        log.done.append("child")
        return True

    for number, gate in enumerate(gates):
        pool.submit(log.job(f"parent {number}", "parent", provides="parent", work=functools.partial(gate.wait, 10)))
    pool.submit(Job("child", run, lambda missing: log.given_up.append(str(missing)), lambda: None))
    pool.finish()
    assert log.given_up == []
    assert log.done == ["parent 0", "parent 1", "child"]


def test_many_changes_of_a_parent_do_not_wake_its_children_each_time(pool: KeyedWorkerPool, log: Log) -> None:
    """A child asks the service each time that it runs; while changes of its parent are left, it would ask in vain."""
    looks: list[str] = []
    begun = threading.Event()

    def child(name: str) -> Job:
        job = log.job(name, name)
        run = job.run

        def look() -> bool:
            looks.append(name)
            if pool.is_busy("parent"):
                raise Missing("parent is under way", ["parent"])
            return run()

        job.run = look
        return job

    for number in range(40):
        pool.submit(log.job(f"parent {number}", "parent", provides="parent", work=begun.wait if number == 0 else None))
    for number in range(100):
        pool.submit(child(f"child {number}"))
    begun.set()
    pool.finish()
    assert sorted(log.done[40:]) == sorted(f"child {number}" for number in range(100))
    assert log.given_up == []
    # One in vain, perhaps one that met the end of the last change, and the one that counts.
    assert len(looks) <= 300


def test_a_circle_of_parents_ends(pool: KeyedWorkerPool, log: Log) -> None:
    pool.submit(log.job("a", "a", needs="b", provides="a"))
    pool.submit(log.job("b", "b", needs="a", provides="b"))
    pool.finish()
    assert sorted(log.given_up) == ["a: b is missing", "b: a is missing"]


@pytest.mark.parametrize("seed", range(5))
def test_any_order_of_a_whole_family(pool: KeyedWorkerPool, log: Log, seed: int) -> None:
    dice = random.Random(seed)
    jobs = [log.job(f"root {n}", f"root {n}", provides=f"root {n}") for n in range(20)]
    jobs += [log.job(f"leaf {n}", ("leaf", n), needs=f"root {n % 20}") for n in range(200)]
    jobs += [log.job(f"orphan {n}", ("orphan", n), needs="unknown") for n in range(7)]
    dice.shuffle(jobs)
    for job in jobs:
        pool.submit(job)
    pool.finish()
    assert len(log.done) == len(set(log.done)) == 220
    assert len(log.given_up) == 7
    assert not pool.is_busy("root 1")


def test_an_outage_abandons_the_rest_and_is_told(pool: KeyedWorkerPool, log: Log) -> None:
    def fail() -> None:
        raise Outage("the service is down")

    def submit_many() -> None:
        for number in range(1000):
            pool.submit(log.job(str(number), "x"))

    pool.submit(log.job("down", "x", work=fail))
    with pytest.raises(Outage, match="the service is down"):
        submit_many()
    pool.close(5)
    assert log.done == []
    assert "down" in log.abandoned
    assert len(log.abandoned) == len(set(log.abandoned)) > 1


def test_closing_finishes_what_is_under_way(log: Log) -> None:
    pool = KeyedWorkerPool(1, lambda: None)
    began = threading.Event()
    pool.submit(log.job("under way", "x", seconds=0.3, work=began.set))
    pool.submit(log.job("waiting", "x"))
    time.sleep(0.1)
    pool.close(5)
    assert log.done == ["under way"]
    assert log.abandoned == ["waiting"]


def test_closing_cuts_pauses_short_after_a_while(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutdown, "_requested", threading.Event())
    pool = KeyedWorkerPool(1, lambda: None)
    pool.submit(log.job("tries again and again", "x", work=lambda: shutdown.wait(60)))
    time.sleep(0.1)
    began = time.monotonic()
    pool.close(0.2)
    assert time.monotonic() - began < 10
    assert log.done == ["tries again and again"]


def test_little_waits_in_memory(log: Log) -> None:
    pool = KeyedWorkerPool(2, lambda: None, most_bytes=1000)
    gate = threading.Event()
    for order_key in "ab":
        pool.submit(log.job(order_key, order_key, work=lambda: gate.wait(20), size=400))
    submitted = threading.Event()

    def submit() -> None:
        pool.submit(log.job("large", "c", size=400))
        submitted.set()

    thread = threading.Thread(target=submit)
    thread.start()
    assert not submitted.wait(0.3)
    gate.set()
    thread.join(10)
    pool.submit(log.job("larger than all", "d", size=5000))
    pool.finish()
    pool.close(5)
    # The large one may end before the second of the two that made room; the largest waits for an empty pool.
    assert sorted(log.done[:-1]) == ["a", "b", "large"]
    assert log.done[-1] == "larger than all"


def test_a_signal_is_heard_while_waiting(log: Log) -> None:
    class Heard(BaseException):
        pass

    def check() -> None:
        raise Heard

    pool = KeyedWorkerPool(1, check)
    gate = threading.Event()
    pool.submit(log.job("slow", "x", work=lambda: gate.wait(20)))
    with pytest.raises(Heard):
        pool.wait()
    gate.set()
    pool.close(5)
    assert log.done == ["slow"]
