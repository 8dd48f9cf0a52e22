"""Decide about an invoice before it is made: one cheap hash, so that orders, payments and vendors can point to it."""

from __future__ import annotations

import functools
from hashlib import blake2b
from typing import Any, NamedTuple

from ap_connectors.sandbox.vicai.seed import vendors

FIRST_INVOICE_ID = 1_000_001
BIG_EVERY, BIG_AT = 500, 3
MOST_INVOICE_LINES = 30
_UNPOSTED = ("NOT_READY", "IN_APPROVALS", "READY_FOR_POST", "READY_FOR_TRANSFER", "TRANSFERRED")
_NOTE_IN = 16
# Which of five purchase orders are matched to their invoice.
_MATCHED = (True, False, True, True, False)


class Planned(NamedTuple):
    """State of an invoice, whether it is a credit note, has huge amounts; its vendor's place, its purchase order's."""

    status: str
    credit_note: bool
    big: bool
    vendor: int
    order: int | None

    @property
    def known_to_erp(self) -> bool:
        """Whether the ERP has booked it, or taken it over, and so given it an id."""
        return self.status in {"POSTED", "TRANSFERRED"}


class Plan:
    """Decides about each invoice by its number.

    Args:
        seed: decides everything.
        invoices: how many there are.
        big_amounts: whether one in 500 has amounts of 19 digits.
    """

    def __init__(self, seed: int, invoices: int, big_amounts: bool) -> None:
        self.seed, self.invoices, self.big_amounts = seed, invoices, big_amounts
        self.orders = min(150, invoices // 10)
        count = vendors.count(invoices)
        self._vendors = tuple(range(count))
        self._confirmed = tuple(place for place in self._vendors if not vendors.unconfirmed(place))

    def of(self, number: int) -> Planned:
        """Return what is decided about an invoice."""
        status, credit_note, big, vendor = self._rolled(number)
        return Planned(status, credit_note, big, vendor, self._matched.get(number))

    def order_invoice(self, order: int) -> int | None:
        """Return the number of the posted invoice that a purchase order is matched to, if it is."""
        return self._matches[order]

    def near(self, order: int) -> int:
        """Return the number of an invoice that came in when a purchase order last changed."""
        matched = self._matches[order]
        return order * self.invoices // self.orders if matched is None else matched

    @functools.cached_property
    def _matches(self) -> tuple[int | None, ...]:
        return tuple(self._match(order) for order in range(self.orders))

    @functools.cached_property
    def _matched(self) -> dict[int, int]:
        return {number: order for order, number in enumerate(self._matches) if number is not None}

    def _match(self, order: int) -> int | None:
        if not _MATCHED[order % len(_MATCHED)]:
            return None
        first, last = order * self.invoices // self.orders, (order + 1) * self.invoices // self.orders
        for number in range(first, last):
            status, credit_note, big, _ = self._rolled(number)
            if status == "POSTED" and not credit_note and not big:
                return number
        return None

    def _rolled(self, number: int) -> tuple[str, bool, bool, int]:
        bits = self._bits(b"invoice", number)
        big = self.big_amounts and number % BIG_EVERY == BIG_AT
        posted = big or number == 0 or bits % 100 < 80
        status = "POSTED" if posted else _UNPOSTED[(bits >> 8) % len(_UNPOSTED)]
        block, place = divmod(number, _NOTE_IN)
        credit_note = not big and self._bits(b"note", block) % _NOTE_IN == place
        # Only a vendor that the ERP knows can have been booked.
        among = self._confirmed if status in {"POSTED", "TRANSFERRED"} else self._vendors
        # Squared: some vendors write often, others seldom.
        share = (bits >> 16) % 65536
        return status, credit_note, big, among[share * share * len(among) >> 32]

    def _bits(self, word: bytes, number: int) -> int:
        return int.from_bytes(blake2b(b"vic/%b/%d/%d" % (word, self.seed, number), digest_size=8).digest(), "big")


def invoice_id(number: int) -> str:
    """Return an invoice's internal id."""
    return str(FIRST_INVOICE_ID + number)


def item_id(number: int, place: int) -> str:
    """Return the id of an invoice's ungrouped line, by which matches name it."""
    return str(number * MOST_INVOICE_LINES + place + 1)


MOST_ORDER_LINES = 12
# How many of an invoice's lines are matched at most; the order may have more.
MOST_MATCHED = 8
_FIRST_LINE_ID = 9_000_001


def line_id(order: int, place: int) -> str:
    """Return the internal id of a purchase order's line."""
    return str(_FIRST_LINE_ID + order * MOST_ORDER_LINES + place)


def po_number(order: int) -> str:
    """Return the number of a purchase order."""
    return f"PO-2026-{order + 1:04d}"


def match(number: int, order: int, place: int, quantity: str) -> dict[str, Any]:
    """Return the match (MatchItem) of the lines at one place of an invoice and of its purchase order."""
    return {
        "invoiceItemId": item_id(number, place),
        "purchaseOrderItemId": line_id(order, place),
        "quantityMatched": quantity,
    }
