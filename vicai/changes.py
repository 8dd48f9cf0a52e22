"""Reading what changed since a bookmark, page by page (Vic.ai API 0.20.0, Pagination), without losing or doubling.

The service's document leaves four things open: whether ``since`` is inclusive, whether records that share an instant
may stand on both sides of a page border, what a cursor is, and whether ascending order is that of the times. So:

1. `since` is asked one millisecond before the place reached, and what was handed out in the last two milliseconds is
   remembered by key and instant, and left out when it comes again. A record that has changed bears a newer instant, so
   it does come again.
2. A cursor is followed until there is none, empty pages included. But a cursor that merely counts what was shown goes
   wrong when a record that was read changes and moves to the end: everything behind it moves up, one of them over the
   border and out of sight. Where a cursor looks like a count, the page is also asked for by ``since`` the last instant
   read; the cursor's page then only proves that the list is in order.
3. Should a page not be in the order of its times, the bookmark goes back to where the run began, and moves only at the
   very end, when everything was read.

The next page is fetched while the one before it is worked on.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from ap_http.errors import Stop
from ap_http.instants import UTC, Clock
from ap_http.payload import Record, text
from ap_http.position import Position, Window

log = logging.getLogger("vicai.changes")


@dataclass(frozen=True)
class Answer:
    """A page as the service sends it, and the cursor of the next one unless it is the last."""

    records: list[Record]
    cursor: str | None


@dataclass(frozen=True)
class Changes:
    """Records not handed out before, and the position to keep once they are safe."""

    records: list[Record]
    position: Position


Fetch = Callable[[Mapping[str, str]], Answer]
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
        self, what: str, fetch: Fetch, since: Position, *, key: Key, instant_field: str, clock: Clock = UTC
    ) -> None:
        self._what = what
        self._fetch = fetch
        self._key = key
        self._field = instant_field
        self._since = since
        self._clock = clock
        self._window = Window(since, clock)
        self._in_order = True

    def __iter__(self) -> Iterator[Changes]:
        """Yield page after page; the last one bears the position that the run has reached."""
        chain = _Chain(self._first_query())
        with _Ahead(self._fetch) as pages:
            pages.request(chain.queries())
            while True:
                answer, *by_time = pages.take()
                if by_time and self._goes_on(chain, answer):
                    answer = by_time[0]
                    chain.restart()
                self._in_order = self._in_order and self._goes_on(chain, answer)
                fresh = self._fresh(chain, answer.records)
                more = chain.go_on(answer, self._window.ask() if self._in_order else None)
                if more:
                    pages.request(chain.queries())
                position = self._window.position()
                yield Changes(fresh, position if self._in_order or not more else self._since)
                if not more:
                    return

    def _first_query(self) -> dict[str, str]:
        if ask := self._window.ask():
            return {"since": ask}
        return {"since": self._clock.text(self._since.not_before)} if self._since.not_before else {}

    def _fresh(self, chain: _Chain, records: list[Record]) -> list[Record]:
        """Return what was not handed out before."""
        fresh = []
        for record in records:
            place = self._window.place(record, self._field)
            chain.reached = max(chain.reached, place[1])
            if self._window.is_new(self._key(record), place):
                fresh.append(record)
        return fresh

    def _goes_on(self, chain: _Chain, answer: Answer) -> bool:
        """Whether a page is in the order of its times, and none of them is before what was reached."""
        reached = chain.reached
        for record in answer.records:
            at = text(record, self._field)
            moment = self._clock.milliseconds(at) if at and self._clock.knows(at) else reached
            if moment < reached:
                self._complain()
                return False
            reached = moment
        return True

    def _complain(self) -> None:
        if self._in_order:
            log.warning(
                "%s does not come in the order of %s. All of it is read, and the bookmark moves only at the end; "
                "a run that is ended before that begins anew.",
                self._what,
                self._field,
            )


class _Chain:
    """Which page comes next: by cursor, and from the last instant where cursors look like counts."""

    def __init__(self, first: dict[str, str]) -> None:
        self._query = first
        self._cursor: str | None = None
        self._step: str | None = None
        self._followed: set[str] = set()
        self._shown = 0
        self._pages = 0
        self.reached = 0
        """The newest instant shown so far, in milliseconds since 1970."""

    def queries(self) -> list[dict[str, str]]:
        """Return what to ask for: the cursor's page, and perhaps the same by time."""
        by_cursor = self._query | ({"cursor": self._cursor} if self._cursor else {})
        return [by_cursor, self._query | {"since": self._step}] if self._step else [by_cursor]

    def restart(self) -> None:
        """Go on from the page by time."""
        assert self._step is not None  # noqa: S101
        self._query = self._query | {"since": self._step}
        self._followed.clear()
        self._shown = self._pages = self.reached = 0

    def go_on(self, answer: Answer, since: str | None) -> bool:
        """Take note of a page; return whether there is another one. `since`: the last instant, if order is sure.

        Raises:
            Stop: the cursors go round in a circle.
        """
        self._shown += len(answer.records)
        self._pages += 1
        self._cursor, self._step = answer.cursor, None
        if not answer.cursor:
            return False
        if answer.cursor in self._followed:
            raise Stop(f"vicai: the list goes round in a circle: cursor {answer.cursor[:40]} came twice.")
        self._followed.add(answer.cursor)
        if since and since != self._query.get("since") and _counts(answer.cursor, self._shown, self._pages):
            self._step = since
        return True


def _counts(cursor: str, shown: int, pages: int) -> bool:
    """Whether a cursor says no more than how many records or pages were shown, plainly or in base64."""
    texts = [cursor]
    with contextlib.suppress(binascii.Error, ValueError):
        texts.append(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii"))
    numbers = [found for text in texts for found in re.findall(r"\d+", text)]
    return len(numbers) == 1 and int(numbers[0]) in {shown, shown + 1, pages, pages + 1}


class _Ahead:
    """What is asked for next is under way while the page before it is worked on."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="vicai-page")
        self._under_way: list[Future[Answer]] = []

    def __enter__(self) -> _Ahead:
        return self

    def __exit__(self, *_: object) -> None:
        # An error, or a reader who has enough, is not to wait for a call that is still being tried.
        self._threads.shutdown(wait=False, cancel_futures=True)

    def request(self, queries: list[dict[str, str]]) -> None:
        """Ask for pages, all at once."""
        self._under_way = [self._threads.submit(self._fetch, query) for query in queries]

    def take(self) -> list[Answer]:
        """Wait for the pages that were asked for."""
        return [page.result() for page in self._under_way]
