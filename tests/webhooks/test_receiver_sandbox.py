"""Clicks in the sandbox, sent as the services send them: what the receiver stores is what was clicked on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests.sandbox.emulated_vic import Vic
from tests.webhooks.receiver_process import SECRET, ReceiverProcess


def place(sandbox: SandboxProcess) -> str:
    return sandbox.url.removeprefix("http://")


@pytest.mark.parametrize("version", ["1", "2"])
def test_exports_and_digitized_documents(sandbox: SandboxProcess, tmp_path: Path, version: str) -> None:
    control = sandbox.control
    control.options(signature_version=version)
    with ReceiverProcess(tmp_path, vicai_token=[], ivesk_test_hosts=[place(sandbox)]) as receiver:
        for event in ("on_exported", "on_digitized"):
            order = {"name": "ERP", "eventType": event, "target": f"{receiver.url}/ivesk?secret={SECRET}"}
            headers = {"x-api-key": sandbox.api_key}
            receiver.http.post(f"{sandbox.ivesk_url}/pub/subscriptions", json=order, headers=headers, timeout=10)
        control.wait_until_confirmed()
        added = control.add(3)
        control.wait_for_webhooks()
        rows = receiver.events()
        documents = {one["id"]: one for one in control.documents("digitized")}
        exported = {one["id"]: one for one in control.documents("exported")}
        digitized = [json.loads(row["body"]) for row in rows if row["kind"] == "on_digitized"]
        assert sorted(one["id"] for one in digitized) == sorted(added)
        assert all(one["docnum"] == documents[one["id"]]["docnum"] for one in digitized)
        companies = [row["company"] for row in rows if row["kind"] == "on_exported"]
        assert companies
        assert len(rows) == len(digitized) + len(companies)
        told = {json.dumps(exported[one], default=str) for one in added}
        assert all(any(company in text for text in told) for company in companies)


def test_every_click_in_vic(sandbox: SandboxProcess, tmp_path: Path) -> None:
    sandbox.control.reset(documents=0, invoices=30, vicai={"age": "0.20"})
    vic = Vic(sandbox)
    vic.login()
    with ReceiverProcess(tmp_path, vicai_token=["plain"]) as receiver:
        body = {"callbackUrl": f"{receiver.url}/vicai", "accessToken": "plain", "expiresAt": "2099-01-01T00:00:00Z"}
        vic.call("subscribe", body=body)
        clicked = [
            (kind, vic.control.click(kind)) for kind in ("invoicePost", "invoiceTransfer", "vendorNew", "syncRequest")
        ]
        sandbox.control.wait_for_webhooks()
        rows = receiver.events()
        assert [(row["kind"], row["request_id"]) for row in rows] == [
            (kind, one["request_id"]) for kind, one in clicked
        ]
        for row, (kind, one) in zip(rows[:3], clicked, strict=False):
            assert json.loads(row["body"])["internalId"] == one["id"]
            assert (row["document"] or b"")[:4] == (b"%PDF" if kind.startswith("invoice") else b"")
        assert {one["outcome"] for one in sandbox.control.webhooks()} == {"delivered"}
    vic._session.close()
