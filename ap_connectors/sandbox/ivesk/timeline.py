"""When documents are digitized and exported: working days from 2026-01-05, in an accountant's clicks."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import NamedTuple

from ap_connectors.sandbox import clock

DOCTYPES = ("invoice", "creditnote", "cashreceipt", "proforma", "debitnote")
_DOCTYPE_OF_100 = bytes([0] * 80 + [1] * 7 + [2] * 8 + [3] * 3 + [4] * 2)
# Which company a document belongs to: the first has a fifth of all, so that big exports happen.
_COMPANY_OF_100 = bytes(
    [0] * 20 + [1] * 14 + [2] * 12 + [3] * 10 + [4] * 9 + [5] * 8 + [6] * 7 + [7] * 6 + [8] * 5 + [9] * 4 + [10] * 3
    + [11] * 2
)  # fmt: skip
WORKDAYS = 120
BIG_CLICK = 250
# Odd documents (see `seed`) are always exported, so that both queues show them.
BIG_AMOUNT_EVERY, BIG_AMOUNT_AT = 500, 123
ODD_NAME_EVERY, ODD_NAME_AT = 200, 77


class Planned(NamedTuple):
    """What is decided about a document before it is made; `exportable` says that a click will export it."""

    company: int
    doctype: int
    exportable: bool
    shares_instant: bool
    lag: int


@functools.lru_cache(maxsize=4_000)
def plan_document(seed: int, number: int) -> Planned:
    """Decide company, type and fate of a document: one cheap hash, so that a million take a few seconds."""
    bits = int.from_bytes(blake2b(b"%d/%d" % (seed, number), digest_size=8).digest(), "big")
    odd = number % BIG_AMOUNT_EVERY == BIG_AMOUNT_AT or number % ODD_NAME_EVERY == ODD_NAME_AT
    return Planned(
        company=_COMPANY_OF_100[bits % 100],
        doctype=_DOCTYPE_OF_100[(bits >> 8) % 100],
        exportable=odd or (bits >> 16) % 100 < 92,
        shares_instant=(bits >> 24) % 20 == 0,
        lag=bits >> 32,
    )


@dataclass
class Timeline:
    """Gives instants to documents in the order in which they are digitized.

    Args:
        seed: Decides everything.
        expected: How many documents the working days must hold, so that a million does not take a century.
    """

    seed: int
    expected: int
    digitized: int = clock.START
    exported: int = clock.START
    clicks: int = 0
    _waiting: dict[int, list[int]] = field(default_factory=dict)
    _wanted: dict[int, int] = field(default_factory=dict)

    def digitize(self, planned: Planned) -> int:
        """Return the instant at which the next document is digitized; now and then it is the previous one's."""
        if not planned.shares_instant:
            per_day = max(40, -(-self.expected // WORKDAYS))
            step = (clock.CLOSES - clock.OPENS) // per_day
            self.digitized = clock.advance(self.digitized, 1 + planned.lag % (2 * step - 1))
        return self.digitized

    def select(self, number: int, company: int) -> list[tuple[int, int]]:
        """Put a digitized document on its company's pile; a big enough pile is exported by a click.

        Returns:
            (instant, document number) of each document that the click exports.
        """
        pile = self._waiting.setdefault(company, [])
        pile.append(number)
        if company not in self._wanted:
            first_big = self.busy and company == 0
            self._wanted[company] = BIG_CLICK if first_big else self._sitting(company)
        if len(pile) < self._wanted[company]:
            return []
        big = self._wanted[company] == BIG_CLICK
        self._wanted[company] = self._sitting(company)
        self._waiting[company] = []
        return self.click(pile, company) if big else self._clicks(pile, company)

    def flush(self) -> list[tuple[int, int]]:
        """Export what is still on the piles, in clicks of the usual sizes, companies by turns."""
        exports = []
        while any(self._waiting.values()):
            for company in sorted(self._waiting):
                size = self._size(company)
                pile, self._waiting[company] = self._waiting[company][:size], self._waiting[company][size:]
                if pile:
                    exports += self.click(pile, company)
        return exports

    @property
    def busy(self) -> bool:
        """Whether accountants export a company's month in one sitting; only then are pages full."""
        return self.expected >= 8 * BIG_CLICK

    def _sitting(self, company: int) -> int:
        """Return how many documents of a company are exported in a row: in a busy office some clicks' worth."""
        return 150 + self._bits(company) % 301 if self.busy else self._size(company)

    def _clicks(self, numbers: list[int], company: int) -> list[tuple[int, int]]:
        exports: list[tuple[int, int]] = []
        while numbers:
            size = self._size(company)
            exports += self.click(numbers[:size], company)
            numbers = numbers[size:]
        return exports

    def click(self, numbers: list[int], company: int) -> list[tuple[int, int]]:
        """Export one company's documents: most clicks give all of them one instant, others spread over ms."""
        bits = self._bits(company)
        self.clicks += 1
        self.exported = max(
            clock.advance(self.exported, 1 + (bits >> 8) % 997), clock.advance(self.digitized, 1000 + bits % 30_000)
        )
        together = len(numbers) >= BIG_CLICK or (bits >> 24) % 100 < 65
        exports = []
        for place, number in enumerate(numbers):
            if place and not together:
                # Steps of 0 make short runs that share an instant.
                self.exported = clock.advance(self.exported, (bits >> (place % 40)) % 9)
            exports.append((self.exported, number))
        return exports

    def after(self, instant: int) -> None:
        """Let everything that follows happen after an instant."""
        self.digitized = max(self.digitized, clock.advance(instant, 1))
        self.exported = max(self.exported, instant)

    def _bits(self, company: int) -> int:
        words = b"click/%d/%d/%d" % (self.seed, self.clicks, company)
        return int.from_bytes(blake2b(words, digest_size=8).digest(), "big")

    def _size(self, company: int) -> int:
        bits = self._bits(company) >> 3
        if bits % 300 == 0 and self.busy:
            return BIG_CLICK
        return 25 if (bits >> 10) % 10 < 3 else 1 + (bits >> 20) % 40
