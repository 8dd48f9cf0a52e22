"""Verifies the sender of a delivery, and reads what it says: calls of Vic.ai, and messages of SNS from Įvesk."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote, unquote_plus

import msgspec

from ap_connectors.core import instants
from ap_connectors.core.errors import Retry
from ap_connectors.core.raw_json import NULL, Record, decode
from ap_connectors.core.raw_json import text as member
from ap_connectors.webhooks.errors import Refused
from ap_connectors.webhooks.event_kinds import BATCH, known_kind
from ap_connectors.webhooks.inbox import Delivery
from ap_connectors.webhooks.request_bodies import Invoice
from ap_connectors.webhooks.sns import Message

# The text itself is stored as it came; this only looks into it, so numbers need not fit any type.
_DECODER = msgspec.json.Decoder(float_hook=str)
_encode = msgspec.json.Encoder().encode

# Vic.ai


@dataclass(frozen=True)
class Route:
    """A path that Vic.ai calls.

    Args:
        name: the last part of the path; also the kind of its events, except for `events`.
        status: of the answer to a stored delivery.
        answer: its body, as the contract demands.
        multipart: whether the body is a form with an invoice and its document, rather than JSON.
    """

    name: str
    status: int
    answer: bytes
    multipart: bool = False


ROUTES = (
    Route("events", 200, b"{}"),
    # 202 promises a later answer; a pipeline that reads the inbox sends it.
    Route("vendorNew", 202, b'"OK"'),
    Route("invoicePost", 202, b'"OK"', multipart=True),
    Route("invoiceTransfer", 202, b'"OK"', multipart=True),
    Route("syncRequest", 200, b"{}"),
)


def check_bearer(headers: Sequence[bytes], tokens: Sequence[str]) -> None:
    """Compare the token of the `Authorization` headers in constant time.

    Raises:
        Refused: 401, it is wrong or missing.
    """
    if len(headers) == 1:
        scheme, _, given = headers[0].partition(b" ")
        fits = [hmac.compare_digest(given.strip(), token.encode()) for token in tokens]
        if scheme.lower() == b"bearer" and any(fits):
            return
    raise Refused(
        401,
        "unauthorized",
        "The token is wrong or missing.",
        detail="If it was Vic.ai that called, run `ap-webhooks subscribe vicai` again.",
    )


def from_json(route: Route, body: bytes, request_id: str | None) -> Delivery:
    """Return the delivery of a verified call with a JSON body.

    Raises:
        Refused: 400, the body is not a JSON object.
    """
    content = _object(body, "The body")
    if route.name == "events":
        return _from_envelope(content, body, request_id)
    return _from_callback(route.name, content, body, request_id or _text(content.get("requestId")))


def from_record(recorded: Record) -> Delivery:
    """Return the delivery that an event of Vic.ai's own record was, or should have been.

    Args:
        recorded: as the service lists it: `id`, `type`, `occurred_at` and `body`, which is the whole envelope, or its
            `data` only.

    Raises:
        Refused: it is not such an event.
    """
    kind, id_ = member(recorded, "type"), member(recorded, "id")
    if not kind or not id_:
        raise Refused(400, "malformed", "The recorded event has no type or no id.")
    body = bytes(recorded.get("body", NULL))
    if body[:1] == b'"':
        # It is kept as the text of what was delivered.
        body = (member(recorded, "body") or "").encode()
    content = _object(body, "The body of the recorded event")
    if kind in {route.name for route in ROUTES}:
        found = _from_callback(kind, content, body, _text(content.get("requestId")))
        return replace(found, dedup_key=_key(kind, id_, content, body))
    if not isinstance(content.get("event"), str) or not isinstance(content.get("data"), dict):
        # Those of a batch are delivered without an id.
        own = {} if kind == BATCH else {"id": id_, "occurred_at": member(recorded, "occurred_at")}
        body = _encode({**own, "event": kind})[:-1] + b',"data":' + body + b"}"
        content = {**own, "event": kind, "data": content}
    return replace(_from_envelope(content, body, id_), request_id=None)


def _from_envelope(content: dict[str, Any], body: bytes, request_id: str | None) -> Delivery:
    event, data = content.get("event"), content.get("data")
    kind = _bounded(known_kind(event)) if isinstance(event, str) and event else "unknown"
    subject = data if isinstance(data, dict) else {}
    if (id_ := _text(content.get("id"))) is not None:
        key = _short(f"id:{id_}")
    elif (processed_at := _text(subject.get("processedAt"))) and (batch := _text(subject.get("id"))):
        # Those of a batch may come without an id; what they say tells them apart.
        key = _short(f"{kind}:{batch}:{processed_at}")
    else:
        request_id = request_id or _text(content.get("requestId"))
        key = _key(kind, request_id, subject, body)
    return Delivery(
        service="vicai",
        kind=kind,
        dedup_key=key,
        company=_company(subject.get("companyId")),
        request_id=request_id and _bounded(request_id),
        body=body,
    )


def _from_callback(kind: str, content: dict[str, Any], body: bytes, request_id: str | None) -> Delivery:
    return Delivery(
        service="vicai",
        kind=kind,
        dedup_key=_key(kind, request_id, content, body),
        company=_company(content.get("companyId")),
        request_id=request_id and _bounded(request_id),
        body=body,
    )


def from_form(route: Route, invoice: Invoice, request_id: str | None) -> Delivery:
    """Return the delivery of a verified call with an invoice and its document.

    Raises:
        Refused: 400, the invoice is not a JSON object.
    """
    content = _object(invoice.data, "invoiceData")
    return replace(
        _from_callback(route.name, content, invoice.data, request_id),
        document=invoice.document,
        document_name=invoice.document_name and invoice.document_name[-_LONGEST_FIELD:],
        document_type=invoice.document_type and invoice.document_type[:_LONGEST_FIELD],
    )


def _object(body: bytes, what: str) -> dict[str, Any]:
    try:
        content = decode(body, _DECODER)
    except (Retry, RecursionError):
        raise Refused(400, "malformed", f"{what} is not JSON.") from None
    if not isinstance(content, dict):
        raise Refused(400, "malformed", f"{what} is not a JSON object.")
    return content


def _key(kind: str, request_id: str | None, subject: Mapping[str, Any], body: bytes) -> str:
    """Return a key that repetitions share, and different deliveries never do: losing one is worse than acting twice."""
    digest = hashlib.sha256(body).hexdigest()
    if request_id is None:
        return _short(f"{kind}:sha256:{digest}")
    return _short(f"{kind}:{request_id}:{about(subject) or digest}")


def about(subject: Mapping[str, Any]) -> str | None:
    """Return the id of the invoice, vendor, order, batch or request that an event is about; None if it names none."""
    return next((id_ for name in ("internalId", "id", "requestId") if (id_ := _text(subject.get(name)))), None)


def content(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a stored body, numbers with a point as texts; an empty one if it is something else."""
    try:
        return _object(body, "The body")
    except Refused:
        return {}


def _short(key: str) -> str:
    """Return a key, or its digest if it is too long for the index of a database."""
    return key if len(key) <= 400 else f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"


_LONGEST_FIELD = 250
"""Characters of a stored field; rules, commands and tables have to hold it. The body has what came."""


def _bounded(text: str) -> str:
    """Return a text as it may be stored; one that is too long is cut, and told from others by its digest."""
    if len(text) <= _LONGEST_FIELD:
        return text
    return f"{text[:150]}... sha256:{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()}"


def _company(value: object) -> str | None:
    """Return the id of a company; None for what is too long to be one, so that rules for some companies see it."""
    found = _text(value)
    return found if found is None or len(found) <= _LONGEST_FIELD else None


def _text(value: object) -> str | None:
    return str(value).replace("\0", "") if isinstance(value, str | int) and value != "" else None


# Įvesk

_KIND_BY_TOPIC = {"export": "on_exported", "digit": "on_digitized"}


def check_secret(query: bytes, secrets: Sequence[str]) -> None:
    """Compare the `secret` of the target URL in constant time.

    Raises:
        Refused: 401, it is wrong, missing, or given twice.
    """
    given = [value for name, _, value in (part.partition(b"=") for part in query.split(b"&")) if name == b"secret"]
    if len(given) == 1:
        text = given[0].decode("latin-1")
        # A "+" of the target URL may be meant as it is, or as a space.
        forms = [unquote(text).encode(), unquote_plus(text).encode()]
        if any([hmac.compare_digest(form, secret.encode()) for secret in secrets for form in forms]):  # noqa: C419
            return
    raise Refused(
        401, "unauthorized", "The secret in the address is wrong or missing.", detail="Compare it with ivesk_secret."
    )


def check_age(timestamp: str, max_age: float, max_skew: float) -> None:
    """Accept a message that is at most `max_age` seconds old, and at most `max_skew` ahead of our clock.

    Raises:
        Refused: 503, it is older or further ahead, which our clock may have to answer for: SNS sends it again while
            that is put right, and gives up after any other status. 400, its time is not an instant.
    """
    try:
        age = time.time() - instants.milliseconds(timestamp) / 1000
    except ValueError:
        raise Refused(400, "malformed", "The Timestamp is not an instant.") from None
    if age > max_age:
        detail = f"{age:.0f} s; max_age is {max_age:.0f} s; check the clock of this machine."
        raise Refused(503, "stale", "The message is too old.", detail=detail)
    if age < -max_skew:
        detail = f"By {-age:.0f} s; check the clock of this machine."
        raise Refused(503, "stale", "The message is from the future.", detail=detail)


def from_sns(message: Message) -> Delivery:
    """Return the delivery of a verified notification. A message that is not JSON is kept as a JSON text."""
    body = message.message.encode()
    try:
        content = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        content, body = None, msgspec.json.encode(message.message)
    fields = {str(name).lower(): value for name, value in content.items()} if isinstance(content, dict) else {}
    company = fields.get("companycode")
    return Delivery(
        service="ivesk",
        kind=_notification_kind(fields, message.topic_arn),
        dedup_key=message.message_id,
        company=_company(company),
        request_id=None,
        body=body,
    )


def _notification_kind(fields: dict[str, Any], topic: str) -> str:
    if "id" in fields:
        return "on_digitized"
    if "companycode" in fields:
        return "on_exported"
    name = topic.rpartition(":")[2].lower()
    return next((kind for part, kind in _KIND_BY_TOPIC.items() if part in name), "notification")
