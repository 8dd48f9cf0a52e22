"""The client of the Vic.ai API: calls by the names of the contract, pages, changes, documents. One door for the API."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar
from urllib.parse import quote, urljoin

import msgspec
import requests
import urllib3

from ap_http import checks
from ap_http.errors import ApError, Reject, Retry, Stop
from ap_http.instants import UTC, Clock
from ap_http.limits import RateLimit
from ap_http.payload import Record, decode, text
from ap_http.position import Position
from ap_http.session import Door, Patience, body
from vicai import contract
from vicai.auth import Grant, Token, grant
from vicai.chains import Answer, Circle
from vicai.changes import ChangeReader, Changes, Key

T = TypeVar("T")

REGIONS = {"us": "https://api.us.vic.ai/v0", "no": "https://api.no.vic.ai/v0"}
"""Where the API is, by region."""

PAGE = 100
"""Records in a page: the most that the service gives."""

_LINKS = 3
"""How many links to one document may be refused before we leave it out."""

_WHERE = "Vic.ai gives it out on request."


class Forbidden(Reject):
    """This company has no right to it: leave it out, say so, and go on."""


class NotFound(Reject):
    """The service does not know the thing: leave it out, say so, and go on."""


class Refused(Reject):
    """The service does not take the call as it is: leave the record out, say why, and go on."""


class _Moved(ApError):
    """The answer is at another address: fetch it there, without the token."""

    def __init__(self, link: str) -> None:
        super().__init__("The answer is at another address.")
        self.link = link


class VicaiClient:
    """Vic.ai API.

    Args:
        client_id: given out by Vic.ai, for one company.
        client_secret: likewise; sent to ``/token``, and to nobody else.
        api_url: base address, one of `REGIONS` unless you use staging or the sandbox.
        timeout: seconds to connect, and between two pieces of an answer.
        user_agent: how the client introduces itself.
        patience: how long passing trouble is borne.
        connections: requests at once.
        limit: kept ahead of the service's own limit, which is 500 requests in 10 seconds for a client id.

    Raises:
        Stop: credentials or address cannot be right.
    """

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        api_url: str,
        *,
        timeout: float = 60,
        user_agent: str = "ap-connectors",
        patience: Patience | None = None,
        connections: int = 8,
        limit: RateLimit | None = None,
    ) -> None:
        client_id = checks.credential("client_id", client_id, _WHERE)
        client_secret = checks.credential("client_secret", client_secret, _WHERE)
        self._url = checks.address("api_url", api_url, REGIONS["us"])
        self._account = {"client_id": client_id, "client_secret": client_secret}
        door = functools.partial(
            Door,
            secrets=[client_secret],
            timeout=timeout,
            patience=patience,
            # One more than work on records at once: the next page is fetched meanwhile.
            connections=connections + 2,
        )
        headers = {"Accept": "application/json", "User-Agent": checks.user_agent(user_agent)}
        self._tokens = door("vicai", explain=self._explain_token, headers=headers, limit=limit)
        token = Token(self._grant, self._keep_secret)
        self._api = door("vicai", explain=self._explain, headers=headers, credentials=token, limit=limit)
        self._storage = door(
            "vicai storage", explain=self._explain_storage, headers={"User-Agent": headers["User-Agent"]}
        )

    # Reading

    def get(self, operation: str, **arguments: str) -> Record:
        """Call an operation that answers with one object.

        Raises:
            Forbidden, NotFound, Refused: the service says no. Outage: it failed for too long.
        """
        return self._fetch(operation, lambda response: decode(body(response), _OBJECT), arguments)

    def whole_list(self, operation: str, **arguments: str) -> list[Record]:
        """Call an operation that answers with a plain list; a lone object counts as a list of one, as some show it."""
        return self._fetch(operation, _records, arguments)

    def pages(self, operation: str, **query: str) -> Iterator[list[Record]]:
        """Yield a list's pages to the end, in the service's order.

        Raises:
            Forbidden, Refused: the service says no. Stop: cursors go round in a circle. Outage: it failed for too long.
        """
        circle = Circle(operation)
        while True:
            answer = self._page(operation, query)
            yield answer.records
            if not answer.cursor:
                return
            circle.follow(answer)
            query["cursor"] = answer.cursor

    def changes(
        self, operation: str, since: Position, *, key: Key, instant_field: str, clock: Clock = UTC, **query: str
    ) -> Iterator[Changes]:
        """Yield what changed after a position, by pages, each change once (see `vicai.changes`).

        Raises:
            Forbidden, Refused: the service says no. Stop: bookmark or cursors are wrong. Outage: it failed too long.
        """

        def fetch(more: Mapping[str, str]) -> Answer:
            return self._page(operation, {**query, **more})

        return iter(ChangeReader(operation, fetch, since, key=key, instant_field=instant_field, clock=clock))

    def document(self, operation: str, read: Callable[[requests.Response], T], **arguments: str) -> T:
        """Fetch a document; `read` takes the streamed answer. Where it lies elsewhere, the token is not sent along.

        Raises:
            NotFound: there is none. Forbidden, Refused: the service says no. Outage: it failed for too long.
        """
        for _ in range(_LINKS):
            try:
                return self._fetch(operation, read, arguments)
            except _Moved as moved:
                try:
                    what = f"document behind {self._what(operation, arguments)}"
                    return self._storage.fetch("GET", moved.link, read, what=what, stream=True, redirects=True)
                except Refused as refused:
                    # A link lives for minutes; the next answer bears a fresh one.
                    last = refused
        raise last

    def company(self) -> Record:
        """Return the health check: ``company``, ``status``, ``version`` (Vic.ai API 0.20.0, Status).

        Raises:
            Stop: the credentials or the address are wrong.
        """
        try:
            return self.get("healthCheck")
        except Reject as error:
            raise Stop(f"{error} Check api_url: it ends in /v0, as in {REGIONS['us']}.") from None

    # The door

    def _page(self, operation: str, query: Mapping[str, str]) -> Answer:
        def read(response: requests.Response) -> Answer:
            return Answer(decode(body(response), _LIST), response.headers.get("x-next") or None)

        return self._fetch(operation, read, {"limit": str(PAGE), **query})

    def _fetch(self, operation: str, read: Callable[[requests.Response], T], arguments: Mapping[str, str]) -> T:
        called = contract.operation(operation)
        query = {name: value for name, value in arguments.items() if f"{{{name}}}" not in called.path}
        return self._api.fetch(
            called.method,
            self._url + _path(called.path, arguments),
            read,
            what=self._what(operation, arguments),
            stream=True,
            params=query,
        )

    @staticmethod
    def _what(operation: str, arguments: Mapping[str, str]) -> str:
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
            return _Moved(urljoin(response.url, link))
        said = self._said(response)
        if status == 401:
            return Retry(f"status 401{said}, although the token is fresh")
        if status == 403:
            return Forbidden(f"vicai: {what}: this company has no right to it: status 403{said}.")
        if status in {404, 410}:
            return NotFound(f"vicai: {what}: not found: status {status}{said}.")
        return Refused(f"vicai: {what}: the service refuses the call: status {status}{said}.")

    def _explain_storage(self, response: requests.Response, what: str) -> ApError:
        status = response.status_code
        if status in {404, 410}:
            return NotFound(f"vicai: {what}: the storage does not have it: status {status}.")
        return Refused(f"vicai: {what}: the storage refuses the link: status {status}.")

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


def document_type(response: requests.Response) -> str:
    """Return a document's media type.

    Raises:
        Retry: what came is a web page, so some proxy's and no document.
    """
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind in {"text/html", "application/xhtml+xml"}:
        raise Retry("an HTML page came where a document was expected", tries=3)
    return kind or "application/octet-stream"


def _path(template: str, arguments: Mapping[str, str]) -> str:
    return template.format_map({name: quote(value, safe="") for name, value in arguments.items()})


def _records(response: requests.Response) -> list[Record]:
    found = decode(body(response), _LIST_OR_ONE)
    return [found] if isinstance(found, dict) else found


_OBJECT = msgspec.json.Decoder(Record)
_LIST = msgspec.json.Decoder(list[Record])
_LIST_OR_ONE: msgspec.json.Decoder[list[Record] | Record] = msgspec.json.Decoder(list[Record] | Record)
