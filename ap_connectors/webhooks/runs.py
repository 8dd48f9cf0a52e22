"""Runs and the events that they cover, in the inbox's database: what is to be done survives every end.

A run waits, runs, and is then done, or failed for good. A waiting run takes in every event of its rule (and, where the
rule says so, of its request id) that is stored before it begins. A run that fails waits again. So an event is acted on
when a run that is done covers it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from ap_connectors.core import instants
from ap_connectors.core.errors import Outage
from ap_connectors.webhooks.database import EVENTS, METADATA
from ap_connectors.webhooks.inbox import Inbox
from ap_connectors.webhooks.rules import Rule, matching

# Looking at runs and at the events that they cover.
# The tables of runs, and what their rows say.


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


WAITING, RUNNING, DONE, FAILED = "waiting", "running", "done", "failed"
UNPLANNED = "not planned"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

RUNS = sa.Table(
    "runs",
    METADATA,
    sa.Column("id", _ID, primary_key=True, autoincrement=True),
    sa.Column("job", sa.Text, nullable=False),
    sa.Column("request_id", sa.Text),
    sa.Column("status", sa.Text, nullable=False, index=True),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("not_before", sa.Text, nullable=False),
    sa.Column("due_by", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("started_at", sa.Text),
    sa.Column("ended_at", sa.Text),
    sa.Column("exit_status", sa.Integer),
    sa.Column("note", sa.Text),
    sa.Column("log_path", sa.Text),
    sa.Column("pid", sa.Integer),
    sa.Column("born", sa.Text),
    sqlite_autoincrement=True,
)

RUN_EVENTS = sa.Table(
    "run_events",
    METADATA,
    sa.Column("run_id", _ID, primary_key=True, autoincrement=False),
    sa.Column("event_id", _ID, primary_key=True, autoincrement=False, index=True),
)

PLANNED = sa.Table(
    "planned",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("event_id", _ID, nullable=False),
)
"""One row: the last event that rules were applied to."""


@dataclass(frozen=True)
class Run:
    """A run; instants are UTC. `pid` and `born` tell its process, `note` why it failed."""

    id: int
    job: str
    request_id: str | None
    status: str
    created_at: str
    not_before: str
    due_by: str
    attempts: int
    started_at: str | None
    ended_at: str | None
    exit_status: int | None
    note: str | None
    log_path: str | None
    pid: int | None
    born: str | None


@dataclass(frozen=True)
class Told:
    """What a run's command is told of an event."""

    id: int
    service: str
    kind: str
    company: str | None


_PLANNERS = 7_065_707
"""The advisory lock of PostgreSQL that lets one process plan at a time."""
_MOST = 1000


class Runs(RunsReading):
    """The tables. Threads and processes may share them; whatever fails raises `Outage`."""

    # Planning

    def plan(self, rules: Sequence[Rule], pause: float) -> int:
        """Apply the rules to the events that came since the last time; return how many there were, 0 = all is planned.

        Killed in between, nothing of it has happened, and it is done the next time.

        Args:
            rules: all of them.
            pause: seconds that a failed run waits at least, whatever comes meanwhile.
        """
        if self.unplanned() == 0:
            return 0
        with self._writing() as connection:
            after = connection.execute(sa.select(PLANNED.c.event_id)).scalar()
            fields = (EVENTS.c.id, EVENTS.c.service, EVENTS.c.kind, EVENTS.c.company, EVENTS.c.request_id)
            events = connection.execute(
                sa.select(*fields, EVENTS.c.received_at)
                .where(EVENTS.c.id > (after or 0))
                .order_by(EVENTS.c.id)
                .limit(_MOST)
            ).all()
            if not events:
                return 0
            waiting: dict[tuple[str, str | None], tuple[Run, list[int]]] = {}
            for event in events:
                at = instants.milliseconds(event.received_at)
                for rule, request_id in matching(rules, event.service, event.kind, event.company, event.request_id):
                    key = rule.name, request_id
                    if key in waiting:
                        run, ids = waiting[key]
                    else:
                        due_by = at + _ms(rule.max_wait)
                        run, ids = self._waiting(connection, *key) or self._add(connection, *key, at, due_by), []
                    ids.append(event.id)
                    waiting[key] = replace(run, not_before=_put_off(run, at + _ms(rule.debounce), _ms(pause))), ids
            for run, ids in waiting.values():
                _cover(connection, run.id, ids)
                connection.execute(RUNS.update().where(RUNS.c.id == run.id).values(not_before=run.not_before))
            reached = events[-1].id
            if after is None:
                connection.execute(PLANNED.insert().values(id=1, event_id=reached))
            else:
                connection.execute(PLANNED.update().values(event_id=reached))
        return len(events)

    def queue(self, job: str, request_id: str | None, events: Iterable[int] = ()) -> int:
        """Let a job run now, for these events; return the id of the run, which may be one that waits already."""
        with self._writing() as connection:
            now = now_ms()
            run = self._waiting(connection, job, request_id) or self._add(connection, job, request_id, now, now)
            _cover(connection, run.id, events)
            connection.execute(RUNS.update().where(RUNS.c.id == run.id).values(not_before=instants.text(now)))
        return run.id

    def again(self, run_id: int) -> bool:
        """Let a failed or waiting run run now, with all its tries before it; False if it is neither."""
        with self._writing() as connection:
            run = self._get(connection, run_id)
            if run is None or run.status not in {WAITING, FAILED}:
                return False
            sibling = self._waiting(connection, run.job, run.request_id)
            now = instants.text(now_ms())
            connection.execute(
                RUNS.update().where(RUNS.c.id == run_id).values(status=WAITING, not_before=now, attempts=0)
            )
            if sibling and sibling.id != run_id:
                self._absorb(connection, run_id, sibling.id)
        return True

    # Running

    def begin(self, run: Run) -> Run | None:
        """Note that a run begins, before it does; None if it waits no more."""
        with self._writing() as connection:
            begun = connection.execute(
                RUNS.update()
                .where(RUNS.c.id == run.id, RUNS.c.status == WAITING)
                .values(
                    status=RUNNING,
                    attempts=RUNS.c.attempts + 1,
                    started_at=instants.text(now_ms()),
                    ended_at=None,
                    exit_status=None,
                    pid=None,
                    born=None,
                )
            )
            return self._get(connection, run.id) if begun.rowcount else None

    def note_process(self, run: Run, pid: int, born: str, log_path: str) -> None:
        """Note which process it is."""
        with self._writing() as connection:
            connection.execute(RUNS.update().where(RUNS.c.id == run.id).values(pid=pid, born=born, log_path=log_path))

    def done(self, run: Run) -> None:
        """Note that a run did its work."""
        self._end(run, status=DONE, exit_status=0, note=None)

    def failed(self, run: Run, exit_status: int | None, note: str, again: float | None) -> None:
        """Note that a run failed, and that it waits so many seconds for its next try (None: that was the last)."""
        with self._writing() as connection:
            sibling = self._waiting(connection, run.job, run.request_id)
            values: dict[str, Any] = {"status": FAILED, "exit_status": exit_status, "note": note}
            if again is not None:
                values |= {"status": WAITING, "not_before": instants.text(now_ms() + _ms(again))}
                if sibling:
                    self._absorb(connection, run.id, sibling.id)
            elif sibling:
                _cover(connection, sibling.id, _events_of(connection, run.id))
            self._update(connection, run, **values)

    def put_back(self, run: Run, note: str, *, pause: float = 0) -> None:
        """Let a run begin anew that did not end by itself; the try does not count."""
        with self._writing() as connection:
            if sibling := self._waiting(connection, run.job, run.request_id):
                self._absorb(connection, run.id, sibling.id)
            self._update(
                connection,
                run,
                status=WAITING,
                note=note,
                not_before=instants.text(now_ms() + _ms(pause)),
                attempts=max(0, run.attempts - 1),
            )

    # Parts

    def _waiting(self, connection: sa.Connection, job: str, request_id: str | None) -> Run | None:
        same = RUNS.c.request_id.is_(None) if request_id is None else RUNS.c.request_id == request_id
        wanted = sa.select(RUNS).where(RUNS.c.status == WAITING, RUNS.c.job == job, same).order_by(RUNS.c.id).limit(1)
        row = connection.execute(wanted).one_or_none()
        return None if row is None else Run(*row)

    def _add(self, connection: sa.Connection, job: str, request_id: str | None, at: int, due_by: int) -> Run:
        """Add a waiting run; it also covers what failed runs of the same kind left undone."""
        same = RUNS.c.request_id.is_(None) if request_id is None else RUNS.c.request_id == request_id
        undone = (
            sa.select(RUN_EVENTS.c.event_id)
            .join(RUNS, RUNS.c.id == RUN_EVENTS.c.run_id)
            .where(RUNS.c.job == job, same)
            .group_by(RUN_EVENTS.c.event_id)
            .having(sa.func.sum(sa.case((RUNS.c.status == FAILED, 0), else_=1)) == 0)
        )
        left = list(connection.execute(undone).scalars())
        text = instants.text(at)
        values = {"job": job, "request_id": request_id, "status": WAITING, "created_at": text, "not_before": text}
        added = connection.execute(RUNS.insert().values(**values, due_by=instants.text(due_by), attempts=0))
        assert added.inserted_primary_key is not None  # noqa: S101 - a single row was added
        run = self._get(connection, int(added.inserted_primary_key[0]))
        assert run is not None  # noqa: S101 - it was just added
        _cover(connection, run.id, left)
        return run

    def _absorb(self, connection: sa.Connection, run_id: int, other: int) -> None:
        """Let a run cover what another one would have, and that one be gone."""
        _cover(connection, run_id, _events_of(connection, other))
        connection.execute(RUN_EVENTS.delete().where(RUN_EVENTS.c.run_id == other))
        connection.execute(RUNS.delete().where(RUNS.c.id == other))

    def _end(self, run: Run, **values: Any) -> None:
        with self._writing() as connection:
            self._update(connection, run, **values)

    def _update(self, connection: sa.Connection, run: Run, **values: Any) -> None:
        ended = {"ended_at": instants.text(now_ms()), "pid": None, "born": None}
        connection.execute(RUNS.update().where(RUNS.c.id == run.id, RUNS.c.status == RUNNING).values(**ended | values))

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with self._explained(), self._engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_PLANNERS)))
            yield connection


def _put_off(run: Run, quiet: int, pause: int) -> str:
    """When a run is due after another event: after a time of quiet; its next try, if it failed, is brought forward."""
    if run.attempts and run.ended_at:
        return min(run.not_before, instants.text(max(quiet, instants.milliseconds(run.ended_at) + pause)))
    return min(max(run.not_before, instants.text(quiet)), run.due_by)


def _events_of(connection: sa.Connection, run_id: int) -> list[int]:
    return list(connection.execute(sa.select(RUN_EVENTS.c.event_id).where(RUN_EVENTS.c.run_id == run_id)).scalars())


def _cover(connection: sa.Connection, run_id: int, events: Iterable[int]) -> None:
    rows = [{"run_id": run_id, "event_id": event_id} for event_id in events]
    if rows:
        connection.execute(_COVER, rows)


_COVER = sa.text("INSERT INTO run_events (run_id, event_id) VALUES (:run_id, :event_id) ON CONFLICT DO NOTHING")


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
