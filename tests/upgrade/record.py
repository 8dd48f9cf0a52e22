"""Records what a version writes, as fixtures for every later one: `python record.py CHECKOUT FOLDER`.

The checkout has its own `.venv`. STATEs, ledgers, reject files, an inbox and a warehouse come out, of a sandbox with
`SANDBOX`'s data. It was run once, with version 0.1.0; a version that writes something new runs it into a new folder.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

SANDBOX = {"documents": 60, "invoices": 40, "seed": 1}
PORT = 8722
URL = f"http://127.0.0.1:{PORT}"
IVESK = {"api_key": "sandbox-key", "api_url": f"{URL}/ivesk/api"}
VICAI = {"client_id": "sandbox-client", "client_secret": "sandbox-secret", "api_url": f"{URL}/vicai/v0"}
PROCESS = "/vicai/v0/purchaseOrders/"
"""What only processing an order begins with; creating one has no slash behind it."""
COMPANY, COLUMN = "302320404", "skyrius"
TOKEN = "token-of-the-receiver"
PDF = base64.b64encode(b"%PDF-1.4\nan attachment\n%%EOF\n").decode()

Message = dict[str, Any]


def stream(name: str, keys: Sequence[str], *records: Message) -> list[Message]:
    fields: Message = {field: {} for one in records for field in one}
    schema = {"type": "object", "properties": fields}
    return [
        {"type": "SCHEMA", "stream": name, "schema": schema, "key_properties": list(keys)},
        *({"type": "RECORD", "stream": name, "record": one} for one in records),
    ]


def order(number: str) -> Message:
    amounts = {"quantityRequested": "2", "quantityReceived": "2", "unitAmount": "3.50", "lineItemTotal": "7.00"}
    line = {"lineNumber": 1, "productNumber": "P-1", "productDescription": "Paper", **amounts}
    return {
        "externalId": number,
        "poNumber": number,
        "amount": "7.00",
        "currency": "NOK",
        "vendorExternalId": "V-1",
        "issuedOn": "2026-01-05",
        "externalUpdatedAt": "2026-01-05T10:00:00",
        "lineItems": [line],
    }


VENDOR = {"externalId": "V-1", "name": "Žalia UAB", "externalUpdatedAt": "2026-01-05T10:00:00"}
LOADED = [
    *stream("vendors", ["externalId"], VENDOR, VENDOR | {"externalId": "V-2", "name": "x" * 300}),
    *stream("attachments", [], {"documentBase64": PDF}),
    *stream("purchase_orders", ["externalId"], order("PO-1"), order("PO-2") | {"vendorExternalId": "V-9"}),
]
UPLOADED = stream("documents", [], {"documentBase64": PDF, "file_name": "sąskaita.pdf"})
EVENTS: tuple[tuple[str, Message], ...] = (
    ("events", {"event": "payment_batch_processed", "data": {"id": "batch-1", "companyId": "7"}}),
    ("vendorNew", {"companyId": "7", "name": "Žalia UAB"}),
    ("syncRequest", {"requestId": "5b1f1c0e-6f0e-4a55-9d2c-1d0a4c8e7f21"}),
)


class Recorder:
    """Runs the commands of a checkout in a folder, and keeps what they leave behind."""

    def __init__(self, checkout: Path, kept: Path, folder: Path) -> None:
        self.bin, self.kept, self.folder = checkout / ".venv/bin", kept, folder

    def run(
        self, command: str, *arguments: str, given: bytes = b"", settings: Message | None = None, expect: int = 0
    ) -> bytes:
        if settings is not None:
            config = self.folder / f"{command}.json"
            config.write_text(json.dumps(settings), encoding="utf-8")
            arguments = (*arguments, "--config", str(config))
        done = subprocess.run([self.bin / command, *arguments], input=given, capture_output=True, cwd=self.folder)
        assert done.returncode == expect, (command, done.returncode, done.stderr.decode()[-3000:])
        return done.stdout

    def keep(self, name: str, content: bytes | str) -> None:
        text = content if isinstance(content, bytes) else content.encode()
        (self.kept / name).write_bytes(text)

    def state(self, name: str, output: bytes) -> None:
        states = [json.loads(line) for line in output.splitlines() if b'"STATE"' in line]
        self.keep(name, json.dumps(states[-1]["value"], indent=1, ensure_ascii=False) + "\n")


def select_all(catalog: bytes) -> str:
    found = json.loads(catalog)
    for one in found["streams"]:
        for entry in one["metadata"]:
            if not entry["breadcrumb"]:
                entry["metadata"]["selected"] = True
    return json.dumps(found)


def taps(recorder: Recorder) -> None:
    values = [{"code": "S1", "description": "Sandėlis", "modifiedat": "2026-02-01T00:00:00.000Z"}]
    control("POST", "/columns", {"company": COMPANY, "column": COLUMN, "items": values})
    columns = [{"company_code": COMPANY, "column": COLUMN}]
    for tap, settings in (
        ("tap-ivesk", IVESK | {"columns": columns}),
        ("tap-vicai", VICAI | {"invoice_states": ["ALL"]}),
    ):
        catalog = recorder.folder / "catalog.json"
        catalog.write_text(select_all(recorder.run(tap, "--discover", settings=settings)), encoding="utf-8")
        recorder.state(f"{tap}.state.json", recorder.run(tap, "--catalog", str(catalog), settings=settings))


def lines(messages: Iterable[Message]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in messages)


def targets(recorder: Recorder) -> None:
    rejects = recorder.folder / "rejects-vicai.jsonl"
    ledger = recorder.folder / "target-vicai-ledger.jsonl"
    settings = VICAI | {"rejects_path": str(rejects), "max_rejects": 9, "ledger_path": str(ledger)}
    # The order is written and its processing refused, so that the next run has to do it.
    fault = {"kind": "status", "status": 500, "path": PROCESS, "method": "POST", "times": 6}
    control("POST", "/faults", fault)
    recorder.run("target-vicai", settings=settings, given=lines(LOADED), expect=1)
    control("DELETE", "/faults")
    rejected = rejects.read_bytes()
    recorder.keep("rejects-vicai.jsonl", rejected)
    recorder.keep("target-vicai-ledger.jsonl", ledger.read_bytes())
    document = next(
        json.loads(line)["record"]
        for line in recorder.run("tap-ivesk", settings=IVESK).splitlines()
        if b'"stream":"exported_documents","record"' in line.replace(b'": "', b'":"').replace(b'", "', b'","')
    )
    error = {"documentid": document["id"], "companycode": document["buyercode"], "message": "Nežinomas kodas"}
    uploaded = [*UPLOADED, *stream("sync_errors", list(error), error, error | {"documentid": "unknown"})]
    recorder.keep("loaded.jsonl", lines(LOADED))
    recorder.keep("uploaded.jsonl", lines(uploaded))
    ledger = recorder.folder / "target-ivesk-ledger.jsonl"
    rejects = recorder.folder / "rejects-ivesk.jsonl"
    settings = IVESK | {"rejects_path": str(rejects), "max_rejects": 9, "ledger_path": str(ledger)}
    recorder.run("target-ivesk", settings=settings, given=lines(uploaded))
    recorder.keep("target-ivesk-ledger.jsonl", ledger.read_bytes())
    if rejects.exists():
        recorder.keep("rejects-ivesk.jsonl", rejects.read_bytes())


def mapper(recorder: Recorder) -> None:
    documents = recorder.run("tap-ivesk", settings=IVESK)
    companies = [json.loads(line)["record"].get("buyercode") for line in documents.splitlines() if b'"RECORD"' in line]
    company = max(filter(None, companies), key=companies.count)
    rejects = recorder.folder / "rejects-mapper.jsonl"
    settings = {"company_code": company, "rejects_path": str(rejects), "max_rejects": 99, "accounts": {"6001": "6001"}}
    recorder.run("mapper-ivesk-vicai", settings=settings, given=documents)
    kept = rejects.read_bytes().splitlines(keepends=True)
    # The SCHEMA, and a handful of rejects.
    recorder.keep("rejects-mapper.jsonl", b"".join(kept[:6]))
    settings = {"path": str(recorder.kept / "rejects-*.jsonl"), "company_code": company}
    told = recorder.run("tap-rejects", settings=settings)
    recorder.keep("told.jsonl", b"".join(line + b"\n" for line in told.splitlines() if b'"RECORD"' in line))
    recorder.state("tap-rejects.state.json", told.replace(str(recorder.kept).encode(), b"FOLDER"))


def webhooks(recorder: Recorder) -> None:
    config = recorder.folder / "webhooks.yml"
    rules = [
        {"name": "good", "on": ["vicai.payment_batch_processed"], "run": ["true"], "debounce": "100ms"},
        {"name": "bad", "on": ["vicai.vendorNew"], "run": ["false"], "debounce": "100ms", "retries": 0},
        {"name": "later", "on": ["vicai.syncRequest"], "run": ["sh", "-c", "echo ran >> ran.txt"], "debounce": "20s"},
    ]
    settings = {"port": 0, "vicai_token": TOKEN, "rules": rules}
    config.write_text(json.dumps(settings), encoding="utf-8")
    server = subprocess.Popen(
        [recorder.bin / "ap-webhooks", "serve", "--config", str(config)], stdout=subprocess.PIPE, cwd=recorder.folder
    )
    assert server.stdout
    url = server.stdout.readline().decode().split()[-1]
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    for path, body in EVENTS:
        request = urllib.request.Request(f"{url}/vicai/{path}", json.dumps(body).encode(), headers, method="POST")
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status in {200, 202}
    inbox = recorder.folder / "webhooks.db"
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with sqlite3.connect(f"file:{inbox}?mode=ro", uri=True) as connection:
            statuses = sorted(row[0] for row in connection.execute("SELECT status FROM runs"))
        if "done" in statuses and "failed" in statuses:
            break
        time.sleep(0.2)
    os.kill(server.pid, signal.SIGTERM)
    server.wait(60)
    recorder.state("tap-webhooks.state.json", recorder.run("tap-webhooks", settings={"inbox": str(inbox)}))
    with sqlite3.connect(inbox) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        recorder.keep("inbox.sql", "\n".join(connection.iterdump()).replace(str(recorder.folder), "FOLDER") + "\n")


def control(method: str, path: str, body: Message | None = None) -> None:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{URL}/_control{path}", data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()


def main(checkout: Path, kept: Path) -> None:
    kept.mkdir(parents=True, exist_ok=True)
    arguments = [f"--{name}={value}" for name, value in SANDBOX.items()]
    with tempfile.TemporaryDirectory() as folder:
        sandbox = subprocess.Popen(
            [checkout / ".venv/bin/ap-sandbox", f"--port={PORT}", *arguments], stdout=subprocess.DEVNULL
        )
        try:
            for _ in range(300):
                try:
                    control("GET", "/options")
                    break
                except OSError:
                    time.sleep(0.1)
            recorder = Recorder(checkout, kept, Path(folder))
            for part in (taps, targets, mapper, webhooks):
                part(recorder)
        finally:
            sandbox.terminate()
            sandbox.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
