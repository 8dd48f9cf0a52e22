"""Messages of Amazon SNS: their form, what of them is signed, and which addresses are SNS's own.

SNS signs some fields of a message, written one under the other; the rest of the message could be anybody's.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

from ap_webhooks.refused import Refused

NOTIFICATION = "Notification"
CONFIRMATION = "SubscriptionConfirmation"
FAREWELL = "UnsubscribeConfirmation"

_PLAIN = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_HANDSHAKE = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_SIGNED = {NOTIFICATION: _PLAIN, CONFIRMATION: _HANDSHAKE, FAREWELL: _HANDSHAKE}
_HASHES = {"1": SHA1, "2": SHA256}

_HOST = re.compile(r"sns\.[a-z0-9-]+\.amazonaws\.com(\.cn)?")
_TOPIC = re.compile(r"arn:[a-z0-9-]+:sns:[a-z0-9-]+:\d+:[A-Za-z0-9_.-]+")
_PATH = re.compile(r"(/[A-Za-z0-9_.-]+)*/?")


class Message(msgspec.Struct, frozen=True, rename="pascal"):
    """A message as SNS posts it; fields that nobody signed are left out."""

    type: str
    message_id: str
    topic_arn: str
    message: str
    timestamp: str
    signature: str
    signature_version: str
    signing_cert_url: str = msgspec.field(name="SigningCertURL")
    subject: str | None = None
    token: str | None = None
    subscribe_url: str | None = msgspec.field(name="SubscribeURL", default=None)


_FIELD = {info.encode_name: info.name for info in msgspec.structs.fields(Message)}
_DECODER = msgspec.json.Decoder(Message)


def read(body: bytes) -> Message:
    """Read a message; nothing of it is verified yet.

    Raises:
        Refused: 400, it is none.
    """
    try:
        message = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refused(400, "malformed", "The body is no message of SNS.") from None
    if message.type not in _SIGNED or not message.message_id or not _TOPIC.fullmatch(message.topic_arn):
        raise Refused(400, "malformed", "The body is no message of SNS: its Type, MessageId or TopicArn is unknown.")
    return message


def canonical(message: Message) -> bytes:
    """What SNS signed: name and value of each field on a line of their own, in the order of the names."""
    lines = []
    for name in _SIGNED[message.type]:
        value = getattr(message, _FIELD[name])
        if value is not None:
            lines += [name, value]
        elif name != "Subject":
            raise Refused(400, "malformed", f"The message has no {name}.")
    return ("\n".join(lines) + "\n").encode()


def verify(message: Message, key: Callable[[str], RSAPublicKey]) -> None:
    """Check the signature; `key` finds the public key of an address, or raises `Refused`.

    Raises:
        Refused: 403, it does not fit.
    """
    algorithm = _HASHES.get(message.signature_version)
    if algorithm is None:
        raise Refused(403, "forged", "The SignatureVersion is not 1 or 2.")
    text = canonical(message)
    try:
        signature = base64.b64decode(message.signature, validate=True)
        key(message.signing_cert_url).verify(signature, text, PKCS1v15(), algorithm())
    except (InvalidSignature, binascii.Error, ValueError):
        raise Refused(403, "forged", "The signature does not fit the message.") from None


@dataclass(frozen=True)
class Hosts:
    """Tells addresses of SNS from others; `tests` are places on this machine that stand in for it, over http."""

    tests: Collection[str] = ()

    def certificate(self, url: str) -> str:
        """Return the address of a certificate, written anew from its parts.

        Raises:
            Refused: 403, it is not SNS's.
        """
        root, path, query = self._parts(url, "SigningCertURL")
        if not path.endswith(".pem") or query:
            raise Refused(403, "forged", "The SigningCertURL is no certificate of SNS.")
        return root + path

    def confirmation(self, message: Message) -> str:
        """Return the address that confirms a subscription, written anew from its parts.

        Raises:
            Refused: 403, it leads elsewhere, or does something else.
        """
        root, path, query = self._parts(message.subscribe_url or "", "SubscribeURL")
        asked = parse_qs(query, keep_blank_values=True)
        wanted = {"Action": "ConfirmSubscription", "TopicArn": message.topic_arn, "Token": message.token or ""}
        if asked != {name: [value] for name, value in wanted.items()} or (
            path not in {"", "/"} and not self._is_test(root)
        ):
            raise Refused(403, "forged", "The SubscribeURL does something else than to confirm this subscription.")
        return f"{root}{path or '/'}?{urlencode(wanted)}"

    def _parts(self, url: str, name: str) -> tuple[str, str, str]:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise Refused(403, "forged", f"The {name} is no address.") from None
        root = f"{parts.scheme}://{parts.netloc}"
        is_sns = parts.scheme == "https" and _HOST.fullmatch(parts.hostname or "") and port in {None, 443}
        known = (is_sns and parts.netloc.lower() in {parts.hostname, f"{parts.hostname}:443"}) or self._is_test(root)
        if not known or parts.fragment or not _PATH.fullmatch(parts.path) or ".." in parts.path or not url.isascii():
            raise Refused(403, "forged", f"The {name} does not point at SNS.")
        return root, parts.path, parts.query

    def _is_test(self, root: str) -> bool:
        return any(root == f"http://{place}" for place in self.tests)
