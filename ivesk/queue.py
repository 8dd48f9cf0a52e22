"""Reading a queue to its end without losing, doubling or circling, whatever ``from`` means.

The service's page (Įvesk REST API, Synchronize results) leaves three things open: whether ``from`` is inclusive or
exclusive, whether a page border may fall between documents that share an instant, and what ``next`` is when a page
brings nothing new. This module is right either way, by three rules:

1. Ask from one millisecond before the place reached. An exclusive ``from`` then returns the place's own instant
   again, so documents behind a border that cut the instant are found.
2. Remember which documents of the last two milliseconds were handed out, and leave them out when they come again.
   A document that is exported again has a newer instant, so it is another one here, and does come again.
3. Never ask twice from the same place, except a few times when an empty page points back at itself. When a page
   brings no progress, step on by a millisecond. So reading ends.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import msgspec

from ap_http.payload import Record
from ivesk import instants
from ivesk.position import Position, Window

log = logging.getLogger("ivesk.queue")

_SAME_EMPTY_PAGE = 3
_LONG_PAGE = 50


class Answer(msgspec.Struct):
    """A page as the service sends it: documents in ascending order, and ``next`` unless it is the last page."""

    documents: list[Record]
    next: str | None = None


@dataclass(frozen=True)
class Page:
    """Documents not handed out before, and the position to keep once they are safe."""

    documents: list[Record]
    position: Position


class QueueReader:
    """Iterates over the pages of one queue from a position to the end, fetching one page ahead.

    Args:
        fetch: asks the service for the page at a ``from``.
        instant_field: ``exportedat`` or ``digitizedat``.
        since: where to go on.
    """

    def __init__(self, fetch: Callable[[str], Answer], instant_field: str, since: Position) -> None:
        self._fetch = fetch
        self._field = instant_field
        self._window = Window(since)
        self._longest_page = 0
        self._same_empty_page = 0

    def __iter__(self) -> Iterator[Page]:
        ahead = ThreadPoolExecutor(1, thread_name_prefix="ivesk-page")
        try:
            ask = max(0, self._window.newest - 1)
            pending = self._submit(ahead, ask)
            while True:
                answer = pending.result()
                last = max((self._window.place(d, self._field)[1] for d in answer.documents), default=None)
                fresh = [d for d in answer.documents if self._window.is_new(d, "id", self._field)]
                following = self._following(ask, answer, last)
                if following is not None:
                    ask, pending = following, self._submit(ahead, following)
                yield Page(fresh, self._window.position())
                if following is None:
                    return
        finally:
            ahead.shutdown(wait=False, cancel_futures=True)

    def _submit(self, ahead: ThreadPoolExecutor, ask: int) -> Future[Answer]:
        return ahead.submit(self._fetch, instants.text(ask))

    def _following(self, asked: int, answer: Answer, last: int | None) -> int | None:
        """Return where to ask next (milliseconds), or None at the end of the queue."""
        if answer.next is None:
            return None
        edge = instants.setting("ivesk: next", answer.next)
        if last is None and edge <= asked:
            self._same_empty_page += 1
            if self._same_empty_page < _SAME_EMPTY_PAGE:
                return asked
            log.warning("%d empty pages in a row point back at themselves; taken for the end", _SAME_EMPTY_PAGE)
            return None
        self._same_empty_page = 0
        if last is not None:
            edge = max(edge, last) if edge <= asked else edge
            self._watch_long_instants(asked, answer.documents, last)
        return next((step for step in (edge - 1, edge, edge + 1) if step > asked), None)

    def _watch_long_instants(self, asked: int, documents: list[Record], last: int) -> None:
        """Warn when more documents may share an instant than the service is willing to show.

        A page that begins with an instant, holds nothing else and is just as long as pages usually are was perhaps
        cut, and no ``from`` reaches what was cut off. A longer one was lengthened to hold the whole instant.
        """
        if self._window.place(documents[0], self._field)[1] < last:
            self._longest_page = max(self._longest_page, len(documents))
        elif asked >= last - 1 and _LONG_PAGE <= len(documents) == self._longest_page:
            log.warning(
                "%d documents share the instant %s and fill a page; if the service holds more of that instant, "
                "it offers no way to read them. Compare the count with the service's own list.",
                len(documents),
                instants.text(last),
            )
