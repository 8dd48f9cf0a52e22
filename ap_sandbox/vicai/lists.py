"""Lists: which records, in which order, how many; the cursor goes into a header."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.responses import Response

from ap_sandbox.vicai import instants
from ap_sandbox.vicai.answers import Refusal, json_answer
from ap_sandbox.vicai.asked import Asked
from ap_sandbox.vicai.collection import Entry
from ap_sandbox.vicai.paging import Ask, Keep, page
from ap_sandbox.vicai.store import Store, shuffled

MOST = 100
_LONE = {"paymentTerms", "taxCodes"}


def listed(asked: Asked) -> Response:
    """Answer a list: by pages where the operation has a limit, else all at once."""
    store, resource = asked.store, asked.resource
    if "limit" not in {parameter.name for parameter in asked.operation.parameters}:
        return _whole(asked)
    query = asked.query
    order = asked.system if resource.order == "system" else resource.order
    keep = [fits for name, make in _FILTERS.get(asked.operation.name, ()) if (fits := make(store, query.get(name)))]
    since = None if "since" not in query else _time(order, query["since"])
    descending = query.get("sortOrder") == "DESCENDING"
    ask = Ask(resource.name, order, query.get("limit", MOST), query.get("cursor"), since, descending, keep)
    found = page(store, ask)
    answer = json_answer(b"[" + b",".join([entry.body for entry in found.entries]) + b"]")
    if found.following is not None:
        answer.headers["x-next"] = found.following
    elif store.options.last_cursor == "empty":
        answer.headers["x-next"] = ""
    return answer


def _whole(asked: Asked) -> Response:
    store, name = asked.store, asked.resource.name
    entries = store[name].sorted("id")
    if store.options.order == "shuffled":
        entries = shuffled(entries)
    if len(entries) == 1 and store.options.lone_objects and name in _LONE:
        return json_answer(entries[0].body)
    return json_answer(b"[" + b",".join([entry.body for entry in entries]) + b"]")


def _time(order: str, text: str) -> Any:
    """What `since` compares with: Vic's instant, or the ERP's wall clock."""
    return instants.utc(text) if order == "internal" else instants.wall(text)


# Filters: each makes a test of a record from the parameter's value (None if it was not given), or None: all pass.

Make = Callable[[Store, Any], Keep | None]


def _vendor_switch(confirmed: bool) -> Make:
    def make(_: Store, wanted: Any) -> Keep | None:
        return None if wanted else lambda entry: entry.fact[0] is not confirmed

    return make


def _vendor_state(_: Store, wanted: Any) -> Keep | None:
    return None if wanted is None else lambda entry: entry.fact[1] == wanted


def _same(_: Store, wanted: Any) -> Keep | None:
    return None if wanted is None else lambda entry: entry.fact == wanted


def _invoice_state(store: Store, wanted: Any) -> Keep | None:
    if wanted not in (None, "POSTED") and not store.options.unposted_allowed:
        raise Refusal(403, "Access to invoices that are not posted is restricted.")
    return None if wanted == "ALL" else _same(store, wanted or "POSTED")


def _order_status(store: Store, wanted: Any) -> Keep | None:
    return _same(store, wanted or "open")


def _up_to(store: Store, wanted: Any) -> Keep | None:
    if wanted is None:
        return None
    unit, latest = instants.UNITS[store.options.instant_digits], instants.utc(wanted)
    return lambda entry: entry.instant // unit * unit <= latest


def _batch_status(_: Store, wanted: Any) -> Keep | None:
    return None if wanted in (None, "all") else lambda entry: entry.fact[0] == wanted


def _completed(is_in: Callable[[int, int], bool]) -> Make:
    def make(_: Store, wanted: Any) -> Keep | None:
        if wanted is None:
            return None
        border = instants.utc(wanted)

        def fits(entry: Entry) -> bool:
            # A batch that is not completed yet matches no filter of this kind.
            completed = entry.fact[1]
            return completed is not None and is_in(completed, border)

        return fits

    return make


_FILTERS: dict[str, tuple[tuple[str, Make], ...]] = {
    "listVendors": (
        ("confirmed", _vendor_switch(True)),
        ("unconfirmed", _vendor_switch(False)),
        ("state", _vendor_state),
    ),
    "listInvoices": (("state", _invoice_state),),
    "listVatCodes": (("vatCode", _same),),
    "listPurchaseOrders": (("status", _order_status), ("upto", _up_to)),
    "listPaymentBatches": (
        ("status", _batch_status),
        ("completedAtOrAfter", _completed(int.__ge__)),
        ("completedAtOrBefore", _completed(int.__le__)),
    ),
}
