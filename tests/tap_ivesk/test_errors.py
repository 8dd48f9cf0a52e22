"""What a stranger reads when something is wrong: one or two clear lines, status 1, no secret, no traceback."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests import preloaded
from tests.conftest import Run, RunTap

SECRET = "s3cr3t-k3y-0123456789"


def complain(*arguments: str, env: dict[str, str] | None = None) -> str:
    """Run the command with bare arguments, expect status 1; return its ERROR lines."""
    run = Run.of(preloaded.run([sys.executable, "-m", "tap_ivesk", *arguments], env=env, timeout=60))
    assert run.status == 1, run.err
    assert "Traceback" not in run.err
    assert SECRET not in run.err + run.out
    assert 1 <= len(run.complaints) <= 3
    return "\n".join(run.complaints)


def config(folder: Path, content: Any) -> str:
    path = folder / "c.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return f"--config={path}"


def test_wrong_key(sandbox: SandboxProcess, tap: RunTap) -> None:
    run = tap(api_key=SECRET, expect=1)
    assert SECRET not in run.err
    assert len(run.complaints) == 1
    assert "api_key" in run.complaints[0]
    assert "https://app.ivesk.lt/settings/apikey" in run.complaints[0]
    assert len(sandbox.control.calls()) == 1


def test_test_really_connects(sandbox: SandboxProcess, tap: RunTap) -> None:
    assert "api_key" in tap("--test", api_key=SECRET, expect=1).complaints[0]
    assert sandbox.control.calls()[-1]["key"] == "wrong"


def test_wrong_path_in_the_address(sandbox: SandboxProcess, tap: RunTap) -> None:
    run = tap(api_url=f"{sandbox.url}/ivesk/ipa", expect=1)
    assert len(run.complaints) == 1
    assert "api_url" in run.complaints[0]


@pytest.mark.long
def test_an_answer_that_is_larger_than_any(sandbox: SandboxProcess, tap: RunTap) -> None:
    sandbox.control.fault("large", path="/ivesk/api/pub/exported", times=2)
    assert "the answer is larger than 100 MB" in tap(expect=1).err


def test_an_html_page_at_the_address(sandbox: SandboxProcess, tap: RunTap) -> None:
    sandbox.control.fault("html", times=1000)
    run = tap(expect=1)
    assert len(run.complaints) == 1
    assert "HTML" in run.complaints[0]
    assert "address" in run.complaints[0]
    assert "<" not in run.complaints[0]


def test_nothing_listens(tap: RunTap) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        run = tap(api_url=f"http://127.0.0.1:{unused.getsockname()[1]}/api", expect=1)
    assert len(run.complaints) == 1
    assert "nothing is listening" in run.complaints[0]
    assert (
        "whether it is running on this machine (ap-sandbox), and run it again; a pipeline goes on" in run.complaints[0]
    )


def test_an_unknown_host(tap: RunTap) -> None:
    run = tap(api_url="https://no-such-host.invalid/api", expect=1)
    assert len(run.complaints) == 1
    assert "no-such-host.invalid is unknown" in run.complaints[0]


@pytest.mark.parametrize(
    "address",
    [
        "app.ivesk.lt/api",
        "ftp://app.ivesk.lt",
        "https://",
        f"https://x/api?key={SECRET}",
        "x y",
        f"http://me:{SECRET}@x",
    ],
)
def test_what_is_no_address(tap: RunTap, address: str) -> None:
    run = tap(api_url=address, expect=1)
    assert "api_url" in run.complaints[0]
    assert SECRET not in run.err


def test_a_user_agent_that_cannot_be_sent(tap: RunTap) -> None:
    assert "user_agent" in tap(user_agent="Įvesk", expect=1).complaints[0]


def test_a_key_with_a_line_break_is_not_shown_either(sandbox: SandboxProcess, tap: RunTap) -> None:
    assert SECRET not in tap(api_key=f"{SECRET}\n", expect=1).err


def test_an_error_does_not_wait_for_other_downloads(sandbox: SandboxProcess, tap: RunTap, tmp_path: Path) -> None:
    """One file ends the run while other threads wait for their next try, four minutes from now."""
    sandbox.control.reset(documents=0)
    sandbox.control.add(20, company="395901624")
    first = sandbox.control.documents(with_url=True)[0]["url"].partition("?")[0].removeprefix(sandbox.url)
    sandbox.control.fault("expired", path=first, times=1000)
    sandbox.control.fault("status", path="/storage", status=503, retry_after=250, times=1000)
    run = tap(documents_dir=str(tmp_path / "d"), expect=1)
    assert "expired each time" in run.complaints[0]


@pytest.fixture
def redirecting() -> Iterator[tuple[str, list[str]]]:
    """A server that redirects to another one; what the other one got."""
    received: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if "x-api-key" in self.headers and self.path.startswith("/elsewhere"):
                received.append(self.headers["x-api-key"])
            self.send_response(302)
            self.send_header("Location", f"http://localhost:{self.server.server_port}/elsewhere")  # type: ignore[attr-defined]
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/api", received
        server.shutdown()
        thread.join()


def test_a_redirect_does_not_get_the_key(tap: RunTap, redirecting: tuple[str, list[str]]) -> None:
    address, received = redirecting
    run = tap(api_url=address, api_key=SECRET, expect=1)
    assert "redirects to localhost" in run.complaints[0]
    assert received == []


@pytest.mark.parametrize("key", ["", "   ", "ąžuolas", f"{SECRET}\n{SECRET}", f"{SECRET} x"])
def test_what_cannot_be_a_key(tmp_path: Path, key: str) -> None:
    said = complain(config(tmp_path, {"api_key": key}))
    assert "api_key" in said
    assert "ąžuolas" not in said


def test_a_key_with_a_line_break_at_its_end_works(sandbox: SandboxProcess, tap: RunTap) -> None:
    assert len(tap(api_key=f"{sandbox.api_key}\n").ids()) > 200


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, ["api_key is missing", "TAP_IVESK_API_KEY"]),
        ({"api_kye": SECRET}, ["api_kye is not a setting; did you mean api_key?", "api_key is missing"]),
        ({"api_key": [SECRET]}, ["api_key must be text"]),
        ({"api_key": 1234567}, ["api_key must be text"]),
        ({"api_key": SECRET, "company_codes": [302320404]}, ["company_codes[0] must be text in quotes"]),
        ({"api_key": SECRET, "company_codes": "302320404"}, ["company_codes must be a list"]),
        ({"api_key": SECRET, "company_code": ["302320404"]}, ["did you mean company_codes?"]),
        ({"api_key": SECRET, "request_timeout": "long"}, ["request_timeout must be a whole number"]),
        ({"api_key": SECRET, "request_timeout": 0}, ["request_timeout must be at least 1"]),
        ({"api_key": SECRET, "start_date": "last year"}, ["start_date"]),
        ({"api_key": SECRET, "columns": [{"column": "x"}]}, ["columns[0].company_code is missing"]),
        (f'{{"api_key": "{SECRET}",}}', ["--config", "invalid JSON at line 1"]),
        (f'["{SECRET}"]', ["--config", "must be one JSON object"]),
    ],
)
def test_bad_settings(tmp_path: Path, settings: Any, words: list[str]) -> None:
    said = complain(config(tmp_path, settings))
    for word in words:
        assert word in said
    assert "1234567" not in said


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("TAP_IVESK_REQUEST_TIMEOUT", "long", "TAP_IVESK_REQUEST_TIMEOUT must be a whole number."),
        ("TAP_IVESK_COLUMNS", f"[{SECRET}", "TAP_IVESK_COLUMNS must be JSON."),
        ("TAP_IVESK_API_KEY", "", "api_key"),
    ],
)
def test_bad_settings_in_the_environment(variable: str, value: str, words: str) -> None:
    assert words in complain("--config=ENV", env={"TAP_IVESK_API_KEY": SECRET} | {variable: value})


def test_an_unknown_column(tap: RunTap) -> None:
    run = tap(columns=[{"company_code": "302320404", "column": "nėra"}], expect=1)
    assert len(run.complaints) == 1
    assert "nėra" in run.complaints[0]
    assert "Check company_code and column in the setting columns." in run.complaints[0]


def test_a_misspelt_setting_that_resembles_none_is_only_a_warning(sandbox: SandboxProcess, tap: RunTap) -> None:
    run = tap(zzz=1)
    assert "zzz is unknown" in run.err


def test_no_such_settings_file() -> None:
    assert "--config /no/such/file.json: No such file" in complain("--config=/no/such/file.json")


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("{", "invalid JSON"),
        ("[]", "one JSON object"),
        ('{"exported_documents": {}}', "no 'bookmarks'"),
        ('{"bookmarks": {"exported_documents": {"replication_key_value": "soon"}}}', "is not a date or an instant"),
    ],
)
def test_bad_state(sandbox: SandboxProcess, tmp_path: Path, state: str, words: str) -> None:
    (tmp_path / "s.json").write_text(state)
    settings = config(tmp_path, {"api_key": sandbox.api_key, "api_url": sandbox.ivesk_url})
    assert words in complain(settings, f"--state={tmp_path}/s.json")


def test_a_state_as_people_have_it_at_hand(tap: RunTap) -> None:
    """The whole STATE message, or what `meltano state get` prints."""
    state = tap().state
    assert tap(state={"type": "STATE", "value": state}).ids() == []
    assert tap(state={"singer_state": state}).ids() == []


def test_an_empty_state_file_is_a_first_run(sandbox: SandboxProcess, tap: RunTap) -> None:
    assert len(tap(state={}).ids()) > 200


def test_debug_shows_where_but_no_secret(sandbox: SandboxProcess, tap: RunTap, tmp_path: Path) -> None:
    sandbox.control.reset(documents=20)
    sandbox.control.fault("status", path="/storage", status=404, times=3)
    run = tap("--log-level=debug", documents_dir=str(tmp_path / "d"))
    assert "Signature=" not in run.err
    assert sandbox.api_key not in run.err
    run = tap("--log-level=debug", api_key=SECRET, expect=1)
    assert "Traceback" in run.err
    assert SECRET not in run.err


def test_links_are_not_logged(sandbox: SandboxProcess, tap: RunTap, tmp_path: Path) -> None:
    """A pre-signed link is a secret while it lives."""
    sandbox.control.reset(documents=20)
    sandbox.control.fault("reset", path="/storage", times=2)
    sandbox.control.fault("status", path="/storage", status=403, times=1, after=2)
    for level in ("info", "debug"):
        run = tap(f"--log-level={level}", documents_dir=str(tmp_path / level), env={"LOGLEVEL": level}, expect=None)
        assert "Signature=" not in run.err
