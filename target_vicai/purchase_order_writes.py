"""Writing one purchase order, step by step, each step safe against a lost answer; and what earlier runs left undone."""

from __future__ import annotations

import functools
import threading
from collections import Counter
from contextlib import suppress
from typing import Any, Literal

from ap_connectors.core.raw_json import JsonObject
from ap_connectors.singer.ledger import Ledger
from ap_connectors.vicai.client import NotFound
from target_vicai.context import LoadContext
from target_vicai.purchase_order_lines import LineChanges

PendingStep = Literal["process", "close"]


class OrderWriter:
    """Writes one order, step by step.

    Args:
        context: the company.
        order: what Vic has of the order; kept up to date, here and in the cache.
        to_process: whether it was written by an earlier call or run, and is not processed yet.
    """

    def __init__(self, context: LoadContext, order: JsonObject, *, to_process: bool = False) -> None:
        self._context, self.order, self.to_process = context, order, to_process
        self._by_itself = context.client.is_live
        self.has_written = to_process
        """Whether something of the order was written."""
        self._send = context.writer.send
        self._id: str = order["internalId"]

    def change_lines(self, lines: LineChanges) -> None:
        """Change Vic's lines, add those that it lacks, delete the others.

        No two lines of an order may have one number at any time: lines that only moved wait until their place is free.
        """
        needed = {line["lineNumber"] for line in (*lines.new, *(wanted for _, wanted in lines.changed))}
        for old in lines.gone:
            if old.get("lineNumber") in needed:
                self._delete_line(old)
        waiting = list(lines.changed)
        while waiting:
            held = Counter(old.get("lineNumber") for old, _ in waiting)
            for place, (old, wanted) in enumerate(waiting):
                number = wanted["lineNumber"]
                if held[number] == (old.get("lineNumber") == number):
                    del waiting[place]
                    self._change_line(old, wanted)
                    break
            else:
                # They change places among themselves: one goes out of the way. A later run knows it by its id.
                old, wanted = waiting[0]
                numbers = [line.get("lineNumber") for line in self._lines] + [one["lineNumber"] for _, one in waiting]
                free = 1 + max(number for number in numbers if isinstance(number, int))
                waiting[0] = self._change_line(old, {**wanted, "lineNumber": free}), wanted
        for line in lines.new:
            body, find_done = {**line, "purchaseOrderId": self._id}, functools.partial(self._added, line["lineNumber"])
            added = self._send("createPurchaseOrderLineItem", body, find_done=find_done)
            # This opens an order that was closed.
            self._wrote(status="open", lineItems=[*self._lines, {**line, **added}])
        for old in lines.gone:
            if old.get("lineNumber") not in needed:
                self._delete_line(old)

    def _change_line(self, old: JsonObject, wanted: JsonObject) -> JsonObject:
        shown = self._send("updatePurchaseOrderLineItem", wanted, purchaseOrderLineItemId=old["internalId"])
        line = {**old, **wanted, **shown, "internalId": old["internalId"]}
        self._wrote(lineItems=[line if one["internalId"] == line["internalId"] else one for one in self._lines])
        return line

    def _delete_line(self, old: JsonObject) -> None:
        find_done = functools.partial(self._removed, old["internalId"])
        with suppress(NotFound):
            self._send("deletePurchaseOrderLineItem", find_done=find_done, purchaseOrderLineItemId=old["internalId"])
        self._wrote(lineItems=[one for one in self._lines if one["internalId"] != old["internalId"]])

    def put(self, head: JsonObject) -> None:
        """Write everything but the lines."""
        shown = self._send("updatePurchaseOrder", head, purchaseOrderId=self._id)
        self._answered(shown, **{**head, "vendor": {**self.order.get("vendor", {}), **head["vendor"]}})
        self._has_written()

    def process(self) -> None:
        """Have Vic match the order with invoices; may be repeated."""
        self._answered(self._send("processPurchaseOrder", purchaseOrderId=self._id))
        self.to_process = False

    def set_status(self, status: str) -> None:
        """Open or close the order unless it is so; neither needs processing."""
        if status_of(self.order) != status:
            operation = {"open": "openPurchaseOrder", "closed": "closePurchaseOrder"}[status]
            find_done = functools.partial(self._has_status, status)
            self._answered(self._send(operation, find_done=find_done, purchaseOrderId=self._id), status=status)

    @property
    def _lines(self) -> list[JsonObject]:
        return self.order.get("lineItems") or []

    def _wrote(self, **members: Any) -> None:
        self.order = {**self.order, **members}
        self._has_written()
        self._context.learn("purchase_orders", self.order)

    def _has_written(self) -> None:
        self.has_written = True
        # Today's service processes an order by itself, 15 seconds after its last change.
        self.to_process = self.to_process or not self._by_itself

    def _answered(self, shown: JsonObject, **otherwise: Any) -> None:
        # In a dry run, and where Vic answers less than the contract says, we go by what we asked for.
        is_order = shown.get("internalId") == self._id and "lineItems" in shown
        self.order = shown if is_order else {**self.order, **otherwise}
        self._context.learn("purchase_orders", self.order)

    # Whether a call was done whose answer was lost

    def _now(self) -> JsonObject:
        return self._context.client.found("getPurchaseOrder", purchaseOrderId=self._id) or {}

    def _added(self, number: int) -> JsonObject | None:
        lines = self._now().get("lineItems") or []
        return next((line for line in lines if line.get("lineNumber") == number), None)

    def _removed(self, id_: str) -> JsonObject | None:
        lines = self._now().get("lineItems") or []
        return None if any(line["internalId"] == id_ for line in lines) else {}

    def _has_status(self, status: str) -> JsonObject | None:
        now = self._now()
        return now if now and status_of(now) == status else None


def status_of(order: JsonObject) -> str:
    """Return `open` or `closed`."""
    return str(order.get("status") or "open").casefold()


class PendingSteps:
    """The steps that orders still need: to be processed, and closed again. Vic does not tell, so the ledger does.

    A step is added before an order's first write, and removed after its last one. A run that is killed in between
    leaves it; the next one finds it, however equal the order looks by then.

    Args:
        ledger: holds the steps, by the record's natural key.
        dry_run: whether nothing is to be written.
    """

    def __init__(self, ledger: Ledger, *, dry_run: bool) -> None:
        self._ledger, self._dry_run = ledger, dry_run
        self._lock = threading.Lock()
        self._found: set[str] | None = None

    def has(self, key: str, step: PendingStep) -> bool:
        """Return whether an earlier write of the order still needs a step."""
        return _entry(key, step) in self._entries()

    def add(self, key: str, step: PendingStep) -> None:
        """Write down that an order is about to need a step; it is on the disk when this returns."""
        entry = _entry(key, step)
        if not self._dry_run and entry not in self._entries():
            self._ledger.begin(entry, key)
            self._entries().add(entry)

    def remove(self, key: str, *steps: PendingStep) -> None:
        """Write down that steps were done, or are not needed any more."""
        for entry in (_entry(key, step) for step in steps):
            if not self._dry_run and entry in self._entries():
                self._ledger.end(entry, "done")
                self._entries().discard(entry)

    def _entries(self) -> set[str]:
        with self._lock:
            if self._found is None:
                self._found = {key for key in self._ledger.unfinished() if key.startswith(_PREFIX)}
            return self._found


_PREFIX = "purchase order: "
"""Of the lines in the ledger. Ledgers of earlier versions have it, so it stays."""


def _entry(key: str, step: PendingStep) -> str:
    return f"{_PREFIX}{step} {key}"
