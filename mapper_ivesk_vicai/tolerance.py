"""How far the amounts of a lawful document may miss each other: rounding of VAT, and of what is paid in cash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from ap_connectors.core import settings
from ap_connectors.core.errors import Stop
from ap_connectors.core.exact import EXACT

_NONE = Decimal(0)
_CENT = Decimal("0.01")
_MEMBERS = ("per_line", "per_rate")

_SMALLEST: Mapping[str, Decimal] = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG"), Decimal(1)),
    **dict.fromkeys(("RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"), Decimal(1)),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), Decimal("0.001")),
}
"""The smallest unit of currencies that have no cents, or thousandths (ISO 4217); half of it counts for half a cent."""

_CASH: Mapping[str, Decimal] = {
    "CHF": Decimal("0.05"),
    "CZK": Decimal(1),
    "DKK": Decimal("0.50"),
    "EUR": Decimal("0.05"),
    "HUF": Decimal(5),
    "NOK": Decimal(1),
    "SEK": Decimal(1),
}
"""What totals are rounded to where the smallest coin is not a cent: 5 cents in Lithuania, a krone in Norway."""


@dataclass(frozen=True)
class Tolerance:
    """How far amounts may miss each other, in the document's currency.

    Args:
        per_line: for each line; None for half a cent.
        per_rate: for each VAT rate of the document; None for half a cent.
        whole: for the document, whatever it holds; takes the place of the others, and of the rounding of cash.
    """

    per_line: Decimal | None = None
    per_rate: Decimal | None = None
    whole: Decimal | None = None

    @classmethod
    def of(cls, given: Any) -> Tolerance:
        """Read the setting: an amount, or an object of `per_line` and `per_rate`; None if it is not set.

        Raises:
            Stop: it is something else.
        """
        if isinstance(given, str) and given.lstrip().startswith("{"):
            given = settings.json_object("tolerance", given)
        if given is None:
            return cls()
        if not isinstance(given, dict):
            return cls(whole=_amount("tolerance", given))
        if unknown := sorted(given.keys() - set(_MEMBERS)):
            raise Stop(f"tolerance: {unknown[0]} is unknown; known are {' and '.join(_MEMBERS)}.")
        return cls(**{name: _amount(f"tolerance.{name}", value) for name, value in given.items()})

    def of_a_header(self) -> Decimal:
        """Return how far the header's own amounts may miss each other, but for the rounding of cash."""
        return _first(self.whole, _NONE)

    def of_lines(self, currency: str, lines: int, rates: int) -> Decimal:
        """Return how far `lines` lines, of `rates` VAT rates, may together miss what the header states."""
        if self.whole is not None:
            return self.whole
        per_line, per_rate = (_first(one, _half(currency)) for one in (self.per_line, self.per_rate))
        return EXACT.add(EXACT.multiply(per_line, Decimal(lines)), EXACT.multiply(per_rate, Decimal(rates)))

    def is_cash(self, currency: str, made: Decimal, total: Decimal) -> bool:
        """Whether a total is what subtotal and VAT make, rounded to what can be paid in cash."""
        coin = _CASH.get(currency.upper())
        if self.whole is not None or coin is None or EXACT.remainder(total, coin):
            return False
        return EXACT.multiply(2, EXACT.subtract(total, made).copy_abs()) <= coin


def _half(currency: str) -> Decimal:
    return EXACT.multiply(Decimal("0.5"), _SMALLEST.get(currency.upper(), _CENT))


def _first(*amounts: Decimal | None) -> Decimal:
    return next((amount for amount in amounts if amount is not None), _NONE)


def _amount(where: str, given: Any) -> Decimal:
    try:
        number = Decimal(str(given).strip()) if not isinstance(given, bool) else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite() or number < 0:
        raise Stop(f"{where} must be an amount from 0, such as 0.02.")
    return number
