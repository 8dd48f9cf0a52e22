"""A small fleet: twelve companies from one list, one of them with a wrong key; and once more when it is right."""

import json
from typing import Any

from ap_connectors.sandbox.process import SandboxCompany, SandboxProcess
from demo import commands
from demo.project import ROOT, Places, Teller
from demo.story import Check

COMPANIES, INVOICES, WRONG = 12, 8, 7
_LIST = ROOT / "demo" / "companies" / "companies.csv"

Results = list[dict[str, Any]]


def play(places: Places, tell: Teller) -> list[Check]:
    """Run the fleet; return what was checked."""
    with SandboxProcess(0, companies=COMPANIES, invoices=INVOICES) as services:
        wrong = services.company(WRONG)
        _write(places, services, wrong)
        tell.command("ap-fleet run")
        tell.begin(f"{COMPANIES} companies")
        done, failed = _run(places, 1)
        tell.end(f"{len(done)} done, {_read(done):,} records; {len(failed)} failed", *map(_words, failed))
        _write(places, services)
        tell.begin("with the right key")
        mended, still = _run(places, 0, "--only", wrong.id)
        tell.end(f"{_read(mended):,} records of {wrong.id}", *map(_words, still))
    return [
        Check("ap-fleet: companies done", len(done), COMPANIES - 1),
        Check("ap-fleet: who failed", [one["company"] for one in failed], [wrong.id]),
        Check("ap-fleet: with the right key", [one["status"] for one in mended + still], ["done"]),
    ]


def _write(places: Places, services: SandboxProcess, wrong: SandboxCompany | None = None) -> None:
    """Write `companies.yml` (JSON is YAML, too) and the list of companies, one of them with a wrong secret."""
    listed = _LIST.read_text(encoding="utf-8")
    whole = {
        "warehouse": "warehouses/{company}.duckdb",
        "defaults": {"pipelines": ["vic-to-warehouse"], "settings": {"tap-vicai": {"api_url": services.vicai_url}}},
        "companies": {"csv": _LIST.name},
    }
    texts = {
        _LIST.name: listed.replace(wrong.client_secret, "not-the-secret") if wrong else listed,
        "companies.yml": json.dumps(whole, indent=2),
    }
    places.file("fleet").mkdir(exist_ok=True)
    for name, text in texts.items():
        path = places.file("fleet") / name
        path.touch(0o600)
        path.write_text(text, encoding="utf-8")


def _run(places: Places, status: int, *arguments: str) -> tuple[Results, Results]:
    """Run it; return the results that are done, and the others."""
    companies = str(places.file("fleet") / "companies.yml")
    done = commands.run("ap-fleet", "run", f"--companies={companies}", "--format=json", *arguments, ends={0, status})
    results = [json.loads(line) for line in done.stdout.splitlines()]
    return [one for one in results if one["status"] == "done"], [one for one in results if one["status"] != "done"]


def _read(results: Results) -> int:
    return sum(one["read"] for one in results)


def _words(result: dict[str, Any]) -> str:
    return f"{result['company']} {result['status']}: {result['error'].removeprefix('tap-vicai: vicai: ')}"
