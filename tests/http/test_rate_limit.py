"""The rate limit: never more than the service allows as the service counts, and no slower than that."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import requests

from ap_connectors.core.errors import ApError, Outage
from ap_connectors.http import shutdown
from ap_connectors.http.rate_limit import RateLimit
from ap_connectors.http.session import HttpClient, RetryPolicy
from ap_connectors.sandbox.process import SandboxProcess

PATH = "/vicai/v0/nothing"


class Refused(ApError):
    """What `explain` makes of a final answer here."""


def client(limit: RateLimit, retry_policy: RetryPolicy | None = None) -> HttpClient:
    return HttpClient(
        "here", explain=lambda _, what: Refused(what), limit=limit, connections=64, retry_policy=retry_policy
    )


def ask(sandbox: SandboxProcess, through: HttpClient) -> None:
    """Send a request; the service counts it before it says 401, which is all we want."""
    with pytest.raises(Refused):
        through.fetch("GET", sandbox.url + PATH, lambda _: None, what="GET /nothing")


@pytest.fixture(autouse=True)
def _own_shutdown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutdown, "_requested", threading.Event())


@pytest.fixture
def strict(sandbox: SandboxProcess) -> SandboxProcess:
    """A service that takes 30 requests a second."""
    sandbox.control.reset(documents=0, invoices=0, vicai={"rate_requests": 30, "rate_seconds": 1})
    return sandbox


def throttled(sandbox: SandboxProcess) -> int:
    return int(sandbox.control.vicai.overview(sums=False)["throttled"])


@pytest.mark.parametrize("doors", [1, 2])
def test_the_service_never_counts_too_many(strict: SandboxProcess, doors: int) -> None:
    """Half the answers are late by more than a tenth of the window, on their way there; doors share the limit."""
    strict.control.fault("slow", path=PATH, rate=0.3, seconds=0.15, seed=7)
    strict.control.fault("slow", path=PATH, rate=0.3, seconds=0.04, seed=8)
    limit = RateLimit(30, 1)
    through = [client(limit) for _ in range(doors)]
    with ThreadPoolExecutor(24) as threads:
        list(threads.map(lambda n: ask(strict, through[n % doors]), range(100)))
    assert throttled(strict) == 0
    assert len(strict.control.calls()) == 100


def test_the_service_would_complain_otherwise(strict: SandboxProcess) -> None:
    """The test above can fail: one request more in the window is one too many."""
    through = client(RateLimit(31, 1), retry_policy=RetryPolicy(tries=1))
    with ThreadPoolExecutor(31) as threads:
        list(threads.map(lambda _: ask(strict, through), range(31)))
    assert throttled(strict) >= 1


def test_a_whole_window_goes_out_at_once(sandbox: SandboxProcess) -> None:
    sandbox.control.reset(documents=0, invoices=0, vicai={"rate_requests": 0, "latency_ms": 300})
    through = client(RateLimit(20, 30))
    began = time.monotonic()
    with ThreadPoolExecutor(20) as threads:
        list(threads.map(lambda _: ask(sandbox, through), range(20)))
    # One after the other they would take 6 s; spread over the window, 30 s.
    assert time.monotonic() - began < 5


def test_a_request_counts_until_a_window_after_its_answer() -> None:
    """Where the way may be short: an answer has come at once before."""
    limit = RateLimit(1, 0.3)
    with limit.slot():
        pass
    with limit.slot():
        time.sleep(0.2)
        ended = time.monotonic()
    with limit.slot():
        assert time.monotonic() - ended >= 0.3


def test_what_every_request_is_on_its_way_counts_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 0.4 s there and back nine tenths are sure, less 0.1 s for chance."""
    now = [100.0]
    monkeypatch.setattr("ap_connectors.http.rate_limit.time", SimpleNamespace(monotonic=lambda: now[0]))
    limit = RateLimit(1, 0.6)
    for pause in (1, 0.33):
        with limit.slot():
            now[0] += 0.4
        now[0] += pause
    entered = threading.Event()

    def enter() -> None:
        with limit.slot():
            entered.set()

    thread = threading.Thread(target=enter)
    thread.start()
    assert not entered.wait(0.2)
    now[0] += 0.02
    assert entered.wait(10)
    thread.join(10)


def test_what_is_under_way_counts() -> None:
    limit, inside, leave = RateLimit(2, 0.01), threading.Semaphore(0), threading.Event()

    def send() -> None:
        with limit.slot():
            inside.release()
            leave.wait(10)

    threads = [threading.Thread(target=send) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert inside.acquire(timeout=5)
    assert inside.acquire(timeout=5)
    assert not inside.acquire(timeout=0.3)
    leave.set()
    assert inside.acquire(timeout=5)
    for thread in threads:
        thread.join(5)


def test_no_window_holds_too_many_wherever_the_service_counts() -> None:
    """The moment of counting lies anywhere between sending and answer."""
    requests_, seconds = 12, 0.15
    limit, counted, lock = RateLimit(requests_, seconds), [], threading.Lock()

    def send(n: int) -> None:
        with limit.slot():
            time.sleep(n * 7919 % 13 / 1000)
            with lock:
                counted.append(time.monotonic())
            time.sleep(n * 104_729 % 11 / 1000)

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(send, range(80)))
    counted.sort()
    assert all(later - first >= seconds for first, later in zip(counted, counted[requests_:], strict=False))
    assert len(counted) == 80


@pytest.mark.parametrize(("there", "back"), [(200, 1), (1, 200), (100, 100)])
def test_no_window_holds_too_many_at_a_distance(there: int, back: int) -> None:
    """What counts is how far away the counting is at least, there and back; what goes slower than that is late."""
    requests_, seconds = 12, 0.5
    limit, counted, lock = RateLimit(requests_, seconds), [], threading.Lock()

    def send(n: int) -> None:
        with limit.slot():
            time.sleep((there + n * 7919 % 13) / 1000)
            with lock:
                counted.append(time.monotonic())
            time.sleep((back + n * 104_729 % 11) / 1000)

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(send, range(60)))
    counted.sort()
    assert all(later - first >= seconds for first, later in zip(counted, counted[requests_:], strict=False))
    assert len(counted) == 60


def test_an_error_gives_its_slot_back() -> None:
    limit = RateLimit(1, 0.05)
    for _ in range(3):
        with pytest.raises(requests.Timeout), limit.slot():
            raise requests.Timeout


class TestHold:
    """A service that says 429 all the same: somebody else uses the client id, too."""

    def test_holds_everybody(self) -> None:
        limit = RateLimit(100, 1)
        limit.hold(0.4)
        limit.hold(0.1)
        began = time.monotonic()
        with ThreadPoolExecutor(4) as threads:
            waited = list(threads.map(lambda _: _entered(limit) - began, range(4)))
        assert min(waited) >= 0.4
        assert max(waited) < 3

    def test_follows_from_a_429(self, sandbox: SandboxProcess) -> None:
        """One thread is told to wait 1 s; another that asks then waits as well, rather than being told the same."""
        sandbox.control.fault("status", status=429, retry_after=1, path=PATH)
        limit = RateLimit(100, 1)
        began = time.monotonic()
        with ThreadPoolExecutor(2) as threads:
            told = threads.submit(ask, sandbox, client(limit))
            while not any(fault["hits"] for fault in sandbox.control.faults()):
                time.sleep(0.01)
            time.sleep(0.1)
            assert _entered(limit) - began >= 0.9
            told.result()

    def test_is_not_for_ever_when_the_service_names_no_time(self, sandbox: SandboxProcess) -> None:
        sandbox.control.fault("status", status=429, path=PATH)
        limit = RateLimit(100, 1)
        ask(sandbox, client(limit, retry_policy=RetryPolicy(first_pause=0.01)))
        assert len(sandbox.control.calls()) == 2


class TestEnd:
    """The process ends: no thread waits on."""

    @pytest.fixture
    def full(self) -> RateLimit:
        limit = RateLimit(1, 600)
        with limit.slot():
            pass
        return limit

    def test_ends_those_who_wait(self, full: RateLimit) -> None:
        errors: list[BaseException] = []

        def wait() -> None:
            try:
                _entered(full)
            except Outage as error:
                errors.append(error)

        threads = [threading.Thread(target=wait) for _ in range(4)]
        for thread in threads:
            thread.start()
        shutdown.request()
        for thread in threads:
            thread.join(3)
        assert [str(error) for error in errors] == ["Given up because the process is shutting down."] * 4

    def test_ends_those_who_are_held(self) -> None:
        limit = RateLimit(5, 1)
        limit.hold(600)
        shutdown.request()
        began = time.monotonic()
        with pytest.raises(Outage):
            _entered(limit)
        assert time.monotonic() - began < 2

    def test_ends_pauses_between_tries(self, sandbox: SandboxProcess) -> None:
        sandbox.control.fault("status", status=503, times=1000, path=PATH, retry_after=200)
        threading.Timer(0.3, shutdown.request).start()
        began = time.monotonic()
        with pytest.raises(Outage, match="given up because the process is shutting down"):
            client(RateLimit(5, 1)).fetch("GET", sandbox.url + PATH, lambda _: None, what="GET /nothing")
        assert time.monotonic() - began < 5


def _entered(limit: RateLimit) -> float:
    with limit.slot():
        return time.monotonic()
