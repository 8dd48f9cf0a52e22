"""Amounts: read, added up and written without losing a digit."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Context, Decimal, InvalidOperation

_MOST_DIGITS = 1000
"""Beyond this a number is a mistake or an attack: 1e999999999 would fill the memory as text."""

# Almost every amount; what is longer or written in another way is read slowly.
_plain = re.compile(r"(-?)0*([0-9]{1,60})(?:\.([0-9]{0,60}?)0*)?").fullmatch

EXACT = Context(prec=4 * _MOST_DIGITS)
"""Computes without rounding: more digits than sums and products of amounts have."""


class NotAnAmountError(ValueError):
    """A text is not an amount."""


def canonical(text: str | None) -> str | None:
    """Return an amount in the one form that equal amounts share: "10.50" and "1.05e1" are "10.5"; None for nothing.

    Raises:
        NotAnAmountError: it is something else, or has more than a thousand digits.
    """
    if text is None or not text.strip():
        return None
    if plain := _plain(text):
        sign, whole, part = plain.groups()
        if not part:
            return whole if whole == "0" else sign + whole
        return f"{sign}{whole}.{part}"
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        raise NotAnAmountError(text) from None
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or max(abs(exponent), abs(number.adjusted())) > _MOST_DIGITS:
        raise NotAnAmountError(text)
    return "0" if not number else format(number.normalize(EXACT), "f")


def total(amounts: Iterable[str | None]) -> str | None:
    """Return the sum of amounts in canonical form; None without any."""
    given = [Decimal(amount) for amount in amounts if amount is not None]
    return canonical(str(add(*given))) if given else None


def add(*amounts: Decimal) -> Decimal:
    """Return the exact sum."""
    result = Decimal(0)
    for amount in amounts:
        result = EXACT.add(result, amount)
    return result


def counted(number: int, what: str) -> str:
    """Return "1 line", "2 lines"."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def money(amount: Decimal | None) -> str:
    """Return an amount for people: thousands apart, at least the cents, and every other digit that is not zero."""
    if amount is None:
        return "-"
    digits = amount.normalize(EXACT).as_tuple().exponent
    return f"{amount:,.{max(2, -int(digits))}f}"
