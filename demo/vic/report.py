"""Vic.ai's tables of the report, and what does not tie."""

from collections.abc import Iterator
from pathlib import Path

from demo import acts, pdfs, table
from demo.vic import books, warehouse
from demo.vic.source import Source
from demo.vic.story import Evidence
from demo.vic.streams import FILES, STREAMS

_COLUMNS = 3
# The table by currency tells of these.
_TOLD = ("invoices", "invoice_line_items", "payments", "credits")


def lines(source: Source, there: warehouse.Tables) -> Iterator[str]:
    """Invoices and payments by currency, and how many of everything else there are."""
    yield ""
    yield from table.lines("Vic.ai", ("invoices", "lines", "sum of totals"), books.invoices(source), there.invoices)
    yield ""
    yield from table.lines("Vic.ai", ("payments", "credits", "sum of payments"), books.payments(source), there.payments)
    yield ""
    counts = [
        f"{name:26} {len(source.records[name]):4} {len(there.tables[name].rows):4}"
        for name in STREAMS
        if name not in _TOLD
    ]
    for start in range(0, len(counts), _COLUMNS):
        yield f"  {'   '.join(counts[start : start + _COLUMNS])}"


def differences(evidence: Evidence, there: warehouse.Tables, folder: Path) -> Iterator[str]:
    """Says in a line each what is not as it should be."""
    yield from acts.differences(evidence.acts)
    yield from evidence.surprises
    yield from books.differences(evidence.source, there)
    numbers = [number for number, _ in evidence.source.records["invoices"]]
    yield from pdfs.differences(numbers, there.files, folder, FILES)
