"""What Įvesk sends: messages of SNS, to an address that carries our secret."""

from __future__ import annotations

import hmac
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote, unquote_plus

import msgspec

from ap_http import instants
from ap_webhooks.inbox import Delivery
from ap_webhooks.refused import Refused
from ap_webhooks.sns import Message

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


def delivery(message: Message) -> Delivery:
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
