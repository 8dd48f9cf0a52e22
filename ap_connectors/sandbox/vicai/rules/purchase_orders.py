"""Purchase orders and their lines: written, added up by the caller, and then processed."""

from __future__ import annotations

import uuid
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
# Of a line that a transmitted invoice is matched to: what stays, and what may only grow.
_FIXED = ("lineNumber", "matchingType", "productNumber", "productDescription", "unitAmount")
_GROWING = ("lineItemTotal", "quantityRequested", "quantityReceived", "quantityAccepted")
_LINE_WRITTEN = ("internalId", "invoiceItemsMatched")


def create(call: Call) -> Response:
    """Create an open order with its lines."""
    crud.ensure_unique(call, call.body.get("externalId"), None)
    lines = [_line(call.store, line) for line in call.body["lineItems"]]
    _distinct(lines)
    record = {**_header(call, {}), "status": "open", "lineItems": lines}
    saved = call.store.save("purchaseOrders", record)
    call.store.events.happened("purchase_order_created", call.store.record(saved))
    return call.done(saved.body, created=True)


def update(call: Call) -> Response:
    """Change an order's own members; its lines have calls of their own."""
    entry = call.entry()
    crud.ensure_unique(call, call.body.get("externalId"), entry)
    before = call.store.record(entry)
    header = _header(call, before)
    if call.age == "live" and any(map(_is_matched, before["lineItems"])):
        told = ("poNumber", "matchingType")
        if any(before.get(name) != header.get(name) for name in told) or _vendor_id(before) != _vendor_id(header):
            raise Refusal(422, "Lines are matched to a transmitted invoice: vendor, poNumber and matchingType stay.")
    return _saved(call, entry, header)


def delete(call: Call) -> Response:
    """Delete an order; in the live age not one whose lines a transmitted invoice is matched to."""
    entry = call.entry()
    if call.age == "live" and any(map(_is_matched, call.store.record(entry)["lineItems"])):
        raise Refusal(422, "Lines are matched to a transmitted invoice: the order can't be deleted.")
    gone = {"internalId": entry.id, "externalId": entry.external_id}
    answer = crud.delete(call)
    call.store.events.happened("purchase_order_deleted", gone)
    return answer


def _vendor_id(order: Mapping[str, Any]) -> Any:
    return (order.get("vendor") or {}).get("internalId")


def _is_matched(line: Mapping[str, Any]) -> bool:
    return bool(line.get("invoiceItemsMatched"))


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
    """Change a line; null clears, and what the body leaves out stays.

    What a posted invoice is matched to stays as it is; in the live age it may grow.
    """
    entry, record, place = _found_line(call)
    before = record["lineItems"][place]
    _refuse_matched(call, before)
    kept = crud.merged(_LINE, before, call.body, call.age)
    line = {**kept, **_line(call.store, {**before, **call.body}, before["internalId"])}
    if _is_matched(before):
        _only_grows(before, line)
    record["lineItems"][place] = line
    _distinct(record["lineItems"])
    call.store.save("purchaseOrders", record, over=entry)
    return call.done(ENCODER.encode(line))


def delete_line(call: Call) -> Response:
    """Delete a line that no posted invoice is matched to."""
    entry, record, place = _found_line(call)
    if _is_matched(record["lineItems"][place]):
        raise Refusal(422, "The line item is matched to a posted invoice; it stays as it is.")
    del record["lineItems"][place]
    call.store.save("purchaseOrders", record, over=entry)
    return call.done()


def _header(call: Call, before: Record) -> Record:
    given = {name: value for name, value in call.body.items() if name != "lineItems"}
    vendor = lookup.vendor(call.store, given["vendor"])
    return crud.merged("PurchaseOrder", before, {**given, "vendor": vendor}, call.age)


def _line(store: Store, given: Mapping[str, Any], id_: str | None = None) -> Record:
    kind = given.get("matchingType") or ("three_way" if store.age == "live" else "THREE_WAY")
    if missing := [name for name in _QUANTITIES.get(kind.upper(), ()) if given.get(name) is None]:
        raise Refusal(422, f"{missing[0]} is required when matchingType is {kind}.")
    found = lookup.dimensions(store, given.get("dimensions"))
    names = ("internalId", "externalId", "name", "typeExternalId")
    _check_receipts(given)
    line = crud.readable(_LINE, {n: v for n, v in given.items() if n not in _LINE_WRITTEN}, store.age)
    for name in ("receiptLines", "scheduleLines"):
        if name in line:
            line[name] = [{"internalId": str(uuid.uuid4()), **one} for one in line[name] or ()]
    return {
        "internalId": id_ or store.next_line_id(),
        **line,
        "matchingType": kind,
        "dimensions": [{name: one.get(name) for name in names if one.get(name) is not None} for one in found],
        "invoiceItemsMatched": given.get("invoiceItemsMatched") or [],
    }


def _check_receipts(given: Mapping[str, Any]) -> None:
    """Refuse receipts that do not add up to what the line says was received and accepted."""
    if not (receipts := given.get("receiptLines")):
        return
    for name, part in (("quantityReceived", "receivedQuantity"), ("quantityAccepted", "acceptedQuantity")):
        parts = [one[part] for one in receipts if one.get(part) is not None]
        total = money(0)
        for one in parts:
            total = EXACT.add(total, money(one))
        if parts and given.get(name) is not None and money(given[name]) != total:
            raise Refusal(422, f"{name} is {given[name]}, but receiptLines sum up to {total}.")


def _refuse_matched(call: Call, line: Mapping[str, Any]) -> None:
    if call.age != "live" and _is_matched(line):
        raise Refusal(422, "The line item is matched to a posted invoice; it stays as it is.")


def _only_grows(before: Mapping[str, Any], line: Mapping[str, Any]) -> None:
    for name in _FIXED:
        if before.get(name) != line.get(name):
            raise Refusal(422, f"{name}: the line item is matched to a transmitted invoice.")
    for name in _GROWING:
        if before.get(name) is not None and money(line.get(name) or 0) < money(before[name]):
            raise Refusal(422, f"{name} may only grow: the line item is matched to a transmitted invoice.")


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
            if line.get("externalId" if call.system == "external" else "internalId") == call.id:
                return entry, record, place
    raise Refusal(404, f"PurchaseOrderLineItem {call.id[:100]} does not exist.")


def get_line(call: Call) -> Response:
    """Answer a line."""
    _, record, place = _found_line(call)
    return call.done(ENCODER.encode(record["lineItems"][place]))


def _with_status(status: str) -> Handler:
    """Return how a line is closed or opened."""

    def write(call: Call) -> Response:
        entry, record, place = _found_line(call)
        record["lineItems"][place]["status"] = status
        _saved(call, entry, record)
        return call.done(ENCODER.encode(record["lineItems"][place]))

    return write


def _saved(call: Call, entry: Entry, record: Record) -> Response:
    saved = call.store.save("purchaseOrders", record, over=entry)
    call.store.events.happened("purchase_order_updated", call.store.record(saved))
    return call.done(saved.body)


HANDLERS: dict[str, Handler] = {
    "createPurchaseOrder": create,
    "updatePurchaseOrder": update,
    "deletePurchaseOrder": delete,
    "processPurchaseOrder": process,
    "closePurchaseOrder": close,
    "openPurchaseOrder": reopen,
    "createPurchaseOrderLineItem": create_line,
    "updatePurchaseOrderLineItem": update_line,
    "deletePurchaseOrderLineItem": delete_line,
    "getPurchaseOrderLineItem": get_line,
    "closePurchaseOrderLineItem": _with_status("closed"),
    "openPurchaseOrderLineItem": _with_status("open"),
}
