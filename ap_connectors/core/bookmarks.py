"""Bookmarks to the millisecond: what a STATE keeps, and what a reader remembers so that nothing comes twice."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ap_connectors.core.errors import Stop
from ap_connectors.core.instants import UTC, Clock
from ap_connectors.core.raw_json import Record, text

SETTLES = 120_000
"""Milliseconds after its time for which a record may still be missing in a list: a service sets the time of a change
when it begins to write, and shows the record when that is done, or when a copy of its database has it."""
_DAY = 86_400_000
"""Milliseconds that a clock may be ahead of this machine's at most: its zone, or an error. What is later is not the
time of a change, and reading does not go on behind it."""
_MOST_KEPT = 1000
"""Records of that time that a STATE remembers, at most; of a mass change the others come again, and none is lost."""


@dataclass(frozen=True)
class Bookmark:
    """How far a list that grows at its end was read.

    Args:
        instant: the newest instant handed out, in the service's own text; None at the beginning.
        seen: keys of the records at that instant and in the millisecond before it, by instant; or from `settled` on.
        not_before: older records are left out (milliseconds since 1970; the setting ``start_date``).
        settled: up to where the list was complete when it was read, if that is before `instant`; reading goes on there.
    """

    instant: str | None = None
    seen: Mapping[str, Sequence[str]] = field(default_factory=dict)
    not_before: int = 0
    settled: str | None = None

    @classmethod
    def from_state(cls, state: Mapping[str, Any], start_date: str | None, clock: Clock = UTC) -> Bookmark:
        """Read a Singer bookmark; a later `start_date` wins.

        One that was set by hand says of no record that it was handed out then: all that follows it comes again.

        Raises:
            Stop: the bookmark or the setting is not an instant.
        """
        not_before = clock.setting("start_date", start_date) if start_date else 0
        bookmark = state.get("replication_key_value")
        if bookmark is None or clock.setting("replication_key_value in --state", str(bookmark)) < not_before:
            return cls(not_before=not_before)
        seen, settled = state.get("seen") or {}, state.get("settled")
        if bookmark not in seen:
            seen, settled = {}, None
        return cls(str(bookmark), seen, not_before, None if settled is None else str(settled))

    def to_state(self) -> dict[str, Any]:
        """Return the Singer bookmark."""
        if self.instant is None:
            return {}
        # Null is written, too: it replaces the value that the last run wrote.
        return {"replication_key_value": self.instant, "seen": dict(self.seen), "settled": self.settled}


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
    """Remembers the records around the place reached, so that none is handed out twice.

    Readers ask again from one millisecond before the place reached (`ask`), so no older record needs to be remembered.
    A record that has changed has a newer instant, so it is handed out again.

    A later run begins `SETTLES` before this one began, if it has read that far: what was written meanwhile may appear
    behind the newest record, and a record whose time has not come yet must not hide what changes until then. The ERP's
    wall clock says nothing of the former.

    Args:
        since: where to go on.
        clock: whose times are read.
        service_now: what time it is at the service (milliseconds since 1970); None if it does not say.
    """

    def __init__(
        self, since: Bookmark, clock: Clock = UTC, *, service_now: Callable[[], int | None] = lambda: None
    ) -> None:
        self._clock, self._service_now = clock, service_now
        self.not_before = since.not_before
        self.instant = since.instant
        self.newest = clock.milliseconds(since.instant) if since.instant else since.not_before
        self.reached = clock.setting("settled in --state", since.settled) if since.settled else self.newest
        """How far this run has read: behind `newest`, while it reads again what an earlier run has read."""
        self._begun, self._began_at = time.monotonic(), time.time_ns() // 1_000_000
        # By instant: thousands of records may share one, and instants are looked through for every page.
        self._seen = {at: dict.fromkeys(keys) for at, keys in since.seen.items()}
        self._moments = {at: clock.setting("seen in --state", at) for at in since.seen}
        self._oldest = min(self._moments.values(), default=self.newest)

    def ask(self) -> str | None:
        """Return the instant to ask from, one millisecond before the place reached; None at the very beginning."""
        return self._clock.text(self.reached - 1) if self.instant else None

    def place(self, record: Record, instant_field: str) -> tuple[str, int]:
        """Return a record's instant, as text and in milliseconds; the place reached where it cannot be read."""
        at = text(record, instant_field) or ""
        try:
            return at, self._clock.milliseconds(at)
        except ValueError:
            return self.instant or "", self.reached

    def is_new(self, key: str, place: tuple[str, int]) -> bool:
        """Return whether a record with this key and `place` is wanted and was not handed out before; remember it."""
        at, moment = place
        self.reached = max(self.reached, moment)
        known = self._seen.get(at)
        if known is None:
            known = self._seen[at] = {}
            self._moments[at] = moment
            self._oldest = min(self._oldest, moment)
        elif key in known:
            return False
        if self.not_before and moment < self.not_before:
            return False
        known[key] = None
        if at and moment >= self.newest:
            self.newest, self.instant = moment, at
        return True

    def bookmark(self, reached: tuple[str | None, int] | None = None) -> Bookmark:
        """Forget what is too old to come again; return the bookmark reached, or an earlier one (text, ms)."""
        instant, newest = reached or (self.instant, self.newest)
        settled = min(self._settled(newest), self.reached)
        self.forget(settled - 1)
        seen = {at: keys for at, keys in self._kept(newest) if at and keys}
        return Bookmark(instant, seen, self.not_before, self._clock.text(settled) if settled < newest else None)

    def _settled(self, newest: int) -> int:
        """Return up to where the list was complete when it was read (milliseconds since 1970)."""
        # While a machine sleeps, one of its clocks stands still.
        since = max(int((time.monotonic() - self._begun) * 1000), time.time_ns() // 1_000_000 - self._began_at)
        now = self._service_now()
        began_at = self._began_at if now is None else now - since
        if self._clock.local:
            return newest if newest <= began_at + _DAY else began_at - _DAY
        # This machine's clock may be wrong. If it is behind, the service's own times say how late it is at least.
        if now is None and began_at < newest - since < began_at + _DAY:
            began_at = newest - since
        return min(newest, began_at - SETTLES)

    def _kept(self, newest: int) -> Iterator[tuple[str, list[str]]]:
        """Yield what a STATE remembers, by instant: the newest in any case, and of the others the latest."""
        kept, left = [], _MOST_KEPT
        for at, known in reversed(self._seen.items()):
            if self._moments[at] >= newest - 1:
                kept.append((at, list(known)))
            elif left and known:
                kept.append((at, list(known)[-left:]))
                left -= len(kept[-1][1])
        return reversed(kept)

    def forget(self, before: int) -> None:
        """Forget records with instants before this one (milliseconds since 1970)."""
        if before <= self._oldest:
            return
        self._oldest = before
        for at in [at for at, moment in self._moments.items() if moment < before]:
            del self._seen[at], self._moments[at]


@dataclass(frozen=True)
class Page:
    """Records that were not handed out before, and the bookmark to keep once they are safe."""

    records: list[Record]
    bookmark: Bookmark
