"""Reading what changed since a bookmark, page by page (Vic.ai API 0.20.0, Pagination), without losing or doubling.

The service's document leaves four things open: whether ``since`` is inclusive, whether records that share an instant
may stand on both sides of a page border, what a cursor is, and whether ascending order is that of the times. So:

1. `since` is asked one millisecond before the place reached, and what was handed out in the last two milliseconds is
   remembered by key and instant, and left out when it comes again. A record that has changed bears a newer instant, so
   it does come again.
2. A cursor is followed until there is none, empty pages included. But a cursor that merely counts what was shown goes
   wrong when a record that was read changes and moves to the end, or is deleted: everything behind it moves up, one of
   them over the border and out of sight. Where a cursor looks like a count, the list is read on by ``since`` the last
   instant; the cursors are followed to the end beside that, but only to prove that the list is in order. Where more
   records share an instant than a page holds, they are read again until two times agree.
3. Should a page not be in the order of its times, the bookmark goes back to where the run began, and moves only at the
   very end, when everything was read. What changed behind our back meanwhile is newer than all that the first page
   showed; so what is from there on is read again, until that brings nothing more.

The next page is fetched while the one before it is worked on.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from ap_connectors.core.bookmarks import Bookmark, DedupWindow
from ap_connectors.core.errors import Stop
from ap_connectors.core.instants import UTC, Clock
from ap_connectors.core.raw_json import Record, text

# Pages one after the other: by cursors, told apart by what cursors say, and fetched ahead.

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
    for decoded in texts:
        numbers = [int(digits) for digits in re.findall(r"\d+", _INSTANT.sub("", decoded))]
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


log = logging.getLogger("ap_connectors.vicai.changes")

_PASSES = 4
"""How often a list in no order is read from its beginning, if its cursors count, until two times agree."""


@dataclass(frozen=True)
class Changes:
    """Records not handed out before, and the position to keep once they are safe."""

    records: list[Record]
    position: Bookmark


Key = Callable[[Record], str]


class ChangeReader:
    """Iterates over what changed after a position, oldest change first, to the end.

    Args:
        what: names the list in messages.
        fetch: asks for a page; takes ``since`` and ``cursor`` as far as there are any.
        since: where to go on.
        key: tells records apart.
        instant_field: the time that the list is ordered by.
        clock: whose times these are.
    """

    def __init__(
        self, what: str, fetch: Fetch, since: Bookmark, *, key: Key, instant_field: str, clock: Clock = UTC
    ) -> None:
        self._what = what
        self._fetch = fetch
        self._key = key
        self._field = instant_field
        self._since = since
        self._clock = clock
        self._window = DedupWindow(since, clock)

    def __iter__(self) -> Iterator[Changes]:
        """Yield page after page; the last one bears the position that the run has reached."""
        with Ahead(self._fetch) as pages:
            chain = proof = self._first()
            pages.request([chain])
            while True:
                answers = pages.take()
                if not all(self._in_order(one, answer.records) for one, answer in answers.items()):
                    break
                for one, answer in answers.items():
                    one.go_on(answer, self._newest(answer.records))
                read = chain
                fresh, chain = self._read(chain, answers[chain].records) if chain in answers else ([], chain)
                more = [one for one in dict.fromkeys((chain, proof)) if not one.ended]
                pages.request(more)
                if read in answers:
                    yield Changes(fresh, self._window.position())
                if not more:
                    return
            self._complain()
            if chain is proof:
                yield from self._whole(pages, chain, answers[chain])
            else:
                # Reading on by time has left out what stands further back than its time: all anew, by cursors alone.
                chain = self._first()
                pages.request([chain])
                yield from self._whole(pages, chain, pages.take()[chain])

    def _first(self) -> Chain:
        if ask := DedupWindow(self._since, self._clock).ask():
            return Chain(self._what, {"since": ask})
        not_before = self._since.not_before
        return Chain(self._what, {"since": self._clock.text(not_before)} if not_before else {})

    def _read(self, chain: Chain, records: list[Record]) -> tuple[list[Record], Chain]:
        """Return what a page of a sorted list has not shown before, and the chain to go on with."""
        if chain.within is not None:
            inside = [record for record in records if self._moment(record) <= chain.within]
            if chain.ended or len(inside) < len(records):
                fresh = self._fresh(chain, inside)
                if not chain.is_sure():
                    return fresh, chain.again()
                # All of that instant was shown: on to what is newer.
                return self._by_time(chain, fresh + self._fresh(chain, records[len(inside) :]))
        return self._by_time(chain, self._fresh(chain, records))

    def _by_time(self, chain: Chain, fresh: list[Record]) -> tuple[list[Record], Chain]:
        if not chain.counts:
            return fresh, chain
        ask = self._window.ask()
        if ask and ask != chain.query.get("since"):
            return fresh, Chain(self._what, {"since": ask})
        chain.within = self._window.newest
        return fresh, chain

    def _whole(self, pages: Ahead, chain: Chain, answer: Answer) -> Iterator[Changes]:
        """Yield the rest of a list that is in no order, from a page on; the position moves with the last one only."""
        passes, counted = 1, False
        while True:
            chain.go_on(answer, self._newest(answer.records))
            fresh = self._fresh(chain, answer.records)
            counted = counted or chain.counts
            if not counted:
                self._window.forget((chain.start or 0) - 1)
            following: Chain | None = chain
            if chain.ended:
                following = self._once_more(chain, counted and passes < _PASSES)
                passes += 1
            if following:
                pages.request([following])
            yield Changes(fresh, self._since if following else self._window.position())
            if not following:
                return
            chain, answer = following, pages.take()[following]

    def _once_more(self, chain: Chain, all_of_it: bool) -> Chain | None:
        """Return a chain of what may have been missed; None if nothing can have been."""
        if chain.pages == 1 or chain.is_sure() or not (all_of_it or chain.brought):
            return None
        if all_of_it or not chain.start:
            return chain.again()
        return Chain(self._what, {"since": self._clock.text(chain.start - 1)})

    def _fresh(self, chain: Chain, records: list[Record]) -> list[Record]:
        """Return what was not handed out before."""
        fresh = []
        for record in records:
            key, place = self._key(record), self._window.place(record, self._field)
            chain.trace = hash((chain.trace, key, place))
            if self._window.is_new(key, place):
                fresh.append(record)
        chain.brought = chain.brought or bool(fresh)
        return fresh

    def _moment(self, record: Record) -> int:
        return self._window.place(record, self._field)[1]

    def _newest(self, records: list[Record]) -> int:
        return max(map(self._moment, records), default=0)

    def _in_order(self, chain: Chain, records: list[Record]) -> bool:
        """Whether a page is in the order of its times, and none of them is before what was reached."""
        reached = chain.reached
        for record in records:
            at = text(record, self._field)
            moment = self._clock.milliseconds(at) if at and self._clock.knows(at) else reached
            if moment < reached:
                return False
            reached = moment
        return True

    def _complain(self) -> None:
        log.warning(
            "%s does not come in the order of %s. All of it is read, and the bookmark moves only at the end; "
            "a run that is ended before that begins anew.",
            self._what,
            self._field,
        )
