"""What purchase orders are still owed: processing, and closing again. Vic does not tell, so the ledger does."""

from __future__ import annotations

import threading
from typing import Literal

from ap_connectors.singer.ledger import Ledger

Due = Literal["process", "close"]


class OrderDues:
    """Notes what an order is owed before its first write, and strikes it off after the last one.

    A run that is killed in between leaves the note; the next one finds it, however equal the order looks by then.

    Args:
        ledger: holds the notes, by the record's natural key.
        is_plan: whether nothing is to be noted.
    """

    def __init__(self, ledger: Ledger, *, is_plan: bool) -> None:
        self._ledger, self._is_plan = ledger, is_plan
        self._open: set[str] | None = None
        self._lock = threading.Lock()

    def has(self, key: str, due: Due) -> bool:
        """Whether an earlier write of the order still waits for this."""
        return _entry(key, due) in self._noted()

    def note(self, key: str, due: Due) -> None:
        """Write down that an order is about to be owed this; it is on the disk when this returns."""
        entry = _entry(key, due)
        if not self._is_plan and entry not in self._noted():
            self._ledger.begin(entry, key)
            self._noted().add(entry)

    def strike(self, key: str, due: Due) -> None:
        """Write down that this was done, or that there is no need any more."""
        entry = _entry(key, due)
        if not self._is_plan and entry in self._noted():
            self._ledger.end(entry, "done")
            self._noted().discard(entry)

    def _noted(self) -> set[str]:
        with self._lock:
            if self._open is None:
                self._open = {key for key in self._ledger.unfinished() if key.startswith(_PREFIX)}
            return self._open


def _entry(key: str, due: Due) -> str:
    return f"{_PREFIX}{due} {key}"


_PREFIX = "purchase order: "
