"""The end of the process, for those who wait in threads: nobody shall sleep on while everybody else has gone."""

from __future__ import annotations

import threading

_ending = threading.Event()


def end_waiting() -> None:
    """End every pause, in whatever thread: the process is about to end, and nobody waits for another try."""
    _ending.set()


def is_near() -> bool:
    """Whether `end_waiting` was called."""
    return _ending.is_set()


def pause(seconds: float) -> bool:
    """Sleep; return True, early, if the process is about to end."""
    return _ending.wait(seconds)
