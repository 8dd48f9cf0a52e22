"""Does it tie? The tables that say so, and whatever does not."""

import os
import sys
from pathlib import Path

from demo import acts, books, hooks, pdfs, table, warehouse
from demo.acts import Places
from demo.erp import report as erp
from demo.pipes import report as pipes
from demo.project import ROOT, shown
from demo.story import Evidence
from demo.vic import report as vic
from demo.vic import warehouse as vic_warehouse

_MOST = 8
_QUESTION = (
    "select sellername, count(*) as documents, sum(total::decimal(38, 2)) as euros from ivesk.exported_documents "
    "where currency = 'EUR' group by all order by documents desc limit 5"
)


def report(evidence: Evidence, places: Places) -> bool:
    """Prints the comparison of both services and the warehouse, and of the ERP; returns whether everything ties."""
    there = warehouse.read(places.warehouse)
    rows = warehouse.files(places.warehouse)
    theirs = vic_warehouse.read(places.warehouse)
    heads = ("documents", "lines", "sum of totals")
    print("\n".join(table.lines("Įvesk", heads, evidence.source.sums, there.sums)))
    print("\n".join(vic.lines(evidence.vic.source, theirs)))
    print("\n".join(erp.lines(evidence.erp)))
    print("\n".join(pipes.lines(evidence.pipes)))
    problems = [
        *acts.differences(evidence.acts),
        *books.differences(evidence.source, there),
        *pdfs.differences(evidence.source.documents, rows, places.ivesk_documents),
        *hooks.differences(evidence.hooks),
        *vic.differences(evidence.vic, theirs, places.vic_documents),
        *erp.differences(evidence.erp),
        *pipes.differences(evidence.pipes),
    ]
    print()
    if problems:
        print(f"It does NOT tie ({len(problems)} differences):")
        print("\n".join(f"  {problem}" for problem in problems[:_MOST]))
        if len(problems) > _MOST:
            print(f"  and {len(problems) - _MOST} more")
    else:
        count, records = len(there.documents), sum(len(one) for one in evidence.vic.source.records.values())
        print(
            f"It ties. Įvesk: {count} documents and {there.lines} lines, every amount in DuckDB with the digits sent."
        )
        print(f"Vic.ai: {records} records of {len(evidence.vic.source.records)} streams, every field the same.")
        print(erp.summary(evidence.erp))
        print(pipes.summary(evidence.pipes))
        files = len(pdfs.on_disk(places.documents))
        print(f"{files} PDFs on disk = {count} documents + {len(theirs.files)} invoices; all SHA-256 sums are right.")
    print()
    for name, path in (
        ("Warehouse", places.warehouse),
        ("PDFs", places.documents),
        ("Meltano", places.log),
        ("ERP", places.erp),
        ("Pipelines", places.pipes),
    ):
        print(f"  {name:12}{shown(path)}")
    if not problems:
        print(f'\nAsk it something:\n\n  {_command(places.warehouse)} "{_QUESTION}"')
    return not problems


def _command(file: Path) -> str:
    python = Path(sys.executable)
    where = "" if file == Places(ROOT / "output" / "demo").warehouse else f" --file {shown(file)}"
    return f"{os.path.relpath(python) if python.is_relative_to(Path.cwd()) else python} -m demo.sql{where}"
