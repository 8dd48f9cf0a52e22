"""How far long work is: a bar on a terminal, a line every ten seconds in a log, nothing between programs.

Nothing is said of work that takes less than two seconds.
"""

from __future__ import annotations

import os
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import IO, TypeVar

T = TypeVar("T")

_FIRST = 2.0
_BAR_SECONDS, _LINE_SECONDS = 0.2, 10.0
_WIDTH, _NARROWEST = 24, 5
_COLUMNS = 80
_CLEAR = "\x1b[2K"
_MELTANO = "MELTANO_PROJECT_ROOT"
"""Meltano gives this variable to what it runs."""


class Progress:
    """The progress of one piece of work; a context manager.

    Args:
        what: is done ("exported_documents").
        total: how much there is in all; None if that is not known.
        unit: what is counted; "B" stands for bytes.
        clock: returns seconds.
        rated: whether to say how much is done in a second; False for what takes seconds each.
    """

    def __init__(
        self,
        what: str,
        total: int | None = None,
        unit: str = "records",
        clock: Callable[[], float] = time.monotonic,
        *,
        rated: bool = True,
    ) -> None:
        self._what, self._total, self._unit, self._clock = what, total, unit, clock
        self._out, self._is_bar = _place()
        self._done = 0
        self._began = clock()
        self._next = self._began + (_FIRST if self._is_bar else _LINE_SECONDS)
        self._drawn = False
        self._rated, self._lock = rated, threading.Lock()
        self.note = ""
        """What else there is to say, such as how much has failed."""

    def advance(self, count: int = 1) -> None:
        """Say that so much more is done, from any thread."""
        with self._lock:
            self._done += count
            if self._out is not None:
                self._show()

    def reached(self, done: int) -> None:
        """Say how much is done in all."""
        self.advance(done - self._done)

    def _show(self) -> None:
        now = self._clock()
        if now < self._next:
            return
        self._next = now + (_BAR_SECONDS if self._is_bar else _LINE_SECONDS)
        # The line ends where it began, so that what is printed next takes its place.
        self._write(f"{_CLEAR}{self._words(now)}\r" if self._is_bar else f"{self._words(now)}\n")
        self._drawn = True

    def _words(self, now: float) -> str:
        seconds = now - self._began
        rate = self._done / seconds if seconds > 0 else 0.0
        part = min(self._done / self._total, 1.0) if self._total else 0.0
        left = f" ({part:.0%}, {_time(seconds / part - seconds)} left)" if 0 < part < 1 else " (100%)" * (part == 1)
        done = _amount(self._done, self._unit)
        if self._rated:
            done += f", {_amount(int(rate), self._unit)}/s"
        elif self._total:
            done = f"{self._done:,} of {_amount(self._total, self._unit)}"
        told = f"{done}{f', {self.note}' if self.note else ''}{left}"
        if not self._is_bar:
            return f"{self._what}: {told}"
        # What is wider than the terminal goes on in the next line, and is not taken away with the bar.
        room = _columns(self._out) - 1
        width = min(_WIDTH, room - len(f"{self._what}: [] {told}"))
        full = round(part * width)
        bar = f" [{'#' * full}{'.' * (width - full)}]" if self._total and width >= _NARROWEST else ""
        return f"{self._what}:{bar} {told}"[:room]

    def _write(self, text: str) -> None:
        assert self._out is not None  # noqa: S101 - the callers have looked
        try:
            self._out.write(text)
            self._out.flush()
        except (OSError, ValueError):
            self._out = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Take the bar away."""
        if self._drawn and self._is_bar and self._out is not None:
            self._write(_CLEAR)


def watched(items: Iterable[T], what: str, total: int | None = None, unit: str = "records") -> Iterator[T]:
    """Yield items, and show how many there were so far.

    Args:
        items: any.
        what: is done.
        total: how many there are in all; None if that is not known.
        unit: what they are.
    """
    with Progress(what, total, unit) as progress:
        for item in items:
            yield item
            progress.advance()


def _place() -> tuple[IO[str] | None, bool]:
    """Return where to show it, and whether as a bar; None where a program reads what we print.

    Meltano reads it, too, but keeps it in its log, for people.
    """
    if sys.stderr is None:
        return None, False
    if _MELTANO in os.environ and not sys.stderr.isatty():
        return sys.stderr, False
    if _is_pipe(sys.stdout) or _is_pipe(sys.stderr):
        return None, False
    return sys.stderr, sys.stderr.isatty()


def _columns(terminal: IO[str] | None) -> int:
    try:
        found = os.get_terminal_size(terminal.fileno()).columns if terminal else 0
    except (OSError, ValueError):
        found = 0
    return found or _COLUMNS


def _is_pipe(stream: IO[str] | None) -> bool:
    try:
        return stream is not None and stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):
        # No file of the system's: it is held by a program.
        return True


def _amount(count: int, unit: str) -> str:
    if unit != "B":
        return f"{count:,} {unit.removesuffix('s') if count == 1 else unit}"
    return f"{count / 1_000_000:,.1f} MB"


def _time(seconds: float) -> str:
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min" if whole < 5400 else f"{whole / 3600:.1f} h"
