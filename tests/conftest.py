"""What all tests share: a sandbox with fresh data, and the real commands run against it."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests import campaign, preloaded

DOCUMENTS = 300

WAITING = ("fleet", "http", "webhooks")
"""Rooms whose tests wait more than they compute."""

PLUGINS = (
    "tap_ivesk",
    "tap_vicai",
    "tap_saft",
    "tap_rejects",
    "tap_webhooks",
    "target_vicai",
    "target_ivesk",
    "target_warehouse",
    "mapper_ivesk_vicai",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    campaign.thin(items)
    turns = _turns(list(dict.fromkeys(item.path for item in items)))
    # What takes a minute on one worker begins at once.
    items.sort(key=lambda item: (item.get_closest_marker("e2e") is None, turns[item.path]))


def _turns(files: Sequence[Path]) -> dict[Path, float]:
    """Return when each file's turn comes, 0 to 1: those that wait run beside those that compute, and end before."""
    waiting = [file for file in files if file.parent.name in WAITING]
    computing = [file for file in files if file.parent.name not in WAITING]
    return {
        file: share * place / len(some)
        for some, share in ((waiting, 0.7), (computing, 1.0))
        for place, file in enumerate(some)
    }


@pytest.fixture(scope="session")
def _sandbox_process() -> Iterator[SandboxProcess]:
    with SandboxProcess(documents=0) as process:
        yield process


@pytest.fixture
def sandbox(_sandbox_process: SandboxProcess) -> SandboxProcess:
    """A sandbox of 300 documents as if just started, without faults, calls or changed options."""
    return renewed(_sandbox_process, documents=DOCUMENTS)


def renewed(sandbox: SandboxProcess, **setup: Any) -> SandboxProcess:
    """The sandbox with new data, as if just started; a start takes ten times as long."""
    sandbox.control.reset(**setup)
    return sandbox


class Run:
    """What a tap printed and how it ended. Numbers are `Decimal`s with the digits that were printed."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err
        self.lines = out.removesuffix("\n").split("\n") if out else []
        self.messages = [json.loads(line, parse_float=Decimal) for line in self.lines if line.startswith("{")]
        self.records: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.schemas: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.states: list[dict[str, Any]] = []
        for message in self.messages:
            if message["type"] == "RECORD":
                self.records[message["stream"]].append(message["record"])
            elif message["type"] == "SCHEMA":
                self.schemas[message["stream"]].append(message["schema"])
            elif message["type"] == "STATE":
                self.states.append(message["value"])

    @classmethod
    def of(cls, done: subprocess.CompletedProcess[bytes]) -> Run:
        return cls(done.returncode, done.stdout.decode(), done.stderr.decode())

    @property
    def state(self) -> dict[str, Any]:
        return self.states[-1]

    @property
    def complaints(self) -> list[str]:
        """The log's ERROR lines, without time and logger."""
        return [line.split(" | ")[-1].strip() for line in self.err.splitlines() if "| ERROR" in line]

    def ids(self, stream: str = "exported_documents") -> list[str]:
        return [record["id"] for record in self.records[stream]]


RunTap = Callable[..., Run]


def runner(module: str, folder: Path, defaults: dict[str, Any]) -> RunTap:
    """Make what runs a real command: `tap(state=..., catalog=..., start_date=...)`; other keywords are settings."""

    def run(
        *arguments: str,
        state: dict[str, Any] | None = None,
        catalog: dict[str, Any] | None = None,
        env: dict[str, str] | None = None,
        expect: int | None = 0,
        **settings: Any,
    ) -> Run:
        command = tap_command(folder, defaults | settings, state=state, catalog=catalog, module=module)
        done = preloaded.run([*command, *arguments], env=env)
        assert expect in {None, done.returncode}, done.stderr.decode()[-3000:]
        return Run.of(done)

    return run


@pytest.fixture
def tap(sandbox: SandboxProcess, tmp_path: Path) -> RunTap:
    """Run the real `tap-ivesk` as a process."""
    return runner("tap_ivesk", tmp_path, {"api_key": sandbox.api_key, "api_url": sandbox.ivesk_url})


def tap_command(
    folder: Path,
    settings: dict[str, Any],
    *,
    state: dict[str, Any] | None = None,
    catalog: dict[str, Any] | None = None,
    module: str = "tap_ivesk",
) -> list[str]:
    command = [sys.executable, "-m", module]
    files = {"config": {k: v for k, v in settings.items() if v is not None}, "state": state, "catalog": catalog}
    for option, content in files.items():
        if content is not None:
            path = folder / f"{option}.json"
            path.touch(0o600)
            path.write_text(json.dumps(content), encoding="utf-8")
            command += [f"--{option}", str(path)]
    return command


@functools.cache
def discovered(module: str) -> str:
    command = [sys.executable, "-m", module, "--discover"]
    done = preloaded.run(command)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    return done.stdout.decode()


MakeCatalog = Callable[..., dict[str, Any]]


def catalogs(module: str) -> MakeCatalog:
    """Make catalogs of the real discovery: `catalog("columns", without=(("columns", "code"),))`."""

    def make(*selected: str, without: tuple[tuple[str, str], ...] = ()) -> dict[str, Any]:
        catalog: dict[str, Any] = json.loads(discovered(module))
        for stream in catalog["streams"]:
            for entry in stream["metadata"]:
                if not entry["breadcrumb"]:
                    entry["metadata"]["selected"] = stream["tap_stream_id"] in selected
                elif (stream["tap_stream_id"], entry["breadcrumb"][-1]) in without:
                    entry["metadata"]["selected"] = False
        return catalog

    return make


@pytest.fixture
def catalog() -> MakeCatalog:
    """Make catalogs of `tap-ivesk`."""
    return catalogs("tap_ivesk")
