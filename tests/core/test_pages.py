"""The kit of pages: what is put in stays text, nothing is asked of a network, and people can use it with any means."""

from __future__ import annotations

import importlib.util
import io
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pypdf
import pytest

from ap_connectors.core import pages
from ap_connectors.core.errors import Stop
from ap_connectors.core.manners import MANNERS
from tests.browser import Tab
from tests.campaign import one_in

if TYPE_CHECKING:
    from playwright.sync_api import Browser

EVIL = "<script>alert('x')</script><img src=x onerror=alert(1)>\"'&"
TEMPLATE = """{% extends "page.html" %}
{% from "page_parts.html" import table, badge %}
{% block title %}{{ name }}{% endblock %}
{% block main %}
<h1>{{ name }}</h1>
<p title="{{ name }}">{{ badge("bad", name) }} <a href="https://example.com/{{ name | urlencode }}">a link</a></p>
{% call table("Vendors", ["name", "#amount"], sortable=true, search=true, say=say) %}
<tbody>
{% for vendor, amount in rows %}
<tr><td>{{ vendor }}</td><td class="n" data-value="{{ amount }}">{{ amount | amount }}</td></tr>
{% endfor %}
</tbody>
{% endcall %}
{% endblock %}
"""
ROWS = [
    ("Žalgirio pieninė, UAB", "9007199254740993.01"),
    ("Ålesund Fisk AS", "9007199254740993.00"),
    ("evil\u202egnp.exe\x00", "-5"),
    *((f"Vendor {number:03}", str(number)) for number in range(200)),
]


@pytest.mark.parametrize(
    ("language", "number", "amount", "instant", "month"),
    [
        ("en", "-1,234,567.500", "1,234,567.50", "5 January 2026, 10:29:57 UTC", "December 2026"),
        ("lt", "−1 234 567,500", "1 234 567,50", "2026-01-05 10:29:57 UTC", "2026-12"),
        ("no", "−1 234 567,500", "1 234 567,50", "5. januar 2026 kl. 10:29:57 UTC", "desember 2026"),
    ],
)
def test_numbers_and_dates_of_a_country(language: str, number: str, amount: str, instant: str, month: str) -> None:
    manner = MANNERS[language]
    assert manner.number("-1234567.500").replace("\xa0", " ") == number
    assert manner.amount("1234567.5").replace("\xa0", " ") == amount
    assert manner.date("2026-01-05T10:29:57.534Z") == instant
    assert manner.date("2026-12") == month
    assert manner.date("not a day") == "not a day"
    assert manner.number(-12) in {"-12", "−12"}


@pytest.mark.parametrize("language", MANNERS)
def test_every_digit_of_an_amount_is_shown(language: str) -> None:
    manner = MANNERS[language]
    digits = "".join(one for one in manner.amount("1234567890123456789.1234567") if one.isdigit())
    assert digits == "12345678901234567891234567"
    assert manner.amount(None) == "–"
    assert manner.gap(Decimal("1.10"), Decimal("1.1")) == ""
    assert manner.gap(None, Decimal(2)) == f"+2{manner.signs[1]}00"
    assert manner.gap(1, None) == f"{manner.signs[2]}1"


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A page of a room that has its own style and script."""
    room = tmp_path / "room"
    room.mkdir()
    (room / "list.html").write_text(TEMPLATE, encoding="utf-8")
    (room / "list.css").write_text("h1 { letter-spacing: 1px; }", encoding="utf-8")
    (room / "list.js").write_text("document.body.dataset.ran = 'yes';", encoding="utf-8")
    path = tmp_path / f"{EVIL.replace('/', '_')}.html"
    path.write_text(pages.render(room, "list", name=EVIL, rows=ROWS), encoding="utf-8")
    return path


@pytest.fixture
def tab(browser: Browser) -> Iterator[Tab]:
    with Tab(browser) as opened:
        yield opened


def test_what_is_put_in_stays_text(written: Path, tab: Tab) -> None:
    page = tab.open(written)
    assert page.locator("h1").inner_text() == EVIL
    assert page.title() == EVIL
    assert page.locator("main p").first.get_attribute("title") == EVIL
    assert page.locator("main img, main script").count() == 0
    assert page.get_by_text("evil\\u202egnp.exe\\x00").is_visible()
    assert page.locator("body").get_attribute("data-ran") == "yes"
    assert page.evaluate("getComputedStyle(document.querySelector('h1')).letterSpacing") == "1px"
    assert (tab.complaints, tab.requests) == ([], [written.as_uri()])


# Each as if a text had not been escaped.
ATTACKS = (
    "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.stolen = 1'}))",
    "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.stolen = 1\">')",
    "document.body.insertAdjacentHTML('beforeend', '<img src=\"https://127.0.0.1:1/x.png\">')",
    "document.body.insertAdjacentHTML('beforeend', '<p style=\"background: url(https://127.0.0.1:1/x.png)\">')",
    "fetch('http://127.0.0.1:1/').then(() => { window.stolen = 1; }, () => 0)",
)


def test_the_policy_holds_where_escaping_would_not(written: Path, tab: Tab) -> None:
    page = tab.open(written)
    for attack in ATTACKS:
        before = len(tab.complaints)
        page.evaluate(f"() => {{ {attack}; }}")
        page.evaluate("() => new Promise((done) => setTimeout(done))")
        assert any("Content Security Policy" in words for words in tab.complaints[before:]), attack
    assert page.evaluate("window.stolen") is None


def names(page: Any) -> list[str]:
    return [text.split("\t")[0] for text in page.locator("tbody tr:visible").all_inner_texts()]


@pytest.mark.long
def test_sort_and_search_with_the_keyboard(written: Path, tab: Tab) -> None:
    page = tab.open(written)
    field = page.get_by_role("searchbox", name="Search")
    for _ in range(5):
        page.keyboard.press("Tab")
        if field.evaluate("one => one === document.activeElement"):
            break
    page.keyboard.type("vendor 01")
    assert names(page) == [name for name, _ in ROWS if "Vendor" in name and "01" in name]
    assert page.locator("output").inner_text() == f"{len(names(page))} of {len(ROWS)} shown"
    field.fill("ŽALGIRIO")
    assert names(page) == [ROWS[0][0]]
    field.fill("")
    assert page.locator("output").inner_text() == ""
    head = page.get_by_role("columnheader", name="amount")
    # To the table, which scrolls, and its heads.
    field.focus()
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert names(page)[0] == "evil\\u202egnp.exe\\x00"
    assert names(page)[-2:] == [ROWS[1][0], ROWS[0][0]]
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert names(page)[0] == ROWS[0][0]
    assert tab.complaints == []


@one_in(3)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_it_is_read_on_any_screen(browser: Browser, written: Path, scheme: str, width: int) -> None:
    with Tab(browser, scheme=scheme, width=width) as tab:
        page = tab.open(written)
        assert (tab.overflow, tab.sideways) == (0, 0)
        # In a narrow window each cell has the head of its column beside it.
        beside = page.evaluate("getComputedStyle(document.querySelector('td.n'), '::before').content")
        assert ("amount" in beside) == (width == 320)
        ratio = page.evaluate(CONTRAST)
        assert min(ratio.values()) >= 4.5, ratio


# Of every kind of text on its background, by WCAG 2.2.
CONTRAST = """() => {
  const light = (colour) => {
    const parts = colour.match(/[0-9.]+/g).slice(0, 3).map((one) => one / 255);
    const [r, g, b] = parts.map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (one) => {
    const colour = getComputedStyle(one).backgroundColor;
    return colour === "rgba(0, 0, 0, 0)" && one.parentElement ? behind(one.parentElement) : colour;
  };
  const found = {};
  for (const one of document.querySelectorAll("h1, p, a, th button, td, .badge, label, input")) {
    const [a, b] = [light(getComputedStyle(one).color), light(behind(one))];
    found[one.tagName + "." + one.className] = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  }
  return found;
}"""


def test_it_prints_on_a4(browser: Browser, written: Path) -> None:
    with Tab(browser, scheme="dark") as tab:
        tab.open(written)
        printed = pypdf.PdfReader(io.BytesIO(tab.pdf()))
    assert {tuple(round(float(side) / 72 * 25.4) for side in page.mediabox[2:]) for page in printed.pages} == {
        (210, 297)
    }
    texts = [page.extract_text() for page in printed.pages]
    assert len(texts) > 2
    assert all("amount" in text for text in texts), "the head of a table comes on each sheet"
    assert "Search" not in "".join(texts)
    assert all(f"Vendor {number:03}" in "".join(texts) for number in range(200))


def test_a_page_without_scripts_shows_all(browser: Browser, written: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(written.as_uri())
    assert page.locator("tbody tr:visible").count() == len(ROWS)
    assert not page.get_by_role("searchbox").is_visible()
    context.close()


def test_what_is_missing_is_told_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(Stop) as told:
        pages.require("--format html")
    assert str(told.value).startswith("--format html needs jinja2, which is not installed.")
    assert "ap-connectors[reports]" in str(told.value)
    assert json.loads(json.dumps(pages.HEADERS))
