"""Vic's own records, read once and kept up to date while we write: of a resource by list, payments by their batches."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from ap_connectors.core.raw_json import JsonObject
from ap_connectors.vicai.client import VicaiClient

_decode: Callable[[bytes], JsonObject] = msgspec.json.Decoder(JsonObject, float_hook=Decimal).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode

_CACHE_KB = 32 * 1024
"""Kilobytes of the table that stay in memory; the rest goes to a temporary file without a name."""
_FRESH_SECONDS = 10.0
_exact = msgspec.json.Decoder(JsonObject, float_hook=Decimal)


class Keys(NamedTuple):
    """What a record is found by.

    Args:
        id: Vic's id.
        key: its natural key; None if it has none.
        second_key: another natural key, of resources that have two.
    """

    id: str
    key: str | None
    second_key: str | None = None


class Reading(NamedTuple):
    """A record as Vic showed it, and when that was (monotonic seconds)."""

    record: JsonObject
    at: float


class RecordCache:
    """Records of one resource, in memory or on disk as their number requires.

    Args:
        read: reads all of Vic's records, page by page; called once, when a record is first asked for.
        keys_of: returns what a record is found by.
        aliases_of: yields what else a record may be found by, several records by one alias.
    """

    def __init__(
        self,
        read: Callable[[], Iterable[list[msgspec.Raw]]],
        keys_of: Callable[[JsonObject], Keys],
        aliases_of: Callable[[JsonObject], Iterable[str]] | None = None,
    ) -> None:
        self._read, self._keys_of, self._aliases_of = read, keys_of, aliases_of
        self._lock = threading.RLock()
        self._table: sqlite3.Connection | None = None
        self._has_aliases = False

    @property
    def is_read(self) -> bool:
        """Whether the list has been read."""
        return self._table is not None

    def by_key(self, key: str) -> list[Reading]:
        """Return the records with a natural key; several only where Vic allows it (names of terms and groups)."""
        rows = self._query("SELECT body, at FROM records WHERE key = ? ORDER BY id", key)
        return [Reading(_decode(body), at) for body, at in rows]

    def by_second_key(self, key: str) -> list[Reading]:
        """Return the records with a second natural key."""
        rows = self._query("SELECT body, at FROM records WHERE second_key = ? ORDER BY id", key)
        return [Reading(_decode(body), at) for body, at in rows]

    def by_alias(self, alias: str) -> list[Reading]:
        """Return the records with an alias; the aliases of all records are made when one is first asked for."""
        with self._lock:
            if not self._has_aliases:
                table = self._open()
                table.execute("CREATE TABLE aliases (alias TEXT, id TEXT)")
                for (body,) in table.execute("SELECT body FROM records"):
                    self._add_aliases(_decode(body))
                table.execute("CREATE INDEX by_alias ON aliases (alias)")
                table.execute("CREATE INDEX aliases_of ON aliases (id)")
                self._has_aliases = True
        rows = self._query(
            "SELECT body, at FROM records WHERE id IN (SELECT id FROM aliases WHERE alias = ?) ORDER BY id", alias
        )
        return [Reading(_decode(body), at) for body, at in rows]

    def by_id(self, id_: str) -> JsonObject | None:
        """Return the record with one of Vic's ids."""
        found = self._query("SELECT body FROM records WHERE id = ?", id_)
        return _decode(found[0][0]) if found else None

    def read_at(self, key: str) -> float | None:
        """Return when the records with a natural key were last read or written (monotonic seconds)."""
        ((at,),) = self._query("SELECT max(at) FROM records WHERE key = ?", key)
        return None if at is None else float(at)

    def id_read_at(self, id_: str) -> float | None:
        """Return when the record with one of Vic's ids was read or written (monotonic seconds)."""
        ((at,),) = self._query("SELECT max(at) FROM records WHERE id = ?", id_)
        return None if at is None else float(at)

    def put(self, reading: Reading) -> Keys:
        """Store what Vic answered to a read or a write; return what it is found by."""
        keys, body = self._keys_of(reading.record), _encode(reading.record)
        with self._lock:
            self._insert(self._open(), [(*keys, body, reading.at)])
            if self._has_aliases:
                self._query("DELETE FROM aliases WHERE id = ?", keys.id)
                self._add_aliases(reading.record)
        return keys

    def remove(self, id_: str) -> None:
        """Remove a record that Vic no longer has."""
        self._query("DELETE FROM records WHERE id = ?", id_)

    def _add_aliases(self, record: JsonObject) -> None:
        id_ = self._keys_of(record).id
        rows = [(alias, id_) for alias in (self._aliases_of(record) if self._aliases_of else ())]
        self._open().executemany("INSERT INTO aliases VALUES (?, ?)", rows)

    # For full loads: which records are to be deleted because the load does not have them

    def mark_seen(self, key: str, version: int) -> None:
        """Remember that the full load of this version has a natural key."""
        self._query("INSERT OR REPLACE INTO seen VALUES (?, ?)", key, version)

    def count_keyed(self) -> int:
        """Return how many records have a natural key; only these can be a target's own."""
        return int(self._query("SELECT count(*) FROM records WHERE key IS NOT NULL")[0][0])

    def unseen_keys(self, version: int) -> list[str]:
        """Return the natural keys that the full load of this version does not have."""
        rows = self._query(
            "SELECT key FROM records WHERE key IS NOT NULL"
            " AND NOT EXISTS (SELECT 1 FROM seen WHERE seen.key = records.key AND seen.version = ?) ORDER BY key",
            version,
        )
        return [key for (key,) in rows]

    # The table

    def _query(self, statement: str, *values: object) -> list[Any]:
        with self._lock:
            return self._open().execute(statement, values).fetchall()

    def _open(self) -> sqlite3.Connection:
        """Return the table; read the list first if that was not done yet."""
        if self._table is None:
            table = sqlite3.connect("", isolation_level=None, check_same_thread=False)
            table.executescript(
                f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -{_CACHE_KB};"
                "CREATE TABLE records (id TEXT PRIMARY KEY, key TEXT, second_key TEXT, body BLOB, at REAL);"
                "CREATE TABLE seen (key TEXT PRIMARY KEY, version INTEGER) WITHOUT ROWID;"
                # One transaction to the end: the table does not outlive the process.
                "BEGIN;"
            )
            for page in self._read():
                now = time.monotonic()
                self._insert(table, ((*self._keys_of(_decode(body)), bytes(body), now) for body in page))
            table.execute("CREATE INDEX by_key ON records (key, id)")
            table.execute("CREATE INDEX by_second_key ON records (second_key, id) WHERE second_key IS NOT NULL")
            self._table = table
        return self._table

    @staticmethod
    def _insert(table: sqlite3.Connection, rows: Iterable[tuple[Any, ...]]) -> None:
        table.executemany("INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?)", rows)


class PaymentBook:
    """All payments or credits of a company by id, as its batches show them; read when one is first asked for.

    Args:
        client: reads.
        part: `payments` or `credits`.
    """

    def __init__(self, client: VicaiClient, part: str) -> None:
        self._client, self._part = client, part
        self._lock = threading.Lock()
        self._known: dict[str, JsonObject] = {}
        self._batches: dict[str, str] = {}
        self._read_at: float | None = None

    def find(self, id_: str) -> JsonObject | None:
        """Return one as it is shown; the list is read again for one that it did not have a while ago."""
        with self._lock:
            is_old = self._read_at is None or time.monotonic() - self._read_at > _FRESH_SECONDS
            if id_ not in self._known and is_old:
                for page in self._client.raw_pages("listPaymentBatches", status="all"):
                    for batch in page:
                        self._learn(_exact.decode(batch))
                self._read_at = time.monotonic()
            return self._known.get(id_)

    def read_again(self, ids: Sequence[str]) -> None:
        """Read the batches of some payments or credits again."""
        with self._lock:
            for batch in dict.fromkeys(self._batches[id_] for id_ in ids):
                if (found := self._client.found("getPaymentBatch", id=batch)) is not None:
                    self._learn(found)

    def told(self, id_: str, body: Mapping[str, Any]) -> None:
        """Note what was written."""
        with self._lock:
            self._known[id_] = {**self._known.get(id_, {}), **body}

    def _learn(self, batch: JsonObject) -> None:
        for one in batch.get(self._part) or ():
            if id_ := one.get("id"):
                self._known[str(id_)], self._batches[str(id_)] = one, str(batch.get("id"))
