"""Calls to the Vic.ai API and its document storage: addresses, access tokens, and what their answers mean.

A token is obtained once per process, renewed before it expires and when it is refused (Vic.ai API 0.20.0,
Authentication). The storage behind a link never gets it.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote, urljoin, urlsplit

import msgspec
import requests
import urllib3

from ap_connectors.core import validate
from ap_connectors.core.errors import ApError, Reject, Retry, Stop, Unauthorized
from ap_connectors.core.raw_json import Record, decode, text
from ap_connectors.http.bodies import PLAIN, body
from ap_connectors.http.rate_limit import RateLimit
from ap_connectors.http.session import HttpClient, RetryPolicy
from ap_connectors.vicai import contract
from ap_connectors.vicai.multipart import Form

T = TypeVar("T")

REGIONS = {"us": "https://api.us.vic.ai/v0", "no": "https://api.no.vic.ai/v0"}
"""Addresses of the API by region."""

_WHERE = "Vic.ai gives it out on request."
_USUAL_LIFE = 3600.0
_MARGIN = 60.0
"""Seconds before its end that a token counts as expired: a request may be on its way for a while."""


class StatusError(Reject):
    """The service answers with an error status: leave the record out, say why, and go on.

    Args:
        what: what the status means, for the message.
        call: the call, for the message.
        status: of the answer.
        said: the service's own message.
        request_id: the id under which Vic.ai finds the request.
    """

    reason: ClassVar[str]

    def __init__(self, what: str, call: str, status: int, said: str = "", request_id: str = "") -> None:
        message = f"vicai: {call}: {what}: status {status}{_quoted(said, request_id)}."
        super().__init__(message, self.reason, service="Vic.ai", call=call, status=status, said=said)
        self.status = status


class Forbidden(StatusError):
    """The company has no right to this."""

    reason = "no_right"


class NotFound(StatusError):
    """The service does not know the object."""

    reason = "not_found"


class Refused(StatusError):
    """The service refuses the call as it is."""

    reason = "service_refused"


class Redirected(Refused):
    """The answer is at another address, `link`. Where that is intended, fetch it there, without the token."""

    def __init__(self, call: str, status: int, link: str) -> None:
        super().__init__("the service redirects to another address (check api_url)", call, status)
        self.link = link


class TokenResponse(msgspec.Struct):
    """An answer to ``POST /token``: the token, and how many seconds it lives (an hour where that is not stated)."""

    access_token: str
    expires_in: float | None = None

    @classmethod
    def read(cls, body: bytes) -> TokenResponse:
        """Read an answer.

        Raises:
            Retry: it is not a token response.
        """
        return decode(body, _TOKEN_RESPONSE)


class BearerToken:
    """The `Credentials` of the API: a token that all threads share.

    Args:
        obtain: asks the service for a token.
        keep_secret: gets every token, so that no message shows it.
    """

    def __init__(self, obtain: Callable[[], TokenResponse], keep_secret: Callable[[str], None]) -> None:
        self._obtain = obtain
        self._keep_secret = keep_secret
        self._lock = threading.Lock()
        self._headers: Mapping[str, str] = {}
        self._good_until = 0.0

    def headers(self) -> Mapping[str, str]:
        """Return the header with the token; the first caller, and one at each expiry, waits for a new token.

        Raises:
            Stop: client_id or client_secret are wrong. Outage: the service failed for too long.
        """
        with self._lock:
            if not self._headers or time.monotonic() >= self._good_until:
                asked = time.monotonic()
                response = self._obtain()
                self._keep_secret(response.access_token)
                self._headers = {"Authorization": f"Bearer {response.access_token}"}
                life = response.expires_in or _USUAL_LIFE
                # A short-lived token is used for half its life, not renewed before every request.
                self._good_until = asked + max(life - _MARGIN, life / 2)
            return self._headers

    def invalidate(self, sent: Mapping[str, str]) -> None:
        """Renew the token before the next request, unless another thread has replaced the one in these headers."""
        with self._lock:
            if sent.get("Authorization") == self._headers.get("Authorization"):
                self._headers = {}


class Transport:
    """Sends the calls of the contract and explains their answers; for the arguments see `vicai.client.VicaiClient`."""

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        api_url: str,
        *,
        timeout: float,
        user_agent: str,
        retry_policy: RetryPolicy | None,
        connections: int,
        limit: RateLimit | None,
        request_id: str | None,
        allow_http: bool,
    ) -> None:
        client_id = validate.credential("client_id", client_id, _WHERE)
        client_secret = validate.credential("client_secret", client_secret, _WHERE)
        self._url = validate.private_address("api_url", api_url, REGIONS["us"], allow_http=allow_http)
        self._account = {"client_id": client_id, "client_secret": client_secret}
        self._write_headers: Mapping[str, str] = {}
        if request_id is not None:
            self._write_headers = {"X-Request-Id": validate.uuid("request_id", request_id)}
        http_client = functools.partial(
            HttpClient,
            secrets=[client_secret],
            timeout=timeout,
            retry_policy=retry_policy,
            # Beside the threads that work on records, the next pages are fetched.
            connections=connections + 2,
        )
        headers = {"Accept": "application/json", "User-Agent": validate.user_agent(user_agent)}
        self._auth = http_client("vicai", explain=self._explain_token, headers=headers, limit=limit)
        token = BearerToken(self._obtain_token, self._keep_secret)
        self._api = http_client("vicai", explain=self._explain, headers=headers, credentials=token, limit=limit)
        self._storage = http_client(
            "vicai storage",
            explain=self._explain_storage,
            headers={"User-Agent": headers["User-Agent"]},
            links_of=self._url,
            allow_http=allow_http,
        )

    def call(
        self,
        operation: str,
        read: Callable[[requests.Response], T],
        arguments: Mapping[str, str],
        *,
        json: bytes | None = None,
        form: Callable[[], Form] | None = None,
        find_done: Callable[[], T | None] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> T:
        """Call an operation of the contract; `read` gets the streamed answer.

        Args:
            operation: its name ("upsertVendor").
            read: see `HttpClient.fetch`.
            arguments: path and query parameters.
            json: the body, encoded.
            form: makes the body anew for every try, instead.
            find_done: see `HttpClient.fetch`.
            headers: to be sent beside those of every call.

        Raises:
            Forbidden, NotFound, Refused: the service refuses. Redirected: the answer is elsewhere. Outage: it failed
                for too long.
        """
        called = contract.operation(operation)
        path = _path(called.path, arguments)
        headers = {**(headers or {}), **(self._write_headers if called.method != "GET" else {})}
        if json is not None:
            headers["Content-Type"] = "application/json"

        def prepare() -> Mapping[str, Any]:
            if form is None:
                return {}
            made = form()
            return {"data": made, "headers": {**headers, "Content-Type": made.content_type}}

        return self._api.fetch(
            called.method,
            self._root(called.path) + path,
            read,
            what=f"{called.method} {path}",
            stream=True,
            find_done=find_done,
            prepare=prepare,
            kind=f"{called.method} {called.path}",
            params={name: value for name, value in arguments.items() if f"{{{name}}}" not in called.path},
            headers=headers,
            data=json,
        )

    def now(self) -> int | None:
        """Return what time it is at the service (milliseconds since 1970); None before its first answer."""
        return self._api.clock.now()

    def is_own(self, url: str) -> bool:
        """Return whether an address is one of the API's own, to which the token may be sent."""
        return url.isascii() and "\\" not in url and _origin(url) == _origin(self._url) is not None

    def follow(self, redirected: Redirected, read: Callable[[requests.Response], T], what: str) -> T:
        """Fetch what is at another address, without the token.

        Raises:
            NotFound, Refused: the storage refuses. Outage: it failed for too long.
        """
        return self._storage.fetch("GET", redirected.link, read, what=what, stream=True, redirects=True, headers=PLAIN)

    def _root(self, path: str) -> str:
        # v2 lies beside v0.
        return self._url.removesuffix("/v0") if path.startswith("/v2/") else self._url

    def linked(self, link: str, read: Callable[[requests.Response], T], what: str) -> T:
        """Fetch what a record links to: with the token from the service itself, and from nowhere else with it.

        Raises:
            NotFound, Refused: it is refused. Redirected: it is elsewhere. Outage: it failed for too long.
        """
        if not self.is_own(link):
            return self.follow(Redirected(what, 302, link), read, what)
        return self._api.fetch("GET", link, read, what=what, stream=True, headers=PLAIN)

    @staticmethod
    def what(operation: str, arguments: Mapping[str, str]) -> str:
        """Name a call in messages: "PUT /vendors/7"."""
        called = contract.operation(operation)
        return f"{called.method} {_path(called.path, arguments)}"

    def _obtain_token(self) -> TokenResponse:
        called = contract.operation("obtainToken")
        return self._auth.fetch(
            called.method,
            self._url + called.path,
            lambda response: TokenResponse.read(body(response)),
            what=f"{called.method} {called.path}",
            stream=True,
            json=self._account,
        )

    def mask(self, text: str) -> str:
        """Return a text without client_secret and tokens."""
        return self._auth.redact.mask(text)

    def _keep_secret(self, token: str) -> None:
        for client in (self._api, self._storage, self._auth):
            client.redact.add(token)

    def _explain_token(self, response: requests.Response, what: str) -> ApError:
        said = _quoted(*self._said(response))
        if response.status_code in {400, 401, 403, 422}:
            return Unauthorized(
                f"vicai: client_id and client_secret are not accepted at {self._url}: status {response.status_code}"
                f"{said}. Check both, and region: credentials of one region do not work in another."
            )
        return Stop(f"vicai: {what}: status {response.status_code}{said}. Check api_url: it ends in /v0.")

    def _explain(self, response: requests.Response, what: str) -> ApError:
        status = response.status_code
        link = response.headers.get("Location")
        if 300 <= status < 400 and link:
            with contextlib.suppress(ValueError):
                link = urljoin(response.url, link)
            return Redirected(what, status, link)
        said = self._said(response)
        if status == 401:
            return Retry(f"status 401{_quoted(*said)}, although the token is fresh")
        if status == 403:
            return Forbidden("this company has no right to it", what, status, *said)
        if status in {404, 410}:
            return NotFound("not found", what, status, *said)
        return Refused("the service refuses the call", what, status, *said)

    def _explain_storage(self, response: requests.Response, what: str) -> ApError:
        status = response.status_code
        if status in {404, 410}:
            return NotFound("the storage does not have it", what, status)
        return Refused("the storage refuses the link", what, status)

    def _said(self, response: requests.Response) -> tuple[str, str]:
        """Return the service's message, and the id under which Vic.ai finds the request."""
        try:
            message = text(decode(body(response), _OBJECT), "message") or ""
        except (ApError, urllib3.exceptions.HTTPError):
            message = ""
        # Masked before anything is cut off, because a secret may end with a full stop.
        return self._auth.redact(message).rstrip("."), self._auth.redact(response.headers.get("x-request-id", ""))


def _quoted(said: str, request_id: str) -> str:
    parts = [said, f"request id {request_id}" if request_id else ""]
    told = "; ".join(part for part in parts if part)
    return f" ({told})" if told else ""


def _origin(url: str) -> tuple[str, str, int | None] | None:
    """Return scheme, host and port of an address; None of one that is not clear about them."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return None
    if parts.username is not None or parts.password is not None or not parts.hostname:
        return None
    return parts.scheme, parts.hostname, port


def _path(template: str, arguments: Mapping[str, str]) -> str:
    return template.format_map({name: quote(value, safe="") for name, value in arguments.items()})


_OBJECT = msgspec.json.Decoder(Record)
# Not strict: expires_in may be a number in quotes.
_TOKEN_RESPONSE = msgspec.json.Decoder(TokenResponse, strict=False)
