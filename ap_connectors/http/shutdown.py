"""Shutdown of the process, announced to all threads: whoever waits for another try stops waiting."""

from __future__ import annotations

import threading

_requested = threading.Event()


def request() -> None:
    """End every wait in every thread; the process is about to exit."""
    _requested.set()


def is_requested() -> bool:
    """Return whether the process is about to exit."""
    return _requested.is_set()


def wait(seconds: float) -> bool:
    """Sleep for `seconds`; return True, early, once the process is about to exit."""
    return _requested.wait(seconds)
