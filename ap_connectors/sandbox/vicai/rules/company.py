"""What concerns the company as a whole: its access token, its health check, its one webhook subscription."""

from __future__ import annotations

from starlette.responses import Response

from ap_connectors.sandbox.vicai import crud, times
from ap_connectors.sandbox.vicai.call import Call, Handler, Refusal, value_answer
from ap_connectors.sandbox.vicai.resources import ENCODER, Record
from ap_connectors.sandbox.webhooks import sender

_VERSIONS = {"0.20": "0.20.0", "live": "10.40.4"}


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


def get_subscription(call: Call) -> Response:
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


HANDLERS: dict[str, Handler] = {
    "obtainToken": obtain_token,
    "healthCheck": health,
    "getSubscription": get_subscription,
    "subscribe": subscribe,
    "unsubscribe": unsubscribe,
}
