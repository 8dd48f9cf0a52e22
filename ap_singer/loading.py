"""What a target and its loaders agree on: a record is taken, found equal or loaded; and what became of it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from ap_singer.crew import Parent
from ap_singer.differences import Change

Effect = Literal["created", "updated", "unchanged", "deleted"]


@dataclass(frozen=True)
class Outcome:
    """What became of a record.

    Args:
        effect: what happened at the service.
        changes: each field that changed, old and new; empty for what is new or gone.
        note: why nothing happened, where that might surprise.
    """

    effect: Effect
    changes: tuple[Change, ...] = ()
    note: str | None = None


UNCHANGED = Outcome("unchanged")


class Taken(Protocol):
    """A record that a loader has read."""

    @property
    def key(self) -> str:
        """Its natural key, as messages show it."""

    @property
    def lane(self) -> Hashable:
        """The object that it is about; equal for all records about it, so that they stay in order."""

    @property
    def provides(self) -> Parent | None:
        """What records of other streams may wait for, and have once it is loaded."""


class Loads(Protocol):
    """Loads one stream's records."""

    @property
    def name(self) -> str:
        """The stream's name."""

    def hint(self, record: Mapping[str, Any]) -> str | None:
        """Return the natural key of a record that cannot be read otherwise, if it shows one."""

    def item(self, record: Mapping[str, Any], replayed: str | None) -> Any:
        """Read a record: return what is `Taken`. Raises Reject."""

    def settled(self, item: Any) -> Outcome | None:
        """Return the outcome if nothing needs to be asked or written, else None. Called on the main thread."""

    def apply(self, item: Any) -> Outcome:
        """Bring it about. Called by many threads, but for one lane by one at a time. Raises Missing, Reject, Outage."""

    def seen(self, key: str, version: int) -> None:
        """Take note that a full load holds the record with this natural key."""
