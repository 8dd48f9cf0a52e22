"""The inbox by itself: what is stored, what is known already, and in which order it is handed out."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from ap_connectors.core.errors import Outage, Stop
from ap_connectors.webhooks.inbox import Delivery, Inbox, Stored
from tests.postgresql import empty_database, needs_postgresql


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=needs_postgresql)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'inbox.db'}"
    return empty_database("webhooks")


@pytest.fixture
def inbox(url: str) -> Iterator[Inbox]:
    opened = Inbox(url)
    yield opened
    opened.close()


def delivery(key: str, *, service: str = "vicai", document: bytes | None = None, body: bytes = b"{}") -> Delivery:
    return Delivery(service, "invoicePost", key, "Į", None, body, document, "ą.pdf", "application/pdf")


def test_what_comes_out_is_what_went_in(inbox: Inbox) -> None:
    given = [delivery("1", body='{"a": "ž\\u0000"}'.encode()), delivery("2", document=bytes(range(256)))]
    ids = [stored.id for stored in inbox.store(given)]
    events = inbox.after(0)
    assert [event.id for event in events] == ids == sorted(ids)
    for event, wanted in zip(events, given, strict=True):
        assert Delivery(**{name: getattr(event, name) for name in Delivery.__dataclass_fields__}) == wanted
        assert event.deliveries == 1
        assert len(event.received_at) == len("2026-01-05T10:11:12.123Z")
    assert inbox.get(ids[1]) == events[1]
    assert inbox.get(10**9) is None
    assert inbox.after(ids[0]) == events[1:]
    assert inbox.after(ids[1]) == []


def test_duplicates_within_a_group_and_between(inbox: Inbox) -> None:
    first = inbox.store([delivery("1"), delivery("1"), delivery("1", service="ivesk")])
    assert [stored.new for stored in first] == [True, False, True]
    assert first[0].id == first[1].id
    assert inbox.store([delivery("1", body=b"later")]) == [Stored(first[0].id, False)]
    assert [(event.service, event.deliveries, event.body) for event in inbox.after(0)] == [
        ("vicai", 3, b"{}"),
        ("ivesk", 1, b"{}"),
    ]


def test_ids_are_never_given_twice(inbox: Inbox) -> None:
    (last,) = inbox.store([delivery("1")])
    with inbox.database.engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM events"))
    assert inbox.store([delivery("2")])[0].id > last.id


@pytest.mark.long
def test_a_page_of_large_documents_ends_early_and_nothing_is_left_out(inbox: Inbox) -> None:
    deliveries = [delivery(str(number), document=b"x" * 30_000_000) for number in range(4)]
    ids = [stored.id for stored in inbox.store(deliveries)]
    pages, last = [], 0
    while page := inbox.after(last):
        pages.append([event.id for event in page])
        last = page[-1].id
    assert [id_ for page in pages for id_ in page] == ids
    assert max(map(len, pages)) == 2


def test_allowed_topics(url: str, inbox: Inbox) -> None:
    inbox.allow_topic("arn:a")
    inbox.allow_topic("arn:a")
    inbox.allow_topic("arn:b", confirmed=True)
    inbox.allow_topic("arn:a", confirmed=True)
    inbox.allow_topic("arn:a")
    other = Inbox(url)
    found = {one.topic: one.confirmed_at is not None for one in other.allowed_topics()}
    other.close()
    assert found == {"arn:a": True, "arn:b": True}


def test_readers_see_no_gap_that_is_filled_later(url: str, inbox: Inbox) -> None:
    """A bookmark moves over ids; one that appears behind it would never be read."""
    writers = [Inbox(url) for _ in range(3)]

    def write(number: int, own: Inbox) -> None:
        for group in range(25):
            own.store([delivery(f"{number}-{group}-{i}") for i in range(3)])

    threads = [threading.Thread(target=write, args=pair) for pair in enumerate(writers)]
    for thread in threads:
        thread.start()
    seen: list[int] = []
    while any(thread.is_alive() for thread in threads):
        seen += [event.id for event in inbox.after(seen[-1] if seen else 0)]
    seen += [event.id for event in inbox.after(seen[-1] if seen else 0)]
    for own in writers:
        own.close()
    assert len(seen) == len(set(seen)) == 225 == inbox.count()


def test_it_is_durable_and_readable_while_written(tmp_path: Path) -> None:
    inbox = Inbox(str(tmp_path / "plain path.db"))
    inbox.store([delivery("1")])
    with inbox.database.engine.connect() as connection:
        assert connection.execute(sa.text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(sa.text("PRAGMA synchronous")).scalar() == 2
    with closing(sqlite3.connect(tmp_path / "plain path.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert len(inbox.after(0)) == 1
        with pytest.raises(Outage, match="locked"):
            inbox.store([delivery("2")])
    assert inbox.store([delivery("3")])
    assert [event.dedup_key for event in inbox.after(0)] == ["1", "3"]
    inbox.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (lambda folder: str(folder / "nowhere" / "a.db"), "folder"),
        (str, "cannot be opened"),
        (lambda _: "mysql://host/name", "mysql"),
        (lambda _: "sqlite://", "memory"),
        (lambda _: "://", "not the URL"),
        (lambda _: " ", "empty"),
        # Without its driver it does not come to that.
        (lambda _: "postgresql://user:geheim@127.0.0.1:9/name", "cannot be opened|needs the package psycopg"),
    ],
)
def test_one_that_cannot_be_opened(tmp_path: Path, url: Callable[[Path], str], words: str) -> None:
    with pytest.raises(Stop, match=words) as caught:
        Inbox(url(tmp_path))
    assert "geheim" not in str(caught.value)


def test_one_that_is_something_else(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"This is not a database." * 100)
    with pytest.raises(Stop, match="not a database"):
        Inbox(str(tmp_path / "a.db"))


def test_the_inbox_is_for_its_owner_only(tmp_path: Path) -> None:
    inbox = Inbox(str(tmp_path / "inbox.db"))
    inbox.check_writable()
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes["inbox.db"] == 0o600
    assert set(modes.values()) == {0o600}
    inbox.close()


@pytest.mark.long
def test_others_look_in_while_it_is_open(tmp_path: Path) -> None:
    """If our locks are gone, another process that closes the file is SQLite's last user, and removes our journal."""
    path = tmp_path / "inbox.db"
    look = [
        sys.executable,
        "-c",
        f"from ap_connectors.webhooks.inbox import Inbox; i = Inbox({str(path)!r}); print(i.count()); i.close()",
    ]
    inbox = Inbox(str(path))
    for number in range(1, 4):
        inbox.store([delivery(f"k{number}")])
        # Another connection of the same process, as each thread has one.
        with inbox.database.engine.connect(), inbox.database.reading() as second:
            second.execute(sa.text("select 1"))
        looked = subprocess.run(look, capture_output=True, encoding="utf-8", check=True)
        assert looked.stdout.strip() == str(number)
    inbox.close()
