"""The client: what it retries, for how long, and what it says when it gives up."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from ap_connectors.core.errors import Outage, Stop
from ap_connectors.core.raw_json import Record
from ap_connectors.http.rate_limit import RateLimit
from ap_connectors.http.session import HttpClient, RetryPolicy, _retry_after
from ap_connectors.sandbox.process import SandboxProcess
from tests.http.clients import QUICK, Passes, Refused, ask_through, client_with, ignore, make_client, tries


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
    assert "documents" in ask_through(make_client(sandbox, timeout=0.3), sandbox)
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
    """Four waits as asked, although only three tries are allowed."""
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
    retry_policy = RetryPolicy(first_pause=0.5, longest_pause=4)
    for failures, full in ((1, 0.5), (2, 1.0), (3, 2.0), (4, 4.0), (9, 4.0)):
        pauses = [retry_policy.pause(failures) for _ in range(200)]
        assert full / 2 <= min(pauses) < max(pauses) <= full


def test_the_log_shows_no_secret(sandbox: SandboxProcess, client: HttpClient, caplog: pytest.LogCaptureFixture) -> None:
    sandbox.control.fault("status", status=503, times=1000)
    url = f"{sandbox.ivesk_url}/pub/exported?X-Amz-Signature=abc"
    with caplog.at_level(logging.DEBUG), pytest.raises(Outage) as caught:
        client.fetch("GET", url, ignore, what=f"GET {url} {sandbox.api_key}")
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
def test_no_connection_is_described_without_the_path(
    sandbox: SandboxProcess, client: HttpClient, url: str, words: str
) -> None:
    url = url.format(port=sandbox.url.rpartition(":")[2])
    with pytest.raises(Outage, match=words) as caught:
        client.fetch("GET", url, ignore, what="GET /x")
    assert "secret" not in str(caught.value)
    assert "pass" not in str(caught.value)


def test_what_is_no_address_stops_at_once(client: HttpClient) -> None:
    with pytest.raises(Stop, match="Check the address"):
        client.fetch("GET", "no address", ignore, what="GET /x")


def test_parse_sees_only_good_answers(sandbox: SandboxProcess, client: HttpClient) -> None:
    seen: list[int] = []

    def note(response: requests.Response) -> None:
        seen.append(response.status_code)

    sandbox.control.fault("status", status=503, times=2)
    client.fetch("GET", f"{sandbox.ivesk_url}/pub/exported", note, what="GET /pub/exported")
    assert seen == [200]


class TestCredentials:
    def test_a_401_asks_for_a_fresh_header_once(self, sandbox: SandboxProcess) -> None:
        passes = Passes()
        with pytest.raises(Refused, match="401"):
            ask_through(client_with(passes), sandbox)
        assert passes.refusals == ["pass1"]
        assert tries(sandbox) == 2

    def test_a_fresh_header_lets_in(self, sandbox: SandboxProcess) -> None:
        passes = Passes()
        sandbox.control.fault("status", status=401, times=1)
        client = client_with(passes, RetryPolicy(tries=1))
        passes.headers = lambda: {"x-api-key": sandbox.api_key}  # type: ignore[method-assign]
        assert "documents" in ask_through(client, sandbox)
        assert passes.refusals == [sandbox.api_key]

    def test_other_refusals_are_not_for_them(self, sandbox: SandboxProcess) -> None:
        passes = Passes()
        sandbox.control.fault("status", status=403, times=1)
        with pytest.raises(Refused, match="403"):
            ask_through(client_with(passes), sandbox)
        assert passes.refusals == []

    def test_stand_beside_the_headers_of_a_request(self, sandbox: SandboxProcess) -> None:
        passes = Passes()
        seen: list[Mapping[str, str]] = []
        sandbox.control.fault("html", times=1)
        client_with(passes).fetch(
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
        client = client_with(Passes(), limit=limit)
        client.fetch("GET", f"{sandbox.ivesk_url}/pub/exported", ignore, what="GET /x")
        assert tries(sandbox) == 4
        assert time.monotonic() - began >= 1


def test_arguments_are_made_anew_for_every_try(sandbox: SandboxProcess) -> None:
    """A body that can be read once only, tried four times: after a reset, a 401, and a 429."""
    sandbox.control.fault("reset")
    sandbox.control.fault("status", status=401)
    sandbox.control.fault("status", status=429, retry_after=0)
    made: list[Iterator[bytes]] = []
    sent: list[Mapping[str, str]] = []

    def prepare() -> Mapping[str, Any]:
        made.append(iter([b"1", b"2"]))
        return {"data": made[-1], "headers": {"X-Try": str(len(made))}}

    passes = Passes()
    passes.headers = lambda: {"x-api-key": sandbox.api_key}  # type: ignore[method-assign]
    client_with(passes).fetch(
        "GET",
        f"{sandbox.ivesk_url}/pub/exported",
        lambda response: sent.append(response.request.headers),
        what="GET /x",
        prepare=prepare,
        headers={"X-Try": "none"},
    )
    assert len(made) == tries(sandbox) == 4
    # The reset may come before the first body is sent whole.
    assert [next(one, None) for one in made[1:]] == [None] * 3
    assert sent[0]["X-Try"] == "4"


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file or directory"),
        (b"", "holds no certificates in PEM"),
        (b"\x30\x82", "holds no certificates"),
    ],
)
def test_a_ca_bundle_that_is_not_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, content: bytes | None, words: str
) -> None:
    bundle = tmp_path / "corporate.pem"
    if content is not None:
        bundle.write_bytes(content)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.setenv(variable, str(bundle))
    client = HttpClient("here", explain=lambda _, what: Refused(what), retry_policy=QUICK)
    with pytest.raises(Stop) as stopped:
        client.fetch("GET", "https://127.0.0.1:9/", ignore, what="GET /")
    assert str(stopped.value).startswith(f"{variable}: {bundle}: {words}")
    # Plain http needs none.
    with pytest.raises(Outage):
        client.fetch("GET", "http://127.0.0.1:9/", ignore, what="GET /")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0),
        (" 7 ", 7.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("9" * 5000, None),
        ("Fri, 31 Dec 99999999999 23:59:59 GMT", None),
        ("inf", None),
        ("²", None),
    ],
)
def test_retry_after_in_any_form(header: str, seconds: float | None) -> None:
    response = requests.Response()
    response.headers["Retry-After"] = header
    assert _retry_after(response) == seconds


def test_cookies_of_a_service_and_headers_of_all_requests_are_sent() -> None:
    """A load balancer keeps a client to one server by a cookie."""
    met: list[Mapping[str, str]] = []

    class Service(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            met.append(dict(self.headers))
            self.send_response(204)
            self.send_header("Set-Cookie", "server=7")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as service:
        threading.Thread(target=service.serve_forever).start()
        client = HttpClient("service", explain=lambda *_: Stop("refused"), headers={"User-Agent": "we", "X-Own": "1"})
        for query in ({}, {"a": "ž b"}):
            url = f"http://127.0.0.1:{service.server_port}/"
            client.fetch("get", url, lambda _: None, what="GET /", params=query, headers={"x-own": "2"})
        service.shutdown()
    assert [one.get("Cookie") for one in met] == [None, "server=7"]
    for one in met:
        assert one["User-Agent"] == "we"
        assert [value for name, value in one.items() if name.lower() == "x-own"] == ["2"]
        assert "gzip" in one["Accept-Encoding"]
