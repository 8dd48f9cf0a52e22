"""What people read when something is wrong: one or two lines, status 1, no secret; and the guard of the company."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests import preloaded
from tests.campaign import one_in
from tests.conftest import MakeCatalog, Run, RunTap, discovered
from tests.tap_vicai.test_vicai_streams import BY_NAME

SECRET = "s3cr3t-Ąžuolas-of-ours"


def check_clear(run: Run) -> str:
    """The run ended with status 1 and said why in at most two lines, without a traceback."""
    assert run.status == 1
    assert 1 <= len(run.complaints) <= 2
    assert "Traceback" not in run.err
    return " ".join(run.complaints)


@one_in(3)
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"client_secret": "wrong-secret"}, "client_id and client_secret are not accepted"),
        ({"client_id": "unknown"}, "Check both, and region"),
        (
            {"client_secret": None},
            "client_secret is missing: set it in the file of --config, or as TAP_VICAI_CLIENT_SECRET",
        ),
        ({"client_id": 7}, "client_id must be text in quotes"),
        ({"api_url": None}, "region is missing: set it to us or no"),
        ({"api_url": None, "region": "se"}, "region must be us or no"),
        ({"api_url": "ftp://127.0.0.1/v0"}, "api_url: is not an address such as https://api.us.vic.ai/v0"),
        ({"invoice_states": ["POSTET"]}, "invoice_states[0] must be NOT_READY, IN_APPROVALS"),
        ({"invoice_state": ["ALL"]}, "invoice_state is not a setting; did you mean invoice_states?"),
        ({"start_date": "yesterday"}, "start_date"),
        ({"start_date": "2026-13-01"}, "start_date: '2026-13-01' is not a date or an instant, such as 2026-01-05"),
        ({"max_concurrency": 0}, "max_concurrency must be at least 1"),
        ({"rate_limit": {"requests": 0}}, "rate_limit.requests must be at least 1"),
        ({"documents_dir": "/proc/none/here"}, "documents_dir: /proc/none/here cannot be used"),
        ({"user_agent": "Ąžuolas"}, "user_agent: may hold only ASCII characters"),
    ],
)
def test_wrong_settings_are_explained(tap: RunTap, catalog: MakeCatalog, settings: dict[str, Any], said: str) -> None:
    run = tap(catalog=catalog("accounts", "invoices", "invoice_documents"), expect=1, **settings)
    assert said in check_clear(run)
    assert not run.records


def test_a_wrong_path_is_explained(vicai: SandboxProcess, tap: RunTap) -> None:
    run = tap(expect=1, api_url=vicai.vicai_url.removesuffix("/v0") + "/v1")
    assert "Check api_url: it ends in /v0" in check_clear(run)


def test_a_server_that_does_not_listen_is_explained(tap: RunTap, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tap(expect=1, api_url="http://127.0.0.1:9/v0", env={"AP_TEST": "1"})
    assert "POST /token failed 6 times, last: 127.0.0.1:9 refuses connections" in check_clear(run)


@one_in(2)
@pytest.mark.parametrize("level", ["info", "debug"])
def test_no_secret_is_ever_shown(vicai: SandboxProcess, tap: RunTap, level: str) -> None:
    """Neither the secret nor the token, whatever fails, however much is logged, in what the tap writes or says."""
    outputs = []
    vicai.control.vicai.revoke_tokens()
    vicai.control.fault("status", path="/vicai/v0/vendors", status=503)
    vicai.control.fault("truncate", path="/vicai/v0/accounts")
    run = tap("--log-level", level)
    outputs.append(run)
    vicai.control.fault("status", path="/vicai/v0/tags", status=422)
    outputs.append(tap("--log-level", level, expect=1))
    outputs.append(tap("--log-level", level, expect=1, client_secret=SECRET.encode("ascii", "ignore").decode()))
    for run in outputs:
        for text in (run.out, run.err):
            assert vicai.client_secret not in text
            assert SECRET.encode("ascii", "ignore").decode() not in text
            assert not re.search(r"eyJ[\w-]{20,}", text), "a token"
            assert "Bearer" not in text


def test_a_stream_without_right_is_left_out(vicai: SandboxProcess, tap: RunTap) -> None:
    vicai.control.fault("status", path="/vicai/v0/paymentBatches", status=403, times=100)
    run = tap()
    assert run.records["payment_batches"] == run.records["payments"] == []
    assert len(run.records["vendors"]) == 40
    assert "payment_batches, payments, credits are left out, the rest goes on." in run.err
    assert "payment_batches" not in {name for name, state in run.state["bookmarks"].items() if "sent" in state}


def test_refused_again_with_a_fresh_token_is_an_outage(vicai: SandboxProcess, tap: RunTap) -> None:
    vicai.control.fault("status", path="/vicai/v0/vendors", status=401, times=100)
    run = tap(expect=1)
    assert "failed 6 times, last: status 401" in check_clear(run)
    # What came before is safe, and the state says so.
    assert run.state["bookmarks"]["accounts"]["replication_key_value"]


def test_an_outage_leaves_a_state_to_go_on_from(vicai: SandboxProcess, tap: RunTap, catalog: MakeCatalog) -> None:
    streams = catalog("invoices")
    vicai.control.fault("status", path="/vicai/v0/invoices", status=503, after=1, times=6)
    first = tap(catalog=streams, expect=1)
    assert "failed 6 times, last: status 503" in check_clear(first)
    second = tap(catalog=streams, state=first.state)
    ids = [record["internalId"] for run in (first, second) for record in run.records["invoices"]]
    store = [r["internalId"] for r in vicai.control.vicai.records("invoices") if r["status"] == "POSTED"]
    assert ids == store


# The guard of the company


def test_a_state_of_another_company_is_refused(vicai: SandboxProcess, tap: RunTap) -> None:
    state = tap().state
    assert state["bookmarks"]["company"]["tenant"] == "Fjordlys Regnskap AS"
    vicai.control.vicai.options(company="Ąžuolas & Co AS")
    vicai.control.clear_calls()
    run = tap(state=state, expect=1)
    said = check_clear(run)
    assert 'it is of "Fjordlys Regnskap AS", the credentials are of "Ąžuolas & Co AS"' in said
    assert "Nothing was read" in said
    assert not run.records
    assert not run.states
    paths = {call["path"] for call in vicai.control.calls()}
    assert paths == {"/vicai/v0/token", "/vicai/v0/healthCheck"}
    # The way out that the message names.
    state["bookmarks"]["company"]["tenant"] = "Ąžuolas & Co AS"
    assert tap(state=state).status == 0


def test_the_credentials_of_another_company_are_refused(vicai: SandboxProcess, tap: RunTap) -> None:
    vicai.control.clear_calls()
    run = tap(expected_company="Ąžuolas & Co AS", expect=1)
    said = check_clear(run)
    assert (
        'The credentials are of "Fjordlys Regnskap AS"; expected_company is "Ąžuolas & Co AS". Nothing was read' in said
    )
    assert not run.records
    assert {call["path"] for call in vicai.control.calls()} == {"/vicai/v0/token", "/vicai/v0/healthCheck"}
    vicai.control.vicai.options(company=" Fjordlys Regnskap AS ")
    assert tap(expected_company="Fjordlys Regnskap AS").records["invoices"]


def test_the_company_is_kept_whatever_is_selected(vicai: SandboxProcess, tap: RunTap, catalog: MakeCatalog) -> None:
    run = tap(catalog=catalog("tags"))
    assert all(state["bookmarks"]["company"]["tenant"] == "Fjordlys Regnskap AS" for state in run.states)
    assert run.states


def test_a_state_from_before_the_guard_is_taken(vicai: SandboxProcess, tap: RunTap, catalog: MakeCatalog) -> None:
    state = tap(catalog=catalog("accounts")).state
    del state["bookmarks"]["company"]
    run = tap(state=state, catalog=catalog("accounts"))
    assert run.records["accounts"] == []
    assert run.state["bookmarks"]["company"]["tenant"] == "Fjordlys Regnskap AS"


# Small things that people rely on


def test_discovery_needs_no_settings_and_no_network(vicai: SandboxProcess) -> None:
    found = {stream["tap_stream_id"] for stream in json.loads(discovered("tap_vicai"))["streams"]}
    assert found == BY_NAME.keys()
    assert vicai.control.calls() == []


def test_the_connection_can_be_tested(vicai: SandboxProcess, tap: RunTap) -> None:
    run = tap("--test")
    own, *lines = run.lines
    assert own.startswith("tap-vicai: the credentials are those of Fjordlys Regnskap AS; Vic.ai 10.")
    assert len(lines) == len(json.loads(discovered("tap_vicai"))["streams"])
    assert {line.partition(": ")[2] for line in lines if ": can be read" not in line} == {
        "was not tried; it is read when company_ids is set."
    }
    assert run.complaints == run.messages == []
    for wrong, words in (
        ({"client_secret": "wrong"}, "client_id and client_secret are not accepted"),
        ({"expected_company": "Another AS"}, 'The credentials are of "Fjordlys Regnskap AS"'),
    ):
        refused = tap("--test", expect=1, **wrong)
        assert check_clear(refused)
        # What is wrong with all streams is said once.
        assert refused.lines == []
        assert [words in line for line in refused.complaints] == [True]


def test_a_stream_that_cannot_be_read_does_not_hide_the_others(vicai: SandboxProcess, tap: RunTap) -> None:
    vicai.control.fault("status", path="/vicai/v0/tags", status=403, times=100)
    vicai.control.fault("status", path="/vicai/v0/paymentBatches", status=403, times=100)
    run = tap("--test")
    refused = [line.partition(": cannot be read: ")[0] for line in run.lines if "cannot" in line]
    assert refused == ["payment_batches", "payments", "credits", "tags"]
    assert all(
        "has no right to it" in line or "it comes with payment_batches" in line
        for line in run.lines
        if "cannot" in line
    )
    assert len([line for line in run.lines if ": can be read" in line]) >= 15


def test_settings_come_from_the_environment(vicai: SandboxProcess, tap: RunTap, tmp_path: Path) -> None:
    env = {
        "TAP_VICAI_CLIENT_ID": vicai.client_id,
        "TAP_VICAI_CLIENT_SECRET": vicai.client_secret,
        "TAP_VICAI_API_URL": vicai.vicai_url,
        "TAP_VICAI_INVOICE_STATES": '["ALL"]',
        "TAP_VICAI_RATE_LIMIT": '{"requests": 400, "seconds": 10}',
        "TAP_VICAI_MAX_CONCURRENCY": "4",
    }
    run = tap("--config=ENV", env=env, client_id=None, client_secret=None, api_url=None)
    assert len(run.records["invoices"]) == 240


@pytest.mark.parametrize("style", ["json", "markdown"])
def test_about_takes_its_style_either_way(style: str) -> None:
    def printed(*arguments: str) -> str:
        command = [sys.executable, "-m", "tap_vicai", *arguments]
        done = preloaded.run(command)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    assert printed(f"--about={style}") == printed("--about", f"--format={style}") != printed("--about")


def test_a_stream_map_that_fails_is_named(tap: RunTap, catalog: MakeCatalog) -> None:
    maps = {"accounts": {"upper": "nonsense.upper()"}}
    said = check_clear(tap(catalog=catalog("accounts"), stream_maps=maps, expect=1))
    assert "stream_maps: " in said
    assert "nonsense" in said


def test_a_state_that_does_not_say_whose_it_is_is_noted(tap: RunTap, catalog: MakeCatalog) -> None:
    state = tap(catalog=catalog("accounts")).state
    del state["bookmarks"]["company"]
    run = tap(state=state, catalog=catalog("accounts"))
    assert 'The state does not say whose it is; from now on it is that of "Fjordlys Regnskap AS".' in run.err
    assert "does not say whose" not in tap(state=run.state, catalog=catalog("accounts")).err
