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
from mapper_ivesk_vicai.fields import one_line, plain
from mapper_ivesk_vicai.purchase import LeftOut, Purchase, SetAside
from mapper_ivesk_vicai.records import fields_left_out
from mapper_ivesk_vicai.tables import TABLES, CodeTable

_MOST_NAMED = 10


@dataclasses.dataclass
class Sums:
    """How many documents of one currency there are, and their exact sums, with ivesk's signs."""

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
class Rounded:
    """Documents of one currency that rounding keeps from their lines, and by how much in all."""

    documents: int = 0
    difference: Decimal = Decimal(0)

    def add(self, difference: Decimal) -> None:
        """Add a document."""
        self.documents += 1
        self.difference = EXACT.add(self.difference, difference.copy_abs())

    def as_json(self) -> dict[str, Any]:
        """Return count and sum, this as decimal text."""
        return {"documents": self.documents, "difference": plain(self.difference)}


@dataclasses.dataclass
class Untaught:
    """Lines without an account: how many, of how many documents, and the number of one of these."""

    lines: int = 0
    documents: int = 0
    example: str = ""

    def add(self, purchase: Purchase) -> None:
        """Add a document."""
        if lines := sum(line.account is None and not line.is_rounding for line in purchase.lines):
            self.lines += lines
            self.documents += 1
            self.example = self.example or one_line(purchase.docnum or purchase.id)


@dataclasses.dataclass
class _Unmapped:
    """A code without a row: in how many documents, and the number of one of them."""

    documents: int
    example: str


class Report(RunReport):
    """Counts of a run. A document that comes twice counts twice.

    Args:
        learns: purchases become invoices that Vic.ai learns from.
    """

    def __init__(self, *, learns: bool) -> None:
        super().__init__()
        self.vendors = 0
        """Vendor records sent."""
        self.received = self.purchases = self.mapped = self.set_aside = self.sales = 0
        self.others: Counter[str] = Counter()
        """Documents of other companies, by registration code."""
        self.kinds: Counter[str] = Counter()
        """Documents of kinds that are left out."""
        self._learns = learns
        self._untaught = Untaught()
        self._fields_left_out: Counter[str] = Counter()
        self._rounded: dict[str, Rounded] = {}
        self._sums: dict[str, dict[str, Sums]] = {}
        self._unmapped: dict[CodeTable, dict[str, _Unmapped]] = {table: {} for table in TABLES}

    def add(self, found: Purchase | LeftOut | SetAside) -> None:
        """Count a document: in the sums of its currency if it is a purchase, and by its codes without a row."""
        self.received += 1
        if isinstance(found, LeftOut):
            self.sales += found.why == "sale"
            self.others.update([found.name] if found.why == "other" else [])
            self.kinds.update([found.name or "without a kind"] if found.why == "kind" else [])
            return
        if isinstance(found, Purchase):
            self._add_mapped(found)
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

    def _add_mapped(self, purchase: Purchase) -> None:
        if purchase.rounding:
            self._rounded.setdefault(purchase.header.currency, Rounded()).add(purchase.rounding)
        if self._learns:
            self._untaught.add(purchase)
        else:
            self._fields_left_out.update(fields_left_out(purchase))

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
                "kinds_left_out": dict(sorted(self.kinds.items())),
            },
            "vendors": self.vendors,
            "sums": {
                currency: {fate: sums.as_json() for fate, sums in fates.items()}
                for currency, fates in sorted(self._sums.items())
            },
            "rounded": {currency: rounded.as_json() for currency, rounded in sorted(self._rounded.items())},
            "lines_without_account": dataclasses.asdict(self._untaught),
            "fields_left_out": dict(sorted(self._fields_left_out.items())),
            "unmapped": {
                table.setting: {code: dataclasses.asdict(missing) for code, missing in sorted(codes.items())}
                for table, codes in self._unmapped.items()
                if codes
            },
        }

    def summary(self, company: str) -> Iterator[str]:
        """Yield what the log says of the documents."""
        others = f"{sum(self.others.values())} of other companies{_named(self.others)}"
        kinds = f", {sum(self.kinds.values())} of kinds that are not booked{_named(self.kinds)}" if self.kinds else ""
        yield (
            f"{self.received} documents: {self.mapped} purchases of {company} mapped, {self.set_aside} documents set "
            f"aside; left out: {self.sales} sales, {others}{kinds}."
        )
        for currency, fates in sorted(self._sums.items()):
            yield f"{currency}: " + "; ".join(
                f"{name.replace('_', ' ')} {sums.documents}, total {plain(sums.total)}" for name, sums in fates.items()
            )
        for currency, rounded in sorted(self._rounded.items()):
            yield (
                f"{rounded.documents} documents differ from their lines by rounding, by {plain(rounded.difference)} "
                f"{currency} in all (tolerance)."
            )

    def untaught(self) -> Iterator[str]:
        """Yield a sentence if lines teach Vic.ai nothing."""
        if (untaught := self._untaught).lines:
            yield (
                f"{untaught.lines} lines of {untaught.documents} documents have no account, for example "
                f"{untaught.example}: Vic.ai learns nothing from them. Give them one in ivesk."
            )

    def without_place(self) -> Iterator[str]:
        """Yield a sentence if fields of documents have no place at Vic.ai."""
        if self._fields_left_out:
            named = ", ".join(f"{name} ({count} documents)" for name, count in sorted(self._fields_left_out.items()))
            yield (
                f"Vic.ai's invoices have no place for {named}: left out. To keep one of a document, name it in fields, "
                "with the label of a field that is configured at Vic.ai."
            )

    def unmapped(self, what_happened: str) -> Iterator[str]:
        """Yield a sentence for each code without a mapping."""
        for table, codes in self._unmapped.items():
            for code, missing in sorted(codes.items()):
                yield (
                    f"{table.what} {code} has no mapping ({table.setting}): {missing.documents} documents "
                    f"{what_happened}, for example {missing.example}."
                )


def _named(counts: Counter[str]) -> str:
    most = ", ".join(f"{name}: {count}" for name, count in counts.most_common(_MOST_NAMED))
    more = ", ..." if len(counts) > _MOST_NAMED else ""
    return f" ({most}{more})" if most else ""
