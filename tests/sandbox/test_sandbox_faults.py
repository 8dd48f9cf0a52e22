"""Faults on order: each kind, which calls it hits, and how often."""

from __future__ import annotations

import time

import pytest
import requests

from ap_connectors.sandbox.process import SandboxProcess
from tests.sandbox.emulated import call, held, page


def statuses(sandbox: SandboxProcess, count: int, method: str = "GET", path: str = "/pub/exported") -> list[int]:
    return [call(sandbox, method, path).status_code for _ in range(count)]


def test_a_status_with_and_without_retry_after(sandbox: SandboxProcess) -> None:
    sandbox.control.fault("status", status=429, retry_after=2)
    sandbox.control.fault("status", status=503)
    first, second, third = (call(sandbox, "GET", "/pub/exported") for _ in range(3))
    assert (first.status_code, first.headers["retry-after"], list(first.json())) == (429, "2", ["message"])
    assert (second.status_code, "retry-after" in second.headers) == (503, False)
    assert third.status_code == 200
    assert [c["fault"] for c in sandbox.control.calls()] == ["status", "status", None]


def test_times_and_after_count_matching_calls_only(sandbox: SandboxProcess) -> None:
    sandbox.control.fault("status", status=500, path="/ivesk/api/pub/digitized", times=2, after=1)
    assert statuses(sandbox, 2) == [200, 200]
    assert statuses(sandbox, 4, path="/pub/digitized") == [200, 500, 500, 200]
    [fault] = sandbox.control.faults()
    assert (fault["hits"], fault["left"]) == (2, 0)


def test_a_fault_may_be_for_one_method(sandbox: SandboxProcess) -> None:
    sandbox.control.fault("status", status=500, method="post")
    assert statuses(sandbox, 1) == [200]
    assert statuses(sandbox, 1, "POST", "/pub/syncerrors") == [500]


def test_a_rate_hits_at_random_and_always_alike(sandbox: SandboxProcess) -> None:
    runs = []
    for _ in range(2):
        sandbox.control.clear_faults()
        sandbox.control.fault("status", status=500, rate=0.3, seed=7)
        runs.append(statuses(sandbox, 60, path="/pub/columns/1"))
    assert runs[0] == runs[1]
    assert 8 < runs[0].count(500) < 30


def test_faults_do_not_touch_the_control_api(sandbox: SandboxProcess) -> None:
    sandbox.control.fault("reset", path="/", times=100)
    assert len(sandbox.control.faults()) == 1
    assert requests.get(sandbox.url, timeout=10).status_code == 200
    sandbox.control.clear_faults()
    assert statuses(sandbox, 1) == [200]


def test_a_reset_gives_no_answer(sandbox: SandboxProcess) -> None:
    sandbox.control.fault("reset")
    with pytest.raises(requests.ConnectionError):
        page(sandbox)
    assert [(c["status"], c["fault"]) for c in sandbox.control.calls()] == [(None, "reset")]
    assert page(sandbox)["documents"]


def test_a_lost_write_is_done_all_the_same(sandbox: SandboxProcess) -> None:
    error = {"documentid": held(sandbox)[0], "companycode": "1", "message": "m"}
    sandbox.control.fault("lost")
    with pytest.raises(requests.ConnectionError):
        call(sandbox, "POST", "/pub/syncerrors", json=error)
    assert sandbox.control.sync_errors() == [error]


def test_a_truncated_answer_breaks_off(sandbox: SandboxProcess) -> None:
    sandbox.control.fault("truncate")
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        page(sandbox)


@pytest.mark.parametrize("kind", ["slow", "drip"])
def test_a_slow_answer_comes_whole(sandbox: SandboxProcess, kind: str) -> None:
    whole = page(sandbox)
    sandbox.control.fault(kind, seconds=0.3)
    start = time.monotonic()
    with requests.get(
        sandbox.ivesk_url + "/pub/exported", headers={"x-api-key": sandbox.api_key}, timeout=10, stream=True
    ) as response:
        head = time.monotonic() - start
        assert len(response.json()["documents"]) == len(whole["documents"])
    assert time.monotonic() - start >= 0.3
    assert (head >= 0.3) == (kind == "slow")


@pytest.mark.parametrize(("kind", "status"), [("html", 200), ("html_status", 502)])
def test_html_instead_of_json(sandbox: SandboxProcess, kind: str, status: int) -> None:
    sandbox.control.fault(kind)
    response = call(sandbox, "GET", "/pub/exported")
    assert response.status_code == status
    assert response.headers["content-type"].startswith("text/html")
    assert "<html>" in response.text


def test_storage_may_say_expired(sandbox: SandboxProcess) -> None:
    url = page(sandbox)["documents"][0]["url"]
    sandbox.control.fault("expired")
    assert statuses(sandbox, 1) == [200]
    expired = requests.get(url, timeout=10)
    assert expired.status_code == 403
    assert "<Code>AccessDenied</Code><Message>Request has expired</Message>" in expired.text
    assert requests.get(url, timeout=10).status_code == 200


def test_storage_may_say_anything(sandbox: SandboxProcess) -> None:
    url = page(sandbox)["documents"][0]["url"]
    sandbox.control.fault("storage", path="/storage")
    sandbox.control.fault("storage", path="/storage", status=400, code="RequestTimeout", retry_after=7)
    said = requests.get(url, timeout=10)
    assert (said.status_code, "<Code>SlowDown</Code>" in said.text) == (503, True)
    said = requests.get(url, timeout=10)
    assert (said.status_code, "<Code>RequestTimeout</Code>" in said.text) == (400, True)
    assert said.headers["Retry-After"] == "7"
    assert requests.get(url, timeout=10).status_code == 200


def test_a_refused_body_leaves_the_connection_usable(sandbox: SandboxProcess) -> None:
    sandbox.control.fault("status", status=503)
    with requests.Session() as session:
        session.headers["x-api-key"] = sandbox.api_key
        url = sandbox.ivesk_url + "/pub/syncerrors"
        assert session.post(url, data=b"x" * 300_000, timeout=10).status_code == 503
        assert session.post(url, data=b"x" * 300_000, timeout=10).status_code == 400
