"""Does it tie? The table that says so, and whatever does not."""

import os
import sys
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path

from demo import books, pdfs, warehouse
from demo.books import Books, Sums
from demo.project import ROOT, shown
from demo.story import Act, Evidence, Places

_MOST = 8
_QUESTION = (
    "select sellername, count(*) as documents, sum(total::decimal(38, 2)) as euros from ivesk.exported_documents "
    "where currency = 'EUR' group by all order by documents desc limit 5"
)


def report(evidence: Evidence, places: Places) -> bool:
    """Prints the comparison of source and warehouse; returns whether everything ties."""
    there = warehouse.read(places.warehouse)
    rows = warehouse.files(places.warehouse)
    print("\n".join(table(evidence.source, there)))
    problems = [
        *_runs(evidence.acts),
        *books.differences(evidence.source, there),
        *pdfs.differences(evidence.source.documents, rows, places.documents),
    ]
    print()
    if problems:
        print(f"It does NOT tie ({len(problems)} differences):")
        print("\n".join(f"  {problem}" for problem in problems[:_MOST]))
        if len(problems) > _MOST:
            print(f"  and {len(problems) - _MOST} more")
    else:
        count = len(there.documents)
        print(
            f"It ties. {count} documents, {there.lines} lines: every amount in DuckDB has the digits that Įvesk sent."
        )
        print(f"{len(pdfs.on_disk(places.documents))} PDFs on disk = {count} documents; all SHA-256 sums are right.")
    print()
    for name, path in (("Warehouse", places.warehouse), ("PDFs", places.documents), ("Meltano", places.log)):
        print(f"  {name:12}{shown(path)}")
    if not problems:
        print(f'\nAsk it something:\n\n  {_command(places.warehouse)} "{_QUESTION}"')
    return not problems


def table(source: Books, there: Books) -> Iterator[str]:
    """The books side by side, a line for each currency."""
    currencies = sorted(
        source.sums.keys() | there.sums.keys(), key=lambda name: -source.sums.get(name, Sums()).documents
    )
    rows = [(name, source.sums.get(name, Sums()), there.sums.get(name, Sums())) for name in currencies]
    wide = max(15, *(len(_money(sums.total)) for _, *sides in rows for sums in sides), 0)
    yield f"            {'documents':>15}   {'lines':>15}   {'sum of totals':>{2 * wide + 2}}"
    sides = f"{'source':>7} {'DuckDB':>7}"
    yield f"  currency  {sides}   {sides}   {'source':>{wide}}  {'DuckDB':>{wide}}"
    for name, ours, theirs in rows:
        verdict = "ties" if ours == theirs else "DOES NOT TIE"
        yield (
            f"  {name:8}  {ours.documents:7} {theirs.documents:7}   {ours.lines:7} {theirs.lines:7}   "
            f"{_money(ours.total):>{wide}}  {_money(theirs.total):>{wide}}  {verdict}"
        )


def _runs(acts: Iterable[Act]) -> Iterator[str]:
    for act in acts:
        for stream, expected in act.expected.items():
            read = act.run.records.get(stream, 0)
            if read != expected:
                yield f"{act.name}: {read} records of {stream} were read, not {expected}"


def _money(amount: Decimal) -> str:
    """At least the cents, and every other digit that is not zero."""
    digits = amount.normalize(books.EXACT).as_tuple().exponent
    return f"{amount:,.{max(2, -int(digits))}f}"


def _command(file: Path) -> str:
    python = Path(sys.executable)
    where = "" if file == Places(ROOT / "output" / "demo").warehouse else f" --file {shown(file)}"
    return f"{os.path.relpath(python) if python.is_relative_to(Path.cwd()) else python} -m demo.sql{where}"
