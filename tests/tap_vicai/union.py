"""What a warehouse would hold after several runs, to be compared with the sandbox's store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ap_connectors.sandbox.process import SandboxProcess
from tests.conftest import MakeCatalog, Run, tap_command
from tests.tap_vicai.conftest import settings
from tests.tap_vicai.test_vicai_streams import STREAMS, as_sent, everything

KEYS = {
    "invoice_line_items": ("invoice_id", "index"),
    "payments": ("id", "batch_id"),
    "credits": ("id", "batch_id"),
    "training_invoices": ("refNumber", "externalUpdatedAt", "issueDate"),
}


class Union:
    """What a warehouse would hold after several runs: of each record the last version."""

    def __init__(self) -> None:
        self.held: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {stream: {} for stream in STREAMS}

    def take(self, run: Run) -> None:
        for stream in STREAMS:
            for record in as_sent(stream, run.records[stream]):
                own = ("internalId",) if "internalId" in record else ("id",)
                key = tuple(record.get(name) for name in KEYS.get(stream, own))
                self.held[stream][key] = record

    def check(self, vicai: SandboxProcess) -> None:
        union = Union()
        union.take(Run(0, "", ""))
        for stream, records in everything(vicai).items():
            if stream == "company":
                continue
            expected = Union()
            run = Run(0, "", "")
            run.records[stream] = records
            expected.take(run)
            assert self.held[stream] == expected.held[stream], stream


def command(vicai: SandboxProcess, folder: Path, catalog: MakeCatalog, state: dict[str, Any] | None) -> list[str]:
    return tap_command(
        folder,
        settings(vicai) | {"invoice_states": ["ALL"], "rate_limit": {"requests": 500, "seconds": 1}},
        state=state,
        catalog=catalog(*STREAMS),
        module="tap_vicai",
    )
