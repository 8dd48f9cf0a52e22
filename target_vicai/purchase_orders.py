"""Purchase orders: parsed, compared with Vic's, written, processed, opened and closed."""

from __future__ import annotations

import functools
import threading
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec
from msgspec import structs

from ap_connectors.core.errors import Reject
from ap_connectors.core.raw_json import JsonObject
from ap_connectors.singer.coercion import quoted
from ap_connectors.singer.diff import Change, diff, merge_missing
from ap_connectors.singer.schema import ObjectSchema
from ap_connectors.singer.sink import UNCHANGED, Outcome
from ap_connectors.vicai import contract
from ap_connectors.vicai.client import Refused
from target_vicai.compared_sink import ComparedSink, Comparison
from target_vicai.context import LoadContext, ResourceSpec
from target_vicai.item import Item, changed_since_reject, check_not_newer, missing_key
from target_vicai.purchase_order_lines import (
    LineChanges,
    compare_lines,
    is_matched,
    is_vendor,
    order_amount,
    order_matched,
    parse_lines,
    references,
    total,
    vendor_reference,
    with_dimension_ids,
)
from target_vicai.purchase_order_writes import (
    OrderWriter,
    PendingSteps,
    status_of,
)
from target_vicai.record_cache import Reading, RecordCache
from target_vicai.sink import TEXT


class _Plan(Comparison, frozen=True, kw_only=True):
    """What a record asks for.

    Args:
        head: the whole head, if it is to be written.
        lines: what differs in the lines.
        status: `open` or `closed`, if that differs.
        refused: what the record wants and Vic would refuse, because invoices are matched to lines.
        to_process: whether the order is to be processed, even if nothing is to be written.
    """

    head: JsonObject | None = None
    lines: LineChanges = msgspec.field(default_factory=LineChanges)
    status: str | None = None
    refused: tuple[Reject, ...] = ()
    to_process: bool = False

    @property
    def writes(self) -> bool:
        """Whether anything is to be written."""
        return bool(self.head is not None or self.lines or self.status)


class PurchaseOrders(ComparedSink):
    """Purchase orders with their lines (Purchase orders), known by the ERP's id, or else by their number.

    An order's lines are written first, then its head with their sum; it is processed last, and once. A line that an
    invoice is matched to stays as it is: the rest is done, and then the record is set aside because of it. What a kill
    leaves half done still differs from the record, so the next run goes on. Two things Vic does not show, and
    `PendingSteps` remembers: that an order was written and not processed; that a new line opened a closed order.
    """

    name, operation, component = "purchase_orders", "createPurchaseOrder", "PurchaseOrder"
    # Without a status only open orders are listed.
    resource = ResourceSpec(
        "purchase order",
        "listPurchaseOrders",
        second_key="poNumber",
        queries=({"status": "open"}, {"status": "closed"}),
    )
    mirrored = True
    extras: ClassVar[dict[str, Any]] = {
        "status": {"type": "string"},
        "vendorExternalId": TEXT,
        "vendorInternalId": TEXT,
    }

    def __init__(self, context: LoadContext) -> None:
        super().__init__(context)
        # Orders without an id of the ERP's, by Vic's id, and the record that takes each over: of two only one may.
        self._taken: dict[str, str] = {}
        self._lock = threading.Lock()

    @functools.cached_property
    def _pending(self) -> PendingSteps:
        return PendingSteps(self.context.ledger, dry_run=self.context.options.dry_run)

    @property
    def _processes_itself(self) -> bool:
        """Whether Vic processes an order by itself: today's service does, 15 seconds after the last change."""
        return self.context.client.is_live

    # What a record says

    def contract_schema(self) -> contract.Schema:
        """Return the schema of a new order, whose lines may name dimensions by the ERP's ids alone."""
        return with_dimension_ids(contract.inlined(super().contract_schema()))

    @functools.cached_property
    def head_schema(self) -> ObjectSchema:
        """What an order without its lines looks like when it is written."""
        return ObjectSchema.of(contract.inlined(contract.operation("updatePurchaseOrder").body["application/json"]))

    @property
    def list_keys(self) -> Sequence[str]:
        """Fields that tell the rows of a list apart."""
        return ("externalId", "poNumber")

    def key(self, body: JsonObject, extras: JsonObject) -> str:  # noqa: ARG002
        """Return the ERP's id, or else the order's number."""
        key = body.get("externalId") or body.get("poNumber")
        if not key:
            raise missing_key("externalId", "poNumber")
        return str(key)

    def parse(self, record: Mapping[str, Any], rejected: Mapping[str, Any] | None) -> Item:
        """Return a record; its lines have numbers of their own, and add up to its amount."""
        item = super().parse(record, rejected)
        if item.deleted:
            return item
        status = item.extras.get("status")
        if status is not None and status.casefold() not in {"open", "closed"}:
            raise Reject(
                f"status is neither open nor closed: {quoted(status)}.",
                "not_one_of",
                field="status",
                value=quoted(status),
                allowed=["open", "closed"],
            )
        body = {name: value for name, value in item.body.items() if value is not None or self._may_be_null(name)}
        body.pop("vendor", None)
        if vendor := vendor_reference(item):
            body["vendor"] = vendor
        if "lineItems" in body:
            body["lineItems"] = parse_lines(body["lineItems"], live=self.context.client.is_live)
            body["amount"] = order_amount(body, body["lineItems"])
        return structs.replace(item, body=body, extras={"status": status and status.casefold()})

    def _may_be_null(self, name: str) -> bool:
        # Without its id we would not find the order again.
        member = self.head_schema.members.get(name)
        return name != "externalId" and member is not None and member.nullable

    def mark_seen(self, key: str, version: int) -> None:
        """Remember what a full load has; Vic may know an order by an id that the record does not tell."""
        super().mark_seen(key, version)
        if self.context.options.mirror:
            cache = self.context.cache(self.name)
            for order, _ in cache.by_second_key(key):
                if order.get("externalId"):
                    cache.mark_seen(order["externalId"], version)

    def deletion(self, key: str) -> Item:
        """Return an item that deletes an order."""
        return structs.replace(super().deletion(key), body={"externalId": key})

    # What Vic has

    def _found(self, item: Item, cache: RecordCache) -> Reading | None:
        """Return Vic's order: by the ERP's id; else by its number, if the record or the order has no such id."""
        own, number = item.body.get("externalId"), item.body.get("poNumber") or ""
        found = cache.by_key(own) if own else cache.by_second_key(number)
        if own and number and not found and not item.deleted:
            found = [one for one in cache.by_second_key(number) if self._may_take(one.record, item)]
        if len(found) > 1:
            ids = ", ".join(one.record["internalId"] for one in found)
            raise Reject(
                f"Vic.ai has {len(found)} purchase orders {item.key} (internalId {ids}). "
                "Give the one that is meant its externalId there, and send it with the record.",
                "ambiguous_name",
                kind="purchase_order",
                name=item.key,
                count=len(found),
            )
        return found[0] if found else None

    def _may_take(self, order: JsonObject, item: Item) -> bool:
        return not order.get("externalId") and self._taken.get(order["internalId"], item.key) == item.key

    def _now(self, id_: str) -> JsonObject | None:
        return self.context.client.found("getPurchaseOrder", purchaseOrderId=id_)

    def comparison(self, item: Item, *, fresh: bool = False) -> _Plan:
        """Compare a record with Vic's order, and take over an order without an id of the ERP's."""
        with self._lock:
            found = self._found(item, self.context.cache(self.name))
            if found is not None and item.body.get("externalId") and not found.record.get("externalId"):
                self._taken[found.record["internalId"]] = item.key
        if fresh and found is not None and self.is_old(found.at):
            id_ = found.record["internalId"]
            now = self._now(id_)
            found = None if now is None else self.context.learn(self.name, now)
            if found is None:
                self.context.forget(self.name, id_, item.key)
        return _Plan(item.body) if found is None else self._plan(item, found)

    def is_current(self, item: Item, compared: Comparison) -> bool:  # noqa: ARG002
        """Return whether Vic's order is the one that was compared; records may name one order in several ways."""
        if compared.present is None or self.is_old(compared.read_at):
            return False
        return self.context.cache(self.name).id_read_at(compared.present["internalId"]) == compared.read_at

    def _plan(self, item: Item, found: Reading) -> _Plan:
        """Compare a record with Vic's order.

        Raises:
            Reject: the amount would not be the sum of the lines.
        """
        self.context.approval.compared(found.record, ("status", *self.body_schema.members))
        order, merge, write_all = found.record, self.context.options.merge, not self.writes_only_changes(item)
        lines, theirs = LineChanges(), order.get("lineItems") or []
        head = {name: value for name, value in item.body.items() if name != "lineItems"}
        if "lineItems" in item.body:
            live = self.context.client.is_live
            lines = compare_lines(item.body["lineItems"], theirs, merge=merge, write_all=write_all, live=live)
            if lines.refused:
                head["amount"] = f"{total(lines.result):f}"
        elif "amount" in head:
            order_amount(head, theirs)
        if not merge:
            # What Vic does not show is not cleared: an older service may not know the field at all.
            blank = {name: None for name in self.head_schema.members if name in order and self._may_be_null(name)}
            head = {**blank, **head}
        head, fixed = self._without_fixed(head, order)
        refused = (*lines.refused, *fixed)
        # Vic shows the whole vendor, where we only say which.
        compared = {name: value for name, value in head.items() if name != "vendor"}
        changes = diff(self.head_schema, compared, order, readable=self.read_schema)
        vendor = order.get("vendor") or {}
        if "vendor" in head and not is_vendor(head["vendor"], vendor):
            changes.append(Change("vendor", {name: vendor.get(name) for name in head["vendor"]}, head["vendor"]))
        whole = self._whole_head(head, order) if changes or write_all else None
        changes += lines.changes
        status = item.extras.get("status") or ("closed" if self._pending.has(item.key, "close") else None)
        if status == status_of(order):
            status = None
        elif status:
            changes.append(Change("status", status_of(order), status))
        # An order that has not changed since its record was set aside was perhaps written, and not processed.
        was_not_processed = changed_since_reject(item, order) is False and not self._processes_itself
        to_process = self._pending.has(item.key, "process") or was_not_processed
        plan = _Plan(
            item.body,
            order,
            found.at,
            tuple(changes),
            head=whole,
            lines=lines,
            status=status,
            refused=refused,
            to_process=to_process,
        )
        return plan if plan.writes or to_process or refused else structs.replace(plan, outcome=UNCHANGED)

    def _without_fixed(self, head: JsonObject, order: JsonObject) -> tuple[JsonObject, list[Reject]]:
        """Return a head without what has to stay today while an invoice is matched to a line, and why not."""
        if not self.context.client.is_live or not any(map(is_matched, order.get("lineItems") or ())):
            return head, []
        vendor = order.get("vendor") or {}
        differing: JsonObject = {
            name: order.get(name)
            for name in ("poNumber", "matchingType")
            if name in head and diff(self.head_schema, {name: head[name]}, order)
        }
        if "vendor" in head and not is_vendor(head["vendor"], vendor):
            differing["vendor"] = {name: vendor.get(name) for name in head["vendor"]}
        kept = {name: value for name, value in head.items() if name not in differing}
        return kept, [order_matched(name, theirs, head[name]) for name, theirs in differing.items()]

    def _whole_head(self, head: JsonObject, order: JsonObject) -> JsonObject:
        """Return the head as it is sent; what the record lacks is Vic's, and the amount the sum of Vic's lines."""
        theirs = {**order, "amount": f"{total(order.get('lineItems') or []):f}"}
        whole = merge_missing(self.head_schema, head, theirs)
        if missing := self.head_schema.missing(whole):
            message = f"{', '.join(missing)}: missing in the record, and in Vic.ai's order."
            raise Reject(message, "missing_field", fields=missing)
        return whole

    # What becomes of it

    def write(self, item: Item, compared: Comparison) -> Outcome:
        """Create an order, or change what differs; then process it, and open or close it."""
        assert isinstance(compared, _Plan)  # noqa: S101 - `comparison` makes nothing else
        plan, order = compared, compared.present
        if order is None:
            return self._create(item)
        if plan.writes:
            check_not_newer(item, order, "Purchase order")
        new = references(item.body.get("vendor"), item.body.get("lineItems") or [])
        new -= references(order.get("vendor"), order.get("lineItems") or [])
        self.context.await_parents(new)
        # Before the first of several writes, and not after Vic refuses the third.
        self.require_parents(sorted(new))
        self._carry_out(item.key, plan, OrderWriter(self.context, order, to_process=plan.to_process))
        if plan.refused:
            raise Reject.several(plan.refused)
        return Outcome("updated", plan.changes, None if plan.writes else "written before, and processed now")

    def delete(self, item: Item) -> Outcome:
        """Delete an order."""
        found = self._found(item, self.context.cache(self.name))
        if found is None:
            return UNCHANGED
        check_not_newer(item, found.record, "Purchase order")
        self.context.approval.compared(found.record, ("status", *self.body_schema.members))
        id_ = found.record["internalId"]
        outcome = self.call_delete("deletePurchaseOrder", lambda: self._now(id_), purchaseOrderId=id_)
        self._pending.remove(item.key, "process", "close")
        self.context.forget(self.name, id_, item.key)
        return outcome

    def _create(self, item: Item) -> Outcome:
        """Create an order; one that somebody else has created meanwhile becomes what the record says."""
        others: list[JsonObject] = []

        def find_done() -> JsonObject | None:
            found = self._found(item, self.context.read_again(self.name))
            if found is None:
                return None
            others.append(found.record)
            return found.record

        body = self.require_complete(item.body)

        def send() -> JsonObject:
            if not self._processes_itself:
                self._pending.add(item.key, "process")
            return self.context.writer.send(self.operation, body, find_done=find_done)

        try:
            order = self.write_with_parents(sorted(references(body["vendor"], body["lineItems"])), send)
        except Refused:
            # Somebody else may have created it since we read the list.
            if (other := find_done()) is None:
                self._pending.remove(item.key, "process")
                raise
            order = other
        found = self.context.learn(self.name, order)
        plan = self._plan(item, found) if others else _Plan(item.body, order, status=item.extras.get("status"))
        self._carry_out(item.key, plan, OrderWriter(self.context, order, to_process=not self._processes_itself))
        if plan.refused:
            raise Reject.several(plan.refused)
        return Outcome("created")

    def _carry_out(self, key: str, plan: _Plan, writer: OrderWriter) -> None:
        """Do what a record asks for; whatever is not done yet shows in Vic's order, or in its pending steps.

        Raises:
            Reject: Vic refuses a step; the message says what was done before it.
        """
        wanted, was_to_close = plan.status or status_of(writer.order), self._pending.has(key, "close")
        if (plan.head is not None or plan.lines) and not self._processes_itself:
            self._pending.add(key, "process")
        if plan.lines.new and wanted == "closed":
            self._pending.add(key, "close")
        try:
            if wanted == "open":
                writer.set_status(wanted)
            writer.change_lines(plan.lines)
            if plan.head is not None:
                writer.put(plan.head)
        except Reject as refusal:
            if not writer.has_written:
                self._pending.remove(key, "process")
                if not was_to_close:
                    self._pending.remove(key, "close")
                raise
            message = f"{refusal} Part of the order was written before: load it again once it is right."
            raise Reject(message, "partly_written", reasons=[refusal.shown(str)]) from None
        if writer.to_process:
            try:
                writer.process()
            except Reject as refusal:
                message = f"The order is written, but not processed: {refusal} Load this record again for that."
                raise Reject(message, "not_processed", reasons=[refusal.shown(str)]) from None
        self._pending.remove(key, "process")
        writer.set_status(wanted)
        self._pending.remove(key, "close")
