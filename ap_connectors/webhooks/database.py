"""Opens the database of the inbox: SQLite that keeps what it acknowledged through a power cut, or PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url

from ap_connectors.core.errors import Stop

# The tables of the receiver. Other rooms add theirs to `METADATA`; `Inbox.engine` reaches all of them.

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
    # Before the bytes: SQLite reads a row from its front, and leaves a document alone that nobody asks for.
    sa.Column("deliveries", sa.Integer, nullable=False),
    sa.Column("document_name", sa.Text),
    sa.Column("document_type", sa.Text),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("document", sa.LargeBinary),
    sa.UniqueConstraint("service", "dedup_key"),
    # Ids are bookmarks, so the id of a row that was deleted must never be given again.
    sqlite_autoincrement=True,
)

PINS = sa.Table(
    "pins",
    METADATA,
    sa.Column("topic", sa.Text, primary_key=True),
    sa.Column("pinned_at", sa.Text, nullable=False),
    sa.Column("confirmed_at", sa.Text),
)
"""Topics of SNS whose notifications are taken."""

BEATS = sa.Table(
    "beats",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.Text, nullable=False),
)
"""One row, written anew to see that writing works."""


BUSY_SECONDS = 2.5
"""How long a writer waits for another one: well inside the 5 s that Vic gives us."""


def address(given: str) -> URL:
    """Read the setting `inbox`: a URL, or the plain path of an SQLite file.

    Raises:
        Stop: it is neither.
    """
    if not given.strip():
        raise Stop("inbox: is empty; give a file such as webhooks.db, or a URL such as postgresql://user@host/name.")
    if "://" not in given:
        return URL.create("sqlite", database=given)
    try:
        url = make_url(given)
    except sa.exc.ArgumentError:
        raise Stop("inbox: is no URL of a database; sqlite:///webhooks.db or postgresql://user@host/name is.") from None
    if url.drivername in {"postgres", "postgresql"}:
        return url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in {"sqlite", "postgresql"}:
        raise Stop(f"inbox: {url.get_backend_name()} is not known here; use SQLite or PostgreSQL.")
    if url.get_backend_name() == "sqlite" and url.database in {None, "", ":memory:"}:
        raise Stop("inbox: a database in memory would lose every event at the end; name a file.")
    return url


def open_engine(url: URL) -> sa.Engine:
    """Make the engine; nothing is connected yet.

    Raises:
        Stop: the driver is not installed.
    """
    if url.get_backend_name() == "sqlite":
        engine = sa.create_engine(
            url, hide_parameters=True, connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False}
        )
        sa.event.listen(engine, "do_connect", _make_private)
        sa.event.listen(engine, "connect", _prepare)
        sa.event.listen(engine, "begin", _begin)
        return engine
    try:
        return sa.create_engine(url, hide_parameters=True, pool_pre_ping=True, connect_args=_patience(url))
    except ModuleNotFoundError as error:
        raise Stop(
            f"inbox: PostgreSQL needs the package {error.name}; install it with: pip install psycopg[binary]"
        ) from None


def file_of(url: URL) -> Path | None:
    """The file of an SQLite database; None of a server."""
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def _patience(url: URL) -> dict[str, Any]:
    if url.get_driver_name() != "psycopg":
        return {}
    waits = f"-c lock_timeout={int(BUSY_SECONDS * 1000)} -c synchronous_commit=on"
    return {"connect_timeout": 3, "options": waits}


def _make_private(_dialect: object, _record: object, arguments: Sequence[Any], _more: object) -> None:
    # Invoices are nobody else's business; SQLite would make the file as the umask says, and it gives its own others the
    # same rights. A file that exists is left alone: to close it here would end all of SQLite's locks on it. Where none
    # can be made, SQLite says why.
    with suppress(OSError):
        os.close(os.open(arguments[0], os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _prepare(connection: Any, _record: object) -> None:
    # The driver would begin transactions by its own rules; `_begin` does it instead.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin(connection: sa.Connection) -> None:
    # A transaction that reads first and writes later fails at once when another one wrote meanwhile, however long it
    # would wait; one that is known to read only never takes the lock.
    reads = connection.get_execution_options().get("reads", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
