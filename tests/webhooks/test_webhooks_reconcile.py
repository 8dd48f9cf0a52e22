"""Each gap that is made by hand is named, and mended."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

from ap_connectors.sandbox.process import SandboxProcess
from tests.webhooks.serve_process import Webhooks, rule


def reconciled(hooks: Webhooks, *more: str, expect: int) -> dict[str, Any]:
    out = hooks.run("reconcile", "--format", "json", "--days", "3000", *more, expect=expect)
    found: dict[str, Any] = json.loads(out)
    return found


def gaps(found: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {(gap["kind"], gap["event"], gap["key"]) for gap in found["gaps"]}


def test_each_gap_is_named_and_mended(hooks: Webhooks, vic: SandboxProcess) -> None:
    control = vic.control
    on = ["ivesk.on_exported", "vicai.payment_batch_processed", "vicai.invoicePost"]
    hooks.write(rules=[rule("test -e good", on=on, retries=0)])
    hooks.serve_public()
    hooks.run("subscribe", "vicai")
    hooks.run("subscribe", "ivesk")
    control.wait_until_confirmed()
    ready = {one["internalId"] for one in control.vicai.records("invoices") if one["status"] == "READY_FOR_POST"}
    processed = {one["id"] for one in control.vicai.records("paymentBatches") if one.get("processedAt")}
    # The receiver was not subscribed when these were created, and they were not clicked on.
    before = gaps(reconciled(hooks, expect=1 if ready | processed else 0))
    assert before == {("no event", "vicai.invoicePost", key) for key in ready} | {
        ("no event", "vicai.payment_batch_processed", key) for key in processed
    }
    # What is clicked on comes, and the run for it fails.
    [exported] = control.add(1)
    invoice = control.vicai.click("invoicePost")["id"]
    control.wait_for_webhooks()
    hooks.wait_for(lambda: "failed" in hooks.statuses() and len(hooks.rows("run_events")) >= 2)
    hooks.wait_for(lambda: set(hooks.statuses()) == {"failed"})
    events = {str(row["id"]): f"{row['service']}.{row['kind']}" for row in hooks.rows("events")}
    assert gaps(reconciled(hooks, expect=1)) - before == {
        ("not acted on", name, key) for key, name in events.items() if name != "ivesk.on_digitized"
    }
    (hooks.folder / "good").touch()
    hooks.run("retry", "--failed")
    hooks.wait_for(lambda: set(hooks.statuses()) == {"done"})
    assert gaps(reconciled(hooks, expect=1 if before else 0)) - before == set()
    # The inbox forgets them: both are missing now, by their ids.
    with closing(sqlite3.connect(hooks.folder / "webhooks.db")) as connection, connection:
        connection.execute("DELETE FROM events")
    lost = {("no event", "ivesk.on_exported", exported), ("no event", "vicai.invoicePost", invoice)}
    assert gaps(found := reconciled(hooks, "--mend", expect=1)) - before == lost
    assert f"{invoice} is event" in "\n".join(found["mended"])
    table = hooks.run("reconcile", "--days", "3000", expect=1)
    assert f"document {exported}" in table
    assert "no event since" in table
    # The invoice was fetched, with its document, as if it had come; the job ran for both.
    row = next(row for row in hooks.rows("events") if json.loads(row["body"])["internalId"] == invoice)
    assert (row["kind"], row["document"][:4]) == ("invoicePost", b"%PDF")
    hooks.wait_for(lambda: set(hooks.statuses()) == {"done"} and row["id"] in covered(hooks))
    assert lost & gaps(reconciled(hooks, "vicai", expect=1 if processed else 0)) == set()


def covered(hooks: Webhooks) -> set[int]:
    return {one["event_id"] for one in hooks.rows("run_events")}


def test_a_service_that_cannot_be_asked_is_no_gap(hooks: Webhooks) -> None:
    hooks.write(ivesk_api_key="another", rules=[rule("true", on=["ivesk.*"])])
    assert "not accepted" in hooks.run("reconcile", "ivesk", expect=2)
    hooks.write(ivesk_api_key=None)
    assert "ivesk_api_key is missing" in hooks.run("reconcile", "ivesk", expect=2)
