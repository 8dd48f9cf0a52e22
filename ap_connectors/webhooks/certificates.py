"""Requests to Amazon SNS: for the certificates that it signs with, and to confirm subscriptions."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime, timezone
from functools import partial
from typing import TypeVar

import requests
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509.oid import NameOID

from ap_connectors.core.errors import ApError, Outage
from ap_connectors.http.session import HttpClient, RetryPolicy
from ap_connectors.webhooks.errors import Refused, unavailable
from ap_connectors.webhooks.sns import Hosts, Message

T = TypeVar("T")
_CERTIFICATE_OWNER = re.compile(r"sns[a-z0-9.-]*\.amazonaws\.com(\.cn)?")
_LARGEST_ANSWER = 64 * 1024
_CACHED_CERTIFICATES = 16
_CACHE_SECONDS = 24 * 3600.0
_CACHE_REFUSED_SECONDS = 60.0
_RETRY_POLICY = RetryPolicy(tries=2, first_pause=0.2, longest_asked=2)
_LIMIT_SECONDS = 8.0
"""SNS waits 15 s for our answer, and the message has to be stored afterwards."""
_MOST_CALLS = 16


class _TimeLimit:
    """Runs calls in daemon threads, so that one that never ends cannot keep the process from ending.

    Args:
        seconds: the longest time that a caller waits.
        most: calls under way at once, those included that no caller waits for any more.
    """

    def __init__(self, seconds: float, most: int) -> None:
        self._seconds = seconds
        self._free = threading.BoundedSemaphore(most)

    async def call(self, function: Callable[[], T], what: str) -> T:
        """Return what a function returns.

        Raises:
            Refused: 503, it takes too long, or too many are under way. What the function raises.
        """
        if not self._free.acquire(blocking=False):
            raise unavailable(f"{what} has to wait.", detail="Too many such calls are under way.")
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(function())
            except BaseException as error:
                future.set_exception(error)
            finally:
                self._free.release()

        threading.Thread(target=run, name="time-limit", daemon=True).start()
        try:
            # Shielded: the thread cannot be stopped, and a future that is cancelled takes no result.
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(future)), self._seconds)
        except asyncio.TimeoutError:
            raise unavailable(f"{what} takes too long.", detail=f"More than {self._seconds:g} s.") from None


class _UnusableAnswer(ApError):
    """SNS answered, but not with what was asked for; another try would not help."""


class Certificates:
    """Fetches and caches the certificates that SNS signs with; also confirms subscriptions. For one event loop.

    Args:
        hosts: which addresses are SNS's.
        timeout: seconds to connect, and between two pieces of an answer.
    """

    def __init__(self, hosts: Hosts, *, timeout: float = 3) -> None:
        self._hosts = hosts
        self._http = HttpClient("SNS", explain=_explain, timeout=timeout, retry_policy=_RETRY_POLICY)
        self._time_limit = _TimeLimit(_LIMIT_SECONDS, _MOST_CALLS)
        self._fetching: dict[str, asyncio.Task[RSAPublicKey | Refused]] = {}
        self._cache: OrderedDict[str, tuple[float, RSAPublicKey | Refused]] = OrderedDict()

    async def key(self, message: Message) -> RSAPublicKey:
        """Return the public key of the certificate that a message names.

        Raises:
            Refused: 403, it is not SNS's own or not valid now; 503, it could not be fetched.
        """
        address = self._hosts.certificate(message)
        found = self._cached(address)
        if found is None:
            found = await asyncio.shield(self._fetch(address))
        if isinstance(found, Refused):
            raise Refused(found.status, found.outcome, str(found), detail=found.detail)
        return found

    async def confirm(self, message: Message) -> None:
        """Confirm a subscription. Confirming twice does no harm.

        Raises:
            Refused: 503, SNS did not accept it; it will ask again.
        """
        url = self._hosts.confirmation(message)
        await self._time_limit.call(partial(self._confirm, url), "The confirmation of the subscription")

    def _confirm(self, url: str) -> None:
        try:
            self._http.fetch("GET", url, _short_body, what="the confirmation of a subscription", stream=True)
        except ApError as error:
            raise unavailable("The subscription could not be confirmed.", detail=_reason(error)) from None

    def _cached(self, address: str) -> RSAPublicKey | Refused | None:
        until, found = self._cache.get(address, (0.0, None))
        return found if time.monotonic() < until else None

    def _fetch(self, address: str) -> asyncio.Task[RSAPublicKey | Refused]:
        """Fetch a certificate; messages that name the same one wait together, and those that name others do not."""
        task = self._fetching.get(address)
        if task is None:
            call = self._time_limit.call(partial(self._fetched, address), "The certificate of the signature")
            task = self._fetching[address] = asyncio.ensure_future(call)
            task.add_done_callback(lambda _: self._fetching.pop(address))
        return task

    def _fetched(self, address: str) -> RSAPublicKey | Refused:
        found: RSAPublicKey | Refused
        try:
            found, seconds = self._read(address), _CACHE_SECONDS
        except Refused as refused:
            if refused.status == 503:
                raise
            # Forged messages must not make us ask SNS again and again.
            found, seconds = refused, _CACHE_REFUSED_SECONDS
        self._cache[address] = (time.monotonic() + seconds, found)
        while len(self._cache) > _CACHED_CERTIFICATES:
            self._cache.popitem(last=False)
        return found

    def _read(self, address: str) -> RSAPublicKey:
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
    """Return the body, which may not be longer than any certificate is, nor come longer than anyone waits for it."""
    found, until = b"", time.monotonic() + _LIMIT_SECONDS
    encoded = "Content-Encoding" in response.headers
    while piece := response.raw.read1(8192, decode_content=encoded):
        found += piece
        if len(found) > _LARGEST_ANSWER:
            raise _UnusableAnswer("The answer is larger than a certificate.")
        if time.monotonic() > until:
            raise Outage("SNS sends its answer too slowly.")
    return found


def _explain(response: requests.Response, what: str) -> ApError:
    why = ", a redirect, which is not followed" if response.is_redirect else ""
    return _UnusableAnswer(f"{what}: SNS answered {response.status_code}{why}.")


def _reason(error: ApError) -> str:
    first = str(error).partition(". ")[0].rstrip(".")
    return f"{first}. SNS sends the message again; check that https to SNS is possible from here."
