"""`ap-fleet`: many companies from one sandbox into PostgreSQL, beside `meltano run` in a loop."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ap_connectors.sandbox.process import SandboxProcess
from benchmarks.contestants import has_postgresql
from benchmarks.processes import HERE, Run, run
from benchmarks.results import Results, Row, progress
from benchmarks.services import empty_folder
from demo import commands
from tests import postgresql

COMPANIES, INVOICES, CHANGED, LOOP = 500, 40, 20, 3
CPU, SECONDS, MEGABYTES = 0.35, 180.0, 1500.0
_COMMAND = [HERE, "-m", "ap_connectors.fleet"]
_PIPELINE = "vic-to-warehouse"
_SINCE = "2026-01-01"
_LIMIT = 60
"""Seconds that a company may take; many times what one takes on a machine that does something else, too."""
_PATIENCE = {"time_limit": 20, "request_timeout": 2}
"""The same, and seconds that a request may take, where a fifth is in trouble: waiting would be measured otherwise."""
_WAITING = 8
"""Companies at once where some only wait; else two."""
_HANGS = 30
"""Seconds that a request hangs."""


def speed(results: Results) -> None:
    """Measure a fleet, first with nothing there, then with nothing new, with changes, and with a fifth in trouble."""
    if not has_postgresql():
        results.absent.append("PostgreSQL")
        return
    size, rounds = results.order.records or COMPANIES, results.order.rounds
    with SandboxProcess(0, companies=size, invoices=INVOICES) as sandbox, empty_folder() as folder:
        fleet = _Fleet(folder, sandbox, size)
        idle_names = [f"nothing new{f' ({number + 1})' if number else ''}" for number in range(rounds)]
        first, *idle = [fleet.run(name)[0] for name in ("first run", *idle_names)]
        fleet.change()
        changed, found = fleet.run(f"{CHANGED} changed invoices each")
        results.losses += fleet.lost(found, set())
        troubled = fleet.trouble()
        trouble, found = fleet.run(f"a fifth in trouble, {_WAITING} at once", jobs=_WAITING)
        results.losses += fleet.lost(found, troubled)
        rows = [first, *idle, changed, trouble, fleet.loop()]
    cells = ("companies", "seconds", "cpu_seconds", "cpu_each", "megabytes", "failed")
    results.table("fleet", f"{size} companies of {INVOICES} invoices, 2 at once", cells, rows)
    each, seconds = min(row["cpu_each"] for row in idle), idle[0]["seconds"]
    megabytes = max(row["megabytes"] for row in rows[:-1])
    results.aim(each <= CPU, f"{each:.2f} CPU s a company; aim {CPU}")
    results.aim(seconds < SECONDS, f"{seconds:.0f} s for all; aim < {SECONDS:.0f}")
    results.aim(megabytes < MEGABYTES, f"{megabytes:.0f} MB at most; aim < {MEGABYTES:.0f}")


class _Fleet:
    """A fleet in a folder, of all companies of a sandbox."""

    def __init__(self, folder: Path, sandbox: SandboxProcess, size: int) -> None:
        self._folder, self._companies = folder, [sandbox.company(number) for number in range(1, size + 1)]
        self._path = folder / "companies.yml"
        self._url = postgresql.empty_database("fleet")
        self._write({})

    def _write(self, secrets: dict[str, str], time_limit: int = _LIMIT, **settings: int) -> None:
        """Write `companies.yml` (JSON is YAML, too), some companies with other secrets."""
        common = {"api_url": self._companies[0].vicai_url, "start_date": _SINCE, "invoice_states": ["ALL"], **settings}
        found: list[dict[str, Any]] = []
        for one in self._companies:
            own = {"client_id": one.client_id, "client_secret": secrets.get(one.id, one.client_secret)}
            found.append({"id": one.id, "settings": {"tap-vicai": own}})
        whole = {
            "warehouse": self._url,
            "time_limit": time_limit,
            "retries": 0,
            "defaults": {"pipelines": [_PIPELINE], "settings": {"tap-vicai": common}},
            "companies": found,
        }
        self._path.touch(0o600)
        self._path.write_text(json.dumps(whole), encoding="utf-8")

    def run(self, name: str, jobs: int = 2) -> tuple[Row, dict[str, dict[str, Any]]]:
        """Run all companies; return the figures, and the results by company."""
        progress(f"{len(self._companies)} companies: {name}")
        command = [*_COMMAND, "run", f"--companies={self._path}", "--format=json", f"--jobs={jobs}"]
        taken = run(command, output := self._folder / "out", may_stop=True, tree=True)
        results = {one["company"]: one for one in map(json.loads, output.read_bytes().splitlines())}
        failed = sum(one["status"] != "done" for one in results.values())
        return _row(name, len(self._companies), taken, failed), results

    def change(self) -> None:
        """Change invoices of every company."""
        for one in self._companies:
            vic = one.control.vicai
            vic.touch("invoices", [invoice["internalId"] for invoice in vic.records("invoices")[:CHANGED]])

    def trouble(self) -> set[str]:
        """Give every fifth company a trouble, and each of the others a change; return those in trouble."""
        self.change()
        secrets: dict[str, str] = {}
        troubled = self._companies[::5]
        for place, one in enumerate(troubled):
            match place % 5:
                case 0:
                    secrets[one.id] = "wrong"
                case 1:
                    one.control.fault("status", path="/vicai/v0/healthCheck", rate=1, status=403)
                case 2:
                    one.control.fault("status", path="/vicai/v0/token", rate=1, status=503)
                case 3:
                    self._execute("UPDATE vicai._state SET state = '[]' WHERE company = %s", one.id)
                case _:
                    one.control.fault("slow", path="/vicai/v0/vendors", rate=1, seconds=_HANGS)
        self._write(secrets, **_PATIENCE)
        return {one.id for one in troubled}

    def lost(self, found: dict[str, dict[str, Any]], troubled: set[str]) -> Iterator[str]:
        """Yield the companies that should be complete and are not."""
        loaded = dict(self._execute("SELECT company, count(*) FROM vicai.invoices GROUP BY company"))
        for one in self._companies:
            result = found.get(one.id, {"status": "missing"})
            if (result["status"] == "done") == (one.id in troubled):
                yield f"{one.id}: {result['status']}, {result.get('error')}"
            if loaded.get(one.id) != INVOICES:
                yield f"{one.id}: {loaded.get(one.id)} of {INVOICES} invoices"

    def loop(self) -> Row:
        """Measure `meltano run` for a few companies, one after the other, with nothing new."""
        few, project, variables = (
            self._companies[1 : LOOP + 1],
            self._folder / "meltano",
            {"TARGET_WAREHOUSE_DATABASE": self._url},
        )
        progress(f"meltano run, {len(few)} companies")
        export = [*_COMMAND, "export", "meltano", f"--folder={project}", f"--companies={self._path}"]
        subprocess.run(export, check=True, capture_output=True)
        for one in few:
            prefix = one.id.replace("-", "_").upper()
            variables[f"{prefix}_TAP_VICAI_CLIENT_SECRET"] = one.client_secret
        environment = commands.environment(variables)
        lines = [[commands.path("meltano"), "run", f"{one.id}--{_PIPELINE}"] for one in few]
        # The first runs make Meltano's own database and install nothing.
        runs = [run(line, tree=True, cwd=project, environment=environment) for line in lines * 2][len(few) :]
        seconds, cpu = sum(one.seconds for one in runs), sum(one.cpu_seconds for one in runs)
        return _row("meltano run in a loop", len(few), Run(seconds, cpu, max(one.megabytes for one in runs)), 0)

    def _execute(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        import psycopg  # noqa: PLC0415 - only where it is measured

        with psycopg.connect(self._url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            return list(cursor.fetchall()) if cursor.description else []


def _row(name: str, companies: int, taken: Run, failed: int) -> Row:
    cells = {"companies": companies, "failed": failed, "cpu_each": taken.cpu_seconds / companies}
    return Row(name, {**vars(taken), **cells})
