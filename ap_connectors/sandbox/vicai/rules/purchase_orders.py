"""Purchase orders and their lines: written, added up by the caller, and then processed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from starlette.responses import Response

from ap_connectors.core.exact import EXACT
from ap_connectors.sandbox.vicai import crud
from ap_connectors.sandbox.vicai.call import Call, Handler, Refusal
from ap_connectors.sandbox.vicai.parsing import money
from ap_connectors.sandbox.vicai.resources import ENCODER, Entry, Record
from ap_connectors.sandbox.vicai.rules import lookup
from ap_connectors.sandbox.vicai.store import Store

# Which quantities a line must tell, by the way in which it is matched.
_QUANTITIES = {
    "TWO_WAY": ("quantityRequested",),
    "THREE_WAY": ("quantityRequested", "quantityReceived"),
    "FOUR_WAY": ("quantityRequested", "quantityReceived", "quantityAccepted"),
}
_LINE = "PurchaseOrderLineItem"
_LINE_WRITTEN = ("internalId", "invoiceItemsMatched")


def create(call: Call) -> Response:
    """Create an open order with its lines."""
    crud.ensure_unique(call, call.body.get("externalId"), None)
    lines = [_line(call.store, line) for line in call.body["lineItems"]]
    _distinct(lines)
    record = {**_header(call, {}), "status": "open", "lineItems": lines}
    return call.done(call.store.save("purchaseOrders", record).body, created=True)


def update(call: Call) -> Response:
    """Change an order's own members; its lines have calls of their own."""
    entry = call.entry()
    crud.ensure_unique(call, call.body.get("externalId"), entry)
    return _saved(call, entry, _header(call, call.store.record(entry)))


def process(call: Call) -> Response:
    """Process an order, whose amount must be the sum of its lines."""
    entry = call.entry()
    record = call.store.record(entry)
    total = money(0)
    for line in record["lineItems"]:
        total = EXACT.add(total, money(line.get("lineItemTotal") or 0))
    if money(record.get("amount") or 0) != total:
        raise Refusal(422, f"amount is {record.get('amount')}, but the line items sum up to {total}.")
    return _saved(call, entry, record)


def close(call: Call) -> Response:
    """Close an order."""
    entry = call.entry()
    return _saved(call, entry, {**call.store.record(entry), "status": "closed"})


def reopen(call: Call) -> Response:
    """Open an order."""
    entry = call.entry()
    return _saved(call, entry, {**call.store.record(entry), "status": "open"})


def create_line(call: Call) -> Response:
    """Add a line to an order, which is open from then on."""
    order = call.body["purchaseOrderId"]
    if (entry := call.store.find("purchaseOrders", "internal", order)) is None:
        raise Refusal(404, f"PurchaseOrder {order[:100]} does not exist.")
    record = call.store.record(entry)
    line = _line(call.store, call.body)
    record["lineItems"].append(line)
    _distinct(record["lineItems"])
    call.store.save("purchaseOrders", {**record, "status": "open"}, over=entry)
    return call.done(ENCODER.encode(line), created=True)


def update_line(call: Call) -> Response:
    """Change a line that no posted invoice is matched to; null clears, and what the body leaves out stays."""
    entry, record, place = _found_line(call)
    before = record["lineItems"][place]
    kept = crud.merged(_LINE, before, call.body)
    line = {**kept, **_line(call.store, {**before, **call.body}, before["internalId"])}
    record["lineItems"][place] = line
    _distinct(record["lineItems"])
    call.store.save("purchaseOrders", record, over=entry)
    return call.done(ENCODER.encode(line))


def delete_line(call: Call) -> Response:
    """Delete a line that no posted invoice is matched to."""
    entry, record, place = _found_line(call)
    del record["lineItems"][place]
    call.store.save("purchaseOrders", record, over=entry)
    return call.done()


def _header(call: Call, before: Record) -> Record:
    given = {name: value for name, value in call.body.items() if name != "lineItems"}
    vendor = lookup.vendor(call.store, given["vendor"])
    return crud.merged("PurchaseOrder", before, {**given, "vendor": vendor})


def _line(store: Store, given: Mapping[str, Any], id_: str | None = None) -> Record:
    kind = given.get("matchingType") or "THREE_WAY"
    if missing := [name for name in _QUANTITIES.get(kind, ()) if given.get(name) is None]:
        raise Refusal(422, f"{missing[0]} is required when matchingType is {kind}.")
    found = lookup.dimensions(store, given.get("dimensions"))
    names = ("internalId", "externalId", "name", "typeExternalId")
    line = crud.readable(_LINE, {n: v for n, v in given.items() if n not in _LINE_WRITTEN})
    return {
        "internalId": id_ or store.next_line_id(),
        **line,
        "matchingType": kind,
        "dimensions": [{name: one.get(name) for name in names if one.get(name) is not None} for one in found],
        "invoiceItemsMatched": given.get("invoiceItemsMatched") or [],
    }


def _distinct(lines: Iterable[Mapping[str, Any]]) -> None:
    numbers: set[Any] = set()
    for line in lines:
        if (number := line.get("lineNumber")) in numbers:
            raise Refusal(422, f"lineNumber {number} is given twice in the order.")
        numbers.add(number)


def _found_line(call: Call) -> tuple[Entry, Record, int]:
    for entry in call.store["purchaseOrders"].by_id.values():
        record = call.store.record(entry)
        for place, line in enumerate(record["lineItems"]):
            if line["internalId"] != call.id:
                continue
            if line.get("invoiceItemsMatched"):
                raise Refusal(422, "The line item is matched to a posted invoice; it stays as it is.")
            return entry, record, place
    raise Refusal(404, f"PurchaseOrderLineItem {call.id[:100]} does not exist.")


def _saved(call: Call, entry: Entry, record: Record) -> Response:
    return call.done(call.store.save("purchaseOrders", record, over=entry).body)


HANDLERS: dict[str, Handler] = {
    "createPurchaseOrder": create,
    "updatePurchaseOrder": update,
    "processPurchaseOrder": process,
    "closePurchaseOrder": close,
    "openPurchaseOrder": reopen,
    "createPurchaseOrderLineItem": create_line,
    "updatePurchaseOrderLineItem": update_line,
    "deletePurchaseOrderLineItem": delete_line,
}
