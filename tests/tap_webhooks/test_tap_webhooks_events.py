"""The inbox as a stream: every event once, exactly as it came, with its document beside it."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from pathlib import Path

import pytest

from ap_connectors.webhooks.inbox import Delivery, Inbox
from tests.conftest import RunTap, runner

PDF = b"%PDF-1.4\nall of it\n%%EOF\n"


def delivery(number: int, body: bytes, *, service: str = "vicai", kind: str = "syncRequest") -> Delivery:
    return Delivery(service, kind, f"key-{number}", "302320404", f"request-{number}", body)


@pytest.fixture
def tap(tmp_path: Path) -> RunTap:
    return runner("tap_webhooks", tmp_path, {"inbox": str(tmp_path / "webhooks.db")})


def fill(folder: Path, *deliveries: Delivery) -> None:
    inbox = Inbox(str(folder / "webhooks.db"))
    inbox.store(deliveries)
    inbox.close()


def test_events_come_once_and_exactly(tap: RunTap, tmp_path: Path) -> None:
    exact = '{"name": "Ūžą",\r\n "amount": 1234567890123456.700, "lines": [{"x": 1.10}], "none": null}'.encode()
    fill(tmp_path, delivery(1, exact), delivery(2, b'"no object"', service="ivesk", kind="notification"))
    first = tap()
    one, two = first.records["webhook_events"]
    assert b'"amount":1234567890123456.700' in first.out.encode()
    assert one["body"] == {
        "name": "Ūžą",
        "amount": Decimal("1234567890123456.700"),
        "lines": [{"x": Decimal("1.10")}],
        "none": None,
    }
    assert (one["id"], one["kind"], one["company"], one["request_id"]) == (1, "syncRequest", "302320404", "request-1")
    assert (two["body"], two["body_text"], two["service"]) == (None, '"no object"', "ivesk")
    fill(tmp_path, delivery(2, b"{}", service="ivesk"), *(delivery(number, b"{}") for number in range(3, 503)))
    second = tap(state=first.state)
    assert [record["id"] for record in second.records["webhook_events"]] == sorted(
        {record["id"] for record in second.records["webhook_events"]}
    )
    assert len(second.records["webhook_events"]) == 500
    third = tap(state=second.state)
    assert third.records["webhook_events"] == []
    assert third.state == second.state


def test_documents_are_stored_and_kinds_are_chosen(tap: RunTap, tmp_path: Path) -> None:
    post = Delivery(
        "vicai", "invoicePost", "a", None, None, b'{"internalId": "7"}', PDF, "../są.pdf", "application/pdf"
    )
    broken = Delivery("vicai", "invoicePost", "b", None, None, b"{}", b"<html>", "x.pdf", "application/pdf")
    fill(tmp_path, delivery(1, b"{}"), post, broken)
    run = tap(documents_dir=str(tmp_path / "files"), kinds=["invoicePost"])
    stored, missing = run.records["webhook_events"]
    path = Path(stored["document_path"])
    assert path.read_bytes() == PDF
    assert tmp_path / "files" in path.parents
    assert stored["document_sha256"] == hashlib.sha256(PDF).hexdigest()
    assert stored["document_bytes"] == len(PDF)
    assert missing["document_path"] is None
    assert "labelled as a PDF but is not one" in missing["document_error"]
    # What was left out has been passed by all the same.
    assert tap(state=run.state).records["webhook_events"] == []


def test_another_inbox_is_told(tap: RunTap, tmp_path: Path) -> None:
    assert "there is no file" in tap(expect=1).err
    assert not (tmp_path / "webhooks.db").exists()
    fill(tmp_path, delivery(1, b"{}"), delivery(2, b"{}"))
    state = tap().state
    (tmp_path / "webhooks.db").unlink()
    fill(tmp_path, delivery(1, b"{}"))
    assert "does not have event 2" in tap(state=state, expect=1).err
