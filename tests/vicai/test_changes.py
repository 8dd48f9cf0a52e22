"""Incremental reads: nothing lost, nothing doubled, whatever the service leaves open."""

from __future__ import annotations

import contextlib
import itertools
import re
from typing import Any
from urllib.parse import parse_qs

import pytest

from ap_connectors.core.bookmarks import Bookmark, key_of
from ap_connectors.core.errors import Outage, Stop
from ap_connectors.core.instants import LOCAL
from ap_connectors.sandbox.process import SandboxProcess
from tests.campaign import one_in
from tests.vicai.accounts import Accounts, Between, Version, ids, stored, versions

BULK = "2026-03-01T12:00:00.000Z"
AFTER_BULK = "2026-03-01T12:00:00.001Z"


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
