"""Verifies who sends a delivery, and reads what it says: calls of Vic.ai, and messages of SNS from Įvesk."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, unquote_plus

import msgspec

from ap_connectors.core import instants
from ap_connectors.webhooks.errors import Refused
from ap_connectors.webhooks.inbox import Delivery
from ap_connectors.webhooks.request_bodies import Invoice
from ap_connectors.webhooks.sns import Message


@dataclass(frozen=True)
class Route:
    """A path that Vic calls.

    Args:
        name: the last part of the path; the kind of what comes there, except for `events`.
        status: of the answer to what is stored.
        answer: its body, as the contract has it.
        multipart: whether an invoice comes with its document, rather than plain JSON.
    """

    name: str
    status: int
    answer: bytes
    multipart: bool = False


ROUTES = (
    Route("events", 200, b"{}"),
    # 202 promises that the call is answered later; what answers is a pipeline that reads the inbox.
    Route("vendorNew", 202, b'"OK"'),
    Route("invoicePost", 202, b'"OK"', multipart=True),
    Route("invoiceTransfer", 202, b'"OK"', multipart=True),
    Route("syncRequest", 200, b"{}"),
)

_KINDS = ("payment_batch_processed", "vendorNew", "invoicePost", "invoiceTransfer", "syncRequest")
_FOLDED = {kind.replace("_", "").lower(): kind for kind in _KINDS}


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
        detail="Compare it with the subscription: subscribe again.",
    )


def from_json(route: Route, body: bytes, request_id: str | None) -> Delivery:
    """What a verified call with a JSON body says.

    Raises:
        Refused: 400, it is no JSON object.
    """
    content = _object(body, "The body")
    subject = content
    kind = route.name
    if route.name == "events":
        event, data = content.get("event"), content.get("data")
        kind = _known(event) if isinstance(event, str) and event else "unknown"
        subject = data if isinstance(data, dict) else {}
    company = subject.get("companyId")
    request_id = request_id or _text(content.get("requestId"))
    return Delivery(
        service="vicai",
        kind=kind,
        dedup_key=_key(kind, request_id, subject, body),
        company=_text(company),
        request_id=request_id,
        body=body,
    )


def from_form(route: Route, invoice: Invoice, request_id: str | None) -> Delivery:
    """What a verified call with an invoice and its document says.

    Raises:
        Refused: 400, the invoice is no JSON object.
    """
    content = _object(invoice.data, "invoiceData")
    return Delivery(
        service="vicai",
        kind=route.name,
        dedup_key=_key(route.name, request_id, content, invoice.data),
        company=_text(content.get("companyId")),
        request_id=request_id,
        body=invoice.data,
        document=invoice.document,
        document_name=invoice.document_name,
        document_type=invoice.document_type,
    )


def _object(body: bytes, what: str) -> dict[str, Any]:
    try:
        content = _DECODER.decode(body)
    except (msgspec.DecodeError, RecursionError):
        raise Refused(400, "malformed", f"{what} is no JSON.") from None
    if not isinstance(content, dict):
        raise Refused(400, "malformed", f"{what} is no JSON object.")
    return content


def _known(event: str) -> str:
    """The usual spelling of an event, for the live service writes names in either letter case."""
    return _FOLDED.get(event.replace("_", "").lower(), event.replace("\0", ""))


def _key(kind: str, request_id: str | None, subject: Mapping[str, Any], body: bytes) -> str:
    """The same for every repetition, and never the same for two things: losing one is worse than acting twice."""
    digest = hashlib.sha256(body).hexdigest()
    if request_id is None:
        return _short(f"{kind}:sha256:{digest}")
    about = _text(subject.get("internalId")) or _text(subject.get("id")) or _text(subject.get("requestId"))
    return _short(f"{kind}:{request_id}:{about or digest}")


def _short(key: str) -> str:
    """A key as it is, or its digest where a database could not have it in an index."""
    return key if len(key) <= 400 else f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"


def _text(value: object) -> str | None:
    return str(value).replace("\0", "") if isinstance(value, str | int) and value != "" else None


_TOPICS = {"export": "on_exported", "digit": "on_digitized"}
# Only to look into a text that is stored as it came, so numbers need not fit anything.
_DECODER = msgspec.json.Decoder(float_hook=str)


def check_secret(query: bytes, secrets: Sequence[str]) -> None:
    """Compare the `secret` of the target URL in constant time.

    Raises:
        Refused: 401, it is wrong, missing, or there twice.
    """
    given = [value for name, _, value in (part.partition(b"=") for part in query.split(b"&")) if name == b"secret"]
    if len(given) == 1:
        text = given[0].decode("latin-1")
        # A "+" may have been typed into the target URL as it is, or may stand for a space.
        forms = [unquote(text).encode(), unquote_plus(text).encode()]
        if any([hmac.compare_digest(form, secret.encode()) for secret in secrets for form in forms]):  # noqa: C419
            return
    raise Refused(
        401, "unauthorized", "The secret in the address is wrong or missing.", detail="Compare it with ivesk_secret."
    )


def check_age(timestamp: str, max_age: float, max_skew: float) -> None:
    """Let a message pass that is not older than `max_age` seconds, nor from the future.

    Raises:
        Refused: 403, it is; or 400, its time is no instant.
    """
    try:
        age = time.time() - instants.milliseconds(timestamp) / 1000
    except ValueError:
        raise Refused(400, "malformed", "The Timestamp is no instant.") from None
    if age > max_age:
        raise Refused(403, "stale", "The message is too old.", detail=f"{age:.0f} s; max_age is {max_age:.0f} s.")
    if age < -max_skew:
        raise Refused(
            403, "stale", "The message is from the future.", detail=f"By {-age:.0f} s: is this machine's clock right?"
        )


def from_sns(message: Message) -> Delivery:
    """What a verified notification says. A message that is no JSON is kept as a JSON text."""
    body = message.message.encode()
    try:
        content = _DECODER.decode(body)
    except (msgspec.DecodeError, RecursionError):
        content, body = None, msgspec.json.encode(message.message)
    fields = {str(name).lower(): value for name, value in content.items()} if isinstance(content, dict) else {}
    company = fields.get("companycode")
    return Delivery(
        service="ivesk",
        kind=_kind(fields, message.topic_arn),
        dedup_key=message.message_id,
        company=None if company is None else str(company).replace("\0", ""),
        request_id=None,
        body=body,
    )


def _kind(fields: dict[str, Any], topic: str) -> str:
    if "id" in fields:
        return "on_digitized"
    if "companycode" in fields:
        return "on_exported"
    name = topic.rpartition(":")[2].lower()
    return next((kind for part, kind in _TOPICS.items() if part in name), "notification")
