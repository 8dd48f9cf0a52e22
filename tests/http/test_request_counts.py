"""What is counted while requests are sent, and on whose account."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from ap_connectors.core.errors import ApError, Outage
from ap_connectors.http.request_counts import RequestCounts, count, counting, current
from ap_connectors.http.session import HttpClient, RetryPolicy
from ap_connectors.sandbox.process import SandboxProcess

QUICK = RetryPolicy(tries=3, first_pause=0.02, longest_pause=0.05, longest_asked=2)


def ask(sandbox: SandboxProcess, url: str | None = None) -> None:
    client = HttpClient(
        "here",
        explain=lambda response, what: ApError(f"{what}: {response.status_code}"),
        headers={"x-api-key": sandbox.api_key},
        retry_policy=QUICK,
    )
    client.fetch("GET", url or f"{sandbox.ivesk_url}/pub/exported", read, what="GET /pub/exported")


def read(response: requests.Response) -> None:
    """Read the answer to its end."""
    assert response.content


def figures(counts: RequestCounts) -> tuple[int, int, int]:
    return counts.requests, counts.retries, counts.throttled


def test_a_call_that_goes_well_is_a_request(sandbox: SandboxProcess) -> None:
    counts = RequestCounts()
    with counting(counts):
        ask(sandbox)
        ask(sandbox)
    assert figures(counts) == (2, 0, 0)


def test_repeats_and_refusals_are_told_apart(sandbox: SandboxProcess) -> None:
    sandbox.control.fault("reset")
    sandbox.control.fault("status", status=503, retry_after=0)
    sandbox.control.fault("status", status=429, retry_after=0, times=3)
    counts = RequestCounts()
    with counting(counts):
        ask(sandbox)
    assert figures(counts) == (6, 2, 3)
    assert len(sandbox.control.calls()) == 6


def test_the_last_failure_is_not_repeated(sandbox: SandboxProcess) -> None:
    sandbox.control.fault("status", status=500, times=1000)
    counts = RequestCounts()
    with counting(counts), pytest.raises(Outage):
        ask(sandbox)
    assert figures(counts) == (3, 2, 0)


def test_the_inner_account_is_the_one_that_counts(sandbox: SandboxProcess) -> None:
    outer, inner = RequestCounts(), RequestCounts()
    with counting(outer):
        ask(sandbox)
        with counting(inner):
            ask(sandbox)
        with pytest.raises(ApError), counting(inner):
            ask(sandbox, f"{sandbox.ivesk_url}/no/such/page")
        ask(sandbox)
    ask(sandbox)
    assert figures(outer) == (2, 0, 0)
    assert figures(inner) == (2, 0, 0)
    assert current() is None


def test_threads_count_on_their_own_accounts_and_share_one() -> None:
    counters = [RequestCounts(), RequestCounts()]

    def work(number: int) -> None:
        with counting(counters[number % 2]):
            for _ in range(2000):
                count(requests=1, retries=2, throttled=3)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert [figures(counts) for counts in counters] == [(8000, 16000, 24000)] * 2
    assert current() is None


def test_without_an_account_nothing_is_counted(sandbox: SandboxProcess) -> None:
    ask(sandbox)
    count(requests=1)
    assert current() is None
