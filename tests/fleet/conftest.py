"""The real `ap-fleet` run on a `companies.yml` of the test's own, and what became of it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
import yaml

from ap_connectors.sandbox.process import SandboxCompany, SandboxProcess
from tests import preloaded
from tests.postgresql import empty_database, needs_postgresql

VIC = "vic-to-warehouse"
COMPANIES = 8
SIZES = {"documents": 8, "invoices": 10}


class Fleet:
    """A fleet whose files are in a folder of its own: companies `c1`, `c2`, ... are those of the sandbox."""

    def __init__(self, folder: Path, sandbox: SandboxProcess, warehouse: str) -> None:
        self.folder, self.sandbox, self.warehouse = folder, sandbox, warehouse
        self.path = folder / "companies.yml"
        self._reset: set[int] = set()

    def of(self, number: int) -> SandboxCompany:
        """A company of the sandbox, as if just started when it is first asked for."""
        company = self.sandbox.company(number)
        if number not in self._reset:
            self._reset.add(number)
            company.control.clear_faults()
            company.control.reset(**SIZES)
        return company

    def credentials(self, number: int) -> dict[str, Any]:
        company = self.of(number)
        return {"client_id": company.client_id, "client_secret": company.client_secret}

    def name(self, number: int) -> str:
        """What the services call a company, whatever an earlier test has called it."""
        self.of(number)
        return str(self.sandbox.control.companies()[number - 1]["name"])

    def company(self, number: int, **more: Any) -> dict[str, Any]:
        """A company that may read its Vic.ai, as the file has it."""
        return {"id": f"c{number}", "settings": {"tap-vicai": self.credentials(number)}, **more}

    def companies(self, count: int) -> list[dict[str, Any]]:
        return [self.company(number) for number in range(1, count + 1)]

    def write(self, *companies: Any, **top: Any) -> None:
        """Write the file."""
        addresses = {
            **{plugin: {"api_url": self.sandbox.vicai_url} for plugin in ("tap-vicai", "target-vicai")},
            **{plugin: {"api_url": self.sandbox.ivesk_url} for plugin in ("tap-ivesk", "target-ivesk")},
        }
        whole = {
            "warehouse": self.warehouse,
            "retry_pause": 0,
            "defaults": {"pipelines": [VIC], "settings": addresses},
            "companies": list(companies),
        }
        self.path.touch(0o600)
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

    @property
    def written(self) -> str:
        """Everything that the fleet has written into its folder."""
        files = [path for path in (self.folder / "output").rglob("*") if path.is_file()]
        return "\n".join(path.read_bytes().decode(errors="replace") for path in files)

    @contextlib.contextmanager
    def connected(self) -> Iterator[Any]:
        if self.warehouse.startswith("postgresql:"):
            with psycopg.connect(self.warehouse, autocommit=True) as connection:
                yield connection
        else:
            with duckdb.connect(self.folder / self.warehouse) as connection:
                yield connection

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with self.connected() as connection:
            found = connection.execute(statement)
            return list(found.fetchall()) if found.description else []

    def differences(self, number: int) -> set[str]:
        """Streams of which the warehouse and a company's Vic.ai do not have the same records."""
        vic = self.of(number).control.vicai
        posted = {one["internalId"] for one in vic.records("invoices") if one["status"] == "POSTED"}
        wanted = {"invoices": posted} | {
            stream: {one["internalId"] for one in vic.records(stream)} for stream in ("vendors", "accounts")
        }
        return {
            stream
            for stream, ids in wanted.items()
            if sorted(ids)
            != sorted(
                id_ for (id_,) in self.rows(f"SELECT \"internalId\" FROM vicai.{stream} WHERE company = 'c{number}'")
            )
        }


@pytest.fixture(scope="session")
def _companies() -> Iterator[SandboxProcess]:
    with SandboxProcess(0, companies=COMPANIES, invoices=0) as process:
        yield process


@pytest.fixture
def fleet(_companies: SandboxProcess, tmp_path: Path) -> Fleet:
    """A fleet whose companies share a DuckDB file."""
    return Fleet(tmp_path, _companies, "warehouse.duckdb")


@pytest.fixture
def big_fleet(_companies: SandboxProcess, tmp_path: Path) -> Fleet:
    """A fleet whose companies share PostgreSQL."""
    return Fleet(tmp_path, _companies, empty_database("fleet"))


@pytest.fixture
def runs(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Runs of the fleet on Dagster, which takes seconds to load."""
    from tests.fleet import dagster_runs  # noqa: PLC0415

    yield from dagster_runs.of(fleet, monkeypatch)


def children(pid: int) -> list[int]:
    """The processes that one has started."""
    with contextlib.suppress(OSError):
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
    return []


def wait_for(condition: Any, seconds: float = 60) -> Any:
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until
        time.sleep(0.01)
    return found


__all__ = ["needs_postgresql"]
