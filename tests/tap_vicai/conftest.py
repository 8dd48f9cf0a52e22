"""A sandbox with a Vic.ai company, and the real `tap-vicai` run against it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests.conftest import MakeCatalog, RunTap, catalogs, renewed, runner

INVOICES = 240


@pytest.fixture
def vicai(_sandbox_process: SandboxProcess) -> SandboxProcess:
    """A sandbox of 240 invoices, with the master data, orders and batches that go with them."""
    return renewed(_sandbox_process, documents=0, invoices=INVOICES)


def settings(vicai: SandboxProcess) -> dict[str, Any]:
    return {"client_id": vicai.client_id, "client_secret": vicai.client_secret, "api_url": vicai.vicai_url}


@pytest.fixture
def tap(vicai: SandboxProcess, tmp_path: Path) -> RunTap:
    """Run the real `tap-vicai` as a process."""
    return runner("tap_vicai", tmp_path, settings(vicai))


@pytest.fixture
def catalog() -> MakeCatalog:
    """Make catalogs of `tap-vicai`."""
    return catalogs("tap_vicai")
