"""Streams that Vic.ai has today only: its record of events, deletions, attachments, dependencies, companies (v2)."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests.conftest import MakeCatalog, Run, RunTap
from tests.sandbox.emulated_vic import Vic
from tests.tap_vicai.test_vicai_streams import BY_NAME, STREAMS_OF_TAP, ages_of

LIVE = (
    "webhook_event_log",
    "invoice_deletions",
    "purchase_order_deletions",
    "supporting_attachments",
    "dimension_dependencies",
    "companies",
    "company_invoices",
)
ALL_STATES = {"invoice_states": ["ALL"]}
UNLIMITED = {"rate_requests": 0}


@pytest.fixture
def vic(vicai: SandboxProcess) -> Vic:
    """A client of the live sandbox, with a subscription to everything, of which nothing is delivered."""
    vicai.control.reset(documents=0, invoices=60, vicai=UNLIMITED)
    client = Vic(vicai)
    client.login()
    client.call("subscribe", body={"callbackUrl": "https://example.org/hooks", "accessToken": "t"})
    return client


def ago(days: float) -> str:
    return (datetime.now(timezone.utc) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def held(vic: Vic) -> list[dict[str, Any]]:
    return [{name: value for name, value in one.items() if name != "delivered"} for one in vic.control.events()]


def by_id(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(records, key=lambda record: str(record["id"]))


# Events


@pytest.mark.parametrize("options", [{}, {"since_is": "exclusive", "order": "shuffled"}])
def test_every_recorded_event_comes_once(vic: Vic, tap: RunTap, catalog: MakeCatalog, options: dict[str, Any]) -> None:
    vic.control.options(**options)
    for days in (400, 59.99, 30, 29, 1):
        vic.control.event("ping", at=ago(days))
    vic.control.event("vendor_updated", count=40, at=ago(2))
    vic.control.event("invoice_unheard_of", count=1)
    vic.control.event("ping", count=230, data={"ąčę": None}, at=ago(3))
    first = tap(catalog=catalog("webhook_event_log"))
    assert by_id(first.records["webhook_event_log"]) == by_id(held(vic))
    assert tap(state=first.state, catalog=catalog("webhook_event_log")).records["webhook_event_log"] == []
    # One that was recorded with a delay, and one that is new.
    late = vic.control.event("ping", at=first.state["bookmarks"]["webhook_event_log"]["replication_key_value"])
    new = vic.control.event("invoice_posted")
    second = tap(state=first.state, catalog=catalog("webhook_event_log"))
    assert sorted(one["id"] for one in second.records["webhook_event_log"]) == sorted(late + new)
    # A person who sets the bookmark back leaves the rest of it as it was.
    second.state["bookmarks"]["webhook_event_log"]["replication_key_value"] = ago(1.5)
    anew = {one["id"] for one in held(vic) if one["occurred_at"] > ago(1.5)}
    third = tap(state=second.state, catalog=catalog("webhook_event_log"))
    assert {one["id"] for one in third.records["webhook_event_log"]} >= anew > {*late, *new}


def test_a_page_whose_cursor_is_refused_is_asked_for_anew(vic: Vic, tap: RunTap, catalog: MakeCatalog) -> None:
    vic.control.event("ping", count=250, data={}, at=ago(3))
    vic.sandbox.control.clear_calls()
    tap(catalog=catalog("webhook_event_log"))
    calls = [call for call in vic.sandbox.control.calls() if call["path"].endswith("/webhooks/events")]
    place = next(number for number, call in enumerate(calls) if "cursor=" in call["query"])
    vic.sandbox.control.fault("status", path="/vicai/v0/webhooks/events", status=422, after=place + 1, times=1)
    run = tap(catalog=catalog("webhook_event_log"))
    assert by_id(run.records["webhook_event_log"]) == by_id(held(vic))


def test_deletions_and_what_lifts_them(vic: Vic, tap: RunTap, catalog: MakeCatalog) -> None:
    invoices = [one["internalId"] for one in vic.control.records("invoices")]
    orders = vic.control.records("purchaseOrders")
    vic.control.delete("invoices", invoices[:2])
    vic.control.delete("purchaseOrders", [orders[0]["internalId"]])
    vic.control.event("invoice_restored", data={"internalId": invoices[1], "externalId": None})
    vic.control.options(recorded_body="data")
    run = tap(catalog=catalog("invoice_deletions", "purchase_order_deletions"))
    told = [(one["event"], one["internalId"]) for one in run.records["invoice_deletions"]]
    assert told == [("invoice_deleted", i) for i in invoices[:2]] + [("invoice_restored", invoices[1])]
    [order] = run.records["purchase_order_deletions"]
    event = next(one for one in vic.control.events() if one["type"] == "purchase_order_deleted")
    assert order == {
        "event_id": event["id"],
        "event": "purchase_order_deleted",
        "occurred_at": event["occurred_at"],
        "internalId": orders[0]["internalId"],
        "externalId": orders[0].get("externalId"),
    }
    # Only what the streams are made of was asked for, and nothing comes twice.
    assert run.records.keys() == {"invoice_deletions", "purchase_order_deletions"}
    assert tap(state=run.state, catalog=catalog("invoice_deletions")).records["invoice_deletions"] == []


# Attachments and dependencies


def attach(vic: Vic, invoice: str, name: str, data: bytes) -> dict[str, Any]:
    file = {"files": {"file": (name, data, "application/pdf")}}
    made: dict[str, Any] = vic.call(
        "uploadInvoiceSupportingAttachment", invoice, **file, params={"useSystem": "INTERNAL"}
    )
    return made


def test_supporting_attachments_and_their_files(vic: Vic, tap: RunTap, catalog: MakeCatalog, tmp_path: Path) -> None:
    open_ = [one["internalId"] for one in vic.control.records("invoices") if one["status"] == "NOT_READY"]
    made = [attach(vic, invoice, f"{n} følgeseddel.pdf", b"%%PDF-1.7 %d" % n) for n, invoice in enumerate(open_[:3])]
    made.append(attach(vic, open_[0], "../../etc/passwd", b"%PDF-1.7 x"))
    plain = tap(catalog=catalog("supporting_attachments"), **ALL_STATES)
    assert sorted(one["id"] for one in plain.records["supporting_attachments"]) == sorted(one["id"] for one in made)
    assert {one["invoice_id"] for one in plain.records["supporting_attachments"]} == set(open_[:3])
    folder = tmp_path / "files"
    run = tap(catalog=catalog("supporting_attachments"), documents_dir=str(folder), **ALL_STATES)
    for one in run.records["supporting_attachments"]:
        data = Path(one["path"]).read_bytes()
        assert Path(one["path"]).resolve().is_relative_to(folder.resolve())
        assert (
            (len(data), hashlib.sha256(data).hexdigest())
            == (one["bytes"], one["sha256"])
            == (one["filesize"], one["sha256"])
        )
    vic.sandbox.control.clear_calls()
    tap(catalog=catalog("supporting_attachments"), documents_dir=str(folder), **ALL_STATES)
    assert not [call for call in vic.sandbox.control.calls() if "/files/" in call["path"]], "a file never changes"


def test_dependencies_of_all_dimensions(vic: Vic, tap: RunTap, catalog: MakeCatalog) -> None:
    dimensions = [one["internalId"] for one in vic.control.records("dimensions")]
    pairs = [(one, other) for one in dimensions[:4] for other in dimensions[4:] if one != other]
    for start in range(0, len(pairs), 20):
        body = [
            {"dimension": {"internalId": one}, "dependent": {"internalId": other}, "active": int(other) % 2 == 0}
            for one, other in pairs[start : start + 20]
        ]
        vic.call("bulkUpsertDimensionDependencies", body={"dependencies": body})
    for _ in range(2):
        run = tap(catalog=catalog("dimension_dependencies"))
        got = [(r["dimension_id"], r["dependent_id"], r["active"]) for r in run.records["dimension_dependencies"]]
        assert sorted(got) == sorted((one, other, int(other) % 2 == 0) for one, other in pairs)


# Companies


def test_companies_and_their_invoices(vicai: SandboxProcess, tap: RunTap, catalog: MakeCatalog) -> None:
    vicai.control.reset(documents=0, invoices=240, vicai=UNLIMITED | {"companies": 3})
    control = vicai.control.vicai
    streams = catalog("companies", "company_invoices")
    first = tap(catalog=streams, company_ids=["ALL"], **ALL_STATES)
    companies = [one["id"] for one in first.records["companies"]]
    assert len(companies) == 3
    invoices = {one["id"]: one for one in control.records("invoices")}
    got = first.records["company_invoices"]
    assert len(got) == len({one["id"] for one in got}) == 240
    for one in got:
        invoice = invoices[one["id"]]
        assert companies.index(one["company_id"]) == int(invoice["internalId"]) % 3
        assert (one["amount_sum"], one["updated_at"]) == (invoice["amountSum"], invoice["internalUpdatedAt"])
    assert tap(state=first.state, catalog=streams, company_ids=["ALL"], **ALL_STATES).records["company_invoices"] == []
    touched = control.touch("invoices", count=3)
    second = tap(state=first.state, catalog=streams, company_ids=["ALL"], **ALL_STATES)
    assert sorted(one["legacy_id"] for one in second.records["company_invoices"]) == sorted(touched)
    # One company alone, by its number; and only what is posted.
    alone = tap(catalog=streams, company_ids=["2"])
    ids = [one["legacy_id"] for one in alone.records["company_invoices"]]
    assert {int(one) % 3 for one in ids} == {1}
    assert {one["status"] for one in alone.records["company_invoices"]} == {"posted"}


def test_many_invoices_of_one_instant_come_once(vicai: SandboxProcess, tap: RunTap, catalog: MakeCatalog) -> None:
    vicai.control.reset(documents=0, invoices=170, vicai=UNLIMITED)
    control, streams = vicai.control.vicai, catalog("company_invoices")
    first = tap(catalog=streams, company_ids=["ALL"], **ALL_STATES)
    ids = [one["internalId"] for one in control.records("invoices")]
    control.touch("invoices", ids[:140], at="2027-05-05T12:00:00.000Z")
    second = tap(state=first.state, catalog=streams, company_ids=["ALL"], **ALL_STATES)
    assert sorted(one["legacy_id"] for one in second.records["company_invoices"]) == sorted(ids[:140])
    third = tap(state=second.state, catalog=streams, company_ids=["ALL"], **ALL_STATES)
    assert third.records["company_invoices"] == []


def test_a_company_that_the_credentials_may_not_see_stops(tap: RunTap, catalog: MakeCatalog) -> None:
    run = tap(catalog=catalog("company_invoices"), company_ids=["77"], expect=1)
    assert "company_ids: the credentials may not see 77." in run.complaints[0]
    assert tap(catalog=catalog("company_invoices")).records == {}, "none are read unless they are asked for"


# What a service does not have, or the company has no right to


def test_what_an_older_service_lacks_is_left_out_with_one_line(
    vicai: SandboxProcess, tap: RunTap, catalog: MakeCatalog
) -> None:
    vicai.control.reset(documents=0, invoices=60, vicai=UNLIMITED | {"age": "0.20"})
    others = [one.name for one in STREAMS_OF_TAP if ages_of(one) == ("live",) and one.name != "company_invoices"]
    run = tap(catalog=catalog("invoices", *others))
    assert run.records.keys() == {"invoices"}
    lines = [line for line in run.err.splitlines() if "left out, the rest goes on" in line]
    # What comes with its parent's answer is left out with it, without a line of its own.
    assert len(lines) == len([stream for stream in others if hasattr(BY_NAME[stream], "operation")])
    assert all("This Vic.ai does not have it" in line for line in lines)
    assert "Rights are missing" not in run.err
    for stream in others:
        assert f"{stream}: 0 records; left out." in run.err


@pytest.mark.parametrize(("missing_rights", "status"), [("warn", 0), ("fail", 1)])
def test_a_right_that_is_missing(
    vicai: SandboxProcess, tap: RunTap, catalog: MakeCatalog, missing_rights: str, status: int
) -> None:
    vicai.control.fault("status", path="/vicai/v0/webhooks/events", status=403, times=100)
    vicai.control.fault("status", path="/vicai/v0/tags", status=403, times=100)
    streams = catalog("webhook_event_log", "tags", "vendor_tags")
    run = tap(catalog=streams, missing_rights=missing_rights, expect=status)
    assert "Rights are missing for 2 streams: tags, webhook_event_log" in run.err
    assert run.records.keys() == {"vendor_tags"}
    assert bool(run.complaints) == bool(status)
    assert run.state


# Pages, whatever the contract says


@pytest.mark.parametrize("faulty", [False, True])
def test_300_tags_and_400_vendor_tags(vicai: SandboxProcess, tap: RunTap, catalog: MakeCatalog, faulty: bool) -> None:
    control = vicai.control.vicai
    tags = control.add("tags", 300)
    vendor = control.records("vendors")[0]["internalId"]
    control.add("vendorTags", 400, vendorId=vendor, tagId=tags[0])
    if faulty:
        for resource in ("tags", "vendorTags"):
            vicai.control.fault("status", path=f"/vicai/v0/{resource}", status=422, after=1, times=1)
    run: Run = tap(catalog=catalog("tags", "vendor_tags"))
    for stream, resource in (("tags", "tags"), ("vendor_tags", "vendorTags")):
        assert sorted(one["id"] for one in run.records[stream]) == sorted(
            one["id"] for one in control.records(resource)
        )
