"""Cursors: the pages of a list one after the other, cursors that go round, are refused, or count records."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from ap_connectors.core.errors import Reject, Stop
from ap_connectors.core.instants import Clock
from ap_connectors.core.raw_json import Record

_REPEATS = 10
"""How often in a row an empty page may lead to where the reader was already."""

Key = Callable[[Record], str]


class UnusableCursor(Exception):
    """The service does not take a cursor that it has given; `refusal` is what it said."""

    def __init__(self, refusal: Reject) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal


@dataclass(frozen=True)
class Answer:
    """A page as the service sends it, and the cursor of the next one unless it is the last."""

    records: list[Record]
    cursor: str | None


class Item(NamedTuple):
    """A record of a page, its key, and its instant: as text, and in milliseconds since 1970."""

    record: Record
    key: str
    at: str
    moment: int


class CursorLoopGuard:
    """Notices cursors that lead back to where they came from.

    An empty page may lead to itself for a while: that is how a service says that it has nothing at hand yet.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._followed: set[str] = set()
        self._repeats = 0

    def follow(self, cursor: str | None, *, empty: bool) -> None:
        """Note a page's cursor, and whether the page was empty.

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


class CursorSequence:
    """The pages of a list from an instant on, one after the other by their cursors.

    Args:
        what: names the list in messages.
        since: where it begins; None for the beginning of the list.
        before: the `trace` of an earlier pass over the same sequence.
    """

    def __init__(self, what: str, since: str | None, before: int | None = None) -> None:
        self.cursor: str | None = None
        self.ended = False
        self.pages = 0
        self.filled = 0
        """Pages that were not empty."""
        self.oldest = self.newest = self.newest_of_first = 0
        """Instants of what was shown so far, and on the first page that was not empty (milliseconds since 1970)."""
        self.within: int | None = None
        """Set while cursors that may count are followed within one instant: that instant."""
        self.trace = 0
        """Stands for the records that were noted, in that order."""
        self.has_news = False
        """Whether it has shown anything that was not handed out before."""
        self._what = what
        self.since = since
        self._before = before
        self._guard = CursorLoopGuard(what)

    def again(self) -> CursorSequence:
        """Return the same sequence, from its beginning."""
        return CursorSequence(self._what, self.since, self.trace)

    def anew(self) -> CursorSequence:
        """Return the same sequence from its beginning, as if this one had not been read."""
        return CursorSequence(self._what, self.since, self._before)

    def query(self) -> dict[str, str]:
        """Return what to ask for the next page."""
        asked = {"since": self.since, "cursor": self.cursor}
        return {name: value for name, value in asked.items() if value}

    def advance(self, items: list[Item], cursor: str | None) -> None:
        """Step on behind a page.

        Raises:
            Stop: the cursors go round in a circle.
        """
        self._guard.follow(cursor, empty=not items)
        self.cursor, self.ended = cursor, not cursor
        self.pages += 1
        if items:
            self.filled += 1
            self.newest = max(self.newest, *(item.moment for item in items))
            if self.filled == 1:
                self.oldest, self.newest_of_first = min(item.moment for item in items), self.newest

    def note(self, items: Iterable[Item]) -> None:
        """Make records part of the trace."""
        for item in items:
            self.trace = hash((self.trace, item.key, item.at, item.moment))

    def agrees(self) -> bool:
        """Return whether the same records were noted as in the pass before.

        A record that is seen and then moves to the end or is deleted, so that others are passed over, is not there
        the next time.
        """
        return self.trace == self._before


@dataclass(frozen=True)
class CursorTest:
    """Asks for the end of a page again, by time, to see whether the cursor behind it depends on the place alone."""

    since: str
    keys: tuple[str, ...]
    """The records that the page must show."""
    cursor: str

    @classmethod
    def of(cls, items: list[Item], most: int, cursor: str, clock: Clock) -> CursorTest | None:
        """Return the test of the cursor behind these records; None where they offer no way to test it.

        Args:
            items: all records of the sequence; of one that is in order, the last page is enough.
            most: how many records a page may show.
            cursor: what is tested.
            clock: whose times these are.
        """
        moments = {item.moment for item in items}
        # Where no record is a millisecond before, it does not matter whether `since` is inclusive.
        start = max(
            (moment for moment in moments if moment <= items[-1].moment and moment - 1 not in moments), default=0
        )
        keys = tuple(item.key for item in items if item.moment >= start)
        return cls(clock.text(start - 1), keys, cursor) if len(keys) < len(items) and len(keys) <= most else None

    def query(self) -> dict[str, str]:
        """Return what to ask for."""
        return {"since": self.since, "limit": str(len(self.keys))}

    def is_passed(self, answer: Answer, key: Key) -> bool:
        """Return whether exactly these records came, and the same cursor behind them."""
        return answer.cursor == self.cursor and tuple(map(key, answer.records)) == self.keys
