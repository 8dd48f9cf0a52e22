"""Which batches are under way: a batch leaves word before it begins, and takes it back when all its results are told.

It holds a lock as long as it lives. Word of a batch whose lock is free is what a kill, or the end of the machine, has
left behind; when it was last seen says when that was.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from ap_connectors.core import files

TABLE = "fleet_batches"
EVERY = 5.0
"""Seconds between two times that a batch says that it lives."""
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_NAME = "ap-fleet batch "


class Batch(msgspec.Struct, frozen=True):
    """What a batch sets out to do.

    Args:
        id: of the batch; its results have it.
        began: when, in UTC.
        jobs: company and pipeline of each.
    """

    id: str
    began: str
    jobs: tuple[tuple[str, str], ...]


class Word(msgspec.Struct, frozen=True):
    """What is there of a batch.

    Args:
        batch: what it set out to do.
        lives: whether it is under way.
        seen: when it was last seen, in UTC; a few seconds earlier than its end.
    """

    batch: Batch
    lives: bool
    seen: str


def batch(jobs: Sequence[tuple[str, str]]) -> Batch:
    """Return a batch that begins now."""
    return Batch(str(uuid.uuid4()), time.strftime(_TIME, time.gmtime()), tuple(jobs))


class Journal(ABC):
    """Word of batches."""

    @abstractmethod
    def begin(self, batch: Batch) -> None:
        """Leave word of a batch of this process, and take its lock."""

    @abstractmethod
    def beat(self) -> None:
        """Say that the batch lives."""

    @abstractmethod
    def end(self) -> None:
        """Take back the word of the batch: all its results are told."""

    @abstractmethod
    def words(self) -> list[Word]:
        """Return word of all batches, oldest first."""

    @abstractmethod
    def taken(self, id_: str) -> contextlib.AbstractContextManager[bool]:
        """Hold what is left of a batch that was cut off; it is gone behind the block.

        Yields False where another process has it.
        """


class FolderJournal(Journal):
    """A locked file for each batch.

    Args:
        folder: of all.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path, self._file = folder, -1

    def begin(self, batch: Batch) -> None:
        """Write the file, locked before others see it."""
        self._path = self._folder / f"{batch.id}.json"
        with files.replacing(self._path) as file:
            file.write(msgspec.json.encode(batch))
            # The lock is that of the file, whatever its name.
            self._file = os.dup(file.fileno())
            fcntl.flock(self._file, fcntl.LOCK_EX)

    def beat(self) -> None:
        """Set the time of the file's last change."""
        if self._file >= 0:
            os.utime(self._file)

    def end(self) -> None:
        """Remove the file."""
        if self._file >= 0:
            self._path.unlink(missing_ok=True)
            os.close(self._file)
            self._file = -1

    def words(self) -> list[Word]:
        """Read the files."""
        found = []
        for path in self._folder.glob("*.json"):
            # It may be gone at this moment; a full disk may have cut it.
            with contextlib.suppress(OSError, msgspec.MsgspecError), path.open("rb") as file:
                begun = msgspec.json.decode(file.read(), type=Batch)
                seen = time.strftime(_TIME, time.gmtime(os.fstat(file.fileno()).st_mtime))
                found.append(Word(begun, not _locked(file.fileno(), fcntl.LOCK_SH), seen))
        return sorted(found, key=lambda one: one.batch.began)

    @contextmanager
    def taken(self, id_: str) -> Iterator[bool]:
        """Lock the file; remove it."""
        path = self._folder / f"{id_}.json"
        try:
            file = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            yield False
            return
        try:
            # Another process may have been quicker, and have removed it.
            free = _locked(file, fcntl.LOCK_EX) and os.fstat(file).st_nlink > 0
            yield free
            if free:
                path.unlink()
        finally:
            os.close(file)


def _locked(file: int, how: int) -> bool:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class PostgresJournal(Journal):
    """A row for each batch; the lock is PostgreSQL's, held by the connection.

    Args:
        opened: returns a connection; a new one after the last one has failed.
        readable: returns one that has made nothing; None if there is no table yet.
    """

    def __init__(self, opened: Callable[[], Any], readable: Callable[[], Any | None]) -> None:
        self._opened, self._readable = opened, readable
        self._id = ""

    def begin(self, batch: Batch) -> None:
        """Insert the row."""
        self._id = batch.id
        jobs = msgspec.json.encode(batch).decode()
        self.beat()
        self._rows(f"INSERT INTO {TABLE} (id, batch) VALUES (%s, %s)", batch.id, jobs)  # noqa: S608

    def beat(self) -> None:
        """Set the row's time; a new connection gets the lock anew."""
        if self._id:
            self._rows("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", _NAME + self._id)
            self._rows(f"UPDATE {TABLE} SET seen_at = now() WHERE id = %s", self._id)  # noqa: S608

    def end(self) -> None:
        """Delete the row."""
        if self._id:
            self._delete(self._id)
            self._id = ""

    def words(self) -> list[Word]:
        """Read the rows, and who holds their locks: who took one to try would be in the way of its owner."""
        connection = self._readable()
        if connection is None:
            return []
        seen = "to_char(seen_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
        lives = (
            "EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted AND "
            "database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND "
            "(classid::bigint << 32) | objid::bigint = hashtextextended(%s || id, 0))"
        )
        asked = f"SELECT batch::text, {seen}, {lives} FROM {TABLE} ORDER BY seen_at"  # noqa: S608
        rows = connection.execute(asked, (_NAME,)).fetchall()
        return [Word(msgspec.json.decode(text, type=Batch), lives, at) for text, at, lives in rows]

    @contextmanager
    def taken(self, id_: str) -> Iterator[bool]:
        """Lock the row's name; delete the row."""
        ((free,),) = self._rows("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", _NAME + id_)
        there = free and bool(self._rows(f"SELECT 1 FROM {TABLE} WHERE id = %s", id_))  # noqa: S608
        yield there
        if there:
            self._delete(id_)
        if free:
            self._rows("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", _NAME + id_)

    def _delete(self, id_: str) -> None:
        self._rows(f"DELETE FROM {TABLE} WHERE id = %s", id_)  # noqa: S608

    def _rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        cursor = self._opened().execute(statement, values or None)
        return list(cursor.fetchall()) if cursor.description else []


CREATE = (
    f"CREATE TABLE IF NOT EXISTS {TABLE} (id text PRIMARY KEY, batch json NOT NULL, "
    "seen_at timestamptz NOT NULL DEFAULT now())"
)
