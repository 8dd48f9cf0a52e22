"""What the compared documents are booked as: VAT by code, and what is owed to vendors. Credit notes are negative."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from ap_connectors.core.exact import EXACT, add, canonical
from ap_connectors.tieout.snapshot import DocumentSummary, Fields

_BOOKED = frozenset({"POSTED", "TRANSFERRED"})
_UNDONE = ("voidedAt", "rejectedAt", "failedAt")
_DONE = ("fundedAt", "confirmedAt")
PAYMENT_FIELDS = (*_DONE, *_UNDONE)
INVOICE_FIELDS = ("status", "externalPaymentStatus", "externalPaymentTotalPaid", "externalPaymentCurrencyId")

Pair = tuple[Decimal, Decimal]
"""A sum at the source and at the destination."""

_NOTHING: Pair = (Decimal(0), Decimal(0))


def signed(amount: Decimal, document: DocumentSummary) -> Decimal:
    """Return an amount as it is booked: that of a credit note is negative, however it is written."""
    return EXACT.minus(EXACT.abs(amount)) if document.is_credit else amount


def signed_line(amount: Decimal, document: DocumentSummary) -> Decimal:
    """Return a line's amount as it is booked: a discount on a credit note is what is not given back."""
    total = amount_or_none(document.amounts[2])
    if not document.is_credit or (total is not None and total < 0):
        return amount
    return EXACT.minus(amount if total is not None else EXACT.abs(amount))


def owed_for_invoice(document: DocumentSummary, fields: Fields) -> str | None:
    """Return what is owed for an invoice, less what the ERP says is paid; None if it is not posted or transferred."""
    total = document.amounts[2]
    if total is None or (fields.get("status") or "POSTED").upper() not in _BOOKED:
        return None
    owed, state = Decimal(total), (fields.get("externalPaymentStatus") or "").lower()
    paid = amount_or_none(fields.get("externalPaymentTotalPaid"))
    same_currency = (fields.get("externalPaymentCurrencyId") or document.currency).upper() == document.currency
    if state == "paid" and (paid is None or not same_currency):
        return "0"
    if paid is not None and same_currency and state != "voided":
        owed = EXACT.subtract(EXACT.abs(owed), EXACT.abs(paid))
    return canonical(f"{signed(owed, document):f}")


def owed_for_payment(document: DocumentSummary, fields: Fields) -> str | None:
    """Return what a payment takes from what is owed: once it is funded or booked by the ERP, and not undone."""
    total = document.amounts[2]
    is_paid = any(fields.get(name) for name in _DONE) and not any(fields.get(name) for name in _UNDONE)
    return canonical(f"{EXACT.minus(EXACT.abs(Decimal(total))):f}") if total and is_paid else None


def owed_for_credit(document: DocumentSummary, fields: Fields) -> str | None:
    """Return what a credit that was set off gives back: payments state their amount before it."""
    taken = owed_for_payment(document, fields)
    return None if taken is None else canonical(f"{EXACT.minus(Decimal(taken)):f}")


def amount_or_none(value: str | None) -> Decimal | None:
    """Return an amount; None if it is not one."""
    try:
        return Decimal(value) if value else None
    except ArithmeticError:
        return None


@dataclass
class Booking:
    """Sums of one stream.

    Attributes:
        vat: by currency and VAT code: the amount without VAT, and the VAT.
        owed: by currency.
        lacking: a column without which the destination's sums would be wrong, so there are none; "" if all is there.
        owes: whether the stream's documents make up what is owed.
    """

    vat: dict[tuple[str, str], tuple[Pair, Pair]] = field(default_factory=dict)
    owed: dict[str, Pair] = field(default_factory=dict)
    lacking: str = ""
    owes: bool = False

    def add(self, document: DocumentSummary, side: int, times: int = 1) -> None:
        """Add a document of the source (side 0) or of the destination (1), as often as it is there."""
        if self.lacking:
            return
        for code, base, vat in document.lines.vat if document.lines else ():
            place = (document.currency, code)
            bases, vats = self.vat.get(place, (_NOTHING, _NOTHING))
            self.vat[place] = (
                _with(bases, side, signed_line(Decimal(base), document), times),
                _with(vats, side, signed_line(Decimal(vat), document), times),
            )
        if document.owed is not None:
            known = self.owed.get(document.currency, _NOTHING)
            self.owed[document.currency] = _with(known, side, Decimal(document.owed), times)

    def leave_out_codes(self) -> bool:
        """Forget VAT by code if it differs because lines of the source have no code; return whether it was so."""
        differs = any(ours != theirs for pairs in self.vat.values() for ours, theirs in pairs)
        without = any(not code and any(ours for ours, _ in pairs) for (_, code), pairs in self.vat.items())
        if differs and without:
            self.vat = {}
        return differs and without

    def vat_as_json(self) -> list[dict[str, Any]]:
        """Return VAT by currency and code; amounts as text, for their digits."""
        return [
            {
                "currency": currency,
                "code": code,
                "source": {"base": f"{bases[0]:f}", "vat": f"{vats[0]:f}"},
                "destination": {"base": f"{bases[1]:f}", "vat": f"{vats[1]:f}"},
                "ties": bases[0] == bases[1] and vats[0] == vats[1],
            }
            for (currency, code), (bases, vats) in sorted(self.vat.items())
        ]


def _with(pair: Pair, side: int, amount: Decimal, times: int) -> Pair:
    amounts = [*pair]
    amounts[side] = add(amounts[side], EXACT.multiply(amount, Decimal(times)))
    return amounts[0], amounts[1]


def balance(bookings: Iterable[Booking]) -> dict[str, Pair]:
    """Return what is owed in all, by currency; nothing if a part of it is unknown."""
    together: dict[str, Pair] = {}
    known = list(bookings)
    for booking in known if not any(booking.lacking and booking.owes for booking in known) else ():
        for currency, (ours, theirs) in booking.owed.items():
            so_far = together.get(currency, _NOTHING)
            together[currency] = (add(so_far[0], ours), add(so_far[1], theirs))
    return dict(sorted(together.items()))
