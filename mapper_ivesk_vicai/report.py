"""What became of the documents: counts, exact sums by currency, codes without a mapping."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from ap_connectors.core.exact import EXACT
from ap_connectors.singer.run_report import RunReport
from mapper_ivesk_vicai.amounts import PARTS, Amounts
from mapper_ivesk_vicai.fields import plain
from mapper_ivesk_vicai.purchase import LeftOut, Purchase, SetAside
from mapper_ivesk_vicai.tables import TABLES, CodeTable

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


@dataclasses.dataclass
class _Unmapped:
    """A code without a row: in how many documents, and the number of one of them."""

    documents: int
    example: str


class Report(RunReport):
    """Counts of a run. A document that comes twice counts twice."""

    def __init__(self) -> None:
        super().__init__()
        self.vendors = 0
        """Vendor records sent."""
        self.received = self.purchases = self.mapped = self.set_aside = self.sales = 0
        self.others: Counter[str] = Counter()
        """Documents of other companies, by registration code."""
        self._sums: dict[str, dict[str, Sums]] = {}
        self._unmapped: dict[CodeTable, dict[str, _Unmapped]] = {table: {} for table in TABLES}

    def add(self, found: Purchase | LeftOut | SetAside) -> None:
        """Count a document: in the sums of its currency if it is a purchase, and by its codes without a row."""
        self.received += 1
        if isinstance(found, LeftOut):
            self.sales += found.kind == "sale"
            self.others.update([found.company] if found.kind == "other" else [])
            return
        fate = "mapped" if isinstance(found, Purchase) else "set_aside"
        self.mapped += fate == "mapped"
        self.set_aside += fate == "set_aside"
        for table, code, document in found.unmapped:
            missing = self._unmapped[table].setdefault(code, _Unmapped(0, document))
            missing.documents += 1
        if found.header is not None:
            self.purchases += 1
            currency, amounts = found.header.currency, found.header.amounts
            sums = self._sums.setdefault(currency, {name: Sums() for name in ("purchases", "mapped", "set_aside")})
            sums["purchases"].add(amounts)
            sums[fate].add(amounts)

    @property
    def all_of_others(self) -> bool:
        """Whether there were documents, and all of other companies."""
        return 0 < self.received == sum(self.others.values())

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
                table.setting: {code: dataclasses.asdict(missing) for code, missing in sorted(codes.items())}
                for table, codes in self._unmapped.items()
                if codes
            },
        }

    def summary(self, company: str) -> Iterator[str]:
        """Yield what the log says of the documents."""
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
        for table, codes in self._unmapped.items():
            for code, missing in sorted(codes.items()):
                yield (
                    f"{table.what} {code} has no mapping ({table.setting}): {missing.documents} documents "
                    f"{what_happened}, for example {missing.example}."
                )
