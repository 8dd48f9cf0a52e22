"""Messages of Amazon SNS: how they are read, verified and confirmed, and from which topics they are accepted.

SNS signs some fields of a message. Whatever else a message says may come from anybody, its addresses included.
"""

from __future__ import annotations

import base64
import binascii
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timezone
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec
import requests
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.x509.oid import NameOID

from ap_connectors.core.errors import ApError
from ap_connectors.http.session import HttpClient, RetryPolicy
from ap_connectors.webhooks.errors import Refused, unavailable
from ap_connectors.webhooks.inbox import Inbox

NOTIFICATION = "Notification"
CONFIRMATION = "SubscriptionConfirmation"
FAREWELL = "UnsubscribeConfirmation"

_OF_NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_OF_HANDSHAKE = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_SIGNED = {NOTIFICATION: _OF_NOTIFICATION, CONFIRMATION: _OF_HANDSHAKE, FAREWELL: _OF_HANDSHAKE}
_HASHES = {"1": SHA1, "2": SHA256}

_HOST = re.compile(r"sns\.[a-z0-9-]+\.amazonaws\.com(\.cn)?")
_TOPIC = re.compile(r"arn:[a-z0-9-]+:sns:[a-z0-9-]+:\d+:[A-Za-z0-9_.-]+")
_PATH = re.compile(r"(/[A-Za-z0-9_.-]+)*/?")
_CERTIFICATE_OWNER = re.compile(r"sns[a-z0-9.-]*\.amazonaws\.com(\.cn)?")

_LARGEST_ANSWER = 64 * 1024
_CACHED_CERTIFICATES = 16
_CACHE_SECONDS = 24 * 3600.0
_CACHE_REFUSED_SECONDS = 60.0
_RETRY_POLICY = RetryPolicy(tries=2, first_pause=0.2, longest_asked=2)
"""SNS waits 15 s for our answer."""


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
    if message.type not in _SIGNED or not message.message_id or not _TOPIC.fullmatch(message.topic_arn):
        raise Refused(400, "malformed", "The body is not a message of SNS: check Type, MessageId and TopicArn.")
    return message


def verify(message: Message, key: Callable[[str], RSAPublicKey]) -> None:
    """Check the signature; `key` returns the public key at an address, or raises `Refused`.

    Raises:
        Refused: 403, the signature is wrong.
    """
    algorithm = _HASHES.get(message.signature_version)
    if algorithm is None:
        raise Refused(403, "forged", "The SignatureVersion is not 1 or 2.")
    text = _signed_text(message)
    try:
        signature = base64.b64decode(message.signature, validate=True)
        key(message.signing_cert_url).verify(signature, text, PKCS1v15(), algorithm())
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

    def certificate(self, url: str) -> str:
        """Return the address of a certificate, rebuilt from its parts.

        Raises:
            Refused: 403, it is not SNS's.
        """
        root, path, query = self._parts(url, "SigningCertURL")
        if not path.endswith(".pem") or query:
            raise Refused(403, "forged", "The SigningCertURL is not a certificate of SNS.")
        return root + path

    def confirmation(self, message: Message) -> str:
        """Return the address that confirms a subscription, rebuilt from its parts.

        Raises:
            Refused: 403, it leads elsewhere, or does something else.
        """
        root, path, query = self._parts(message.subscribe_url or "", "SubscribeURL")
        asked = parse_qs(query, keep_blank_values=True)
        wanted = {"Action": "ConfirmSubscription", "TopicArn": message.topic_arn, "Token": message.token or ""}
        if asked != {name: [value] for name, value in wanted.items()} or (
            path not in {"", "/"} and not self._is_test(root)
        ):
            raise Refused(403, "forged", "The SubscribeURL does something else than confirm this subscription.")
        return f"{root}{path or '/'}?{urlencode(wanted)}"

    def _parts(self, url: str, name: str) -> tuple[str, str, str]:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise Refused(403, "forged", f"The {name} is not an address.") from None
        root = f"{parts.scheme}://{parts.netloc}"
        is_sns = parts.scheme == "https" and _HOST.fullmatch(parts.hostname or "") and port in {None, 443}
        known = (is_sns and parts.netloc.lower() in {parts.hostname, f"{parts.hostname}:443"}) or self._is_test(root)
        if not known or parts.fragment or not _PATH.fullmatch(parts.path) or ".." in parts.path or not url.isascii():
            raise Refused(403, "forged", f"The {name} does not point at SNS.")
        return root, parts.path, parts.query

    def _is_test(self, root: str) -> bool:
        return any(root == f"http://{place}" for place in self.tests)


# Requests to SNS


class _UnusableAnswer(ApError):
    """SNS answered, but not with what was asked for; another try would not help."""


class Certificates:
    """Fetches and caches the certificates that SNS signs with; also confirms subscriptions. Thread-safe.

    Args:
        hosts: which addresses are SNS's.
        timeout: seconds to connect, and between two pieces of an answer.
    """

    def __init__(self, hosts: Hosts, *, timeout: float = 3) -> None:
        self._hosts = hosts
        self._http = HttpClient("SNS", explain=_explain, timeout=timeout, retry_policy=_RETRY_POLICY)
        self._fetching = threading.Lock()
        self._cache: OrderedDict[str, tuple[float, RSAPublicKey | Refused]] = OrderedDict()

    def known(self, url: str) -> bool:
        """Return whether `key` will answer at once."""
        return self._cached(url) is not None

    def key(self, url: str) -> RSAPublicKey:
        """Return the public key of a certificate.

        Raises:
            Refused: 403, it is not SNS's own or not valid now; 503, it could not be fetched.
        """
        address = self._hosts.certificate(url)
        found = self._cached(address)
        if found is None:
            # One at a time: requests for the same certificate wait for the first one instead of fetching it again.
            with self._fetching:
                found = self._cached(address) or self._fetched(address)
        if isinstance(found, Refused):
            raise Refused(found.status, found.outcome, str(found), detail=found.detail)
        return found

    def confirm(self, url: str) -> None:
        """Confirm a subscription; `url` comes from `Hosts.confirmation`. Confirming twice does no harm.

        Raises:
            Refused: 503, SNS did not accept it; it will ask again.
        """
        try:
            self._http.fetch("GET", url, _short_body, what="the confirmation of a subscription", stream=True)
        except ApError as error:
            raise unavailable("The subscription could not be confirmed.", detail=_reason(error)) from None

    def _cached(self, address: str) -> RSAPublicKey | Refused | None:
        until, found = self._cache.get(address, (0.0, None))
        return found if time.monotonic() < until else None

    def _fetched(self, address: str) -> RSAPublicKey | Refused:
        found: RSAPublicKey | Refused
        try:
            found, seconds = self._fetch(address), _CACHE_SECONDS
        except Refused as refused:
            if refused.status == 503:
                raise
            # Forged messages must not make us ask SNS again and again.
            found, seconds = refused, _CACHE_REFUSED_SECONDS
        self._cache[address] = (time.monotonic() + seconds, found)
        while len(self._cache) > _CACHED_CERTIFICATES:
            self._cache.popitem(last=False)
        return found

    def _fetch(self, address: str) -> RSAPublicKey:
        try:
            text = self._http.fetch("GET", address, _short_body, what="the certificate", stream=True)
        except _UnusableAnswer as error:
            raise Refused(403, "forged", "The SigningCertURL has no certificate.", detail=str(error)) from None
        except ApError as error:
            raise unavailable("The certificate cannot be fetched now.", detail=_reason(error)) from None
        return _public_key(text)


def _public_key(text: bytes) -> RSAPublicKey:
    try:
        certificate = x509.load_pem_x509_certificate(text)
        names = [str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        key = certificate.public_key()
    except ValueError:
        raise Refused(403, "forged", "The SigningCertURL has no certificate.") from None
    if not isinstance(key, RSAPublicKey) or key.key_size < 2048:
        raise Refused(403, "forged", "The certificate has no RSA key of 2048 bits or more.")
    if not any(_CERTIFICATE_OWNER.fullmatch(name) for name in names):
        raise Refused(403, "forged", "The certificate is not one of SNS.", detail=f"It is for {names!r}.")
    now = datetime.now(timezone.utc)
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise Refused(403, "forged", "The certificate is not valid now.", detail="Is the clock of this machine right?")
    return key


def _short_body(response: requests.Response) -> bytes:
    """Return the body, which may not be longer than any certificate is."""
    found = b""
    for piece in response.iter_content(8192):
        found += piece
        if len(found) > _LARGEST_ANSWER:
            raise _UnusableAnswer("The answer is larger than a certificate.")
    return found


def _explain(response: requests.Response, what: str) -> ApError:
    why = ", a redirect, which is not followed" if response.is_redirect else ""
    return _UnusableAnswer(f"{what}: SNS answered {response.status_code}{why}.")


def _reason(error: ApError) -> str:
    first = str(error).partition(". ")[0].rstrip(".")
    return f"{first}. SNS sends the message again; check that https to SNS is possible from here."


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
