"""The kinds of documents that are wanted: one that the service is asked for, or several of what it sends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ap_connectors.core import settings
from ap_connectors.core.errors import Stop

SCHEMA: dict[str, Any] = {"type": ["string", "array", "null"], "items": {"type": "string"}}
"""The setting `doctype`: one kind, or a list."""


class Doctypes:
    """Kinds of documents, by the name that the service gives them (`doctype`).

    The service takes one kind; of several, all documents are read, and the others are left out.

    Args:
        given: the setting.

    Raises:
        Stop: it is not a kind or a list of kinds.
    """

    def __init__(self, given: str | Sequence[str] | None = None) -> None:
        self._wanted = {_folded(kind): kind.strip() for kind in _named(given) if kind.strip()}

    @property
    def asked(self) -> str | None:
        """What the service is asked for; None for everything."""
        return next(iter(self._wanted.values())) if len(self._wanted) == 1 else None

    def wants(self, doctype: str | None) -> bool:
        """Whether a document of a kind is wanted that the service sent."""
        return len(self._wanted) < 2 or _folded(doctype or "") in self._wanted

    def covers(self, doctype: str | None) -> bool:
        """Whether the service would send a document of a kind, as far as one can tell, and it is wanted."""
        return not self._wanted or doctype is None or _folded(doctype) in self._wanted


def _named(given: str | Sequence[str] | None) -> Sequence[str]:
    """Return the kinds; a tool that knows texts only hands on a list as one."""
    if not isinstance(given, str):
        return given or ()
    if not given.lstrip().startswith("["):
        return given.split(",")
    kinds = settings.json_value("doctype", given)
    if not all(isinstance(kind, str) for kind in kinds):
        raise Stop("doctype must be one kind of document, or a list of them.")
    return list(kinds)


def _folded(kind: str) -> str:
    return kind.strip().casefold()
