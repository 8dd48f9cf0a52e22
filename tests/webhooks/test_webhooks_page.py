"""The receiver's page: what it shows, who may see it, and that its buttons run a job again."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from ap_connectors.core.errors import Stop
from ap_connectors.webhooks import rules, settings
from tests.browser import Tab
from tests.webhooks.serve_process import TOKEN, Webhooks, rule

if TYPE_CHECKING:
    from playwright.sync_api import Browser

EVIL = "<script>document.title='stolen'</script><img src=x onerror=\"document.title='stolen'\">"
PASSWORD = "page-token-of-the-tests"
ENV_SECRET = "hush-of-the-environment"


class Paged(Webhooks):
    """A receiver with a page."""

    own = ""

    def get(self, **request: Any) -> requests.Response:
        return self.http.get(self.page, timeout=20, **request)

    def retry(
        self, number: object, *, name: str = "run", token: str | None = None, **headers: str
    ) -> requests.Response:
        if found := re.search(r'name="token" value="([^"]*)"', self.get().text):
            self.own = found[1]
        given = {name: str(number), "token": self.own if token is None else token}
        return self.http.post(f"{self.page}retry", data=given, headers=headers, allow_redirects=False, timeout=20)


@pytest.fixture
def hooks(tmp_path: Path) -> Iterator[Paged]:
    """A receiver whose rule fails until there is a file `good`."""
    script = "test -e good && echo again >> done.txt && exit; cat told.txt; exit 3"
    told = f"\x1b[31mERROR\x1b[0m {TOKEN} {ENV_SECRET} {EVIL}\nall of it is over\n"
    (tmp_path / "told.txt").write_text(told, encoding="utf-8")
    rules = [
        rule(script, retries=0, env=[f"HUSH={ENV_SECRET}"]),
        {"name": "lost", "on": ["ivesk.on_exported"], "run": ["no-such-program"]},
    ]
    webhooks = Paged(tmp_path, rules=rules, page_port=0)
    with webhooks:
        yield webhooks


def fail(hooks: Paged) -> None:
    hooks.serve()
    assert hooks.post("events", {"event": EVIL, "data": {"id": "1", "companyId": EVIL}}) == 200
    hooks.wait_for(lambda: hooks.statuses() == ["failed"])


def test_what_failed_is_shown_and_retried_in_a_browser(hooks: Paged, browser: Browser) -> None:
    fail(hooks)
    for scheme, width in (("dark", 320), ("light", 1280)):
        with Tab(browser, scheme=scheme, width=width, online=True) as tab:
            page = tab.open(hooks.page)
            assert page.title() == "(1) ap-webhooks"
            assert page.locator("[data-live=runs] td code").inner_text() == f"ERROR *** *** {EVIL}"
            row = page.locator("[data-live=events] tbody tr")
            assert row.locator("th").all_inner_texts() == [f"vicai.{EVIL}"] * 2
            assert (
                page.locator("[data-live=rules]").get_by_text("its program no-such-program is not found").is_visible()
            )
            assert (tab.overflow, tab.sideways) == (0, 0)
            assert "1 rule cannot run: see Rules." in page.locator(".verdict.bad").inner_text()
            assert page.locator("main img, main script").count() == 0
            if width == 1280:
                (hooks.folder / "good").touch()
                page.get_by_role("button", name="Retry run 1").focus()
                page.keyboard.press("Enter")
                page.get_by_text("Retry run 1: it is due now.").wait_for()
                # By itself.
                page.get_by_text("No run has failed for good.").wait_for()
                assert page.locator(".verdict.good").count() == 0, "a rule cannot run"
                page.locator("[data-live=runs] .badge.good").wait_for()
                assert page.title() == "ap-webhooks"
            assert tab.complaints == []
            assert all(url.startswith((hooks.page, "data:")) for url in tab.requests)
    assert hooks.lines() == ["again"]
    assert hooks.statuses() == ["done"]


def test_a_run_that_is_tried_again_is_told_at_the_top(hooks: Paged) -> None:
    first, *others = hooks.settings["rules"]
    hooks.write(rules=[{**first, "retries": 9}, *others])
    hooks.serve()
    assert hooks.post("events", {"event": "vendor_new", "data": {"id": "1", "companyId": "7"}}) == 200
    hooks.wait_for(lambda: "1 run has failed and is tried again by itself." in hooks.get().text)


def test_only_the_page_itself_can_retry(hooks: Paged) -> None:
    fail(hooks)
    (hooks.folder / "good").touch()
    own = hooks.page.rstrip("/")
    refused = [
        hooks.retry(1),
        hooks.retry(1, **{"Origin": "https://evil.example"}),
        hooks.retry(1, **{"Origin": "null"}),
        hooks.retry(1, **{"Origin": own, "Sec-Fetch-Site": "cross-site"}),
        hooks.retry(1, **{"Sec-Fetch-Site": "same-site"}),
        hooks.retry(1, token="", Origin=own),
        hooks.retry(1, token=PASSWORD, Origin=own),
    ]
    assert [answer.status_code for answer in refused] == [403] * len(refused)
    assert hooks.http.get(f"{hooks.page}retry?run=1", timeout=20).status_code == 405
    told = {run: hooks.retry(run, Origin=own).text for run in ("2", "x", "9" * 30, "")}
    assert told["2"] == "retry: there is no run 2; see `ap-webhooks runs`.\n"
    assert {told[run] for run in ("x", "9" * 30, "")} == {"retry: there is no such run or event.\n"}
    assert hooks.statuses() == ["failed"]
    assert hooks.lines() == []
    assert hooks.retry("failed", **{"Sec-Fetch-Site": "same-origin"}).status_code == 303
    hooks.wait_for(lambda: hooks.statuses() == ["done"])
    assert hooks.lines() == ["again"]
    assert hooks.retry(1, Origin=own).text.startswith("retry: run 1 is done; only failed and waiting runs")
    assert hooks.retry(9, name="event", Origin=own).text.startswith("retry: there is no event 9")
    assert hooks.retry(1, name="event", Origin=own).status_code == 303
    hooks.wait_for(lambda: hooks.statuses() == ["done"] * 2)
    assert hooks.lines() == ["again"] * 2


def test_it_is_seen_at_this_machine_only_and_not_where_services_call(hooks: Paged) -> None:
    hooks.serve()
    port = hooks.page.rstrip("/").rpartition(":")[2]
    answer = hooks.get(headers={"Host": f"localhost:{port}"})
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"] == "frame-ancestors 'none'"
    others = [
        {"Host": "hooks.example.com"},
        {"Host": f"127.0.0.1.evil.example:{port}"},
        {"Host": "[::1"},
        {"X-Forwarded-For": "10.0.0.1"},
        {"Forwarded": "for=10.0.0.1"},
        {"Via": "1.1 proxy"},
    ]
    for headers in others:
        refused = hooks.get(headers=headers)
        assert (refused.status_code, "No run" in refused.text) == (403, False), headers
    # The port that a proxy makes public has no page.
    for path in ("", "/page", "/retry"):
        assert hooks.http.get(hooks.url + path, timeout=20).status_code == 404
    hooks.stop()
    hooks.write(page_token=PASSWORD)
    hooks.serve()
    assert hooks.get().headers["www-authenticate"].startswith("Basic")
    forwarded = {"X-Forwarded-For": "10.0.0.1", "Host": "ap.example.com"}
    for given, status in (((None, None), 401), (("me", "x"), 401), (("me", TOKEN), 401), (("me", PASSWORD), 200)):
        auth = given if given[0] else None
        assert hooks.get(auth=auth, headers=forwarded).status_code == status
    assert hooks.http.get(hooks.page, headers={"Authorization": "Basic ?"}, timeout=20).status_code == 401
    assert PASSWORD not in hooks.log


def test_a_page_for_other_machines_needs_a_token(tmp_path: Path) -> None:
    for given, words in {
        "page_port: 8724\npage_host: 0.0.0.0": "line 2: page_host: 0.0.0.0 lets other machines see the page: set",
        "page_token: short": "line 1: page_token: must be 16 characters or more",
        "page_port: 70000": "line 1: page_port: must be a whole number from 0 to 65535",
    }.items():
        path = tmp_path / "webhooks.yml"
        path.write_text(given, encoding="utf-8")
        with pytest.raises(Stop, match=re.escape(words)):
            settings.read(str(path))


def test_what_the_last_reconcile_found_is_kept(hooks: Paged) -> None:
    hooks.serve()
    assert "Nothing was compared yet" in hooks.get().text
    assert hooks.post("events", {"event": EVIL, "data": {"id": "1"}}) == 200
    hooks.wait_for(lambda: hooks.statuses() == ["failed"])
    hooks.write(grace="0s")
    hooks.run("reconcile", expect=1)
    hooks.wait_for(lambda: "1 gap<" in hooks.get().text)
    told = hooks.get().text
    assert "run 1 of job failed for good: ended with status 3" in told
    assert EVIL not in told
    (hooks.folder / "good").touch()
    hooks.run("reconcile", "--mend", expect=1)
    hooks.wait_for(lambda: hooks.statuses() == ["done"])
    hooks.wait_for(lambda: "What was done about it" in hooks.get().text)
    hooks.run("reconcile")
    hooks.wait_for(lambda: "nothing is missing" in hooks.get().text)


def test_events_are_counted_by_how_far_they_have_come(hooks: Paged) -> None:
    hooks.serve()
    with closing(sqlite3.connect(hooks.folder / "webhooks.db")) as connection, connection:
        stored = (
            "INSERT INTO events (service, kind, dedup_key, received_at, deliveries, body) VALUES (?, ?, ?, ?, 1, '')"
        )
        for number, at in enumerate(["2999-01-01T00:00:00.000Z"] * 5 + ["2001-01-01T00:00:00.000Z"]):
            connection.execute(stored, ("vicai", "k", str(number), at))
        columns = "id, job, status, not_before, created_at, due_by, attempts"
        run = f"INSERT INTO runs ({columns}) VALUES (?, ?, ?, '2999-01-01T00:00:00.000Z', '', '', 0)"
        for number, (job, status) in enumerate(
            [("job", "done"), ("job", "failed"), ("lost", "done"), ("gone", "failed"), ("job", "waiting")], 1
        ):
            connection.execute(run, (number, job, status))
        # Done; failed, then done; done by one rule, failed by another; failed by a rule of the past; waits.
        covered = [(1, 1), (2, 2), (1, 2), (3, 3), (2, 3), (4, 4), (5, 5)]
        connection.executemany("INSERT INTO run_events (run_id, event_id) VALUES (?, ?)", covered)
        connection.execute("INSERT INTO planned (id, event_id) VALUES (1, 6)")
    text = hooks.get().text
    events = text[text.index("title-events") : text.index("title-gaps")]
    rows = re.search(r"The latest that no run covers.*", events, re.DOTALL)
    assert rows
    assert re.findall(r"Run the rules of event (\d+)", rows[0]) == ["4", "3"]
    events = events[: rows.start()]
    heads = re.findall(r'<th scope="col"[^>]*>([^<]*)<', events)
    cells = re.findall(r"<td class=\"n[^>]*>([^<]*)<", events)
    assert dict(zip(heads[1:], cells, strict=True)) == {
        "failed": "1",
        "waiting": "1",
        "done": "2",
        "without a run": "1",
    }


def test_commands_that_cannot_run_are_told_at_the_start(hooks: Paged) -> None:
    hooks.serve()
    assert "ERROR" in hooks.log
    assert "rules: lost: its program no-such-program is not found" in hooks.log
    assert "rules: job:" not in hooks.log


def test_a_command_is_looked_for_where_it_will_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "bin" / "tool"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\n")
    path = tmp_path / "webhooks.yml"

    def problems(given: str) -> list[str]:
        path.write_text(f"rules:\n- on: vicai.*\n  {given}\n", encoding="utf-8")
        return list(rules.problems(settings.read(str(path)).rules))

    assert "tool is not found" in problems("run: bin/tool --key hush")[0]
    tool.chmod(0o755)
    assert problems("run: bin/tool --key hush") == []
    assert "tool is not found" in problems("run: tool --key hush")[0]
    assert "hush" not in problems("run: tool --key hush")[0]
    assert problems(f"run: tool --key hush\n  env: ['PATH={tool.parent}']") == []
    monkeypatch.setenv("PATH", f"{tool.parent}{os.pathsep}/bin")
    assert problems("run: tool") == []
    assert problems("run: tool\n  cwd: nowhere") == [
        f"rules: tool: its folder {tmp_path / 'nowhere'} does not exist: create it, or correct `cwd`. "
        "Until then its runs fail, and are retried."
    ]
