"""The two queues, in order of an instant, and where a page of one ends: every reading of "pages of ~100 documents"."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ap_connectors.sandbox.ivesk.store import Store


class Queue:
    """Documents in ascending order of an instant (ms since 1970); those of one instant stay in order of arrival."""

    def __init__(self) -> None:
        self.instants = array("q")
        self.numbers = array("l")

    def __len__(self) -> int:
        return len(self.instants)

    def add(self, instant: int, number: int) -> None:
        """Put a document where its instant belongs, also in the past."""
        if not self.instants or instant >= self.instants[-1]:
            self.instants.append(instant)
            self.numbers.append(number)
            return
        place = bisect_right(self.instants, instant)
        self.instants.insert(place, instant)
        self.numbers.insert(place, number)

    def remove(self, instant: int, number: int) -> None:
        """Take a document out."""
        place = self.numbers.index(number, bisect_left(self.instants, instant))
        del self.instants[place], self.numbers[place]

    def start(self, since: int | None, inclusive: bool) -> int:
        """Return the place of the first document from an instant on (microseconds since 1970; None = the beginning)."""
        if since is None:
            return 0
        # Rounded so that digits finer than the queue's milliseconds still compare right.
        if inclusive:
            return bisect_left(self.instants, -(-since // 1000))
        return bisect_right(self.instants, since // 1000)


@dataclass(frozen=True)
class Page:
    """Document numbers of a page, the instant of the last document looked at, and whether more documents follow."""

    numbers: list[int]
    last: int | None
    more: bool


def page(store: Store, name: str, since: int | None, doctype: str | None) -> Page:
    """Return one page of the queue `name` from an instant (microseconds since 1970; None = from the beginning).

    Source: Įvesk REST API, Synchronize results; what it leaves open is decided by `Options`.
    """
    options, queue = store.options, store.queue(name)
    start = queue.start(since, options.from_is == "inclusive")
    places: Iterable[int] = range(start, len(queue))
    wanted = None if doctype is None else store.doctype_place(doctype)
    if wanted is not None and options.doctype_filter == "before":
        places = (place for place in places if store.doctype_of[queue.numbers[place]] == wanted)
    taken, more = _take(store, queue, places, since, by_company=name == "exported")
    numbers = [queue.numbers[place] for place in taken]
    if wanted is not None and options.doctype_filter == "after":
        numbers = [number for number in numbers if store.doctype_of[number] == wanted]
    return Page(numbers, queue.instants[taken[-1]] if taken else None, more)


def _take(
    store: Store, queue: Queue, places: Iterable[int], since: int | None, by_company: bool
) -> tuple[list[int], bool]:
    """Return the places that make one page, and whether another one follows."""
    size, borders = store.options.page_size, store.options.borders
    instants, numbers, company_of = queue.instants, queue.numbers, store.company_of
    # Only an inclusive `from` lets a page begin with what was seen already (the lead). The page must go on behind
    # it, whosever document comes next, or its `next` would lead to the same page for ever.
    asked = None if since is None else since / 1000
    taken: list[int] = []
    company: int | None = None
    border = False
    last = -1
    for place in places:
        instant, owner = instants[place], company_of[numbers[place]]
        lead = instant == asked
        border = border or len(taken) >= size or (by_company and company is not None and owner != company)
        if border and not (lead and borders != "hard"):
            begins = company is None
            together = instant == last and (borders == "whole" or (borders == "cut" and instant == instants[taken[0]]))
            if not together and (borders == "hard" or not begins):
                return taken, True
        if not lead and company is None:
            company = owner
        taken.append(place)
        last = instant
    return taken, False
