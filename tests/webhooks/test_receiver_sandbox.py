"""Clicks in the sandbox, sent as the services send them: what the receiver stores is what was clicked on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from ap_connectors.sandbox.process import SandboxProcess
from tests.campaign import one_in
from tests.sandbox.emulated_vic import Vic
from tests.webhooks.receiver_process import SECRET, ReceiverProcess
from tests.webhooks.serve_process import Webhooks


def place(sandbox: SandboxProcess) -> str:
    return sandbox.url.removeprefix("http://")


@one_in(2)
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


def test_the_page_s_settings_let_the_sandbox_stand_in_for_sns(sandbox: SandboxProcess, tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text(encoding="utf-8").partition("## Webhooks")[2]
    block = text.partition("```yaml")[2].partition("```")[0].replace("127.0.0.1:8722", place(sandbox))
    settings = {**yaml.safe_load(block), "vicai_token": None}
    assert settings.pop("inbox") == "webhooks.db"  # as it is unless set
    hosts = settings.pop("ivesk_test_hosts")
    control = sandbox.control
    control.reset(documents=60, invoices=30)
    with Webhooks(tmp_path, **settings) as hooks:
        hooks.serve_public()
        hooks.run("subscribe", "ivesk")
        control.wait_for_webhooks()
        # Without the one setting that is for tests, the log says what to set, and to what.
        assert f"set ivesk_test_hosts: ['{place(sandbox)}']" in hooks.log
        hooks.stop()
        hooks.write(ivesk_test_hosts=hosts)
        hooks.serve_public()
        hooks.run("subscribe", "ivesk")
        hooks.run("subscribe", "vicai")
        control.wait_for_webhooks()
        assert hooks.run("status", "ivesk").count("confirmed at") == 2
        assert len(control.export(new=3)) == 3
        invoice = control.vicai.click("invoicePost")["id"]
        control.wait_for_webhooks()
        kinds = {row["kind"]: json.loads(row["body"]) for row in hooks.rows("events")}
        assert {"on_exported", "invoice_post"} <= kinds.keys()
        assert kinds["invoice_post"]["data"]["internalId"] == invoice
