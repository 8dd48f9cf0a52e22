"""A pytest plugin: a real browser for the tests of all pages; they skip without one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog, Page

_NAMES = ("chromium", "chromium-browser", "google-chrome")
# A browser of its own, that asks nothing of anybody.
_OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


# For a module, not for all of a worker: while Playwright is open, its event loop counts as the running one of this
# thread, and whatever runs a loop of its own there, as Dagster does, fails.
@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium of the system, with a new empty profile."""
    with launched(tmp_path_factory.mktemp("browser")) as found:
        yield found


@contextmanager
def launched(home: Path) -> Iterator[Browser]:
    """Start Chromium; caches and crash reports go into `home`."""
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        found = playwright.chromium.launch(
            executable_path=path, args=list(_OPTIONS), env={"HOME": str(home), "XDG_RUNTIME_DIR": str(home)}
        )
        yield found
        found.close()


class Tab:
    """A page in a window of its own: what it complains of, and whatever it asks of any network.

    Args:
        browser: to open it in.
        scheme: "light" or "dark".
        width: of the window in CSS pixels; 320 is a screen of 1280 at 400 % zoom.
        height: likewise.
        online: whether it may ask servers of this machine; else any request is refused.
    """

    def __init__(
        self, browser: Browser, *, scheme: Any = "light", width: int = 1280, height: int = 900, online: bool = False
    ) -> None:
        self.context = browser.new_context(
            color_scheme=scheme, viewport={"width": width, "height": height}, offline=not online
        )
        self.context.set_default_timeout(10_000)
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        self.page.on("dialog", self._dialog)
        self.page.on("request", lambda request: self.requests.append(request.url))

    def open(self, where: Path | str) -> Page:
        """Open a file, or an address."""
        self.page.goto(where.as_uri() if isinstance(where, Path) else where)
        return self.page

    def _dialog(self, dialog: Dialog) -> None:
        self.complaints.append(f"a dialog: {dialog.message}")
        dialog.accept()

    @property
    def overflow(self) -> int:
        """By how many pixels the page is wider than its window; tables that scroll by themselves do not count."""
        root = "document.documentElement"
        return int(self.page.evaluate(f"{root}.scrollWidth - {root}.clientWidth"))

    @property
    def sideways(self) -> int:
        """How many tables scroll by themselves."""
        wide = "[...document.querySelectorAll('.wide')]"
        return int(self.page.evaluate(f"{wide}.filter((one) => one.scrollWidth > one.clientWidth).length"))

    def pdf(self) -> bytes:
        """Print it on A4."""
        return self.page.pdf(prefer_css_page_size=True)

    def __enter__(self) -> Tab:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()
