"""A small fleet: twelve companies from one file, one of them with a wrong key; and once more when it is right."""

import json
from typing import Any

from ap_connectors.sandbox.process import SandboxProcess
from demo import commands
from demo.project import Places, Teller
from demo.story import Check

COMPANIES, INVOICES, WRONG = 12, 8, 7
_PIPELINE = "vic-to-warehouse"


def play(places: Places, tell: Teller) -> list[Check]:
    """Run the fleet; return what was checked."""
    with SandboxProcess(0, companies=COMPANIES, invoices=INVOICES) as services:
        fleet = _Fleet(places, services)
        fleet.write(wrong=WRONG)
        tell.command("ap-fleet run")
        tell.begin(f"{COMPANIES} companies")
        done, failed = fleet.run(1)
        tell.end(f"{len(done)} done, {_read(done):,} records; {len(failed)} failed", *map(_words, failed))
        fleet.write()
        tell.begin("with the right key")
        mended, still = fleet.run(0, "--only", services.company(WRONG).id)
        tell.end(f"{_read(mended):,} records of {services.company(WRONG).id}", *map(_words, still))
        return [
            Check("ap-fleet: companies done", len(done), COMPANIES - 1),
            Check("ap-fleet: who failed", [one["company"] for one in failed], [services.company(WRONG).id]),
            Check("ap-fleet: with the right key", [one["status"] for one in mended + still], ["done"]),
        ]


class _Fleet:
    def __init__(self, places: Places, services: SandboxProcess) -> None:
        self._services = services
        self._path = places.file("fleet") / "companies.yml"
        self._path.parent.mkdir()

    def write(self, wrong: int = 0) -> None:
        """Write `companies.yml`; JSON is YAML, too."""
        found = []
        for number in range(1, COMPANIES + 1):
            one = self._services.company(number)
            secret = "not-the-secret" if number == wrong else one.client_secret
            credentials = {"client_id": one.client_id, "client_secret": secret}
            found.append({"id": one.id, "settings": {"tap-vicai": credentials}})
        defaults = {"pipelines": [_PIPELINE], "settings": {"tap-vicai": {"api_url": self._services.vicai_url}}}
        whole = {"warehouse": "warehouses/{company}.duckdb", "defaults": defaults, "companies": found}
        self._path.touch(0o600)
        self._path.write_text(json.dumps(whole, indent=2), encoding="utf-8")

    def run(self, status: int, *arguments: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Run it; return the results that are done, and the others."""
        arguments = ("run", "--companies", str(self._path), "--format=json", *arguments)
        done = commands.run("ap-fleet", *arguments, ends=(0, 1) if status else (0,))
        results = [json.loads(line) for line in done.stdout.splitlines()]
        return [one for one in results if one["status"] == "done"], [one for one in results if one["status"] != "done"]


def _read(results: list[dict[str, Any]]) -> int:
    return sum(one["read"] for one in results)


def _words(result: dict[str, Any]) -> str:
    return f"{result['company']} {result['status']}: {result['error'].removeprefix('tap-vicai: vicai: ')}"
