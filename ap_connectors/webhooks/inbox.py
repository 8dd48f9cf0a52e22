"""The inbox: every verified delivery, stored before it is acknowledged, in the order of arrival."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import sqlalchemy as sa

from ap_connectors.webhooks.database import ALLOWED_TOPICS, EVENTS, PURGED, RUN_EVENTS, STORE_LOCK, Database, now

_PAGE_BYTES = 64_000_000
_PAGE_BODIES = 200

# As text, which both databases understand: SQLAlchemy would compile its own "on conflict" again for every row.
_COLUMNS = [column.name for column in EVENTS.columns if column.name != "id"]
_STORE = sa.text(
    f"INSERT INTO events ({', '.join(_COLUMNS)}) VALUES ({', '.join(f':{name}' for name in _COLUMNS)}) "  # noqa: S608
    "ON CONFLICT (service, dedup_key) DO UPDATE SET deliveries = events.deliveries + 1 RETURNING id, deliveries"
)
_ALLOW_TOPIC = sa.text(
    "INSERT INTO pins (topic, pinned_at, confirmed_at) VALUES (:topic, :now, :confirmed) "
    "ON CONFLICT (topic) DO UPDATE SET confirmed_at = coalesce(excluded.confirmed_at, pins.confirmed_at)"
)
_HEARTBEAT = sa.text("INSERT INTO beats (id, at) VALUES (1, :now) ON CONFLICT (id) DO UPDATE SET at = excluded.at")


@dataclass(frozen=True)
class Delivery:
    """A verified delivery of a service.

    Args:
        service: `vicai` or `ivesk`.
        kind: the event: `syncRequest`, `on_exported`, ...; an unknown name stays as it came.
        dedup_key: the same for each repetition of one delivery, unique within the service.
        company: companyCode of Įvesk, companyId of a payment batch, or None.
        request_id: sent as `X-Request-Id` with the calls that answer; or None.
        body: the JSON as received, byte for byte. For Įvesk it is the signed `Message` without the envelope, whose
            other fields are not signed; a message that is not JSON is kept as a JSON text.
        document: the document of an invoice, or None.
        document_name: its file name without folders, or None.
        document_type: its media type, or None.
    """

    service: str
    kind: str
    dedup_key: str
    company: str | None
    request_id: str | None
    body: bytes
    document: bytes | None = None
    document_name: str | None = None
    document_type: str | None = None


@dataclass(frozen=True, kw_only=True)
class EventSummary:
    """A stored event without its content: what rules and runs need to know of it.

    Args:
        id: number of arrival.
        service: as in `Delivery`, like the next three.
        kind: likewise.
        company: likewise.
        request_id: likewise.
        received_at: when it came first, in UTC.
        deliveries: how often it came.
    """

    id: int
    service: str
    kind: str
    company: str | None
    request_id: str | None
    received_at: str
    deliveries: int

    @property
    def name(self) -> str:
        """The name that rules use: `vicai.syncRequest`."""
        return f"{self.service}.{self.kind}"


@dataclass(frozen=True, kw_only=True)
class Event(EventSummary, Delivery):
    """A stored event with its content."""


@dataclass(frozen=True)
class Stored:
    """The event that a delivery became, and whether it is new."""

    id: int
    new: bool


@dataclass(frozen=True)
class AllowedTopic:
    """An SNS topic whose notifications are accepted; instants in UTC, `confirmed_at` is None until SNS confirmed."""

    topic: str
    pinned_at: str
    confirmed_at: str | None


class Inbox:
    """Stores deliveries, and hands them out by id. Thread-safe.

    Reading raises `Outage` when the database cannot be read.

    Args:
        url: see `Database`.

    Raises:
        Stop: it cannot be opened; the message says why.
    """

    def __init__(self, url: str) -> None:
        self.database = Database(url)

    def close(self) -> None:
        """Close the connections."""
        self.database.close()

    # Writing

    def store(self, deliveries: Sequence[Delivery]) -> list[Stored]:
        """Store all in one transaction, durable when this returns; a duplicate is only counted.

        Raises:
            Outage: none of them is stored.
            NotStorable: none of them is stored, because the database does not accept one of them.
        """
        received_at = now()
        # The lock makes ids visible in their order; otherwise a reader's bookmark could skip one.
        with self.database.writing(STORE_LOCK) as connection:
            return [
                Stored(row.id, row.deliveries == 1)
                for delivery in deliveries
                for row in connection.execute(_STORE, _row(delivery, received_at))
            ]

    def add_document(self, id_: int, document: bytes, name: str | None, kind: str) -> None:
        """Store the document of an event that came without it.

        Raises:
            Outage: the inbox cannot be written.
        """
        lacking = EVENTS.update().where(EVENTS.c.id == id_, EVENTS.c.document.is_(None))
        with self.database.writing() as connection:
            connection.execute(lacking.values(document=document, document_name=name, document_type=kind))

    def allow_topic(self, topic: str, *, confirmed: bool = False) -> None:
        """Accept notifications of a topic; `confirmed` records that SNS confirmed the subscription.

        Raises:
            Outage: the inbox cannot be written.
        """
        at = now()
        with self.database.writing() as connection:
            connection.execute(_ALLOW_TOPIC, {"topic": topic, "now": at, "confirmed": at if confirmed else None})

    def check_writable(self) -> None:
        """Write a row without meaning.

        Raises:
            Outage: the inbox cannot be written.
        """
        with self.database.writing() as connection:
            connection.execute(_HEARTBEAT, {"now": now()})

    # Reading

    def after(self, id_: int, limit: int = 500) -> list[Event]:
        """Return the events after an id, ascending; empty only when there are none.

        A page may be shorter than `limit` although more events follow: it ends where its documents exceed 64 MB.
        """
        sizes = sa.select(EVENTS.c.id, sa.func.coalesce(sa.func.length(EVENTS.c.document), 0))
        with self.database.reading() as connection:
            ids: list[int] = []
            room = _PAGE_BYTES
            for found, size in connection.execute(sizes.where(EVENTS.c.id > id_).order_by(EVENTS.c.id).limit(limit)):
                room -= size
                if ids and room < 0:
                    break
                ids.append(found)
            if not ids:
                return []
            page = sa.select(EVENTS).where(EVENTS.c.id.between(ids[0], ids[-1])).order_by(EVENTS.c.id)
            return [Event(**row) for row in connection.execute(page).mappings()]

    def get(self, id_: int) -> Event | None:
        """Return the event with an id, or None."""
        with self.database.reading() as connection:
            row = connection.execute(sa.select(EVENTS).where(EVENTS.c.id == id_)).mappings().one_or_none()
        return None if row is None else Event(**row)

    def since(self, instant: str) -> list[EventSummary]:
        """Return the events received since an instant, without their content."""
        with self.database.reading() as connection:
            return summaries(connection, EVENTS.c.received_at >= instant)

    def older(self, instant: str, *, after: int, limit: int) -> list[EventSummary]:
        """Return events received before an instant, whose number is greater than `after`, without their content."""
        with self.database.reading() as connection:
            return summaries(connection, EVENTS.c.received_at < instant, EVENTS.c.id > after, limit=limit)

    def newest(self) -> int:
        """Return the number of the newest event; 0 in an empty inbox."""
        with self.database.reading() as connection:
            return connection.execute(sa.select(sa.func.max(EVENTS.c.id))).scalar() or 0

    def purged(self) -> tuple[int, str]:
        """Return the highest number of an event that was deleted, and before which instant; 0 and "" if none was."""
        with self.database.reading() as connection:
            row = connection.execute(sa.select(PURGED.c.event_id, PURGED.c.before)).one_or_none()
        return (0, "") if row is None else (row.event_id, row.before)

    def count(self) -> int:
        """Return the number of events."""
        with self.database.reading() as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(EVENTS)).scalar_one()

    def contains(self, service: str, kind: str) -> bool:
        """Return whether an event of this kind was ever received."""
        of_kind = (EVENTS.c.service == service) & (EVENTS.c.kind == kind)
        with self.database.reading() as connection:
            return bool(summaries(connection, of_kind, limit=1))

    def bodies(self, service: str, kind: str) -> Iterator[bytes]:
        """Yield the bodies of all events of a kind."""
        wanted = sa.select(EVENTS.c.id, EVENTS.c.body).where(EVENTS.c.service == service, EVENTS.c.kind == kind)
        for page in self._pages(wanted):
            for row in page:
                yield row.body

    def _pages(self, wanted: sa.Select[Any]) -> Iterator[Sequence[sa.Row[Any]]]:
        """Yield pages of rows, whose first column is the id, by id."""
        last = 0
        while True:
            page = wanted.where(EVENTS.c.id > last).order_by(EVENTS.c.id).limit(_PAGE_BODIES)
            with self.database.reading() as connection:
                rows = connection.execute(page).all()
            if not rows:
                return
            last = rows[-1].id
            yield rows

    def contents(self, service: str, since: str) -> Iterator[tuple[str, str | None, str, bytes]]:
        """Yield kind, request id, key and body of a service's events received since an instant, by their number."""
        columns = (EVENTS.c.id, EVENTS.c.kind, EVENTS.c.request_id, EVENTS.c.dedup_key, EVENTS.c.body)
        wanted = sa.select(*columns).where(EVENTS.c.service == service, EVENTS.c.received_at >= since)
        for page in self._pages(wanted):
            for _, *found in page:
                yield tuple(found)

    def without_document(self, run_id: int) -> Iterator[tuple[int, bytes]]:
        """Yield number and body of those events of a run that have no document."""
        covered = sa.select(RUN_EVENTS.c.event_id).where(RUN_EVENTS.c.run_id == run_id)
        lacking = sa.select(EVENTS.c.id, EVENTS.c.body).where(EVENTS.c.id.in_(covered), EVENTS.c.document.is_(None))
        for page in self._pages(lacking):
            for row in page:
                yield row.id, row.body

    def allowed_topics(self) -> list[AllowedTopic]:
        """Return the topics whose notifications are accepted, the oldest first."""
        oldest_first = sa.select(ALLOWED_TOPICS).order_by(ALLOWED_TOPICS.c.pinned_at, ALLOWED_TOPICS.c.topic)
        with self.database.reading() as connection:
            return [AllowedTopic(**row) for row in connection.execute(oldest_first).mappings()]


def summaries(
    connection: sa.Connection, *where: sa.ColumnElement[bool], limit: int | None = None
) -> list[EventSummary]:
    """Return the events that fulfil the conditions, ascending by id, without their content."""
    columns = [EVENTS.c[field.name] for field in fields(EventSummary)]
    rows = connection.execute(sa.select(*columns).where(*where).order_by(EVENTS.c.id).limit(limit))
    return [EventSummary(**row) for row in rows.mappings()]


def _row(delivery: Delivery, received_at: str) -> dict[str, Any]:
    row = {field.name: getattr(delivery, field.name) for field in fields(Delivery)}
    return row | {"received_at": received_at, "deliveries": 1}
