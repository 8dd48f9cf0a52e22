"""The way into the Vic.ai API: one door with tokens for its calls, one for the storage, and what their answers mean."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import quote, urljoin

import msgspec
import requests
import urllib3

from ap_connectors.core import validate
from ap_connectors.core.errors import ApError, Reject, Retry, Stop
from ap_connectors.core.raw_json import Record, decode, text
from ap_connectors.http.rate_limit import RateLimit
from ap_connectors.http.session import HttpClient, RetryPolicy, body
from ap_connectors.vicai import contract
from ap_connectors.vicai.multipart import Form

# Access tokens (Vic.ai API 0.20.0, Authentication): one per process, renewed before they expire and when refused.

_USUAL_LIFE = 3600.0
_MARGIN = 60.0
"""Seconds before its end that a token counts as expired: a request may be on its way for a while."""


class Grant(msgspec.Struct):
    """An answer to ``POST /token``: the token, and how many seconds it lives (an hour where that is not said)."""

    access_token: str
    expires_in: float | None = None


class Token:
    """A bearer token that all threads share.

    Args:
        obtain: asks the service for a grant.
        keep_secret: is told every token, so that no message shows it.
    """

    def __init__(self, obtain: Callable[[], Grant], keep_secret: Callable[[str], None]) -> None:
        self._obtain = obtain
        self._keep_secret = keep_secret
        self._lock = threading.Lock()
        self._header: Mapping[str, str] = {}
        self._good_until = 0.0

    def header(self) -> Mapping[str, str]:
        """Return the header that lets a request in; the first caller, and one a life, waits for a new token.

        Raises:
            Stop: client_id or client_secret are wrong. Outage: the service failed for too long.
        """
        with self._lock:
            if not self._header or time.monotonic() >= self._good_until:
                asked = time.monotonic()
                grant = self._obtain()
                self._keep_secret(grant.access_token)
                self._header = {"Authorization": f"Bearer {grant.access_token}"}
                life = grant.expires_in or _USUAL_LIFE
                # A token that lives shortly is used for half its life, not renewed before every request.
                self._good_until = asked + max(life - _MARGIN, life / 2)
            return self._header

    def refused(self, sent: Mapping[str, str]) -> None:
        """Take note that the service refused the token in these headers; another thread may have renewed it already."""
        with self._lock:
            if sent.get("Authorization") == self._header.get("Authorization"):
                self._header = {}


def grant(body: bytes) -> Grant:
    """Read the answer to a token request.

    Raises:
        Retry: it is none.
    """
    return decode(body, _GRANT)


# Not strict: a number in quotes is one.
_GRANT = msgspec.json.Decoder(Grant, strict=False)


T = TypeVar("T")

REGIONS = {"us": "https://api.us.vic.ai/v0", "no": "https://api.no.vic.ai/v0"}
"""Where the API is, by region."""

_WHERE = "Vic.ai gives it out on request."


class _No(Reject):
    """The service says no: `status` is the answer's."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Forbidden(_No):
    """This company has no right to it: leave it out, say so, and go on."""


class NotFound(_No):
    """The service does not know the thing: leave it out, say so, and go on."""


class Refused(_No):
    """The service does not take the call as it is: leave the record out, say why, and go on."""


class Moved(Refused):
    """The answer is at another address, `link`: where that is meant, fetch it there, without the token."""

    def __init__(self, message: str, status: int, link: str) -> None:
        super().__init__(message, status)
        self.link = link


class Transport:
    """Calls of the contract, let in and explained; see `ap_connectors.vicai.client.VicaiClient` for the arguments."""

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
    ) -> None:
        client_id = validate.credential("client_id", client_id, _WHERE)
        client_secret = validate.credential("client_secret", client_secret, _WHERE)
        self._url = validate.address("api_url", api_url, REGIONS["us"])
        self._account = {"client_id": client_id, "client_secret": client_secret}
        self._of_writes: Mapping[str, str] = {}
        if request_id is not None:
            self._of_writes = {"X-Request-Id": validate.uuid("request_id", request_id)}
        door = functools.partial(
            HttpClient,
            secrets=[client_secret],
            timeout=timeout,
            retry_policy=retry_policy,
            # One more than work on records at once: the next page is fetched meanwhile.
            connections=connections + 2,
        )
        headers = {"Accept": "application/json", "User-Agent": validate.user_agent(user_agent)}
        self._tokens = door("vicai", explain=self._explain_token, headers=headers, limit=limit)
        token = Token(self._grant, self._keep_secret)
        self._api = door("vicai", explain=self._explain, headers=headers, credentials=token, limit=limit)
        self._storage = door(
            "vicai storage", explain=self._explain_storage, headers={"User-Agent": headers["User-Agent"]}
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
    ) -> T:
        """Call an operation of the contract; `read` takes the streamed answer.

        Args:
            operation: its name ("upsertVendor").
            read: see `HttpClient.fetch`.
            arguments: path and query parameters.
            json: the body, encoded.
            form: makes the body anew for every try, instead.
            find_done: see `HttpClient.fetch`.

        Raises:
            Forbidden, NotFound, Refused: the service says no. Moved: the answer is elsewhere. Outage: it failed for
                too long.
        """
        called = contract.operation(operation)
        headers = dict(self._of_writes) if called.method != "GET" else {}
        if json is not None:
            headers["Content-Type"] = "application/json"

        def prepare() -> Mapping[str, Any]:
            if form is None:
                return {}
            made = form()
            return {"data": made, "headers": {**headers, "Content-Type": made.content_type}}

        return self._api.fetch(
            called.method,
            self._url + _path(called.path, arguments),
            read,
            what=self.what(operation, arguments),
            stream=True,
            find_done=find_done,
            prepare=prepare,
            params={name: value for name, value in arguments.items() if f"{{{name}}}" not in called.path},
            headers=headers,
            data=json,
        )

    def follow(self, moved: Moved, read: Callable[[requests.Response], T], what: str) -> T:
        """Fetch what lies at another address, without the token.

        Raises:
            NotFound, Refused: the storage says no. Outage: it failed for too long.
        """
        return self._storage.fetch("GET", moved.link, read, what=what, stream=True, redirects=True)

    @staticmethod
    def what(operation: str, arguments: Mapping[str, str]) -> str:
        """Name a call in messages: "PUT /vendors/7"."""
        called = contract.operation(operation)
        return f"{called.method} {_path(called.path, arguments)}"

    def _grant(self) -> Grant:
        called = contract.operation("obtainToken")
        return self._tokens.fetch(
            called.method,
            self._url + called.path,
            lambda response: grant(body(response)),
            what=f"{called.method} {called.path}",
            stream=True,
            json=self._account,
        )

    def mask(self, text: str) -> str:
        """Return a text without client_secret and tokens."""
        return self._tokens.redact.mask(text)

    def _keep_secret(self, token: str) -> None:
        for door in (self._api, self._storage, self._tokens):
            door.redact.add(token)

    # What answers mean

    def _explain_token(self, response: requests.Response, what: str) -> ApError:
        said = self._said(response)
        if response.status_code in {400, 401, 403, 422}:
            return Stop(
                f"vicai: client_id and client_secret are not accepted at {self._url}: status {response.status_code}"
                f"{said}. Check both, and region: credentials of one region do not work in another."
            )
        return Stop(f"vicai: {what}: status {response.status_code}{said}. Check api_url: it ends in /v0.")

    def _explain(self, response: requests.Response, what: str) -> ApError:
        status = response.status_code
        link = response.headers.get("Location")
        if 300 <= status < 400 and link:
            message = f"vicai: {what}: the service sends us to another address: status {status}. Check api_url."
            return Moved(message, status, urljoin(response.url, link))
        said = self._said(response)
        if status == 401:
            return Retry(f"status 401{said}, although the token is fresh")
        if status == 403:
            return Forbidden(f"vicai: {what}: this company has no right to it: status 403{said}.", status)
        if status in {404, 410}:
            return NotFound(f"vicai: {what}: not found: status {status}{said}.", status)
        return Refused(f"vicai: {what}: the service refuses the call: status {status}{said}.", status)

    def _explain_storage(self, response: requests.Response, what: str) -> ApError:
        status = response.status_code
        if status in {404, 410}:
            return NotFound(f"vicai: {what}: the storage does not have it: status {status}.", status)
        return Refused(f"vicai: {what}: the storage refuses the link: status {status}.", status)

    def _said(self, response: requests.Response) -> str:
        """Quote the service's message, and the id under which Vic.ai finds the request."""
        try:
            message = text(decode(body(response), _OBJECT), "message") or ""
        except (ApError, urllib3.exceptions.HTTPError):
            message = ""
        number = response.headers.get("x-request-id")
        # Masked before anything is cut off, for a secret may end with a full stop.
        parts = [self._tokens.redact(message).rstrip("."), f"request id {number}" if number else ""]
        said = self._tokens.redact("; ".join(part for part in parts if part))
        return f" ({said})" if said else ""


def _path(template: str, arguments: Mapping[str, str]) -> str:
    return template.format_map({name: quote(value, safe="") for name, value in arguments.items()})


_OBJECT = msgspec.json.Decoder(Record)
