"""A result for people: a table by company, period and currency, and every difference by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import partial

from ap_connectors.core.exact import money
from ap_connectors.core.manners import MANNERS
from ap_connectors.tieout.booking import Pair, balance
from ap_connectors.tieout.certificate_words import COUNTED, KINDS, STREAMS, source_of
from ap_connectors.tieout.render_words import WORDS
from ap_connectors.tieout.result import (
    DIFFERENCE_TYPES,
    Comparison,
    Difference,
    Differences,
    DifferenceType,
    Result,
    Row,
)
from ap_connectors.tieout.sentence_words import sentence, told

_AMOUNTS = ("subtotal", "vat", "total")
_COUNTS = ("documents", "lines")
_GROUP = ("company", "period", "currency")


def lines(
    result: Result, *, brief: bool = False, language: str = "en", written: Sequence[tuple[str, bool]] = ()
) -> Iterator[str]:
    """Yield the lines of the page.

    Args:
        result: what to show.
        brief: sums by currency, and of companies and periods only those that differ.
        language: one of `WORDS`.
        written: files that the result was written to, and whether their folder is new.
    """
    return _Told(result, language).lines(brief=brief, written=written)


class _Told:
    """A result, told in one language."""

    def __init__(self, result: Result, language: str) -> None:
        self._result, self._language = result, language
        self._say, self._manner = WORDS[language], MANNERS[language]
        self._tell = partial(sentence, language)
        self._source, self._destination = source_of(result, language), result.destination

    def lines(self, *, brief: bool, written: Sequence[tuple[str, bool]]) -> Iterator[str]:
        """Yield the lines of the page."""
        result, say = self._result, self._say
        yield f"{self._source} → {self._destination}" + f", {result.company}" * bool(result.company)
        for comparison in result.comparisons:
            yield ""
            yield from self._comparison(comparison, brief)
        yield from self._balance()
        more = [*map(self._tell, (*result.notes, *result.not_compared))]
        yield from ("", *more) if more else ()
        yield ""
        for path, is_new in written:
            yield say["written"].format(path) + say["new_folder"] * is_new
        wrong = [self._title(one.stream) for one in result.comparisons if not one.ties]
        explained = sum(one.count("explained") for one in result.comparisons)
        if wrong:
            yield say["wrong"].format(", ".join(wrong))
        else:
            yield say["right"].format(
                explained=say["explained"].format(self._counted("record", explained)) if explained else "",
                records=self._counted("record", sum(one.whole.destination.documents for one in result.comparisons)),
                streams=self._counted("stream", len(result.comparisons)),
                rest="" if result.is_whole else say["rest"],
            )

    def _counted(self, what: str, count: int) -> str:
        return self._say[what] if count == 1 else self._say[f"{what}s"].format(self._number(count))

    def _title(self, stream: str) -> str:
        """Return what people call a stream; in English what the commands call it."""
        if self._language == "en" or stream not in STREAMS:
            return stream
        return STREAMS[stream][[*WORDS].index(self._language)]

    def _comparison(self, comparison: Comparison, brief: bool) -> Iterator[str]:
        whole, say = comparison.whole, self._say
        as_of = say["as_of"].format(self._moment(comparison.as_of)) if comparison.as_of else ""
        newer = say["newer"].format(self._number(comparison.newer)) if comparison.newer else ""
        counts = ", ".join(
            f"{self._number(side.documents)} {name}"
            for side, name in (
                (whole.source, COUNTED.get(self._source, self._source)),
                (whole.destination, self._destination),
            )
        )
        yield f"{self._title(comparison.stream)}{as_of}: {counts}{newer}: {self._verdict(comparison.ties)}"
        if _has_amounts(comparison):
            shown = comparison.currencies() if brief else comparison.rows
            yield from self._rows([*shown, *(row for row in comparison.rows if brief and not row.ties)])
        yield from self._vat(comparison)
        for kind, found in comparison.differences.items():
            yield from self._found(comparison, kind, found)
        yield from (f"  {self._tell(note)}" for note in (*comparison.notes, *comparison.not_compared))

    def _verdict(self, ties: bool) -> str:
        return self._say["ties" if ties else "differs"]

    def _vat(self, comparison: Comparison) -> Iterator[str]:
        """Yield VAT by code, credit notes as minus; nothing where no line has a code."""
        codes = comparison.booking.vat
        if not any(code for _, code in codes):
            return
        table = [[*(self._say[name] for name in ("code", "currency", "base", "tax")), ""]]
        for (currency, code), (bases, vats) in sorted(codes.items()):
            table += self._sides([code or self._say["no_code"], currency or "-"], bases, vats)
        yield from _table(table, 2)

    def _balance(self) -> Iterator[str]:
        """Yield what is owed to vendors by currency."""
        owed = balance(one.booking for one in self._result.comparisons)
        if not owed:
            return
        yield ""
        yield self._say["owed"]
        table = [[self._say["currency"], self._say["balance"], ""]]
        for currency, pair in owed.items():
            table += self._sides([currency or "-"], pair)
        yield from _table(table, 1)

    def _sides(self, place: list[str], *pairs: Pair) -> list[list[str]]:
        """Return the rows of one place: one if both sides are the same."""
        ours, theirs = zip(*pairs, strict=True)
        if ours == theirs:
            return [[*place, *map(self._amount, theirs), self._verdict(ties=True)]]
        blank = [""] * len(place)
        return [
            [*place, *map(self._amount, ours), self._source],
            [*blank, *map(self._amount, theirs), self._destination],
            [*blank, *(self._gap(mine, other) for mine, other in pairs), self._verdict(ties=False)],
        ]

    def _rows(self, rows: Sequence[Row]) -> Iterator[str]:
        names = [name for name in (*_COUNTS, *_AMOUNTS) if any(_has(row, name) for row in rows)]
        table = [[*(self._say[name] for name in (*_GROUP, *names)), ""]]
        for row in rows:
            ours, theirs = row.source, row.destination
            if row.ties:
                table.append(
                    [*self._place(row), *(self._value(theirs, name) for name in names), self._verdict(ties=True)]
                )
            else:
                table.append([*self._place(row), *(self._value(ours, name) for name in names), self._source])
                table.append(["", "", "", *(self._value(theirs, name) for name in names), self._destination])
                gaps = [self._gap(getattr(ours, name), getattr(theirs, name)) for name in names]
                table.append(["", "", "", *gaps, self._verdict(ties=False)])
        yield from _table(table, len(_GROUP))

    def _place(self, row: Row) -> list[str]:
        company, period, currency = row.group
        period = self._say["undated"] if period == "undated" else period
        return [company or self._say["all"], period or self._say["all"], currency or "-"]

    def _found(self, comparison: Comparison, kind: DifferenceType, found: Differences) -> Iterator[str]:
        allowed = self._say["allowed"] if kind in comparison.allowed else ""
        if self._language == "en":
            yield f"  {found.count} {DIFFERENCE_TYPES[kind]}{allowed}:"
        else:
            yield f"  {KINDS[kind][[*WORDS].index(self._language)]}{allowed}: {self._number(found.count)}"
        yield from (f"    {self._difference(difference)}" for difference in found.named)
        if found.count > len(found.named):
            yield f"    {self._say['more'].format(self._number(found.count - len(found.named)))}"

    def _difference(self, one: Difference) -> str:
        return str(Difference(one.key, one.label, told(self._language, one)))

    # Numbers and times, in English as programs that read the table know them

    def _moment(self, instant: str) -> str:
        return instant if self._language == "en" else self._manner.date(instant)

    def _number(self, count: int) -> str:
        return str(count) if self._language == "en" else self._manner.number(count)

    def _amount(self, amount: Decimal | None) -> str:
        return money(amount) if self._language == "en" else self._manner.amount(amount)

    def _value(self, side: object, name: str) -> str:
        value = getattr(side, name)
        return self._number(value) if isinstance(value, int) else self._amount(value)

    def _gap(self, ours: int | Decimal | None, theirs: int | Decimal | None) -> str:
        gap = self._manner.gap(ours, theirs)
        is_count = isinstance(ours, int) or isinstance(theirs, int)
        return gap.replace(",", "") if self._language == "en" and is_count else gap


def _has_amounts(comparison: Comparison) -> bool:
    return any(_has(row, name) for row in comparison.rows for name in _AMOUNTS)


def _has(row: Row, name: str) -> bool:
    return getattr(row.source, name) is not None or getattr(row.destination, name) is not None


def _table(table: list[list[str]], heads: int) -> Iterator[str]:
    """Yield the lines of a table whose first columns, `heads` of them, are texts."""
    wide = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for cells in table:
        padded = [
            cell.ljust(wide[number]) if number < heads or number == len(cells) - 1 else cell.rjust(wide[number])
            for number, cell in enumerate(cells)
        ]
        yield f"  {'  '.join(padded)}".rstrip()
