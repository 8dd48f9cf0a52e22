"""A result for people: a table by company, period and currency, and every difference by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from ap_connectors.core.exact import EXACT, counted, money
from ap_connectors.tieout.booking import Pair, balance
from ap_connectors.tieout.result import DIFFERENCE_TYPES, Comparison, Differences, DifferenceType, Result, Row

_AMOUNTS = ("subtotal", "vat", "total")


def lines(result: Result, *, brief: bool = False) -> Iterator[str]:
    """Yield the lines of the page.

    Args:
        result: what to show.
        brief: sums by currency, and of companies and periods only those that differ.
    """
    yield f"{result.source} → {result.destination}"
    for comparison in result.comparisons:
        yield ""
        yield from _comparison(result, comparison, brief)
    yield from _balance(result)
    more = [*result.notes, *result.not_compared]
    yield from ("", *more) if more else ()
    yield ""
    wrong = [one.stream for one in result.comparisons if not one.ties]
    explained = sum(one.count("explained") for one in result.comparisons)
    if wrong:
        yield f"It does NOT tie: {', '.join(wrong)}."
    else:
        told = f", but for {counted(explained, 'record')} rejected" if explained else ""
        count = sum(one.whole.destination.documents for one in result.comparisons)
        rest = "" if result.is_whole else "; not all was compared, see above"
        yield f"It ties{told}: {counted(count, 'record')} of {counted(len(result.comparisons), 'stream')}{rest}."


def _comparison(result: Result, comparison: Comparison, brief: bool) -> Iterator[str]:
    as_of = f", as of {comparison.as_of}" if comparison.as_of else ""
    newer = f"; {comparison.newer} newer left out" if comparison.newer else ""
    whole = comparison.whole
    counts = f"{whole.source.documents} {result.source}, {whole.destination.documents} {result.destination}"
    verdict = "ties" if comparison.ties else "DOES NOT TIE"
    yield f"{comparison.stream}{as_of}: {counts}{newer}: {verdict}"
    if _has_amounts(comparison):
        shown = comparison.currencies() if brief else comparison.rows
        yield from _rows(result, [*shown, *(row for row in comparison.rows if brief and not row.ties)])
    yield from _vat(result, comparison)
    for kind, found in comparison.differences.items():
        yield from _found(comparison, kind, found)
    yield from (f"  {note}" for note in (*comparison.notes, *comparison.not_compared))


def _vat(result: Result, comparison: Comparison) -> Iterator[str]:
    """Yield VAT by code, credit notes as minus; nothing where no line has a code."""
    codes = comparison.booking.vat
    if not any(code for _, code in codes):
        return
    table = [["VAT code", "currency", "without VAT", "VAT", ""]]
    for (currency, code), (bases, vats) in sorted(codes.items()):
        table += _sides(result, [code or "(none)", currency or "-"], bases, vats)
    yield from _table(table, 2)


def _balance(result: Result) -> Iterator[str]:
    """Yield what is owed to vendors by currency."""
    owed = balance(one.booking for one in result.comparisons)
    if not owed:
        return
    yield ""
    yield "Owed to vendors (posted invoices less credit notes and less what is paid):"
    table = [["currency", "AP balance", ""]]
    for currency, pair in owed.items():
        table += _sides(result, [currency or "-"], pair)
    yield from _table(table, 1)


def _sides(result: Result, place: list[str], *pairs: Pair) -> list[list[str]]:
    """Return the rows of one place: one if both sides are the same."""
    ours, theirs = zip(*pairs, strict=True)
    if ours == theirs:
        return [[*place, *map(money, theirs), "ties"]]
    blank = [""] * len(place)
    return [
        [*place, *map(money, ours), result.source],
        [*blank, *map(money, theirs), result.destination],
        [*blank, *(_gap(mine, other) for mine, other in pairs), "DOES NOT TIE"],
    ]


def _has_amounts(comparison: Comparison) -> bool:
    return any(
        getattr(side, name) is not None
        for row in comparison.rows
        for side in (row.source, row.destination)
        for name in _AMOUNTS
    )


def _rows(result: Result, rows: Sequence[Row]) -> Iterator[str]:
    heads = ["company", "period", "currency"]
    two = [name for name in ("documents", "lines") if any(_has(row, name) for row in rows)]
    sums = [name for name in _AMOUNTS if any(_has(row, name) for row in rows)]
    table = [[*heads, *two, *sums, ""]]
    for row in rows:
        ours, theirs = row.source, row.destination
        if row.ties:
            table.append([*_place(row), *(_value(theirs, name) for name in (*two, *sums)), "ties"])
        else:
            table.append([*_place(row), *(_value(ours, name) for name in (*two, *sums)), result.source])
            table.append(["", "", "", *(_value(theirs, name) for name in (*two, *sums)), result.destination])
            gaps = [_gap(getattr(ours, name), getattr(theirs, name)) for name in (*two, *sums)]
            table.append(["", "", "", *gaps, "DOES NOT TIE"])
    yield from _table(table, len(heads))


def _table(table: list[list[str]], heads: int) -> Iterator[str]:
    """Yield the lines of a table whose first columns, `heads` of them, are texts."""
    wide = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for cells in table:
        padded = [
            cell.ljust(wide[number]) if number < heads or number == len(cells) - 1 else cell.rjust(wide[number])
            for number, cell in enumerate(cells)
        ]
        yield f"  {'  '.join(padded)}".rstrip()


def _has(row: Row, name: str) -> bool:
    return getattr(row.source, name) is not None or getattr(row.destination, name) is not None


def _place(row: Row) -> list[str]:
    company, period, currency = row.group
    return [company or "all", period or "all", currency or "-"]


def _value(side: object, name: str) -> str:
    value = getattr(side, name)
    return str(value) if isinstance(value, int) else money(value)


def _gap(ours: int | Decimal | None, theirs: int | Decimal | None) -> str:
    if ours == theirs:
        return ""
    if isinstance(ours, int) or isinstance(theirs, int):
        return f"{int(theirs or 0) - int(ours or 0):+d}"
    gap = money(_minus(theirs, ours))
    return gap if gap.startswith("-") else f"+{gap}"


def _minus(a: Decimal | None, b: Decimal | None) -> Decimal:
    return EXACT.subtract(a or Decimal(0), b or Decimal(0))


def _found(comparison: Comparison, kind: DifferenceType, found: Differences) -> Iterator[str]:
    allowed = " (allowed)" if kind in comparison.allowed else ""
    yield f"  {found.count} {DIFFERENCE_TYPES[kind]}{allowed}:"
    yield from (f"    {difference}" for difference in found.named)
    if found.count > len(found.named):
        yield f"    and {found.count - len(found.named)} more (--named shows more)"
