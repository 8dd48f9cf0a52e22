"""Reads a queue to its end without losing or doubling a document, whatever ``from`` means.

The service's documentation (Įvesk REST API, Synchronize results) leaves open whether ``from`` is inclusive or
exclusive, whether a page border may fall between documents that share an instant, and what ``next`` is when a page
contains nothing new. Three rules make the reader right in every case:

1. Ask from one millisecond before the place reached. An exclusive ``from`` then returns the place's own instant
   again, so documents behind a border that cut the instant are found.
2. Remember the documents of the last two milliseconds, and leave them out when they come again. A document that is
   exported again has a newer instant, so it does come again.
3. Never ask twice from the same place, except a few times when an empty page points back at itself. When a page
   makes no progress, step on by a millisecond. So reading ends.

Pages are fetched while the ones before them are worked on. Where pages end for another reason than their length (the
exported queue shows one company per page), looking back rarely finds anything; then the page behind is fetched at the
same time, and is used only if nothing was found.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import msgspec

from ap_connectors.core import instants
from ap_connectors.core.bookmarks import Bookmark, DedupWindow, Page, key_of
from ap_connectors.core.raw_json import Record, text
from ap_connectors.http.concurrency import Prefetcher

log = logging.getLogger("ap_connectors.ivesk.queue")

_SAME_EMPTY_PAGE = 3
_LONG_PAGE = 50


class Answer(msgspec.Struct):
    """A page as the service sends it: documents in ascending order, and ``next`` unless it is the last page."""

    documents: list[Record] | None
    next: str | None = None


class QueueReader:
    """Iterates over the pages of one queue from a bookmark to the end, fetching one page ahead.

    Args:
        fetch: asks the service for the page at a ``from``.
        instant_field: ``exportedat`` or ``digitizedat``.
        since: where to go on.
        service_now: see `DedupWindow`.
    """

    def __init__(
        self,
        fetch: Callable[[str], Answer],
        instant_field: str,
        since: Bookmark,
        service_now: Callable[[], int | None] = lambda: None,
    ) -> None:
        self._fetch = fetch
        self._field = instant_field
        self._window = DedupWindow(since, service_now=service_now)
        self._inclusive = False
        self._looked_back_in_vain = False
        self._longest_page = 0
        self._same_empty_page = 0

    def __iter__(self) -> Iterator[Page]:
        with Prefetcher[int, Answer](lambda moment: self._fetch(instants.text(moment))) as pages:
            ask, looking_back = max(0, self._window.reached - 1), False
            pages.request(ask)
            while True:
                answer = pages.take(ask)
                documents = answer.documents or []
                places = [self._window.place(document, self._field) for document in documents]
                pairs = zip(documents, places, strict=True)
                fresh = [document for document, place in pairs if self._window.is_new(key_of(document, "id"), place)]
                # Documents at the very instant that was asked for: `from` is inclusive, no need to look back.
                own = text(documents[0], self._field) if documents else None
                self._inclusive |= own == instants.text(ask)
                if looking_back:
                    self._looked_back_in_vain = not fresh
                steps, looking_back = self._steps(ask, answer, [moment for _, moment in places])
                # Looking back is rarely of use, but always needed; the page behind need not wait for it.
                pages.request(*steps[: 2 if looking_back and self._looked_back_in_vain else 1])
                yield Page(fresh, self._window.bookmark())
                if not steps:
                    return
                ask = steps[0]

    def _steps(self, asked: int, answer: Answer, moments: list[int]) -> tuple[list[int], bool]:
        """Return where to ask next (milliseconds), the likeliest first, and whether that looks back behind the page.

        Nowhere at the end of the queue.
        """
        if not answer.next:
            return [], False
        edge = instants.setting("ivesk: next", answer.next)
        if not moments and edge <= asked:
            self._same_empty_page += 1
            if self._same_empty_page < _SAME_EMPTY_PAGE:
                return [asked], False
            log.warning("%d empty pages in a row point back at themselves; taken for the end", _SAME_EMPTY_PAGE)
            return [], False
        self._same_empty_page = 0
        if moments:
            edge = max(edge, *moments) if edge <= asked else edge
            self._watch_long_instants(asked, moments)
        ladder = (edge, edge + 1) if self._inclusive else (edge - 1, edge, edge + 1)
        steps = [step for step in ladder if step > asked]
        return steps, steps[:1] == [edge - 1]

    def _watch_long_instants(self, asked: int, moments: list[int]) -> None:
        """Warn when more documents may share an instant than the service is willing to show.

        A page that begins with an instant, contains nothing else and is just as long as pages usually are (or is the
        first one) may have been cut, and no ``from`` reaches what was cut off. A longer one was lengthened on purpose.
        """
        first, last = moments[0], max(moments)
        if first < last:
            self._longest_page = max(self._longest_page, len(moments))
        elif asked >= last - 1 and len(moments) >= _LONG_PAGE and self._longest_page in {0, len(moments)}:
            log.warning(
                "%d documents share the instant %s and fill a page; if the service holds more of that instant, "
                "it offers no way to read them. Compare the count with the service's own list.",
                len(moments),
                instants.text(last),
            )
