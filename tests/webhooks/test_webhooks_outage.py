"""Long outages, subscriptions that others end or take, records that are odd: nothing is said to be well that is not."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests.sandbox.emulated_vic import Vic
from tests.vicai.scripted import TOKEN, Asked, Said, serving
from tests.webhooks.serve_process import Webhooks, rule


def ago(days: float) -> str:
    moment = datetime.now(timezone.utc) - timedelta(days=days)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def reconciled(hooks: Webhooks, *more: str, expect: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(hooks.run("reconcile", "vicai", "--format", "json", *more, expect=expect))
    return found


def compared_last(hooks: Webhooks, days: float) -> None:
    """Make the last comparison one of so many days ago."""
    with closing(sqlite3.connect(hooks.folder / "webhooks.db")) as connection, connection:
        [(report,)] = connection.execute("SELECT report FROM reconciled").fetchall()
        changed = json.loads(report) | {"covered": {"vicai": ago(days)}}
        connection.execute("UPDATE reconciled SET at = ?, report = ?", (ago(days), json.dumps(changed)))


@pytest.mark.parametrize("vic", ["live"], indirect=True)
def test_an_outage_of_forty_days(hooks: Webhooks, vic: SandboxProcess) -> None:
    """Whoever does not know how long it was, is told of everything since the last comparison, until it is mended."""
    hooks.write(rules=[rule("true", on=["vicai.vendor_updated"], debounce="0s")])
    hooks.serve_public()
    hooks.run("subscribe", "vicai")
    assert reconciled(hooks, expect=0)["notes"][0].startswith("vicai.invoice_post was not compared")
    compared_last(hooks, 40)
    lost = [vic.control.vicai.event("vendor_updated", send=False, at=ago(days))[0] for days in (39, 20, 1)]
    vic.control.fault("status", path="/vicai/v0/webhooks/events", status=403, times=1)
    assert "record of events was not compared" in str(reconciled(hooks, expect=0)["notes"])
    for more in ((), ("--days", "3")):
        report = reconciled(hooks, *more, expect=1)
        assert {gap["key"] for gap in report["gaps"]} == set(lost[2:] if more else lost)
    report = reconciled(hooks, "--mend", expect=1)
    assert {gap["key"] for gap in report["gaps"]} == set(lost)
    assert any("as the last comparison left it" in note for note in report["notes"])
    hooks.wait_for(lambda: len(hooks.rows("run_events")) == 3 and set(hooks.statuses()) == {"done"})
    assert sorted(json.loads(row["body"])["id"] for row in hooks.rows("events")) == sorted(lost)
    # Once nothing is missing, a week is enough again.
    assert reconciled(hooks, expect=0)["compared"]["recorded events"] == 3
    assert reconciled(hooks, expect=0)["compared"]["recorded events"] == 1
    compared_last(hooks, 100)
    assert any(note.endswith("was not compared: --days 101.") for note in reconciled(hooks, expect=0)["notes"])
    # What that says is left to do, is still said.
    assert any(note.endswith("was not compared: --days 101.") for note in reconciled(hooks, expect=0)["notes"])
    reconciled(hooks, "--days", "101", expect=0)
    assert not any("was not compared: --days" in note for note in reconciled(hooks, expect=0)["notes"])


@pytest.mark.parametrize("vic", ["live", "0.20"], indirect=True)
def test_a_subscription_that_somebody_else_ends_or_takes(hooks: Webhooks, vic: SandboxProcess) -> None:
    hooks.write(rules=[rule("true", on=["vicai.vendorNew", "vicai.invoicePost"])])
    hooks.serve_public()

    def missing() -> bool:
        report = json.loads(hooks.run("reconcile", "vicai", "--format", "json", "--mend", expect=1))
        [gap] = [gap for gap in report["gaps"] if gap["kind"] == "not subscribed"]
        return not report["complete"] and "Run `ap-webhooks subscribe vicai`" in gap["words"]

    hooks.run("reconcile", "vicai", "--mend", expect=1)  # what waits in Vic.ai
    hooks.wait_for(lambda: set(hooks.statuses()) == {"done"})
    assert "without a subscription" not in hooks.run("reconcile", "vicai")
    hooks.run("subscribe", "vicai")
    assert "Nothing is missing" in hooks.run("reconcile", "vicai")
    vic_ = Vic(vic)
    vic_.login()
    vic_.call("unsubscribe")
    assert missing()
    body = {"callbackUrl": "https://example.org/other", "accessToken": "x", "expiresAt": ago(-90)}
    vic_.call("subscribe", body=body)
    assert missing()
    assert "another address than public_url" in hooks.run("status", "vicai", expect=1)
    said = hooks.run("subscribe", "vicai", "--events", "vendorNew")
    assert "takes the place of the subscription that calls https://example.org/other" in said
    assert "Nothing is missing" in hooks.run("reconcile", "vicai")
    assert "Rules want vicai.invoicePost, which it does not name" in hooks.run("status", "vicai")
    assert "takes the place" not in hooks.run("subscribe", "vicai", "--events", "all")
    assert "Rules want" not in hooks.run("status", "vicai")


def test_recorded_events_that_are_odd(tmp_path: Path) -> None:
    """Bodies that are texts, or nothing; a record that goes back for thirty days only."""
    data = {"internalId": "7", "companyId": "1"}
    envelope = {"id": "e1", "occurred_at": ago(2), "event": "vendor_updated", "data": data}
    bodies = [data, json.dumps(envelope), json.dumps(data), None, [1], "no JSON"]
    events = [
        {"id": f"e{number}", "type": "vendor_updated", "version": 1, "occurred_at": ago(2), "body": body}
        for number, body in enumerate(bodies)
    ]
    oldest = (datetime.now(timezone.utc) - timedelta(days=30, minutes=5)).strftime("%Y-%m-%dT%H:%M:%S")

    def script(asked: Asked) -> Said:
        if asked.path == "/v0/token":
            return Said({"access_token": TOKEN, "expires_in": 3600})
        if asked.path == "/v0/healthCheck":
            return Said({"status": "PASS", "version": "10.40.4", "company": "A"})
        if asked.path == "/v0/webhooks/events":
            after, before = asked.query["occurred_after"], asked.query["occurred_before"]
            if after < oldest:
                return Said({"code": 422, "message": "too old"}, status=422)
            return Said([one for one in events if after < str(one["occurred_at"]) < before])
        return Said([])

    with serving(script) as vicai:
        account = {"vicai_client_id": "c", "vicai_client_secret": "s" * 20, "vicai_api_url": f"{vicai.url}/v0"}
        with Webhooks(tmp_path, **account, grace="0s", rules=[rule("true", debounce="0s")]).serve() as hooks:
            said = hooks.run("reconcile", "vicai", "--days", "45", "--mend", expect=1)
            assert "What is older than 30 days was not compared" in said
            assert said.count("is left out") == 3
            rows = [json.loads(row["body"]) for row in hooks.rows("events")]
            assert [(one["id"], one["event"], one["data"]) for one in rows] == [
                (f"e{number}", "vendor_updated", data) for number in range(3)
            ]
            hooks.wait_for(lambda: set(hooks.statuses()) == {"done"})
            hooks.run("reconcile", "vicai")
