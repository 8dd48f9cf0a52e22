"""A sandbox with an account at Įvesk, and the real `target-ivesk` run against it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests.target_vicai.conftest import Result, Target, runner
from tests.target_vicai.scene import PDF

Record = dict[str, Any]
STORAGE = "/storage/uploads"
API = "/ivesk/api/pub"


@pytest.fixture
def ivesk(sandbox: SandboxProcess) -> SandboxProcess:
    """A sandbox with a handful of documents, and nothing uploaded."""
    sandbox.control.reset(documents=20)
    sandbox.control.clear_calls()
    return sandbox


def pdf(folder: Path, name: str = "sąskaita 1.pdf", text: str = "") -> Path:
    """Write a document; one text, one document."""
    path = folder / name
    path.write_bytes(PDF + text.encode())
    return path


def held(ivesk: SandboxProcess) -> list[Record]:
    """What lies in the storage: uploads that were put, each place once."""
    return [upload for upload in ivesk.control.uploads() if upload["sha256"] is not None]


def puts(run: Result) -> int:
    return sum(method == "PUT" for method, _ in run.writes)


def ledger(folder: Path) -> list[Record]:
    return [json.loads(text) for text in (folder / "ledger.jsonl").read_text().splitlines()]


@pytest.fixture
def target(ivesk: SandboxProcess, tmp_path: Path) -> Target:
    """Run the real `target-ivesk` as a process: `target(messages, expect=0)`; other keywords are settings."""
    return runner(ivesk, tmp_path, command, lambda run: assert_secret(ivesk, run))


def assert_secret(ivesk: SandboxProcess, run: Result) -> None:
    """Check what goes for every run: the storage never saw the key; no output shows a key or a place to write to."""
    assert all(call["key"] == "none" for call in run.calls if call["path"].startswith("/storage"))
    secrets = [upload["token"] for upload in ivesk.control.uploads()]
    secrets += [call["query"].rpartition("=")[2] for call in run.calls if "Signature" in call["query"]]
    for text in (run.err, run.out, run.reject_text, run.report_text):
        assert not any(secret in text for secret in (ivesk.api_key, *secrets))


def command(ivesk: SandboxProcess, folder: Path, changed: Record) -> list[str]:
    """The command that loads, with its settings in a file of `folder`; a setting that is None is left out."""
    settings = {
        "api_key": ivesk.api_key,
        "api_url": ivesk.ivesk_url,
        "documents_from": [str(folder.parent)],
        # One book for all runs of a test.
        "ledger_path": str(folder.parent / "ledger.jsonl"),
        "rejects_path": str(folder / "rejects.jsonl"),
        "report_path": str(folder / "report.json"),
    }
    config = folder / "config.json"
    chosen = {name: value for name, value in (settings | changed).items() if value is not None}
    config.write_text(json.dumps(chosen), encoding="utf-8")
    config.chmod(0o600)
    return [sys.executable, "-m", "target_ivesk", "--config", str(config)]
