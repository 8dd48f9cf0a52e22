"""Deletes old events from the inbox, once they are processed."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from ap_connectors.core import instants
from ap_connectors.webhooks.database import EVENTS, PLAN_LOCK, PURGED, RUN_EVENTS, RUNS, now_ms
from ap_connectors.webhooks.inbox import Inbox, summaries
from ap_connectors.webhooks.runs import DONE, FAILED, RUNNING, WAITING, Runs
from ap_connectors.webhooks.settings import Settings
from ap_connectors.webhooks.status import NO_RULE, worst

_AT_ONCE = 100
"""Events in a transaction: documents take time to delete, and deliveries wait meanwhile."""


@dataclass
class Purged:
    """How many events were deleted, and how many that are as old were kept, because they are not processed."""

    before: str
    deleted: int = 0
    kept: int = 0

    def __str__(self) -> str:
        kept = f" {self.kept} are kept, because they are not processed." if self.kept else ""
        return f"{self.deleted} events received before {self.before} are deleted.{kept}"


def purge(settings: Settings, inbox: Inbox, seconds: float) -> Purged:
    """Delete the events that are older than `seconds` and that every rule is done with, and their runs.

    The newest event stays, as its number is how readers know the inbox.

    Raises:
        Outage: the inbox cannot be read or written; what was deleted by then stays deleted.
    """
    runs = Runs(inbox.database)
    found = Purged(instants.text(now_ms() - int(seconds * 1000)))
    last = 0
    while events := inbox.older(found.before, after=last, limit=_AT_ONCE):
        last = events[-1].id
        by_event = runs.by_number(events[0].id, last)
        done = [event.id for event in events if worst(settings.rules, event, by_event) in {DONE, NO_RULE}]
        deleted = _delete(inbox, done, found.before)
        found.deleted += deleted
        found.kept += len(events) - deleted
    return found


def _delete(inbox: Inbox, ids: list[int], before: str) -> int:
    # A run that was made due again meanwhile keeps its events.
    active = (
        sa.select(RUN_EVENTS.c.event_id)
        .join(RUNS, RUNS.c.id == RUN_EVENTS.c.run_id)
        .where(RUNS.c.status.in_([WAITING, RUNNING]), RUN_EVENTS.c.event_id.in_(ids))
    )
    newest = sa.select(sa.func.max(EVENTS.c.id)).scalar_subquery()
    with inbox.database.writing(PLAN_LOCK) as connection:
        going = [
            event.id
            for event in summaries(connection, EVENTS.c.id.in_(ids), EVENTS.c.id < newest, EVENTS.c.id.not_in(active))
        ]
        if not going:
            return 0
        connection.execute(EVENTS.delete().where(EVENTS.c.id.in_(going)))
        connection.execute(RUN_EVENTS.delete().where(RUN_EVENTS.c.event_id.in_(going)))
        covering = sa.select(RUN_EVENTS.c.run_id)
        over = sa.and_(RUNS.c.status.in_([DONE, FAILED]), RUNS.c.ended_at < before)
        connection.execute(RUNS.delete().where(over, RUNS.c.id.not_in(covering)))
        reached = connection.execute(sa.select(PURGED.c.event_id)).scalar()
        connection.execute(PURGED.delete())
        connection.execute(PURGED.insert().values(id=1, event_id=max(reached or 0, *going), before=before))
    return len(going)
