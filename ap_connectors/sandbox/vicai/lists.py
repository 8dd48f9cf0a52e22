"""Lists: which records, in which order; where a page begins and ends; the cursor, which goes into a header."""

from __future__ import annotations

import base64
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec
from starlette.responses import Response

from ap_connectors.sandbox.vicai import times
from ap_connectors.sandbox.vicai.call import Call, Refusal, json_answer
from ap_connectors.sandbox.vicai.resources import ENCODER, Entry
from ap_connectors.sandbox.vicai.store import Store, shuffle_key, shuffled

Keep = Callable[[Entry], bool]
_AFTER = "\U0010ffff"  # behind every id


@dataclass(frozen=True)
class ListQuery:
    """What a list call asks for.

    `order` is "internal", "external" or "id"; `since` microseconds or wall-clock digits accordingly; `keep` are the
    filters, all of which a record must pass.
    """

    resource: str
    order: str
    limit: int
    cursor: str | None = None
    since: Any = None
    descending: bool = False
    keep: Sequence[Keep] = ()


@dataclass(frozen=True)
class Page:
    """The records of a page, and the cursor of the next one if more follow."""

    entries: list[Entry]
    following: str | None


def page(store: Store, query: ListQuery) -> Page:
    """Return one page.

    Raises:
        Refusal: 400 (live: 422), the cursor is not one of this list's.
    """
    entries, position = _walk(store, query)
    found = list(islice(entries, query.limit + 1))
    if len(found) <= query.limit:
        return Page(found, None)
    taken = found[: query.limit]
    options = store.options
    if options.empty_page_every:
        store.list_answers += 1
        if store.list_answers % options.empty_page_every == 0:
            return Page([], token(position))
    if options.cursors == "offset":
        return Page(taken, token((position or 0) + query.limit))
    return Page(taken, token(list(_key(store, query)(taken[-1]))))


def _key(store: Store, query: ListQuery) -> Callable[[Entry], tuple[Any, str]]:
    return shuffle_key if store.options.order == "shuffled" else store[query.resource].key(query.order)


def _walk(store: Store, query: ListQuery) -> tuple[Iterator[Entry], Any]:
    """Return the records from the cursor on, and what the cursor holds (None = the beginning)."""
    collection, options, key = store[query.resource], store.options, _key(store, query)
    refused = 422 if options.age == "live" else 400
    position = None if query.cursor is None else token_position(query.cursor, refused)
    keep = list(query.keep)
    first = 0
    if options.order == "shuffled":
        view = shuffled(list(collection.by_id.values()))
        if query.since is not None:
            keep.append(_since(collection.key(query.order), query.since, options.since_is == "inclusive"))
    else:
        view = collection.sorted(query.order)
        if query.since is not None:
            first = bisect_left(view, (query.since, "" if options.since_is == "inclusive" else _AFTER), key=key)
    last, skip = len(view), 0
    if isinstance(position, int):
        skip = position
    elif position is not None:
        try:
            if query.descending:
                last = min(last, bisect_left(view, tuple(position), key=key))
            else:
                first = max(first, bisect_right(view, tuple(position), key=key))
        except TypeError:
            raise _wrong_cursor(refused) from None
    places = range(last - 1, first - 1, -1) if query.descending else range(first, last)
    walk = (entry for place in places if all(fits(entry := view[place]) for fits in keep))
    if not keep:
        walk = (view[place] for place in places)
    return islice(walk, skip, None), position


def _since(key: Callable[[Entry], tuple[Any, str]], since: Any, inclusive: bool) -> Keep:
    if inclusive:
        return lambda entry: bool(key(entry)[0] >= since)
    return lambda entry: bool(key(entry)[0] > since)


def token(position: Any) -> str:
    """Return a cursor that holds a position in a list."""
    return base64.urlsafe_b64encode(ENCODER.encode(position)).decode().rstrip("=")


def token_position(cursor: str, status: int) -> Any:
    """Return the position that a cursor holds.

    Raises:
        Refusal: with `status`, it is not a cursor.
    """
    try:
        position = msgspec.json.decode(base64.urlsafe_b64decode(cursor.encode("ascii") + b"=="))
    except ValueError:
        raise _wrong_cursor(status) from None
    if position is None or (isinstance(position, int) and position >= 0):
        return position
    if isinstance(position, list) and len(position) == 2:
        return position
    raise _wrong_cursor(status)


def _wrong_cursor(status: int) -> Refusal:
    return Refusal(status, "cursor is not one that x-next has given.")


MOST = 100
# What comes at once where the caller does not say how much (live age).
_UNASKED = {"tags": 250, "vendorTags": 250}
_LONE = {"paymentTerms", "taxCodes"}


def list_records(call: Call) -> Response:
    """Answer a list: by pages where the operation has a limit, else all at once."""
    store, resource = call.store, call.resource
    if "limit" not in {parameter.name for parameter in call.operation.parameters}:
        return _whole(call)
    query = call.query
    order = call.system if resource.order == "system" else resource.order
    if call.operation.name == "listVatCodes" and query.get("useSystem"):
        order = "internal" if call.system == "internal" else "external"
    keep = [fits for name, make in _FILTERS.get(call.operation.name, ()) if (fits := make(store, query.get(name)))]
    since = None if "since" not in query else _time(order, query["since"])
    descending = query.get("sortOrder") == "DESCENDING"
    wanted = ListQuery(
        resource.name,
        order,
        query.get("limit", _UNASKED.get(resource.name, MOST)),
        query.get("cursor"),
        since,
        descending,
        keep,
    )
    found = page(store, wanted)
    answer = json_answer(b"[" + b",".join([entry.body for entry in found.entries]) + b"]")
    if found.following is not None:
        answer.headers["x-next"] = found.following
    elif store.options.last_cursor == "empty":
        answer.headers["x-next"] = ""
    return answer


def _whole(call: Call) -> Response:
    store, name = call.store, call.resource.name
    entries = store[name].sorted("id")
    if store.options.order == "shuffled":
        entries = shuffled(entries)
    if len(entries) == 1 and store.options.lone_objects and name in _LONE:
        return json_answer(entries[0].body)
    return json_answer(b"[" + b",".join([entry.body for entry in entries]) + b"]")


def _time(order: str, text: str) -> Any:
    """Return what `since` compares with: Vic's instant, or the ERP's wall clock."""
    return times.read_utc(text) if order == "internal" else times.read_wall(text)


# Filters: each makes a test of a record from the parameter's value (None if it was not given), or None: all pass.

Make = Callable[[Store, Any], Keep | None]


def _vendor_switch(confirmed: bool) -> Make:
    def make(_: Store, wanted: Any) -> Keep | None:
        return None if wanted else lambda entry: entry.filter_value[0] is not confirmed

    return make


def _vendor_state(_: Store, wanted: Any) -> Keep | None:
    return None if wanted is None else lambda entry: entry.filter_value[1] == wanted


def _same(_: Store, wanted: Any) -> Keep | None:
    return None if wanted is None else lambda entry: entry.filter_value == wanted


def _invoice_state(store: Store, wanted: Any) -> Keep | None:
    if wanted not in (None, "POSTED") and not store.options.unposted_allowed:
        raise Refusal(403, "Access to invoices that are not posted is restricted.")
    return None if wanted == "ALL" else _same(store, wanted or "POSTED")


def _order_status(store: Store, wanted: Any) -> Keep | None:
    return _same(store, wanted or "open")


def _up_to(store: Store, wanted: Any) -> Keep | None:
    if wanted is None:
        return None
    unit, latest = times.UNITS[store.options.instant_digits], times.read_utc(wanted)
    return lambda entry: entry.instant // unit * unit <= latest


def _batch_status(_: Store, wanted: Any) -> Keep | None:
    return None if wanted in (None, "all") else lambda entry: entry.filter_value[0] == wanted


def _completed(is_in: Callable[[int, int], bool]) -> Make:
    def make(_: Store, wanted: Any) -> Keep | None:
        if wanted is None:
            return None
        border = times.read_utc(wanted)

        def fits(entry: Entry) -> bool:
            # A batch that is not completed yet matches no filter of this kind.
            completed = entry.filter_value[1]
            return completed is not None and is_in(completed, border)

        return fits

    return make


def _own(name: str) -> Make:
    """Return the test that a member of the record is what was asked for."""

    def make(store: Store, wanted: Any) -> Keep | None:
        return None if wanted is None else lambda entry: store.record(entry).get(name) == wanted

    return make


_FILTERS: dict[str, tuple[tuple[str, Make], ...]] = {
    "listVendors": (
        ("confirmed", _vendor_switch(True)),
        ("unconfirmed", _vendor_switch(False)),
        ("state", _vendor_state),
    ),
    "listInvoices": (("state", _invoice_state),),
    "listDimensions": (("externalId", _own("externalId")), ("type", _own("type"))),
    "listVendorTags": (("vendorId", _own("vendorId")),),
    "listVatCodes": (("vatCode", _same),),
    "listPurchaseOrders": (("status", _order_status), ("upto", _up_to)),
    "listPaymentBatches": (
        ("status", _batch_status),
        ("completedAtOrAfter", _completed(int.__ge__)),
        ("completedAtOrBefore", _completed(int.__le__)),
    ),
}
