"""The documentation site in a browser: nothing of it comes from elsewhere, and its search finds codes and messages."""

from __future__ import annotations

import functools
import http.server
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ap_connectors.core.reject_codes import CODES
from tests.browser import Tab
from tests.preloaded import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.campaign, pytest.mark.long]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """The site as a folder, and its address."""
    zensical = Path(sys.executable).parent / "zensical"
    if not zensical.exists():
        pytest.skip("needs Zensical, which needs Python 3.11")
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    subprocess.run([zensical, "build", "--strict"], cwd=tmp_path, check=True, capture_output=True, timeout=120)
    folder = tmp_path / "output/site"
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()


def test_it_needs_no_network(site: tuple[Path, str], browser: Browser) -> None:
    folder, address = site
    pages = sorted(folder.rglob("*.html"))
    assert len(pages) > 40
    with Tab(browser, online=True, scheme="dark") as tab:
        for page in pages:
            tab.open(f"{address}/{page.relative_to(folder)}")
        assert [url for url in tab.requests if not url.startswith((address, "data:", "blob:"))] == []
        assert tab.complaints == []


def test_its_search_finds(site: tuple[Path, str], browser: Browser) -> None:
    with Tab(browser, online=True) as tab:
        page = tab.open(f"{site[1]}/index.html")
        field = page.get_by_placeholder("Search").last
        for _ in range(30):
            # The key does nothing until the page's script has come.
            page.keyboard.press("Control+k")
            page.wait_for_timeout(1000)
            if field.is_visible():
                break
        for words in (*sorted(CODES)[::12], "is not a DuckDB file", "client_id and client_secret are not accepted"):
            field.fill(words)
            page.get_by_text(re.compile(r"^[1-9][\d,]* results?$")).wait_for()
            field.fill("")
