"""Incremental reads of a service that answers in another order than that of the times, or in a circle."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping

import msgspec
import pytest

from ap_connectors.core.bookmarks import Bookmark, key_of
from ap_connectors.core.errors import Stop
from ap_connectors.core.raw_json import Record
from ap_connectors.sandbox.process import SandboxProcess
from ap_connectors.vicai.changes import ChangeReader, Fetch
from ap_connectors.vicai.cursors import Answer
from tests.vicai.accounts import Accounts, Version, ids, stored, versions


class TestDisorder:
    """A service that answers in another order than that of the times."""

    @pytest.mark.parametrize("cursors", ["keyset", "offset"])
    def test_is_told_once_and_moves_the_bookmark_only_at_the_end(
        self, sandbox: SandboxProcess, cursors: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        accounts = Accounts(sandbox, order="shuffled", cursors=cursors)
        accounts.control.touch("accounts", count=30)
        start = stored(Bookmark("2026-01-01T00:00:00.000Z"))
        with caplog.at_level(logging.INFO):
            pages = list(accounts.changes(start))
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert "does not come in the order of internalUpdatedAt" in caplog.text
        assert len(pages) >= 13
        assert all(page.bookmark == start for page in pages[:-1])
        assert pages[-1].bookmark.instant == max(at for _, at in accounts.held())
        assert {version for page in pages for version in versions(page.records)} == accounts.held()

    def test_of_a_single_page_is_told_too_and_ends_at_its_newest(
        self, sandbox: SandboxProcess, caplog: pytest.LogCaptureFixture
    ) -> None:
        accounts = Accounts(sandbox, limit=100, order="shuffled")
        _, bookmark = accounts.read(Bookmark())
        touched = accounts.control.touch("accounts", count=40)
        caplog.clear()
        out, bookmark = accounts.read(bookmark)
        assert sorted(id_ for id_, _ in out) == sorted(touched)
        assert bookmark.instant == max(at for _, at in accounts.held())
        assert caplog.text.count("does not come in the order") == 1

    def test_that_begins_late_takes_the_bookmark_back(self) -> None:
        """Positions that were handed out before it was noticed stay what they are: no more is known to be safe."""
        start = Bookmark("2026-01-01T00:00:00.000Z")
        out = list(reader(start, ["01", "02"], ["03", "04"], ["09", "05"], ["06", "07"], []))
        positions = [page.bookmark.instant for page in out]
        assert positions[:2] == [day("02"), day("04")]
        assert {*positions[2:-1]} == {start.instant}
        assert positions[-1] == day("09")
        handed_out = [at for page in out for _, at in versions(page.records)]
        assert handed_out[:8] == [day(n) for n in ("01", "02", "03", "04", "09", "05", "06", "07")]

    @pytest.mark.parametrize("late", ["01", "04", "08"])
    def test_is_seen_wherever_it_stands_though_cursors_count(self, late: str, caplog: pytest.LogCaptureFixture) -> None:
        """Reading on by time alone would never show what stands behind newer things."""
        pages = [["05", "05"], ["05", "06"], ["07", "09"], ["10", late], ["11", "12"]]
        out = list(reader(Bookmark(), *pages, counting=True))
        assert {at for page in out for _, at in versions(page.records)} == {day(n) for page in pages for n in page}
        assert caplog.text.count("does not come in the order") == 1
        assert out[-1].bookmark.instant == day("12")

    def test_across_a_page_border_is_seen(self, caplog: pytest.LogCaptureFixture) -> None:
        out = list(reader(Bookmark(), ["05", "06"], ["01", "02"], ["03"]))
        assert caplog.text.count("does not come in the order") == 1
        positions = [page.bookmark.instant for page in out]
        assert positions[0] == positions[-1] == day("06")
        assert {*positions[1:-1]} == {None}

    @pytest.mark.parametrize("cursors", ["keyset", "offset"])
    def test_changes_meanwhile_are_not_behind_the_bookmark(self, sandbox: SandboxProcess, cursors: str) -> None:
        """What changes in the part that was read is missed by this run; the bookmark must not pass it by."""
        accounts = Accounts(sandbox, order="shuffled", cursors=cursors)

        def between(number: int, out: list[Version]) -> None:
            if number == 4:
                accounts.control.touch("accounts", ids(out)[:5])
                unread = [id_ for id_, _ in sorted(accounts.held()) if id_ not in ids(out)]
                accounts.control.touch("accounts", unread[-40:])

        out, bookmark = accounts.read(Bookmark(), between)
        more, _ = accounts.read(bookmark)
        assert not accounts.held() - {*out, *more}


def day(n: str) -> str:
    return f"2026-02-{n}T00:00:00Z"


def reader(since: Bookmark, *pages: list[str], counting: bool = False) -> ChangeReader:
    """A reader of pages that hold records of these days; the cursor is a place in the list, or counts records."""
    days = [n for page in pages for n in page]
    borders = [sum(map(len, pages[:number])) for number in range(1, len(pages))]

    def fetch(query: Mapping[str, str]) -> Answer:
        asked, cursor = query.get("since", "")[:19], query.get("cursor", "")
        if counting:
            found = [one for one in days if day(one)[:19] > asked]
            start, size = int(cursor or 0), int(query.get("limit", len(pages[0])))
            following = str(start + size) if start + size < len(found) else None
            return Answer([record(n, day(n)) for n in found[start : start + size]], following)
        start = len(cursor)
        places = [place for place, n in enumerate(days) if place >= start and day(n)[:19] > asked]
        if "limit" in query:
            taken = places[: int(query["limit"])]
            end = taken[-1] + 1
        else:
            end = next((border for border in borders if border > start), len(days))
            taken = [place for place in places if place < end]
        return Answer(
            [record(days[place], day(days[place])) for place in taken], "x" * end if end < len(days) else None
        )

    return ChangeReader(
        "listThings",
        fetch,
        since,
        key=lambda one: key_of(one, "internalId"),
        instant_field="internalUpdatedAt",
    )


def record(id_: str, at: str) -> Record:
    return {
        "internalId": msgspec.Raw(json.dumps(id_).encode()),
        "internalUpdatedAt": msgspec.Raw(json.dumps(at).encode()),
    }


def read_by(fetch: Fetch) -> ChangeReader:
    """Read a list from its beginning, by what fetches a page of it."""
    return ChangeReader(
        "listThings",
        fetch,
        Bookmark(),
        key=lambda one: key_of(one, "internalId"),
        instant_field="internalUpdatedAt",
    )


class TestCircle:
    """Cursors that lead back."""

    @pytest.mark.parametrize("full", [True, False])
    def test_is_no_endless_read(self, full: bool) -> None:
        asked = []

        def fetch(query: Mapping[str, str]) -> Answer:
            asked.append(query)
            records = [record("1", day("01"))] if full else []
            return Answer(records, {None: "one", "one": "two", "two": "one"}[query.get("cursor")])

        things = read_by(fetch)
        with pytest.raises(Stop, match="listThings goes round in a circle"):
            list(things)
        assert len(asked) < 20

    def test_is_told_from_a_long_row_of_empty_pages(self) -> None:
        def fetch(query: Mapping[str, str]) -> Answer:
            number = len(query.get("cursor", ""))
            return Answer([record("1", day("01"))], None) if number == 50 else Answer([], "x" * (number + 1))

        things = read_by(fetch)
        assert [len(page.records) for page in things] == [0] * 50 + [1]
