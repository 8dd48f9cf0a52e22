"""What became of the documents: counts, exact sums by currency, codes without a mapping."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, Literal

from ap_connectors.core.errors import Reject
from ap_connectors.singer.run_report import RunReport
from mapper_ivesk_vicai.amounts import PARTS, Amounts
from mapper_ivesk_vicai.fields import EXACT, Fields, code, plain
from mapper_ivesk_vicai.tables import Table

Fate = Literal["mapped", "set_aside"]
_MOST_NAMED = 10


@dataclasses.dataclass
class Sums:
    """Exact sums of so many documents of one currency, with ivesk's signs."""

    documents: int = 0
    subtotal: Decimal = Decimal(0)
    vat: Decimal = Decimal(0)
    total: Decimal = Decimal(0)

    def add(self, amounts: Amounts) -> None:
        """Add a document; what it does not say counts as nothing."""
        self.documents += 1
        for part in PARTS:
            setattr(self, part, EXACT.add(getattr(self, part), getattr(amounts, part) or Decimal(0)))

    def as_json(self) -> dict[str, Any]:
        """Return count and sums, these as decimal text."""
        return {"documents": self.documents, **{part: plain(getattr(self, part)) for part in PARTS}}


class Report(RunReport):
    """Counts of a run. A document that comes twice counts twice.

    Args:
        tables: whose codes without a mapping are to be reported.
    """

    def __init__(self, tables: Iterable[Table]) -> None:
        super().__init__()
        self.vendors = 0
        """Vendor records sent."""
        self._tables = list(tables)
        self.received = self.purchases = self.mapped = self.set_aside = self.sales = 0
        self.others: Counter[str] = Counter()
        """Documents of other companies, by registration code."""
        self._sums: dict[str, dict[str, Sums]] = {}

    def purchase(self, document: Fields, fate: Fate) -> None:
        """Count a purchase in the sums of its currency."""
        self.purchases += 1
        try:
            currency, amounts = code(document, "currency") or "without currency", Amounts.of(document)
        except Reject:
            currency, amounts = "unreadable", Amounts(None, None, None)
        fates = self._sums.setdefault(currency, {name: Sums() for name in ("purchases", "mapped", "set_aside")})
        fates["purchases"].add(amounts)
        fates[fate].add(amounts)

    def as_json(self) -> dict[str, Any]:
        """Return everything; sums as decimal text."""
        return {
            "documents": {
                "received": self.received,
                "purchases": self.purchases,
                "mapped": self.mapped,
                "set_aside": self.set_aside,
                "sales": self.sales,
                "other_companies": dict(sorted(self.others.items())),
            },
            "vendors": self.vendors,
            "sums": {
                currency: {fate: sums.as_json() for fate, sums in fates.items()}
                for currency, fates in sorted(self._sums.items())
            },
            "unmapped": {
                table.kind.setting: {name: dataclasses.asdict(lack) for name, lack in sorted(table.lacks.items())}
                for table in self._tables
                if table.lacks
            },
        }

    def told(self, company: str) -> Iterator[str]:
        """Yield what the log is to say of the documents."""
        yield (
            f"{self.received} documents: {self.mapped} purchases of {company} mapped, {self.set_aside} documents set "
            f"aside; left out: {self.sales} sales, {sum(self.others.values())} of other companies{self._named()}."
        )
        for currency, fates in sorted(self._sums.items()):
            yield f"{currency}: " + "; ".join(
                f"{name.replace('_', ' ')} {sums.documents}, total {plain(sums.total)}" for name, sums in fates.items()
            )

    def _named(self) -> str:
        most = ", ".join(f"{company}: {count}" for company, count in self.others.most_common(_MOST_NAMED))
        more = ", ..." if len(self.others) > _MOST_NAMED else ""
        return f" ({most}{more})" if most else ""

    def unmapped(self, what_happened: str) -> Iterator[str]:
        """Yield a sentence for each code without a mapping."""
        for table in self._tables:
            for name, lack in sorted(table.lacks.items()):
                yield (
                    f"{table.kind.what} {name} has no mapping ({table.kind.setting}): {lack.documents} documents "
                    f"{what_happened}, for example {lack.example}."
                )
