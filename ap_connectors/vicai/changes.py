"""Reads what changed since a bookmark, page by page, without losing or doubling a record.

The service's documentation (Vic.ai API 0.20.0, Pagination) leaves open whether ``since`` is inclusive, whether records
that share an instant may stand on both sides of a page border, what a cursor is, and whether ascending order is that
of the times. So:

1. Look back. `since` is asked one millisecond before the instant reached, and the records of the last two milliseconds
   are remembered by key and instant, and left out when they come again. A record that has changed has a newer instant,
   so it does come again.
2. Test the cursors. A cursor that marks a place in the list can be followed whatever happens. One that counts records
   cannot: when a record that was read changes and so moves to the end, or is deleted, everything behind it moves up,
   and one record crosses the border unseen. A cursor is opaque, so the reader compares instead of guessing: it asks
   for the end of the second page again, by time and in a page of just that length. If both pages end with the same
   cursor, the cursor depends on the place alone: how the reader got there, after how many pages and records, is
   different. Then cursors are followed. Otherwise the list is read on by `since` the last instant, and the cursors
   are followed to the end beside that only to prove that the list is in order. Where more records share an instant
   than fit on a page, they are read again until two passes agree.
3. Check the order. If a page is not in the order of its times, the bookmark returns to where the run began, and moves
   only at the very end, when everything was read. What changed meanwhile is newer than everything on the first page;
   so what is from there on is read again until that brings nothing more. Where cursors may count, all of it is read
   again until two passes agree.

A cursor that the service does not take any more (422) does not end the reading: what follows is asked for by time, and
the proof that the list is in order begins anew.

Reading by time alone, as for the queues of Įvesk (`ivesk.queue`), is not enough here: Įvesk's pages are in order and
its `next` is a time. In a list that is not in order, `since` would pass over older records that stand behind newer
ones; and an instant that is longer than a page can be read by cursors only.

The next page is fetched while the one before it is worked on.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping

from ap_connectors.core.bookmarks import Bookmark, DedupWindow, Page
from ap_connectors.core.errors import Reject
from ap_connectors.core.instants import UTC, Clock
from ap_connectors.core.raw_json import Record, text
from ap_connectors.http.concurrency import Prefetcher
from ap_connectors.vicai.cursors import Answer, CursorSequence, CursorTest, Item, Key, UnusableCursor

log = logging.getLogger("ap_connectors.vicai.changes")

_RESTARTS = 3
"""How often in a row a list is asked for anew, without anything new, because its cursors are refused."""
_PASSES = 4
"""How often a list in no order is read from its beginning, if its cursors may count, until two passes agree."""
_TESTED_PAGES = 4
"""On how many of the first pages of a list in no order the cursors are tested: not every page offers a way."""


Fetch = Callable[[Mapping[str, str]], Answer]


class ChangeReader:
    """Iterates over what changed after a bookmark, oldest change first, to the end.

    Args:
        what: names the list in messages.
        fetch: asks for a page; takes ``since``, ``cursor`` and ``limit`` as far as there are any.
        since: where to go on.
        key: tells records apart.
        instant_field: the time that the list is ordered by.
        clock: whose times these are.
        service_now: see `DedupWindow`.
    """

    def __init__(
        self,
        what: str,
        fetch: Fetch,
        since: Bookmark,
        *,
        key: Key,
        instant_field: str,
        clock: Clock = UTC,
        service_now: Callable[[], int | None] = lambda: None,
    ) -> None:
        self._what = what
        self._key = key
        self._field = instant_field
        self._since = since
        self._clock = clock
        self._window = DedupWindow(since, clock, service_now=service_now)
        self._pages = Prefetcher[CursorSequence | CursorTest, Answer](lambda asking: fetch(asking.query()))
        self._cursors_are_places = False
        self._restarts = 0

    def __iter__(self) -> Iterator[Page]:
        """Yield page after page; the last one has the bookmark that the run has reached."""
        with self._pages:
            # What is handed out, and what proves the order: one and the same unless cursors may count.
            reading = proof = self._first()
            self._pages.request(reading)
            while True:
                try:
                    answers = {one: self._pages.take(one) for one in _open(reading, proof)}
                except UnusableCursor as unusable:
                    self._restart(unusable)
                    reading, proof = self._by_time() if self._window.instant else self._first(), self._first()
                    self._pages.request(reading, proof)
                    continue
                if not all(self._in_order(one, answer.records) for one, answer in answers.items()):
                    break
                items = {one: self._items(answer) for one, answer in answers.items()}
                for one, answer in answers.items():
                    one.advance(items[one], answer.cursor)
                fresh: list[Record] | None = None
                if reading in items:
                    fresh, reading = self._read(reading, items[reading], is_proof=reading is proof)
                self._pages.request(*_open(reading, proof))
                if fresh is not None:
                    self._restarts = 0 if fresh else self._restarts
                    yield Page(fresh, self._window.bookmark())
                if reading.ended and proof.ended:
                    return
            self._warn_of_disorder()
            if reading is not proof:
                # Reading on by time has left out what stands further back than its time: all anew, by cursors alone.
                reading = self._first()
                self._pages.request(reading)
                answers = {reading: self._pages.take(reading)}
            yield from self._read_all(reading, answers[reading])

    def _first(self) -> CursorSequence:
        not_before = self._since.not_before
        start = self._clock.text(not_before) if not_before else None
        return CursorSequence(self._what, DedupWindow(self._since, self._clock).ask() or start)

    def _read(
        self, reading: CursorSequence, items: list[Item], *, is_proof: bool
    ) -> tuple[list[Record], CursorSequence]:
        """Return what a page of a list in order adds, and the sequence to read on."""
        if is_proof and not self._cursors_are_places:
            self._test_cursor(reading, items, len(items))
        if self._cursors_are_places or not (items or reading.ended):
            return self._fresh(reading, items), reading
        if reading.within is not None:
            return self._read_within(reading, items, reading.within)
        if is_proof and reading.filled > bool(items):
            # A cursor that may count has led here: first what it may have passed over.
            return [], self._by_time()
        fresh = self._fresh(reading, items)
        if not reading.ended:
            if reading.oldest >= self._window.reached - 1 or self._window.ask() in {None, reading.since}:
                # By time the same would come again.
                reading.within = self._window.reached
            elif not is_proof:
                return fresh, self._by_time()
        return fresh, reading

    def _read_within(
        self, reading: CursorSequence, items: list[Item], instant: int
    ) -> tuple[list[Record], CursorSequence]:
        """Do the same while cursors are followed within an instant, again and again until two passes agree."""
        inside = [item for item in items if item.moment <= instant]
        behind = items[len(inside) :]
        fresh = self._fresh(reading, inside)
        if not behind and not reading.ended:
            return fresh, reading
        # The first record behind the instant counts, too: where the instant ends with a page, it may be passed over.
        reading.note(behind[:1])
        if not reading.agrees():
            return fresh, reading.again()
        fresh += self._fresh(reading, behind)
        return fresh, reading if reading.ended else self._by_time()

    def _restart(self, unusable: UnusableCursor) -> None:
        """Count a restart.

        Raises:
            Reject: there were too many in a row.
        """
        self._restarts += 1
        if self._restarts > _RESTARTS:
            raise unusable.refusal
        log.info("%s: the service does not take its own cursor any more; the list is asked for anew.", self._what)

    def _by_time(self) -> CursorSequence:
        return CursorSequence(self._what, self._window.ask())

    def _test_cursor(self, reading: CursorSequence, items: list[Item], most: int) -> None:
        """Find out whether cursors are places; see `CursorTest.of`.

        Not on the first page: the test's own page is a first one, too, and a cursor may count pages.
        """
        if reading.filled < 2 or not items or not reading.cursor:
            return
        if test := CursorTest.of(items, most, reading.cursor, self._clock):
            self._pages.request(test, reading)
            with contextlib.suppress(Reject, UnusableCursor):
                self._cursors_are_places = test.is_passed(self._pages.take(test), self._key)

    def _read_all(self, reading: CursorSequence, answer: Answer) -> Iterator[Page]:
        """Yield the rest of a list in no order, from a page on; the bookmark moves with the last one only."""
        passes, shown = 1, list[Item]()
        while True:
            items = self._items(answer)
            reading.advance(items, answer.cursor)
            fresh = self._fresh(reading, items)
            if passes == 1 and reading.filled <= _TESTED_PAGES and not self._cursors_are_places:
                shown += items
                self._test_cursor(reading, shown, len(items))
            if self._cursors_are_places:
                self._window.forget(reading.newest_of_first - 1)
            following: CursorSequence | None = reading
            if reading.ended:
                following = self._once_more(reading, passes)
                passes += 1
            if following:
                self._pages.request(following)
            yield Page(fresh, self._since if following else self._window.bookmark())
            if not following:
                return
            try:
                reading, answer = following, self._pages.take(following)
            except UnusableCursor as unusable:
                self._restart(unusable)
                reading = following.anew()
                self._pages.request(reading)
                answer = self._pages.take(reading)

    def _once_more(self, read: CursorSequence, passes: int) -> CursorSequence | None:
        """Return a sequence of what may have been missed; None if nothing can have been."""
        if read.pages == 1 or read.agrees():
            return None
        if not self._cursors_are_places and passes < _PASSES:
            return read.again()
        if not read.has_news:
            return None
        start = read.newest_of_first
        return CursorSequence(self._what, self._clock.text(start - 1)) if start else read.again()

    def _fresh(self, sequence: CursorSequence, items: list[Item]) -> list[Record]:
        """Return what was not handed out before, and note all of it."""
        sequence.note(items)
        fresh = [item.record for item in items if self._window.is_new(item.key, (item.at, item.moment))]
        sequence.has_news = sequence.has_news or bool(fresh)
        return fresh

    def _items(self, answer: Answer) -> list[Item]:
        return [Item(one, self._key(one), *self._window.place(one, self._field)) for one in answer.records]

    def _in_order(self, sequence: CursorSequence, records: list[Record]) -> bool:
        """Return whether a page is in the order of its times, and none of them is before what was reached."""
        reached = sequence.newest
        for record in records:
            at = text(record, self._field)
            moment = self._clock.milliseconds(at) if at and self._clock.knows(at) else reached
            if moment < reached:
                return False
            reached = moment
        return True

    def _warn_of_disorder(self) -> None:
        log.warning(
            "%s does not come in the order of %s. All of it is read, and the bookmark moves only at the end; "
            "a run that is ended before that begins anew.",
            self._what,
            self._field,
        )


def _open(*sequences: CursorSequence) -> list[CursorSequence]:
    """Return each sequence that has not ended, once."""
    return [one for one in dict.fromkeys(sequences) if not one.ended]
