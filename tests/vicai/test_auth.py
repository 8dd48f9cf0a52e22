"""Access tokens: one for all threads, renewed in time and when refused, and never shown."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ap_connectors.core.errors import ApError, Outage, Stop
from ap_connectors.http.rate_limit import RateLimit
from ap_connectors.http.session import RetryPolicy
from ap_connectors.sandbox.process import SandboxProcess
from ap_connectors.vicai.client import VicaiClient
from ap_connectors.vicai.transport import BearerToken, TokenResponse
from tests.vicai.scripted import TOKEN, Asked, Said, granting, serving

QUICK = RetryPolicy(tries=3, first_pause=0.01, longest_pause=0.02)
SECRET = "s3cret-Zx9.q"


def client(sandbox: SandboxProcess, secret: str | None = None, **more: Any) -> VicaiClient:
    more = {"retry_policy": QUICK, "connections": 16, **more}
    return VicaiClient(sandbox.client_id, secret or sandbox.client_secret, sandbox.vicai_url, **more)


@pytest.fixture
def vic(sandbox: SandboxProcess) -> SandboxProcess:
    sandbox.control.reset(documents=0, invoices=0, vicai={"rate_requests": 0})
    sandbox.control.clear_calls()
    return sandbox


def calls(sandbox: SandboxProcess) -> tuple[int, list[str]]:
    """(number of token requests, how the token of each other request was found)."""
    log = sandbox.control.calls()
    tokens = [call for call in log if call["path"].endswith("/token")]
    return len(tokens), [call["key"] for call in log if call not in tokens]


def at_once(threads: int, work: Callable[[], object]) -> None:
    barrier = threading.Barrier(threads)

    def start(_: int) -> None:
        barrier.wait(10)
        work()

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(start, range(threads)))


class TestSharing:
    def test_threads_that_start_at_once_share_one_grant(self, vic: SandboxProcess) -> None:
        vic.control.fault("slow", path="/vicai/v0/token", seconds=0.3)
        at_once(16, client(vic).company)
        assert calls(vic) == (1, ["ok"] * 16)

    def test_the_grant_counts_against_the_limit(self, vic: SandboxProcess) -> None:
        vic.control.vicai.options(rate_requests=5, rate_seconds=1)
        vicai = client(vic, limit=RateLimit(5, 1))
        for _ in range(6):
            vicai.company()
        assert vic.control.vicai.overview(sums=False)["throttled"] == 0

    def test_a_limit_of_one_is_no_deadlock(self, vic: SandboxProcess) -> None:
        """The grant needs a slot of its own while the call that wants it waits."""
        vicai = client(vic, limit=RateLimit(1, 0.05))
        at_once(4, vicai.company)
        assert calls(vic) == (1, ["ok"] * 4)


class TestRenewal:
    def test_before_a_token_expires(self, vic: SandboxProcess) -> None:
        vic.control.vicai.options(token_seconds=1)
        vicai, end = client(vic), time.monotonic() + 2.3

        def work() -> None:
            while time.monotonic() < end:
                vicai.company()
                time.sleep(0.02)

        at_once(4, work)
        grants, keys = calls(vic)
        assert set(keys) == {"ok"}
        assert 3 <= grants <= 6

    @pytest.mark.parametrize("seconds", [90, 61, 60, 10, 1])
    def test_leaves_a_margin(self, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
        """A minute of a long life, half of a short one."""
        now, granted = 1000.0, []
        monkeypatch.setattr(time, "monotonic", lambda: now)

        def obtain() -> TokenResponse:
            granted.append(now)
            return TokenResponse(f"token{len(granted)}", seconds)

        token = BearerToken(obtain, lambda _: None)
        good = max(seconds - 60, seconds / 2)
        assert token.headers() == {"Authorization": "Bearer token1"}
        now = 1000 + good - 0.01
        assert token.headers() == {"Authorization": "Bearer token1"}
        now = 1000 + good
        assert token.headers() == {"Authorization": "Bearer token2"}
        assert len(granted) == 2

    def test_once_for_all_when_revoked(self, vic: SandboxProcess) -> None:
        vicai, done = client(vic), threading.Event()
        rounds = 0

        def work() -> None:
            nonlocal rounds
            while not done.is_set():
                vicai.company()
                rounds += 1

        def revoke() -> None:
            while rounds < 40:
                time.sleep(0.005)
            vic.control.vicai.revoke_tokens()
            seen = rounds
            while rounds < seen + 40:
                time.sleep(0.005)
            done.set()

        revoker = threading.Thread(target=revoke)
        revoker.start()
        try:
            at_once(8, work)
        finally:
            done.set()
            revoker.join(10)
        grants, keys = calls(vic)
        assert grants == 2
        assert set(keys) == {"ok", "expired"}
        assert keys.count("expired") <= 8

    def test_when_the_401_comes_after_another_thread_renewed(self) -> None:
        """The refusal speaks of the old token; the new one stays."""
        granted: list[int] = []

        def obtain() -> TokenResponse:
            granted.append(1)
            return TokenResponse(f"token{len(granted)}", 3600)

        token = BearerToken(obtain, lambda _: None)
        old = token.headers()
        token.invalidate(old)
        new = token.headers()
        token.invalidate(old)
        assert token.headers() == new
        assert len(granted) == 2
        token.invalidate(new)
        assert token.headers() != new

    def test_again_after_passing_trouble_in_between(self, vic: SandboxProcess) -> None:
        vicai = client(vic)
        vicai.company()
        for kind in (401, 503, 401):
            vic.control.fault("status", status=kind, path="/vicai/v0/healthCheck")
        vicai.company()
        assert calls(vic)[0] == 3

    def test_a_401_that_stays_is_an_outage(self, vic: SandboxProcess) -> None:
        """Each of the three tries asks for a fresh token once."""
        vic.control.fault("status", status=401, path="/vicai/v0/healthCheck", times=1000)
        with pytest.raises(Outage, match="GET /healthCheck failed 3 times, last: status 401") as caught:
            client(vic).company()
        assert "The sandbox was told to answer 401" in str(caught.value)
        assert calls(vic) == (4, ["ok"] * 6)


class TestTokenResponse:
    def test_is_asked_for_in_json_with_nothing_else(self) -> None:
        with serving(granting(lambda _: Said({"status": "PASS"}))) as service:
            VicaiClient(" me ", f"{SECRET}\n", service.url, user_agent="us/1").company()
        token, call = service.asked
        assert (token.method, token.path, token.query) == ("POST", "/token", {})
        assert json.loads(token.body) == {"client_id": "me", "client_secret": SECRET}
        assert token.headers["content-type"] == "application/json"
        assert token.headers["user-agent"] == "us/1"
        assert "authorization" not in token.headers
        assert call.headers["authorization"] == f"Bearer {TOKEN}"
        assert SECRET not in str(call)

    def test_reads_what_is_there(self) -> None:
        assert TokenResponse.read(
            b'{"access_token": "x", "expires_in": 1.5, "token_type": "Bearer", "new": [1]}'
        ) == TokenResponse("x", 1.5)

    @pytest.mark.parametrize("kind", ["reset", "truncate", "html", "html_status"])
    def test_is_tried_again(self, vic: SandboxProcess, kind: str) -> None:
        vic.control.fault(kind, path="/vicai/v0/token", times=2)
        client(vic).company()
        assert calls(vic) == (3, ["ok"])

    def test_trouble_that_lasts_is_an_outage_and_the_next_call_may_try(self, vic: SandboxProcess) -> None:
        vic.control.fault("status", status=503, path="/vicai/v0/token", times=3)
        vicai = client(vic)
        with pytest.raises(Outage, match=r"POST /token failed 3 times, last: status 503"):
            vicai.company()
        assert calls(vic) == (3, [])
        vicai.company()

    def test_wrong_credentials_stop_at_once(self, vic: SandboxProcess) -> None:
        with pytest.raises(Stop, match="client_id and client_secret are not accepted") as caught:
            client(vic, secret=SECRET).company()
        assert not isinstance(caught.value, Outage)
        for words in (
            vic.vicai_url,
            "status 401",
            "The client id or the client secret is wrong",
            "request id",
            "region",
        ):
            assert words in str(caught.value)
        assert SECRET not in str(caught.value)
        assert calls(vic) == (1, [])

    def test_an_address_without_tokens_is_named(self) -> None:
        with serving(lambda _: Said({"message": "no such page"}, 404)) as service, pytest.raises(Stop) as caught:
            VicaiClient("me", SECRET, service.url, retry_policy=QUICK).company()
        assert "status 404 (no such page)" in str(caught.value)
        assert "Check api_url: it ends in /v0" in str(caught.value)


class TestSecrets:
    """A service that repeats all it hears, in every kind of answer."""

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 500, 503])
    @pytest.mark.parametrize("where", ["/token", "/healthCheck"])
    @pytest.mark.parametrize("secret", [SECRET, "ends-with-a-stop.", "ab", 'quote"and\\slash'])
    def test_are_in_no_message_and_no_log(
        self, status: int, where: str, secret: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        def echo(asked: Asked) -> Said:
            heard = json.loads(asked.body)["client_secret"] if asked.body else asked.headers["authorization"]
            headers = (("x-request-id", heard), ("X-Heard", heard))
            return Said({"code": status, "message": f"{heard} said {heard} {secret}"}, status, headers)

        script = echo if where == "/token" else granting(echo)
        caplog.set_level(logging.DEBUG)
        with serving(script) as service, pytest.raises(ApError) as caught:
            VicaiClient("me", secret, service.url, retry_policy=QUICK).company()
        said = " ".join([str(caught.value), repr(caught.value), caplog.text])
        assert TOKEN not in said
        assert TOKEN[:40] not in said
        if len(secret) > 2:
            assert secret.rstrip(".") not in said
        else:
            assert f" {secret} " not in said
            assert f"({secret} " not in said

    def test_are_in_no_log_of_a_good_run(self, vic: SandboxProcess, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        vicai = client(vic)
        vicai.company()
        vic.control.vicai.revoke_tokens()
        vic.control.fault("reset", path="/vicai/v0/accounts")
        list(vicai.pages("listAccounts"))
        assert vic.client_secret not in caplog.text
        assert "Bearer" not in caplog.text
        assert "eyJ" not in caplog.text
