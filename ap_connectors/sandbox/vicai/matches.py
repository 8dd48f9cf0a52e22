"""Which lines of purchase orders and of invoices are matched, as both sides show it."""

from __future__ import annotations

from typing import Any

from ap_connectors.sandbox.vicai.seed import plan

MOST_LINES = 12
# So many of an invoice's lines, at most, are matched; the order may have others besides.
MOST_MATCHED = 8
_FIRST_LINE_ID = 9_000_001


def line_id(order: int, place: int) -> str:
    """Return the internal id of a purchase order's line."""
    return str(_FIRST_LINE_ID + order * MOST_LINES + place)


def po_number(order: int) -> str:
    """Return the number of a purchase order."""
    return f"PO-2026-{order + 1:04d}"


def match(number: int, order: int, place: int, quantity: str) -> dict[str, Any]:
    """Return the match (MatchItem) of the lines at one place of an invoice and of its purchase order."""
    return {
        "invoiceItemId": plan.item_id(number, place),
        "purchaseOrderItemId": line_id(order, place),
        "quantityMatched": quantity,
    }
