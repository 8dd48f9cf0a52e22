"""What a document comes to: header and lines as they are given, and whether they agree, to the last digit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from ap_connectors.core.errors import Reject
from mapper_ivesk_vicai.fields import EXACT, Fields, amount, plain

PARTS = ("subtotal", "vat", "total")
_NOTHING = Decimal(0)


@dataclass(frozen=True)
class Amounts:
    """The three amounts of a header or of a line, in the document's currency; None where none is given."""

    subtotal: Decimal | None
    vat: Decimal | None
    total: Decimal | None

    @classmethod
    def of(cls, fields: Fields, where: str = "") -> Amounts:
        """Read them; where two are given, the third follows.

        Raises:
            Reject: one of them is no number.
        """
        subtotal, vat, total = (amount(fields, part, where) for part in PARTS)
        if subtotal is None and vat is not None and total is not None:
            subtotal = EXACT.subtract(total, vat)
        if vat is None and subtotal is not None and total is not None:
            vat = EXACT.subtract(total, subtotal)
        if total is None and subtotal is not None and vat is not None:
            total = EXACT.add(subtotal, vat)
        return cls(subtotal, vat, total)

    def disagreement(self, where: str, currency: str) -> str | None:
        """Say by how much subtotal and VAT miss the total, if they do."""
        if self.subtotal is None or self.vat is None or self.total is None:
            return None
        made = EXACT.add(self.subtotal, self.vat)
        if made == self.total:
            return None
        return (
            f"{where} does not add up: subtotal {plain(self.subtotal)} and vat {plain(self.vat)} make {plain(made)}, "
            f"but total is {plain(self.total)} {_difference(made, self.total, currency)}"
        )


def agreed(document: Fields, lines: Iterable[Fields], currency: str) -> list[Amounts]:
    """Return the amounts of each line, its subtotal always given.

    Raises:
        Reject: a line has no subtotal, subtotal and VAT of a line or of the header do not make its total, or the lines
            together are not what the header says. The message names all of it, with the differences.
    """
    header = Amounts.of(document)
    found = [Amounts.of(line, f"line {number}: ") for number, line in enumerate(lines, 1)]
    wrong = [header.disagreement("The header", currency)]
    for number, line in enumerate(found, 1):
        if line.subtotal is None:
            wrong.append(f"Line {number} has no subtotal")
        wrong.append(line.disagreement(f"Line {number}", currency))
    if not any(wrong):
        wrong = [_compared(part, header, found, currency) for part in PARTS]
    said = [words for words in wrong if words]
    if said:
        raise Reject(f"{'; '.join(said)}.")
    return found


def _compared(part: str, header: Amounts, lines: Iterable[Amounts], currency: str) -> str | None:
    stated: Decimal | None = getattr(header, part)
    if stated is None:
        return None
    together = _NOTHING
    for line in lines:
        value: Decimal | None = getattr(line, part)
        # A line that speaks of no VAT has none.
        value = line.subtotal if value is None and part == "total" else value
        together = EXACT.add(together, value or _NOTHING)
    if together == stated:
        return None
    return (
        f"Header and lines differ: {part} is {plain(stated)}, and the lines together make {plain(together)} "
        f"{_difference(together, stated, currency)}"
    )


def _difference(one: Decimal, other: Decimal, currency: str) -> str:
    return f"(difference {plain(abs(EXACT.subtract(one, other)))} {currency})"
