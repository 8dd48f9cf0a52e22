"""The one webhook subscription of the company."""

from __future__ import annotations

from starlette.responses import Response

from ap_connectors.sandbox.vicai import crud, instants
from ap_connectors.sandbox.vicai.answers import ENCODER, Refusal
from ap_connectors.sandbox.vicai.asked import Asked, Handler
from ap_connectors.sandbox.vicai.resources import Record
from ap_connectors.sandbox.webhooks import sender


def get(asked: Asked) -> Response:
    """Answer the subscription."""
    return asked.done(ENCODER.encode(_current(asked)))


def subscribe(asked: Asked) -> Response:
    """Subscribe, or change the subscription; events that are left out stay as they were."""
    body = asked.body
    status = crud.refused_by(asked.operation)
    if not sender.acceptable(body["callbackUrl"]):
        raise Refusal(status, "callbackUrl must be an https address (the sandbox also takes http on 127.0.0.1).")
    try:
        instants.utc(body["expiresAt"])
    except (ValueError, OverflowError) as error:
        raise Refusal(status, f"expiresAt: {error}.") from None
    events = body.get("events")
    if events is not None and "all" in events and len(events) > 1:
        raise Refusal(status, "events: all must stand by itself.")
    before = asked.store.subscription or {"events": ["all"]}
    asked.store.subscription = {**body, "events": before["events"] if events is None else events}
    return asked.done(ENCODER.encode(asked.store.subscription), created=True)


def unsubscribe(asked: Asked) -> Response:
    """End the subscription."""
    _current(asked)
    asked.store.subscription = None
    return asked.done(b'"OK"')


def _current(asked: Asked) -> Record:
    if asked.store.subscription is None:
        raise Refusal(404, "There is no subscription.")
    return asked.store.subscription


HANDLERS: dict[str, Handler] = {"getSubscription": get, "subscribe": subscribe, "unsubscribe": unsubscribe}
