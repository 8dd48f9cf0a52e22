"""Writing one purchase order, step by step, each step safe against a lost answer."""

from __future__ import annotations

import functools
from contextlib import suppress
from typing import Any

from ap_connectors.vicai.client import NotFound
from target_vicai.copy import Plain
from target_vicai.order_lines import LineChanges
from target_vicai.vic import Vic


class OrderWrites:
    """Writes one order, step by step.

    Args:
        vic: the company.
        order: what Vic has of the order; kept up to date, here and in Vic's copy.
        is_due: whether it was written and is not processed yet; each write makes it so.
    """

    def __init__(self, vic: Vic, order: Plain, *, is_due: bool = False) -> None:
        self._vic, self.order, self.is_due = vic, order, is_due
        self._id: str = order["internalId"]

    def change_lines(self, lines: LineChanges) -> None:
        """Change Vic's lines, add those that it lacks, delete the others."""
        for old, wanted in lines.changed:
            shown = self._vic.hands.send(
                "updatePurchaseOrderLineItem", wanted, purchaseOrderLineItemId=old["internalId"]
            )
            line = {**old, **wanted, **shown, "internalId": old["internalId"]}
            self._has(lineItems=[line if one["internalId"] == line["internalId"] else one for one in self._lines])
        for line in lines.new:
            body, find_done = {**line, "purchaseOrderId": self._id}, functools.partial(self._added, line["lineNumber"])
            added = self._vic.hands.send("createPurchaseOrderLineItem", body, find_done=find_done)
            # This opens an order that was closed.
            self._has(status="open", lineItems=[*self._lines, {**line, **added}])
        for old in lines.gone:
            find_done = functools.partial(self._dropped, old["internalId"])
            with suppress(NotFound):
                self._vic.hands.send(
                    "deletePurchaseOrderLineItem", find_done=find_done, purchaseOrderLineItemId=old["internalId"]
                )
            self._has(lineItems=[one for one in self._lines if one["internalId"] != old["internalId"]])

    def put(self, head: Plain) -> None:
        """Write everything but the lines."""
        shown = self._vic.hands.send("updatePurchaseOrder", head, purchaseOrderId=self._id)
        self._answered(shown, **{**head, "vendor": {**self.order.get("vendor", {}), **head["vendor"]}})
        self.is_due = True

    def process(self) -> None:
        """Let Vic match the order with invoices; may be repeated."""
        self._answered(self._vic.hands.send("processPurchaseOrder", purchaseOrderId=self._id))
        self.is_due = False

    def set_status(self, status: str) -> None:
        """Open or close the order unless it is so; neither needs processing."""
        if status_of(self.order) != status:
            operation = {"open": "openPurchaseOrder", "closed": "closePurchaseOrder"}[status]
            find_done = functools.partial(self._is, status)
            self._answered(
                self._vic.hands.send(operation, find_done=find_done, purchaseOrderId=self._id), status=status
            )

    def delete(self) -> None:
        """Delete the order.

        Raises:
            NotFound: it is gone already.
        """
        self._vic.hands.send("deletePurchaseOrder", find_done=self._gone, purchaseOrderId=self._id)

    @property
    def _lines(self) -> list[Plain]:
        return self.order.get("lineItems") or []

    def _has(self, **members: Any) -> None:
        self.order = {**self.order, **members}
        self.is_due = True
        self._vic.learn("purchase_orders", self.order)

    def _answered(self, shown: Plain, **otherwise: Any) -> None:
        # In a plan, and where Vic answers less than it says, we go by what we asked for.
        is_order = shown.get("internalId") == self._id and "lineItems" in shown
        self.order = shown if is_order else {**self.order, **otherwise}
        self._vic.learn("purchase_orders", self.order)

    # Whether a call was done whose answer was lost

    def _now(self) -> Plain | None:
        return self._vic.client.found("getPurchaseOrder", purchaseOrderId=self._id)

    def _added(self, number: int) -> Plain | None:
        lines = (self._now() or {}).get("lineItems") or []
        return next((line for line in lines if line.get("lineNumber") == number), None)

    def _dropped(self, id_: str) -> Plain | None:
        lines = (self._now() or {}).get("lineItems") or []
        return None if any(line["internalId"] == id_ for line in lines) else {}

    def _is(self, status: str) -> Plain | None:
        now = self._now()
        return now if now and status_of(now) == status else None

    def _gone(self) -> Plain | None:
        return {} if self._now() is None else None


def status_of(order: Plain) -> str:
    """Return `open` or `closed`."""
    return str(order.get("status") or "open").casefold()
