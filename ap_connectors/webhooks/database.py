"""The inbox's database, SQLite or PostgreSQL: its tables, its transactions, its locks, and its errors.

Every statement runs inside `Database.reading` or `Database.writing`, which explain errors without the password.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL

from ap_connectors.core import instants, postgresql
from ap_connectors.core.errors import ApError, Outage, Stop
from ap_connectors.core.files import check_link
from ap_connectors.core.redact import Redactor
from ap_connectors.core.settings import warn_if_open
from ap_connectors.webhooks.inbox_url import address, file_of, passwords, shown

_LOG = logging.getLogger("ap_connectors.webhooks.database")

METADATA = sa.MetaData()

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

EVENTS = sa.Table(
    "events",
    METADATA,
    sa.Column("id", _ID, primary_key=True, autoincrement=True),
    sa.Column("service", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("dedup_key", sa.Text, nullable=False),
    sa.Column("company", sa.Text),
    sa.Column("request_id", sa.Text),
    sa.Column("received_at", sa.Text, nullable=False),
    # Before the bytes: SQLite reads a row from its front, and skips a document that is not selected.
    sa.Column("deliveries", sa.Integer, nullable=False),
    sa.Column("document_name", sa.Text),
    sa.Column("document_type", sa.Text),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("document", sa.LargeBinary),
    sa.UniqueConstraint("service", "dedup_key"),
    # Ids are bookmarks, so the id of a deleted row must never be used again.
    sqlite_autoincrement=True,
)

ALLOWED_TOPICS = sa.Table(
    "pins",
    METADATA,
    sa.Column("topic", sa.Text, primary_key=True),
    sa.Column("pinned_at", sa.Text, nullable=False),
    sa.Column("confirmed_at", sa.Text),
)
"""SNS topics whose notifications are accepted."""

HEARTBEATS = sa.Table(
    "beats",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.Text, nullable=False),
)
"""One row, rewritten to check that the inbox can be written."""

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
"""One row: the last event that the rules were applied to."""

PURGED = sa.Table(
    "purged",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("event_id", _ID, nullable=False),
    sa.Column("before", sa.Text, nullable=False),
)
"""One row: the highest number of an event that was deleted, and the instant before which processed ones were."""

RECONCILED = sa.Table(
    "reconciled",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("report", sa.Text, nullable=False),
)
"""One row: what the last `reconcile` found, as JSON."""

# Advisory locks of PostgreSQL; SQLite has one writer anyway.
STORE_LOCK, PLAN_LOCK, _RUNNER_LOCK = 7_065_706, 7_065_707, 7_065_708

# How long a writer waits for another one: well below the 5 s that Vic.ai waits for us.
BUSY_SECONDS = 2.5


class NotStorable(ApError):
    """The database does not accept a value, whenever it is tried again."""


class Database:
    """The connections to one inbox. Thread-safe.

    Args:
        url: `sqlite:///webhooks.db`, a plain path, or `postgresql://user@host/name`.

    Raises:
        Stop: it cannot be opened; the message says why.
    """

    def __init__(self, url: str) -> None:
        place = address(url)
        self._redact = Redactor(passwords(place))
        self.name = shown(place)
        self.file = file_of(place)
        self.engine = _engine(place)
        self._reader = self.engine.execution_options(reads=True)
        self._file_id: tuple[int, int] | None = None
        self._reopening = threading.Lock()
        if self.file is not None and not self.file.absolute().parent.is_dir():
            raise Stop(f"inbox: the folder of {self.file} does not exist. Create it, or set another file.")
        if self.file is not None:
            try:
                check_link(self.file)
            except OSError as error:
                raise Stop(f"inbox: {self.file}: {error.strerror}.") from None
            warn_if_open(self.file, "what the services sent")
        try:
            self._open()
        except sa.exc.SQLAlchemyError as error:
            self.engine.dispose()
            raise Stop(f"The inbox {self.name} cannot be opened: {self._reason(error)}") from None

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Give a connection for reading.

        Raises:
            Outage: the inbox cannot be read.
        """
        with self.explained("read"), self._reader.connect() as connection:
            yield connection

    @contextmanager
    def writing(self, lock: int | None = None) -> Iterator[sa.Connection]:
        """Give a connection in a transaction, which is committed when the context ends without an error.

        Args:
            lock: of PostgreSQL, held until the end of the transaction.

        Raises:
            Outage: the inbox cannot be written, and nothing was.
            NotStorable: the database does not accept a value; nothing was written.
        """
        with self.explained("written"):
            self._reopen_if_replaced()
            with self.engine.begin() as connection:
                if lock is not None and connection.dialect.name == "postgresql":
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(lock)))
                yield connection

    @contextmanager
    def explained(self, verb: str) -> Iterator[None]:
        """Turn errors of the database into ours; `verb` says what could not be done."""
        try:
            yield
        except sa.exc.DataError as error:
            raise NotStorable(f"The inbox {self.name} does not accept a value: {self._reason(error)}") from error
        except sa.exc.SQLAlchemyError as error:
            raise Outage(f"The inbox {self.name} cannot be {verb}: {self._reason(error)}") from error

    def close(self) -> None:
        """Close the connections."""
        self.engine.dispose()

    def _open(self) -> None:
        METADATA.create_all(self.engine)
        self._file_id = self._current_file_id()

    def _current_file_id(self) -> tuple[int, int] | None:
        # Look, never open: closing any descriptor of the file would release all of SQLite's locks on it.
        try:
            found = self.file.stat() if self.file else None
        except OSError:
            return None
        return (found.st_dev, found.st_ino) if found else None

    def _reopen_if_replaced(self) -> None:
        # SQLite would keep writing to a file that has lost its name, and every 2XX would be a lie.
        if self._current_file_id() == self._file_id:
            return
        with self._reopening:
            if self._current_file_id() != self._file_id:
                _LOG.error("The inbox %s was removed or replaced while in use; it is opened again.", self.name)
                self.engine.dispose()
                self._open()

    def _reason(self, error: sa.exc.SQLAlchemyError) -> str:
        return self._redact(str(getattr(error, "orig", None) or error))


class RunnerLock:
    """The right to start runs: one process per inbox holds it, and it ends with that process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._descriptor: int | None = None
        self._connection: sa.Connection | None = None

    def acquire(self) -> bool:
        """Take the lock, or check that it is still ours; return False if another process holds it.

        Raises:
            Outage: the database cannot be asked.
            OSError: the lock file cannot be created.
        """
        file = self._database.file
        return self._lock_connection() if file is None else self._lock_file(file)

    def release(self) -> None:
        """Leave it to other processes."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        if self._connection is not None:
            # The lock belongs to the session, which the pool would keep.
            self._connection.invalidate()
            self._connection.close()
            self._connection = None

    def _lock_file(self, file: Path) -> bool:
        if self._descriptor is not None:
            return True
        descriptor = os.open(file.with_name(f".{file.name}.acting"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def _lock_connection(self) -> bool:
        try:
            with self._database.explained("locked"):
                if self._connection is not None:
                    self._connection.execute(sa.text("SELECT 1"))
                    return True
                # Autocommit: no transaction stays open for as long as the lock is held.
                connection = self._database.engine.connect()
                connection = connection.execution_options(isolation_level="AUTOCOMMIT", reads=True)
                if connection.execute(sa.select(sa.func.pg_try_advisory_lock(_RUNNER_LOCK))).scalar_one():
                    self._connection = connection
                    return True
                connection.close()
        except Outage:
            self.release()
            raise
        return False


def now_ms() -> int:
    """Return the milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def now() -> str:
    """Return this instant as text, in UTC."""
    return instants.text(now_ms())


def _engine(url: URL) -> sa.Engine:
    if url.get_backend_name() == "sqlite":
        engine = sa.create_engine(
            url, hide_parameters=True, connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False}
        )
        sa.event.listen(engine, "do_connect", _create_private_file)
        sa.event.listen(engine, "connect", _configure_sqlite)
        sa.event.listen(engine, "begin", _begin)
        return engine
    options = f"-c lock_timeout={int(BUSY_SECONDS * 1000)} -c synchronous_commit=on"
    arguments: dict[str, Any] = {}
    if url.get_driver_name() == "psycopg":
        limits = {name: limit for name, limit in postgresql.LIMITS.items() if name not in url.query}
        arguments = {**limits, "connect_timeout": 3, "options": options}
    try:
        return sa.create_engine(url, hide_parameters=True, pool_pre_ping=True, connect_args=arguments)
    except ModuleNotFoundError as error:
        raise Stop(
            f"inbox: PostgreSQL needs the package {error.name}; install it with: pip install psycopg[binary]"
        ) from None


def _create_private_file(_dialect: object, _record: object, arguments: Sequence[Any], _more: object) -> None:
    # Invoices are confidential, and SQLite would create the file (and those beside it) with the rights of the umask.
    # Leave an existing file alone: closing it here would release all of SQLite's locks on it. If the file cannot be
    # created, SQLite says why.
    with suppress(OSError):
        os.close(os.open(arguments[0], os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _configure_sqlite(connection: Any, _record: object) -> None:
    # The driver would begin transactions by its own rules; `_begin` does it instead.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin(connection: sa.Connection) -> None:
    # A transaction that reads first and writes later fails at once if another one wrote meanwhile, however long it
    # would wait. So take the write lock at the start, unless the transaction only reads.
    reads = connection.get_execution_options().get("reads", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
