"""How far a batch is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time

from ap_connectors.core.redact import printable
from ap_connectors.fleet.results import Result

_EVERY = 30.0
_WIDTH = 30


class Progress:
    """Tells of results on standard error.

    Args:
        whole: how many there will be.
        quiet: whether only failures are told.
    """

    def __init__(self, whole: int, *, quiet: bool = False) -> None:
        self._whole, self._done, self._failed = whole, 0, 0
        self._quiet, self._terminal = quiet, sys.stderr.isatty() and not quiet
        self._told = time.monotonic()

    def tell(self, result: Result) -> None:
        """Tell of a result."""
        self._done += 1
        if not result.is_done:
            self._failed += 1
            self._line(f"{result.company} {result.pipeline}: {result.status}: {result.error}")
        if self._terminal:
            self._bar()
        elif not self._quiet and (time.monotonic() - self._told >= _EVERY):
            self._told = time.monotonic()
            self._line(self._words())

    def end(self) -> None:
        """Remove the bar."""
        if self._terminal:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def _words(self) -> str:
        return f"{self._done} of {self._whole} pipelines run{f', {self._failed} failed' if self._failed else ''}"

    def _line(self, text: str) -> None:
        self.end()
        sys.stderr.write(f"{printable(text)}\n")
        sys.stderr.flush()

    def _bar(self) -> None:
        full = _WIDTH * self._done // max(1, self._whole)
        sys.stderr.write(f"\r\x1b[K[{'#' * full}{'.' * (_WIDTH - full)}] {self._words()}")
        sys.stderr.flush()
