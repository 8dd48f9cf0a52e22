"""Meltano with this project's plugins, in a world of its own below `tmp_path`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from demo.meltano import Meltano, install


@pytest.fixture(scope="session")
def installed() -> None:
    install("tap-ivesk", "tap-vicai", "target-duckdb")
    # It wants older libraries than ours.
    install("target-jsonl", constraints=None)


@pytest.fixture
def meltano(installed: None, sandbox: SandboxProcess, tmp_path: Path) -> Callable[..., Meltano]:
    """Makes a `Meltano` that reads the sandbox; its files are in `tmp_path`."""

    def make(**settings: str) -> Meltano:
        return Meltano(
            tmp_path / "meltano",
            tmp_path / "meltano.log",
            {
                "TAP_IVESK_API_URL": sandbox.ivesk_url,
                "TAP_IVESK_API_KEY": sandbox.api_key,
                "TAP_VICAI_API_URL": sandbox.vicai_url,
                "TAP_VICAI_CLIENT_ID": sandbox.client_id,
                "TAP_VICAI_CLIENT_SECRET": sandbox.client_secret,
                "TARGET_DUCKDB_PATH": str(tmp_path / "warehouse.duckdb"),
                "TARGET_JSONL_DESTINATION_PATH": str(tmp_path / "jsonl"),
                **settings,
            },
        )

    return make
