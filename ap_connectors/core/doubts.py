"""What leaves a doubt in a file that people keep: all of it is told at once, so that they correct it once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ap_connectors.core.errors import Stop
from ap_connectors.core.redact import printable

Doubt = Callable[[str, str], None]
"""Takes a kind of doubt, and the message of one that has arisen; it may raise `Stop`."""
_MOST = 10
"""Lines that are told at once, a kind each."""


def at_once(kind: str, message: str) -> None:  # noqa: ARG001 - a Doubt
    """Tell the first doubt, and end the reading.

    Raises:
        Stop: always.
    """
    raise Stop(message)


class Doubts:
    """Gathers doubts: the first of each kind, and how many more of it there are."""

    def __init__(self) -> None:
        self._first: dict[str, str] = {}
        self._more: dict[str, int] = {}

    def add(self, kind: str, message: str) -> None:
        """Note a doubt."""
        self._more[kind] = self._more.get(kind, -1) + 1
        self._first.setdefault(kind, printable(message))

    @contextmanager
    def of(self, kind: str) -> Iterator[None]:
        """Note what ends a check; what follows goes on."""
        try:
            yield
        except Stop as stop:
            self.add(kind, str(stop))

    def end(self) -> None:
        """Tell what was noted, each kind on a line of its own.

        Raises:
            Stop: something was.
        """
        lines = [
            f"{message} ({more} more like this.)" if (more := self._more[kind]) else message
            for kind, message in self._first.items()
        ]
        if len(lines) > _MOST:
            lines[_MOST - 1 :] = [f"{len(lines) - _MOST + 1} more kinds of mistakes are told when these are corrected."]
        if lines:
            raise Stop("\n".join(lines))
