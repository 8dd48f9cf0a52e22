"""Lists, page by page, whatever the contract says of pages: where an answer has a cursor, there is more."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b
from typing import Any, TypeVar

import msgspec
import requests

from ap_connectors.core.raw_json import Record, decode
from ap_connectors.http.bodies import body as whole
from ap_connectors.vicai import contract
from ap_connectors.vicai.cursors import CursorLoopGuard, UnusableCursor
from ap_connectors.vicai.transport import Refused, Transport

T = TypeVar("T")

PAGE = 100
"""Records in a page: the most that the service gives."""
_UNUSABLE = frozenset({400, 422})
"""By which statuses a cursor is refused: the live service says 422."""
_RESTARTS = 3
"""How often a list is read anew because its cursors are refused."""
_PAGING_V2 = {"cursor": "page[cursor]", "limit": "page[size]"}
_PLAIN_V2 = {"cursor": "cursor", "limit": "size"}
"""How v2 is asked for pages: plainly where the facts of a page do not lie in `page`, or the first way is not known."""


class Lists:
    """Reads lists. For the errors see `vicai.client.VicaiClient.pages`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._paging_v2 = _PAGING_V2
        self._is_plain_v2 = False

    def pages(
        self, operation: str, decoder: msgspec.json.Decoder[list[T]], query: Mapping[str, str]
    ) -> Iterator[list[T]]:
        """Yield the pages of a list."""
        return _pages(operation, lambda more: self.following(operation, decoder, {**query, **more}))

    def following(
        self, operation: str, decoder: msgspec.json.Decoder[list[T]], query: Mapping[str, str]
    ) -> tuple[list[T], str | None]:
        """Fetch a page; return its records, and the cursor of the next one.

        Raises:
            UnusableCursor: the service does not take the query's cursor.
        """
        try:
            return self._page(operation, decoder, query)
        except Refused as refused:
            if "cursor" in query and refused.status in _UNUSABLE:
                raise UnusableCursor(refused) from None
            raise

    def _page(
        self, operation: str, decoder: msgspec.json.Decoder[list[T]], query: Mapping[str, str]
    ) -> tuple[list[T], str | None]:
        takes_limit = contract.operation(operation).takes_limit

        def read(response: requests.Response) -> tuple[list[T], str | None]:
            content = whole(response).removeprefix(codecs.BOM_UTF8)
            # Instead of a list of one, some answer with the object alone.
            is_alone = not takes_limit and content.lstrip().startswith(b"{")
            found = decode(b"[%b]" % content if is_alone else content, decoder)
            # Whatever the contract says of pages: where there is a cursor, there is more.
            return found, response.headers.get("x-next") or None

        return self._transport.call(operation, read, {"limit": str(PAGE), **query} if takes_limit else query)

    # v2: lists lie in `data`, with facts about the page beside

    def pages_v2(self, operation: str, query: Mapping[str, str]) -> Iterator[list[Record]]:
        """Yield the pages of a list of v2."""
        return _pages(operation, lambda more: self.following_v2(operation, query, more))

    def following_v2(
        self, operation: str, query: Mapping[str, str], more: Mapping[str, str]
    ) -> tuple[list[Record], str | None]:
        """Fetch a page of v2, as `following`; `more` has the names that v0 has.

        Raises:
            UnusableCursor: the service does not take the cursor.
        """
        names = {"since": "updated_after", **self._paging_v2}
        try:
            found, cursor = self._page_v2(operation, {**query, **{names[name]: value for name, value in more.items()}})
        except Refused as refused:
            if "cursor" in more and refused.status in _UNUSABLE:
                raise UnusableCursor(refused) from None
            raise
        if cursor and cursor == more.get("cursor") and not self._is_plain_v2:
            # The same page came again: its cursor was not understood.
            self._is_plain_v2, self._paging_v2 = True, _PLAIN_V2
            return self.following_v2(operation, query, more)
        return found, cursor

    def _page_v2(self, operation: str, query: Mapping[str, str]) -> tuple[list[Record], str | None]:
        """Fetch a page of v2, and note how the next one is asked for: as the page's own facts name it."""

        def read(response: requests.Response) -> tuple[list[Record], str | None]:
            answer = decode(whole(response), _V2)
            page = answer.meta.get("page")
            cursor = (page if isinstance(page, dict) else answer.meta).get("cursor")
            if cursor:
                self._paging_v2 = _PAGING_V2 if isinstance(page, dict) and not self._is_plain_v2 else _PLAIN_V2
            return answer.data, str(cursor) if cursor else None

        return self._transport.call(operation, read, query)


class _PageV2(msgspec.Struct):
    """A page of v2: the records, and facts about the page."""

    data: list[Record]
    meta: dict[str, Any] = {}


def _pages(what: str, fetch: Callable[[Mapping[str, str]], tuple[list[T], str | None]]) -> Iterator[list[T]]:
    """Yield the pages of a list that `fetch` fetches; it takes a cursor, if there is one."""
    guard, following, restarts = CursorLoopGuard(what), dict[str, str](), 0
    given = set[bytes]()
    while True:
        try:
            records, cursor = fetch(following)
        except UnusableCursor as unusable:
            restarts += 1
            if restarts > _RESTARTS:
                raise unusable.refusal from None
            guard, following = CursorLoopGuard(what), {}
            continue
        # After a restart comes again what was handed out before.
        fresh = [one for one in records if _digest(one) not in given] if restarts else records
        yield fresh
        if not cursor:
            return
        guard.follow(cursor, empty=not records)
        given.update(map(_digest, fresh))
        following = {"cursor": cursor}


def _digest(record: object) -> bytes:
    content = record if isinstance(record, msgspec.Raw) else msgspec.json.encode(record)
    return blake2b(bytes(content), digest_size=16).digest()


LIST = msgspec.json.Decoder(list[Record])
RAW_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_V2 = msgspec.json.Decoder(_PageV2)
