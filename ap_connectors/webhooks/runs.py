"""Runs of commands and the events that they cover, in the inbox's database, so that work survives any crash.

A run is waiting, then running, then done, or failed for good. A waiting run takes in every event of its rule (and,
where the rule says so, of its request id) that is stored before it starts. A run that fails waits again. So an event
is processed when a run that is done covers it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from ap_connectors.core import instants
from ap_connectors.webhooks.database import EVENTS, PLAN_LOCK, PLANNED, RUN_EVENTS, RUNS, Database, now, now_ms
from ap_connectors.webhooks.inbox import EventSummary, Inbox, summaries
from ap_connectors.webhooks.rules import Rule, matching

WAITING, RUNNING, DONE, FAILED = "waiting", "running", "done", "failed"

_EVENTS_AT_ONCE = 1000
_AHEAD = 60_000
"""Milliseconds that clocks of receivers of one inbox may differ."""
_COVER = sa.text("INSERT INTO run_events (run_id, event_id) VALUES (:run_id, :event_id) ON CONFLICT DO NOTHING")


@dataclass(frozen=True)
class Run:
    """One run, with its tries so far; instants are UTC.

    Args:
        id: its number.
        job: the name of its rule.
        request_id: the request id that its events share, or None.
        status: waiting, running, done or failed.
        created_at: when its first event was planned.
        not_before: when its next try is due.
        due_by: when its first try starts at the latest, whatever events arrive meanwhile.
        attempts: how many tries were started.
        started_at: when the last try started.
        ended_at: when it ended.
        exit_status: its exit status.
        note: why it failed.
        log_path: the file with its output.
        pid: its process, while it runs.
        born: when that process started, as the system counts; tells it from a later one with the same pid.
    """

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


@contextmanager
def opened(url: str) -> Iterator[tuple[Inbox, Runs]]:
    """Open the inbox and its runs until the context ends.

    Raises:
        Stop: it cannot be opened.
    """
    inbox = Inbox(url)
    try:
        yield inbox, Runs(inbox.database)
    finally:
        inbox.close()


class Runs:
    """The runs of one inbox. Safe to use from several threads and processes.

    Every method raises `Outage` when the database cannot be read or written.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    # Reading

    def unplanned(self) -> int:
        """Return the number of events that the rules were not applied to yet."""
        planned = sa.select(sa.func.coalesce(sa.func.max(PLANNED.c.event_id), 0)).scalar_subquery()
        with self._database.reading() as connection:
            return connection.execute(sa.select(sa.func.count()).where(EVENTS.c.id > planned)).scalar_one()

    def due(self, jobs: Iterable[str]) -> list[Run]:
        """Return the waiting runs of these jobs that are due, the longest due first.

        So are those that wait since a time that has not come: the clock that their wait was reckoned by was ahead.
        """
        since = sa.func.coalesce(RUNS.c.ended_at, RUNS.c.created_at)
        is_due = sa.or_(RUNS.c.not_before <= now(), since > instants.text(now_ms() + _AHEAD))
        due = sa.and_(_is_waiting(jobs), is_due)
        return self._select(sa.select(RUNS).where(due).order_by(RUNS.c.not_before, RUNS.c.id))

    def of_status(self, *statuses: str) -> list[Run]:
        """Return the runs with one of these statuses, the oldest first."""
        return self._select(sa.select(RUNS).where(RUNS.c.status.in_(statuses)).order_by(RUNS.c.id))

    def latest(self, count: int) -> list[Run]:
        """Return the last runs, the newest first."""
        return self._select(sa.select(RUNS).order_by(RUNS.c.id.desc()).limit(count))

    def get(self, run_id: int) -> Run | None:
        """Return a run, or None."""
        with self._database.reading() as connection:
            return _get(connection, run_id)

    def next_due(self, jobs: Iterable[str]) -> int | None:
        """Return when the next run of these jobs is due (milliseconds since 1970), or None."""
        with self._database.reading() as connection:
            found = connection.execute(sa.select(sa.func.min(RUNS.c.not_before)).where(_is_waiting(jobs))).scalar()
        return None if found is None else instants.milliseconds(found)

    def events_of(self, run: Run) -> list[EventSummary]:
        """Return the events that a run covers."""
        covered = sa.select(RUN_EVENTS.c.event_id).where(RUN_EVENTS.c.run_id == run.id)
        with self._database.reading() as connection:
            return summaries(connection, EVENTS.c.id.in_(covered))

    def by_event(self, since: str) -> dict[int, list[Run]]:
        """Return the runs that cover each event received since an instant, by the event's id."""
        return self._by_event(EVENTS.c.received_at >= since)

    def by_number(self, first: int, last: int) -> dict[int, list[Run]]:
        """Return the runs that cover each of the events from one number to another, by the event's id."""
        return self._by_event(EVENTS.c.id.between(first, last))

    def _by_event(self, wanted: sa.ColumnElement[bool]) -> dict[int, list[Run]]:
        found: dict[int, list[Run]] = {}
        with self._database.reading() as connection:
            rows = connection.execute(
                sa.select(RUN_EVENTS.c.event_id, *RUNS.c)
                .join(RUNS, RUNS.c.id == RUN_EVENTS.c.run_id)
                .join(EVENTS, EVENTS.c.id == RUN_EVENTS.c.event_id)
                .where(wanted)
            )
            for event_id, *run in rows:
                found.setdefault(event_id, []).append(Run(*run))
        return found

    def _select(self, query: sa.Select[Any]) -> list[Run]:
        with self._database.reading() as connection:
            return [Run(*row) for row in connection.execute(query)]

    # Planning

    def plan(self, rules: Sequence[Rule], pause: float) -> int:
        """Apply the rules to new events; return how many there were, 0 when all are planned.

        A crash leaves nothing half done: the events are planned the next time.

        Args:
            rules: all of them.
            pause: seconds that a failed run waits at least, whatever events arrive meanwhile.
        """
        if self.unplanned() == 0:
            return 0
        with self._database.writing(PLAN_LOCK) as connection:
            after = connection.execute(sa.select(PLANNED.c.event_id)).scalar()
            events = summaries(connection, EVENTS.c.id > (after or 0), limit=_EVENTS_AT_ONCE)
            if not events:
                return 0
            waiting: dict[tuple[str, str | None], tuple[Run, list[int]]] = {}
            for event in events:
                at = instants.milliseconds(event.received_at)
                for rule, request_id in matching(rules, event):
                    key = rule.name, request_id
                    if key in waiting:
                        run, ids = waiting[key]
                    else:
                        due_by = at + _ms(rule.max_wait)
                        run, ids = _waiting(connection, *key) or _add(connection, *key, at, due_by), []
                    ids.append(event.id)
                    waiting[key] = replace(run, not_before=_postponed(run, at + _ms(rule.debounce), _ms(pause))), ids
            for run, ids in waiting.values():
                _cover(connection, run.id, ids)
                _set(connection, run.id, not_before=run.not_before)
            last = events[-1].id
            if after is None:
                connection.execute(PLANNED.insert().values(id=1, event_id=last))
            else:
                connection.execute(PLANNED.update().values(event_id=last))
        return len(events)

    def queue(self, job: str, request_id: str | None, events: Iterable[int] = ()) -> int:
        """Make a job due now, for these events; return the id of its run, which may be one that was waiting already."""
        with self._database.writing(PLAN_LOCK) as connection:
            at = now_ms()
            run = _waiting(connection, job, request_id) or _add(connection, job, request_id, at, at)
            _cover(connection, run.id, events)
            _set(connection, run.id, not_before=instants.text(at))
        return run.id

    def retry(self, run_id: int) -> bool:
        """Make a failed or waiting run due now, with all its retries; return False if it is neither."""
        with self._database.writing(PLAN_LOCK) as connection:
            run = _get(connection, run_id)
            if run is None or run.status not in {WAITING, FAILED}:
                return False
            sibling = _waiting(connection, run.job, run.request_id)
            _set(connection, run_id, status=WAITING, not_before=now(), attempts=0)
            if sibling and sibling.id != run_id:
                _absorb(connection, run_id, sibling.id)
        return True

    # Running

    def start(self, run: Run) -> Run | None:
        """Record that a run starts, before it does; return None if it is not waiting any more."""
        with self._database.writing(PLAN_LOCK) as connection:
            started = connection.execute(
                RUNS.update()
                .where(RUNS.c.id == run.id, RUNS.c.status == WAITING)
                .values(
                    status=RUNNING,
                    attempts=RUNS.c.attempts + 1,
                    started_at=now(),
                    ended_at=None,
                    exit_status=None,
                    pid=None,
                    born=None,
                )
            )
            return _get(connection, run.id) if started.rowcount else None

    def record_process(self, run: Run, pid: int, born: str, log_path: str) -> None:
        """Record the process of a run."""
        with self._database.writing(PLAN_LOCK) as connection:
            _set(connection, run.id, pid=pid, born=born, log_path=log_path)

    def done(self, run: Run) -> None:
        """Record that a run succeeded."""
        with self._database.writing(PLAN_LOCK) as connection:
            _end(connection, run, status=DONE, exit_status=0, note=None)

    def failed(self, run: Run, exit_status: int | None, note: str, retry_after: float | None) -> None:
        """Record that a run failed; its next try is due after `retry_after` seconds (None: it is not tried again)."""
        with self._database.writing(PLAN_LOCK) as connection:
            sibling = _waiting(connection, run.job, run.request_id)
            values: dict[str, Any] = {"status": FAILED, "exit_status": exit_status, "note": note}
            if retry_after is not None:
                values |= {"status": WAITING, "not_before": instants.text(now_ms() + _ms(retry_after))}
                if sibling:
                    _absorb(connection, run.id, sibling.id)
            elif sibling:
                _cover(connection, sibling.id, _event_ids(connection, run.id))
            _end(connection, run, **values)

    def requeue(self, run: Run, note: str, *, pause: float = 0) -> None:
        """Let a run wait again that did not end by itself; the try does not count."""
        with self._database.writing(PLAN_LOCK) as connection:
            if sibling := _waiting(connection, run.job, run.request_id):
                _absorb(connection, run.id, sibling.id)
            not_before = instants.text(now_ms() + _ms(pause))
            attempts = max(0, run.attempts - 1)
            _end(connection, run, status=WAITING, note=note, not_before=not_before, attempts=attempts)


# Parts of transactions


def _is_waiting(jobs: Iterable[str]) -> sa.ColumnElement[bool]:
    return sa.and_(RUNS.c.status == WAITING, RUNS.c.job.in_(list(jobs)))


def _same(job: str, request_id: str | None) -> sa.ColumnElement[bool]:
    # Compared with None, a column becomes "IS NULL".
    return sa.and_(RUNS.c.job == job, RUNS.c.request_id == request_id)


def _get(connection: sa.Connection, run_id: int) -> Run | None:
    row = connection.execute(sa.select(RUNS).where(RUNS.c.id == run_id)).one_or_none()
    return None if row is None else Run(*row)


def _waiting(connection: sa.Connection, job: str, request_id: str | None) -> Run | None:
    """Return the waiting run of a job and a request id, if there is one."""
    waiting = sa.select(RUNS).where(RUNS.c.status == WAITING, _same(job, request_id)).order_by(RUNS.c.id).limit(1)
    row = connection.execute(waiting).one_or_none()
    return None if row is None else Run(*row)


def _add(connection: sa.Connection, job: str, request_id: str | None, at: int, due_by: int) -> Run:
    """Add a waiting run; it also covers the events that failed runs of the same job left unprocessed."""
    unprocessed = (
        sa.select(RUN_EVENTS.c.event_id)
        .join(RUNS, RUNS.c.id == RUN_EVENTS.c.run_id)
        .where(_same(job, request_id))
        .group_by(RUN_EVENTS.c.event_id)
        .having(sa.func.sum(sa.case((RUNS.c.status == FAILED, 0), else_=1)) == 0)
    )
    event_ids = list(connection.execute(unprocessed).scalars())
    text = instants.text(at)
    values = {"job": job, "request_id": request_id, "status": WAITING, "created_at": text, "not_before": text}
    added = connection.execute(RUNS.insert().values(**values, due_by=instants.text(due_by), attempts=0))
    assert added.inserted_primary_key is not None  # noqa: S101 - a single row was added
    run = _get(connection, int(added.inserted_primary_key[0]))
    assert run is not None  # noqa: S101 - it was just added
    _cover(connection, run.id, event_ids)
    return run


def _set(connection: sa.Connection, run_id: int, **values: Any) -> None:
    connection.execute(RUNS.update().where(RUNS.c.id == run_id).values(**values))


def _end(connection: sa.Connection, run: Run, **values: Any) -> None:
    """Record that the process of a running run is gone."""
    ended = {"ended_at": now(), "pid": None, "born": None}
    connection.execute(RUNS.update().where(RUNS.c.id == run.id, RUNS.c.status == RUNNING).values(**ended | values))


def _absorb(connection: sa.Connection, run_id: int, other: int) -> None:
    """Let a run cover the events of another one, and delete that one."""
    _cover(connection, run_id, _event_ids(connection, other))
    connection.execute(RUN_EVENTS.delete().where(RUN_EVENTS.c.run_id == other))
    connection.execute(RUNS.delete().where(RUNS.c.id == other))


def _event_ids(connection: sa.Connection, run_id: int) -> list[int]:
    return list(connection.execute(sa.select(RUN_EVENTS.c.event_id).where(RUN_EVENTS.c.run_id == run_id)).scalars())


def _cover(connection: sa.Connection, run_id: int, events: Iterable[int]) -> None:
    rows = [{"run_id": run_id, "event_id": event_id} for event_id in events]
    if rows:
        connection.execute(_COVER, rows)


def _postponed(run: Run, quiet: int, pause: int) -> str:
    """Return when a run is due after another event: after some quiet, or earlier than planned if it failed before."""
    if run.attempts and run.ended_at:
        return min(run.not_before, instants.text(max(quiet, instants.milliseconds(run.ended_at) + pause)))
    return min(max(run.not_before, instants.text(quiet)), run.due_by)


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
