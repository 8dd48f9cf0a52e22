"""What a target and its loaders agree on: a record is taken, found equal or loaded; and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from ap_connectors.singer.diff import Change
from ap_connectors.singer.schema import canonical
from ap_connectors.singer.worker_pool import Parent

# Fields of a record that a service does not take: named once, but for those that tell the target itself something.

_DELETED = canonical("_sdc_deleted_at")


class UnknownFields:
    """What of a stream's records goes nowhere.

    Args:
        stream: its name.
        service: whose contract it is.
        warn: tells the user.
        expected: names, in canonical spelling, that nobody misses.
    """

    def __init__(self, stream: str, service: str, warn: Callable[[str], None], expected: Collection[str] = ()) -> None:
        self._stream, self._service, self._warn, self._expected = stream, service, warn, expected
        self._told: set[str] = set()

    def heed(self, fields: Mapping[str, Any]) -> bool:
        """Name the fields that were not seen before; return whether the record says that its object is gone."""
        deleted, new = False, []
        for name, value in fields.items():
            if name.lower().startswith("_sdc_"):
                deleted = deleted or (canonical(name) == _DELETED and value is not None)
            elif name not in self._told:
                self._told.add(name)
                if canonical(name) not in self._expected:
                    new.append(name)
        if new:
            kind = "field" if len(new) == 1 else "fields"
            self._warn(f"{self._stream}: {', '.join(new)}: left out, for {self._service} takes no such {kind}.")
        return deleted


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


class ParsedRecord(Protocol):
    """A record that a loader has read."""

    @property
    def key(self) -> str:
        """Its natural key, as messages show it."""

    @property
    def order_key(self) -> Hashable:
        """The object that it is about; equal for all records about it, so that they stay in order."""

    @property
    def provides(self) -> Parent | None:
        """What records of other streams may wait for, and have once it is loaded."""


class Sink(Protocol):
    """Loads one stream's records."""

    @property
    def name(self) -> str:
        """The stream's name."""

    def hint(self, record: Mapping[str, Any]) -> str | None:
        """Return the natural key of a record that cannot be read otherwise, if it shows one."""

    def item(self, record: Mapping[str, Any], replayed: str | None) -> Any:
        """Read a record: return what is `ParsedRecord`. Raises Reject."""

    def settled(self, item: Any) -> Outcome | None:
        """Return the outcome if nothing needs to be asked or written, else None. Called on the main thread."""

    def apply(self, item: Any) -> Outcome:
        """Bring it about. Called by many threads, but for one lane by one at a time. Raises Missing, Reject, Outage."""

    def seen(self, key: str, version: int) -> None:
        """Take note that a full load holds the record with this natural key."""
