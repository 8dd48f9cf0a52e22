"""Incremental reads: nothing lost, nothing doubled, whatever the service leaves open."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs

import msgspec
import pytest

from ap_connectors.core.bookmarks import Bookmark, Page, key_of
from ap_connectors.core.errors import Outage, Stop
from ap_connectors.core.instants import LOCAL, UTC, Clock
from ap_connectors.core.raw_json import Record, text
from ap_connectors.http.session import RetryPolicy
from ap_connectors.sandbox.process import SandboxProcess
from ap_connectors.vicai.changes import ChangeReader
from ap_connectors.vicai.client import VicaiClient
from ap_connectors.vicai.cursors import Answer
from tests.campaign import one_in

Version = tuple[str, str]
"""(internalId, time): one state of a record."""

Between = Callable[[int, list[Version]], None]
"""What happens once so many pages were handed out: takes their number and all that was handed out."""

BULK = "2026-03-01T12:00:00.000Z"
AFTER_BULK = "2026-03-01T12:00:00.001Z"
QUICK = RetryPolicy(tries=3, first_pause=0.01, longest_pause=0.02)


class Accounts:
    """The accounts of the sandbox (130 of them, most from one import, so of one instant), read in small pages."""

    def __init__(self, sandbox: SandboxProcess, limit: int = 10, **options: Any) -> None:
        sandbox.control.reset(documents=0, invoices=0, vicai={"rate_requests": 0, **options})
        self.control = sandbox.control.vicai
        self.sandbox = sandbox
        self.client = VicaiClient(sandbox.client_id, sandbox.client_secret, sandbox.vicai_url, retry_policy=QUICK)
        self._limit = str(limit)

    def changes(self, since: Bookmark) -> Iterator[Page]:
        return self.client.changes(
            "listAccounts",
            since,
            key=lambda record: key_of(record, "internalId"),
            instant_field="internalUpdatedAt",
            useSystem="INTERNAL",
            limit=self._limit,
        )

    def read(self, since: Bookmark, between: Between | None = None) -> tuple[list[Version], Bookmark]:
        """Read to the end; return what was handed out and the last bookmark, as it comes back from a state file."""
        out: list[Version] = []
        bookmark = since
        for number, page in enumerate(self.changes(since), start=1):
            out += versions(page.records)
            bookmark = page.bookmark
            if between:
                between(number, out)
        return out, stored(bookmark)

    def held(self) -> set[Version]:
        records = self.control.records("accounts")
        return {(record["internalId"], record["internalUpdatedAt"]) for record in records}


def versions(records: list[Record], instant_field: str = "internalUpdatedAt") -> list[Version]:
    return [(text(record, "internalId") or "", text(record, instant_field) or "") for record in records]


def stored(bookmark: Bookmark, clock: Clock = UTC) -> Bookmark:
    """The bookmark as a later process finds it."""
    return Bookmark.from_state(json.loads(json.dumps(bookmark.to_state())), None, clock)


def ids(out: list[Version]) -> list[str]:
    """Ids in the order in which they were first handed out."""
    return list(dict.fromkeys(id_ for id_, _ in out))


OPTIONS = [
    {
        "since_is": since_is,
        "cursors": cursors,
        "order": order,
        "empty_page_every": empty,
        "instant_digits": digits,
        "last_cursor": last,
    }
    for since_is, cursors, order, empty, (digits, last) in itertools.product(
        ("inclusive", "exclusive"),
        ("keyset", "offset"),
        ("sorted", "shuffled"),
        (0, 3),
        ((0, "absent"), (3, "empty"), (6, "absent")),
    )
]


def named(options: dict[str, Any]) -> str:
    return "-".join(str(value) for value in options.values())


@one_in(5)
@pytest.mark.parametrize("options", OPTIONS, ids=named)
def test_a_list_that_changes_while_it_is_read(sandbox: SandboxProcess, options: dict[str, Any]) -> None:
    accounts = Accounts(sandbox, **options)
    accounts.control.touch("accounts", count=25, at=BULK)
    accounts.control.add("accounts", 12, at=BULK)
    first = accounts.held()

    def between(number: int, out: list[Version]) -> None:
        if number == 3:
            accounts.control.touch("accounts", ids(out)[:3], name="Renamed while it was read")
        if number == 5:
            accounts.control.touch("accounts", ids(out)[5:22], at="2026-03-01T13:00:00.000Z")
        if number == 7:
            accounts.control.add("accounts", 2)

    out, bookmark = accounts.read(Bookmark(), between)
    more, bookmark = accounts.read(bookmark)
    missing = accounts.held() - {*out, *more}
    assert not missing
    assert {id_ for id_, _ in first} <= {id_ for id_, _ in out}
    if options["order"] == "sorted":
        assert len(out + more) == len({*out, *more})
    rest, bookmark = accounts.read(bookmark)
    assert rest == []
    accounts.control.touch("accounts", count=1)
    assert accounts.read(bookmark)[0] == [max(accounts.held(), key=lambda held: held[1])]


@one_in(3)
@pytest.mark.parametrize("options", OPTIONS[1::3], ids=named)
def test_going_on_from_any_page(sandbox: SandboxProcess, options: dict[str, Any]) -> None:
    accounts = Accounts(sandbox, limit=40, **options)
    accounts.control.touch("accounts", count=40, at=BULK)
    out: list[Version] = []
    # All pages first: two readers in turn could meet every third answer, the empty one, again and again.
    for page in list(accounts.changes(Bookmark())):
        out += versions(page.records)
        rest, bookmark = accounts.read(stored(page.bookmark))
        assert {*out, *rest} == accounts.held()
        if options["order"] == "sorted":
            assert len(out) + len(rest) == len(accounts.held())
        assert accounts.read(bookmark)[0] == []


@one_in(5)
@pytest.mark.parametrize("cursors", ["keyset", "offset"])
@pytest.mark.parametrize("happening", ["touch", "delete"])
@pytest.mark.parametrize("pages_before", [1, 2, 3])
@pytest.mark.parametrize("many", [1, 10, 25])
def test_one_instant_longer_than_pages_changes_while_it_is_read(
    sandbox: SandboxProcess, cursors: str, happening: str, pages_before: int, many: int
) -> None:
    """The whole list shares an instant, so that a cursor that counts cannot be replaced by a time."""
    accounts = Accounts(sandbox, cursors=cursors)
    accounts.control.touch("accounts", count=1000, at=BULK)

    def between(number: int, out: list[Version]) -> None:
        if number == pages_before:
            if happening == "touch":
                accounts.control.touch("accounts", ids(out)[:many])
            else:
                accounts.control.delete("accounts", ids(out)[:many])

    out, bookmark = accounts.read(Bookmark(), between)
    more, _ = accounts.read(bookmark)
    assert not accounts.held() - {*out, *more}
    assert len(out + more) == len({*out, *more})


@one_in(5)
@pytest.mark.parametrize("cursors", ["keyset", "offset"])
@pytest.mark.parametrize("seed", range(6))
def test_deletes_while_reading_lose_nothing(sandbox: SandboxProcess, cursors: str, seed: int) -> None:
    accounts = Accounts(sandbox, cursors=cursors)
    for n, id_ in enumerate(version[0] for version in sorted(accounts.held())):
        if n % 3 == 0:
            accounts.control.touch("accounts", [id_])

    def between(number: int, out: list[Version]) -> None:
        if number % 2 == seed % 2:
            held = {id_ for id_, _ in accounts.held()}
            accounts.control.delete("accounts", [id_ for id_ in ids(out) if id_ in held][seed : seed + 4])

    out, bookmark = accounts.read(Bookmark(), between)
    assert not accounts.held() - set(out)
    assert len(out) == len(set(out))
    assert accounts.read(bookmark)[0] == []


@one_in(5)
@pytest.mark.parametrize("since_is", ["inclusive", "exclusive"])
@pytest.mark.parametrize("cursors", ["keyset", "offset"])
@pytest.mark.parametrize("digits", [0, 3, 6])
def test_hundreds_at_the_newest_instant_are_read_once(
    sandbox: SandboxProcess, since_is: str, cursors: str, digits: int
) -> None:
    accounts = Accounts(sandbox, limit=100, since_is=since_is, cursors=cursors, instant_digits=digits)
    accounts.control.add("accounts", 150)
    accounts.control.touch("accounts", count=260, at="2026-03-01T12:00:00.999Z")
    out, bookmark = accounts.read(Bookmark())
    assert sorted(out) == sorted(accounts.held())
    assert accounts.read(bookmark)[0] == []
    # One more of the same instant, and one of the next millisecond, which is the same instant to eyes without digits.
    accounts.control.add("accounts", 1, at="2026-03-01T12:00:00.999Z")
    accounts.control.add("accounts", 1, at="2026-03-01T12:00:01.000Z")
    more, bookmark = accounts.read(bookmark)
    assert len(more) == 2
    assert {*out, *more} == accounts.held()
    assert accounts.read(bookmark)[0] == []


@pytest.mark.parametrize("since_is", ["inclusive", "exclusive"])
@pytest.mark.parametrize("cursors", ["keyset", "offset"])
def test_what_appears_behind_newer_things_comes(sandbox: SandboxProcess, since_is: str, cursors: str) -> None:
    """The service sets the time of a change when it begins to write, and lists it a while after what was quicker."""
    accounts = Accounts(sandbox, since_is=since_is, cursors=cursors)
    everything = ids(sorted(accounts.held()))
    for n, id_ in enumerate(everything[:45]):
        accounts.control.touch("accounts", [id_], at=f"2199-03-01T12:00:{n:02d}.000Z")
    _, bookmark = accounts.read(Bookmark())
    for _ in range(2):
        late = [(id_, f"2199-03-01T12:00:{n:02d}.500Z") for n, id_ in zip((3, 17, 43), everything[45:48], strict=True)]
        for id_, at in late:
            accounts.control.touch("accounts", [id_], at=at)
        newest = accounts.control.touch("accounts", everything[48:49])
        out, bookmark = accounts.read(bookmark)
        assert sorted(out) == sorted([*late, *(one for one in accounts.held() if one[0] in newest)])
        everything = everything[4:]
    # Whichever page was the last one kept, nothing is lost, and nothing comes twice.
    accounts.control.touch("accounts", everything[60:75])
    expected = {one for one in accounts.held() if one[0] in everything[60:75]}
    kept: list[Version] = []
    for page in list(accounts.changes(bookmark)):
        kept += versions(page.records)
        rest, _ = accounts.read(stored(page.bookmark))
        assert sorted(kept + rest) == sorted(expected)


def test_instants_finer_than_a_millisecond_are_told_apart(sandbox: SandboxProcess) -> None:
    accounts = Accounts(sandbox, instant_digits=6)
    (one,) = accounts.control.touch("accounts", count=1, at="2026-03-01T12:00:00.000500Z")
    _, bookmark = accounts.read(Bookmark())
    accounts.control.touch("accounts", [one], at="2026-03-01T12:00:00.000501Z")
    assert accounts.read(bookmark)[0] == [(one, "2026-03-01T12:00:00.000501Z")]


def test_a_deleted_newest_record_does_not_bring_back_the_rest(sandbox: SandboxProcess) -> None:
    accounts = Accounts(sandbox)
    (newest,) = accounts.control.touch("accounts", count=1)
    _, bookmark = accounts.read(Bookmark())
    accounts.control.delete("accounts", [newest])
    assert accounts.read(bookmark)[0] == []


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


class TestCircle:
    """Cursors that lead back."""

    @pytest.mark.parametrize("full", [True, False])
    def test_is_no_endless_read(self, full: bool) -> None:
        asked = []

        def fetch(query: Mapping[str, str]) -> Answer:
            asked.append(query)
            records = [record("1", day("01"))] if full else []
            return Answer(records, {None: "one", "one": "two", "two": "one"}[query.get("cursor")])

        things = ChangeReader(
            "listThings",
            fetch,
            Bookmark(),
            key=lambda one: key_of(one, "internalId"),
            instant_field="internalUpdatedAt",
        )
        with pytest.raises(Stop, match="listThings goes round in a circle"):
            list(things)
        assert len(asked) < 20

    def test_is_told_from_a_long_row_of_empty_pages(self) -> None:
        def fetch(query: Mapping[str, str]) -> Answer:
            number = len(query.get("cursor", ""))
            return Answer([record("1", day("01"))], None) if number == 50 else Answer([], "x" * (number + 1))

        things = ChangeReader(
            "listThings",
            fetch,
            Bookmark(),
            key=lambda one: key_of(one, "internalId"),
            instant_field="internalUpdatedAt",
        )
        assert [len(page.records) for page in things] == [0] * 50 + [1]


class TestWallClock:
    """Times of the ERP: compared by digits, asked for without a zone."""

    @pytest.mark.parametrize("operation", ["listVatCodes", "listAccounts"])
    @pytest.mark.parametrize("cursors", ["keyset", "offset"])
    def test_no_zone_is_ever_added(self, sandbox: SandboxProcess, operation: str, cursors: str) -> None:
        accounts = Accounts(sandbox, cursors=cursors)
        resource = {"listVatCodes": "vatCodes", "listAccounts": "accounts"}[operation]
        same = "2026-02-01T09:30:00"
        accounts.control.touch(resource, count=25, externalUpdatedAt=same)
        accounts.control.touch(resource, count=2, externalUpdatedAt="2026-02-01T09:30:00.250")

        def read(since: Bookmark, between: Between | None = None) -> tuple[list[Version], Bookmark]:
            out: list[Version] = []
            bookmark = since
            for page in accounts.client.changes(
                operation,
                since,
                key=lambda one: key_of(one, "internalId"),
                instant_field="externalUpdatedAt",
                clock=LOCAL,
                limit="10",
            ):
                out += versions(page.records, "externalUpdatedAt")
                bookmark = page.bookmark
            return out, stored(bookmark, LOCAL)

        sandbox.control.clear_calls()
        out, bookmark = read(Bookmark())
        held = {(one["internalId"], one["externalUpdatedAt"]) for one in accounts.control.records(resource)}
        assert set(out) == held
        assert len(out) == len(held)
        assert bookmark.instant == max(at for _, at in held)
        assert read(bookmark)[0] == []
        assert read(Bookmark.from_state({}, "2026-02-01T09:30:00+02:00", LOCAL))[0] == [
            version for version in out if version[1] >= same
        ]
        asked = [parse_qs(call["query"]).get("since", [None])[0] for call in sandbox.control.calls()]
        assert len([since for since in asked if since]) >= 2
        for since in filter(None, asked):
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}", since)

    def test_internal_times_are_asked_for_in_utc(self, sandbox: SandboxProcess) -> None:
        accounts = Accounts(sandbox)
        sandbox.control.clear_calls()
        accounts.read(Bookmark("2026-01-05T09:00:00.000+02:00"))
        queries = [parse_qs(call["query"]) for call in sandbox.control.calls() if "accounts" in call["path"]]
        assert queries[0]["since"] == ["2026-01-05T06:59:59.999Z"]
        assert {query["useSystem"][0] for query in queries} == {"INTERNAL"}


def test_a_start_date_is_asked_for_and_what_is_older_left_out(sandbox: SandboxProcess) -> None:
    accounts = Accounts(sandbox, cursors="offset")
    accounts.control.touch("accounts", count=33, at=BULK)
    accounts.control.touch("accounts", count=4, at=AFTER_BULK)
    out, bookmark = accounts.read(Bookmark.from_state({}, AFTER_BULK))
    assert sorted(at for _, at in out) == [AFTER_BULK] * 4
    assert accounts.read(Bookmark.from_state(bookmark.to_state(), AFTER_BULK))[0] == []


def test_a_record_without_a_key_stops(sandbox: SandboxProcess) -> None:
    accounts = Accounts(sandbox)
    accounts.control.touch("accounts", count=1, internalId=None)
    changes = accounts.client.changes(
        "listAccounts", Bookmark(), key=lambda one: key_of(one, "nothing"), instant_field="internalUpdatedAt"
    )
    with pytest.raises(Stop, match="has no nothing, so no key"):
        list(changes)


def test_an_error_in_the_middle_ends_the_read_where_it_stands(sandbox: SandboxProcess) -> None:
    """What was handed out before stays good to go on from."""
    accounts = Accounts(sandbox)
    sandbox.control.fault("status", status=503, path="/vicai/v0/accounts", after=4, times=1000)
    out: list[Version] = []
    bookmark = Bookmark()
    changes = accounts.changes(Bookmark())
    with contextlib.suppress(Outage):
        for page in changes:
            out += versions(page.records)
            bookmark = page.bookmark
    # Four answers: three pages, and the test of the cursors.
    assert len(out) == 30
    sandbox.control.clear_faults()
    rest, _ = accounts.read(stored(bookmark))
    assert sorted(out + rest) == sorted(accounts.held())
