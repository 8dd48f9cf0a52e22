"""Reading a queue: whatever `from` means, wherever borders fall, nothing is lost, doubled, or read for ever."""

from __future__ import annotations

import itertools
import logging
from typing import Any

import msgspec
import pytest

from ap_connectors.core.bookmarks import Bookmark
from ap_connectors.core.errors import Outage, Stop
from ap_connectors.core.raw_json import decode, text
from ap_connectors.http.session import RetryPolicy
from ap_connectors.ivesk.client import IveskClient, Queue
from ap_connectors.ivesk.queue import Answer, QueueReader
from ap_connectors.sandbox.process import Control, SandboxProcess
from tests.campaign import one_in

MEANINGS = list(itertools.product(("exclusive", "inclusive"), ("whole", "cut"), ("more", "always")))


@pytest.fixture(params=MEANINGS, ids="-".join)
def meaning(request: pytest.FixtureRequest, sandbox: SandboxProcess) -> tuple[str, ...]:
    """The sandbox understands `from`, borders and `next` in each of the ways the description allows."""
    from_is, borders, next_when = request.param
    sandbox.control.options(from_is=from_is, borders=borders, next_when=next_when)
    return from_is, borders, next_when


@pytest.fixture
def client(sandbox: SandboxProcess) -> IveskClient:
    return IveskClient(sandbox.api_key, sandbox.ivesk_url, retry_policy=RetryPolicy(tries=3, first_pause=0.05))


Mark = tuple[str, str]


def read(client: IveskClient, since: Bookmark | None = None, queue: Queue = "exported") -> tuple[list[Mark], Bookmark]:
    """Read to the end; return (id, instant) of each document as it came, and the last bookmark."""
    bookmark = since or Bookmark()
    marks: list[Mark] = []
    for number, page in enumerate(client.pages(queue, bookmark)):
        assert number < 500, "reading does not end"
        marks += [(text(d, "id") or "", text(d, f"{queue}at") or "") for d in page.records]
        bookmark = page.bookmark
    return marks, bookmark


def held(control: Control, queue: str = "exported") -> list[Mark]:
    return [(d["id"], d[f"{queue}at"]) for d in control.documents(queue)]


def through_state(bookmark: Bookmark) -> Bookmark:
    return Bookmark.from_state(bookmark.to_state(), None)


@pytest.mark.parametrize("queue", ["exported", "digitized"])
def test_each_document_comes_once(
    sandbox: SandboxProcess, client: IveskClient, meaning: tuple[str, ...], queue: Queue
) -> None:
    sandbox.control.add(70, instant="2027-01-04T10:00:00.500Z")
    sandbox.control.add(30)
    marks, _ = read(client, queue=queue)
    assert marks == held(sandbox.control, queue)


@one_in(3)
@pytest.mark.parametrize("size", [99, 100, 101, 250])
def test_documents_that_share_an_instant_and_fill_pages(
    sandbox: SandboxProcess, client: IveskClient, meaning: tuple[str, ...], size: int
) -> None:
    sandbox.control.reset(documents=0, from_is=meaning[0], borders=meaning[1], next_when=meaning[2])
    sandbox.control.add(60, company="395901624")
    sandbox.control.add(size, company="395901624", instant="2027-03-01T08:00:00.000Z")
    sandbox.control.add(1, instant="2027-03-01T08:00:00.001Z")
    sandbox.control.add(45)
    marks, bookmark = read(client)
    assert sorted(marks) == sorted(held(sandbox.control))
    assert read(client, through_state(bookmark))[0] == []


def test_a_later_run_brings_only_what_is_new(
    sandbox: SandboxProcess, client: IveskClient, meaning: tuple[str, ...]
) -> None:
    before, bookmark = read(client)
    assert read(client, through_state(bookmark))[0] == []
    at = sandbox.control.ivesk()["exported"]["last"]
    same_instant = sandbox.control.add(3, instant=at)
    later = sandbox.control.add(5)
    marks, bookmark = read(client, through_state(bookmark))
    assert sorted(id_ for id_, _ in marks) == sorted(same_instant + later)
    assert sorted(before + marks) == sorted(held(sandbox.control))
    assert read(client, through_state(bookmark))[0] == []


def test_a_document_exported_again_comes_again(
    sandbox: SandboxProcess, client: IveskClient, meaning: tuple[str, ...]
) -> None:
    _, bookmark = read(client)
    again = sandbox.control.export(count=4)
    marks, _ = read(client, through_state(bookmark))
    assert sorted(id_ for id_, _ in marks) == sorted(again)


@one_in(3)
def test_going_on_after_any_page(sandbox: SandboxProcess, client: IveskClient, meaning: tuple[str, ...]) -> None:
    """Whichever page is the last one kept, the next run brings exactly the rest."""
    sandbox.control.add(130, instant="2027-03-01T08:00:00.000Z")
    everything = sorted(held(sandbox.control))
    kept: list[Mark] = []
    for number, page in enumerate(client.pages("exported", Bookmark())):
        kept += [(text(d, "id") or "", text(d, "exportedat") or "") for d in page.records]
        if number % 3 == 0:
            rest, _ = read(client, through_state(page.bookmark))
            assert sorted(kept + rest) == everything


def test_export_again_while_paging(sandbox: SandboxProcess, client: IveskClient, meaning: tuple[str, ...]) -> None:
    """Documents move to the queue's end while it is read: each is seen at its newest instant."""
    seen: list[Mark] = []
    for number, page in enumerate(client.pages("exported", Bookmark())):
        seen += [(text(d, "id") or "", text(d, "exportedat") or "") for d in page.records]
        if number < 3:
            sandbox.control.export(count=2)
    assert set(held(sandbox.control)) <= set(seen)
    assert len(seen) == len(set(seen))


@one_in(3)
@pytest.mark.parametrize("queue", ["exported", "digitized"])
def test_what_appears_behind_newer_documents_comes(
    sandbox: SandboxProcess, client: IveskClient, meaning: tuple[str, ...], queue: Queue
) -> None:
    """A click exports fifty documents; the last of them may be listed before the first."""
    for second in range(0, 50, 2):
        sandbox.control.add(7, instant=f"2199-03-01T08:00:{second:02d}.000Z")
    _, bookmark = read(client, queue=queue)
    late = [
        id_ for second in (1, 21, 47) for id_ in sandbox.control.add(2, instant=f"2199-03-01T08:00:{second:02d}.000Z")
    ]
    newest = sandbox.control.add(1, instant="2199-03-01T08:00:50.000Z")
    marks, bookmark = read(client, through_state(bookmark), queue)
    assert sorted(id_ for id_, _ in marks) == sorted(late + newest)
    assert read(client, through_state(bookmark), queue)[0] == []


@pytest.mark.parametrize("from_is", ["exclusive", "inclusive"])
def test_a_hard_border_inside_a_long_instant_is_said_aloud(
    sandbox: SandboxProcess, client: IveskClient, caplog: pytest.LogCaptureFixture, from_is: str
) -> None:
    """No `from` reaches the 101st document of an instant there: what can be had comes, and the log says it."""
    sandbox.control.reset(documents=0, borders="hard", from_is=from_is)
    sandbox.control.add(110, company="395901624")
    sandbox.control.add(150, company="395901624", instant="2027-03-01T08:00:00.000Z")
    after = sandbox.control.add(20, company="395901624")
    with caplog.at_level(logging.WARNING):
        marks, _ = read(client)
    assert set(after) <= {id_ for id_, _ in marks}
    assert len(marks) == len(set(marks)) == 110 + 100 + 20
    assert "100 documents share the instant 2027-03-01T08:00:00.000Z" in caplog.text


@pytest.mark.parametrize("from_is", ["exclusive", "inclusive"])
def test_a_queue_that_begins_with_a_hard_border_is_said_aloud_too(
    sandbox: SandboxProcess, client: IveskClient, caplog: pytest.LogCaptureFixture, from_is: str
) -> None:
    sandbox.control.reset(documents=0, borders="hard", from_is=from_is)
    sandbox.control.add(150, company="395901624", instant="2027-03-01T08:00:00.000Z")
    sandbox.control.add(1, company="395901624")
    with caplog.at_level(logging.WARNING):
        marks, _ = read(client)
    assert len(marks) == 101
    assert "100 documents share the instant 2027-03-01T08:00:00.000Z" in caplog.text


def test_a_fresh_link_is_found_behind_a_border(sandbox: SandboxProcess, client: IveskClient) -> None:
    """Documents of several companies share an instant, and each page shows one company only."""
    sandbox.control.reset(documents=0, borders="hard", from_is="inclusive", page_size=3)
    for company in ("395901624", "391016469"):
        sandbox.control.add(3, company=company, instant="2027-03-01T08:00:00.000Z")
    sandbox.control.add(2, company="395901624")
    for page in client.pages("exported", Bookmark()):
        for document in page.records:
            link = client.fresh_link("exported", document)
            assert link
            assert (text(document, "id") or "?") in link


def test_a_document_that_has_moved_on_has_no_fresh_link(sandbox: SandboxProcess, client: IveskClient) -> None:
    document = next(iter(client.pages("exported", Bookmark()))).records[0]
    sandbox.control.export([text(document, "id") or ""])
    sandbox.control.clear_calls()
    assert client.fresh_link("exported", document) is None
    assert len(sandbox.control.calls()) <= 4


def test_empty_pages_that_point_back_do_not_end_the_reading(
    sandbox: SandboxProcess, client: IveskClient, meaning: tuple[str, ...]
) -> None:
    sandbox.control.options(empty_page_every=2)
    marks, _ = read(client)
    assert marks == held(sandbox.control)


def test_empty_pages_with_next_behind_a_filter(sandbox: SandboxProcess, client: IveskClient) -> None:
    """A rare kind of document: most pages are empty, and `next` goes on."""
    sandbox.control.options(doctype_filter="after")
    kinds = [document["doctype"] for document in sandbox.control.documents()]
    rare = min(set(kinds), key=kinds.count)
    found = [d for page in client.pages("exported", Bookmark(), rare) for d in page.records]
    assert len(found) == kinds.count(rare) > 0
    assert {text(d, "doctype") for d in found} == {rare}


def test_start_date_leaves_out_what_is_older(
    sandbox: SandboxProcess, client: IveskClient, meaning: tuple[str, ...]
) -> None:
    instants = [at for _, at in held(sandbox.control)]
    start = instants[len(instants) // 2]
    marks, _ = read(client, Bookmark.from_state({}, start))
    assert marks == [mark for mark in held(sandbox.control) if mark[1] >= start]


def test_a_later_start_date_wins_over_the_bookmark(sandbox: SandboxProcess, client: IveskClient) -> None:
    instants = [at for _, at in held(sandbox.control)]
    marks, _ = read(client, Bookmark.from_state({"replication_key_value": instants[10]}, instants[200]))
    assert marks == [mark for mark in held(sandbox.control) if mark[1] >= instants[200]]


@pytest.mark.parametrize("instant", [None, "", "soon"])
def test_a_document_without_a_readable_instant_is_kept_and_not_repeated(
    sandbox: SandboxProcess, client: IveskClient, instant: str | None
) -> None:
    sandbox.control.add(1, overrides={"exportedat": instant})
    odd = sandbox.control.add(1)
    marks, bookmark = read(client)
    assert len(marks) == len(sandbox.control.documents())
    assert odd[0] in {id_ for id_, _ in marks}
    assert read(client, through_state(bookmark))[0] == []


def test_a_document_without_an_instant_does_not_pass_for_an_inclusive_from(
    sandbox: SandboxProcess, client: IveskClient
) -> None:
    """It begins a page; looking back behind later borders goes on all the same."""
    sandbox.control.reset(documents=0, from_is="exclusive", borders="cut")
    sandbox.control.add(3, company="395901624", instant="2027-03-01T08:00:00.000Z")
    sandbox.control.add(1, company="391016469", overrides={"exportedat": None})
    sandbox.control.add(60, company="395901624")
    sandbox.control.add(80, company="395901624", instant="2027-06-01T08:00:00.000Z")
    sandbox.control.add(1, company="395901624")
    marks, _ = read(client)
    assert sorted(id_ for id_, _ in marks) == sorted(d["id"] for d in sandbox.control.documents())


def test_the_edges_of_time_and_what_stands_for_nothing() -> None:
    """The first and the last instant stand for none in many systems; a list without documents may be null."""
    page = b"""{"documents": [{"id": "a", "exportedat": "0001-01-01T00:00:00Z"},
        {"id": "b", "exportedat": "9999-12-31T23:59:59.999Z"}], "next": "9999-12-31T23:59:59.999Z"}"""
    later = page.replace(b'{"id": "a", "exportedat": "0001-01-01T00:00:00Z"},', b"")
    answers, asked = [page, later, later, b'{"documents": null, "next": ""}'], []

    def fetch(moment: str) -> Answer:
        asked.append(moment)
        return decode(answers.pop(0), msgspec.json.Decoder(Answer))

    pages = [*QueueReader(fetch, "exportedat", Bookmark())]
    assert [text(document, "id") for page in pages for document in page.records] == ["a", "b"]
    assert len(asked) == 4
    assert asked[-1] == "9999-12-31T23:59:59.999Z"


def test_a_document_without_id_stops(sandbox: SandboxProcess, client: IveskClient) -> None:
    sandbox.control.add(1, remove=["id"])
    with pytest.raises(Stop, match="no id"):
        read(client)


@pytest.mark.parametrize(
    "bookmark",
    ["2026-01-08T00:00:00Z", "2026-01-08", "2026-01-08T02:00:00.000+02:00", "2026-01-08 00:00:00", "2026-01-08T00:00"],
)
def test_bookmarks_by_hand(sandbox: SandboxProcess, client: IveskClient, bookmark: str) -> None:
    """A bookmark that somebody typed: a date, another zone, no milliseconds; a text without a zone is UTC."""
    marks, _ = read(client, Bookmark.from_state({"replication_key_value": bookmark}, None))
    assert marks == [mark for mark in held(sandbox.control) if mark[1] >= "2026-01-08T00:00:00.000Z"]


@pytest.mark.parametrize("bookmark", ["yesterday", "2026-13-01", "", 20260108.5])
def test_an_unreadable_bookmark_stops(bookmark: Any) -> None:
    with pytest.raises(Stop, match="state"):
        Bookmark.from_state({"replication_key_value": bookmark}, None)


def test_one_request_finds_that_nothing_is_new(sandbox: SandboxProcess, client: IveskClient) -> None:
    _, bookmark = read(client)
    sandbox.control.clear_calls()
    read(client, bookmark)
    assert len(sandbox.control.calls()) == 1


def test_an_outage_in_the_middle_loses_nothing(sandbox: SandboxProcess, client: IveskClient) -> None:
    sandbox.control.fault("status", status=503, times=3, after=4)
    kept: list[Mark] = []
    bookmark = Bookmark()
    with pytest.raises(Outage, match="503"):  # noqa: PT012 - what was read before is the point
        for page in client.pages("exported", bookmark):
            kept += [(text(d, "id") or "", text(d, "exportedat") or "") for d in page.records]
            bookmark = page.bookmark
    assert kept
    rest, _ = read(client, through_state(bookmark))
    assert kept + rest == held(sandbox.control)
