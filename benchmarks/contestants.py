"""Who is measured: five commands that read the same queue."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ap_sandbox.process import SandboxProcess

TAP = [str(Path(sys.executable).with_name("tap-ivesk"))]
DOCUMENTS, LINES = "exported_documents", "exported_document_lines"


@dataclass(frozen=True)
class Contestant:
    """One command; `ours` may not lose anything, the others are only watched."""

    name: str
    command: list[str]
    """Without the settings, which `Source.command` adds."""
    streams: tuple[str, ...] = ()
    """What `tap-ivesk` is told to select."""

    @property
    def ours(self) -> bool:
        """Whether it is `tap-ivesk`."""
        return bool(self.streams)


OURS = Contestant("tap-ivesk", TAP, (DOCUMENTS,))
WITH_LINES = Contestant("tap-ivesk with lines", TAP, (DOCUMENTS, LINES))
PLAIN = Contestant("plain singer-sdk tap", [sys.executable, "-m", "benchmarks.plain_tap"])
JSON = Contestant("requests + json", [sys.executable, "-m", "benchmarks.bare_loop", "json"])
EXACT = Contestant("requests + msgspec, exact", [sys.executable, "-m", "benchmarks.bare_loop", "msgspec"])
ALL = (OURS, WITH_LINES, PLAIN, JSON, EXACT)


class Source:
    """A sandbox with an exported queue of known length, and the files that point the contestants at it."""

    def __init__(self, sandbox: SandboxProcess, folder: Path, documents: int) -> None:
        self.sandbox = sandbox
        self.documents = documents
        self._folder = folder
        self._config = folder / "config.json"
        self._config.write_text(json.dumps({"api_url": sandbox.ivesk_url, "api_key": sandbox.api_key}))
        self.discovery = [*TAP, "--config", str(self._config), "--discover"]

    def command(self, contestant: Contestant) -> list[str]:
        """Return the whole command line."""
        if contestant.ours:
            catalog = str(self._catalog(contestant.streams))
            return [*contestant.command, "--config", str(self._config), "--catalog", catalog]
        if contestant is PLAIN:
            return [*contestant.command, "--config", str(self._config)]
        return [*contestant.command, str(self._config)]

    def _catalog(self, streams: tuple[str, ...]) -> Path:
        file = self._folder / f"{'+'.join(streams)}.json"
        if not file.exists():
            found = subprocess.run(self.discovery, check=True, capture_output=True).stdout
            file.write_text(json.dumps(_select(json.loads(found), streams)))
        return file


def _select(catalog: dict[str, Any], streams: tuple[str, ...]) -> dict[str, Any]:
    for stream in catalog["streams"]:
        root = next(entry["metadata"] for entry in stream["metadata"] if not entry["breadcrumb"])
        root["selected"] = stream["tap_stream_id"] in streams
    return catalog


@contextmanager
def source(documents: int, **options: Any) -> Iterator[Source]:
    """Start a sandbox whose exported queue holds exactly so many documents."""
    with (
        SandboxProcess(documents, start_seconds=300, **options) as sandbox,
        TemporaryDirectory(prefix="benchmarks-") as folder,
    ):
        # Not every document has been exported, as in life.
        missing = documents - sandbox.control.ivesk(sums=False)["exported"]["count"]
        if missing:
            sandbox.control.add(missing)
        yield Source(sandbox, Path(folder), documents)
