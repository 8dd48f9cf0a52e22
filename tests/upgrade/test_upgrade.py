"""What an earlier version wrote is read as if this one had written it: nothing doubled, nothing run again.

`record.py` made the files of each folder with that version.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests import preloaded
from tests.conftest import Run, catalogs, renewed, runner, tap_command
from tests.upgrade import record
from tests.webhooks.serve_process import TOKEN, Webhooks

HERE = Path(__file__).parent
VERSIONS = sorted(path for path in HERE.iterdir() if path.is_dir() and path.name.startswith("v"))
OWNER = "127.0.0.1:8722"
"""How the ledger of target-ivesk names the sandbox that the fixtures were recorded with."""


@pytest.fixture(params=VERSIONS, ids=lambda path: str(path.name))
def written(request: pytest.FixtureRequest) -> Path:
    """A folder with the files of one version."""
    folder: Path = request.param
    return folder


@pytest.fixture
def services(_sandbox_process: SandboxProcess) -> SandboxProcess:
    """The sandbox with the data that was there when the fixtures were recorded."""
    # Today's payments have a history that was not there.
    sandbox = renewed(_sandbox_process, **record.SANDBOX, vicai={"rate_requests": 0, "age": "0.20"})
    values = [{"code": "S1", "description": "Sandėlis", "modifiedat": "2026-02-01T00:00:00.000Z"}]
    sandbox.control.columns(record.COMPANY, record.COLUMN, values)
    return sandbox


def ivesk(sandbox: SandboxProcess) -> dict[str, Any]:
    return {"api_key": sandbox.api_key, "api_url": sandbox.ivesk_url}


def vicai(sandbox: SandboxProcess) -> dict[str, Any]:
    return {"client_id": sandbox.client_id, "client_secret": sandbox.client_secret, "api_url": sandbox.vicai_url}


def state(folder: Path, name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / f"{name}.state.json").read_text(encoding="utf-8"))
    return read


INCREMENTAL = {
    "tap_ivesk": (
        "exported_documents",
        "exported_document_lines",
        "digitized_documents",
        "digitized_document_lines",
        "columns",
    ),
    "tap_vicai": (
        "accounts",
        "dimensions",
        "vendors",
        "invoices",
        "invoice_line_items",
        "purchase_orders",
        "purchase_order_line_items",
        "training_invoices",
        "payment_batches",
        "payments",
        "credits",
    ),
}


def test_a_state_of_tap_ivesk(services: SandboxProcess, written: Path, tmp_path: Path) -> None:
    columns = [{"company_code": record.COMPANY, "column": record.COLUMN}]
    tap = runner("tap_ivesk", tmp_path, ivesk(services) | {"columns": columns})
    chosen = catalogs("tap_ivesk")(*INCREMENTAL["tap_ivesk"])
    run = tap(state=state(written, "tap-ivesk"), catalog=chosen)
    assert dict(run.records) == {}
    new = services.control.export(count=3)
    services.control.columns(record.COMPANY, record.COLUMN, [{"code": "S2"}])
    run = tap(state=run.state, catalog=chosen)
    assert sorted(run.ids()) == sorted(new)
    assert [one["code"] for one in run.records["columns"]] == ["S2"]


def test_a_state_of_tap_vicai(services: SandboxProcess, written: Path, tmp_path: Path) -> None:
    tap = runner("tap_vicai", tmp_path, vicai(services) | {"invoice_states": ["ALL"]})
    chosen = catalogs("tap_vicai")(*INCREMENTAL["tap_vicai"])
    run = tap(state=state(written, "tap-vicai"), catalog=chosen)
    assert dict(run.records) == {}
    touched = services.control.vicai.touch("vendors", count=2)
    run = tap(state=run.state, catalog=chosen)
    assert {name: sorted(one["internalId"] for one in records) for name, records in run.records.items()} == {
        "vendors": sorted(touched)
    }


def test_the_company_guard_of_a_state_still_works(services: SandboxProcess, written: Path, tmp_path: Path) -> None:
    tap = runner("tap_vicai", tmp_path, vicai(services))
    other = state(written, "tap-vicai")
    other["bookmarks"]["company"]["tenant"] = "Another company"
    run = tap(state=other, expect=1)
    assert not run.out
    assert "Another company" in run.err


# Targets

RunTarget = Callable[..., Run]


def load(folder: Path, module: str, given: bytes, settings: dict[str, Any], expect: int = 0) -> Run:
    files = {"rejects_path": str(folder / "rejects.jsonl"), "report_path": str(folder / "report.json")}
    done = preloaded.run(tap_command(folder, settings | files, module=module), input=given)
    assert done.returncode == expect, done.stderr.decode()[-3000:]
    return Run.of(done)


def test_a_ledger_of_target_vicai(services: SandboxProcess, written: Path, tmp_path: Path) -> None:
    given = (written / "loaded.jsonl").read_bytes()
    settings = vicai(services) | {"max_rejects": 9}
    # The orders are written, and not processed: only the ledger of before knows that.
    services.control.fault("status", status=500, path=record.PROCESS, method="POST", times=12)
    load(tmp_path, "target_vicai", given, settings | {"ledger_path": str(tmp_path / "scratch.jsonl")}, expect=1)
    services.control.clear_faults()
    uploaded = services.control.vicai.records("attachments")
    services.control.clear_calls()
    ledger = tmp_path / "ledger.jsonl"
    shutil.copy(written / "target-vicai-ledger.jsonl", ledger)
    for _ in range(2):
        load(tmp_path, "target_vicai", given, settings | {"ledger_path": str(ledger)})
    # The attachment was sent before, so it is not sent again; the order is processed, and once.
    assert services.control.vicai.records("attachments") == uploaded
    posts = [call["path"] for call in services.control.calls() if call["method"] == "POST"]
    assert len([path for path in posts if path.endswith("/process")]) == 1
    assert not [path for path in posts if path.endswith("/attachments")]
    orders = [one["externalId"] for one in services.control.vicai.records("purchaseOrders") if one.get("externalId")]
    assert orders.count("PO-1") == 1


def test_a_ledger_of_target_ivesk(services: SandboxProcess, written: Path, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    host = services.ivesk_url.split("/")[2]
    lines = (written / "target-ivesk-ledger.jsonl").read_text(encoding="utf-8")
    ledger.write_text(lines.replace(OWNER, host), encoding="utf-8")
    settings = ivesk(services) | {"ledger_path": str(ledger), "max_rejects": 9}
    load(tmp_path, "target_ivesk", (written / "uploaded.jsonl").read_bytes(), settings)
    assert services.control.call("GET", "/ivesk/uploads") == []
    assert services.control.call("GET", "/ivesk/syncerrors") == []
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["streams"]
    assert (report["documents"]["unchanged"], report["sync_errors"]["unchanged"]) == (1, 1)


def test_a_reject_file_of_target_vicai_is_replayed(services: SandboxProcess, written: Path, tmp_path: Path) -> None:
    given = (written / "rejects-vicai.jsonl").read_text(encoding="utf-8")
    vendors = [line for line in given.splitlines() if '"stream": "vendors"' in line]
    corrected = "\n".join(vendors).replace("x" * 300, "Corrected").encode() + b"\n"
    settings = vicai(services) | {"ledger_path": str(tmp_path / "ledger.jsonl")}
    load(tmp_path, "target_vicai", corrected, settings)
    found = [one for one in services.control.vicai.records("vendors") if one.get("externalId") == "V-2"]
    assert [one["name"] for one in found] == ["Corrected"]
    # Uncorrected it is refused again, now with a code.
    load(tmp_path, "target_vicai", given.encode(), settings | {"max_rejects": 9})
    again = [json.loads(line) for line in (tmp_path / "rejects.jsonl").read_text(encoding="utf-8").splitlines()]
    (vendor,) = [one["rejected"] for one in again if one["type"] == "RECORD" and one["stream"] == "vendors"]
    assert (vendor["code"], vendor["params"]["field"]) == ("too_long", "name")


def test_a_reject_file_of_the_mapper_is_replayed(written: Path, tmp_path: Path) -> None:
    given = (written / "rejects-mapper.jsonl").read_bytes()
    lines = [json.loads(line) for line in given.splitlines() if b'"rejected"' in line]
    marks = [line["rejected"] for line in lines]
    # Of kinds that are not booked there is nothing more to say.
    booked = [line for line in lines if line["record"]["doctype"] not in {"proforma", "cashreceipt"}]
    settings = {"company_code": marks[0]["company_code"], "max_rejects": 99, "accounts": {"6001": "6001"}}
    settings["rejects_path"] = str(tmp_path / "rejects.jsonl")
    done = preloaded.run(tap_command(tmp_path, settings, module="mapper_ivesk_vicai"), input=given)
    assert done.returncode == 0, done.stderr.decode()
    again = [json.loads(line) for line in (tmp_path / "rejects.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len([one for one in again if one["type"] == "RECORD"]) == len(booked) > 0


# Refusals, told to ivesk


@pytest.fixture
def rejects(written: Path, tmp_path: Path) -> Path:
    """A folder with the reject files of a version."""
    folder = tmp_path / "rejects"
    folder.mkdir()
    for path in written.glob("rejects-*.jsonl"):
        shutil.copy(path, folder)
    return folder


def test_refusals_are_told_in_the_same_words(rejects: Path, written: Path, tmp_path: Path) -> None:
    told = [json.loads(line)["record"] for line in (written / "told.jsonl").read_text(encoding="utf-8").splitlines()]
    company = told[0]["companycode"]
    tap = runner("tap_rejects", tmp_path, {"path": str(rejects / "rejects-*.jsonl"), "company_code": company})
    # Of which export it was, 0.1.0 did not say.
    now = [{name: value for name, value in one.items() if name != "exportedat"} for one in tap().records["sync_errors"]]
    assert now == told
    # The words are part of the key at ivesk: other words would show the same refusal twice.
    assert told


def test_refusals_that_were_told_are_not_told_again(rejects: Path, written: Path, tmp_path: Path) -> None:
    text = (written / "tap-rejects.state.json").read_text(encoding="utf-8").replace("FOLDER", str(rejects))
    told = [json.loads(line)["record"] for line in (written / "told.jsonl").read_text(encoding="utf-8").splitlines()]
    settings = {"path": str(rejects / "rejects-*.jsonl"), "company_code": told[0]["companycode"]}
    run = runner("tap_rejects", tmp_path, settings)(state=json.loads(text))
    assert dict(run.records) == {}


# Webhooks


@pytest.fixture
def inbox(written: Path, tmp_path: Path) -> Path:
    """An inbox in the file that the settings name by default."""
    path = tmp_path / "webhooks.db"
    text = (written / "inbox.sql").read_text(encoding="utf-8").replace("FOLDER", str(tmp_path))
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(text)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.commit()
    return path


def test_a_state_of_tap_webhooks(inbox: Path, written: Path, tmp_path: Path) -> None:
    tap = runner("tap_webhooks", tmp_path, {"inbox": str(inbox)})
    assert [one["kind"] for one in tap().records["webhook_events"]] == [
        "payment_batch_processed",
        "vendorNew",
        "syncRequest",
    ]
    assert dict(tap(state=state(written, "tap-webhooks")).records) == {}


def test_an_inbox_is_acted_on_where_it_stood(inbox: Path, tmp_path: Path) -> None:
    rules = [
        {"name": "good", "on": ["vicai.payment_batch_processed"], "run": ["sh", "-c", "echo good >> ran.txt"]},
        {"name": "bad", "on": ["vicai.vendorNew"], "run": ["sh", "-c", "echo bad >> ran.txt"]},
        {"name": "later", "on": ["vicai.syncRequest"], "run": ["sh", "-c", "echo later >> ran.txt"]},
    ]
    with Webhooks(tmp_path, rules=[rule | {"debounce": "100ms"} for rule in rules]).serve() as hooks:
        # What waited is run; what was done, or had failed for good, is not run again.
        hooks.wait_for(lambda: hooks.statuses() == ["done", "failed", "done"])
        assert hooks.lines("ran.txt") == ["later"]
        # What came before and comes again is known; what is new is not.
        path, body = record.EVENTS[0]
        assert hooks.post(path, body, TOKEN) == 200
        hooks.batch(2)
        hooks.wait_for(lambda: hooks.statuses() == ["done", "failed", "done", "done"])
        assert hooks.lines("ran.txt") == ["later", "good"]
        assert [row["deliveries"] for row in hooks.rows("events")] == [2, 1, 1, 1]
    assert inbox.exists()
