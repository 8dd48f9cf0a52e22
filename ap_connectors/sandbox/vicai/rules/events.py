"""The record of webhook events, and the calls that ask the ERP side to send (live age)."""

from __future__ import annotations

import uuid

from starlette.responses import Response

from ap_connectors.sandbox.vicai import times
from ap_connectors.sandbox.vicai.call import Call, Handler, Refusal, value_answer
from ap_connectors.sandbox.vicai.event_log import Event
from ap_connectors.sandbox.vicai.lists import token, token_position
from ap_connectors.sandbox.vicai.live_fields import COMPANY_ID
from ap_connectors.sandbox.vicai.resources import ENCODER, Record
from ap_connectors.vicai import contract

_DAYS_30 = 30 * 24 * 3600 * 1_000_000
_MOST = 100


def list_events(call: Call) -> Response:
    """Answer a page of what happened in the account's own company in at most 30 days, oldest first."""
    found, query = happened(call, COMPANY_ID), call.query
    start = 0 if "cursor" not in query else _place([event.id for event in found], query["cursor"])
    limit = query.get("limit", _MOST)
    page = found[start : start + limit]
    answer = value_answer([shown(call, event) for event in page])
    if start + limit < len(found):
        answer.headers["x-next"] = token([page[-1].id, ""])
    return answer


def shown(call: Call, event: Event) -> Record:
    """Return an event as the record shows it."""
    return event.recorded(data_only=call.store.options.recorded_body == "data")


def happened(call: Call, company: str) -> list[Event]:
    """Return the events of a company, by its id of v0, that a call asks for."""
    query, store = call.query, call.store
    try:
        first, last = (times.read_utc(query[name]) for name in ("occurred_after", "occurred_before"))
    except (ValueError, OverflowError) as error:
        raise Refusal(422, f"occurred_after, occurred_before: {error}.") from None
    if last < first or last - first > _DAYS_30:
        raise Refusal(422, "occurred_before must be after occurred_after, and at most 30 days later.")
    known = set(contract.component("WebhookEventName")["enum"])
    kinds = {kind for kind in f"{query.get('event_types', '')},{query.get('event_type', '')}".split(",") if kind}
    if unknown := sorted(kinds - known):
        raise Refusal(422, f"event_types: {unknown[0][:60]} is unknown.")
    inclusive = store.options.since_is == "inclusive"
    found = [
        event
        for event in store.events.events
        if (_company_of(event) == company)
        and (first < event.instant < last or (inclusive and event.instant in (first, last)))
        and (not kinds or event.kind in kinds)
        and not (query.get("undelivered") and event.delivered)
    ]
    if store.options.order == "shuffled":
        found.sort(key=lambda event: event.id)
    return found


def _company_of(event: Event) -> str:
    data = event.envelope.get("data")
    return str((data if isinstance(data, dict) else event.envelope).get("companyId") or COMPANY_ID)


def _place(ids: list[str], cursor: str) -> int:
    position = token_position(cursor, 422)
    if not isinstance(position, list) or position[0] not in ids:
        raise Refusal(422, "cursor is not one that x-next has given.")
    return ids.index(position[0]) + 1


def get_event(call: Call) -> Response:
    """Answer one event."""
    found = next((event for event in call.store.events.events if event.id == call.id), None)
    if found is None:
        raise Refusal(404, f"WebhookEvent {call.id[:100]} does not exist.")
    return call.done(ENCODER.encode(shown(call, found)))


def synchronize(call: Call) -> Response:
    """Ask the ERP side to send, by a syncRequest to the subscription."""
    call.store.synchronized.append(call.operation.path.split("/")[1])
    request_id = str(uuid.uuid4())
    call.store.events.happened("syncRequest", {"requestId": request_id}, id_=request_id)
    return call.done()


HANDLERS: dict[str, Handler] = {
    "listWebhookEvents": list_events,
    "getWebhookEvent": get_event,
    **{
        f"synchronize{name}": synchronize
        for name in ("Accounts", "Dimensions", "PaymentTerms", "PurchaseOrders", "VatCodes", "Vendors")
    },
}
