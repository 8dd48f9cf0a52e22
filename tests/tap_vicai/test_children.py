"""Line items and documents: one request for each changed invoice, several at once, within the rate limit."""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ap_connectors.core.raw_json import Record
from ap_connectors.sandbox.process import SandboxProcess
from tap_vicai.invoices import InvoiceLineItems
from tap_vicai.tap import TapVicai
from tests.campaign import one_in
from tests.conftest import MakeCatalog, Run, RunTap


def asked(vicai: SandboxProcess, ending: str) -> list[str]:
    """Ids of the invoices that something was asked of."""
    return [c["path"].split("/")[-2] for c in vicai.control.calls() if c["path"].endswith(ending)]


def test_lines_are_asked_for_changed_invoices_only(vicai: SandboxProcess, tap: RunTap, catalog: MakeCatalog) -> None:
    streams = catalog("invoices", "invoice_line_items")
    first = tap(catalog=streams)
    ids = [record["internalId"] for record in first.records["invoices"]]
    assert len(ids) > 150
    # In the invoices' order, and each invoice's lines before the invoice itself.
    order = list(dict.fromkeys(line["invoice_id"] for line in first.records["invoice_line_items"]))
    assert order == ids
    vicai.control.clear_calls()
    touched = vicai.control.vicai.touch("invoices", [ids[5], ids[100]])
    second = tap(state=first.state, catalog=streams)
    assert sorted(asked(vicai, "/lineItems")) == sorted(touched)
    for invoice in touched:
        got = [line for line in second.records["invoice_line_items"] if line["invoice_id"] == invoice]
        assert [line["index"] for line in got] == list(range(len(got)))
        assert len(got) == len(vicai.control.vicai.line_items(invoice))


def test_lines_alone_can_be_read(vicai: SandboxProcess, tap: RunTap, catalog: MakeCatalog) -> None:
    run = tap(catalog=catalog("invoice_line_items"))
    keys = [(line["invoice_id"], line["index"]) for line in run.records["invoice_line_items"]]
    assert len(set(keys)) == len(keys) > 200
    assert "invoices" not in run.records


class WithoutIndex:
    """A service that shows lines without an index, or with a null one, as the contract allows."""

    def whole_list(self, _operation: str, **_arguments: str) -> list[Record]:
        return [
            {"amount": msgspec.Raw(b"1.10")},
            {"amount": msgspec.Raw(b"2.20"), "index": msgspec.Raw(b"null")},
            {"amount": msgspec.Raw(b"3.30"), "index": msgspec.Raw(b"7")},
        ]


@pytest.fixture
def _own_signals() -> Iterator[None]:
    """A tap in this process takes the signals over; give them back."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_own_signals")
def test_lines_without_index_get_their_place() -> None:
    tap = TapVicai(config={"client_id": "a", "client_secret": "b", "region": "us"})
    vars(tap)["client"] = WithoutIndex()
    lines = tap.streams["invoice_line_items"]
    assert isinstance(lines, InvoiceLineItems)
    invoice: Record = {"internalId": msgspec.Raw(b'"47"')}
    made = [
        (bytes(line["invoice_id"]), bytes(line["index"]), bytes(line["amount"])) for line in lines.derive([invoice])
    ]
    assert made == [(b'"47"', b"0", b"1.10"), (b'"47"', b"1", b"2.20"), (b'"47"', b"7", b"3.30")]


def test_an_invoice_that_is_gone_does_not_stop_the_run(
    vicai: SandboxProcess, tap: RunTap, catalog: MakeCatalog
) -> None:
    streams = catalog("invoices", "invoice_line_items")
    ids = [r["internalId"] for r in vicai.control.vicai.records("invoices") if r["status"] == "POSTED"]
    vicai.control.fault("status", path=f"/vicai/v0/invoices/{ids[7]}/lineItems", status=404, times=1000)
    run = tap(catalog=streams)
    assert [record["internalId"] for record in run.records["invoices"]] == ids
    with_lines = {line["invoice_id"] for line in run.records["invoice_line_items"]}
    assert with_lines == set(ids) - {ids[7]}
    (said,) = [line for line in run.err.splitlines() if "Its lines are left out, the rest goes on" in line]
    assert ids[7] in said


def line_calls(vicai: SandboxProcess) -> list[datetime]:
    """When the service was asked for lines, in order."""
    calls = [call for call in vicai.control.calls() if call["path"].endswith("/lineItems")]
    return [datetime.fromisoformat(call["at"].rstrip("Z")) for call in calls]


def test_concurrency_is_as_set(vicai: SandboxProcess, tap: RunTap, catalog: MakeCatalog) -> None:
    """One at a time, each call waits for the answer to the one before; with twenty, some do not."""
    answers_after = timedelta(milliseconds=20)
    vicai.control.reset(documents=0, invoices=60, vicai={"latency_ms": 20})
    streams = catalog("invoice_line_items")
    vicai.control.clear_calls()
    alone = tap(catalog=streams, max_concurrency=1)
    times = line_calls(vicai)
    # The log's times are whole milliseconds.
    least = answers_after - timedelta(milliseconds=1)
    assert all(later - earlier >= least for earlier, later in pairwise(times))
    assert len(times) > 30
    vicai.control.clear_calls()
    together = tap(catalog=streams, max_concurrency=20)
    times = line_calls(vicai)
    assert any(later - earlier < least for earlier, later in pairwise(times))
    assert alone.records == together.records


@one_in(2)
@pytest.mark.parametrize("requests", [40, 500])
def test_the_rate_limit_is_never_exceeded(
    vicai: SandboxProcess, tap: RunTap, catalog: MakeCatalog, requests: int
) -> None:
    """The service's window and ours are the same size; one request too many and it says 429."""
    vicai.control.reset(documents=0, invoices=240, vicai={"rate_requests": requests, "rate_seconds": 1.5})
    streams = catalog("invoices", "invoice_line_items", "accounts")
    run = tap(catalog=streams, max_concurrency=16, rate_limit={"requests": requests, "seconds": 2})
    assert vicai.control.vicai.overview()["throttled"] == 0
    assert "status 429" not in run.err
    assert len({line["invoice_id"] for line in run.records["invoice_line_items"]}) > 150


def test_a_storm_of_429_is_weathered(vicai: SandboxProcess, tap: RunTap, catalog: MakeCatalog) -> None:
    """Others use the same client id: the service refuses although we keep the limit."""
    vicai.control.reset(documents=0, invoices=120, vicai={"rate_requests": 60, "rate_seconds": 1})
    run = tap(catalog=catalog("invoices", "invoice_line_items"), max_concurrency=16)
    assert vicai.control.vicai.overview()["throttled"] > 0
    ids = [r["internalId"] for r in vicai.control.vicai.records("invoices") if r["status"] == "POSTED"]
    assert list(dict.fromkeys(line["invoice_id"] for line in run.records["invoice_line_items"])) == ids


# Documents


def facts_are_right(run: Run, stream: str) -> None:
    for record in run.records[stream]:
        assert record["error"] is None
        data = Path(record["path"]).read_bytes()
        assert data.startswith(b"%PDF-")
        assert (len(data), hashlib.sha256(data).hexdigest()) == (record["bytes"], record["sha256"])
        assert record["content_type"] == "application/pdf"


@pytest.mark.parametrize("by", ["direct", "redirect"])
def test_documents_of_invoices(
    vicai: SandboxProcess, tap: RunTap, catalog: MakeCatalog, tmp_path: Path, by: str
) -> None:
    vicai.control.reset(documents=0, invoices=60, vicai={"documents_by": by})
    streams = catalog("invoices", "invoice_documents")
    folder = tmp_path / "files"
    first = tap(catalog=streams, documents_dir=str(folder))
    ids = [record["internalId"] for record in first.records["invoices"]]
    assert [record["invoice_id"] for record in first.records["invoice_documents"]] == ids
    facts_are_right(first, "invoice_documents")
    assert len({record["path"] for record in first.records["invoice_documents"]}) == len(ids) > 30
    # A document that is there already is not asked for again; the fact comes with the invoice.
    vicai.control.vicai.touch("invoices", [ids[2]])
    vicai.control.clear_calls()
    second = tap(state=first.state, catalog=streams, documents_dir=str(folder))
    assert [record["invoice_id"] for record in second.records["invoice_documents"]] == [ids[2]]
    facts_are_right(second, "invoice_documents")
    assert asked(vicai, "/document") == []
    # The token is for the API only.
    assert all(call["status"] != 400 for call in vicai.control.calls())


def test_documents_of_training_invoices(
    vicai: SandboxProcess, tap: RunTap, catalog: MakeCatalog, tmp_path: Path
) -> None:
    vicai.control.reset(documents=0, invoices=80, vicai={"extra_fields": True})
    streams = catalog("training_invoices", "training_invoice_documents")
    run = tap(catalog=streams, documents_dir=str(tmp_path / "files"))
    shown = [r["externalId"] for r in run.records["training_invoices"] if "externalId" in r]
    facts = [record["training_invoice_id"] for record in run.records["training_invoice_documents"]]
    assert sorted(facts) == sorted(shown) != []
    facts_are_right(run, "training_invoice_documents")


def test_no_id_is_made_up_for_training_invoices_that_show_none(
    vicai: SandboxProcess, tap: RunTap, catalog: MakeCatalog, tmp_path: Path
) -> None:
    streams = catalog("training_invoices", "training_invoice_documents")
    run = tap(catalog=streams, documents_dir=str(tmp_path / "files"))
    assert run.records["training_invoice_documents"] == []
    count = len(run.records["training_invoices"])
    assert f"training_invoice_documents: {count} records have no id to request a file by" in run.err
    assert count > 20


def test_a_document_that_is_gone_is_said(
    vicai: SandboxProcess, tap: RunTap, catalog: MakeCatalog, tmp_path: Path
) -> None:
    ids = [r["internalId"] for r in vicai.control.vicai.records("invoices") if r["status"] == "POSTED"]
    vicai.control.vicai.document("invoices", ids[1], "gone")
    run = tap(catalog=catalog("invoices", "invoice_documents"), documents_dir=str(tmp_path / "files"))
    facts = {record["invoice_id"]: record for record in run.records["invoice_documents"]}
    assert list(facts) == ids
    assert "not found" in facts[ids[1]]["error"]
    assert [facts[ids[1]][name] for name in ("path", "bytes", "sha256", "content_type")] == [None] * 4
    assert [number for number, record in facts.items() if record["error"]] == [ids[1]]


def test_an_expired_link_is_renewed(vicai: SandboxProcess, tap: RunTap, catalog: MakeCatalog, tmp_path: Path) -> None:
    vicai.control.reset(documents=0, invoices=40, vicai={"documents_by": "redirect"})
    vicai.control.fault("expired", path="/storage/vicai", times=2)
    run = tap(catalog=catalog("invoice_documents"), documents_dir=str(tmp_path / "files"))
    assert sum(fault["hits"] for fault in vicai.control.faults()) == 2
    facts_are_right(run, "invoice_documents")


def test_names_cannot_leave_the_folder(
    vicai: SandboxProcess, tap: RunTap, catalog: MakeCatalog, tmp_path: Path
) -> None:
    for number in ("../../../evil", "/etc/passwd", "..", "Ąžuolas\n№ 1", "a" * 300):
        vicai.control.vicai.add("invoices", refNumber=number, status="POSTED")
    folder = tmp_path / "files"
    run = tap(catalog=catalog("invoice_documents"), documents_dir=str(folder))
    paths = [Path(record["path"]).resolve() for record in run.records["invoice_documents"] if record["path"]]
    assert all(folder.resolve() in path.parents for path in paths)
    assert len(set(paths)) == len(paths) > 150


def test_without_a_folder_there_are_no_documents(vicai: SandboxProcess, tap: RunTap, catalog: MakeCatalog) -> None:
    run: Any = tap(catalog=catalog("invoices", "invoice_documents"))
    assert run.records["invoice_documents"] == []
    assert asked(vicai, "/document") == []
    assert "documents_dir is not set" in run.err
