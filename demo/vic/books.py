"""Does Vic.ai tie? Every field of every record, and the sums by currency."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import msgspec

from demo.books import EXACT, Sums
from demo.vic.source import Fields, Key, Source, key, text
from demo.vic.streams import STREAMS
from demo.vic.warehouse import Table, Tables


def _instant(raw: msgspec.Raw) -> datetime | None:
    """DuckDB's timestamps have no zone, and are in UTC."""
    said = text(raw)
    if said is None:
        return None
    return datetime.fromisoformat(said.replace("Z", "+00:00")).astimezone(timezone.utc).replace(tzinfo=None)


# What a field has to be in a column of each type. The loader keeps an empty text as null.
_AS: Mapping[str, Callable[[msgspec.Raw], Any]] = {
    "VARCHAR": lambda raw: text(raw) or None,
    "TIMESTAMP": _instant,
    "HUGEINT": msgspec.json.decode,
    "BOOLEAN": msgspec.json.decode,
}


def differences(source: Source, there: Tables) -> Iterator[str]:
    """Says in a line each what is not the same."""
    for name, stream in STREAMS.items():
        yield from _stream(name, source.records[name], there.tables[name], stream.key, stream.left_out)
    for what, sums, others in (
        ("invoices", invoices(source), there.invoices),
        ("payments", payments(source), there.payments),
    ):
        for currency in sorted(sums.keys() | others.keys()):
            ours, theirs = sums.get(currency), others.get(currency)
            if ours != theirs:
                yield f"{what} in {currency} do not tie: {ours} at Vic.ai, {theirs} in DuckDB"


def invoices(source: Source) -> dict[str, Sums]:
    """Invoices, their lines and the sum of their totals by currency, exact."""
    lines = Counter(source.parents["invoice_line_items"].values())
    sums: dict[str, Sums] = {}
    for number, record in source.records["invoices"].items():
        _add(sums, text(record["currency"]), Sums(1, lines[number], Decimal(text(record["totalAmount"]) or 0)))
    return sums


def payments(source: Source) -> dict[str, Sums]:
    """Payments, credits and the sum of the payments by currency, exact."""
    sums: dict[str, Sums] = {}
    for record in source.records["payments"].values():
        _add(sums, text(record["currencyId"]), Sums(1, 0, Decimal(text(record["amount"]) or 0)))
    for record in source.records["credits"].values():
        _add(sums, text(record["currencyId"]), Sums(0, 1))
    return sums


def _add(sums: dict[str, Sums], currency: str | None, more: Sums) -> None:
    old = sums.get(currency or "", Sums())
    sums[currency or ""] = Sums(
        old.documents + more.documents, old.lines + more.lines, EXACT.add(old.total, more.total)
    )


def _stream(
    name: str, ours: Mapping[Key, Fields], table: Table, names: tuple[str, ...], left_out: tuple[str, ...]
) -> Iterator[str]:
    theirs: dict[Key, dict[str, Any]] = {}
    seen: Counter[Key] = Counter()
    for row in table.rows:
        own = key(row[field.lower()] for field in names)
        seen[own] += 1
        number = (*own, str(seen[own]))
        theirs[number] = row
    for one, record in ours.items():
        title = f"{name} {' '.join(one[:-1])}"
        if one not in theirs:
            yield f"{title} is not in the warehouse"
            continue
        row = dict(theirs[one])
        for field, raw in record.items():
            if field not in left_out:
                yield from _field(
                    f"{title}: {field}", raw, table.types.get(field.lower()), row.pop(field.lower(), None)
                )
        for column, value in row.items():
            if value is not None:
                yield f"{title}: {column} came from nowhere: {value}"
    for one in theirs.keys() - ours.keys():
        yield f"{name} {' '.join(one[:-1])} is in the warehouse only"


def _field(title: str, raw: msgspec.Raw, kind: str | None, value: Any) -> Iterator[str]:
    if kind is None:
        if text(raw) is not None:
            yield f"{title} has no column"
    elif kind not in _AS:
        # A type that nobody expects may have lost something.
        yield f"{title} is kept as {kind}"
    elif (expected := _AS[kind](raw)) != value:
        yield f"{title} {expected} became {value}"
