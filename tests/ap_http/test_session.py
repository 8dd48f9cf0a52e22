"""The door: what is borne, how long, and what is said when it is not."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping

import msgspec
import pytest
import requests

from ap_http.errors import ApError, Outage, Stop
from ap_http.limits import RateLimit
from ap_http.payload import Record, decode
from ap_http.session import Door, Patience
from ap_sandbox.process import SandboxProcess

QUICK = Patience(tries=3, first_pause=0.02, longest_pause=0.05, longest_asked=2)
_answer = msgspec.json.Decoder(Record)


def ignore(_: requests.Response) -> None:
    """Take any answer."""


class Refused(ApError):
    """What `explain` makes of a final answer here."""


@pytest.fixture
def door(sandbox: SandboxProcess) -> Door:
    return make_door(sandbox)


def make_door(sandbox: SandboxProcess, patience: Patience = QUICK, timeout: float = 5) -> Door:
    return Door(
        "here",
        explain=lambda response, what: Refused(f"{what}: {response.status_code}"),
        headers={"x-api-key": sandbox.api_key},
        secrets=[sandbox.api_key],
        timeout=timeout,
        patience=patience,
    )


@pytest.fixture
def ask(sandbox: SandboxProcess, door: Door) -> Callable[[], Record]:
    return lambda: ask_through(door, sandbox)


def ask_through(door: Door, sandbox: SandboxProcess) -> Record:
    url = f"{sandbox.ivesk_url}/pub/exported"
    return door.fetch("GET", url, lambda response: decode(response.content, _answer), what="GET /pub/exported")


def tries(sandbox: SandboxProcess) -> int:
    return len(sandbox.control.calls())


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_passing_status_is_tried_again(sandbox: SandboxProcess, ask: Callable[[], Record], status: int) -> None:
    sandbox.control.fault("status", status=status, times=2)
    assert "documents" in ask()
    assert tries(sandbox) == 3


@pytest.mark.parametrize("kind", ["reset", "truncate", "html", "html_status"])
def test_broken_answers_are_tried_again(sandbox: SandboxProcess, ask: Callable[[], Record], kind: str) -> None:
    sandbox.control.fault(kind, times=2)
    assert "documents" in ask()
    assert tries(sandbox) == 3


@pytest.mark.parametrize("kind", ["slow", "drip"])
def test_a_slow_answer_is_tried_again(sandbox: SandboxProcess, kind: str) -> None:
    sandbox.control.fault(kind, seconds=1.5, times=1)
    assert "documents" in ask_through(make_door(sandbox, timeout=0.3), sandbox)
    assert tries(sandbox) == 2


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 409, 422])
def test_a_final_status_is_explained_at_once(sandbox: SandboxProcess, ask: Callable[[], Record], status: int) -> None:
    sandbox.control.fault("status", status=status, times=1)
    with pytest.raises(Refused, match=str(status)):
        ask()
    assert tries(sandbox) == 1


def test_retry_after_is_waited_for_and_is_no_failure(
    sandbox: SandboxProcess, ask: Callable[[], Record], caplog: pytest.LogCaptureFixture
) -> None:
    """Four waits as asked, though only three tries are borne."""
    sandbox.control.fault("status", status=429, times=4, retry_after=0)
    with caplog.at_level(logging.WARNING):
        assert "documents" in ask()
    assert tries(sandbox) == 5
    assert caplog.text.count("; waiting ") == 4


def test_retry_after_beyond_patience_is_an_outage(sandbox: SandboxProcess, ask: Callable[[], Record]) -> None:
    sandbox.control.fault("status", status=429, times=9, retry_after=3600)
    with pytest.raises(Outage, match="3600 s more"):
        ask()
    assert tries(sandbox) == 1


def test_retry_after_that_never_ends_is_an_outage(sandbox: SandboxProcess, ask: Callable[[], Record]) -> None:
    sandbox.control.fault("status", status=503, times=1000, retry_after=1)
    with pytest.raises(Outage, match=r"after [12] s of waiting"):
        ask()


def test_trouble_that_lasts_is_an_outage(sandbox: SandboxProcess, ask: Callable[[], Record]) -> None:
    sandbox.control.fault("status", status=500, times=1000)
    with pytest.raises(Outage, match="failed 3 times, last: status 500"):
        ask()
    assert tries(sandbox) == 3


def test_pauses_grow_and_are_bounded() -> None:
    patience = Patience(first_pause=0.5, longest_pause=4)
    for failures, full in ((1, 0.5), (2, 1.0), (3, 2.0), (4, 4.0), (9, 4.0)):
        pauses = [patience.pause(failures) for _ in range(200)]
        assert full / 2 <= min(pauses) < max(pauses) <= full


def test_the_log_shows_no_secret(sandbox: SandboxProcess, door: Door, caplog: pytest.LogCaptureFixture) -> None:
    sandbox.control.fault("status", status=503, times=1000)
    url = f"{sandbox.ivesk_url}/pub/exported?X-Amz-Signature=abc"
    with caplog.at_level(logging.DEBUG), pytest.raises(Outage) as caught:
        door.fetch("GET", url, ignore, what=f"GET {url} {sandbox.api_key}")
    for word in (sandbox.api_key, "Signature", "abc"):
        assert word not in str(caught.value) + caplog.text


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:9/x?secret=1", "127.0.0.1:9 refuses connections"),
        ("http://user:pass@nowhere.invalid/x", "the name nowhere.invalid is unknown"),
        ("https://127.0.0.1:{port}/x", "127.0.0.1"),
    ],
)
def test_no_connection_is_described_without_the_path(sandbox: SandboxProcess, door: Door, url: str, words: str) -> None:
    url = url.format(port=sandbox.url.rpartition(":")[2])
    with pytest.raises(Outage, match=words) as caught:
        door.fetch("GET", url, ignore, what="GET /x")
    assert "secret" not in str(caught.value)
    assert "pass" not in str(caught.value)


def test_what_is_no_address_stops_at_once(door: Door) -> None:
    with pytest.raises(Stop, match="Check the address"):
        door.fetch("GET", "no address", ignore, what="GET /x")


def test_parse_sees_only_good_answers(sandbox: SandboxProcess, door: Door) -> None:
    seen: list[int] = []

    def note(response: requests.Response) -> None:
        seen.append(response.status_code)

    sandbox.control.fault("status", status=503, times=2)
    door.fetch("GET", f"{sandbox.ivesk_url}/pub/exported", note, what="GET /pub/exported")
    assert seen == [200]


class Passes:
    """Credentials that count: `pass1`, and another one after each refusal."""

    def __init__(self) -> None:
        self.number = 1
        self.refusals: list[str | None] = []

    def header(self) -> Mapping[str, str]:
        return {"x-api-key": f"pass{self.number}"}

    def refused(self, sent: Mapping[str, str]) -> None:
        self.refusals.append(sent.get("x-api-key"))
        self.number += 1


def door_with(passes: Passes, patience: Patience = QUICK, limit: RateLimit | None = None) -> Door:
    return Door(
        "here",
        explain=lambda response, what: Refused(f"{what}: {response.status_code}"),
        patience=patience,
        credentials=passes,
        limit=limit,
    )


class TestCredentials:
    def test_a_401_asks_for_a_fresh_header_once(self, sandbox: SandboxProcess) -> None:
        passes = Passes()
        with pytest.raises(Refused, match="401"):
            ask_through(door_with(passes), sandbox)
        assert passes.refusals == ["pass1"]
        assert tries(sandbox) == 2

    def test_a_fresh_header_lets_in(self, sandbox: SandboxProcess) -> None:
        passes = Passes()
        sandbox.control.fault("status", status=401, times=1)
        door = door_with(passes, Patience(tries=1))
        passes.header = lambda: {"x-api-key": sandbox.api_key}  # type: ignore[method-assign]
        assert "documents" in ask_through(door, sandbox)
        assert passes.refusals == [sandbox.api_key]

    def test_other_refusals_are_not_for_them(self, sandbox: SandboxProcess) -> None:
        passes = Passes()
        sandbox.control.fault("status", status=403, times=1)
        with pytest.raises(Refused, match="403"):
            ask_through(door_with(passes), sandbox)
        assert passes.refusals == []

    def test_stand_beside_the_headers_of_a_request(self, sandbox: SandboxProcess) -> None:
        passes = Passes()
        seen: list[Mapping[str, str]] = []
        sandbox.control.fault("html", times=1)
        door_with(passes).fetch(
            "GET",
            f"{sandbox.ivesk_url}/pub/exported",
            lambda response: seen.append(response.request.headers),
            what="GET /x",
            headers={"X-Mine": "1", "x-api-key": "given"},
        )
        assert seen[0]["X-Mine"] == "1"
        assert seen[0]["x-api-key"] == "pass1"

    def test_every_try_takes_a_slot(self, sandbox: SandboxProcess) -> None:
        """Tries of a call count as much as calls do: the service counts them all."""
        sandbox.control.fault("status", status=503, times=2)
        sandbox.control.fault("status", status=401, times=1)
        sandbox.control.fault("html", times=1)
        limit = RateLimit(3, 1)
        began = time.monotonic()
        door = door_with(Passes(), limit=limit)
        door.fetch("GET", f"{sandbox.ivesk_url}/pub/exported", ignore, what="GET /x")
        assert tries(sandbox) == 4
        assert time.monotonic() - began >= 1
