"""A small client of the Vic half's control API: every method is one call; decimals are exact both ways."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Protocol
from urllib.parse import quote

import msgspec

_DECODER = msgspec.json.Decoder(float_hook=Decimal)


class Caller(Protocol):
    """What makes the calls: `ap_connectors.sandbox.process.Control`."""

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Make a control call and decode its answer."""

    def raw(self, method: str, path: str, body: Any = None) -> bytes:
        """Make a control call."""


class VicaiControl:
    """Looks inside the Vic half, and makes things happen there.

    `resource` is the name in the service's paths: accounts, dimensions, vendors, vendorGroups, tags, vendorTags,
    paymentTerms, taxCodes, vatCodes, invoices, trainingInvoices, purchaseOrders, paymentBatches, attachments,
    subscription. Ids are the ones that records show as internalId or id; training invoices have the ERP's.
    """

    def __init__(self, control: Caller) -> None:
        self._control = control

    def overview(self, sums: bool = True) -> Any:
        """Counts by resource, options, refusals by the rate limit and, if asked, exact sums of invoices by currency."""
        return self._control.call("GET", "/vicai" if sums else "/vicai?sums=false")

    def records(self, resource: str) -> list[dict[str, Any]]:
        """All records of a resource as a list call serves them, whatever their state."""
        return [_DECODER.decode(line) for line in self.record_lines(resource)]

    def record_lines(self, resource: str) -> Iterator[bytes]:
        """As `records`, but the JSON text of each, exactly as served."""
        yield from self._control.raw("GET", f"/vicai/records/{quote(resource, safe='')}").split(b"\n")[:-1]

    def line_items(self, invoice_internal_id: str) -> list[dict[str, Any]]:
        """An invoice's line items, ungrouped, as served."""
        return list(self._control.call("GET", f"/vicai/lines/{quote(invoice_internal_id, safe='')}"))

    def touch(
        self, resource: str, ids: list[str] | None = None, count: int = 0, at: str | None = None, **changes: Any
    ) -> list[str]:
        """Change these records, or the first `count`; each gets a later internalUpdatedAt, or all the instant `at`."""
        order = {"resource": resource, "ids": ids, "count": count, "at": at, "changes": changes}
        return list(self._control.call("POST", "/vicai/touch", order)["ids"])

    def add(self, resource: str, count: int = 1, at: str | None = None, **overrides: Any) -> list[str]:
        """Make new records that look like seeded ones, but for `overrides`; gives their ids."""
        order = {"resource": resource, "count": count, "at": at, "overrides": overrides}
        return list(self._control.call("POST", "/vicai/add", order)["ids"])

    def delete(self, resource: str, ids: list[str]) -> None:
        """Delete records, whatever uses them."""
        self._control.call("POST", "/vicai/delete", {"resource": resource, "ids": ids})

    def batch_event(
        self, batch_id: str, event: str, payment_id: str | None = None, at: str | None = None
    ) -> dict[str, Any]:
        """Let something happen to a payment batch, or to one payment or credit of it; gives the batch.

        `event` is approve, complete, process, fund, reject, void or acknowledge.
        """
        order = {"id": batch_id, "event": event, "payment_id": payment_id, "at": at}
        batch: dict[str, Any] = self._control.call("POST", "/vicai/batch", order)
        return batch

    def click(self, kind: str, id: str | None = None, request_id: str | None = None) -> dict[str, Any]:
        """Click a button in Vic, which sends a webhook if there is a subscription: {id, request_id, sent}.

        `kind` is invoicePost or invoiceTransfer (the invoice then waits to be confirmed or rejected; without `id` the
        first that can), vendorNew (without `id` a new vendor), or syncRequest. A payment batch that is processed
        (`batch_event(id, "process")`) is told of in the same way.
        """
        order = {"kind": kind, "id": id, "request_id": request_id}
        done: dict[str, Any] = self._control.call("POST", "/vicai/click", order)
        return done

    def document(self, resource: str, record_id: str, state: str) -> None:
        """Make a document `gone`, `html`, `short` or `ok` again."""
        self._control.call("POST", "/vicai/documents", {"resource": resource, "id": record_id, "state": state})

    def revoke_tokens(self) -> None:
        """Let all access tokens expire."""
        self._control.call("POST", "/vicai/revoke")

    def options(self, **changes: Any) -> dict[str, Any]:
        """Change options (names as in `VicaiOptions`); gives all of them."""
        options: dict[str, Any] = self._control.call("PATCH", "/vicai/options", changes)
        return options
