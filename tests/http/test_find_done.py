"""A call that creates: whether it was done is looked up before it is repeated."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from ap_connectors.core.errors import Outage, Reject
from ap_connectors.core.raw_json import Record, decode
from ap_connectors.http.session import HttpClient, RetryPolicy
from ap_connectors.sandbox.process import SandboxProcess
from tests.http.clients import ANSWER, Passes, Refused, client_with, make_client, tries

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
        "GET", url, lambda response: decode(response.content, ANSWER), what="GET /x", find_done=find_done
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
