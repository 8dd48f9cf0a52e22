"""`ap-fleet`: many companies from one sandbox into PostgreSQL, beside `meltano run` in a loop."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from ap_connectors.sandbox.process import SandboxProcess
from benchmarks.contestants import has_postgresql
from benchmarks.processes import HERE, Run, run
from benchmarks.results import Order, Results, Row, progress
from benchmarks.services import empty_folder
from demo import commands
from tests import postgresql

COMPANIES, INVOICES, CHANGED, LOOP = 500, 40, 20, 3
CPU, SECONDS, MEGABYTES = 0.35, 180.0, 1500.0
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


def measured(order: Order) -> Results:
    """Measure a fleet, first with nothing there, then with nothing new, with changes, and with a fifth in trouble."""
    results = Results("ap-fleet", order)
    if "speed" not in order.parts:
        return results
    if not has_postgresql():
        results.absent.append("PostgreSQL")
        return results
    size = order.records or COMPANIES
    rows: list[Row] = []
    with SandboxProcess(0, companies=size, invoices=INVOICES) as sandbox, empty_folder() as folder:
        fleet = _Fleet(folder, sandbox, size)
        progress(f"{size} companies: first run")
        rows.append(fleet.run("first run")[0])
        for number in range(order.rounds):
            progress(f"{size} companies: nothing new, {number + 1} of {order.rounds}")
            rows.append(fleet.run(f"nothing new{f' ({number + 1})' if number else ''}")[0])
        progress(f"{size} companies: {CHANGED} changed invoices each")
        fleet.change()
        changed, found = fleet.run(f"{CHANGED} changed invoices each")
        rows.append(changed)
        results.losses += fleet.lost(found, set())
        progress(f"{size} companies: a fifth in trouble")
        troubled = fleet.trouble()
        row, found = fleet.run(f"a fifth in trouble, {_WAITING} at once", jobs=_WAITING)
        rows.append(row)
        results.losses += fleet.lost(found, troubled)
        progress(f"meltano run, {min(LOOP, size - 1)} companies")
        rows.append(fleet.loop())
    cells = ("companies", "seconds", "cpu_seconds", "cpu_each", "megabytes", "failed")
    results.table("fleet", f"{size} companies of {INVOICES} invoices, 2 at once", cells, rows)
    idle = [row for row in rows if row.name.startswith("nothing new")]
    each, seconds = min(row["cpu_each"] for row in idle), idle[0]["seconds"]
    megabytes = max(row["megabytes"] for row in rows[:-1])
    results.aim(each <= CPU, f"{each:.2f} CPU s a company; aim {CPU}")
    results.aim(seconds < SECONDS, f"{seconds:.0f} s for all; aim < {SECONDS:.0f}")
    results.aim(megabytes < MEGABYTES, f"{megabytes:.0f} MB at most; aim < {MEGABYTES:.0f}")
    return results


class _Fleet:
    """A fleet in a folder, of all companies of a sandbox."""

    def __init__(self, folder: Path, sandbox: SandboxProcess, size: int) -> None:
        self._folder, self._sandbox, self._size = folder, sandbox, size
        self._path = folder / "companies.yml"
        self._url = postgresql.empty_database("fleet")
        self._numbers = range(1, size + 1)
        self._write({})

    def _write(self, secrets: dict[int, str], time_limit: int = _LIMIT, **settings: int) -> None:
        found = []
        for number in self._numbers:
            company = self._sandbox.company(number)
            secret = secrets.get(number, company.client_secret)
            own = {"client_id": company.client_id, "client_secret": secret}
            found.append({"id": company.id, "settings": {"tap-vicai": own}})
        common = {"api_url": self._sandbox.vicai_url, "start_date": _SINCE, "invoice_states": ["ALL"], **settings}
        whole = {
            "warehouse": self._url,
            "time_limit": time_limit,
            "retries": 0,
            "defaults": {"pipelines": [_PIPELINE], "settings": {"tap-vicai": common}},
            "companies": found,
        }
        self._path.touch(0o600)
        self._path.write_text(yaml.safe_dump(whole), encoding="utf-8")

    def run(self, name: str, jobs: int = 2) -> tuple[Row, dict[str, dict[str, Any]]]:
        """Run all companies; return the figures, and the results by company."""
        command = [
            HERE,
            "-m",
            "ap_connectors.fleet",
            "run",
            "--companies",
            str(self._path),
            "--format=json",
            f"--jobs={jobs}",
        ]
        taken = run(command, output := self._folder / "out", may_stop=True, tree=True)
        results = {one["company"]: one for one in map(json.loads, output.read_bytes().splitlines())}
        failed = sum(one["status"] != "done" for one in results.values())
        return _row(name, self._size, taken, failed), results

    def change(self) -> None:
        """Change invoices of every company."""
        for number in self._numbers:
            vic = self._sandbox.company(number).control.vicai
            vic.touch("invoices", [one["internalId"] for one in vic.records("invoices")[:CHANGED]])

    def trouble(self) -> set[str]:
        """Give every fifth company a trouble, and each of the others a change; return those in trouble."""
        self.change()
        secrets: dict[int, str] = {}
        troubled = list(self._numbers)[::5]
        for place, number in enumerate(troubled):
            control = self._sandbox.company(number).control
            match place % 5:
                case 0:
                    secrets[number] = "wrong"
                case 1:
                    control.fault("status", path="/vicai/v0/healthCheck", rate=1, status=403)
                case 2:
                    control.fault("status", path="/vicai/v0/token", rate=1, status=503)
                case 3:
                    self._execute("UPDATE vicai._state SET state = '[]' WHERE company = %s", self._id(number))
                case _:
                    control.fault("slow", path="/vicai/v0/vendors", rate=1, seconds=_HANGS)
        self._write(secrets, **_PATIENCE)
        return {self._id(number) for number in troubled}

    def lost(self, found: dict[str, dict[str, Any]], troubled: set[str]) -> Iterator[str]:
        """Yield the companies that should be complete and are not."""
        loaded = dict(self._execute("SELECT company, count(*) FROM vicai.invoices GROUP BY company"))
        for number in self._numbers:
            id_ = self._id(number)
            result = found.get(id_, {"status": "missing"})
            if (result["status"] == "done") == (id_ in troubled):
                yield f"{id_}: {result['status']}, {result.get('error')}"
            if loaded.get(id_) != INVOICES:
                yield f"{id_}: {loaded.get(id_)} of {INVOICES} invoices"

    def loop(self) -> Row:
        """Measure `meltano run` for a few companies, one after the other, with nothing new."""
        project = self._folder / "meltano"
        export = ["export", "meltano", "--folder", str(project), "--companies", str(self._path)]
        subprocess.run([HERE, "-m", "ap_connectors.fleet", *export], check=True, capture_output=True)
        variables, numbers = {}, self._numbers[1 : LOOP + 1]
        for number in numbers:
            prefix = self._id(number).replace("-", "_").upper()
            variables[f"{prefix}_TAP_VICAI_CLIENT_SECRET"] = self._sandbox.company(number).client_secret
            variables[f"{prefix}_TARGET_WAREHOUSE_DATABASE"] = self._url
        environment = commands.environment(variables)
        jobs = [f"{self._id(number)}--{_PIPELINE}" for number in numbers]

        # The first runs make Meltano's own database and install nothing.
        lines = [[commands.path("meltano"), "run", job] for job in (*jobs, *jobs)]
        runs = [run(line, tree=True, cwd=project, environment=environment) for line in lines][len(jobs) :]
        seconds, cpu = sum(one.seconds for one in runs), sum(one.cpu_seconds for one in runs)
        whole = Run(seconds, cpu, max(one.megabytes for one in runs))
        return _row("meltano run in a loop", len(jobs), whole, 0)

    def _id(self, number: int) -> str:
        return self._sandbox.company(number).id

    def _execute(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        import psycopg  # noqa: PLC0415 - only where it is measured

        with psycopg.connect(self._url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            return list(cursor.fetchall()) if cursor.description else []


def _row(name: str, companies: int, taken: Run, failed: int) -> Row:
    cells = {"companies": companies, "failed": failed, "cpu_each": taken.cpu_seconds / companies}
    return Row(name, {**vars(taken), **cells})
