"""Purchase orders at Vic: compared with the records, written, processed, opened and closed."""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass, replace

from ap_connectors.core.errors import Reject
from ap_connectors.singer.diff import Change, diff, merge_missing
from ap_connectors.singer.sink import UNCHANGED, Outcome
from ap_connectors.vicai.client import NotFound, Refused
from target_vicai import order_lines
from target_vicai.copy import Copy, Plain
from target_vicai.loader import Item
from target_vicai.order_dues import OrderDues
from target_vicai.order_lines import LineChanges
from target_vicai.order_matching import guard, is_untouched, means
from target_vicai.order_records import OrderRecords
from target_vicai.order_writes import OrderWrites, status_of
from target_vicai.vic import Vic

_FRESH = 10.0
"""Seconds after which an order of Vic's is read again before it is changed."""


@dataclass(frozen=True)
class _Plan:
    """What a record asks for.

    Args:
        head: the whole head, if it is to be written.
        changes: what differs in it.
        lines: what differs in the lines.
        status: `open` or `closed`, if that differs.
    """

    head: Plain | None
    changes: tuple[Change, ...]
    lines: LineChanges
    status: str | None

    def __bool__(self) -> bool:
        return bool(self.head is not None or self.lines or self.status)


class PurchaseOrders(OrderRecords):
    """Purchase orders with their lines (Purchase orders), known by the ERP's id, or else by their number.

    An order's lines are written first, then its head with their sum; it is processed last, and once. What a kill leaves
    half done still differs from the record, so the next run goes on. Two things Vic does not show, and `OrderDues`
    remembers: that an order was written and not processed; that a new line opened an order that was closed.
    """

    def __init__(self, vic: Vic) -> None:
        super().__init__(vic)
        # Orders without an id of the ERP's, by Vic's id, and the record that takes each over: of two only one may.
        self._taken: dict[str, str] = {}
        self._lock = threading.Lock()

    @functools.cached_property
    def dues(self) -> OrderDues:
        """What orders are owed by runs that ended in between."""
        return OrderDues(self.vic.ledger, is_plan=self.vic.ways.dry_run)

    def mark_seen(self, key: str, version: int) -> None:
        """Remember what a full load holds; Vic may know an order by an id that the record does not tell."""
        super().mark_seen(key, version)
        if self.vic.ways.mirror and self.name in self.vic.mirrored:
            copy = self.vic.copy(self.name)
            for order in copy.called(key):
                if order.get("externalId"):
                    copy.seen(order["externalId"], version)

    def gone(self, key: str) -> Item:
        """Return what says that an order is to go."""
        return replace(super().gone(key), body={"externalId": key})

    # What Vic has

    def _found(self, item: Item, copy: Copy) -> Plain | None:
        """Return Vic's order: by the ERP's id; else by its number, if the record or the order has no such id."""
        own, number = item.body.get("externalId"), item.body.get("poNumber") or ""
        found = copy.of(own) if own else copy.called(number)
        if own and number and not found and not item.deleted:
            orders = [order for order in copy.called(number) if not order.get("externalId")]
            found = [order for order in orders if self._taken.get(order["internalId"], item.key) == item.key]
        if len(found) > 1:
            ids = ", ".join(order["internalId"] for order in found)
            raise Reject(
                f"Vic.ai has {len(found)} purchase orders {item.key} (internalId {ids}); which is meant? "
                "Give that one its externalId there, and send it with the record."
            )
        return found[0] if found else None

    def _present(self, item: Item) -> Plain | None:
        """Return Vic's order as it is now, for this record to write."""
        copy = self.vic.copy(self.name)
        with self._lock:
            order = self._found(item, copy)
            if order is not None and item.body.get("externalId") and not order.get("externalId"):
                self._taken[order["internalId"]] = item.key
        if order is None or self.vic.ways.dry_run or copy.age(order["internalId"]) <= _FRESH:
            return order
        now = self.vic.client.found("getPurchaseOrder", purchaseOrderId=order["internalId"])
        if now is None:
            self.vic.forget(self.name, order["internalId"], item.key)
        else:
            self.vic.learn(self.name, now)
        return now

    def _plan(self, item: Item, order: Plain) -> _Plan:
        """Compare a record with Vic's order.

        Raises:
            Reject: what differs cannot be changed, or the amount would not be the sum of the lines.
        """
        merge, all_, held = self.vic.ways.merge, not self._compares(item), order.get("lineItems") or []
        head = {name: value for name, value in item.body.items() if name != "lineItems"}
        lines = LineChanges()
        if "lineItems" in item.body:
            lines = order_lines.compared(item.body["lineItems"], held, merge=merge, all_=all_)
        elif "amount" in head:
            self.amount(head, held)
        if not merge:
            head = {**{name: None for name in self.head_shape.members if self.may_be_null(name)}, **head}
        # Vic shows the whole vendor, where we only say which.
        compared = {name: value for name, value in head.items() if name != "vendor"}
        differences = diff(self.head_shape, compared, order, readable=self.readable)
        vendor = order.get("vendor") or {}
        if "vendor" in head and not means(head["vendor"], vendor):
            differences.append(Change("vendor", {name: vendor.get(name) for name in head["vendor"]}, head["vendor"]))
        status = item.extras.get("status") or ("closed" if self.dues.has(item.key, "close") else None)
        whole = self._whole(head, order) if differences or all_ else None
        return _Plan(whole, tuple(differences), lines, status if status != status_of(order) else None)

    def _whole(self, head: Plain, order: Plain) -> Plain:
        """Return the head as it is sent; what the record lacks is Vic's, and the amount the sum of Vic's lines."""
        total = order_lines.total(order.get("lineItems") or [])
        whole = merge_missing(self.head_shape, head, {**order, "amount": f"{total:f}"})
        if missing := self.head_shape.missing(whole):
            raise Reject(f"Missing in the record, and in Vic.ai's order: {', '.join(missing)}.")
        return whole

    def _compares(self, item: Item) -> bool:
        return self.vic.ways.compare or item.replayed is not None

    def _is_due(self, item: Item, order: Plain) -> bool:
        return self.dues.has(item.key, "process") or is_untouched(item, order)

    # What becomes of it

    def compare(self, item: Item) -> Outcome | None:
        """Compare with Vic's copy; equal records are done with."""
        if item.deleted or not self._compares(item):
            return None
        try:
            order = self._found(item, self.vic.copy(self.name))
            is_done = order is not None and not self._plan(item, order) and not self._is_due(item, order)
        except Reject:
            return None
        return UNCHANGED if is_done else None

    def load(self, item: Item) -> Outcome:
        """Create an order, or change what differs; then process it, and open or close it."""
        order = self._present(item)
        if order is None:
            return self._created(item)
        plan, is_due = self._plan(item, order), self._is_due(item, order)
        if not plan and not is_due:
            return UNCHANGED
        if plan:
            guard(item, order)
        new = self._parents(item.body.get("vendor"), item.body.get("lineItems") or [])
        known = self._parents(order.get("vendor"), order.get("lineItems") or [])
        self.vic.await_parents(new - known)
        # Before the first of several writes, and not after Vic refuses the third.
        self._all_there(sorted(new - known), "")
        self._carry_out(item.key, plan, OrderWrites(self.vic, order, is_due=is_due), status_of(order))
        said = [*plan.changes, *plan.lines.changes]
        if plan.status:
            said.append(Change("status", status_of(order), plan.status))
        return Outcome("updated", tuple(said), None if plan else "written before, and processed now")

    def delete(self, item: Item) -> Outcome:
        """Delete an order."""
        order = self._found(item, self.vic.copy(self.name))
        if order is None:
            return UNCHANGED
        guard(item, order)
        outcome = Outcome("deleted")
        try:
            OrderWrites(self.vic, order).delete()
        except NotFound:
            outcome = UNCHANGED
        self.dues.strike(item.key, "process")
        self.dues.strike(item.key, "close")
        self.vic.forget(self.name, order["internalId"], item.key)
        return outcome

    def _created(self, item: Item) -> Outcome:
        """Create an order; one that comes to light meanwhile becomes what the record says."""
        found: list[Plain] = []

        def find_done() -> Plain | None:
            order = self._found(item, self.vic.reread(self.name))
            if order is not None:
                found.append(order)
            return order

        body = self.complete(item.body)

        def send() -> Plain:
            self.dues.note(item.key, "process")
            return self.vic.hands.send(self.body_of, body, find_done=find_done)

        try:
            order = self.with_parents(sorted(self._parents(body["vendor"], body["lineItems"])), send)
        except Refused:
            # Somebody else may have made it since we read the list.
            if (other := find_done()) is None:
                self.dues.strike(item.key, "process")
                raise
            order = other
        self.vic.learn(self.name, order)
        plan = self._plan(item, order) if found else _Plan(None, (), LineChanges(), item.extras.get("status"))
        self._carry_out(item.key, plan, OrderWrites(self.vic, order, is_due=True), status_of(order))
        return Outcome("created")

    @staticmethod
    def _parents(vendor: Plain | None, lines: list[Plain]) -> set[tuple[str, str]]:
        """Return what an order refers to by the ERP's ids."""
        found = {("dimensions", key) for key in order_lines.dimensions(lines)}
        return found | ({("vendors", vendor["externalId"])} if vendor and vendor.get("externalId") else set())

    def _carry_out(self, key: str, plan: _Plan, writes: OrderWrites, before: str) -> None:
        """Do what a record asks for; whatever is not done yet shows in what is, or in what the order is owed.

        Raises:
            Reject: Vic refuses a step; the message says what was done before it.
        """
        wanted, was_to_close = plan.status or before, self.dues.has(key, "close")
        if plan.head is not None or plan.lines:
            self.dues.note(key, "process")
        if plan.lines.new and wanted == "closed":
            self.dues.note(key, "close")
        try:
            if wanted == "open":
                writes.set_status(wanted)
            writes.change_lines(plan.lines)
            if plan.head is not None:
                writes.put(plan.head)
        except Reject as refusal:
            if not writes.is_due:
                self.dues.strike(key, "process")
                if not was_to_close:
                    self.dues.strike(key, "close")
                raise
            raise Reject(f"{refusal} Part of the order was written before: load it again once it is right.") from None
        if writes.is_due:
            try:
                writes.process()
            except Reject as refusal:
                raise Reject(
                    f"The order is written, but not processed: {refusal} Load this record again for that."
                ) from None
        self.dues.strike(key, "process")
        writes.set_status(wanted)
        self.dues.strike(key, "close")
