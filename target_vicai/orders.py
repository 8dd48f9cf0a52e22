"""Purchase orders: their head, their lines, what these add up to, and whether an order is open."""

from __future__ import annotations

import functools
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, ClassVar

from ap_http.errors import Reject
from ap_http.instants import UTC
from ap_singer.differences import Change, changes, completed
from ap_singer.loading import UNCHANGED, Outcome
from ap_singer.shape import ObjectShape
from target_vicai import order_lines
from target_vicai.copy import Copy, Plain
from target_vicai.loader import TEXT, Item, Loader
from target_vicai.order_lines import LineChanges, OrderWrites, status_of
from target_vicai.vic import Vic
from vicai import contract
from vicai.client import NotFound, Refused

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


class PurchaseOrders(Loader):
    """Purchase orders with their lines (Purchase orders), known by the ERP's id, or else by their number.

    An order's lines are written first, then its head with their sum; it is processed last, and once. What a kill leaves
    half done still differs from the record, so the next run goes on. Two gaps Vic gives no means to close:

    - It does not tell which orders were processed. An end between the last write and `process` leaves an order that is
      equal, and not processed until something changes it, or until a run with compare: none.
    - A new line opens a closed order. An end right after it leaves the order open, unless the record says `status`.
    """

    name, body_of, component = "purchase_orders", "createPurchaseOrder", "PurchaseOrder"
    extras: ClassVar[dict[str, Any]] = {
        "status": {"type": "string"},
        "vendorExternalId": TEXT,
        "vendorInternalId": TEXT,
    }

    def __init__(self, vic: Vic) -> None:
        super().__init__(vic)
        # Orders without an id of the ERP's, by Vic's id, and the record that takes each over: of two only one may.
        self._taken: dict[str, str] = {}
        self._lock = threading.Lock()

    # What a record says

    def body_schema(self) -> contract.Schema:
        """Return the schema of a new order, whose lines may name dimensions by the ERP's ids alone."""
        return order_lines.with_names(contract.inlined(super().body_schema()))

    @functools.cached_property
    def head_shape(self) -> ObjectShape:
        """The form of an order without its lines."""
        return ObjectShape.of(contract.inlined(contract.operation("updatePurchaseOrder").body["application/json"]))

    def key(self, body: Plain, extras: Plain) -> str:  # noqa: ARG002
        """Return the ERP's id, or else the order's number."""
        key = body.get("externalId") or body.get("poNumber")
        if not key:
            raise Reject("externalId and poNumber are missing: one of them is needed as the record's key.")
        return str(key)

    def item(self, record: Mapping[str, Any], replayed: str | None) -> Item:
        """Read a record; its lines must have numbers of their own, and add up to its amount."""
        item = super().item(record, replayed)
        if item.deleted:
            return item
        status = item.extras.get("status")
        if status is not None and status.casefold() not in {"open", "closed"}:
            raise Reject(f"status is neither open nor closed: {status[:60]!r}.")
        body = {name: value for name, value in item.body.items() if value is not None or self._may_be_null(name)}
        body.pop("vendor", None)
        if reference := self._reference(item):
            body["vendor"] = reference
        if "lineItems" in body:
            body["lineItems"] = order_lines.read(body["lineItems"])
            body["amount"] = self._amount(body, body["lineItems"])
        return replace(item, body=body, extras={"status": status and status.casefold()})

    def _may_be_null(self, name: str) -> bool:
        # Without its id we would not find the order again.
        member = self.head_shape.members.get(name)
        return name != "externalId" and member is not None and member.nullable

    @staticmethod
    def _reference(item: Item) -> Plain:
        """Return what names the vendor, in one way: Vic looks it up."""
        given = item.body.get("vendor") or {
            name: item.extras.get(alias)
            for name, alias in (("internalId", "vendorInternalId"), ("externalId", "vendorExternalId"))
        }
        given = {name: value for name, value in given.items() if value is not None}
        best = next((name for name in ("internalId", "externalId") if name in given), None)
        return {best: given[best]} if best else given

    @staticmethod
    def _amount(body: Plain, lines: list[Plain]) -> str:
        """Return the order's amount: what the record says, which must be what the lines add up to."""
        total, given = order_lines.total(lines), body.get("amount")
        if given is None:
            return format(total, "f")
        if Decimal(given) != total:
            off = order_lines.difference(Decimal(given), total)
            raise Reject(
                f"amount is {given}, but the line items add up to {total:f}: a difference of {off:f}. Nothing was sent."
            )
        return str(given)

    def seen(self, key: str, version: int) -> None:
        """Remember what a full load holds; Vic may know an order by an id that the record does not tell."""
        super().seen(key, version)
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
            self._amount(head, held)
        if not merge:
            head = {**{name: None for name in self.head_shape.members if self._may_be_null(name)}, **head}
        # Vic shows the whole vendor, where we only say which.
        compared = {name: value for name, value in head.items() if name != "vendor"}
        differences = changes(self.head_shape, compared, order, readable=self.readable)
        vendor = order.get("vendor") or {}
        if "vendor" in head and not _means(head["vendor"], vendor):
            differences.append(Change("vendor", {name: vendor.get(name) for name in head["vendor"]}, head["vendor"]))
        status = item.extras.get("status")
        whole = self._whole(head, order) if differences or all_ else None
        return _Plan(whole, tuple(differences), lines, status if status != status_of(order) else None)

    def _whole(self, head: Plain, order: Plain) -> Plain:
        """Return the head as it is sent; what the record lacks is Vic's, and the amount the sum of Vic's lines."""
        total = order_lines.total(order.get("lineItems") or [])
        whole = completed(self.head_shape, head, {**order, "amount": f"{total:f}"})
        if missing := self.head_shape.missing(whole):
            raise Reject(f"Missing in the record, and in Vic.ai's order: {', '.join(missing)}.")
        return whole

    def _compares(self, item: Item) -> bool:
        return self.vic.ways.compare or item.replayed is not None

    # What becomes of it

    def settled(self, item: Item) -> Outcome | None:
        """Compare with Vic's copy; equal records are done with."""
        if item.deleted or not self._compares(item):
            return None
        try:
            order = self._found(item, self.vic.copy(self.name))
            is_done = order is not None and not self._plan(item, order) and not _is_due(item, order)
        except Reject:
            return None
        return UNCHANGED if is_done else None

    def load(self, item: Item) -> Outcome:
        """Create an order, or change what differs; then process it, and open or close it."""
        order = self._present(item)
        if order is None:
            return self._created(item)
        plan, is_due = self._plan(item, order), _is_due(item, order)
        if not plan and not is_due:
            return UNCHANGED
        if plan:
            _guard(item, order)
        new = self._parents(item.body.get("vendor"), item.body.get("lineItems") or [])
        known = self._parents(order.get("vendor"), order.get("lineItems") or [])
        self.vic.await_parents(new - known)
        # Before the first of several writes, and not after Vic refuses the third.
        self._all_there(sorted(new - known), "")
        _carry_out(plan, OrderWrites(self.vic, order, is_due=is_due), status_of(order))
        said = [*plan.changes, *plan.lines.changes]
        if plan.status:
            said.append(Change("status", status_of(order), plan.status))
        return Outcome("updated", tuple(said), None if plan else "written before, and processed now")

    def delete(self, item: Item) -> Outcome:
        """Delete an order."""
        order = self._found(item, self.vic.copy(self.name))
        if order is None:
            return UNCHANGED
        _guard(item, order)
        outcome = Outcome("deleted")
        try:
            OrderWrites(self.vic, order).delete()
        except NotFound:
            outcome = UNCHANGED
        self.vic.forget(self.name, order["internalId"], item.key)
        return outcome

    def _created(self, item: Item) -> Outcome:
        """Create an order; one that comes to light meanwhile becomes what the record says."""
        found: list[Plain] = []

        def look() -> Plain | None:
            order = self._found(item, self.vic.reread(self.name))
            if order is not None:
                found.append(order)
            return order

        body = self.complete(item.body)
        send = functools.partial(self.vic.hands.send, self.body_of, body, look=look)
        try:
            order = self.with_parents(sorted(self._parents(body["vendor"], body["lineItems"])), send)
        except Refused:
            # Somebody else may have made it since we read the list.
            if (other := look()) is None:
                raise
            order = other
        self.vic.learn(self.name, order)
        plan = self._plan(item, order) if found else _Plan(None, (), LineChanges(), item.extras.get("status"))
        _carry_out(plan, OrderWrites(self.vic, order, is_due=True), status_of(order))
        return Outcome("created")

    @staticmethod
    def _parents(vendor: Plain | None, lines: list[Plain]) -> set[tuple[str, str]]:
        """Return what an order refers to by the ERP's ids."""
        found = {("dimensions", key) for key in order_lines.dimensions(lines)}
        return found | ({("vendors", vendor["externalId"])} if vendor and vendor.get("externalId") else set())


def _carry_out(plan: _Plan, writes: OrderWrites, before: str) -> None:
    """Do what a record asks for; whatever is not done yet shows in what is.

    Raises:
        Reject: Vic refuses a step; the message says what was done before it.
    """
    wanted = plan.status or before
    try:
        if wanted == "open":
            writes.set_status(wanted)
        writes.change_lines(plan.lines)
        if plan.head is not None:
            writes.put(plan.head)
    except Reject as refusal:
        if not writes.is_due:
            raise
        raise Reject(f"{refusal} Part of the order was written before: load it again once it is right.") from None
    if writes.is_due:
        try:
            writes.process()
        except Reject as refusal:
            raise Reject(
                f"The order is written, but not processed: {refusal} Load this record again for that."
            ) from None
    writes.set_status(wanted)


def _is_due(item: Item, order: Plain) -> bool:
    """Whether an order that is equal must still be processed: nothing happened to it since its record was set aside."""
    return _has_changed(item, order) is False


def _guard(item: Item, order: Plain) -> None:
    """Keep a record that was set aside from overwriting what is newer."""
    if _has_changed(item, order):
        raise Reject(
            f"Purchase order {item.key} changed at Vic.ai on {order['internalUpdatedAt']}, after this record was set "
            f"aside on {item.replayed}. Send it afresh, or remove `rejected` from its line to load it all the same."
        )


def _has_changed(item: Item, order: Plain) -> bool | None:
    """Whether an order changed after its record was set aside; None if it never was, or nobody can tell."""
    then, now = item.replayed, order.get("internalUpdatedAt")
    if not then or not now or not UTC.knows(then) or not UTC.knows(now):
        return None
    return UTC.milliseconds(now) > UTC.milliseconds(then)


def _means(reference: Plain, vendor: Plain) -> bool:
    """Whether a reference leads to the vendor that an order has."""
    for name in ("internalId", "externalId", "name"):
        if name in reference:
            return bool(reference[name] == vendor.get(name))
    tax, pay = vendor.get("taxInfo") or {}, vendor.get("defaultPaymentInfo") or {}
    accounts = {pay.get(name) for name in ("bankAccountNum", "bban", "bankGiro", "plusGiro")}
    accounts.add((pay.get("internationalBankAccount") or {}).get("iban"))
    return (
        reference.get("orgNumber") == tax.get("orgNumber")
        and reference.get("countryCode") == vendor.get("countryCode")
        and reference.get("bankAccount") in {None, *accounts}
    )
