"""The certificates that SNS signs with, fetched once, and the call that confirms a subscription."""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from datetime import datetime, timezone

import requests
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509.oid import NameOID

from ap_http.errors import ApError, Reject
from ap_http.session import Door, Patience
from ap_webhooks.refused import Refused, unavailable
from ap_webhooks.sns import Hosts

_OWNER = re.compile(r"sns[a-z0-9.-]*\.amazonaws\.com(\.cn)?")
_LARGEST = 64 * 1024
_KEPT = 16
_KEPT_SECONDS = 24 * 3600.0
_REFUSED_SECONDS = 60.0
_PATIENCE = Patience(tries=2, first_pause=0.2, longest_asked=2)
"""SNS itself waits 15 s for us."""


class Certificates:
    """Gives public keys by the address of their certificate. Threads may share it.

    Args:
        hosts: which addresses are SNS's.
        timeout: seconds to connect, and between two pieces of an answer.
    """

    def __init__(self, hosts: Hosts, *, timeout: float = 3) -> None:
        self._hosts = hosts
        self._door = Door("SNS", explain=_explain, timeout=timeout, patience=_PATIENCE)
        self._fetching = threading.Lock()
        self._known: OrderedDict[str, tuple[float, RSAPublicKey | Refused]] = OrderedDict()
        self.fetched = 0

    def known(self, url: str) -> bool:
        """Whether `key` will answer at once."""
        return self._cached(url) is not None

    def key(self, url: str) -> RSAPublicKey:
        """Return the key that a certificate holds.

        Raises:
            Refused: 403, it is not SNS's own or not valid now; 503, it could not be had.
        """
        address = self._hosts.certificate(url)
        found = self._cached(address)
        if found is None:
            # One at a time: whoever asks for the same certificate meanwhile shall not fetch it again.
            with self._fetching:
                found = self._cached(address) or self._fetched(address)
        if isinstance(found, Refused):
            raise Refused(found.status, found.outcome, str(found), detail=found.detail)
        return found

    def confirm(self, url: str) -> None:
        """Tell SNS that the subscription is wanted; `url` comes from `Hosts.confirmation`. Twice does no harm.

        Raises:
            Refused: 503, SNS did not agree; it will ask again.
        """
        try:
            self._door.fetch("GET", url, _short, what="the confirmation of a subscription", stream=True)
        except ApError as error:
            raise unavailable("The subscription could not be confirmed.", detail=_reason(error)) from None

    def _cached(self, address: str) -> RSAPublicKey | Refused | None:
        until, found = self._known.get(address, (0.0, None))
        return found if time.monotonic() < until else None

    def _fetched(self, address: str) -> RSAPublicKey | Refused:
        found: RSAPublicKey | Refused
        try:
            found, keep = self._fetch(address), _KEPT_SECONDS
        except Refused as refused:
            if refused.status == 503:
                raise
            # A forger shall not make us ask SNS over and over.
            found, keep = refused, _REFUSED_SECONDS
        self._known[address] = (time.monotonic() + keep, found)
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return found

    def _fetch(self, address: str) -> RSAPublicKey:
        try:
            text = self._door.fetch("GET", address, _short, what="the certificate", stream=True)
            self.fetched += 1
        except Reject as error:
            raise Refused(403, "forged", "The SigningCertURL leads to no certificate.", detail=str(error)) from None
        except ApError as error:
            raise unavailable("The certificate cannot be had now.", detail=_reason(error)) from None
        return _public_key(text)


def _public_key(text: bytes) -> RSAPublicKey:
    try:
        certificate = x509.load_pem_x509_certificate(text)
        names = [str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        key = certificate.public_key()
    except ValueError:
        raise Refused(403, "forged", "The SigningCertURL leads to no certificate.") from None
    if not isinstance(key, RSAPublicKey) or key.key_size < 2048:
        raise Refused(403, "forged", "The certificate has no RSA key of 2048 bits or more.")
    if not any(_OWNER.fullmatch(name) for name in names):
        raise Refused(403, "forged", "The certificate is not one of SNS.", detail=f"It is for {names!r}.")
    now = datetime.now(timezone.utc)
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise Refused(403, "forged", "The certificate is not valid now.", detail="Is the clock of this machine right?")
    return key


def _short(response: requests.Response) -> bytes:
    """The body, unless it is longer than any certificate."""
    found = b""
    for piece in response.iter_content(8192):
        found += piece
        if len(found) > _LARGEST:
            raise Reject("The answer is larger than a certificate.")
    return found


def _explain(response: requests.Response, what: str) -> ApError:
    if response.is_redirect:
        return Reject(f"{what}: SNS answered {response.status_code}: it leads elsewhere, and we do not follow.")
    return Reject(f"{what}: SNS answered {response.status_code}.")


def _reason(error: ApError) -> str:
    first = str(error).partition(". ")[0].rstrip(".")
    return f"{first}. SNS sends the message again; is https to SNS let through from here?"
