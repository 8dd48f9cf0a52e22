"""The inbox: every verified delivery, stored before it is acknowledged, in the order of arrival."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

import sqlalchemy as sa

from ap_connectors.core import instants
from ap_connectors.core.errors import Outage, Reject, Stop
from ap_connectors.core.redact import Redactor
from ap_connectors.webhooks.database import BEATS, EVENTS, METADATA, PINS, address, file_of, open_engine

_LOG = logging.getLogger("ap_connectors.webhooks.inbox")
_PAGE_BYTES = 64_000_000
_WRITERS = 7_065_706
"""The advisory lock of PostgreSQL that lets one group be stored at a time."""

# As text, which both databases read: the toolkit would write an "on conflict" of its own anew for every row.
_COLUMNS = [column.name for column in EVENTS.columns if column.name != "id"]
_STORE = sa.text(
    f"INSERT INTO events ({', '.join(_COLUMNS)}) VALUES ({', '.join(f':{name}' for name in _COLUMNS)}) "  # noqa: S608
    "ON CONFLICT (service, dedup_key) DO UPDATE SET deliveries = events.deliveries + 1 RETURNING id, deliveries"
)
_PIN = sa.text(
    "INSERT INTO pins (topic, pinned_at, confirmed_at) VALUES (:topic, :now, :confirmed) "
    "ON CONFLICT (topic) DO UPDATE SET confirmed_at = coalesce(excluded.confirmed_at, pins.confirmed_at)"
)
_BEAT = sa.text("INSERT INTO beats (id, at) VALUES (1, :now) ON CONFLICT (id) DO UPDATE SET at = excluded.at")


@dataclass(frozen=True)
class Delivery:
    """What a service told us, verified.

    Args:
        service: `vicai` or `ivesk`.
        kind: the event: `syncRequest`, `on_exported`, ...; a name that we do not know stays as it came.
        dedup_key: the same for each repetition of one delivery, unique within the service.
        company: companyCode of Įvesk, companyId of a payment batch, or None.
        request_id: goes as `X-Request-Id` into the calls that answer; or None.
        body: JSON as it came, byte for byte. Of Įvesk it is the signed `Message`, without the envelope, whose other
            fields nobody signed; a message that is no JSON is kept as a JSON text.
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
class Event(Delivery):
    """A delivery that is stored; `received_at` is an instant in UTC, `deliveries` says how often it came."""

    id: int
    received_at: str
    deliveries: int


@dataclass(frozen=True)
class Stored:
    """Where a delivery is, and whether it is there for the first time."""

    id: int
    new: bool


@dataclass(frozen=True)
class Pin:
    """A topic of SNS that we take notifications of; the instants are UTC, `confirmed_at` is None until SNS agreed."""

    topic: str
    pinned_at: str
    confirmed_at: str | None


class Inbox:
    """Stores deliveries and hands them out by id. Threads may share it.

    What reads raises `Outage` when the database cannot be read.

    Args:
        url: `sqlite:///webhooks.db`, a plain path, or `postgresql://user@host/name`.

    Raises:
        Stop: it cannot be opened; the message says why.
    """

    def __init__(self, url: str) -> None:
        place = address(url)
        self._redact = Redactor([str(place.password or "")])
        self.name = place.render_as_string(hide_password=True)
        self._file = file_of(place)
        self._engine = open_engine(place)
        self._reader = self._engine.execution_options(reads=True)
        self._known_as: tuple[int, int] | None = None
        self._reopening = threading.Lock()
        if self._file is not None and not self._file.absolute().parent.is_dir():
            raise Stop(f"inbox: the folder of {self._file} does not exist; make it, or name another file.")
        try:
            self._open()
        except sa.exc.SQLAlchemyError as error:
            self._engine.dispose()
            raise Stop(f"The inbox {self.name} cannot be opened: {self._why(error)}") from None

    @property
    def engine(self) -> sa.Engine:
        """For tables of other rooms. A transaction takes the write lock; `execution_options(reads=True)` does not."""
        return self._engine

    def store(self, deliveries: Sequence[Delivery]) -> list[int]:
        """Store all in one transaction, durable when this returns; return their ids, known ones for duplicates.

        Raises:
            Outage: nothing of them is stored.
            Reject: as `put`.
        """
        return [stored.id for stored in self.put(deliveries)]

    def put(self, deliveries: Sequence[Delivery]) -> list[Stored]:
        """As `store`, and tell which are new; a duplicate is counted and otherwise left as it is.

        Raises:
            Outage: nothing of them is stored.
            Reject: nothing of them is stored, for one of them is nothing that the database can hold.
        """
        now = instants.text(time.time_ns() // 1_000_000)
        try:
            self._reopen_if_replaced()
            with self._engine.begin() as connection:
                if connection.dialect.name == "postgresql":
                    # Ids must become visible in their order, or a reader's bookmark would pass one by.
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_WRITERS)))
                return [
                    Stored(row.id, row.deliveries == 1)
                    for delivery in deliveries
                    for row in connection.execute(_STORE, _row(delivery, now))
                ]
        except sa.exc.DataError as error:
            raise Reject(f"The inbox {self.name} cannot hold a delivery: {self._why(error)}") from error
        except sa.exc.SQLAlchemyError as error:
            raise Outage(f"The inbox {self.name} cannot be written: {self._why(error)}") from error

    def after(self, id_: int, limit: int = 500) -> list[Event]:
        """The events behind an id, ascending; empty only when there are none.

        A page may be shorter than `limit` though more follow: it ends where its documents pass 64 MB.
        """
        sizes = sa.select(EVENTS.c.id, sa.func.coalesce(sa.func.length(EVENTS.c.document), 0))
        with self._reading() as connection:
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
            return [_event(row) for row in connection.execute(page)]

    def get(self, id_: int) -> Event | None:
        """The event of an id, or None."""
        with self._reading() as connection:
            row = connection.execute(sa.select(EVENTS).where(EVENTS.c.id == id_)).one_or_none()
        return None if row is None else _event(row)

    def count(self) -> int:
        """How many events it holds."""
        with self._reading() as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(EVENTS)).scalar_one()

    def pins(self) -> list[Pin]:
        """The topics that are pinned, the oldest first."""
        with self._reading() as connection:
            rows = connection.execute(sa.select(PINS).order_by(PINS.c.pinned_at, PINS.c.topic))
            return [Pin(row.topic, row.pinned_at, row.confirmed_at) for row in rows]

    def pin(self, topic: str, *, confirmed: bool = False) -> None:
        """Pin a topic, and note that SNS agreed.

        Raises:
            Outage: it could not be written.
        """
        now = instants.text(time.time_ns() // 1_000_000)
        self._write(_PIN, topic=topic, now=now, confirmed=now if confirmed else None)

    def beat(self) -> None:
        """Write a row that says nothing, to see that writing works.

        Raises:
            Outage: it does not.
        """
        now = instants.text(time.time_ns() // 1_000_000)
        self._write(_BEAT, now=now)

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def _open(self) -> None:
        METADATA.create_all(self._engine, tables=[EVENTS, PINS, BEATS])
        self._known_as = self._identity()

    def _identity(self) -> tuple[int, int] | None:
        if self._file is None:
            return None
        try:
            found = os.stat(self._file)  # noqa: PTH116 - the file itself, by whatever name
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _reopen_if_replaced(self) -> None:
        # SQLite would go on writing into a file that has lost its name, and every 2XX would be a lie.
        if self._identity() == self._known_as:
            return
        with self._reopening:
            if self._identity() != self._known_as:
                _LOG.error("The inbox %s was removed or replaced while we served; it is opened anew.", self.name)
                self._engine.dispose()
                self._open()

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        try:
            with self._reader.connect() as connection:
                yield connection
        except sa.exc.SQLAlchemyError as error:
            raise Outage(f"The inbox {self.name} cannot be read: {self._why(error)}") from error

    def _write(self, statement: sa.TextClause, **values: Any) -> None:
        try:
            self._reopen_if_replaced()
            with self._engine.begin() as connection:
                connection.execute(statement, values)
        except sa.exc.SQLAlchemyError as error:
            raise Outage(f"The inbox {self.name} cannot be written: {self._why(error)}") from error

    def _why(self, error: Exception) -> str:
        return self._redact(str(getattr(error, "orig", None) or error))


def _row(delivery: Delivery, now: str) -> dict[str, Any]:
    return {field.name: getattr(delivery, field.name) for field in fields(Delivery)} | {
        "received_at": now,
        "deliveries": 1,
    }


def _event(row: sa.Row[Any]) -> Event:
    return Event(**{name: row._mapping[name] for name in (column.name for column in EVENTS.columns)})
