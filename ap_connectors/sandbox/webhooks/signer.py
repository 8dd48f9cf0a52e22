"""What Amazon SNS posts to a receiver: JSON in a text/plain body, signed over a canonical string of its members.

It is signed with a key and certificate of the sandbox's own, by which receivers under test know it.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import secrets
import threading
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from ap_connectors.sandbox import clock

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

CONFIRM, NOTIFY, UNSUBSCRIBED = "SubscriptionConfirmation", "Notification", "UnsubscribeConfirmation"
Message = dict[str, object]
# Which members are signed, in this order; one that a message lacks is left out.
_SIGNED_NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_SIGNED_CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")


def new_message(kind: str, topic: str, text: str) -> Message:
    """Begin a message of a kind, under an id and at a time of its own."""
    now = clock.iso(int(clock.now() * 1000))
    return {"Type": kind, "MessageId": str(uuid.uuid4()), "TopicArn": topic, "Message": text, "Timestamp": now}


def canonical(message: Message) -> bytes:
    """Return what is signed: each member's name and value on lines of their own."""
    names = _SIGNED_NOTIFICATION if message["Type"] == NOTIFY else _SIGNED_CONFIRMATION
    return "".join(f"{name}\n{message[name]}\n" for name in names if name in message).encode()


def sign(message: Message, signer: Signer, version: str, certificate_url: str) -> bytes:
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


MISSING = "Webhooks of the sandbox are signed, which takes another package: pip install 'ap-connectors[webhooks]'"
# As Amazon's certificates call their owner.
_OWNER = "sns.amazonaws.com"


def available() -> bool:
    """Tell whether messages can be signed here."""
    return importlib.util.find_spec("cryptography") is not None


class Signer:
    """Signs as Amazon SNS does. Key and certificate are made at first use, and are this process's alone."""

    def __init__(self) -> None:
        self.file_name = f"SimpleNotificationService-{secrets.token_hex(16)}.pem"
        self._lock = threading.Lock()
        self._made: tuple[RSAPrivateKey, bytes] | None = None

    def signature(self, text: bytes, version: str) -> str:
        """Sign a canonical string: version "1" by SHA1withRSA, "2" by SHA256withRSA; base64. Takes a millisecond."""
        from cryptography.hazmat.primitives import hashes  # noqa: PLC0415 - an extra that few need
        from cryptography.hazmat.primitives.asymmetric import padding  # noqa: PLC0415

        digest: Any = hashes.SHA1() if version == "1" else hashes.SHA256()  # noqa: S303 - what SNS does
        return base64.b64encode(self._key()[0].sign(text, padding.PKCS1v15(), digest)).decode()

    def certificate(self) -> bytes:
        """Return the certificate in PEM; the first call takes a tenth of a second."""
        return self._key()[1]

    def _key(self) -> tuple[RSAPrivateKey, bytes]:
        with self._lock:
            if self._made is None:
                self._made = _new()
            return self._made


def _new() -> tuple[RSAPrivateKey, bytes]:
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name(
        [
            x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "ap-sandbox, for tests only"),
            x509.NameAttribute(x509.NameOID.COMMON_NAME, _OWNER),
        ]
    )
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    return key, certificate.public_bytes(serialization.Encoding.PEM)
