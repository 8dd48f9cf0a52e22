"""The inbox of `ap-webhooks`, as its page describes it: the table `events`, of which only whose and what is read."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ap_connectors.core import files, postgresql
from ap_connectors.core.errors import Outage, Stop
from ap_connectors.fleet import databases

_AFTER = "SELECT id, service, company, received_at FROM events WHERE id > ? ORDER BY id LIMIT ?"
_NEWEST = "SELECT coalesce(max(id), 0) FROM events"
_SECONDS = 5.0


@dataclass(frozen=True)
class Event:
    """What a service sent.

    Args:
        id: number of arrival; it grows, and is never used again.
        service: `vicai` or `ivesk`.
        company: the service's own name for whose it is; None if the event does not say.
        received_at: when it came first, in UTC.
    """

    id: int
    service: str
    company: str | None
    received_at: str


def after(place: str, number: int, limit: int) -> list[Event]:
    """Return the events after a number, ascending.

    Args:
        place: path of the SQLite file, or URL of PostgreSQL.
        number: of the last event that is known.
        limit: how many.

    Raises:
        Outage: it cannot be read now. Stop: there is no inbox.
    """
    return [Event(*row) for row in _rows(place, _AFTER, (number, limit))]


def newest(place: str) -> int:
    """Return the number of the newest event; 0 in an empty inbox.

    Raises:
        Outage: it cannot be read now. Stop: there is no inbox.
    """
    return int(_rows(place, _NEWEST, ())[0][0])


def _rows(place: str, statement: str, values: Sequence[int]) -> list[tuple[Any, ...]]:
    if postgresql.is_postgresql(place):
        with databases.opened(place) as opened:
            return opened.rows(statement, *values)
    path = Path(files.place(place.removeprefix("sqlite:///")))
    if not path.is_file():
        raise Stop(f"inbox: there is no file {path}; `ap-webhooks serve` makes it.")
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_SECONDS)) as connection:
            return connection.execute(statement, tuple(values)).fetchall()
    except sqlite3.Error as error:
        raise Outage(f"inbox: {path} cannot be read: {error}") from None
