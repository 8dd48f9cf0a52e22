"""Looking at runs and at the events that they cover."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from ap_http import instants
from ap_http.errors import Outage
from ap_webhooks.inbox import Inbox
from ap_webhooks.run_tables import PLANNED, RUN_EVENTS, RUNS, WAITING, Run, Told
from ap_webhooks.tables import EVENTS, METADATA


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class RunsReading:
    """What can be asked; whatever fails raises `Outage`."""

    def __init__(self, inbox: Inbox) -> None:
        self._engine = inbox.engine
        self._reader = inbox.engine.execution_options(reads=True)
        self._name = inbox.name
        self.create()

    def create(self) -> None:
        """Make the tables that are not there."""
        with self._explained():
            METADATA.create_all(self._engine, tables=[RUNS, RUN_EVENTS, PLANNED])

    def unplanned(self) -> int:
        """How many events no rule was applied to yet; an event that matches no rule counts as planned later."""
        planned = sa.select(sa.func.coalesce(sa.func.max(PLANNED.c.event_id), 0)).scalar_subquery()
        with self._reading() as connection:
            return connection.execute(sa.select(sa.func.count()).where(EVENTS.c.id > planned)).scalar_one()

    def due(self, jobs: Iterable[str]) -> list[Run]:
        """The runs of these jobs whose time has come, the longest due first."""
        due = sa.and_(_waits(jobs), RUNS.c.not_before <= instants.text(now_ms()))
        return self._list(sa.select(RUNS).where(due).order_by(RUNS.c.not_before, RUNS.c.id))

    def of_status(self, *statuses: str) -> list[Run]:
        """The runs of these statuses, the oldest first."""
        return self._list(sa.select(RUNS).where(RUNS.c.status.in_(statuses)).order_by(RUNS.c.id))

    def latest(self, count: int) -> list[Run]:
        """The last runs, the newest first."""
        return self._list(sa.select(RUNS).order_by(RUNS.c.id.desc()).limit(count))

    def get(self, run_id: int) -> Run | None:
        """A run, or None."""
        with self._reading() as connection:
            return self._get(connection, run_id)

    def next_time(self, jobs: Iterable[str]) -> int | None:
        """When the next run of these jobs is due (milliseconds since 1970), or None."""
        with self._reading() as connection:
            found = connection.execute(sa.select(sa.func.min(RUNS.c.not_before)).where(_waits(jobs))).scalar()
        return None if found is None else instants.milliseconds(found)

    def told(self, run: Run) -> list[Told]:
        """The events that a run covers."""
        fields = sa.select(EVENTS.c.id, EVENTS.c.service, EVENTS.c.kind, EVENTS.c.company)
        with self._reading() as connection:
            rows = connection.execute(
                fields.join(RUN_EVENTS, RUN_EVENTS.c.event_id == EVENTS.c.id)
                .where(RUN_EVENTS.c.run_id == run.id)
                .order_by(EVENTS.c.id)
            )
            return [Told(*row) for row in rows]

    def covering(self, since: str) -> dict[int, list[Run]]:
        """By event, of those that came since an instant: the runs that cover it."""
        found: dict[int, list[Run]] = {}
        with self._reading() as connection:
            rows = connection.execute(
                sa.select(RUN_EVENTS.c.event_id, *RUNS.c)
                .join(RUNS, RUNS.c.id == RUN_EVENTS.c.run_id)
                .join(EVENTS, EVENTS.c.id == RUN_EVENTS.c.event_id)
                .where(EVENTS.c.received_at >= since)
            )
            for event_id, *run in rows:
                found.setdefault(event_id, []).append(Run(*run))
        return found

    def _get(self, connection: sa.Connection, run_id: int) -> Run | None:
        row = connection.execute(sa.select(RUNS).where(RUNS.c.id == run_id)).one_or_none()
        return None if row is None else Run(*row)

    def _list(self, wanted: sa.Select[Any]) -> list[Run]:
        with self._reading() as connection:
            return [Run(*row) for row in connection.execute(wanted)]

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with self._explained(), self._reader.connect() as connection:
            yield connection

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.SQLAlchemyError as error:
            raise Outage(f"The inbox {self._name} cannot be used: {getattr(error, 'orig', None) or error}") from error


def _waits(jobs: Iterable[str]) -> sa.ColumnElement[bool]:
    return sa.and_(RUNS.c.status == WAITING, RUNS.c.job.in_(list(jobs)))
