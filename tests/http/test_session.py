"""The client: what it retries, for how long, and what it says when it gives up."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests

from ap_connectors.core.errors import ApError, Outage, Reject, Stop
from ap_connectors.core.raw_json import Record, decode
from ap_connectors.http.rate_limit import RateLimit
from ap_connectors.http.session import HttpClient, RetryPolicy, _retry_after
from ap_connectors.sandbox.process import SandboxProcess

QUICK = RetryPolicy(tries=3, first_pause=0.02, longest_pause=0.05, longest_asked=2)
_answer = msgspec.json.Decoder(Record)


def ignore(_: requests.Response) -> None:
    """Take any answer."""


class Refused(ApError):
    """What `explain` makes of a final answer here."""


@pytest.fixture
def client(sandbox: SandboxProcess) -> HttpClient:
    return make_client(sandbox)


def make_client(sandbox: SandboxProcess, retry_policy: RetryPolicy = QUICK, timeout: float = 5) -> HttpClient:
    return HttpClient(
        "here",
        explain=lambda response, what: Refused(f"{what}: {response.status_code}"),
        headers={"x-api-key": sandbox.api_key},
        secrets=[sandbox.api_key],
        timeout=timeout,
        retry_policy=retry_policy,
    )


@pytest.fixture
def ask(sandbox: SandboxProcess, client: HttpClient) -> Callable[[], Record]:
    return lambda: ask_through(client, sandbox)


def ask_through(client: HttpClient, sandbox: SandboxProcess) -> Record:
    url = f"{sandbox.ivesk_url}/pub/exported"
    return client.fetch("GET", url, lambda response: decode(response.content, _answer), what="GET /pub/exported")


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


class Passes:
    """Credentials that count: `pass1`, and another one after each refusal."""

    def __init__(self) -> None:
        self.number = 1
        self.refusals: list[str | None] = []

    def headers(self) -> Mapping[str, str]:
        return {"x-api-key": f"pass{self.number}"}

    def invalidate(self, sent: Mapping[str, str]) -> None:
        self.refusals.append(sent.get("x-api-key"))
        self.number += 1


def client_with(passes: Passes, retry_policy: RetryPolicy = QUICK, limit: RateLimit | None = None) -> HttpClient:
    return HttpClient(
        "here",
        explain=lambda response, what: Refused(f"{what}: {response.status_code}"),
        retry_policy=retry_policy,
        credentials=passes,
        limit=limit,
    )


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


FOUND: Record = {"found": msgspec.Raw(b"true")}


class Probe:
    """Says what it is told to, and notes when it was asked."""

    def __init__(self, *answers: Record | Exception | None) -> None:
        self.answers = list(answers)
        self.asked: list[float] = []

    def __call__(self) -> Record | None:
        self.asked.append(time.monotonic())
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        return answer


def do(client: HttpClient, find_done: Probe, url: str) -> Record:
    return client.fetch(
        "GET", url, lambda response: decode(response.content, _answer), what="GET /x", find_done=find_done
    )


@contextmanager
def deaf() -> Iterator[str]:
    """Takes requests and hangs up without an answer, as a proxy does when the service behind it is gone."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(5)


class TestLook:
    @pytest.fixture
    def url(self, sandbox: SandboxProcess) -> str:
        return f"{sandbox.ivesk_url}/pub/exported"

    @pytest.mark.parametrize(
        "fault",
        [
            *({"kind": "status", "status": status} for status in (408, 425, 500, 502, 503, 504)),
            {"kind": "status", "status": 503, "retry_after": 0},
            *({"kind": kind} for kind in ("reset", "lost", "truncate", "html", "html_status")),
        ],
    )
    def test_is_asked_where_it_may_have_been_done(
        self, sandbox: SandboxProcess, client: HttpClient, url: str, fault: dict[str, Any]
    ) -> None:
        sandbox.control.fault(**fault)
        find_done = Probe(FOUND)
        assert do(client, find_done, url) == FOUND
        assert tries(sandbox) == 1
        assert len(find_done.asked) == 1

    def test_is_asked_when_the_answer_takes_too_long(self, sandbox: SandboxProcess, url: str) -> None:
        sandbox.control.fault("slow", seconds=1)
        assert do(make_client(sandbox, timeout=0.2), Probe(FOUND), url) == FOUND

    def test_that_finds_nothing_lets_the_call_be_repeated(
        self, sandbox: SandboxProcess, client: HttpClient, url: str
    ) -> None:
        sandbox.control.fault("lost", times=2)
        find_done = Probe()
        assert "documents" in do(client, find_done, url)
        assert (tries(sandbox), len(find_done.asked)) == (3, 2)

    def test_is_not_asked_where_all_went_well(self, client: HttpClient, url: str) -> None:
        find_done = Probe(FOUND)
        assert "documents" in do(client, find_done, url)
        assert not find_done.asked

    @pytest.mark.parametrize("retry_after", [0, None])
    def test_is_not_asked_after_a_429(
        self, sandbox: SandboxProcess, client: HttpClient, url: str, retry_after: int | None
    ) -> None:
        sandbox.control.fault("status", status=429, times=2, retry_after=retry_after)
        find_done = Probe(FOUND)
        assert "documents" in do(client, find_done, url)
        assert not find_done.asked

    def test_is_asked_after_a_429_too_once_in_doubt(
        self, sandbox: SandboxProcess, client: HttpClient, url: str
    ) -> None:
        """What timed out may get done while the next try is refused."""
        sandbox.control.fault("reset")
        sandbox.control.fault("status", status=429, retry_after=0)
        find_done = Probe(None, FOUND)
        assert do(client, find_done, url) == FOUND
        assert tries(sandbox) == 2

    def test_is_not_asked_after_a_renewal(self, sandbox: SandboxProcess, url: str) -> None:
        sandbox.control.fault("status", status=401)
        passes, find_done = Passes(), Probe(FOUND)
        passes.headers = lambda: {"x-api-key": sandbox.api_key}  # type: ignore[method-assign]
        assert "documents" in do(client_with(passes), find_done, url)
        assert (tries(sandbox), find_done.asked) == (2, [])

    def test_is_not_asked_after_a_final_answer(self, sandbox: SandboxProcess, client: HttpClient, url: str) -> None:
        sandbox.control.fault("status", status=422)
        find_done = Probe(FOUND)
        with pytest.raises(Refused):
            do(client, find_done, url)
        assert not find_done.asked

    @pytest.mark.parametrize("url", ["http://127.0.0.1:9/x", "http://nowhere.invalid/x"])
    def test_is_not_asked_without_a_connection(self, client: HttpClient, url: str) -> None:
        find_done = Probe(FOUND)
        with pytest.raises(Outage, match="failed 3 times"):
            do(client, find_done, url)
        assert not find_done.asked

    def test_is_not_asked_where_the_connection_is_not_accepted(self, sandbox: SandboxProcess) -> None:
        with socket.socket() as server, socket.socket() as first, socket.socket() as second:
            server.bind(("127.0.0.1", 0))
            server.listen(0)
            for other in (first, second):
                other.setblocking(False)
                other.connect_ex(server.getsockname())
            find_done = Probe(FOUND)
            with pytest.raises(Outage, match="could not be reached in time"):
                do(make_client(sandbox, timeout=0.2), find_done, f"http://127.0.0.1:{server.getsockname()[1]}/x")
        assert not find_done.asked

    @pytest.mark.parametrize("scheme", ["http", "https"])
    def test_is_not_asked_without_the_proxy(
        self, client: HttpClient, scheme: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("no_proxy", "")
        monkeypatch.setenv(f"{scheme}_proxy", "http://127.0.0.1:9")
        find_done = Probe(FOUND)
        with pytest.raises(Outage, match=r"the proxy for service\.test does not answer"):
            do(client, find_done, f"{scheme}://service.test/x")
        assert not find_done.asked

    def test_is_asked_when_a_proxy_loses_the_answer(self, client: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
        with deaf() as proxy:
            monkeypatch.setenv("no_proxy", "")
            monkeypatch.setenv("http_proxy", proxy)
            assert do(client, Probe(FOUND), "http://service.test/x") == FOUND

    def test_is_asked_after_the_pause(self, sandbox: SandboxProcess, url: str) -> None:
        sandbox.control.fault("reset")
        find_done, began = Probe(FOUND), time.monotonic()
        do(make_client(sandbox, RetryPolicy(first_pause=0.6)), find_done, url)
        assert find_done.asked[0] - began >= 0.3

    @pytest.mark.parametrize("fault", [{"times": 1000}, {"retry_after": 3600}])
    def test_is_asked_after_the_last_try(
        self, sandbox: SandboxProcess, client: HttpClient, url: str, fault: dict[str, Any]
    ) -> None:
        sandbox.control.fault("status", status=503, **fault)
        before = [] if "retry_after" in fault else [None, None]
        assert do(client, Probe(*before, FOUND), url) == FOUND
        assert tries(sandbox) == len(before) + 1

    @pytest.mark.parametrize("last", [None, Outage("the look failed")])
    def test_that_finds_nothing_in_the_end_is_an_outage(
        self, sandbox: SandboxProcess, client: HttpClient, url: str, last: Exception | None
    ) -> None:
        sandbox.control.fault("status", status=500, times=1000)
        find_done = Probe(None, None, last)
        with pytest.raises(Outage, match="failed 3 times, last: status 500"):
            do(client, find_done, url)
        assert (tries(sandbox), len(find_done.asked)) == (3, 3)

    @pytest.mark.parametrize("tries_allowed", [1, 3])
    def test_may_raise(self, sandbox: SandboxProcess, url: str, tries_allowed: int) -> None:
        sandbox.control.fault("lost")
        with pytest.raises(Reject, match="it cannot be known"):
            do(
                make_client(sandbox, RetryPolicy(tries_allowed, 0.01)),
                Probe(Reject("it cannot be known", "unclassified")),
                url,
            )
        assert tries(sandbox) == 1


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
