"""What a document comes to: header and lines as they are stated, and whether they agree, to the last digit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from ap_connectors.core.errors import Reject
from ap_connectors.core.exact import EXACT
from ap_connectors.core.raw_json import JsonObject
from mapper_ivesk_vicai.fields import amount, code, missing, plain

PARTS = ("subtotal", "vat", "total")


@dataclass(frozen=True)
class Amounts:
    """The three amounts of a header or of a line, in the document's currency; None where one is not given."""

    subtotal: Decimal | None
    vat: Decimal | None
    total: Decimal | None

    @classmethod
    def of(cls, fields: JsonObject, line: int | None = None) -> Amounts:
        """Read them; where two are given, compute the third.

        Raises:
            Reject: one of them is not a number.
        """
        subtotal, vat, total = (amount(fields, part, line) for part in PARTS)
        if subtotal is None and vat is not None and total is not None:
            subtotal = EXACT.subtract(total, vat)
        if vat is None and subtotal is not None and total is not None:
            vat = EXACT.subtract(total, subtotal)
        if total is None and subtotal is not None and vat is not None:
            total = EXACT.add(subtotal, vat)
        return cls(subtotal, vat, total)


@dataclass(frozen=True)
class Header:
    """Currency and amounts as stated, with ivesk's sign; the report sums them up."""

    currency: str
    amounts: Amounts


_UNREADABLE = Header("unreadable", Amounts(None, None, None))


def read_header(document: JsonObject) -> tuple[Header, list[Reject]]:
    """Return the header, and the first thing that is wrong with it."""
    wrong: list[Reject] = []
    try:
        currency = code(document, "currency")
        if currency is None:
            wrong.append(missing("currency"))
        amounts = Amounts.of(document)
    except Reject as reason:
        return _UNREADABLE, [*wrong, reason][:1]
    if amounts.total is None:
        wrong.append(missing("total"))
    return Header(currency or "without currency", amounts), wrong[:1]


def read_lines(header: Header, lines: list[JsonObject]) -> tuple[list[Amounts], list[Reject]]:
    """Return the amounts of each line, and every difference, to the last digit."""
    try:
        found = [Amounts.of(line, number) for number, line in enumerate(lines, 1)]
    except Reject as reason:
        return [], [reason]
    wrong = [*_sum_differs("The header", "header", header.amounts, header.currency)]
    for number, line in enumerate(found, 1):
        where = f"lines[{number - 1}]"
        if line.subtotal is None:
            wrong.append(Reject(f"Line {number} has no subtotal.", "no_subtotal", where=where))
        wrong += _sum_differs(f"Line {number}", where, line, header.currency)
    if not wrong:
        wrong = [reject for part in PARTS for reject in _lines_differ(part, header, found)]
    return found, [Reject.several(wrong, joint="; ")] if wrong else []


def _sum_differs(name: str, where: str, amounts: Amounts, currency: str) -> Iterator[Reject]:
    """Yield a reason if subtotal and VAT do not make the total."""
    if amounts.subtotal is None or amounts.vat is None or amounts.total is None:
        return
    made = EXACT.add(amounts.subtotal, amounts.vat)
    if made != amounts.total:
        subtotal, vat, total = (plain(getattr(amounts, part)) for part in PARTS)
        difference = _difference(made, amounts.total)
        yield Reject(
            f"{name} does not add up: subtotal {subtotal} and vat {vat} make {plain(made)}, but total is {total} "
            f"(difference {difference} {currency}).",
            "does_not_add_up",
            where=where,
            subtotal=subtotal,
            vat=vat,
            made=plain(made),
            total=total,
            difference=difference,
            currency=currency,
        )


def _lines_differ(part: str, header: Header, lines: Iterable[Amounts]) -> Iterator[Reject]:
    """Yield a reason if the lines together are not what the header states."""
    stated: Decimal | None = getattr(header.amounts, part)
    if stated is None:
        return
    together = Decimal(0)
    for line in lines:
        value: Decimal | None = getattr(line, part)
        # A line that does not mention VAT has none.
        value = line.subtotal if value is None and part == "total" else value
        together = EXACT.add(together, value or Decimal(0))
    if together != stated:
        difference = _difference(together, stated)
        yield Reject(
            f"Header and lines differ: {part} is {plain(stated)}, and the lines together make {plain(together)} "
            f"(difference {difference} {header.currency}).",
            "header_and_lines_differ",
            field=part,
            stated=plain(stated),
            together=plain(together),
            difference=difference,
            currency=header.currency,
        )


def _difference(one: Decimal, other: Decimal) -> str:
    return plain(abs(EXACT.subtract(one, other)))
