"""Bookmarks to the millisecond: what a STATE keeps, and what a reader remembers so that nothing comes twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ap_connectors.core.errors import Stop
from ap_connectors.core.instants import UTC, Clock
from ap_connectors.core.raw_json import Record, text


@dataclass(frozen=True)
class Bookmark:
    """How far a list that grows at its end was read.

    Args:
        instant: the newest instant handed out, in the service's own text; None at the beginning.
        seen: keys of the records at that instant and in the millisecond before it, by instant.
        not_before: older records are left out (milliseconds since 1970; the setting ``start_date``).
    """

    instant: str | None = None
    seen: Mapping[str, Sequence[str]] = field(default_factory=dict)
    not_before: int = 0

    @classmethod
    def from_state(cls, state: Mapping[str, Any], start_date: str | None, clock: Clock = UTC) -> Bookmark:
        """Read a Singer bookmark; a later `start_date` wins.

        Raises:
            Stop: the bookmark or the setting is not an instant.
        """
        not_before = clock.setting("start_date", start_date) if start_date else 0
        bookmark = state.get("replication_key_value")
        if bookmark is None or clock.setting("replication_key_value in --state", str(bookmark)) < not_before:
            return cls(not_before=not_before)
        return cls(str(bookmark), state.get("seen") or {}, not_before)

    def to_state(self) -> dict[str, Any]:
        """Return the Singer bookmark."""
        if self.instant is None:
            return {}
        return {"replication_key_value": self.instant, "seen": dict(self.seen)}


def key_of(record: Record, field_name: str) -> str:
    """Return a record's key as text.

    Raises:
        Stop: it does not have one, so it could neither be told from others nor stored.
    """
    key = text(record, field_name)
    if key is None:
        raise Stop(f"The service sent something that has no {field_name}, so no key. Nothing behind it was read.")
    return key


class DedupWindow:
    """Remembers the records around the newest instant, so that none is handed out twice.

    Readers ask again from one millisecond before the newest instant (`ask`), so no older record needs to be remembered.
    A record that has changed has a newer instant, so it is handed out again.

    Args:
        since: where to go on.
        clock: whose times are read.
    """

    def __init__(self, since: Bookmark, clock: Clock = UTC) -> None:
        self._clock = clock
        self.not_before = since.not_before
        self.instant = since.instant
        self.newest = clock.milliseconds(since.instant) if since.instant else since.not_before
        # By instant: thousands of records may share one, and instants are looked through for every page.
        self._seen = {at: dict.fromkeys(keys) for at, keys in since.seen.items()}
        self._moments = {at: clock.setting("seen in --state", at) for at in since.seen}

    def ask(self) -> str | None:
        """Return the instant to ask from, one millisecond before the newest; None at the very beginning."""
        return self._clock.text(self.newest - 1) if self.instant else None

    def place(self, record: Record, instant_field: str) -> tuple[str, int]:
        """Return a record's instant, as text and in milliseconds; the newest where it cannot be read."""
        at = text(record, instant_field) or ""
        try:
            return at, self._clock.milliseconds(at)
        except ValueError:
            return self.instant or "", self.newest

    def is_new(self, key: str, place: tuple[str, int]) -> bool:
        """Return whether a record with this key and `place` is wanted and was not handed out before; remember it."""
        at, moment = place
        known = self._seen.get(at)
        if known is None:
            known = self._seen[at] = {}
            self._moments[at] = moment
        elif key in known:
            return False
        if moment < self.not_before:
            return False
        known[key] = None
        if at and moment >= self.newest:
            self.newest, self.instant = moment, at
        return True

    def bookmark(self, reached: tuple[str | None, int] | None = None) -> Bookmark:
        """Forget what is too old to come again; return the bookmark reached, or an earlier one (text, ms)."""
        instant, newest = reached or (self.instant, self.newest)
        self.forget(newest - 1)
        seen = {at: list(keys) for at, keys in self._seen.items() if at and keys}
        return Bookmark(instant, seen, self.not_before)

    def forget(self, before: int) -> None:
        """Forget records with instants before this one (milliseconds since 1970)."""
        for at in [at for at, moment in self._moments.items() if moment < before]:
            del self._seen[at], self._moments[at]


@dataclass(frozen=True)
class Page:
    """Records that were not handed out before, and the bookmark to keep once they are safe."""

    records: list[Record]
    bookmark: Bookmark
