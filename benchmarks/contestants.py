"""Who is measured, and what it is pointed at."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ap_connectors.sandbox.process import SandboxProcess

HERE = sys.executable
"""The Python that the project is installed in."""
OTHERS = Path(__file__).resolve().parent.parent / ".venv-bench" / "bin"
"""What of other projects is measured lives apart, for its pins are not ours (`make bench` installs it)."""


@dataclass(frozen=True)
class Contestant:
    """One command; `ours` may not lose anything, the others are only watched."""

    name: str
    command: tuple[str, ...]
    """With `{config}`, `{catalog}` and `{folder}` (an empty one to write to) where these belong."""
    streams: tuple[str, ...] = ()
    """What our tap is told to select."""
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Added to the settings that all share."""
    needs: str = ""
    """The package of another project that it needs."""

    @property
    def ours(self) -> bool:
        """Whether it is our tap."""
        return bool(self.streams)

    @property
    def there(self) -> bool:
        """Whether what it needs is installed, and works."""
        return not self.needs or imports(self.needs)


def tap(command: str) -> tuple[str, ...]:
    """Return the command line of one of our taps."""
    return (str(Path(HERE).with_name(command)), "--config", "{config}", "--catalog", "{catalog}")


@functools.cache
def imports(package: str) -> bool:
    """Whether a package of another project is installed, and works."""
    python = OTHERS / "python"
    if not python.exists():
        return False
    return subprocess.run([python, "-c", f"import {package}"], capture_output=True, check=False).returncode == 0


class Source:
    """A running sandbox, and the files that point the contestants at it.

    Args:
        sandbox: whom they read.
        settings: the settings that all of them share, credentials among them.
        discovery: the command of our tap that prints its catalog, without its settings.
        folder: where the files go.
    """

    def __init__(
        self, sandbox: SandboxProcess, settings: Mapping[str, Any], discovery: tuple[str, ...], folder: Path
    ) -> None:
        self.sandbox = sandbox
        self._settings = settings
        self._folder = folder
        self.discovery = [*discovery, "--config", str(self._file("config", settings)), "--discover"]

    def command(self, one: Contestant, folder: Path | None = None) -> list[str]:
        """Return the whole command line; `folder` is where it may write more than its standard output."""
        places = {"config": self._file(f"{one.name}.config", {**self._settings, **one.settings}), "folder": folder}
        if one.streams:
            places["catalog"] = self._file("+".join(one.streams), _select(self._catalog, one.streams))
        return [part.format_map(places) for part in one.command]

    @functools.cached_property
    def _catalog(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(subprocess.run(self.discovery, check=True, capture_output=True).stdout)
        return found

    def _file(self, name: str, content: Any) -> Path:
        file = self._folder / f"{name}.json"
        file.write_text(json.dumps(content), encoding="utf-8")
        return file


def _select(catalog: dict[str, Any], streams: tuple[str, ...]) -> dict[str, Any]:
    for stream in catalog["streams"]:
        root = next(entry["metadata"] for entry in stream["metadata"] if not entry["breadcrumb"])
        root["selected"] = stream["tap_stream_id"] in streams
    return catalog
