"""Does it tie? `ap-tieout` says: both services against the warehouse, and what went into Vic.ai against Vic.ai."""

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ap_connectors.core.exact import money
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
    """What one comparison found, in all and stream by stream."""

    name: str
    ties: bool
    streams: list[Mapping[str, Any]]

    def differences(self) -> Iterator[str]:
        """Yield what does not tie, a line each."""
        for stream in self.streams:
            for kind, found in stream["differences"].items():
                for one in found["named"] if found["counts_against"] else ():
                    name = f"{one['label']} ({one['key']})" if one["label"] else one["key"]
                    yield f"ap-tieout {self.name}, {stream['stream']}, {kind}: {name} {one['words']}"


def compare(places: Places, settings: Mapping[str, str]) -> list[Tie]:
    """Run the comparisons with the jobs' settings; reports and pages are in `tie-*.json`, `tie-*.txt`, `tie-*.html`."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda name: _tie(places, settings, name), COMPARISONS))


def plan(places: Places, settings: Mapping[str, str]) -> None:
    """Write what was set aside as a page, and as another one what would happen if it were loaded again as it is."""
    pages = {"PLAN_PATH": "plan.html", "REPORT_PATH": "rejects.html", "REJECTS_PATH": "still-rejected.jsonl"}
    settings = {**settings, **{f"TARGET_VICAI_{name}": str(places.file(file)) for name, file in pages.items()}}
    rejects = places.file("rejects-vicai.jsonl").read_text(encoding="utf-8")
    commands.run("target-vicai", "--config=ENV", settings={**settings, "TARGET_VICAI_DRY_RUN": "true"}, given=rejects)


def _tie(places: Places, settings: Mapping[str, str], name: str) -> Tie:
    if name == "input-vic":
        given = [*_inputs(places, settings), "--rejects", str(places.file("rejects-vicai.jsonl"))]
    else:
        given = ["--warehouse", str(places.warehouse), "--until", "now", "--fields", "--files"]
    reports = {kind: places.file(f"tie-{name}.{kind}") for kind in ("json", "html", "txt")}
    given += ["--report", str(reports["json"]), "--report", str(reports["html"]), "--brief"]
    reports["txt"].write_text(commands.run("ap-tieout", name, *given, settings=settings, ends=(0, 1)).stdout, "utf-8")
    report = json.loads(reports["json"].read_bytes())
    return Tie(name, report["ties"], report["streams"])


def _inputs(places: Places, settings: Mapping[str, str]) -> list[str]:
    """Write what the jobs had to load into Vic.ai, as Singer messages; return the files."""
    tables = {"VAT_CLASSES": "vat", "ACCOUNTS": "accounts", "OBJECTS": "objects", "VENDOR_TABLE": "vendors"}
    mapping = {
        "COMPANY_CODE": COMPANY,
        "REJECTS_PATH": str(places.file("tie-not-mapped.jsonl")),
        "MAX_REJECTS": "1000",
        **{name: f"{ROOT}/demo/tables/{file}.csv" for name, file in tables.items()},
    }
    given = {name: value for name, value in settings.items() if name.startswith("TAP_IVESK_API_")}
    given |= {"TAP_IVESK_COMPANY_CODES": COMPANY, "TAP_SAFT_PATH": f"{ROOT}/demo/saft"}
    given |= {f"MAPPER_IVESK_VICAI_{name}": value for name, value in mapping.items()}
    documents = commands.run("tap-ivesk", "--config=ENV", settings=given).stdout
    written = {
        "master-data": commands.run("tap-saft", "--config=ENV", settings=given),
        "purchases": commands.run("mapper-ivesk-vicai", "--config=ENV", settings=given, given=documents),
    }
    for name, done in written.items():
        lines = (line for line in done.stdout.splitlines() if json.loads(line).get("stream") in LOADED)
        places.file(f"input-{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return [str(places.file(f"input-{name}.jsonl")) for name in written]


def table(ties: list[Tie]) -> Iterator[str]:
    """Yield the sums of both sides, by stream and currency."""
    streams = {stream["stream"]: stream for tie in ties for stream in tie.streams}
    yield f"{'':46}{'at the source':>18}{'arrived':>18}"
    for name, title in SHOWN.items():
        if stream := streams.get(name):
            heads = iter([f"{stream['documents']['destination']:,} {title}"])
            rows = sorted(stream["currencies"], key=lambda row: (row["ties"], -row["source"]["documents"]))
            counts = [f"{row['source']['documents']:,} {row['currency']}" for row in rows]
            for row, count in zip(rows[:_CURRENCIES], counts, strict=False):
                source, arrived = (money(Decimal(row[side]["total"] or 0)) for side in ("source", "destination"))
                verdict = "ties" if row["ties"] else "DOES NOT TIE"
                yield f"  {next(heads, ''):33}{count:>11}{source:>18}{arrived:>18}  {verdict}"
            if others := counts[_CURRENCIES:]:
                yield f"{'':39}and {', '.join(others)}"
