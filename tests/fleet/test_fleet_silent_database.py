"""A PostgreSQL that says nothing any more, as behind a firewall that drops everything: it ends in words, and soon."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.fleet.conftest import Fleet, needs_postgresql
from tests.postgresql import empty_database

QUICK = "connect_timeout=1&tcp_user_timeout=1000"


@contextlib.contextmanager
def mute() -> Iterator[str]:
    """URL of a server that takes every connection and answers nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"postgresql://ap:geheim-4711@127.0.0.1:{server.getsockname()[1]}/w?{QUICK}"


@contextlib.contextmanager
def falling_silent(url: str, word: bytes) -> Iterator[str]:
    """URL of a database that is never heard of again once a client has sent a word."""
    place = urlsplit(url)
    ends, is_silent = threading.Event(), threading.Event()
    open_ones: list[socket.socket] = []

    def carry(client: socket.socket) -> None:
        with client, socket.create_connection((place.hostname or "", place.port or 5432)) as database:
            while not ends.is_set():
                for one in select.select([client, database], [], [], 0.1)[0]:
                    content = one.recv(65536)
                    if not content:
                        return
                    if one is client and word in content:
                        is_silent.set()
                    if not is_silent.is_set():
                        (database if one is client else client).sendall(content)

    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(16) as pool:
        server.settimeout(0.1)

        def take() -> None:
            while not ends.is_set():
                with contextlib.suppress(TimeoutError):
                    open_ones.append(server.accept()[0])
                    pool.submit(carry, open_ones[-1])

        pool.submit(take)
        yield place._replace(netloc=f"{place.username}@127.0.0.1:{server.getsockname()[1]}", query=QUICK).geturl()
        ends.set()


def test_who_never_answers_is_named_in_time(fleet: Fleet) -> None:
    """By every command of the fleet."""
    words = "PostgreSQL at 127.0.0.1: connection timeout expired"
    with mute() as url:
        fleet.write(fleet.company(1), warehouse=url, state=url, retries=0)
        asked: list[tuple[str, ...]] = [
            ("status",),
            ("history",),
            ("check", "--format=json"),
            ("run", "--format=json"),
            ("remove", "c1"),
        ]
        with ThreadPoolExecutor(len(asked)) as pool:
            done = dict(zip([one[0] for one in asked], pool.map(lambda one: fleet.done(*one), asked), strict=True))
            listed = {"query": {"database": url, "sql": "select 1"}}
            (fleet.folder / "other.yml").write_text(json.dumps({"companies": listed}), encoding="utf-8")
            fleet.path = fleet.folder / "other.yml"
            done["list"] = fleet.done("status")
    said = {name: (one.stdout + one.stderr).decode() for name, one in done.items()}
    assert {name: one.returncode for name, one in done.items()} == {
        "status": 2,
        "history": 2,
        "check": 1,
        "run": 1,
        "remove": 2,
        "list": 2,
    }
    assert all(words in one for one in said.values()), said
    assert "geheim" not in str(said)
    results = [json.loads(done[name].stdout) for name in ("check", "run")]
    assert [one["status"] for one in results] == ["outage", "outage"]
    # The history is missed once, and nothing else.
    assert said["run"].count("the history could not be written: state: ") == 1


@pytest.mark.long
@needs_postgresql
def test_a_batch_goes_on_without_a_database_of_states_that_falls_silent(fleet: Fleet) -> None:
    url = empty_database("silent")
    with falling_silent(url, b"INSERT INTO fleet_history") as through:
        fleet.write(*fleet.companies(2), state=through)
        done = fleet.done("run", "--format=json", "--jobs=1")
    results: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(one["company"], one["status"]) for one in results] == [("c1", "done"), ("c2", "done")]
    told = done.stderr.decode()
    words = "state: PostgreSQL at 127.0.0.1: no answer within 1 s (tcp_user_timeout)"
    assert told.count(f"the history could not be written: {words}") == 1, told
    assert not any(fleet.differences(number) for number in (1, 2))
