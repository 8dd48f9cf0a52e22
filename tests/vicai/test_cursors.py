"""Cursors of every kind: one that may count records is never relied on, one that marks a place is followed."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import msgspec
import pytest

from ap_connectors.core import instants
from ap_connectors.core.bookmarks import Bookmark, key_of
from ap_connectors.core.errors import Reject
from ap_connectors.core.raw_json import Record, text
from ap_connectors.vicai.changes import ChangeReader
from ap_connectors.vicai.cursors import Answer
from tests.campaign import one_in

Row = tuple[int, str]
"""Milliseconds since 1970, and the id: one state of a record."""


@dataclass(frozen=True)
class Shown:
    """What a cursor can be made of: how much the reader was shown, from where on, and the last of it."""

    records: int
    pages: int
    since: str
    last: Row


Spell = Callable[[Shown], str]
"""How a service writes a cursor."""


@dataclass(frozen=True)
class Kind:
    """A kind of cursor: how it is written, and what the service does with it.

    Args:
        spell: writes it.
        counts: ``records`` or ``pages``; None if it marks a place.
        has_query: whether it holds `since`, so that the request's own is not looked at.
    """

    spell: Spell
    counts: str | None = None
    has_query: bool = False


LIMIT = 10
START = instants.milliseconds("2026-01-05T07:00:00.000Z")


def in_base64(content: str) -> str:
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def sealed(*content: object) -> str:
    """As a service writes that encrypts its cursors: nothing can be read from it."""
    return blake2b(repr(content).encode(), digest_size=12).hexdigest()


def counting(spell: Spell, *, has_query: bool = False) -> Kind:
    return Kind(spell, "records", has_query)


def json_count(shown: Shown) -> str:
    return in_base64(json.dumps({"since": shown.since, "skip": shown.records, "limit": LIMIT}))


COUNTS = {
    "count": counting(lambda shown: str(shown.records)),
    "next count": counting(lambda shown: str(shown.records + 1)),
    "named": counting(lambda shown: f"offset={shown.records}"),
    "hexadecimal": counting(lambda shown: f"{shown.records:08x}"),
    "0x": counting(lambda shown: f"0x{shown.records:X}"),
    "base64": counting(lambda shown: in_base64(str(shown.records))),
    "JSON": counting(lambda shown: in_base64(json.dumps({"offset": shown.records}))),
    "JSON with the query": counting(json_count, has_query=True),
    "beside the place": counting(lambda shown: in_base64(json.dumps({"after": shown.last, "skip": shown.records}))),
    "sealed": counting(lambda shown: sealed(shown.records)),
    "sealed with the query": counting(lambda shown: sealed(shown.records, shown.since), has_query=True),
    "page": Kind(lambda shown: str(shown.pages), "pages"),
    "next page": Kind(lambda shown: str(shown.pages + 1), "pages"),
    "page in base64": Kind(lambda shown: in_base64(json.dumps({"page": shown.pages})), "pages"),
}
PLACES = {
    "plain": Kind(lambda shown: f"{instants.text(shown.last[0])}|{shown.last[1]}"),
    "base64": Kind(lambda shown: in_base64(f"{instants.text(shown.last[0])}|{shown.last[1]}")),
    "digits": Kind(lambda shown: f"{shown.last[0]}{shown.last[1]}"),
    "sealed": Kind(lambda shown: sealed(shown.last)),
}
NUMBERS = itertools.count()
WITH_THE_QUERY = {
    "since": Kind(lambda shown: in_base64(json.dumps({"since": shown.since, "after": shown.last})), has_query=True),
    "random": Kind(lambda shown: sealed(shown.last, next(NUMBERS)), has_query=True),
}


class Service:
    """A list in memory, with cursors of a kind; in the order of its times, or in none."""

    def __init__(self, rows: list[Row], kind: Kind, *, inclusive: bool = True, in_order: bool = True) -> None:
        self._order: Callable[[Row], Any] = (lambda row: row) if in_order else (lambda row: sealed(row[1]))
        self.rows = sorted(rows, key=self._order)
        self.asked: list[dict[str, str]] = []
        self._kind = kind
        self._inclusive = inclusive
        self._known: dict[str, Shown] = {}

    def __call__(self, query: Mapping[str, str]) -> Answer:
        self.asked.append(dict(query))
        limit = int(query.get("limit", LIMIT))
        shown = self._known.get(query.get("cursor", ""), Shown(0, 0, "", (0, "")))
        since = shown.since if self._kind.has_query and "cursor" in query else query.get("since", "")
        start = instants.milliseconds(since) + (0 if self._inclusive else 1) if since else 0
        found = [row for row in self.rows if row[0] >= start]
        if self._kind.counts:
            rest = found[shown.records if self._kind.counts == "records" else shown.pages * limit :]
        else:
            rest = [row for row in found if not shown.records or self._order(row) > self._order(shown.last)]
        taken = rest[:limit]
        if len(taken) == len(rest):
            return Answer([record(row) for row in taken], None)
        so_far = Shown(shown.records + limit, shown.pages + 1, since, taken[-1])
        cursor = self._kind.spell(so_far)
        self._known[cursor] = so_far
        return Answer([record(row) for row in taken], cursor)

    def delete(self, *ids: str) -> None:
        self.rows = [row for row in self.rows if row[1] not in ids]

    def touch(self, *ids: str) -> None:
        newest = max(self.rows)[0]
        touched = [(newest + 7_000 + number, id_) for number, id_ in enumerate(ids)]
        self.delete(*ids)
        self.rows = sorted(self.rows + touched, key=self._order)


def record(row: Row) -> Record:
    fields = {"internalId": row[1], "internalUpdatedAt": instants.text(row[0])}
    return {name: msgspec.Raw(json.dumps(value).encode()) for name, value in fields.items()}


def rows(*sizes: int, apart: int = 60_000) -> list[Row]:
    """So many records at each of some instants."""
    ids = iter(range(1000, 10_000))
    return [(START + place * apart, str(next(ids))) for place, size in enumerate(sizes) for _ in range(size)]


def reader(service: Callable[[Mapping[str, str]], Answer], since: Bookmark | None = None) -> ChangeReader:
    return ChangeReader(
        "listThings",
        service,
        since or Bookmark(),
        key=lambda one: key_of(one, "internalId"),
        instant_field="internalUpdatedAt",
    )


def read(service: Service, between: Callable[[int, list[Row]], None] | None = None) -> list[Row]:
    """Read to the end and once more, so that what changed meanwhile is there, too."""
    out: list[Row] = []
    since = Bookmark()
    for run in range(2):
        for number, page in enumerate(reader(service, since), start=1):
            assert number < 200, "reading does not end"
            for one in page.records:
                at = instants.milliseconds(text(one, "internalUpdatedAt") or "")
                out.append((at, text(one, "internalId") or ""))
            since = page.bookmark
            if between and not run:
                between(number, out)
    return out


LISTS = {
    "one an instant": rows(*[1] * 64),
    "a few an instant": rows(*[3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9]),
    "an import first": rows(35, *[1] * 30),
    "an import last": rows(*[1] * 30, 35),
    "an import that ends with a page": rows(20, *[1] * 30),
    "nothing but an import": rows(45),
    "a record a millisecond": rows(*[1] * 64, apart=1),
    "pairs": [(START + place * 60_000 + side, f"{place:03}{side}") for place in range(32) for side in (0, 1)],
    "two pages": rows(*[1] * 12),
}


KINDS = [
    *[pytest.param(kind, id=f"counts, {name}") for name, kind in COUNTS.items()],
    *[pytest.param(kind, id=f"places, {name}") for name, kind in PLACES.items()],
    *[pytest.param(kind, id=f"places with the query, {name}") for name, kind in WITH_THE_QUERY.items()],
]


def read_while(service: Service, happening: str, after: int) -> list[Row]:
    """Read twice; once so many pages were handed out, three of the records that were read change or go."""

    def between(number: int, out: list[Row]) -> None:
        if number == after:
            there = {id_ for _, id_ in service.rows}
            (service.delete if happening == "delete" else service.touch)(*[id_ for _, id_ in out if id_ in there][:3])

    return read(service, between)


@one_in(7)
@pytest.mark.parametrize("inclusive", [True, False], ids=["inclusive", "exclusive"])
@pytest.mark.parametrize("happening", ["delete", "touch"])
@pytest.mark.parametrize("listed", LISTS)
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_lost_when_records_that_were_read_change(
    kind: Kind, listed: str, happening: str, inclusive: bool
) -> None:
    """Whatever the cursor says: a count would pass over as many records as went away in front of it."""
    for after in (1, 2, 3, 5):
        service = Service(LISTS[listed], kind, inclusive=inclusive)
        out = read_while(service, happening, after)
        assert not set(service.rows) - set(out)
        assert len(out) == len(set(out))


@one_in(7)
@pytest.mark.parametrize("happening", ["delete", "touch"])
@pytest.mark.parametrize("listed", LISTS)
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_lost_of_a_list_in_no_order(kind: Kind, listed: str, happening: str) -> None:
    for after in (1, 2, 3, 5):
        service = Service(LISTS[listed], kind, in_order=False)
        assert not set(service.rows) - set(read_while(service, happening, after))


@pytest.mark.parametrize("kind", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("listed", ["one an instant", "a few an instant", "an import first", "pairs"])
def test_a_place_is_followed_page_by_page(kind: Kind, listed: str) -> None:
    """One request a page, and one for the test."""
    service = Service(LISTS[listed], kind)
    assert sum(len(page.records) for page in reader(service)) == len(service.rows)
    pages = -(-len(service.rows) // LIMIT)
    assert len(service.asked) == pages + 1
    assert len([query for query in service.asked if "limit" in query]) == 1


@pytest.mark.parametrize("kind", PLACES.values(), ids=PLACES)
def test_a_list_in_no_order_is_read_once_where_a_test_can_be_made(kind: Kind) -> None:
    service = Service(LISTS["one an instant"], kind, in_order=False)
    assert sum(len(page.records) for page in reader(service)) == len(service.rows)
    pages = -(-len(service.rows) // LIMIT)
    # What changed since the first page is asked for once more, from its newest instant on.
    assert pages < len(service.asked) <= pages + 3


def test_what_is_on_one_page_is_asked_for_once() -> None:
    service = Service(rows(*[1] * LIMIT), COUNTS["count"])
    assert sum(len(page.records) for page in reader(service)) == LIMIT
    assert len(service.asked) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("start", [None, "2026-01-05T07:20:00Z", "2027-01-01"])
def test_a_service_that_ignores_since_is_read_to_its_end(kind: Kind, start: str | None) -> None:
    service = Service(LISTS["one an instant"], kind)

    def deaf(query: Mapping[str, str]) -> Answer:
        assert len(service.asked) < 500, "reading does not end"
        return service({name: value for name, value in query.items() if name != "since"})

    out = [one for page in reader(deaf, Bookmark.from_state({}, start)) for one in page.records]
    wanted = [id_ for at, id_ in service.rows if not start or at >= instants.milliseconds(start)]
    assert {text(one, "internalId") for one in out} == set(wanted)


def test_a_service_that_refuses_the_test_is_read_all_the_same() -> None:
    service = Service(LISTS["one an instant"], PLACES["plain"])

    def picky(query: Mapping[str, str]) -> Answer:
        if "limit" in query:
            raise Reject("limit: only 10, 50 or 100", "unclassified")
        return service(query)

    assert sum(len(page.records) for page in reader(picky)) == len(service.rows)
