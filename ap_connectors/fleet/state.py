"""Where the STATE of a company's pipeline is kept, and the lock that lets one run of it at a time change it.

Where a pipeline ends in target-warehouse, the warehouse's table `_state` has the STATE, written with the rows that it
covers; here it is only read. Else a folder or PostgreSQL keeps it: a STATE replaces only the one that its run began
with, so a run that lost its lock cannot put back what another one has left behind.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from ap_connectors.core import duckdb_files, files, postgresql
from ap_connectors.core.errors import Outage, Stop
from ap_connectors.fleet import children, databases

TABLE = "fleet_state"


class Busy(Stop):
    """Another run of the same pipeline of the same company is under way."""


class Store(ABC):
    """The STATE of one pipeline of one company, locked from `lock` until the process and its children end."""

    @abstractmethod
    def lock(self) -> None:
        """Take the lock.

        Raises:
            Busy: another run has it.
        """

    @abstractmethod
    def read(self) -> bytes | None:
        """Return the STATE; None before the first."""

    def look(self) -> bytes | None:
        """Return the STATE without the lock, so that it cannot be written after."""
        return self.read()

    @abstractmethod
    def write(self, state: bytes) -> None:
        """Replace the STATE that was read or written last.

        Raises:
            Stop: it is no longer that one.
        """

    @abstractmethod
    def remove(self) -> bool:
        """Forget the STATE; return whether there was one."""

    def end(self) -> None:  # noqa: B027 - only one has to wait
        """Wait no longer for what another program has: a signal has come. `read` then raises Outage."""


class FolderStore(Store):
    """A file for each pipeline, in a folder for each company.

    Args:
        folder: of all states.
        company: its id.
        pipeline: its name.
    """

    def __init__(self, folder: Path, company: str, pipeline: str) -> None:
        self.path = folder / company / f"{pipeline}.json"
        self._last: bytes | None = None
        self._lock: int | None = None

    def lock(self) -> None:
        """Lock a file beside the state; its holder's children hold it, too."""
        path = self.path.with_suffix(".lock")
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise Stop(f"{path}: the lock cannot be written: {error.strerror}.") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._lock, 200).decode(errors="replace").strip()
            raise Busy(
                f"another run of it is under way{f' ({holder})' if holder else ''}; this one did nothing."
            ) from None
        began = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
        # For people only: a full disk is told of where it matters.
        with contextlib.suppress(OSError):
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, f"process {os.getpid()} of {socket.gethostname()}, since {began}".encode(), 0)

    def read(self) -> bytes | None:
        """Read the file."""
        self._last = self._now()
        return self._last

    def write(self, state: bytes) -> None:
        """Replace the file, durably."""
        if self._now() != self._last:
            raise _overtaken(str(self.path))
        try:
            files.replace(self.path, state)
        except OSError as error:
            raise Stop(f"{self.path}: the state cannot be written: {error.strerror}.") from None
        self._last = state

    def remove(self) -> bool:
        """Remove the file; the lock stays, for another run may wait for it."""
        there = self.path.exists()
        self.path.unlink(missing_ok=True)
        return there

    def _now(self) -> bytes | None:
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Stop(f"{self.path}: the state cannot be read: {error.strerror}.") from None


class _Locked(Store):
    """A store whose lock is PostgreSQL's, held by a connection."""

    def __init__(self, url: str, company: str, pipeline: str) -> None:
        self._url, self._company, self._pipeline = url, company, pipeline
        self._connection: Any = None

    def lock(self) -> None:
        """Connect, and take an advisory lock; it ends with the connection, which children keep open."""
        name = f"ap-fleet {self._company} {self._pipeline}"
        ((free,),) = self._rows("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", name)
        if not free:
            self._connection.close()
            raise Busy("another run of it is under way; this one did nothing.")

    def _rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        psycopg = databases.driver("psycopg")
        try:
            if self._connection is None:
                self._connection = postgresql.connect(self._url, "ap-fleet", autocommit=True)
            cursor = self._connection.execute(statement, values or None)
            return list(cursor.fetchall()) if cursor.description else []
        except psycopg.OperationalError as error:
            raise Outage(databases.trouble(error, self._url)) from None
        except psycopg.Error as error:
            raise Stop(databases.trouble(error, self._url)) from None


class PostgresStore(_Locked):
    """A row of the table `fleet_state`, with the number of its version."""

    _version = 0

    def lock(self) -> None:
        """Lock, and make the table unless it is there."""
        super().lock()
        self.create()

    def create(self) -> None:
        """Make the table unless it is there; only that takes the right to make one."""
        if self._rows("SELECT to_regclass(%s) IS NOT NULL", TABLE)[0][0]:
            return
        with self._connection.transaction():
            self._rows("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", TABLE)
            self._rows(
                f"CREATE TABLE IF NOT EXISTS {TABLE} (company text NOT NULL, pipeline text NOT NULL, "
                "state json NOT NULL, version bigint NOT NULL, changed_at timestamptz NOT NULL, "
                "PRIMARY KEY (company, pipeline))"
            )

    def read(self) -> bytes | None:
        """Read the row."""
        asked = f"SELECT state::text, version FROM {TABLE} WHERE company = %s AND pipeline = %s"  # noqa: S608
        found = self._rows(asked, self._company, self._pipeline)
        if not found:
            return None
        text, self._version = found[0]
        return bytes(text, "utf-8")

    def write(self, state: bytes) -> None:
        """Replace the row if it has the version that was read."""
        changed = self._rows(
            f"INSERT INTO {TABLE} AS s VALUES (%s, %s, %s, 1, now()) "  # noqa: S608
            "ON CONFLICT (company, pipeline) DO UPDATE SET state = excluded.state, version = s.version + 1, "
            "changed_at = now() WHERE s.version = %s RETURNING version",
            self._company,
            self._pipeline,
            state.decode(),
            self._version,
        )
        if not changed or changed[0][0] != self._version + 1:
            raise _overtaken(f"the table {TABLE}")
        self._version += 1

    def remove(self) -> bool:
        """Delete the row."""
        found = self._rows("SELECT to_regclass(%s) IS NOT NULL", TABLE)
        if not found[0][0]:
            return False
        deleted = f"DELETE FROM {TABLE} WHERE company = %s AND pipeline = %s RETURNING version"  # noqa: S608
        return bool(self._rows(deleted, self._company, self._pipeline))


class WarehouseStore(_Locked):
    """The row of the warehouse's table `_state`, in PostgreSQL; target-warehouse writes it.

    Args:
        url: of the database.
        company: its id.
        pipeline: its name, for the lock.
        schema: of the pipeline's tables.
        state_id: under which the row is.
    """

    def __init__(self, url: str, company: str, pipeline: str, schema: str, state_id: str) -> None:
        super().__init__(url, company, pipeline)
        self._schema, self._state_id = schema, state_id

    def read(self) -> bytes | None:
        """Read the row."""
        return warehouse_state(
            databases.Database(self._connection, is_postgresql=True), self._company, self._schema, self._state_id
        )

    def look(self) -> bytes | None:
        """Connect, and read the row."""
        self._rows("SELECT 1")
        return self.read()

    def write(self, state: bytes) -> None:
        """Do nothing: target-warehouse has written it with the rows."""

    def remove(self) -> bool:
        """Leave it to who removes the rows."""
        return False


class DuckDBStore(FolderStore):
    """The same row in a DuckDB file; the lock is a file, for DuckDB has none.

    Args:
        where: folder of all states, id of the company, name of the pipeline.
        database: path of the file.
        schema: of the pipeline's tables.
        state_id: under which the row is.
    """

    def __init__(self, where: tuple[Path, str, str], database: str, schema: str, state_id: str) -> None:
        super().__init__(*where)
        self._row = database, where[1], schema, state_id
        self._name = " ".join(where[1:])
        self._reader = 0
        self._is_ended = False

    def read(self) -> bytes | None:
        """Read the row, opened as target-warehouse opens it soon: who is in its way is told of first."""
        return self._read(write=True)

    def look(self) -> bytes | None:
        """Read the row; others may read the file, too."""
        return self._read(write=False)

    def _read(self, *, write: bool) -> bytes | None:
        """Read the row in a process of its own: DuckDB leaves threads behind, and we have to fork."""
        if not duckdb_files.is_made(self._row[0]):
            return None
        source, sink = os.pipe()
        self._reader = children.fork(lambda: self._tell(sink, write))
        os.close(sink)
        if self._is_ended:
            # The signal came before there was whom to tell.
            self.end()
        with os.fdopen(source, "rb") as told:
            content = told.read()
        reader, self._reader = self._reader, 0
        os.waitpid(reader, 0)
        answer = json.loads(content or b'{"outage": "DuckDB was ended while it read the STATE; the next run goes on."}')
        if "state" not in answer:
            raise (Outage if "outage" in answer else Stop)(next(iter(answer.values())))
        return answer["state"].encode() if answer["state"] is not None else None

    def end(self) -> None:
        """End the process that waits for the file."""
        self._is_ended = True
        if self._reader:
            os.kill(self._reader, signal.SIGTERM)

    def _tell(self, sink: int, write: bool) -> int:
        """Write into a pipe what was found."""
        database, *row = self._row
        found: dict[str, str | None] = {}
        try:
            with databases.opened(database, write=write, tell=self._say) as opened:
                state = warehouse_state(opened, *row)
                found = {"state": state.decode() if state is not None else None}
        except Outage as error:
            found = {"outage": str(error)}
        except Exception as error:
            found = {"stop": children.words(error)}
        with os.fdopen(sink, "wb") as out:
            out.write(json.dumps(found).encode())
        return 0

    def _say(self, words: str) -> None:
        print(f"{self._name}: {words}", file=sys.stderr, flush=True)  # noqa: T201

    def write(self, state: bytes) -> None:
        """Do nothing: target-warehouse has written it with the rows."""


def warehouse_state(opened: databases.Database, company: str, schema: str, state_id: str) -> bytes | None:
    """Return the STATE that a warehouse keeps for a company's pipeline; None before the first."""
    there = opened.rows(
        "SELECT 1 FROM information_schema.tables WHERE table_schema = ? AND table_name = '_state'", schema
    )
    if not there:
        return None
    name = schema.replace('"', '""')
    catalog = "" if opened.is_postgresql else f'"{opened.rows("SELECT current_database()")[0][0]}".'
    found = opened.rows(
        f'SELECT cast(state AS text) FROM {catalog}"{name}"._state WHERE company = ? AND pipeline = ?',  # noqa: S608
        company,
        state_id,
    )
    return str(found[0][0]).encode() if found else None


def _overtaken(where: str) -> Stop:
    return Stop(f"{where}: another program has changed the state meanwhile, so this run's was not written over it.")
