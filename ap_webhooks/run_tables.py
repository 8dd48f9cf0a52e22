"""The tables of runs, and what their rows say."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from ap_webhooks.tables import METADATA

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
