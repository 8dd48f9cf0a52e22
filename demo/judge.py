"""Does it tie? `ap-tieout` says: both services against the warehouse, and what went into Vic.ai against Vic.ai."""

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ap_connectors.core.exact import money
from ap_connectors.sandbox.process import SandboxProcess
from demo import commands
from demo.project import ROOT, Places
from demo.story import COMPANY

COMPARISONS = ("ivesk-warehouse", "vic-warehouse", "input-vic")
SHOWN = {
    "exported_documents": "documents, Įvesk → DuckDB",
    "invoices": "invoices, Vic.ai → DuckDB",
    "training_invoices": "purchases, Įvesk → Vic.ai",
}
"""Streams whose sums are shown."""
LOADED = ("accounts", "dimensions", "vat_codes", "vendors", "training_invoices")
"""Streams that the jobs load into Vic.ai."""
_CURRENCIES = 3
"""Currencies of a stream whose sums are shown; the others are named."""


@dataclass(frozen=True)
class Tie:
    """What one comparison found: its report."""

    name: str
    report: Mapping[str, Any]

    def streams(self) -> list[Mapping[str, Any]]:
        """Return what was compared, stream by stream."""
        return list(self.report["streams"])

    def differences(self) -> Iterator[str]:
        """Yield what does not tie, a line each."""
        for stream in self.streams():
            for kind, found in stream["differences"].items():
                for one in found["named"] if found["counts_against"] else ():
                    name = f"{one['label']} ({one['key']})" if one["label"] else one["key"]
                    yield f"ap-tieout {self.name}, {stream['stream']}, {kind}: {name} {one['words']}"


def compare(places: Places, services: SandboxProcess) -> list[Tie]:
    """Run the comparisons; their reports and pages are in `tie-*.json`, `tie-*.txt` and `tie-*.html`."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda name: _tie(places, services, name), COMPARISONS))


def plan(places: Places, services: SandboxProcess) -> None:
    """Write what was set aside as a page, and as another one what would happen if it were loaded again as it is."""
    settings = {
        **{"api_url": services.vicai_url, "client_id": services.client_id, "client_secret": services.client_secret},
        **{"dry_run": True, "bank_changes": "hold", "max_rejects": 1000},
        **{"plan_path": str(places.file("plan.html")), "report_path": str(places.file("rejects.html"))},
        **{"ledger_path": str(places.file("ledger-vicai.jsonl"))},
    }
    rejects = places.file("rejects-vicai.jsonl").read_text(encoding="utf-8")
    commands.run("target-vicai", "--config", _settings(places, "plan-settings", settings), given=rejects)


def _tie(places: Places, services: SandboxProcess, name: str) -> Tie:
    ivesk = {"api_url": services.ivesk_url, "api_key": services.api_key}
    vic = {"api_url": services.vicai_url, "client_id": services.client_id, "client_secret": services.client_secret}
    if name == "input-vic":
        given = [*_inputs(places, ivesk), "--rejects", str(places.file("rejects-vicai.jsonl"))]
    else:
        given = ["--warehouse", str(places.warehouse), "--until", "now", "--fields", "--files"]
    config = _settings(places, f"tie-{name}-settings", ivesk if name == "ivesk-warehouse" else vic)
    report, certificate = places.file(f"tie-{name}.json"), places.file(f"tie-{name}.html")
    given += ["--config", config, "--report", str(report), "--report", str(certificate)]
    page = commands.run("ap-tieout", name, *given, "--brief", ends=(0, 1)).stdout
    places.file(f"tie-{name}.txt").write_text(page, encoding="utf-8")
    return Tie(name, json.loads(report.read_bytes()))


def _inputs(places: Places, ivesk: Mapping[str, str]) -> list[str]:
    """Write what the jobs had to load into Vic.ai, as Singer messages; return the files."""
    tables = {
        "vat_classes": "vat.csv",
        "accounts": "accounts.csv",
        "objects": "objects.csv",
        "vendor_table": "vendors.csv",
    }
    mapping = {
        "company_code": COMPANY,
        "rejects_path": str(places.file("tie-not-mapped.jsonl")),
        "max_rejects": 1000,
        **{name: str(ROOT / "demo" / "tables" / table) for name, table in tables.items()},
    }
    saft = _settings(places, "tie-saft", {"path": str(ROOT / "demo" / "saft")})
    bought = _settings(places, "tie-ivesk", {**ivesk, "company_codes": [COMPANY]})
    documents = commands.run("tap-ivesk", "--config", bought).stdout
    written = {
        "master-data": commands.run("tap-saft", "--config", saft).stdout,
        "purchases": commands.run(
            "mapper-ivesk-vicai", "--config", _settings(places, "tie-mapper", mapping), given=documents
        ).stdout,
    }
    for name, messages in written.items():
        lines = (line for line in messages.splitlines() if json.loads(line).get("stream") in LOADED)
        places.file(f"input-{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return [str(places.file(f"input-{name}.jsonl")) for name in written]


def _settings(places: Places, name: str, settings: Mapping[str, Any]) -> str:
    file = places.file(f"{name}.json")
    file.write_text(json.dumps(settings, ensure_ascii=False, indent=2), encoding="utf-8")
    return str(file)


def table(ties: list[Tie]) -> Iterator[str]:
    """Yield the sums of both sides, by stream and currency."""
    streams = {stream["stream"]: stream for tie in ties for stream in tie.streams()}
    yield f"{'':46}{'at the source':>18}{'arrived':>18}"
    for name, title in SHOWN.items():
        if stream := streams.get(name):
            heads = iter([f"{stream['documents']['destination']:,} {title}"])
            rows = sorted(stream["currencies"], key=lambda row: (row["ties"], -row["source"]["documents"]))
            for row in rows[:_CURRENCIES]:
                source, arrived = (money(Decimal(row[side]["total"] or 0)) for side in ("source", "destination"))
                verdict = "ties" if row["ties"] else "DOES NOT TIE"
                count = f"{row['source']['documents']:,} {row['currency']}"
                yield f"  {next(heads, ''):33}{count:>11}{source:>18}{arrived:>18}  {verdict}"
            others = [f"{row['source']['documents']} {row['currency']}" for row in rows[_CURRENCIES:]]
            if others:
                yield f"{'':39}and {', '.join(others)}"
