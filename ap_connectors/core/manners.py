"""Numbers and dates as people of a country write them, every digit kept. Amounts never pass through a float."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from ap_connectors.core.exact import EXACT, money

_ENGLISH = (
    *("", "January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_NORWEGIAN = (
    *("", "januar", "februar", "mars", "april", "mai", "juni"),
    *("juli", "august", "september", "oktober", "november", "desember"),
)


@dataclass(frozen=True)
class Manner:
    """How a language writes numbers and dates.

    Args:
        language: as HTML names it ("en").
        name: of the language, in itself.
        signs: what stands for the comma, the point and the minus of "-1,234.50".
        day: writes a day.
        month: writes the month of a day.
        time: stands between the day and the time.
    """

    language: str
    name: str
    signs: tuple[str, str, str]
    day: Callable[[date], str]
    month: Callable[[date], str]
    time: str

    def number(self, value: int | Decimal | str) -> str:
        """Return a number, thousands apart, with the digits that it has: "1234.50" stays ".50"."""
        return self._written(f"{value:,d}" if isinstance(value, int) else f"{Decimal(value):,f}")

    def amount(self, value: Decimal | str | None, *, sign: bool = False) -> str:
        """Return an amount: at least the cents, and every other digit that is not zero; a dash for None.

        Args:
            value: the amount; text is in plain decimal digits.
            sign: whether a plus is written, too.
        """
        if value is None:
            return "–"
        number = Decimal(value)
        return ("+" if sign and number > 0 else "") + self._written(money(number))

    def gap(self, ours: Decimal | int | None, theirs: Decimal | int | None) -> str:
        """Return how much more `theirs` is, with its sign; nothing where both are the same."""
        if ours == theirs:
            return ""
        if isinstance(ours, int) or isinstance(theirs, int):
            return self._written(f"{int(theirs or 0) - int(ours or 0):+,d}")
        return self.amount(EXACT.subtract(theirs or Decimal(0), ours or Decimal(0)), sign=True)

    def date(self, text: str) -> str:
        """Return a day ("2026-01-05"), a month ("2026-01") or an instant ("2026-01-05T10:29:57.534Z") in words.

        Anything else is returned as it is.
        """
        day, t, time = text.partition("T")
        try:
            if t:
                clock = time.removesuffix("Z")
                # Whole seconds are enough for people; the zone is said.
                zone = " UTC" if time.endswith("Z") else ""
                return f"{self.day(date.fromisoformat(day))}{self.time}{clock.partition('.')[0]}{zone}"
            return self.month(date.fromisoformat(f"{day}-01")) if len(day) == 7 else self.day(date.fromisoformat(day))
        except ValueError:
            return text

    def _written(self, text: str) -> str:
        return text.translate(dict(zip(map(ord, ",.-"), self.signs, strict=True)))


# No-break spaces, as an amount must not be torn apart; Lithuanian and Norwegian write a minus and not a hyphen.
_APART = ("\u00a0", ",", "\u2212")

MANNERS = {
    one.language: one
    for one in (
        Manner(
            "en",
            "English",
            (",", ".", "-"),
            lambda day: f"{day.day} {_ENGLISH[day.month]} {day.year}",
            lambda day: f"{_ENGLISH[day.month]} {day.year}",
            ", ",
        ),
        Manner("lt", "Lietuvių", _APART, date.isoformat, lambda day: f"{day:%Y-%m}", " "),
        Manner(
            "no",
            "Norsk",
            _APART,
            lambda day: f"{day.day}. {_NORWEGIAN[day.month]} {day.year}",
            lambda day: f"{_NORWEGIAN[day.month]} {day.year}",
            " kl. ",
        ),
    )
}
"""By language."""
