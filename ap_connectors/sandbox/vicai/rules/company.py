"""What concerns the company as a whole: its access token, its health check, its one webhook subscription."""

from __future__ import annotations

from starlette.responses import Response

from ap_connectors.sandbox.vicai import crud, times
from ap_connectors.sandbox.vicai.call import Asked, Handler, Refusal, value_answer
from ap_connectors.sandbox.vicai.resources import ENCODER, Record
from ap_connectors.sandbox.webhooks import sender


def obtain_token(asked: Asked) -> Response:
    """Grant an access token for the right credentials."""
    if not asked.tokens.knows(asked.body["client_id"], asked.body["client_secret"]):
        raise Refusal(401, "The client id or the client secret is wrong.")
    seconds = asked.store.options.token_seconds
    token = asked.tokens.grant(seconds)
    return value_answer({"access_token": token, "token_type": "Bearer", "expires_in": int(seconds)})


def health(asked: Asked) -> Response:
    """Say that all is well, and whose data this is."""
    return value_answer({"status": "PASS", "version": "0.20.0", "company": asked.store.options.company})


def get_subscription(asked: Asked) -> Response:
    """Answer the subscription."""
    return asked.done(ENCODER.encode(_current(asked)))


def subscribe(asked: Asked) -> Response:
    """Subscribe, or change the subscription; events that are left out stay as they were."""
    body = asked.body
    status = crud.refused_by(asked.operation)
    if not sender.acceptable(body["callbackUrl"]):
        raise Refusal(status, "callbackUrl must be an https address (the sandbox also takes http on 127.0.0.1).")
    try:
        times.read_utc(body["expiresAt"])
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


HANDLERS: dict[str, Handler] = {
    "obtainToken": obtain_token,
    "healthCheck": health,
    "getSubscription": get_subscription,
    "subscribe": subscribe,
    "unsubscribe": unsubscribe,
}
