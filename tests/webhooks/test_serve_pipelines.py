"""From a click to the end of a real pipeline: documents read, a sync written, an invoice taken over and confirmed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests.conftest import renewed
from tests.webhooks.serve_process import Webhooks

_ERP = """
import json, sys
print(json.dumps({"type": "SCHEMA", "stream": "invoice_confirmations", "key_properties": ["internalId"], "schema": {
    "properties": {name: {"type": "string"} for name in ("internalId", "externalId", "externalUpdatedAt")}}}))
for line in sys.stdin:
    message = json.loads(line)
    if message["type"] == "RECORD":
        number = message["record"]["body"]["internalId"]
        assert open(message["record"]["document_path"], "rb").read(4) == b"%PDF"
        record = {"internalId": number, "externalId": "ERP-" + number, "externalUpdatedAt": "2026-10-02T10:00:00"}
        print(json.dumps({"type": "RECORD", "stream": "invoice_confirmations", "record": record}))
"""


@pytest.fixture
def vic(_sandbox_process: SandboxProcess) -> SandboxProcess:
    return renewed(_sandbox_process, documents=5, invoices=30, vicai={"age": "0.20"})


def test_clicks_become_finished_pipelines(vic: SandboxProcess, tmp_path: Path) -> None:
    sandbox = vic
    of_vic = {
        "client_id": sandbox.client_id,
        "client_secret": sandbox.client_secret,
        "api_url": sandbox.vicai_url,
    }
    account = {"externalId": "4430", "name": "Tiekėjai", "number": "4430", "externalUpdatedAt": "2026-10-01T00:00:00"}
    sync = [
        {"type": "SCHEMA", "stream": "accounts", "schema": {"properties": {}}, "key_properties": ["externalId"]},
        {"type": "RECORD", "stream": "accounts", "record": account},
    ]
    inbox = {"inbox": "webhooks.db", "documents_dir": "invoices", "kinds": ["invoicePost"]}
    ivesk = {"api_key": sandbox.api_key, "api_url": sandbox.ivesk_url}
    for name, content in {"vic.json": of_vic, "ivesk.json": ivesk, "inbox.json": inbox}.items():
        (tmp_path / name).write_text(json.dumps(content), encoding="utf-8")
    (tmp_path / "sync.jsonl").write_text("\n".join(json.dumps(one) for one in sync) + "\n", encoding="utf-8")
    (tmp_path / "erp.py").write_text(_ERP, encoding="utf-8")
    python = sys.executable
    target = f"{python} -m target_vicai --config vic.json --config ENV"
    commands = {
        "ivesk.on_exported": f"{python} -m tap_ivesk --config ivesk.json > documents.jsonl",
        "vicai.syncRequest": f"{target} < sync.jsonl",
        "vicai.invoicePost": f"set -e; {python} -m tap_webhooks --config inbox.json | {python} erp.py | {target}",
    }
    rules = [
        {
            "name": on,
            "on": on,
            "run": ["sh", "-c", command],
            "debounce": "200ms",
            "per_request": on != "ivesk.on_exported",
        }
        for on, command in commands.items()
    ]
    settings = {
        "vicai_token": None,
        "ivesk_test_hosts": [sandbox.url.removeprefix("http://")],
        **{f"vicai_{name}": value for name, value in of_vic.items()},
        **{f"ivesk_{name}": value for name, value in ivesk.items()},
    }
    with Webhooks(tmp_path, rules=rules, **settings).serve() as hooks:
        hooks.write(public_url=hooks.url)
        hooks.run("subscribe", "vicai")
        hooks.run("subscribe", "ivesk")
        sandbox.control.wait_until_confirmed()
        sandbox.control.clear_calls()
        [exported] = sandbox.control.add(1)
        asked = sandbox.control.vicai.click("syncRequest")["request_id"]
        posted = sandbox.control.vicai.click("invoicePost")
        sandbox.control.wait_for_webhooks()
        hooks.wait_for(lambda: hooks.statuses().count("done") == 3, 90)
    messages = [json.loads(line) for line in hooks.lines("documents.jsonl")]
    assert exported in {one["record"]["id"] for one in messages if one["type"] == "RECORD" and "id" in one["record"]}
    [kept] = [one for one in sandbox.control.vicai.records("accounts") if one["externalId"] == "4430"]
    assert kept["name"] == "Tiekėjai"
    [invoice] = [one for one in sandbox.control.vicai.records("invoices") if one["internalId"] == posted["id"]]
    assert (invoice["status"], invoice["externalId"]) == ("POSTED", f"ERP-{posted['id']}")
    written = {
        (call["request_id"], "confirm" in call["path"])
        for call in sandbox.control.calls()
        if call["method"] in {"PUT", "POST"} and ("accounts" in call["path"] or "confirm" in call["path"])
    }
    assert written == {(asked, False), (posted["request_id"], True)}
