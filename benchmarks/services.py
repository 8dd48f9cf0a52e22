"""The sandbox as the contestants meet it: how much it holds, its address and credentials, a folder for each run."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ap_connectors.sandbox.control_client import VicaiControl
from ap_connectors.sandbox.process import SandboxProcess
from benchmarks.contestants import Contestant
from benchmarks.processes import Run, run

LIMIT = {"rate_requests": 500, "rate_seconds": 10}
"""The limit that Vic.ai states, as options of a sandbox."""
LIMITED = "500 requests in 10 s"


@contextmanager
def empty_folder() -> Iterator[Path]:
    """Make a folder that is removed afterwards."""
    with TemporaryDirectory(prefix="benchmarks-") as folder:
        yield Path(folder)


@dataclass(frozen=True)
class Service:
    """A running sandbox, and the settings that its contestants share, credentials among them."""

    sandbox: SandboxProcess
    settings: Mapping[str, Any]
    _catalogs: dict[str, Any] = field(default_factory=dict)

    @property
    def vic(self) -> VicaiControl:
        """What the sandbox's Vic.ai holds."""
        return self.sandbox.control.vicai

    def line(self, one: Contestant, folder: Path) -> list[str]:
        """Return the whole command line of a contestant that may write to a folder."""
        catalog = None
        if "{catalog}" in one.command:
            catalog = folder / "catalog.json"
            catalog.write_text(json.dumps(self._catalog(one, folder)), encoding="utf-8")
        return one.line(folder, self.settings, catalog)

    @contextmanager
    def ran(self, one: Contestant) -> Iterator[tuple[Run, Path]]:
        """Run a contestant in an empty folder; give what it took, and the folder, where `output` is what it wrote."""
        with empty_folder() as folder:
            yield run(self.line(one, folder), folder / "output"), folder

    def discovery(self, one: Contestant, folder: Path) -> list[str]:
        """Return the command line with which a tap prints its catalog."""
        return [*one.line(folder, self.settings)[:3], "--discover"]

    def _catalog(self, one: Contestant, folder: Path) -> Any:
        if one.command[0] not in self._catalogs:
            found = subprocess.run(self.discovery(one, folder), check=True, capture_output=True)
            self._catalogs[one.command[0]] = json.loads(found.stdout)
        content = self._catalogs[one.command[0]]
        for stream in content["streams"]:
            root = next(entry["metadata"] for entry in stream["metadata"] if not entry["breadcrumb"])
            root["selected"] = stream["tap_stream_id"] in one.streams
        return content


@contextmanager
def ivesk(documents: int, **options: Any) -> Iterator[Service]:
    """Start a sandbox whose exported queue holds exactly so many documents."""
    with SandboxProcess(documents, start_seconds=300, **options) as sandbox:
        # Not every document has been exported, as in life.
        if missing := documents - sandbox.control.ivesk(sums=False)["exported"]["count"]:
            sandbox.control.add(missing)
        yield Service(sandbox, {"api_url": sandbox.ivesk_url, "api_key": sandbox.api_key})


@contextmanager
def vicai(invoices: int = 0, **options: Any) -> Iterator[Service]:
    """Start a sandbox that holds so many invoices; without a limit of requests unless `options` say otherwise."""
    chosen = {"rate_requests": 0, **options}
    with SandboxProcess(0, invoices=invoices, start_seconds=300, vicai=chosen) as sandbox:
        secret = {"client_id": sandbox.client_id, "client_secret": sandbox.client_secret}
        yield Service(sandbox, {"api_url": sandbox.vicai_url, **secret})
