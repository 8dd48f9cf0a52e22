"""What Vic.ai sends: events and calls back, let in by the token that our subscription named."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from ap_webhooks.inbox import Delivery
from ap_webhooks.invoice_form import Invoice
from ap_webhooks.refused import Refused


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

# Only to look into a text that is stored as it came, so numbers need not fit anything.
_DECODER = msgspec.json.Decoder(float_hook=str)


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
