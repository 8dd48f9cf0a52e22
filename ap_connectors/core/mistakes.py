"""Mistakes in a file that people keep: all kinds are told at once, so that they correct the file once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ap_connectors.core.errors import Stop
from ap_connectors.core.redact import printable

OnMistake = Callable[[str, str], None]
"""Takes the kind of a mistake, and its message; it may raise `Stop`."""
_MOST = 10
"""Lines that are told at once, a kind each."""


def at_once(kind: str, message: str) -> None:  # noqa: ARG001 - an OnMistake
    """Tell the first mistake, and end the reading.

    Raises:
        Stop: always.
    """
    raise Stop(message)


class Mistakes:
    """Gathers mistakes: the first of each kind, and how many more of it there are."""

    def __init__(self) -> None:
        self._first: dict[str, str] = {}
        self._more: dict[str, int] = {}

    def add(self, kind: str, message: str) -> None:
        """Note a mistake."""
        self._more[kind] = self._more.get(kind, -1) + 1
        self._first.setdefault(kind, printable(message))

    @contextmanager
    def noting(self, kind: str) -> Iterator[None]:
        """Note the `Stop` of a check, and go on behind it."""
        try:
            yield
        except Stop as stop:
            self.add(kind, str(stop))

    def tell(self) -> None:
        """Tell what was noted, each kind on a line of its own.

        Raises:
            Stop: there are mistakes.
        """
        lines = [
            f"{message} ({more} more like this.)" if (more := self._more[kind]) else message
            for kind, message in self._first.items()
        ]
        if len(lines) > _MOST:
            lines[_MOST - 1 :] = [f"{len(lines) - _MOST + 1} more kinds of mistakes are told when these are corrected."]
        if lines:
            raise Stop("\n".join(lines))
