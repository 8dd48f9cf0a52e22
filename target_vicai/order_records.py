"""What a record says of a purchase order: its head, its lines, what these add up to, and whether it is open."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, ClassVar

from ap_connectors.core.errors import Reject
from ap_connectors.singer.schema import ObjectSchema
from ap_connectors.vicai import contract
from target_vicai import order_lines
from target_vicai.copy import Plain
from target_vicai.loader import TEXT, Item, Loader


class OrderRecords(Loader):
    """Reads records of purchase orders; `PurchaseOrders` brings them to Vic."""

    name, body_of, component = "purchase_orders", "createPurchaseOrder", "PurchaseOrder"
    extras: ClassVar[dict[str, Any]] = {
        "status": {"type": "string"},
        "vendorExternalId": TEXT,
        "vendorInternalId": TEXT,
    }

    def body_schema(self) -> contract.Schema:
        """Return the schema of a new order, whose lines may name dimensions by the ERP's ids alone."""
        return order_lines.with_names(contract.inlined(super().body_schema()))

    @functools.cached_property
    def head_shape(self) -> ObjectSchema:
        """The form of an order without its lines."""
        return ObjectSchema.of(contract.inlined(contract.operation("updatePurchaseOrder").body["application/json"]))

    def key(self, body: Plain, extras: Plain) -> str:  # noqa: ARG002
        """Return the ERP's id, or else the order's number."""
        key = body.get("externalId") or body.get("poNumber")
        if not key:
            raise Reject("externalId and poNumber are missing: one of them is needed as the record's key.")
        return str(key)

    def parse(self, record: Mapping[str, Any], replayed: str | None) -> Item:
        """Read a record; its lines must have numbers of their own, and add up to its amount."""
        item = super().parse(record, replayed)
        if item.deleted:
            return item
        status = item.extras.get("status")
        if status is not None and status.casefold() not in {"open", "closed"}:
            raise Reject(f"status is neither open nor closed: {status[:60]!r}.")
        body = {name: value for name, value in item.body.items() if value is not None or self.may_be_null(name)}
        body.pop("vendor", None)
        if reference := self._reference(item):
            body["vendor"] = reference
        if "lineItems" in body:
            body["lineItems"] = order_lines.read(body["lineItems"])
            body["amount"] = self.amount(body, body["lineItems"])
        return replace(item, body=body, extras={"status": status and status.casefold()})

    def may_be_null(self, name: str) -> bool:
        """Whether a member of the head can be cleared."""
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
    def amount(body: Plain, lines: list[Plain]) -> str:
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
