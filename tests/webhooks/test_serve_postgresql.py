"""Runs with an inbox in PostgreSQL: planned, failed, retried, killed, taken over."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests.postgresql import empty_database, needs_postgresql
from tests.webhooks.serve_process import Webhooks, rule


@pytest.mark.long
@needs_postgresql
def test_runs_with_postgresql(tmp_path: Path) -> None:
    inbox = empty_database("webhooks")
    # All twenty are one run on a slow machine, too.
    rules = [rule("echo start >> done.txt; sleep 2; test -e good", retries=0, debounce="2s")]
    with (
        Webhooks(tmp_path, rules=rules, inbox=inbox).serve() as first,
        Webhooks(tmp_path, rules=rules, inbox=inbox, page_port=0).serve() as second,
    ):
        for number in range(20):
            (first, second)[number % 2].batch(number)
        first.wait_for(lambda: first.statuses() == ["failed"])
        assert "failed" in first.run("events")
        (tmp_path / "good").touch()
        first.run("retry", "--failed")
        first.wait_for(lambda: len(first.lines()) == 2)
        first.kill()
        second.wait_for(lambda: second.statuses() == ["done"])
        # Tried, retried by hand, and retried by the other receiver, which does not know how it ended.
        assert len(second.lines()) == 3
        second.batch(20)
        second.wait_for(lambda: second.statuses() == ["done", "done"])
        time.sleep(1)
        assert len(second.lines()) == 4
        assert {row["event_id"] for row in second.rows("run_events")} == {row["id"] for row in second.rows("events")}
        assert "Nothing is missing" in second.run("reconcile")
        page = second.http.get(second.page, timeout=20).text
        assert "No run has failed for good." in page
        assert "21 events compared" in page


@pytest.mark.long
@needs_postgresql
@pytest.mark.parametrize("vic", ["live"], indirect=True)
def test_what_was_missed_is_fetched_into_postgresql(hooks: Webhooks, vic: SandboxProcess, tmp_path: Path) -> None:
    with Webhooks(tmp_path, **hooks.settings | {"inbox": empty_database("webhooks"), "rules": [rule("true")]}) as one:
        one.serve_public()
        one.run("subscribe", "vicai")
        received = vic.control.vicai.event("vendor_created", count=3)
        vic.control.wait_for_webhooks()
        lost = vic.control.vicai.event("vendor_updated", count=5, send=False)
        one.run("reconcile", "vicai", "--mend", expect=1)
        found = [json.loads(row["body"]).get("id") for row in one.rows("events")]
        assert sorted(id_ for id_ in found if id_) == sorted([*received, *lost])
        one.wait_for(
            lambda: {row["event_id"] for row in one.rows("run_events")} == {r["id"] for r in one.rows("events")}
        )
        one.wait_for(lambda: set(one.statuses()) == {"done"})
        assert "Nothing is missing" in one.run("reconcile", "vicai")
