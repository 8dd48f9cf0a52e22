"""The service's own record of events (live age): what happened, and whether it was delivered."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ap_connectors.sandbox import clock
from ap_connectors.sandbox.vicai import times
from ap_connectors.sandbox.vicai.resources import Record

OLD_CALLBACKS = ("invoicePost", "invoiceTransfer", "vendorNew", "syncRequest")
NO_ID = "payment_batch_processed"
"""The event whose envelope may be without id and occurred_at."""


@dataclass
class Event:
    """An event; `instant` is in microseconds."""

    id: str
    kind: str
    instant: int
    occurred_at: str
    envelope: Record
    delivered: bool = False

    def recorded(self, *, data_only: bool) -> Record:
        """Return it as the record shows it."""
        body = self.envelope["data"] if data_only and "data" in self.envelope else self.envelope
        return {"id": self.id, "type": self.kind, "version": 1, "occurred_at": self.occurred_at, "body": body}


class EventLog:
    """Events in the order in which they happened. An event is recorded only while the subscription names its kind.

    Args:
        wanted: whether the subscription names a kind.
        digits: of a second, in times.
    """

    def __init__(self, wanted: Callable[[str], bool], digits: Callable[[], int]) -> None:
        self.events: list[Event] = []
        self.deliver: Callable[[Event], object] = bool
        """Sends an event to the subscriber."""
        self._wanted, self._digits = wanted, digits
        self._latest = 0

    def received(self, id_: str) -> None:
        """Note that an event counts as received."""
        for event in reversed(self.events):
            if event.id == id_:
                event.delivered = True
                return

    def happened(
        self, kind: str, data: Mapping[str, Any], *, at: int | None = None, send: bool = True, id_: str | None = None
    ) -> Event | None:
        """Record an event, and send it; None if the subscription does not name its kind.

        Args:
            kind: its name.
            data: what it is about; for the old callbacks the body itself.
            at: when, in microseconds, if not now; the record is in the order of these times.
            send: whether it is delivered.
            id_: its id, if not a new one.
        """
        if not self._wanted(kind):
            return None
        # No two events share a time, so that the pages of the record have an order.
        moment = max(int(clock.now() * 1_000_000), self._latest + 1000) if at is None else at
        self._latest = max(self._latest, moment)
        occurred_at, number = times.write_utc(moment, self._digits() or 3), id_ or str(uuid.uuid4())
        head = {} if kind == NO_ID else {"id": number, "occurred_at": occurred_at}
        envelope = {**data} if kind in OLD_CALLBACKS else {**head, "event": kind, "data": {**data}}
        event = Event(number, kind, moment, occurred_at, envelope)
        self.events.append(event)
        if at is not None:
            self.events.sort(key=lambda one: one.instant)
        if send:
            self.deliver(event)
        return event
