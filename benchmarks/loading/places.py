"""Where is loaded to: a sandbox, or the list server; and the files that a run needs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests

from ap_connectors.sandbox.process import SandboxError, SandboxProcess
from benchmarks.loading.contestants import Loader
from benchmarks.loading.list_server import PREFIX


@dataclass(frozen=True)
class Place:
    """A service, and an empty folder for one run."""

    account: Mapping[str, str]
    folder: Path

    @property
    def output(self) -> Path:
        """Where a target's STATE lines go."""
        return self.folder / "output"

    @property
    def rejects(self) -> Path:
        """Where rows are set aside."""
        return self.folder / "rejects.jsonl"

    def command(self, one: Loader) -> list[str]:
        """Return the whole command line."""
        config = self.folder / "config.json"
        settings = {**self.account, **one.settings}
        if one.catches:
            settings["rejects_path"] = str(self.rejects)
        config.write_text(json.dumps(settings), encoding="utf-8")
        return [part.format_map({"config": config, "folder": self.folder}) for part in one.command]


@contextmanager
def sandbox(**options: Any) -> Iterator[tuple[SandboxProcess, Place]]:
    """Start a sandbox without invoices and without a limit, unless `options` say otherwise."""
    with (
        SandboxProcess(0, vicai={"rate_requests": 0, **options}) as process,
        TemporaryDirectory(prefix="benchmarks-") as folder,
    ):
        account = {
            "api_url": process.vicai_url,
            "client_id": process.client_id,
            "client_secret": process.client_secret,
        }
        yield process, Place(account, Path(folder))


class Lists:
    """A running list server."""

    def __init__(self, url: str) -> None:
        self.url = url

    def counts(self) -> dict[str, int]:
        """Tell what was asked: `pages`, `lookups`, `writes`, `others`."""
        with requests.Session() as session:
            session.trust_env = False
            counts: dict[str, int] = session.get(f"{self.url}/counts", timeout=60).json()
        return counts


@contextmanager
def lists(accounts: int) -> Iterator[tuple[Lists, Place]]:
    """Start a list server of so many accounts."""
    command = [sys.executable, "-m", "benchmarks.loading.list_server", str(accounts)]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server,
        TemporaryDirectory(prefix="benchmarks-") as folder,
    ):
        assert server.stdout is not None
        assert server.stdin is not None
        url = server.stdout.readline().strip()
        if not url:
            raise SandboxError("the list server did not start")
        try:
            account = {"api_url": f"{url}{PREFIX}", "client_id": "lists-client", "client_secret": "lists-secret"}
            yield Lists(url), Place(account, Path(folder))
        finally:
            server.stdin.close()
            server.wait()
