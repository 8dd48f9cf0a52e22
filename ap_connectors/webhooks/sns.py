"""Messages of Amazon SNS: how they are read, verified and confirmed, and from which topics they are accepted.

SNS signs some fields of a message. Whatever else a message says may come from anybody, its addresses included.
"""

from __future__ import annotations

import base64
import binascii
import re
import threading
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

from ap_connectors.webhooks.errors import Refused
from ap_connectors.webhooks.inbox import Inbox

NOTIFICATION = "Notification"
CONFIRMATION = "SubscriptionConfirmation"
FAREWELL = "UnsubscribeConfirmation"

_OF_NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_OF_HANDSHAKE = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_SIGNED = {NOTIFICATION: _OF_NOTIFICATION, CONFIRMATION: _OF_HANDSHAKE, FAREWELL: _OF_HANDSHAKE}
_HASHES = {"1": SHA1, "2": SHA256}

_TOPIC = re.compile(
    r"arn:(aws(?:-[a-z]+)*):sns:([a-z]{2,3}(?:-[a-z]+)+-\d{1,2}):\d{12}:[A-Za-z0-9_-]{1,256}(?:\.fifo)?"
)
_FORMS = {
    "MessageId": re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    "Subject": re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]{0,100}"),
    "SubscribeURL": re.compile(r"https?://[\x21-\x7e]{1,2000}"),
    "Timestamp": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII),
    "Token": re.compile(r"[0-9A-Za-z]{1,1000}"),
    "TopicArn": _TOPIC,
}
"""How the signed fields look; only Message is free text. A line break in one could pass for the fields after it."""
_HERE = re.compile(r"http://((?:127\.0\.0\.1|localhost|\[::1\]):\d{1,5})", re.ASCII)
_PATH = re.compile(r"(/[A-Za-z0-9_.-]+)*/?")


# Messages


class Message(msgspec.Struct, frozen=True, rename="pascal"):
    """A message as SNS posts it, without the fields that are not signed."""

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
    """Parse a message; nothing of it is verified yet.

    Raises:
        Refused: 400, it is not a message of SNS.
    """
    try:
        message = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refused(400, "malformed", "The body is not a message of SNS.") from None
    if message.type not in _SIGNED:
        raise Refused(400, "malformed", "The body is not a message of SNS: check Type.")
    for name in _SIGNED[message.type]:
        value = getattr(message, _FIELD[name])
        if value is not None and name in _FORMS and not _FORMS[name].fullmatch(value):
            raise Refused(400, "malformed", f"The body is not a message of SNS: check {name}.")
    return message


def check_version(message: Message) -> None:
    """Accept the versions of signatures that are known, before anything is fetched for one.

    Raises:
        Refused: 403, it is another one.
    """
    if message.signature_version not in _HASHES:
        raise Refused(403, "forged", "The SignatureVersion is not 1 or 2.")


def verify(message: Message, key: RSAPublicKey) -> None:
    """Check the signature of a message whose version was checked.

    Raises:
        Refused: 403, the signature is wrong.
    """
    text = _signed_text(message)
    try:
        signature = base64.b64decode(message.signature, validate=True)
        key.verify(signature, text, PKCS1v15(), _HASHES[message.signature_version]())
    except (InvalidSignature, binascii.Error, ValueError):
        raise Refused(403, "forged", "The signature does not match the message.") from None


def _signed_text(message: Message) -> bytes:
    """Return what SNS signed: name and value of each field on lines of their own, in the order of the names."""
    lines = []
    for name in _SIGNED[message.type]:
        value = getattr(message, _FIELD[name])
        if value is not None:
            lines += [name, value]
        elif name != "Subject":
            raise Refused(400, "malformed", f"The message has no {name}.")
    return ("\n".join(lines) + "\n").encode()


# Addresses


@dataclass(frozen=True)
class Hosts:
    """Recognizes addresses of SNS; `tests` are places on this machine that stand in for it, over http."""

    tests: Collection[str] = ()

    def certificate(self, message: Message) -> str:
        """Return the address of the certificate that a message names, rebuilt from its parts.

        Raises:
            Refused: 403, it is not SNS's, or not of the topic's region.
        """
        root, path, query = self._parts(message.signing_cert_url, "SigningCertURL", message.topic_arn)
        if not path.endswith(".pem") or query:
            raise Refused(403, "forged", "The SigningCertURL is not a certificate of SNS.")
        return root + path

    def confirmation(self, message: Message) -> str:
        """Return the address that confirms a subscription, rebuilt from its parts.

        Raises:
            Refused: 403, it leads elsewhere, or does something else.
        """
        root, path, query = self._parts(message.subscribe_url or "", "SubscribeURL", message.topic_arn)
        asked = parse_qs(query, keep_blank_values=True)
        wanted = {"Action": "ConfirmSubscription", "TopicArn": message.topic_arn, "Token": message.token or ""}
        if asked != {name: [value] for name, value in wanted.items()} or (
            path not in {"", "/"} and not self._is_test(root)
        ):
            raise Refused(403, "forged", "The SubscribeURL does something else than confirm this subscription.")
        return f"{root}{path or '/'}?{urlencode(wanted)}"

    def _parts(self, url: str, name: str, topic: str) -> tuple[str, str, str]:
        try:
            parts = urlsplit(url)
        except ValueError:
            raise Refused(403, "forged", f"The {name} is not an address.") from None
        root = f"{parts.scheme}://{parts.netloc}"
        known = root == _root(topic) or self._is_test(root)
        if not known or parts.fragment or not _PATH.fullmatch(parts.path) or ".." in parts.path or not url.isascii():
            here = _HERE.fullmatch(root)
            detail = f"If {here[1]} is the sandbox, set ivesk_test_hosts: ['{here[1]}']." if here else ""
            raise Refused(403, "forged", f"The {name} does not point at SNS in the region of the topic.", detail=detail)
        return root, parts.path, parts.query

    def _is_test(self, root: str) -> bool:
        return any(root == f"http://{place}" for place in self.tests)


def _root(topic: str) -> str:
    """Return the one address of SNS that signs and confirms for a topic."""
    found = _TOPIC.fullmatch(topic)
    if found is None:
        raise Refused(400, "malformed", "The TopicArn is not the name of a topic.")
    partition, region = found.groups()
    return f"https://sns.{region}.amazonaws.com{'.cn' if partition == 'aws-cn' else ''}"


# Topics


class AllowedTopics:
    """Decides whose messages are accepted. Thread-safe.

    Args:
        inbox: stores the topics that confirmed a subscription.
        configured: the topics of the settings; if there are any, all others are refused.
    """

    def __init__(self, inbox: Inbox, configured: tuple[str, ...]) -> None:
        self._inbox = inbox
        self._configured = frozenset(configured)
        self._stored: frozenset[str] = frozenset()
        self._lock = threading.Lock()

    def known(self, topic: str) -> bool:
        """Return whether `check` accepts the topic without reading the inbox."""
        return topic in (self._configured or self._stored)

    def check(self, message: Message) -> None:
        """Accept messages of allowed topics, and requests to confirm a subscription that may be allowed.

        Raises:
            Refused: 403, the topic is not allowed.
            Outage: the inbox cannot be read.
        """
        topic = message.topic_arn
        if self.known(topic):
            return
        if self._configured:
            raise _not_allowed(topic, "It is not among ivesk_topics.")
        with self._lock:
            self._stored = frozenset(allowed.topic for allowed in self._inbox.allowed_topics())
        if topic in self._stored:
            return
        if message.type != CONFIRMATION:
            raise _not_allowed(topic, "It never confirmed a subscription here: subscribe again, or set ivesk_topics.")
        if self._stored and _account(topic) not in {_account(stored) for stored in self._stored}:
            raise _not_allowed(topic, "It belongs to another account than the topics so far: set ivesk_topics to all.")

    def allow(self, topic: str, *, confirmed: bool = False) -> None:
        """Accept a topic from now on; call it for verified messages only.

        Raises:
            Outage: the inbox cannot be written.
        """
        self._inbox.allow_topic(topic, confirmed=confirmed)
        with self._lock:
            self._stored |= {topic}


def _not_allowed(topic: str, why: str) -> Refused:
    return Refused(403, "foreign", "The topic is not allowed.", detail=f"Topic {topic}: {why}")


def _account(topic: str) -> tuple[str, ...]:
    """Return partition, region and account of a topic's ARN."""
    return tuple(topic.split(":")[i] for i in (1, 3, 4))
