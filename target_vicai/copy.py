"""Vic's own records of one kind, read once by list and kept up to date while we write."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import msgspec

Plain = dict[str, Any]
"""A decoded JSON object; numbers with a point are `Decimal`s with all their digits."""

Names = tuple[str, str | None, str | None]
"""What a record is found by: Vic's id, its natural key, and a second one where there is such (None: it has none)."""

_decode: Callable[[bytes], Plain] = msgspec.json.Decoder(Plain, float_hook=Decimal).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode

_LARGEST_CACHE = 32 * 1024
"""Kilobytes of a copy that stay in memory; the rest goes to a temporary file without a name."""


class Copy:
    """Records of one kind, found by Vic's id or by their natural keys, in memory or on disk as their number asks for.

    Args:
        read: reads all of Vic's records, by pages.
        names: what a record is found by.
    """

    def __init__(self, read: Callable[[], Iterable[list[msgspec.Raw]]], names: Callable[[Plain], Names]) -> None:
        self._read, self._names = read, names
        self._lock = threading.RLock()
        self._table: sqlite3.Connection | None = None

    @property
    def is_read(self) -> bool:
        """Whether the list has been read."""
        return self._table is not None

    def of(self, key: str) -> list[Plain]:
        """Return the records with a natural key; more than one only where nobody forbids it (names of terms)."""
        return [_decode(body) for (body,) in self._ask("SELECT body FROM records WHERE key = ? ORDER BY id", key)]

    def called(self, second: str) -> list[Plain]:
        """Return the records with a second natural key."""
        return [_decode(body) for (body,) in self._ask("SELECT body FROM records WHERE second = ? ORDER BY id", second)]

    def by_id(self, id_: str) -> Plain | None:
        """Return the record with one of Vic's ids."""
        found = self._ask("SELECT body FROM records WHERE id = ?", id_)
        return _decode(found[0][0]) if found else None

    def age(self, id_: str) -> float:
        """Seconds since a record was read or written."""
        found = self._ask("SELECT at FROM records WHERE id = ?", id_)
        return time.monotonic() - found[0][0] if found else 0.0

    def put(self, record: Plain) -> None:
        """Take in what Vic answered to a write, or to a question."""
        with self._lock:
            self._insert([(*self._names(record), _encode(record), time.monotonic())])

    def remove(self, id_: str) -> None:
        """Take a record out that Vic does not have any more."""
        self._ask("DELETE FROM records WHERE id = ?", id_)

    # For the deletion of what a full load no longer has

    def seen(self, key: str, version: int) -> None:
        """Take note that a load of this version holds a natural key."""
        self._ask("INSERT OR REPLACE INTO seen VALUES (?, ?)", key, version)

    def keyed(self) -> int:
        """Return how many records have a natural key: what a target may have written."""
        return int(self._ask("SELECT count(*) FROM records WHERE key IS NOT NULL")[0][0])

    def unseen(self, version: int) -> list[tuple[str, str]]:
        """Return Vic's id and the natural key of every record that a load of this version does not hold."""
        return self._ask(
            "SELECT id, key FROM records WHERE key IS NOT NULL"
            " AND NOT EXISTS (SELECT 1 FROM seen WHERE seen.key = records.key AND seen.version = ?) ORDER BY key",
            version,
        )

    def _ask(self, statement: str, *values: object) -> list[Any]:
        with self._lock:
            return self._open().execute(statement, values).fetchall()

    def _open(self) -> sqlite3.Connection:
        """Return the table; read the list first if nobody has."""
        if self._table is None:
            table = sqlite3.connect("", isolation_level=None, check_same_thread=False)
            table.executescript(
                f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -{_LARGEST_CACHE};"
                "CREATE TABLE records (id TEXT PRIMARY KEY, key TEXT, second TEXT, body BLOB, at REAL);"
                "CREATE TABLE seen (key TEXT PRIMARY KEY, version INTEGER) WITHOUT ROWID;"
                # One transaction to the end: nothing of this outlives the process.
                "BEGIN;"
            )
            for page in self._read():
                now = time.monotonic()
                rows = ((*self._names(_decode(body)), bytes(body), now) for body in page)
                table.executemany("INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?)", rows)
            table.execute("CREATE INDEX by_key ON records (key)")
            table.execute("CREATE INDEX by_second ON records (second) WHERE second IS NOT NULL")
            self._table = table
        return self._table

    def _insert(self, rows: Iterable[tuple[Any, ...]]) -> None:
        self._open().executemany("INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?)", rows)
