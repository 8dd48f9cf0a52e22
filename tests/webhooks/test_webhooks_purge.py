"""Old events are deleted once they are processed; readers and comparisons know of it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ap_connectors.core import instants
from ap_connectors.webhooks.config_file import Command, Texts
from ap_connectors.webhooks.database import now_ms
from ap_connectors.webhooks.inbox import Delivery, Inbox
from ap_connectors.webhooks.purge import purge
from ap_connectors.webhooks.rules import Rule
from ap_connectors.webhooks.runs import Runs
from ap_connectors.webhooks.settings import Settings
from tests.conftest import runner
from tests.postgresql import empty_database, needs_postgresql
from tests.webhooks.serve_process import Webhooks, rule

DAY = 86_400.0


def aged(inbox: Inbox, days: float, where: str = "1 = 1") -> None:
    with inbox.database.engine.begin() as connection:
        at = instants.text(now_ms() - int(days * DAY * 1000))
        connection.execute(sa.text(f"UPDATE events SET received_at = '{at}' WHERE {where}"))


def fill(inbox: Inbox, count: int, kind: str = "vendorNew") -> list[int]:
    keys = range(inbox.count(), inbox.count() + count)
    return [one.id for one in inbox.store([Delivery("vicai", kind, f"{n}", None, None, b"{}") for n in keys])]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=needs_postgresql)])
def inbox(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    opened = Inbox(str(tmp_path / "inbox.db") if request.param == "sqlite" else empty_database("webhooks"))
    yield opened
    opened.close()


def test_only_what_is_old_and_done_goes(inbox: Inbox) -> None:
    rules = (Rule(on=Texts(("vicai.vendorNew",)), run=Command(("true",)), name="job"),)
    settings, runs = Settings(rules=rules), Runs(inbox.database)
    done, failed, waiting = fill(inbox, 250), fill(inbox, 3), fill(inbox, 3)
    runs.queue("other", None, waiting)
    for ids in (done, failed):
        queued = runs.get(runs.queue("job", None, ids))
        assert queued
        started = runs.start(queued)
        assert started
        if ids is done:
            runs.done(started)
        else:
            runs.failed(started, 1, "x", None)
    unwanted, recent = fill(inbox, 5, "syncRequest"), fill(inbox, 4, "syncRequest")
    aged(inbox, 200, f"id < {recent[0]}")
    found = purge(settings, inbox, 180 * DAY)
    assert (found.deleted, found.kept) == (255, 6)
    assert [event.id for event in inbox.since("")] == [*failed, *waiting, *recent]
    assert inbox.purged() == (unwanted[-1], found.before)
    # Once more does nothing; numbers go on.
    assert purge(settings, inbox, 180 * DAY).deleted == 0
    assert fill(inbox, 1)[0] > recent[-1]
    with inbox.database.reading() as connection:
        left = set(connection.execute(sa.text("SELECT event_id FROM run_events")).scalars())
    assert left == {*failed, *waiting}


def test_the_newest_stays_so_that_readers_know_the_inbox(tmp_path: Path) -> None:
    inbox = Inbox(str(tmp_path / "webhooks.db"))
    fill(inbox, 10)
    tap = runner("tap_webhooks", tmp_path, {"inbox": str(tmp_path / "webhooks.db")})
    first = tap()
    fill(inbox, 5)
    aged(inbox, 400)
    assert purge(Settings(), inbox, 180 * DAY).deleted == 14
    later = tap(state=first.state)
    assert [record["id"] for record in later.records["webhook_events"]] == [15]
    assert "Events up to 14 that were received before" in later.err
    assert "those after 10 were never read here" in later.err
    again = tap(state=later.state)
    assert (again.records["webhook_events"], "deleted" in again.err) == ([], False)
    # A bookmark beyond the newest is of another inbox.
    foreign = json.loads(json.dumps(later.state).replace("15", "16"))
    assert "does not have event 16" in tap(state=foreign, expect=1).err
    inbox.close()


@pytest.mark.long
def test_the_command_and_the_setting(tmp_path: Path) -> None:
    with Webhooks(tmp_path, rules=[rule("true", debounce="0s")]).serve() as hooks:
        for number in range(3):
            hooks.batch(number)
        hooks.wait_for(lambda: hooks.statuses() and set(hooks.statuses()) == {"done"})
        hooks.wait_for(lambda: len(hooks.rows("run_events")) == 3 and set(hooks.statuses()) == {"done"})
        assert "give --older-than" in hooks.run("purge", expect=1)
        assert "--older-than: must be 35d or more" in hooks.run("purge", "--older-than", "30d", expect=1)
        assert "must be a time such as" in hooks.run("purge", "--older-than", "soon", expect=2)
        assert "0 events" in hooks.run("purge", "--older-than", "180d")
        with closing(sqlite3.connect(tmp_path / "webhooks.db", timeout=30)) as connection, connection:
            connection.execute("UPDATE events SET received_at = '2020-01-01T00:00:00.000Z'")
        assert "2 events received before" in hooks.run("purge", "--older-than", "180d")
        assert hooks.stop() == 0
        hooks.write(keep_events="34d")
        assert "keep_events: must be 35d or more" in hooks.run("events", expect=1)
        hooks.write(keep_events="35d")
        hooks.serve()
        hooks.batch(3)
        hooks.wait_for(lambda: len(hooks.rows("events")) == 2)
        hooks.stop()
        hooks.serve()
        hooks.wait_for(lambda: len(hooks.rows("events")) == 1)
        assert "1 events received before" in hooks.run("purge") + hooks.log
        assert "was not compared: events of that time were purged" in hooks.run("reconcile", "--days", "60")
