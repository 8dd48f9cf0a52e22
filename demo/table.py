"""The sums of both sides, side by side."""

from collections.abc import Iterator, Mapping
from decimal import Decimal

from demo.books import EXACT, Sums


def lines(
    service: str, heads: tuple[str, str, str], source: Mapping[str, Sums], there: Mapping[str, Sums]
) -> Iterator[str]:
    """A line for each currency; `heads` name what `documents`, `lines` and `total` of the sums are."""
    currencies = sorted(source.keys() | there.keys(), key=lambda name: (-source.get(name, Sums()).documents, name))
    rows = [(name, source.get(name, Sums()), there.get(name, Sums())) for name in currencies]
    wide = max(15, *(len(money(sums.total)) for _, *sides in rows for sums in sides), 0)
    yield f"            {heads[0]:>15}   {heads[1]:>15}   {heads[2]:>{2 * wide + 2}}"
    sides = f"{service:>7} {'DuckDB':>7}"
    yield f"  currency  {sides}   {sides}   {service:>{wide}}  {'DuckDB':>{wide}}"
    for name, ours, theirs in rows:
        verdict = "ties" if ours == theirs else "DOES NOT TIE"
        yield (
            f"  {name:8}  {ours.documents:7} {theirs.documents:7}   {ours.lines:7} {theirs.lines:7}   "
            f"{money(ours.total):>{wide}}  {money(theirs.total):>{wide}}  {verdict}"
        )


def money(amount: Decimal) -> str:
    """At least the cents, and every other digit that is not zero."""
    digits = amount.normalize(EXACT).as_tuple().exponent
    return f"{amount:,.{max(2, -int(digits))}f}"
