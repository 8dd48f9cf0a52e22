"""Misspelt variables of the environment: a service would get their text as the secret itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ap_connectors.core import settings
from ap_connectors.fleet import values

_PLACE = re.compile(r"\{(\w*)\}")
_BRACED = re.compile(r"\$\{(?:[\w.-]|\{\w*\})*\}")
_BARE = re.compile(r"\$(?:[A-Z_](?:[A-Z0-9_]|\{\w*\})*|[a-z_](?:[a-z0-9_]|\{\w*\})*)")
_NAME = re.compile(r"\$\{\w+\}")
_KNOWN = ("company", "pipeline", "folder")
ANY = {"company": "a", "COMPANY": "A", "pipeline": "p", "folder": "f"}
"""Names as some company has them: what is wrong with these is wrong for all."""


def wrong(value: Any, names: Mapping[str, str]) -> str:
    """Return what is wrong with the variables of a setting, and what to write; "" if nothing is.

    Args:
        value: of the file, or a cell of a list.
        names: what {company} and the like mean.
    """
    for text, is_cell in _texts(value):
        if is_cell:
            if _BRACED.fullmatch(text) or _BARE.fullmatch(text):
                return f"a list names no variables; write {text} into the settings of defaults, in companies.yml."
            continue
        if _BARE.fullmatch(text):
            right = _right(f"${{{text[1:]}}}")
            return (
                f"{text} is not a variable here; write '{right}' (a secret that reads so belongs in a {{file: PATH}})."
            )
        for found in _BRACED.findall(text):
            if not _NAME.fullmatch(meant := values.places(found, names)):
                gives = f", for it gives {meant}" if meant != found else ""
                return f"{found} names no variable{gives}; write '{_right(found)}'."
        if "${" in _BRACED.sub("", text):
            return "${ does not begin a variable: it is written as '${NAME}', of letters, digits and _."
    return ""


def _texts(value: Any) -> Iterator[tuple[str, bool]]:
    if isinstance(value, str):
        yield value, isinstance(value, values.AsIs)
    elif isinstance(value, Mapping | list):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(each)


def _right(text: str) -> str:
    """Return how a variable is probably meant: the id in it is the one that variables can have."""

    def place(match: re.Match[str]) -> str:
        name = settings.closest(match[1], _KNOWN) or "company"
        return "{COMPANY}" if name == "company" else f"{{{name}}}"

    return "${" + re.sub(r"[.-]", "_", _PLACE.sub(place, text[2:-1])) + "}"
