"""Sinks that compare a record with Vic's copy, once, and write only what differs."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Mapping

import msgspec

from ap_connectors.core.errors import Reject
from ap_connectors.core.raw_json import JsonObject
from ap_connectors.singer.diff import Change
from ap_connectors.singer.sink import Outcome
from target_vicai.context import Reference
from target_vicai.item import Item
from target_vicai.sink import VicSink

_FRESH_SECONDS = 10.0
"""A record of Vic's that is older is read again before it is changed: somebody may have changed it there."""


class Comparison(msgspec.Struct, frozen=True):
    """A record beside Vic's copy.

    Args:
        body: what is to be written, references resolved.
        present: Vic's copy; None if Vic has no such record.
        read_at: when that was read (monotonic seconds).
        changes: what writing the body would change.
        outcome: what becomes of the record if nothing is to be written.
        parents: what the body's references were resolved with, and when that was read.
        aside: why parts of the record are set aside by themselves.
        note: what to say of it when it is written.
    """

    body: JsonObject
    present: JsonObject | None = None
    read_at: float | None = None
    changes: tuple[Change, ...] = ()
    outcome: Outcome | None = None
    parents: Mapping[Reference, float] = msgspec.field(default_factory=dict)
    aside: tuple[Reject, ...] = ()
    note: str | None = None


class ComparedSink(VicSink):
    """A sink that compares each record with Vic's copy, once, and writes only what differs.

    Records are compared on the main thread where that is possible, so that equal ones are done with at once. A
    comparison is handed on to the thread that writes; there it counts only if all that it was made from is unchanged.
    A subclass defines `comparison` and `write`.
    """

    def compare(self, item: Item) -> Outcome | Comparison | None:
        """Return the outcome if nothing needs to be asked or written; else the comparison, or None."""
        if item.deleted or not self.can_compare(item):
            return None
        try:
            compared = self.comparison(item)
        except Reject:
            # `load` meets it again: the record waits for a parent, or is set aside.
            return None
        return compared.outcome or compared

    def apply(self, item: Item, compared: Comparison | None = None) -> Outcome:
        """Write what differs, or delete what the record says is deleted."""
        if compared is not None and self.is_current(item, compared):
            return self.write(item, compared)
        return super().apply(item)

    def load(self, item: Item) -> Outcome:
        """Compare a record, and write what differs."""
        compared = self.comparison(item, fresh=True)
        return compared.outcome or self.write(item, compared)

    def can_compare(self, item: Item) -> bool:
        """Return whether a record can be compared without a request of its own."""
        return self.writes_only_changes(item)

    @abstractmethod
    def comparison(self, item: Item, *, fresh: bool = False) -> Comparison:
        """Compare a record with Vic's copy; `fresh` reads the copy again if it is old (see `is_old`).

        Raises:
            Missing: the record refers to something that is not there yet. Reject: Vic would refuse it.
        """

    @abstractmethod
    def write(self, item: Item, compared: Comparison) -> Outcome:
        """Write what differs. Thread-safe; calls for one order key are serialized.

        Raises:
            Missing, Reject, Outage: as `load`.
        """

    def is_current(self, item: Item, compared: Comparison) -> bool:
        """Return whether Vic's copy and the parents are still those that were compared, and the copy is not old."""
        own = {(self.name, item.key): compared.read_at}
        return not self.is_old(compared.read_at) and all(
            self.context.read_at(*reference) == at for reference, at in {**own, **compared.parents}.items()
        )

    def is_old(self, read_at: float | None) -> bool:
        """Return whether Vic's copy was read too long ago to be changed: somebody may have changed it there."""
        is_plan = self.context.options.dry_run
        return not is_plan and read_at is not None and time.monotonic() - read_at > _FRESH_SECONDS
