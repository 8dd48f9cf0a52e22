"""The records of one resource, kept as the bytes that are served, in the orders that lists want."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable
from typing import Any

from ap_connectors.sandbox.vicai.resources import Resource

Key = tuple[Any, str]


class Entry:
    """One record.

    `instant` is internalUpdatedAt in microseconds; `wall` the digits of externalUpdatedAt, empty if there is none;
    `fact` what lists filter by; `body` the record's JSON; `number` the seeded invoice it was made from, or None;
    `drawn` says that it has a document although none was uploaded.
    """

    __slots__ = ("body", "drawn", "external_id", "fact", "id", "instant", "number", "wall")

    def __init__(self, id_: str, instant: int, external_id: str | None, wall: str, body: bytes) -> None:
        self.id, self.instant, self.external_id, self.wall, self.body = id_, instant, external_id, wall, body
        self.fact: Any = None
        self.number: int | None = None
        self.drawn = False

    @property
    def place(self) -> str:
        """The id as text that sorts like the id: numbers as numbers."""
        return self.id.zfill(20)


class Collection:
    """Records by id and by external id, sorted by Vic's time, by the ERP's, and by id.

    `unit` is how fine Vic's instants are, in microseconds: what is written alike sorts alike.
    """

    def __init__(self, resource: Resource, unit: int) -> None:
        self.resource = resource
        self.by_id: dict[str, Entry] = {}
        self.by_external: dict[str, Entry] = {}
        self._keys: dict[str, Callable[[Entry], Key]] = {
            "internal": lambda entry: (entry.instant // unit * unit, entry.place),
            "external": lambda entry: (entry.wall, entry.place),
            "id": lambda entry: ("", entry.place),
        }
        self._sorted: dict[str, list[Entry]] = {}

    def __len__(self) -> int:
        return len(self.by_id)

    def sorted(self, order: str) -> list[Entry]:
        """All records in an order: "internal", "external" or "id". Not to be changed."""
        if order not in self._sorted:
            self._sorted[order] = sorted(self.by_id.values(), key=self._keys[order])
        return self._sorted[order]

    def key(self, order: str) -> Callable[[Entry], Key]:
        """What an order sorts by."""
        return self._keys[order]

    def load(self, entries: Iterable[Entry]) -> None:
        """Take in many records at once."""
        self._sorted.clear()
        for entry in entries:
            self.by_id[entry.id] = entry
            if entry.external_id is not None:
                self.by_external[entry.external_id] = entry

    def put(self, entry: Entry) -> None:
        """Take in a record, in place of one with the same id."""
        if entry.id in self.by_id:
            self.remove(entry.id)
        self.by_id[entry.id] = entry
        if entry.external_id is not None:
            self.by_external[entry.external_id] = entry
        for order, entries in self._sorted.items():
            insort(entries, entry, key=self._keys[order])

    def remove(self, id_: str) -> Entry:
        """Take a record out."""
        entry = self.by_id.pop(id_)
        if entry.external_id is not None and self.by_external.get(entry.external_id) is entry:
            del self.by_external[entry.external_id]
        for order, entries in self._sorted.items():
            key = self._keys[order]
            del entries[bisect_left(entries, key(entry), key=key)]
        return entry
