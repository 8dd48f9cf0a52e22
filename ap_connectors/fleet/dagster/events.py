"""The inbox of `ap-webhooks`: which companies an event concerns, and which of their pipelines it runs.

Of the inbox's table `events` only that is read which its page describes: whose an event is, and what.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ap_connectors.core import files, postgresql
from ap_connectors.core.errors import ApError, Outage, Stop
from ap_connectors.fleet import databases, values
from ap_connectors.fleet.members import Company, Fleet

_EVENTS_AFTER = "SELECT id, service, company, received_at FROM events WHERE id > ? ORDER BY id LIMIT ?"
_NEWEST_EVENT = "SELECT coalesce(max(id), 0) FROM events"
_SECONDS = 5.0
VARIABLE = "AP_FLEET_INBOX"
_TAPS: Mapping[str, str] = {"ivesk": "tap-ivesk", "vicai": "tap-vicai"}
"""What reads the news of a service."""
_OF_EVERY = "tap-webhooks"
_PAGE = 1000


@dataclass(frozen=True)
class _Event:
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


def _events_after(place: str, number: int, limit: int) -> list[_Event]:
    """Return the events after a number, ascending.

    Args:
        place: path of the SQLite file, or URL of PostgreSQL.
        number: of the last event that is known.
        limit: how many.

    Raises:
        Outage: it cannot be read now. Stop: there is no inbox.
    """
    return [_Event(*row) for row in _rows(place, _EVENTS_AFTER, number, limit)]


def _newest_event(place: str) -> int:
    """Return the number of the newest event; 0 in an empty inbox.

    Raises:
        Outage: it cannot be read now. Stop: there is no inbox.
    """
    return int(_rows(place, _NEWEST_EVENT)[0][0])


def _rows(place: str, statement: str, *parameters: int) -> list[tuple[Any, ...]]:
    if postgresql.is_postgresql(place):
        with databases.opened(place) as opened:
            return opened.rows(statement, *parameters)
    path = Path(files.place(place.removeprefix("sqlite:///")))
    if not path.is_file():
        raise Stop(f"inbox: there is no file {path}; `ap-webhooks serve` makes it.")
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_SECONDS)) as connection:
            return connection.execute(statement, parameters).fetchall()
    except sqlite3.Error as error:
        raise Outage(f"inbox: {path} cannot be read: {error}") from None


@dataclass(frozen=True)
class News:
    """What came in since the last look.

    Args:
        cursor: number of the last event, by inbox.
        wanted: pipelines, and the companies that they are to run for.
        lines: what to warn of.
        key: of the last events of this look: the same again if it is repeated, and that of no other inbox.
    """

    cursor: Mapping[str, int]
    wanted: Sequence[tuple[Sequence[str], Sequence[str]]]
    lines: Sequence[str]
    key: str


def has_inbox(fleet: Fleet) -> bool:
    """Return whether an inbox is named."""
    return bool(os.environ.get(VARIABLE, "").strip()) or fleet.dagster.inbox is not None


def look(fleet: Fleet, cursor: Mapping[str, int]) -> News:
    """Look for events after those of the cursor.

    Raises:
        Outage: no inbox can be read now; the next look finds what this one did not. Of several inboxes those that
            can be read are.
        Stop: there is no inbox.
    """
    reached: dict[str, int] = {}
    last_of: dict[str, _Event] = {}
    lines: list[str] = []
    errors: list[ApError] = []
    wanted: dict[str, dict[str, None]] = {}
    for name, place, own in _inboxes(fleet):
        try:
            last = cursor.get(name, 0)
            if last and _newest_event(place) < last:
                lines.append(
                    f"The inbox {name} does not have event {last}: it is another one, and read from its first."
                )
                last = 0
            while found := _events_after(place, last, _PAGE):
                last, last_of[name] = found[-1].id, found[-1]
                for service, company in dict.fromkeys((event.service, event.company) for event in found):
                    ids = [own.id] if own else _concerned(fleet, service, company)
                    wanted.setdefault(service, {}).update(dict.fromkeys(ids))
                    if not ids:
                        lines.append(f"{service}: no company of the fleet is {company}; its events run nothing.")
            reached[name] = last
        except ApError as error:
            errors.append(error)
            lines.append(f"{name}: {error}")
    if errors and not reached:
        raise errors[0]
    # Short, whatever the number of inboxes: databases have an index of it.
    marks = sorted((name, event.id, event.received_at) for name, event in last_of.items())
    key = hashlib.sha256(json.dumps(marks).encode()).hexdigest()[:16]
    return News({**cursor, **reached}, list(_by_pipelines(fleet, wanted)), lines, key)


def _by_pipelines(
    fleet: Fleet, wanted: Mapping[str, Mapping[str, None]]
) -> Iterator[tuple[Sequence[str], Sequence[str]]]:
    for service, ids in wanted.items():
        having = {id_: set(_pipelines(fleet, fleet.company(id_), service)) for id_ in ids}
        names = [name for name in fleet.pipelines if any(name in some for some in having.values())]
        if names:
            yield names, [id_ for id_, some in having.items() if some]


def _pipelines(fleet: Fleet, company: Company, service: str) -> Iterator[str]:
    """Yield the pipelines of a company that an event of a service runs."""
    for name in company.pipelines:
        if fleet.pipelines[name].tap in {_TAPS.get(service), _OF_EVERY}:
            yield name


def _inboxes(fleet: Fleet) -> Iterator[tuple[str, str, Company | None]]:
    """Yield each inbox: its name without a secret, where it is, and the company whose it is if each has its own."""
    given: Any = os.environ.get(VARIABLE, "").strip() or fleet.dagster.inbox
    text = given if isinstance(given, str) else ""
    owners: Sequence[Company | None] = fleet.companies if "{company}" in text or "{COMPANY}" in text else [None]
    for own in owners:
        filled = values.places(given, own.places) if own else given
        place = str(values.fetched(filled, "inbox", []))
        if "://" not in place:
            place = str(fleet.path.parent / place)
        yield own.id if own else "inbox", place, own


def _concerned(fleet: Fleet, service: str, name: str | None) -> list[str]:
    """Return the companies that an event concerns: those that say so, else those that do not say whose they are."""
    having = [company for company in fleet.companies if any(_pipelines(fleet, company, service))]
    if name is None:
        return [company.id for company in having]
    named = {company.id: _named(company, service) for company in having}
    found = [id_ for id_, names in named.items() if name in names]
    return found or [id_ for id_, names in named.items() if not names]


def _named(company: Company, service: str) -> set[str]:
    """Return what a service calls a company, as far as its settings say so."""
    if service == "ivesk":
        own = company.settings.get("mapper-ivesk-vicai", {}).get("company_code")
        return company.codes | ({own} if isinstance(own, str) else set())
    ids = company.settings.get("tap-vicai", {}).get("company_ids")
    return set(map(str, ids)) if isinstance(ids, list) else set()
