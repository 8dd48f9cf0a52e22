"""Pages for people: one file each, with its styles and script in it, that asks nothing of any network.

A room keeps a page as `NAME.html`, which extends `page.html` of this folder, and where it needs them `NAME.css` and
`NAME.js`. Whatever is put in is text: it is escaped, and the page's policy lets no script run but ours, which it names
by their hashes. So there are no `style` and `on...` attributes in templates.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ap_connectors.core.errors import Stop
from ap_connectors.core.manners import MANNERS
from ap_connectors.core.redact import printable

if TYPE_CHECKING:
    from jinja2 import Environment

_HERE = Path(__file__).parent

HEADERS = {
    # What a page cannot say of itself: `frame-ancestors` counts in a header only.
    "Content-Security-Policy": "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
"""What a server sends with a page."""

_WORDS = {
    "en": {"search": "Search", "shown": "{} of {} shown"},
    "lt": {"search": "Ieškoti", "shown": "rodoma {} iš {}"},
    "no": {"search": "Søk", "shown": "{} av {} vises"},
}


def require(what: str, *modules: str) -> None:
    """Check, before any work, that what pages and sheets need is installed.

    Args:
        what: asks for them, as the user wrote it ("--format html").
        modules: that have to be there; none for those of pages.

    Raises:
        Stop: one is not.
    """
    for module in modules or ("jinja2",):
        if util.find_spec(module) is None:
            raise Stop(
                f"{what} needs {module}, which is not installed. Install ap-connectors with the extra reports: "
                "pip install '/path/to/ap-connectors[reports]'."
            )


def render(
    folder: Path,
    name: str,
    /,
    *,
    language: str = "en",
    server: bool = False,
    words: dict[str, str] | None = None,
    **values: Any,
) -> str:
    """Return a page as HTML.

    Args:
        folder: of the room, with the page's files.
        name: of the page, without ".html".
        language: one of `MANNERS`; the template has its `manner`, and the filters `number`, `amount` and `date`.
        server: whether the page belongs to a server: it may then ask that one, and send forms to it; with an element
            #told it also keeps its parts with `data-live` up to date.
        words: what the page says in this language, as `say` in the template.
        values: further names of the template.

    Raises:
        Stop: jinja2 is not installed.
    """
    require("A page")
    manner = MANNERS[language]
    style = _text(_HERE / "page.css") + _text(folder / f"{name}.css")
    kit = ("page.js", "live.js") if server else ("page.js",)
    script = "".join(_text(_HERE / one) for one in kit) + _text(folder / f"{name}.js")
    policy = [
        "default-src 'none'",
        f"style-src {_hash(style)}",
        f"script-src {_hash(script)}",
        "img-src data:",
        "base-uri 'none'",
        f"form-action {_own(server)}",
        f"connect-src {_own(server)}",
    ]
    template = _environment(folder, language).get_template(f"{name}.html")
    say = {**_WORDS[language], **(words or {})}
    return template.render(
        values, manner=manner, say=say, page_style=style, page_script=script, page_policy="; ".join(policy)
    )


def _own(server: bool) -> str:
    return "'self'" if server else "'none'"


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _hash(content: str) -> str:
    """Return how a policy names what stands in the page."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


@functools.cache
def _environment(folder: Path, language: str) -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - an extra brings it

    made = Environment(
        loader=FileSystemLoader([folder, _HERE]),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    manner = MANNERS[language]
    made.filters |= {"number": manner.number, "amount": manner.amount, "date": manner.date}
    return made


def _shown(value: Any) -> Any:
    """Let a text show all that is in it: what does not print could turn what stands beside it around."""
    if value is None:
        return ""
    return printable(value) if type(value) is str else value
