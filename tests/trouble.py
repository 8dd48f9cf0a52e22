"""Trouble at the service that goes on while something runs, and waiting for what has to come first."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ap_connectors.sandbox.process import SandboxProcess

PASSING_FAULTS: list[dict[str, Any]] = [
    {"kind": "status", "status": 503},
    {"kind": "status", "status": 429},
    {"kind": "status", "status": 429, "retry_after": 1},
    {"kind": "reset"},
    {"kind": "truncate"},
    {"kind": "html"},
]
"""Faults that pass, as the sandbox takes them."""


@contextmanager
def revoking(vicai: SandboxProcess, pause: Callable[[], float]) -> Iterator[None]:
    """Let all tokens expire again and again, with pauses of so many seconds."""
    done = threading.Event()

    def work() -> None:
        while not done.wait(pause()):
            vicai.control.vicai.revoke_tokens()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until something is so.

    Raises:
        AssertionError: it takes longer.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
