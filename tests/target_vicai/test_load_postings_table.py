"""What the ERP made of Vic.ai's invoices, as a table: by the stream maps of docs/errors-to-ivesk.md."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from ap_connectors.sandbox.process import SandboxProcess
from tests.target_vicai.conftest import Record, Target, fresh, load, state
from tests.target_vicai.scene import WAITING
from tests.target_vicai.store import Store

DOC = Path(__file__).parent.parent.parent / "docs/errors-to-ivesk.md"
AT = "2026-11-20T16:05:31"


def snippet(language: str) -> str:
    """The documentation's snippet in a language."""
    found = re.search(rf"```{language}\n(.*?)```", DOC.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    return found[1]


def stream_maps() -> dict[str, Any]:
    """The setting, as the documentation has it."""
    settings: dict[str, dict[str, Any]] = json.loads(snippet("json"))
    assert list(settings) == ["stream_maps"]
    return settings["stream_maps"]


def test_meltano_gets_the_same() -> None:
    [loader] = YAML(typ="safe").load(snippet("yaml"))["plugins"]["loaders"]
    assert loader["settings"] == [{"name": "stream_maps", "kind": "object"}]
    assert json.loads(loader["config"]["stream_maps"]) == stream_maps()


@pytest.fixture
def waiting(vicai: SandboxProcess) -> list[str]:
    """Invoices that wait for the ERP."""
    fresh(vicai, invoices=4)
    ids = [invoice["internalId"] for invoice in vicai.control.vicai.records("invoices")]
    vicai.control.vicai.touch("invoices", ids, **WAITING)
    return ids


def row(invoice: str, status: str | None, voucher: str | None = None, error: str | None = None) -> Record:
    return {
        "vic_invoice_id": int(invoice),
        "status": status,
        "voucher": voucher,
        "error": error,
        "changed_at": AT,
        "_sdc_lsn": None,
    }


def test_a_table_becomes_confirmations_and_rejections(
    vicai: SandboxProcess, target: Target, waiting: list[str]
) -> None:
    posted, failed, left, unknown = waiting
    reason = "Sąskaita KTO-9300 uždaryta nuo lapkričio 1 d."
    rows = load(
        "public-postings",
        row(posted, "posted", voucher="BILAG-2026-0815"),
        row(failed, "failed", error=reason),
        row(left, "open"),
        row(unknown, None),
    )
    store = Store(vicai)
    run = target([*rows, state(1)], stream_maps=stream_maps())
    assert run.states[-1] == {"n": 1}
    assert sorted(run.writes) == sorted(
        [("POST", f"/invoices/{posted}/confirm"), ("POST", f"/invoices/{failed}/reject")]
    )
    changed = {after["internalId"]: after for _, after in store.change().only(invoices=(0, 2, 0)).changed("invoices")}
    assert changed[posted]["status"] == "POSTED"
    assert (changed[posted]["externalId"], changed[posted]["externalUpdatedAt"]) == ("BILAG-2026-0815", AT)
    assert (changed[failed]["status"], changed[failed]["postingError"]) == ("NOT_READY", reason)
    # The next run brings the same rows, and says nothing.
    again = target([*rows, state(2)], stream_maps=stream_maps())
    assert again.writes == []
    assert [again.counts(name)["unchanged"] for name in ("invoice_confirmations", "invoice_rejections")] == [1, 1]


def test_a_row_that_is_wrong_does_not_keep_up_the_rest(
    vicai: SandboxProcess, target: Target, waiting: list[str]
) -> None:
    no_voucher, no_reason, good, _ = waiting
    rows = load(
        "public-postings",
        row(no_voucher, "posted"),
        row(no_reason, "failed"),
        row("999999", "posted", voucher="BILAG-1"),
        row(good, "posted", voucher="BILAG-2"),
    )
    run = target([*rows, state(1)], expect=1, stream_maps=stream_maps())
    assert run.writes == [("POST", f"/invoices/{good}/confirm")]
    assert run.states[-1] == {"n": 1}
    reasons = "\n".join(sorted(run.reasons))
    assert all(words in reasons for words in ("externalId is missing", "reason is missing", "internalId 999999"))
    assert [message["stream"] for message in run.rejects] == ["public-postings"] * 3
