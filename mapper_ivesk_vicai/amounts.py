"""What a document comes to: header and lines as they are stated, and whether they agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from ap_connectors.core.errors import Reject
from ap_connectors.core.exact import EXACT, add
from ap_connectors.core.raw_json import JsonObject
from mapper_ivesk_vicai.fields import amount, code, missing, plain
from mapper_ivesk_vicai.tolerance import Tolerance

PARTS = ("subtotal", "vat", "total")
_NOTHING = Decimal(0)
_HUNDRED = Decimal(100)


@dataclass(frozen=True)
class Amounts:
    """The three amounts of a header or of a line, in the document's currency; None where one is not given.

    Args:
        percent: VAT rate of a line, per cent.
        says_vat: VAT is stated, and does not only follow.
    """

    subtotal: Decimal | None
    vat: Decimal | None
    total: Decimal | None
    percent: Decimal | None = None
    says_vat: bool = False

    @classmethod
    def of(cls, fields: JsonObject, line: int | None = None) -> Amounts:
        """Read them; where two are given, compute the third.

        Raises:
            Reject: one of them is not a number.
        """
        subtotal, vat, total = (amount(fields, part, line) for part in PARTS)
        says_vat = vat is not None
        if subtotal is None and vat is not None and total is not None:
            subtotal = EXACT.subtract(total, vat)
        if vat is None and subtotal is not None and total is not None:
            vat = EXACT.subtract(total, subtotal)
        if total is None and subtotal is not None and vat is not None:
            total = EXACT.add(subtotal, vat)
        percent = None if line is None else amount(fields, "vatpercent", line)
        return cls(subtotal, vat, total, percent, says_vat)


@dataclass(frozen=True)
class Header:
    """Currency and amounts as stated, with ivesk's sign; the report sums them up.

    Args:
        separate_vat: VAT is shown and not part of the total: the buyer owes it to the state (`separatevat`).
    """

    currency: str
    amounts: Amounts
    separate_vat: bool = False

    @property
    def made(self) -> Decimal | None:
        """What subtotal and VAT make, as far as VAT is paid to the seller; None if they are not both given."""
        subtotal, vat = self.amounts.subtotal, self.amounts.vat
        if subtotal is None or vat is None:
            return None
        return subtotal if self.separate_vat else EXACT.add(subtotal, vat)


_UNREADABLE = Header("unreadable", Amounts(None, None, None))
_NO_REST = Amounts(_NOTHING, _NOTHING, _NOTHING)


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
    # The mark alone does not tell: many a document has it whose total is with VAT.
    separate = document.get("separatevat") is True and bool(amounts.vat) and amounts.total == amounts.subtotal
    return Header(currency or "without currency", amounts, separate), wrong[:1]


@dataclass(frozen=True)
class Agreed:
    """The lines of a document that agree with its header.

    Args:
        lines: as stated; without VAT where the header alone tells it.
        rest: what the lines lack of the header, which rounding explains: net, VAT and total.
    """

    lines: list[Amounts]
    rest: Amounts


def read_lines(header: Header, lines: list[JsonObject], tolerance: Tolerance) -> tuple[Agreed | None, list[Reject]]:
    """Return the amounts of each line, or every difference that rounding does not explain."""
    try:
        found = [Amounts.of(line, number) for number, line in enumerate(lines, 1)]
    except Reject as reason:
        return None, [reason]
    wrong = [*_header_differs(header, tolerance)]
    for number, line in enumerate(found, 1):
        wrong += _line_differs(header, number, line, tolerance)
    if wrong:
        return None, [Reject.several(wrong, joint="; ")]
    alone = _header_alone_tells_vat(header, found)
    if alone:
        # A VAT of 0 beside a rate, or because a line's total is its net amount, is not the VAT of that line.
        found = [Amounts(line.subtotal, None, line.subtotal, line.percent) for line in found]
    together = _together(header, found, by_rates=alone)
    differing = [part for part in PARTS if _differs(getattr(header.amounts, part), getattr(together, part))]
    if not differing:
        return Agreed(found, _NO_REST), []
    rates = {line.percent for line in found if line.vat != 0} or {None}
    allowed = tolerance.of_lines(header.currency, len(found), len(rates))
    if wrong := [*_lines_differ(header, together, differing, tolerance, allowed)]:
        return None, [Reject.several(wrong, joint="; ")]
    return Agreed(found, _rest(header, together, says_vat=not alone)), []


def _differs(stated: Decimal | None, made: Decimal | None) -> bool:
    return stated is not None and made is not None and stated != made


def _header_alone_tells_vat(header: Header, lines: Sequence[Amounts]) -> bool:
    """Whether no line tells VAT: none, or 0 beside a rate."""
    if not header.amounts.vat or any(line.vat for line in lines):
        return False
    return not any(line.says_vat and line.percent is None for line in lines)


def _together(header: Header, lines: Sequence[Amounts], *, by_rates: bool) -> Amounts:
    """Return what the lines make together. A line that does not mention VAT has none.

    Args:
        header: of the document.
        lines: of the document.
        by_rates: the header alone tells VAT: it must be what the lines' rates make, if all lines say theirs.
    """
    net = add(*(line.subtotal or _NOTHING for line in lines))
    if by_rates:
        shares = [EXACT.multiply(line.subtotal or _NOTHING, line.percent) for line in lines if line.percent is not None]
        vat = EXACT.divide(add(*shares), _HUNDRED) if len(shares) == len(lines) else None
        total = EXACT.add(net, header.amounts.vat or _NOTHING)
    else:
        vat = add(*(line.vat or _NOTHING for line in lines))
        total = add(*(line.total or (line.total is None and line.subtotal) or _NOTHING for line in lines))
    return Amounts(net, vat, net if header.separate_vat else total)


def _header_differs(header: Header, tolerance: Tolerance) -> Iterator[Reject]:
    """Yield a reason if subtotal and VAT do not make the total, cash apart."""
    made, total = header.made, header.amounts.total
    if made is None or total is None or made == total or tolerance.is_cash(header.currency, made, total):
        return
    yield from _sum_differs(None, header.amounts, made, tolerance.of_a_header(), header.currency)


def _line_differs(header: Header, number: int, line: Amounts, tolerance: Tolerance) -> Iterator[Reject]:
    """Yield a reason if a line has no net amount, or if net and VAT do not make its total."""
    net, vat, total = line.subtotal, line.vat, line.total
    if net is None:
        yield Reject(f"Line {number} has no subtotal.", "no_subtotal", where=f"lines[{number - 1}]")
    elif vat is not None and total != (made := EXACT.add(net, vat)) and not (header.separate_vat and total == net):
        # Of a price with VAT each part is rounded by itself.
        allowed = tolerance.of_lines(header.currency, lines=1, rates=1)
        yield from _sum_differs(number, line, made, allowed, header.currency)


def _sum_differs(
    number: int | None, amounts: Amounts, made: Decimal | None, allowed: Decimal, currency: str
) -> Iterator[Reject]:
    if made is None or amounts.total is None or EXACT.subtract(made, amounts.total).copy_abs() <= allowed:
        return
    subtotal, vat, total = (plain(getattr(amounts, part) or _NOTHING) for part in PARTS)
    difference = _difference(made, amounts.total)
    name, where = ("The header", "header") if number is None else (f"Line {number}", f"lines[{number - 1}]")
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


def _lines_differ(
    header: Header, together: Amounts, parts: list[str], tolerance: Tolerance, allowed: Decimal
) -> Iterator[Reject]:
    """Yield a reason for each of the parts in which the lines together miss what the header states by too much."""
    for part in parts:
        stated: Decimal = getattr(header.amounts, part)
        made: Decimal = getattr(together, part)
        if EXACT.subtract(made, stated).copy_abs() <= allowed:
            continue
        if part == "total" and _is_cash_rounded(header, made, tolerance, allowed):
            continue
        difference = _difference(made, stated)
        yield Reject(
            f"Header and lines differ: {part} is {plain(stated)}, and the lines together make {plain(made)} "
            f"(difference {difference} {header.currency}).",
            "header_and_lines_differ",
            field=part,
            stated=plain(stated),
            together=plain(made),
            difference=difference,
            currency=header.currency,
        )


def _is_cash_rounded(header: Header, made: Decimal, tolerance: Tolerance, allowed: Decimal) -> bool:
    """Whether a total is the lines' total, rounded to coins, perhaps after the rounding of VAT."""
    total, before = header.amounts.total, header.made
    if total is None:
        return False
    if before is None:
        return tolerance.is_cash(header.currency, made, total)
    return tolerance.is_cash(header.currency, before, total) and EXACT.subtract(made, before).copy_abs() <= allowed


def _rest(header: Header, together: Amounts, *, says_vat: bool) -> Amounts:
    """Return what the lines lack of the header: of VAT only where they say it, and where it is paid."""
    stated = header.amounts
    total, vat = EXACT.subtract(stated.total or _NOTHING, together.total or _NOTHING), _NOTHING
    if says_vat and stated.vat is not None and not header.separate_vat:
        vat = EXACT.subtract(stated.vat, together.vat or _NOTHING)
    return Amounts(EXACT.subtract(total, vat), vat, total)


def _difference(one: Decimal, other: Decimal) -> str:
    return plain(EXACT.subtract(one, other).copy_abs())
