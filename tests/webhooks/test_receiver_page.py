"""The receiver's page: closed without its token; shows runs, errors, events and gaps as text; retries."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from ap_connectors.webhooks.gaps import keep_report
from ap_connectors.webhooks.inbox import Inbox
from tests.browser import Tab
from tests.webhooks.serve_process import TOKEN, Webhooks, rule

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

OPENS = "opens-the-page-of-the-receiver"
EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>"
FAILS = f"echo try >> done.txt; test -e ready && exit 0; echo 'sh: {EVIL}: error with {OPENS}'; exit 3"


@pytest.fixture
def hooks(tmp_path: Path) -> Iterator[Webhooks]:
    rules = [
        rule(FAILS, retries=0),
        rule("", name="lost", run=["no-such-program", "--token", "x"], on=["vicai.syncRequest"]),
    ]
    with Webhooks(tmp_path, rules=rules, page_token=OPENS).serve() as served:
        served.post("events", {"event": EVIL, "data": {"id": EVIL, "companyId": EVIL}})
        served.batch(1)
        served.wait_for(lambda: served.statuses() == ["failed"])
        yield served


def opened(tab: Tab, hooks: Webhooks) -> Page:
    page = tab.open(f"{hooks.url}/")
    page.get_by_label("Token").fill(OPENS)
    page.keyboard.press("Enter")
    page.wait_for_selector("h2")
    return page


def test_what_it_shows_and_retries(hooks: Webhooks, browser: Browser) -> None:
    inbox = Inbox(str(hooks.folder / "webhooks.db"))
    keep_report(inbox, {"gaps": [{"words": f"event 7 {EVIL}"}], "compared": {"events": 12}, "notes": []})
    inbox.close()
    with Tab(browser, online=True) as tab:
        page = opened(tab, hooks)
        assert page.locator(".verdict").inner_text().startswith("1 of the last runs failed, and is not tried again.")
        row = page.locator("tr:has-text('failed')").first
        assert "sh: <script>alert(1)</script>" in row.inner_text()
        assert OPENS not in page.content()
        assert "no-such-program is not found: install it" in page.locator("main").inner_text()
        assert f"event 7 {EVIL}" in page.locator("li").inner_text()
        assert page.locator("main script, main img").count() == 0
        (hooks.folder / "ready").touch()
        page.get_by_role("button", name="Retry run 1").focus()
        page.keyboard.press("Enter")
        page.wait_for_selector("[role=status]")
        hooks.wait_for(lambda: hooks.statuses() == ["done"])
        assert hooks.lines() == ["try"] * 2
        # It shows by itself what has happened since.
        page.wait_for_selector("text=All events of the last 7 days are processed", timeout=20_000)
        assert tab.complaints == ["Failed to load resource: the server responded with a status of 401 (Unauthorized)"]
        assert {url.split("?")[0] for url in tab.requests} <= {
            f"{hooks.url}/{one}" for one in ("", "page/open", "page/retry")
        }
    assert "rules: lost cannot run: no-such-program is not found" in hooks.log
    assert OPENS not in hooks.log


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 320)])
def test_on_any_screen(hooks: Webhooks, browser: Browser, scheme: str, width: int) -> None:
    with Tab(browser, scheme=scheme, width=width, online=True) as tab:
        opened(tab, hooks)
        assert tab.overflow == 0


def test_it_is_closed(hooks: Webhooks) -> None:
    with requests.Session() as http:
        http.trust_env = False
        locked = http.get(f"{hooks.url}/", timeout=30)
        assert locked.status_code == 401
        assert "failed" not in locked.text
        assert http.post(f"{hooks.url}/page/open", data={"token": TOKEN}, timeout=30).status_code == 401
        assert http.get(f"{hooks.url}/", cookies={"ap_webhooks_page": OPENS}, timeout=30).status_code == 401
        assert http.post(f"{hooks.url}/page/retry", data={"run": "1", "form": ""}, timeout=30).status_code == 403
        assert http.post(f"{hooks.url}/page/open", data={"token": OPENS}, timeout=30).status_code == 200
        # Even with the cookie: the form of another site does not know its word.
        assert http.post(f"{hooks.url}/page/retry", data={"run": "1"}, timeout=30).status_code == 403
        assert http.post(f"{hooks.url}/page/retry", data={"run": "1" * 9000}, timeout=30).status_code == 413
    assert hooks.statuses() == ["failed"]


def test_without_a_token_there_is_none(tmp_path: Path) -> None:
    with Webhooks(tmp_path).serve() as hooks:
        assert hooks.http.get(f"{hooks.url}/", timeout=30).status_code == 404
        hooks.write(page_token="short")
        assert "page_token: must be 16 characters or more" in hooks.run("events", expect=1)
