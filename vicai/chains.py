"""Pages one after the other: by cursors, told apart by what cursors say, and fetched ahead."""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from ap_http.errors import Stop
from ap_http.payload import Record

_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ][\d:.]+")
_REPEATS = 10
"""How often in a row an empty page may lead to where we were already."""


@dataclass(frozen=True)
class Answer:
    """A page as the service sends it, and the cursor of the next one unless it is the last."""

    records: list[Record]
    cursor: str | None


Fetch = Callable[[Mapping[str, str]], Answer]


class Circle:
    """Follows cursors, and notices when they go round in a circle.

    An empty page may lead to itself for a while, for a service that has nothing at hand yet says so in that way.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._followed: set[str] = set()
        self._repeats = 0

    def follow(self, cursor: str | None, *, empty: bool) -> None:
        """Take note of a page's cursor, and of whether the page was empty.

        Raises:
            Stop: the cursor was followed before.
        """
        if not cursor:
            return
        if cursor not in self._followed:
            self._repeats = 0
            self._followed.add(cursor)
            return
        self._repeats += 1
        if not empty or self._repeats > _REPEATS:
            raise Stop(
                f"vicai: {self._what} goes round in a circle: the same cursor came twice. What was read before is "
                "safe; tell Vic.ai."
            )


class Chain:
    """A list from one place on, by its cursors.

    Args:
        what: names the list in messages.
        query: where it begins (``since``), without a cursor.
        before: the `trace` of the same chain when it was read before.
    """

    def __init__(self, what: str, query: Mapping[str, str], before: int | None = None) -> None:
        self.query = query
        self.before = before
        self.trace = 0
        """Stands for all that it has shown, in that order."""
        self.reached = 0
        """The newest instant shown so far, in milliseconds since 1970."""
        self.start: int | None = None
        """The newest instant of the first page that holds any records."""
        self.within: int | None = None
        """Set while counting cursors are followed within one instant: that instant."""
        self.brought = False
        """Whether it has shown anything that was not handed out before."""
        self.counts = False
        """Whether the last cursor says no more than how much was shown."""
        self.ended = False
        self.pages = 0
        self._what = what
        self._shown = 0
        self._cursor: str | None = None
        self._circle = Circle(what)

    def again(self) -> Chain:
        """Return the same chain, from its beginning."""
        return Chain(self._what, self.query, self.trace)

    def is_sure(self) -> bool:
        """Whether it has shown the same as before.

        What is seen and then moves to the end or goes, so that others are passed over, is not there the next time.
        """
        return self.trace == self.before

    def ask(self) -> dict[str, str]:
        """Return what to ask for the next page with."""
        return {**self.query, "cursor": self._cursor} if self._cursor else dict(self.query)

    def go_on(self, answer: Answer, newest: int) -> None:
        """Take note of a page and of its newest instant.

        Raises:
            Stop: the cursors go round in a circle.
        """
        self._circle.follow(answer.cursor, empty=not answer.records)
        self.pages += 1
        self._shown += len(answer.records)
        self._cursor, self.ended = answer.cursor, not answer.cursor
        self.counts = bool(answer.cursor) and _counts(answer.cursor or "", self._shown, self.pages)
        if answer.records:
            self.reached = max(self.reached, newest)
            self.start = newest if self.start is None else self.start


def _counts(cursor: str, shown: int, pages: int) -> bool:
    """Whether a cursor may say no more than how much was shown: plainly, in hexadecimal, or in base64, among others.

    To take one for a count that is none costs a second request a page, no more.
    """
    texts = [cursor]
    with contextlib.suppress(binascii.Error, ValueError):
        texts.append(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii"))
    for text in texts:
        numbers = [int(digits) for digits in re.findall(r"\d+", _INSTANT.sub("", text))]
        # Where the whole cursor is one number, it may be that of a page.
        counted = {shown, shown + 1} | ({pages, pages + 1} if len(numbers) == 1 else set())
        if not counted.isdisjoint(numbers):
            return True
    return bool(re.fullmatch(r"(0x)?[0-9a-fA-F]{1,16}", cursor)) and int(cursor, 16) in {shown, shown + 1}


class Ahead:
    """What is asked for next is under way while the page before it is worked on."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="vicai-page")
        self._under_way: dict[Chain, Future[Answer]] = {}

    def __enter__(self) -> Ahead:
        return self

    def __exit__(self, *_: object) -> None:
        # An error, or a reader who has enough, is not to wait for a call that is still being tried.
        self._threads.shutdown(wait=False, cancel_futures=True)

    def request(self, chains: Iterable[Chain]) -> None:
        """Ask for the next page of each chain, all at once."""
        self._under_way = {chain: self._threads.submit(self._fetch, chain.ask()) for chain in chains}

    def take(self) -> dict[Chain, Answer]:
        """Wait for the pages that were asked for."""
        return {chain: page.result() for chain, page in self._under_way.items()}
