"""Companies: access token, health check, the one webhook subscription; and what v2 has of all of them (live age)."""

from __future__ import annotations

import uuid
from typing import Any

from starlette.responses import Response

from ap_connectors.sandbox import clock
from ap_connectors.sandbox.fake_data import uuid_like
from ap_connectors.sandbox.vicai import crud, times
from ap_connectors.sandbox.vicai.call import Call, Handler, Refusal, value_answer
from ap_connectors.sandbox.vicai.lists import token, token_position
from ap_connectors.sandbox.vicai.resources import ENCODER, Entry, Record
from ap_connectors.sandbox.vicai.rules import events
from ap_connectors.sandbox.vicai.store import Store
from ap_connectors.sandbox.webhooks import sender

_VERSIONS = {"0.20": "0.20.0", "live": "10.40.4"}
_SIZE = 50
_STATES = {"not_ready", "in_approvals", "ready_for_post", "ready_for_transfer", "posted", "transferred"}


def obtain_token(call: Call) -> Response:
    """Grant an access token for the right credentials."""
    if not call.tokens.knows(call.body["client_id"], call.body["client_secret"]):
        raise Refusal(401, "The client id or the client secret is wrong.")
    seconds = call.store.options.token_seconds
    token = call.tokens.grant(seconds)
    return value_answer({"access_token": token, "token_type": "Bearer", "expires_in": int(seconds)})


def health(call: Call) -> Response:
    """Say that all is well, and whose data this is."""
    return value_answer({"status": "PASS", "version": _VERSIONS[call.age], "company": call.store.options.company})


def get_own_subscription(call: Call) -> Response:
    """Answer the subscription."""
    return call.done(ENCODER.encode(_current(call)))


def subscribe(call: Call) -> Response:
    """Subscribe, or change the subscription; events that are left out stay as they were."""
    body = call.body
    status = crud.refused_by(call.operation)
    if not sender.acceptable(body["callbackUrl"]):
        raise Refusal(status, "callbackUrl must be an https address (the sandbox also takes http on 127.0.0.1).")
    if call.age == "live":
        # Ignored when sent, and not shown.
        body = {name: value for name, value in body.items() if name != "expiresAt"}
    else:
        try:
            times.read_utc(body["expiresAt"])
        except (ValueError, OverflowError) as error:
            raise Refusal(status, f"expiresAt: {error}.") from None
    events = body.get("events")
    if events is not None and "all" in events and len(events) > 1:
        raise Refusal(status, "events: all must stand by itself.")
    before = call.store.subscription or {"events": ["all"]}
    call.store.subscription = {**body, "events": before["events"] if events is None else events}
    return call.done(ENCODER.encode(call.store.subscription), created=True)


def unsubscribe(call: Call) -> Response:
    """End the subscription."""
    _current(call)
    call.store.subscription = None
    return call.done(b'"OK"')


def _current(call: Call) -> Record:
    if call.store.subscription is None:
        raise Refusal(404, "The company has no subscription.")
    return call.store.subscription


def companies(store: Store) -> list[Record]:
    """Return the companies; the first is the one of v0, whose invoices they share out among them."""
    return [
        {
            "id": uuid_like(store.seed, "company", number),
            "legacy_id": str(number + 1),
            "name": store.options.company if number == 0 else f"{store.options.company} {number + 1}",
            "organization_id": uuid_like(store.seed, "organization", 0),
            "remote_id": f"C{number + 1}",
            "updated_at": times.write_utc(clock.START * 1000, 3),
        }
        for number in range(store.options.companies)
    ]


def invoices_of(store: Store, company: Record) -> list[Entry]:
    """Return the invoices of a company; each of several companies has every n-th of the store's."""
    count, place = store.options.companies, int(company["legacy_id"]) - 1
    ordered = store["invoices"].sorted("internal")
    return [entry for entry in ordered if _number(entry) % count == place]


def _number(entry: Entry) -> int:
    return int(entry.id) if entry.id.isdecimal() else 0


def list_companies(call: Call) -> Response:
    """Answer a page of companies."""
    found = companies(call.store)
    if (part := call.query.get("name_contains")) is not None:
        found = [one for one in found if part.lower() in one["name"].lower()]
    if (remote := call.query.get("remote_id")) is not None:
        found = [one for one in found if one["remote_id"] == remote]
    return _page(call, [(one["id"], one) for one in found])


def list_invoices(call: Call) -> Response:
    """Answer a page of a company's invoices, by the time of their last change, strictly after `updated_after`."""
    query, store = call.query, call.store
    company = _company(call)
    internal = query["system"] == "internal"
    try:
        after = None if "updated_after" not in query else times.read_utc(query["updated_after"])
    except (ValueError, OverflowError) as error:
        raise Refusal(422, f"updated_after: {error}.") from None
    found = []
    for entry in invoices_of(store, company):
        if query["status"] in _STATES and entry.filter_value.lower() != query["status"]:
            continue
        moment = entry.instant if internal else times.read_utc(entry.wall) if entry.wall else None
        if after is not None and (moment is None or moment <= after):
            continue
        found.append((moment or 0, entry))
    found.sort(key=lambda one: (one[0], one[1].place), reverse=query["sort_order"] == "desc")
    return _page(call, [(entry.id, entry) for _, entry in found], lambda entry: _bill(store, company, entry))


def _page(call: Call, found: list[tuple[str, Any]], show: Any = lambda one: one) -> Response:
    ids = [id_ for id_, _ in found]
    start = 0
    if (cursor := call.query.get("page[cursor]")) is not None:
        position = token_position(cursor, 422)
        if not isinstance(position, list) or position[0] not in ids:
            raise Refusal(422, "page[cursor] is not one that was given.")
        start = ids.index(position[0]) + 1
    size = call.query.get("page[size]", _SIZE)
    page = found[start : start + size]
    following = token([page[-1][0], ""]) if start + size < len(found) else None
    return value_answer({"data": [show(one) for _, one in page], "meta": {"page": {"cursor": following}}})


def _bill(store: Store, company: Record, entry: Entry) -> Record:
    """Return an invoice as v2 shows it."""
    record = store.record(entry)
    vendor = record.get("vendor") or {}
    return {
        "id": record["id"],
        "legacy_id": record["internalId"],
        "ref_number": record.get("refNumber"),
        "remote_id": record.get("externalId"),
        "status": str(record["status"]).lower(),
        "transaction_type": "credit_note" if record["transactionType"] == "CREDITNOTE" else "invoice",
        "vendor": {"legacy_id": vendor.get("internalId"), "name": vendor.get("name")} if vendor else {},
        "company": {name: company[name] for name in ("id", "name", "remote_id")},
        "currency": record.get("currency"),
        "issue_date": record.get("issueDate"),
        "due_date": record.get("dueDate"),
        "gl_date": record.get("glDate"),
        "amount_net": record.get("amountNet"),
        "amount_sum": record.get("amountSum"),
        "amount_tax": record.get("amountTax"),
        "line_items": [_line(line) for line in record.get("lineItems") or ()],
        "remote_updated_at": record.get("externalUpdatedAt"),
        "inserted_at": record["insertedAt"],
        "updated_at": record["internalUpdatedAt"],
    }


def _line(line: Record) -> Record:
    names = {"index": "index", "description": "description", "amount_net": "amountNet", "unit_price": "unitPrice"}
    return {ours: line.get(theirs) for ours, theirs in names.items()}


def _company(call: Call) -> Record:
    wanted = call.ids["company_id"]
    found = next((one for one in companies(call.store) if one["id"] == wanted), None)
    if found is None:
        raise Refusal(404, f"Company {wanted[:100]} does not exist.")
    return found


# Events


def list_events(call: Call) -> Response:
    """Answer a page of what happened in a company."""
    found = events.happened(call, _company(call)["legacy_id"])
    return _page(call, [(event.id, event) for event in found], lambda event: events.shown(call, event))


# Subscriptions


def list_subscriptions(call: Call) -> Response:
    """Answer the subscriptions of a company."""
    company = _company(call)
    held = [one for one in call.store.subscriptions_v2 if one["company_id"] == company["id"]]
    return _page(call, [(one["id"], shown(one)) for one in held])


def create_subscription(call: Call) -> Response:
    """Subscribe beside the others."""
    company = _company(call)
    _check(call.body)
    now = times.write_utc(int(clock.now() * 1_000_000), 3)
    given = {"auth_method": "bearer", "events": ["all"], **call.body}
    made = {**given, "id": str(uuid.uuid4()), "version": "v1", "company_id": company["id"]}
    made |= {"created_at": now, "updated_at": now}
    call.store.subscriptions_v2.append(made)
    return value_answer({"data": shown(made)}, 201)


def get_subscription(call: Call) -> Response:
    """Answer one subscription."""
    return value_answer({"data": shown(_found(call))})


def update_subscription(call: Call) -> Response:
    """Change a subscription; what is left out stays."""
    found = _found(call)
    _check(call.body)
    found |= {**call.body, "updated_at": times.write_utc(int(clock.now() * 1_000_000), 3)}
    return value_answer({"data": shown(found)})


def delete_subscription(call: Call) -> Response:
    """End a subscription."""
    call.store.subscriptions_v2.remove(_found(call))
    return Response(status_code=204)


def shown(subscription: Record) -> Record:
    """Return a subscription without its token."""
    return {name: value for name, value in subscription.items() if name != "access_token"}


def _check(body: Record) -> None:
    if "callback_url" in body and not sender.acceptable(body["callback_url"]):
        raise Refusal(422, "callback_url must be an https address (the sandbox also takes http on 127.0.0.1).")
    events = body.get("events") or []
    if "all" in events and len(events) > 1:
        raise Refusal(422, "events: all must stand by itself.")


def _found(call: Call) -> Record:
    company = _company(call)
    for one in call.store.subscriptions_v2:
        if one["id"] == call.ids["id"] and one["company_id"] == company["id"]:
            return one
    raise Refusal(404, f"Subscription {call.ids['id'][:100]} does not exist.")


HANDLERS: dict[str, Handler] = {
    "listCompaniesV2": list_companies,
    "listInvoicesV2": list_invoices,
    "listCompanyWebhookEventsV2": list_events,
    "listSubscriptions": list_subscriptions,
    "createSubscription": create_subscription,
    "getSubscriptionById": get_subscription,
    "updateSubscription": update_subscription,
    "deleteSubscription": delete_subscription,
    "obtainToken": obtain_token,
    "healthCheck": health,
    "getSubscription": get_own_subscription,
    "subscribe": subscribe,
    "unsubscribe": unsubscribe,
}
