"""The HTTP client of all services: every request of a plugin goes through `HttpClient.fetch`.

It retries transient errors, renews credentials, keeps the rate limit, and turns failures into errors that say what to
do next. What may be in doubt after a failure is probed before it is repeated (`find_done`).
"""

from __future__ import annotations

import functools
import logging
import os
import random
import ssl
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.exceptions import InvalidHeader
from urllib3.util.retry import Retry as RetryAfterParser

from ap_connectors.core import validate
from ap_connectors.core.errors import ApError, Outage, Retry, Stop
from ap_connectors.core.redact import Redactor
from ap_connectors.http import request_counts, shutdown
from ap_connectors.http.guarded import AddressRefused, GuardedAdapter, PlainHttpRefused, not_followed
from ap_connectors.http.rate_limit import RateLimit
from ap_connectors.http.service_clock import ServiceClock

T = TypeVar("T")


class Credentials(Protocol):
    """Credentials that change while a process runs, such as a token."""

    def headers(self) -> Mapping[str, str]:
        """Return the headers to send; this may ask the service for a token first."""

    def invalidate(self, sent: Mapping[str, str]) -> None:
        """Renew the credentials before they are used again: a request with these headers got a 401."""


@dataclass(frozen=True)
class RetryPolicy:
    """Limits of retrying: `tries` in all, pauses doubling from `first_pause` to `longest_pause` seconds.

    Pauses that the service asks for with ``Retry-After`` are waited out and do not count as failures; when they exceed
    `longest_asked` seconds for one call the run ends, and the next one continues.
    """

    tries: int = 6
    first_pause: float = 0.5
    longest_pause: float = 30.0
    longest_asked: float = 300.0

    def pause(self, failures: int) -> float:
        """Return the seconds to wait after some failures, with jitter so that many runs do not return at once."""
        full = min(self.longest_pause, self.first_pause * 2.0 ** (failures - 1))
        return full * random.uniform(0.5, 1)  # noqa: S311 - jitter, not cryptography


class HttpClient:
    """HTTP to one service.

    Args:
        service: the service's name, for messages.
        explain: turns a final answer (status 3XX or 4XX other than 408, 425, 429) into the error to raise.
        headers: sent with every request, fixed credentials included.
        secrets: texts that no message may show.
        timeout: seconds to connect, and between two pieces of an answer.
        retry_policy: how often and how long transient errors are retried.
        connections: how many threads can send at once without waiting for a connection.
        credentials: add their headers to each request; renewed once per call when the service answers 401.
        limit: waited for before every request; clients may share one.
        links_of: URL of the service whose links are followed: only its host and public addresses are asked, also by
            redirects. None: the address is the user's own.
        allow_http: follow links over http to other machines, too.
    """

    def __init__(
        self,
        service: str,
        *,
        explain: Callable[[requests.Response, str], ApError],
        headers: Mapping[str, str] | None = None,
        secrets: Iterable[str] = (),
        timeout: float = 60,
        retry_policy: RetryPolicy | None = None,
        connections: int = 8,
        credentials: Credentials | None = None,
        limit: RateLimit | None = None,
        links_of: str | None = None,
        allow_http: bool = False,
    ) -> None:
        self.service = service
        self.redact = Redactor(secrets)
        self.clock = ServiceClock()
        self._explain = explain
        self._timeout = timeout
        self._retry_policy = retry_policy or RetryPolicy()
        self._credentials = credentials
        self._limit = limit
        self._follows_links = links_of is not None
        self._log = logging.getLogger(f"ap_connectors.http.{service}")
        self._session = requests.Session()
        # Proxies and certificates still come from the environment, but are looked up once per host: requests does it
        # for every call, which costs more than the call. A netrc file must not add credentials to signed links.
        self._session.trust_env = False
        self._environment = functools.lru_cache(_environment)
        self._headers = {**self._session.headers, **(headers or {})}
        adapter = (
            GuardedAdapter(links_of, allow_http=allow_http, pool_maxsize=connections)
            if links_of
            else HTTPAdapter(pool_maxsize=connections)
        )
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)
        # urllib3 writes whole URLs, signatures and all, at debug level.
        logging.getLogger("urllib3").setLevel(logging.INFO)

    def fetch(
        self,
        method: str,
        url: str,
        parse: Callable[[requests.Response], T],
        *,
        what: str,
        stream: bool = False,
        redirects: bool = False,
        find_done: Callable[[], T | None] | None = None,
        prepare: Callable[[], Mapping[str, Any]] | None = None,
        kind: str = "",
        **request: Any,
    ) -> T:
        """Send a request until it succeeds, and return `parse(response)`.

        `parse` runs inside the retries: a body that breaks off, or for which `parse` raises `Retry`, is requested
        again. Pass `find_done` for a call that must not be done twice.

        Args:
            method: the HTTP verb.
            url: absolute URL.
            parse: reads a 2XX answer.
            what: names the call in messages ("GET /pub/exported"); the URL itself is never shown.
            stream: leave the body to `parse`.
            redirects: follow them. Off where credentials are sent: requests would pass custom headers on to any host.
            find_done: probe before retry: looks whether the call was done after all, once a failure leaves that open:
                before every further try, after the pause, and when the last try has failed. What it finds, unless
                None, is the result.
            prepare: makes arguments anew for every try (open files, which a try reads to their end).
            kind: what answers are compared with that take about as long (see `RateLimit.slot`).
            **request: passed to requests (params, json, data, headers).

        Raises:
            Outage: transient errors outlasted the retry policy.
            ApError: what `explain` made of a final answer; what `find_done` raises.
        """
        what = self.redact(what)
        failed, waited, in_doubt = 0, 0.0, False
        while True:
            try:
                own = {"stream": stream, "allow_redirects": redirects, "kind": kind}
                return self._try(method, url, parse, what, prepare, **own, **request)
            except Retry as failure:
                # Once in doubt, always in doubt: what timed out may get done while later tries are refused.
                in_doubt = in_doubt or not isinstance(failure, _NotDone)
                try:
                    if failure.after is None:
                        failed += 1
                        pause = self._pause_after_failure(failure, failed, what, url)
                    else:
                        pause = self._pause_asked_for(failure, failure.after, waited, what)
                        waited += pause
                except Outage:
                    if find_done and in_doubt and (found := self._last_probe(find_done)) is not None:
                        return found
                    raise
                if shutdown.wait(pause):
                    raise Outage(f"{self.service}: {what}: given up because the process is shutting down.") from None
                if find_done and in_doubt and (found := find_done()) is not None:
                    return found
                request_counts.count(retries=0 if isinstance(failure, _Throttled) else 1)

    def _try(
        self,
        method: str,
        url: str,
        parse: Callable[[requests.Response], T],
        what: str,
        prepare: Callable[[], Mapping[str, Any]] | None,
        **request: Any,
    ) -> T:
        """Send a request once, or twice if the first got a 401 and the credentials can be renewed."""
        renewed = False
        while True:
            prepared = prepare() if prepare else {}
            with self._send(method, url, what, **{**request, **prepared}) as response:
                if response.status_code != 401 or not self._credentials or renewed:
                    return self._read(response, parse, what)
                self._credentials.invalidate(response.request.headers)
                renewed = True

    def _last_probe(self, find_done: Callable[[], T | None]) -> T | None:
        """Probe once more before giving up; return None if that fails too."""
        if shutdown.wait(self._retry_policy.first_pause):
            return None
        try:
            return find_done()
        except Outage:
            return None

    def _send(
        self, method: str, url: str, what: str, *, kind: str, stream: bool, allow_redirects: bool, **request: Any
    ) -> requests.Response:
        request["headers"] = {
            **self._headers,
            **(request.get("headers") or {}),
            **(self._credentials.headers() if self._credentials else {}),
        }
        try:
            parts = urlsplit(url)
            environment = self._environment(f"{parts.scheme}://{parts.netloc}")
            # `Session.request` would merge all kinds of settings that this session does not have, which takes longer.
            prepared = requests.Request(method, url, cookies=self._session.cookies, **request).prepare()
            with self._limit.slot(kind) if self._limit else nullcontext():
                request_counts.count(requests=1)
                return self._session.send(
                    prepared, timeout=self._timeout, stream=stream, allow_redirects=allow_redirects, **environment
                )
        except _TRANSIENT as error:
            raised = _NotDone if _never_sent(error) else Retry
            raise raised(describe(error, url)) from None
        except (AddressRefused, PlainHttpRefused) as refused:
            raise not_followed(self.service, what, refused) from None
        except (requests.RequestException, ValueError) as error:
            # Not transient: an address that is not a URL, an unusable proxy, endless redirects. Where a link stands in
            # a record, or in an answer (which requests reads in any case), only a file is missing.
            if self._follows_links or not isinstance(error, requests.RequestException):
                raise not_followed(self.service, what, error) from None
            raise Stop(
                f"{self.service}: {what} cannot be sent: {self.redact(str(error))}. Check the address."
            ) from None

    def _judge(self, response: requests.Response, what: str) -> None:
        status = response.status_code
        if status < 300:
            return
        if status in {408, 425, 429} or status >= 500:
            reason = f" {response.reason}" if response.reason else ""
            asked = _retry_after(response)
            if status != 429:
                if self._limit:
                    self._limit.failed()
                raise Retry(f"status {status}{reason}", after=asked)
            request_counts.count(throttled=1)
            if self._limit:
                # Another process uses the same limit. All threads wait, as long as asked or for part of the window.
                asked = self._limit.seconds / 4 if asked is None else asked
                self._limit.hold(asked)
            raise _Throttled(f"status {status}{reason}", after=asked)
        error = self._explain(response, what)
        if isinstance(error, Retry):
            after = error.after if error.after is not None else _retry_after(response)
            raise _NotDone(str(error), after=after, tries=error.tries)
        raise error

    def _read(self, response: requests.Response, parse: Callable[[requests.Response], T], what: str) -> T:
        try:
            self._judge(response, what)
            self.clock.note(response)
            return parse(response)
        except _TRANSIENT as error:
            raise Retry(describe(error, response.url)) from None

    def _pause_after_failure(self, failure: Retry, failed: int, what: str, url: str) -> float:
        tries = min(self._retry_policy.tries, failure.tries or self._retry_policy.tries)
        reason = self.redact(str(failure))
        if failed >= tries:
            raise Outage(
                f"{self.service}: {what} failed {failed} times, last: {reason}. {_check_first(url)}, and run it again; "
                "a pipeline goes on from its last STATE."
            ) from None
        pause = self._retry_policy.pause(failed)
        self._log.warning("%s: %s; try %d of %d in %.1f s", what, reason, failed + 1, tries, pause)
        return pause

    def _pause_asked_for(self, failure: Retry, asked: float, waited: float, what: str) -> float:
        reason = self.redact(str(failure))
        if waited + asked > self._retry_policy.longest_asked:
            raise Outage(
                f"{self.service}: {what}: {reason}; after {waited:.0f} s of waiting it asks for {asked:.0f} s more. "
                "Run it again later; a pipeline goes on from its last STATE."
            ) from None
        # A service that says "0 seconds" would otherwise be asked in a tight loop.
        pause = max(asked, self._retry_policy.first_pause) + random.uniform(0, 0.25)  # noqa: S311 - jitter
        self._log.warning("%s: %s; waiting %.1f s", what, reason, pause)
        return pause


def _environment(host: str) -> dict[str, Any]:
    """Return the proxies and the certificates that the environment names for a host.

    Raises:
        Stop: it names certificates that cannot be read.
    """
    with requests.Session() as session:
        merged = session.merge_environment_settings(host, {}, None, None, None)
    if isinstance(merged["verify"], str) and host.startswith("https:"):
        _check_certificates(merged["verify"])
    proxies = merged["proxies"]
    if host.startswith("http:") and validate.is_this_machine(urlsplit(host).hostname or ""):
        # What is meant for this machine is not encrypted: it must not leave it by way of a proxy.
        proxies = {name: url for name, url in proxies.items() if validate.is_this_machine(urlsplit(url).hostname or "")}
    return {"proxies": proxies, "verify": merged["verify"]}


def _check_certificates(path: str) -> None:
    variable = next((name for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE") if os.environ.get(name) == path), "")
    try:
        if Path(path).is_dir():
            return
        ssl.create_default_context(cafile=path)
    except (OSError, ValueError) as error:
        why = "holds no certificates in PEM" if isinstance(error, ssl.SSLError | ValueError) else error.strerror
        raise Stop(
            f"{variable or 'The CA bundle'}: {path}: {why}. Set the variable to the file of the certificates to trust, "
            "or unset it."
        ) from None


def _retry_after(response: requests.Response) -> float | None:
    """Return the seconds of ``Retry-After`` (a number or an HTTP date), or None if absent or unreadable."""
    header = response.headers.get("Retry-After")
    if header is None:
        return None
    try:
        return max(0.0, float(RetryAfterParser().parse_retry_after(header)))
    except (InvalidHeader, ValueError, OverflowError, TypeError):
        return None


class _NotDone(Retry):
    """The service has certainly not done what was asked: it said so, or the request never reached it."""


class _Throttled(_NotDone):
    """The service asks us to slow down."""


_TRANSIENT = (
    urllib3.exceptions.HTTPError,
    requests.Timeout,
    requests.ConnectionError,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)
"""Errors after which the same call may succeed."""


def _check_first(url: str) -> str:
    """Return what to look at when a service fails for long."""
    if urlsplit(url).hostname in {"127.0.0.1", "localhost", "::1"}:
        return "Check the address, and whether it is running on this machine (ap-sandbox)"
    return "Check the network and the address"


def _never_sent(error: Exception) -> bool:
    """Return whether the request cannot have reached the service, because there was no connection."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    if isinstance(reason, urllib3.exceptions.ProxyError):
        # urllib3 also blames the proxy for an answer that was lost behind it; the request was sent then.
        reason = reason.original_error
    no_connection = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)
    return isinstance(reason, no_connection) or "Tunnel connection failed" in str(reason)


def describe(error: Exception, url: str) -> str:
    """Say what happened to the connection, naming the host only: path and query may be secret."""
    host = urlsplit(url).netloc.rpartition("@")[2]
    text = str(error)
    if isinstance(error, requests.exceptions.ProxyError):
        return f"the proxy for {host} does not answer"
    if isinstance(error, requests.exceptions.SSLError):
        return f"no secure connection to {host}: its certificate is not trusted here"
    if isinstance(error, requests.ConnectTimeout):
        return f"{host} could not be reached in time"
    if isinstance(error, requests.Timeout):
        return f"{host} did not answer in time"
    if "NameResolution" in text or "Name or service" in text or "getaddrinfo" in text:
        return f"the name {host} is unknown (no network, or a misspelt address)"
    if "refused" in text:
        return f"{host} refuses connections (nothing is listening there)"
    if "IncompleteRead" in text or "ended prematurely" in text:
        return f"the answer of {host} broke off in the middle"
    return f"the connection to {host} broke"
