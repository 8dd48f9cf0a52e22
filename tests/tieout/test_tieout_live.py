"""Tables of what Vic.ai has today only: events, deletions, attachments, dependencies."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests.sandbox.emulated_vic import Vic
from tests.tieout.conftest import Record, TieOut, run_tieout, vic_settings
from tests.tieout.test_tieout_typed import Typed

EVENTS = {"id": "varchar", "type": "varchar", "version": "bigint", "occurred_at": "timestamptz", "body": "json"}
DELETIONS = {
    **dict.fromkeys(("event_id", "event", "internalId", "externalId"), "varchar"),
    "occurred_at": "timestamptz",
}
ATTACHMENTS = {
    **dict.fromkeys(("id", "filename", "contentType", "invoice_id", "path", "sha256", "downloadUrl"), "varchar"),
    "filesize": "bigint",
    "invoice_updated_at": "timestamptz",
}
DEPENDENCIES = {**dict.fromkeys(("dimension_id", "dependent_id", "type"), "varchar"), "active": "boolean"}
VENDORS = dict.fromkeys(("internalId", "name"), "varchar") | {"internalUpdatedAt": "timestamptz"}


def ago(days: float) -> str:
    return (datetime.now(timezone.utc) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


@pytest.fixture
def vic(vicai: SandboxProcess) -> Vic:
    """A client of the live sandbox, with a subscription to everything, of which nothing is delivered."""
    vicai.control.reset(documents=0, invoices=60, vicai={"rate_requests": 0})
    client = Vic(vicai)
    client.login()
    client.call("subscribe", body={"callbackUrl": "https://example.org/hooks", "accessToken": "t"})
    return client


@pytest.fixture
def typed(vic: Vic, tmp_path: Path) -> Typed:
    """A warehouse of what the tap reads of it."""
    control = vic.control
    for days in (400, 59.99, 30, 29, 1):
        control.event("ping", at=ago(days))
    control.event("vendor_updated", count=40, at=ago(2))
    control.delete("invoices", [one["internalId"] for one in control.records("invoices")][:2])
    control.delete("purchaseOrders", [one["internalId"] for one in control.records("purchaseOrders")][:1])
    number = next(one["internalId"] for one in control.records("invoices") if one["status"] == "NOT_READY")
    file = {"files": {"file": ("a.pdf", b"%PDF-1.7 x", "application/pdf")}}
    made = vic.call("uploadInvoiceSupportingAttachment", number, **file, params={"useSystem": "INTERNAL"})
    # An attachment may be a change of its invoice.
    (invoice,) = [one for one in control.records("invoices") if one["internalId"] == number]
    types = {one["internalId"]: one["type"] for one in control.records("dimensions")}
    first = list(types)[:4]
    pairs = [(one, other) for one in first[:2] for other in first[2:]]
    body = [
        {"dimension": {"internalId": one}, "dependent": {"internalId": other}, "active": True} for one, other in pairs
    ]
    vic.call("bulkUpsertDimensionDependencies", body={"dependencies": body})

    found, events = Typed(tmp_path / "live.duckdb", "vicai"), control.events()
    found.store("vendors", VENDORS, control.records("vendors"))
    found.store("webhook_event_log", EVENTS, events)
    for kind in ("invoice", "purchase_order"):
        gone = [deletion(event) for event in events if event["type"] == f"{kind}_deleted"]
        found.store(f"{kind}_deletions", DELETIONS, gone)
    own = {"invoice_id": number, "invoice_updated_at": invoice["internalUpdatedAt"], "path": "a.pdf"}
    found.store("supporting_attachments", ATTACHMENTS, [made | own])
    dependencies = [
        {"dimension_id": one, "dependent_id": other, "active": True, "type": types[other]} for one, other in pairs
    ]
    found.store("dimension_dependencies", DEPENDENCIES, dependencies)
    return found


def deletion(event: Record) -> Record:
    data = event["body"].get("data", event["body"])
    return {
        **{"event_id": event["id"], "event": event["type"], "occurred_at": event["occurred_at"]},
        **{name: data.get(name) for name in ("internalId", "externalId")},
    }


@pytest.fixture
def tie(vicai: SandboxProcess, typed: Typed, tmp_path: Path) -> TieOut:
    def run(*arguments: str) -> Any:
        settings = vic_settings(vicai) | {"invoice_states": ["ALL"]}
        return run_tieout(tmp_path, settings, "vic-warehouse", "--warehouse", str(typed.path), *arguments)

    return run


@pytest.mark.long
def test_they_tie_and_what_does_not_is_told(typed: Typed, tie: TieOut) -> None:
    before = tie()
    assert before.status == 0, before.out
    counts = {one["stream"]: one["documents"]["destination"] for one in before.report["streams"]}
    assert counts["invoice_deletions"] == 2
    assert counts["purchase_order_deletions"] == 1
    assert counts["dimension_dependencies"] == 4
    assert counts["supporting_attachments"] == 1
    assert counts["webhook_event_log"] > 47
    least = "(select min(dependent_id) from dimension_dependencies)"
    typed.sql(
        "delete from webhook_event_log where id = (select id from webhook_event_log where type = 'ping' limit 1)",
        "update invoice_deletions set internalId = 'X'",
        "update purchase_order_deletions set event = 'X'",
        "update supporting_attachments set filename = 'b.pdf'",
        f"update dimension_dependencies set active = false where dependent_id = {least}",
    )
    result = tie()
    assert result.found("webhook_event_log")["missing"][0] == 1
    assert all("internalId " in words and "became X" in words for words in result.words("invoice_deletions", "field"))
    assert result.words("purchase_order_deletions", "field") == ["event purchase_order_deleted became X"]
    # The service changes names of files.
    (words,) = result.words("supporting_attachments", "field")
    assert words.endswith("-a.pdf became b.pdf")
    assert result.words("dimension_dependencies", "field") == ["active true became false"] * 2
    for since in ("0001-01-01", "9999-12-31T23:59:59-12:00"):
        assert tie("--no-line-items", "--since", since).found("webhook_event_log") is not None
    brief = tie("--no-line-items")
    for stream in ("supporting_attachments", "dimension_dependencies"):
        assert f"{stream} is not compared (--no-line-items)." in brief.out


def test_a_service_of_before_does_not_have_them(vicai: SandboxProcess, typed: Typed, tie: TieOut) -> None:
    vicai.control.reset(documents=0, invoices=60, vicai={"rate_requests": 0, "age": "0.20"})
    typed.sql("delete from vendors")
    typed.store("vendors", VENDORS, vicai.control.vicai.records("vendors"))
    result = tie()
    assert result.status == 0, result.out
    assert "webhook_event_log is not compared (" in result.out
