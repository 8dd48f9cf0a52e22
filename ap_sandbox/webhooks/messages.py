"""What Amazon SNS posts to a receiver: JSON in a text/plain body, signed over a canonical string of its members."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping

from ap_sandbox import clock
from ap_sandbox.webhooks.signer import Signer

CONFIRM, NOTIFY, UNSUBSCRIBED = "SubscriptionConfirmation", "Notification", "UnsubscribeConfirmation"
Message = dict[str, object]
# Which members are signed, in this order; one that a message lacks is left out.
_SIGNED_NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_SIGNED_CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")


def new(kind: str, topic: str, text: str) -> Message:
    """Begin a message of a kind, under an id and at a time of its own."""
    now = clock.iso(int(clock.now() * 1000))
    return {"Type": kind, "MessageId": str(uuid.uuid4()), "TopicArn": topic, "Message": text, "Timestamp": now}


def canonical(message: Message) -> bytes:
    """Return what is signed: each member's name and value on lines of their own."""
    names = _SIGNED_NOTIFICATION if message["Type"] == NOTIFY else _SIGNED_CONFIRMATION
    return "".join(f"{name}\n{message[name]}\n" for name in names if name in message).encode()


def signed(message: Message, signer: Signer, version: str, certificate_url: str) -> bytes:
    """Sign a message, and write it as SNS does."""
    signature = signer.signature(canonical(message), version)
    more = {"SignatureVersion": version, "Signature": signature, "SigningCertURL": certificate_url}
    return json.dumps({**message, **more}, ensure_ascii=False, indent=2, separators=(",", " : ")).encode()


def headers(message: Message, subscription_arn: str) -> Mapping[str, str]:
    """Return the headers that go along; a subscription that is not confirmed yet is not named."""
    named = {} if message["Type"] == CONFIRM else {"x-amz-sns-subscription-arn": subscription_arn}
    return {
        "x-amz-sns-message-type": str(message["Type"]),
        "x-amz-sns-message-id": str(message["MessageId"]),
        "x-amz-sns-topic-arn": str(message["TopicArn"]),
        **named,
        "Content-Type": "text/plain; charset=UTF-8",
        "User-Agent": "Amazon Simple Notification Service Agent",
    }
