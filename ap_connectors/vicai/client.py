"""The client of the Vic.ai API: calls by their names in the contract: lists, changes, documents, writes, uploads."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from decimal import Decimal
from typing import Any, TypeVar

import msgspec
import requests

from ap_connectors.core.bookmarks import Bookmark, Page
from ap_connectors.core.errors import Reject, Retry, Stop
from ap_connectors.core.instants import UTC, Clock
from ap_connectors.core.raw_json import JsonObject, Record, decode, text
from ap_connectors.http.bodies import PLAIN
from ap_connectors.http.bodies import body as whole
from ap_connectors.http.rate_limit import RateLimit
from ap_connectors.http.session import RetryPolicy
from ap_connectors.vicai import contract
from ap_connectors.vicai.changes import ChangeReader
from ap_connectors.vicai.cursors import Answer, Key
from ap_connectors.vicai.lists import LIST, PAGE, RAW_LIST, Lists
from ap_connectors.vicai.multipart import Form, Part
from ap_connectors.vicai.transport import REGIONS, Forbidden, NotFound, Redirected, Refused, Transport

__all__ = ["PAGE", "REGIONS", "Forbidden", "NotFound", "Part", "Refused", "VicaiClient", "document_type"]

T = TypeVar("T")

_LINKS = 3
"""How many links to one document may be refused before it is left out."""


class VicaiClient:
    """Vic.ai API.

    Args:
        client_id: given out by Vic.ai, for one company.
        client_secret: likewise; sent to ``/token`` only.
        api_url: base address, one of `REGIONS` unless you use staging or the sandbox.
        timeout: seconds to connect, and between two pieces of an answer.
        user_agent: the header of that name.
        retry_policy: how often and how long transient errors are retried.
        connections: requests at once.
        limit: our own rate limit; the service's is 500 requests in 10 seconds per client id.
        request_id: sent as ``X-Request-Id`` with every call that writes: the UUID of the sync that Vic.ai asked for.
        allow_http: also send the credentials, and follow links, over http to another machine.

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
        retry_policy: RetryPolicy | None = None,
        connections: int = 8,
        limit: RateLimit | None = None,
        request_id: str | None = None,
        allow_http: bool = False,
    ) -> None:
        self._transport = Transport(
            client_id,
            client_secret,
            api_url,
            timeout=timeout,
            user_agent=user_agent,
            retry_policy=retry_policy,
            connections=connections,
            limit=limit,
            request_id=request_id,
            allow_http=allow_http,
        )
        self._lists = Lists(self._transport)
        self._version: str | None = None

    def mask(self, text: str) -> str:
        """Return a text of any length without client_secret and tokens."""
        return self._transport.mask(text)

    # Reading

    def get(self, operation: str, **arguments: str) -> Record:
        """Return the object that an operation answers with.

        Raises:
            Forbidden, NotFound, Refused: the service refuses. Outage: it failed for too long.
        """
        return self._transport.call(operation, lambda response: decode(whole(response), _OBJECT), arguments)

    def found(self, operation: str, **arguments: str) -> JsonObject | None:
        """Return one object by its id, or None if the service does not have it (404, 410).

        Raises:
            Forbidden, Refused: the service refuses. Outage: it failed for too long.
        """
        try:
            return self._transport.call(operation, lambda response: decode(whole(response), _EXACT_OBJECT), arguments)
        except NotFound:
            return None

    def pages(self, operation: str, **query: str) -> Iterator[list[Record]]:
        """Yield a list's pages to the end, in the service's order; one page where the service lists without pages.

        Where the service does not take its own cursor any more, the list is read anew, and only what was not yielded
        before, or has changed, is yielded.

        Raises:
            Forbidden, Refused: the service refuses. Stop: cursors repeat. Outage: it failed for too long.
        """
        return self._lists.pages(operation, LIST, query)

    def raw_pages(self, operation: str, **query: str) -> Iterator[list[msgspec.Raw]]:
        """As `pages`, each record as raw bytes. A record that is kept keeps its whole page in memory: copy it."""
        return self._lists.pages(operation, RAW_LIST, query)

    def whole_list(self, operation: str, **query: str) -> list[Record]:
        """Return the records of all pages."""
        return [record for page in self.pages(operation, **query) for record in page]

    def changes(
        self, operation: str, since: Bookmark, *, key: Key, instant_field: str, clock: Clock = UTC, **query: str
    ) -> Iterator[Page]:
        """Yield what changed after a bookmark, by pages, each change once (see `vicai.changes`).

        Raises:
            Forbidden, Refused: the service refuses. Stop: bookmark or cursors are wrong. Outage: it failed too long.
        """

        def fetch(more: Mapping[str, str]) -> Answer:
            return Answer(*self._lists.following(operation, LIST, {**query, **more}))

        now = self._transport.now
        reader = ChangeReader(
            operation, fetch, since, key=key, instant_field=instant_field, clock=clock, service_now=now
        )
        return iter(reader)

    def pages_v2(self, operation: str, **query: str) -> Iterator[list[Record]]:
        """Yield the pages of a list of v2 to the end.

        Raises: as `pages`.
        """
        return self._lists.pages_v2(operation, query)

    def changes_v2(
        self, operation: str, since: Bookmark, *, key: Key, instant_field: str, **query: str
    ) -> Iterator[Page]:
        """As `changes`, of a list of v2, which has other names for the same."""

        def fetch(more: Mapping[str, str]) -> Answer:
            return Answer(*self._lists.following_v2(operation, query, more))

        now = self._transport.now
        return iter(ChangeReader(operation, fetch, since, key=key, instant_field=instant_field, service_now=now))

    def document(self, operation: str, read: Callable[[requests.Response], T], **arguments: str) -> T:
        """Fetch a document; `read` gets the streamed answer. A link to another address is followed without the token.

        Raises:
            NotFound: it does not exist. Forbidden, Refused: the service refuses. Outage: it failed for too long.
        """
        for _ in range(_LINKS):
            try:
                return self._transport.call(operation, read, arguments, headers=PLAIN)
            except Redirected as redirected:
                try:
                    what = f"document behind {self._transport.what(operation, arguments)}"
                    return self._transport.follow(redirected, read, what)
                except Refused as refused:
                    # A link lives for minutes; the next answer has a fresh one.
                    last = refused
        raise last

    def is_own(self, url: str) -> bool:
        """Return whether an address is one of the API's own, to which the token may be sent."""
        return self._transport.is_own(url)

    def linked(self, link: str, read: Callable[[requests.Response], T], what: str) -> T:
        """Fetch a document by the link that a record has; `what` names it in messages. See `Transport.linked`.

        Raises:
            NotFound: it does not exist. Forbidden, Refused: it is refused. Outage: it failed for too long.
        """
        try:
            return self._transport.linked(link, read, what)
        except Redirected as redirected:
            return self._transport.follow(redirected, read, what)

    def exists(self, operation: str, **arguments: str) -> bool:
        """Return whether the service has a document, or a link to one, without reading it.

        Raises:
            Forbidden, Refused: the service refuses. Outage: it failed for too long.
        """
        try:
            self._transport.call(operation, document_type, arguments)
        except NotFound:
            return False
        except Redirected:
            return True
        return True

    def company(self) -> Record:
        """Return the health check: ``company``, ``status``, ``version`` (Vic.ai API 0.20.0, Status).

        Raises:
            Stop: the credentials or the address are wrong.
        """
        try:
            health = self.get("healthCheck")
        except Reject as error:
            raise Stop(f"{error} Check api_url: it ends in /v0, as in {REGIONS['us']}.") from None
        self._version = text(health, "version") or ""
        return health

    @property
    def is_live(self) -> bool:
        """Whether the service calls itself 1.0 or later: some words are spelled otherwise there.

        Raises:
            Stop: see `company`.
        """
        if self._version is None:
            self.company()
        major = (self._version or "").strip().partition(".")[0]
        return major.isdecimal() and int(major) > 0

    @property
    def age(self) -> contract.Age:
        """Which age of the contract the service follows.

        Raises:
            Stop: see `company`.
        """
        return contract.LIVE if self.is_live else contract.FIRST

    # Writing

    def send(
        self,
        operation: str,
        body: Any = None,
        *,
        find_done: Callable[[], JsonObject | None] | None = None,
        **arguments: str,
    ) -> JsonObject:
        """Call an operation that writes.

        Args:
            operation: its name ("upsertVendor").
            body: sent as JSON, `Decimal`s as numbers with all their digits; None for an operation that takes none.
            find_done: looks whether a call whose answer was lost was done after all; None if not. Without it the call
                is repeated blindly, so it must be idempotent.
            **arguments: path and query parameters.

        Returns:
            What the service answers or `find_done` finds; ``{}`` where an answer is not an object.

        Raises:
            Forbidden, NotFound, Refused: the service refuses. Outage: it failed for too long. What `find_done` raises.
        """
        encoded = None if body is None else _ENCODER.encode(body)
        return self._transport.call(operation, _answered, arguments, json=encoded, find_done=find_done)

    def upload(
        self,
        operation: str,
        parts: Callable[[], Sequence[Part]],
        *,
        find_done: Callable[[], JsonObject | None] | None = None,
        **arguments: str,
    ) -> JsonObject:
        """Call an operation that takes a form with files, streamed from disk.

        Args:
            operation: its name ("uploadDocumentInvoice").
            parts: opens the form's parts, anew for every try; they are closed here.
            find_done: as in `send`.
            **arguments: path and query parameters.

        Returns:
            As `send`.

        Raises:
            Reject: a file changed while it was being sent. Else as `send`.
        """
        with ExitStack() as opened:

            def form() -> Form:
                opened.close()
                made = parts()
                for part in made:
                    if not isinstance(part.content, bytes):
                        opened.enter_context(part.content)
                return Form(made)

            return self._transport.call(operation, _answered, arguments, form=form, find_done=find_done)


RIGHT_STATE = (
    "Hand in the right state, or none to begin anew; if the company was merely renamed, change "
    "bookmarks.company.tenant in the state."
)
"""What to do with the state of another company, for a person who hands it in; a fleet has other words."""


def require_company(own: str, known: Collection[str], *, what: str, remedy: str) -> None:
    """Stop if something belongs to another company than the credentials; it may not say whose it is.

    Args:
        own: the company of the credentials, as the health check names it.
        known: the company that `what` belongs to, if it says so; of several, one must be ours.
        what: what is checked, for the message: "The state".
        remedy: what to do.

    Raises:
        Stop: it belongs to another company.
    """
    if own and known and own not in known:
        other = next(iter(known))
        raise Stop(f'{what} belongs to another company: it is of "{other}", the credentials are of "{own}". {remedy}')


def document_type(response: requests.Response) -> str:
    """Return a document's media type.

    Raises:
        Retry: the answer is a web page, so it comes from a proxy.
    """
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind in {"text/html", "application/xhtml+xml"}:
        raise Retry("an HTML page came where a document was expected", tries=3)
    return kind or "application/octet-stream"


def _answered(response: requests.Response) -> JsonObject:
    content = whole(response)
    found = decode(content, _EXACT) if content.strip() else {}
    return found if isinstance(found, dict) else {}


_ENCODER = msgspec.json.Encoder(decimal_format="number")
_EXACT: msgspec.json.Decoder[Any] = msgspec.json.Decoder(float_hook=Decimal)
_EXACT_OBJECT = msgspec.json.Decoder(JsonObject, float_hook=Decimal)
_OBJECT = msgspec.json.Decoder(Record)
