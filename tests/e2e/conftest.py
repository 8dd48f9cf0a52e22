"""Meltano with this project's plugins, in a world of its own below `tmp_path`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from demo import commands
from demo.meltano import Meltano, install
from tests import preloaded


@pytest.fixture(scope="session")
def installed() -> None:
    install("tap-ivesk", "tap-vicai", "target-warehouse")
    # It wants older libraries than ours.
    install("target-jsonl", constraints=None)


class Forked(preloaded.Piped):
    """A Meltano that need not load its libraries first; its output is text, as `commands.spawn` has it."""

    def __init__(self, command: list[str], env: Mapping[str, str]) -> None:
        super().__init__(lambda out: preloaded.start_meltano(command, env, stdout=out, stderr=out))
        self.stdout = TextIOWrapper(self.stdout, encoding="utf-8", errors="replace")  # type: ignore[assignment]


@pytest.fixture(autouse=True, scope="session")
def _forks() -> Iterator[None]:
    """Runs of Meltano are forks of a process that has its libraries loaded."""
    spawn = commands.spawn

    def fork(command: list[str], env: Mapping[str, str], output: Any) -> Any:
        runs = command[0] == commands.path("meltano") and "run" in command
        return Forked(command, env) if runs else spawn(command, env, output)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commands, "spawn", fork)
        yield


@pytest.fixture
def meltano(installed: None, sandbox: SandboxProcess, tmp_path: Path) -> Iterator[Callable[..., Meltano]]:
    """Makes a `Meltano` that reads the sandbox; its files are in `tmp_path`."""
    log = tmp_path / "meltano.log"

    def make(**settings: str) -> Meltano:
        return Meltano(
            tmp_path / "meltano",
            log,
            {
                "TAP_IVESK_API_URL": sandbox.ivesk_url,
                "TAP_IVESK_API_KEY": sandbox.api_key,
                "TAP_VICAI_API_URL": sandbox.vicai_url,
                "TAP_VICAI_CLIENT_ID": sandbox.client_id,
                "TAP_VICAI_CLIENT_SECRET": sandbox.client_secret,
                "TARGET_WAREHOUSE_DATABASE": str(tmp_path / "warehouse.duckdb"),
                "TARGET_JSONL_DESTINATION_PATH": str(tmp_path / "jsonl"),
                **settings,
            },
        )

    yield make
    # Meltano writes into a file what it has in variables, which count for nothing beside that.
    said = log.read_text(encoding="utf-8")
    assert "has no effect here" not in said
    assert "sets nothing" not in said
