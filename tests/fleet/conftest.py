"""The real `ap-fleet` run on a `companies.yml` of the test's own, and what became of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from ap_connectors.sandbox.process import SandboxProcess
from tests import preloaded
from tests.conftest import renewed

VIC = "vic-to-warehouse"


class Fleet:
    """A fleet whose files are in a folder of its own."""

    def __init__(self, folder: Path, sandbox: SandboxProcess) -> None:
        self.folder, self.sandbox = folder, sandbox
        self.path = folder / "companies.yml"

    @property
    def credentials(self) -> dict[str, Any]:
        return {"client_id": self.sandbox.client_id, "client_secret": self.sandbox.client_secret}

    def company(self, id_: str, **more: Any) -> dict[str, Any]:
        """A company that may read the sandbox, as the file has it."""
        return {"id": id_, "settings": {"tap-vicai": self.credentials}, **more}

    def write(self, *companies: Any, **top: Any) -> None:
        """Write the file; each company gets a warehouse of its own, for the sandbox is one company."""
        addresses = {
            **{plugin: {"api_url": self.sandbox.vicai_url} for plugin in ("tap-vicai", "target-vicai")},
            **{plugin: {"api_url": self.sandbox.ivesk_url} for plugin in ("tap-ivesk", "target-ivesk")},
        }
        whole = {
            "warehouse": "{company}.duckdb",
            "retry_pause": 0,
            "defaults": {"pipelines": [VIC], "settings": addresses},
            "companies": list(companies),
        }
        self.path.write_text(yaml.safe_dump(whole | top, sort_keys=False, allow_unicode=True), encoding="utf-8")

    def command(self, *arguments: str) -> list[str]:
        name, *others = arguments
        return [sys.executable, "-m", "ap_connectors.fleet", name, "--companies", str(self.path), *others]

    def ask(self, *arguments: str, env: Mapping[str, str] | None = None, expect: int = 0) -> str:
        """Run a command; return what it printed, errors last."""
        done = self.done(*arguments, env=env)
        said = (done.stdout + done.stderr).decode()
        assert done.returncode == expect, said
        return said

    def done(self, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[bytes]:
        return preloaded.run(self.command(*arguments), env=env)

    def run(self, *arguments: str, env: Mapping[str, str] | None = None, expect: int = 0) -> dict[str, dict[str, Any]]:
        """Run a batch; return the results by company, or by company and pipeline where there are several."""
        done = self.done("run", "--format=json", *arguments, env=env)
        assert done.returncode == expect, (done.stdout + done.stderr).decode()
        results = [json.loads(line) for line in done.stdout.splitlines()]
        several = len({result["company"] for result in results}) < len(results)
        return {f"{one['company']} {one['pipeline']}" if several else one["company"]: one for one in results}

    def rows(self, company: str, statement: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(self.folder / f"{company}.duckdb", read_only=True) as connection:
            return list(connection.execute(statement).fetchall())

    def is_complete(self, company: str) -> bool:
        """Whether a company's warehouse has all invoices of the service, and no other."""
        store = {
            one["internalId"] for one in self.sandbox.control.vicai.records("invoices") if one["status"] == "POSTED"
        }
        rows = [row[0] for row in self.rows(company, 'SELECT "internalId" FROM vicai.invoices')]
        return sorted(rows) == sorted(store)


Write = Callable[..., None]


@pytest.fixture
def fleet(_sandbox_process: SandboxProcess, tmp_path: Path) -> Fleet:
    return Fleet(tmp_path, renewed(_sandbox_process, documents=20, invoices=30))
