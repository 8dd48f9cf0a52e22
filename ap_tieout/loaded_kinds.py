"""What was given to target-vicai, stream by stream: how its records are found at Vic.ai, and what is compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ap_http.payload import Record, text
from ap_tieout.facts import Amounts, Fact, Lines
from ap_tieout.vic_kinds import MASTER_DATA, PURCHASE_ORDERS, TRAINING_INVOICES, Kind, LineKind, fields_of, invoices
from ap_tieout.warehouse import spelling

Given = Mapping[str, Any]
"""A record of the input, its fields by `spelling`."""

Names = dict[str, str]
"""What a record is found by, the surest first: the value by the field, or fields, that hold it."""


def spelled(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record's fields by their spelling."""
    return {spelling(name): value for name, value in record.items()}


def said(given: Given, name: str | None) -> str | None:
    """Return a field as text; None for null, empty or absent."""
    value = given.get(spelling(name)) if name else None
    if isinstance(value, str):
        # Half a character can stand in JSON, and in nothing that we keep.
        return value.encode(errors="replace").decode() or None
    return str(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else None


@dataclass(frozen=True)
class Loaded:
    """A stream that target-vicai takes.

    Args:
        kind: what Vic.ai shows of it.
        names: fields that a record is found by, the surest first; a tuple of fields counts as one name.
        one_by_one: operation that finds a record by the ERP's id, with what else it is asked; None if there is no need.
        grouped: whether Vic.ai shows the lines put together, so that their number means nothing.
        hidden: whether Vic.ai does not show the header's amounts.
    """

    kind: Kind
    names: tuple[tuple[str, ...], ...] = (("externalId",),)
    one_by_one: tuple[str, Mapping[str, str]] | None = None
    grouped: bool = False
    hidden: bool = False

    @property
    def stream(self) -> str:
        """The stream's name."""
        return self.kind.stream

    def key(self, given: Given) -> str | None:
        """Return what people call a record of the input: its natural key."""
        return next(iter(self.found_by(given).values()), None)

    def found_by(self, given: Given) -> Names:
        """Return what a record of the input may be found by."""
        return self._names(lambda name: said(given, name))

    def known_by(self, record: Record) -> Names:
        """Return what a record of Vic.ai's may be found by."""
        return self._names(lambda name: text(record, name) or None)

    def _names(self, get: Callable[[str], str | None]) -> Names:
        found = {}
        for fields in self.names:
            values = [get(name) for name in fields]
            if None not in values:
                found["+".join(fields)] = " ".join(str(value) for value in values)
        return found

    def fact(self, given: Given) -> Fact:
        """Return what is compared of a record of the input."""
        kind = self.kind
        fields = {name: said(given, name) for name in kind.names} | {kind.label: self.key(given)}
        held = given.get(spelling(kind.held_in))
        lines = _lines(kind.lines, held) if kind.lines and isinstance(held, list) else None
        fact = kind.fact("", fields, lines)
        fact.at = None
        return fact

    def shown(self, company: str, record: Record) -> Fact:
        """Return what is compared of a record of Vic.ai's."""
        kind = self.kind
        lines = kind.lines.held(record.get(kind.held_in)) if kind.lines else None
        fact = kind.fact(company, fields_of(record, kind.names), lines)
        fact.at = None
        return fact

    def comparable(self, mine: Fact, other: Fact) -> None:
        """Take out of both sides of a record what the input does not state, and what Vic.ai does not show."""
        mine.company = other.company
        other.date = other.date if mine.date else ""
        other.currency = other.currency if mine.currency else ""
        if self.hidden:
            mine.stated = _where(other.stated, mine.stated)
        other.stated = _where(mine.stated, other.stated)
        if mine.lines is None:
            other.lines = None
        elif other.lines is not None:
            self._same_form(mine.lines, other.lines)

    def _same_form(self, mine: Lines, other: Lines) -> None:
        # Vic.ai numbers lines anew, and writes quantities in its own way.
        mine.trace = other.trace = ""
        if self.grouped:
            mine.count = other.count
        if self.kind.lines and self.kind.lines.taxed and mine.sums[1] is None:
            mine.sums = (mine.sums[0], None, None)
        other.sums = _where(mine.sums, other.sums)


def _where(stated: Amounts, amounts: Amounts) -> Amounts:
    """Return those amounts that are stated elsewhere, too."""
    subtotal, vat, whole = (None if a is None else b for a, b in zip(stated, amounts, strict=True))
    return subtotal, vat, whole


def _lines(kind: LineKind, held: list[Any]) -> Lines:
    lines = [spelled(line) for line in held if isinstance(line, dict)]
    return kind.added_up({**{name: said(line, name) for name in kind.names}, "tax": _tax(line)} for line in lines)


def _tax(line: Given) -> str | None:
    if (stated := said(line, "amountTax")) is not None:
        return stated
    for name, member in (("vat", "amount"), ("invoiceLineItemInfo", "vatAmount")):
        holder = line.get(spelling(name))
        if isinstance(holder, dict) and (stated := said(spelled(holder), member)) is not None:
            return stated
    return None


_NAMED = {"vendor_groups": "name", "tags": "value", "payment_terms": "name", "tax_codes": "code"}
_BY_NAME = tuple(Loaded(kind, ((_NAMED[kind.stream],), ("id",))) for kind in MASTER_DATA if kind.stream in _NAMED)
_BY_ID = tuple(Loaded(kind) for kind in MASTER_DATA if kind.instant is not None)

LOADED: Mapping[str, Loaded] = {
    spelling(loaded.stream): loaded
    for loaded in (
        *_BY_ID,
        *_BY_NAME,
        Loaded(PURCHASE_ORDERS, (("externalId",), ("poNumber",))),
        Loaded(
            TRAINING_INVOICES,
            (("externalId",), ("vendorExternalId", "refNumber")),
            one_by_one=("getTrainingInvoice", {}),
            hidden=True,
        ),
        Loaded(invoices(["ALL"]), one_by_one=("getInvoice", {"useSystem": "EXTERNAL"}), grouped=True),
    )
}
"""The streams that can be compared, by the spelling of their names."""
