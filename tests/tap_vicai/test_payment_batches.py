"""Whatever happens to a batch, its payments or its credits arrives with the next run; unchanged batches do not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ap_connectors.sandbox.process import SandboxProcess
from ap_connectors.vicai import contract
from tap_vicai.payment_batches import PaymentBatchReader
from tests.campaign import one_in
from tests.conftest import MakeCatalog, Run, RunTap

Batch = dict[str, Any]


@pytest.fixture
def streams(catalog: MakeCatalog) -> dict[str, Any]:
    return catalog("payment_batches", "payments", "credits")


def batches(vicai: SandboxProcess) -> list[Batch]:
    return vicai.control.vicai.records("paymentBatches")


def one(vicai: SandboxProcess, status: str) -> Batch:
    return next(batch for batch in batches(vicai) if batch["status"] == status and batch["payments"])


def sent(run: Run) -> list[Batch]:
    """The batches that a run sent, without what the tap adds."""
    return [
        {name: value for name, value in record.items() if name != "last_event_at"}
        for record in run.records["payment_batches"]
    ]


def of_batch(batch: dict[str, Any]) -> dict[str, Any]:
    """What a part gets from its batch."""
    return {"batch_id": batch["id"], "batch_last_event_at": contract.latest_event(batch)}


def check_only(vicai: SandboxProcess, run: Run, batch_id: str) -> None:
    """The run sent this batch, its payments and its credits as they are now, and nothing else."""
    (now,) = [batch for batch in batches(vicai) if batch["id"] == batch_id]
    assert sent(run) == [now]
    for kind in ("payments", "credits"):
        assert run.records[kind] == [part | of_batch(now) for part in now[kind]]


EVENTS = [
    ("pending_approval", "approve"),
    ("pending_approval", "reject"),
    ("approved", "process"),
    ("approved", "complete"),
    ("approved", "fund"),
    ("approved", "void"),
    ("approved", "acknowledge"),
    ("approved", "accept"),
    ("approved", "fail"),
]
OF_A_PAYMENT = [pair for pair in EVENTS if pair[1] not in {"process", "complete"}]


@one_in(3)
@pytest.mark.parametrize("kind", ["batches", "payments", "credits"])
def test_every_event_arrives_once(vicai: SandboxProcess, tap: RunTap, streams: dict[str, Any], kind: str) -> None:
    """Each run brings the batch that something has happened to since the last one, and no other."""
    if kind == "credits":  # few batches have any
        vicai.control.reset(documents=0, invoices=1500)
    unused = batches(vicai)
    run = tap(catalog=streams)
    assert sent(run) == unused
    for status, event in EVENTS if kind == "batches" else OF_A_PAYMENT:
        part = "payments" if kind == "batches" else kind
        for batch in [one for one in unused if one["status"] == status and one[part]]:
            unused.remove(batch)
            parts = [] if kind == "batches" else [batch[kind][0]["id"]]
            if vicai.control.vicai.batch_event(batch["id"], event, *parts) != batch:
                break  # it had not happened to it before
        else:
            pytest.fail(f"no batch for {event}")
        run = tap(state=run.state, catalog=streams)
        check_only(vicai, run, batch["id"])
    assert sent(tap(state=run.state, catalog=streams)) == []


def test_a_time_that_is_long_past_arrives_all_the_same(
    vicai: SandboxProcess, tap: RunTap, streams: dict[str, Any]
) -> None:
    """A bank reports today that it paid two months ago: the time is behind every bookmark."""
    first = tap(catalog=streams)
    batch = one(vicai, "approved")
    vicai.control.vicai.batch_event(batch["id"], "void", batch["payments"][0]["id"], at="2025-11-03T09:00:00.000Z")
    second = tap(state=first.state, catalog=streams)
    check_only(vicai, second, batch["id"])


def test_what_the_erp_or_the_bank_reports_is_an_event(
    vicai: SandboxProcess, tap: RunTap, streams: dict[str, Any]
) -> None:
    run = tap(catalog=streams)
    batch = one(vicai, "approved")
    for year, field in enumerate(["confirmedAt", "failedAt", "acceptedAt", "remoteErroredAt"], 2031):
        at = f"{year}-01-01T00:00:00.000Z"
        payments = [batch["payments"][0] | {field: at, "paidBy": "NEW"}, *batch["payments"][1:]]
        vicai.control.vicai.touch("paymentBatches", [batch["id"]], payments=payments)
        run = tap(state=run.state, catalog=streams)
        check_only(vicai, run, batch["id"])
        assert run.records["payment_batches"][0]["last_event_at"] == at, field


def test_a_change_without_any_time_arrives(vicai: SandboxProcess, tap: RunTap, streams: dict[str, Any]) -> None:
    first = tap(catalog=streams)
    batch = one(vicai, "pending_approval")
    vicai.control.vicai.touch("paymentBatches", [batch["id"]], name="Renamed by Ågot")
    second = tap(state=first.state, catalog=streams)
    check_only(vicai, second, batch["id"])
    assert second.records["payment_batches"][0]["last_event_at"] is None


def test_a_new_pending_batch_arrives_once(vicai: SandboxProcess, tap: RunTap, streams: dict[str, Any]) -> None:
    first = tap(catalog=streams)
    (made,) = vicai.control.vicai.add("paymentBatches")
    second = tap(state=first.state, catalog=streams)
    check_only(vicai, second, made)
    assert sent(tap(state=second.state, catalog=streams)) == []


def test_the_latest_of_all_times_is_told(vicai: SandboxProcess, tap: RunTap, streams: dict[str, Any]) -> None:
    run = tap(catalog=streams)
    for record in run.records["payment_batches"]:
        things = [record, *record["payments"], *record["credits"]]
        times = [value for thing in things for name, value in thing.items() if name.endswith("At") and value]
        assert record["last_event_at"] == max(times, default=None)
    told = [record["last_event_at"] for record in run.records["payment_batches"]]
    assert run.state["bookmarks"]["payment_batches"]["replication_key_value"] == max(filter(None, told))


def test_start_date_leaves_out_batches_that_rest(vicai: SandboxProcess, tap: RunTap, streams: dict[str, Any]) -> None:
    told = [record["last_event_at"] for record in tap(catalog=streams).records["payment_batches"]]
    start = sorted(filter(None, told))[len(told) // 2]
    run = tap(catalog=streams, start_date=start)
    expected = [at for at in told if at is None or at >= start]
    assert [record["last_event_at"] for record in run.records["payment_batches"]] == expected
    assert None in expected
    assert len(expected) < len(told)
    # What was left out comes when something happens to it.
    old = next(batch for batch, at in zip(batches(vicai), told, strict=True) if at and at < start and batch["payments"])
    vicai.control.vicai.batch_event(old["id"], "void", at="2025-01-01T00:00:00.000Z")
    check_only(vicai, tap(state=run.state, catalog=streams, start_date=start), old["id"])


def test_a_batch_that_is_gone_does_not_stay_in_the_bookmark(
    vicai: SandboxProcess, tap: RunTap, streams: dict[str, Any]
) -> None:
    first = tap(catalog=streams)
    ids = [batch["id"] for batch in batches(vicai)]
    vicai.control.vicai.delete("paymentBatches", ids[2:])
    second = tap(state=first.state, catalog=streams)
    assert sent(second) == []
    size = len(second.state["bookmarks"]["payment_batches"]["sent"])
    assert size < len(first.state["bookmarks"]["payment_batches"]["sent"]) / 2


def test_a_broken_bookmark_is_explained(vicai: SandboxProcess, tap: RunTap, streams: dict[str, Any]) -> None:
    state = tap(catalog=streams).state
    state["bookmarks"]["payment_batches"]["sent"] = "not ours"
    run = tap(state=state, catalog=streams, expect=1)
    assert run.complaints == ["sent of payment_batches in --state: is not what this tap wrote there."]


def test_parts_alone_can_be_read(vicai: SandboxProcess, tap: RunTap, catalog: MakeCatalog) -> None:
    run = tap(catalog=catalog("payments"))
    expected = [part | of_batch(batch) for batch in batches(vicai) for part in batch["payments"]]
    assert run.records["payments"] == expected
    assert "payment_batches" not in run.records


def batch(status: str) -> dict[str, msgspec.Raw]:
    return {"id": msgspec.Raw(b'"b1"'), "status": msgspec.Raw(msgspec.json.encode(status))}


def test_a_batch_that_a_moving_page_border_shows_twice_is_sent_once() -> None:
    reader = PaymentBatchReader({}, None)
    assert len(list(reader.changed([batch("approved")]))) == 1
    assert not list(reader.changed([batch("approved")]))


def test_a_batch_that_changes_and_changes_back_while_it_is_read_ends_as_it_is() -> None:
    first = PaymentBatchReader({}, None)
    states = ["approved", "voided", "approved"]
    assert [len(list(first.changed([batch(status)]))) for status in states] == [1, 1, 1]
    later = PaymentBatchReader(first.bookmark(whole=True), None)
    assert not list(later.changed([batch("approved")]))
    assert len(list(later.changed([batch("voided")]))) == 1
