"""The rows of a stream while they are being read: kinds of their columns, cells, and which of one key counts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from ap_connectors.core.errors import Reject
from target_warehouse import kinds
from target_warehouse.declared import Declared
from target_warehouse.incoming import Incoming
from target_warehouse.kinds import Cell, Kind, Segment
from target_warehouse.tables import Database, Table, Widening


class Rows:
    """The rows of a stream."""

    def __init__(
        self,
        incoming: Incoming,
        database: Database,
        before: Table | None,
        columns: Mapping[str, str],
        segments: Mapping[str, list[Segment]],
    ) -> None:
        self.name, self.chunks, self.size = incoming.name, incoming.chunks, len(incoming)
        self._database, self._before, self._columns, self._segments = database, before, columns, segments
        self.cells: dict[str, tuple[Kind, Sequence[Cell]]] = {}
        self.widened: list[Widening] = []
        self.rejects: list[tuple[tuple[int, bytes], str | None, Reject]] = []
        self._bad: dict[int, Reject] = dict(incoming.refused)

    def read(self, declared: Declared) -> None:
        """Find the kind of each column, and make its cells."""
        for name, column in self._columns.items():
            existing = self._before.columns.get(column) if self._before else None
            segments, parts = self._segments[name], dict[int, str]()
            if name in declared.key and name not in declared.keys_of_parts:
                segments, parts = _without_parts(segments)
            kind, _ = self.cells[column] = self._column(column, segments, existing, declared, name)
            self._bad.update({row: _no_key(name, kind, text) for row, text in parts.items()})
        for name in declared.key:
            for row, cell in enumerate(self.cells[self._columns[name]][1]):
                if cell is None and row not in self._bad:
                    self._bad[row] = Reject(
                        f"{name} is missing, and it is part of the key", "missing_key", fields=[name]
                    )
        lines = [line for chunk in self.chunks for line in chunk.lines] if self._bad else []
        self.rejects = [(lines[row], None, reject) for row, reject in sorted(self._bad.items())]

    def _column(
        self, column: str, segments: list[Segment], existing: Kind | None, declared: Declared, name: str
    ) -> tuple[Kind, Sequence[Cell]]:
        wanted = declared.kinds[name]
        kind = kinds.join(existing, wanted) if existing else wanted
        if existing and kind == kinds.TEXT and name in declared.key and existing.name in _OF_MANY_TEXTS:
            kind = existing
        if kind == kinds.MOMENT:
            kind = kinds.of_moments(segments)
        cells, misfits = self._fit(kind, segments)
        used, whole = False, 0
        refused: set[str] = set()
        if existing and (misfits or kind != existing):
            used, whole = self._database.used(self._before.name if self._before else "", column)
            if not used:
                # A column without a value becomes what the values need.
                kind = kinds.of_moments(segments) if wanted == kinds.MOMENT else wanted
                cells, misfits = self._fit(kind, segments)
        if misfits and name in declared.key:
            numeric = kind.name in ("integer", "huge", "decimal")
            refused = {text for text in misfits if not numeric or kinds.number(text) is None}
            self._refuse(name, kind, segments, refused)
            misfits = misfits - refused
        first = kind, cells, misfits
        while misfits:
            kind = kinds.widened(kind, misfits, self._database.most, whole)
            if name in declared.key and kind in (kinds.TEXT, kinds.JSON):
                kind, cells, misfits = first
                self._refuse(name, kind, segments, misfits)
                return kind, cells
            cells, misfits = self._fit(kind, segments)
            misfits = misfits - refused
        if first[2] or (used and kind != existing):
            where = self._where(declared, first[0], segments, first[2]) if first[2] else ()
            self.widened.append(Widening(self.name, column, existing or wanted, kind, *where))
        return kind, cells

    def _where(
        self, declared: Declared, kind: Kind, segments: list[Segment], misfits: set[str]
    ) -> tuple[str, int, str]:
        """Return the first value that a column cannot hold, the number of its line, and the key of its record."""
        row, value = next((row, text) for row, text in enumerate(_texts(kind, segments)) if text in misfits)
        keys = [(name, _texts(kinds.TEXT, self._segments[name])[row]) for name in declared.key]
        lines = [number for chunk in self.chunks for number, _ in chunk.lines]
        return str(value), lines[row], ", ".join(f"{name} {text}" for name, text in keys)

    def _fit(self, kind: Kind, segments: list[Segment]) -> tuple[Sequence[Cell], set[str]]:
        if len(segments) == 1:
            return kinds.fit(kind, segments[0], nul=self._database.has_nul)
        cells: list[Cell] = []
        misfits: set[str] = set()
        for segment in segments:
            some, bad = kinds.fit(kind, segment, nul=self._database.has_nul)
            cells += some
            misfits |= bad
        return cells, misfits

    def _refuse(self, name: str, kind: Kind, segments: list[Segment], misfits: set[str]) -> None:
        """Set rows aside whose key the column cannot hold: with another kind of key old rows would come twice."""
        for row, text in enumerate(_texts(kind, segments)):
            if text in misfits:
                self._bad[row] = _no_key(name, kind, text)

    def digests(self, declared: Declared) -> list[Cell]:
        """Return what tells rows without a key apart: a hash of their values, numbers in one form."""
        hashes = [hashlib.blake2b(digest_size=16) for _ in range(self.size)]
        for name in sorted(self._segments):
            head = name.encode() + b"\0"
            is_number = declared.kinds[name].name == "decimal"
            row = 0
            for segment in self._segments[name]:
                found = kinds.texts(segment) if is_number else kinds.json_texts(segment)
                for text in found:
                    if text is not None:
                        said = (kinds.number(text) or text) if is_number else text
                        hashes[row].update(head + said.encode() + b"\0")
                    row += 1
        return [each.hexdigest() for each in hashes]

    def choose(
        self, key: Sequence[str], deleted: Sequence[Cell], version: Sequence[str]
    ) -> tuple[list[int], list[int]]:
        """Return which rows to write, and which ones to delete, as numbers of rows.

        Args:
            key: columns that tell rows apart; the last of equal ones counts.
            deleted: since when, of rows that say that their object was deleted.
            version: columns by which a row is of a later state than another, wherever it stands.
        """
        forms = [self._forms(*self.cells[column]) for column in key]
        keys = list(zip(*forms, strict=True))
        last: dict[tuple[Cell, ...], int] = {}
        gone: dict[tuple[Cell, ...], int] = {}
        if not self._bad and not any(deleted):
            last = dict(zip(keys, range(self.size), strict=True))
        if len(last) < self.size:
            last.clear()
            states = (
                list(zip(*(self._orders(*self.cells[column]) for column in version), strict=True)) if version else []
            )
            for row, one in enumerate(keys):
                if row in self._bad:
                    continue
                of = gone if deleted and deleted[row] is not None else last
                if not states or one not in of or not _is_before(states[row], states[of[one]]):
                    of[one] = row
        return list(last.values()), [row for one, row in gone.items() if row > last.get(one, -1)]

    def _orders(self, kind: Kind, cells: Sequence[Cell]) -> Sequence[Cell]:
        return [kinds.order(kind, cell) if row not in self._bad else None for row, cell in enumerate(cells)]

    def _forms(self, kind: Kind, cells: Sequence[Cell]) -> Sequence[Cell]:
        if kind.name in ("decimal", "instant", "wall"):
            return [kinds.equal_form(kind, cell) if row not in self._bad else None for row, cell in enumerate(cells)]
        return cells


_OF_MANY_TEXTS = {"decimal", "instant", "wall"}
"""Kinds of which equal values may have several texts: as text a key of them would be another one, beside its row."""


def _texts(kind: Kind, segments: list[Segment]) -> list[str | None]:
    """Return the values of a column as `kinds.fit` says which of them do not fit."""
    read = kinds.json_texts if kind == kinds.BOOLEAN else kinds.texts
    return [text for segment in segments for text in read(segment)]


def _is_before(one: tuple[Cell, ...], other: tuple[Cell, ...]) -> bool:
    return None not in (*one, *other) and one < other


def _without_parts(segments: list[Segment]) -> tuple[list[Segment], dict[int, str]]:
    """Return keys without lists and objects, whose text would be another key than the one in it; and these by row."""
    kept: list[Segment] = []
    parts: dict[int, str] = {}
    row = 0
    for how, values in segments:
        if how == "raw":
            found = {
                n: str(raw, "utf-8") for n, raw in enumerate(values) if raw is not None and bytes(raw)[:1] in b"[{"
            }
            parts.update({row + n: text for n, text in found.items()})
            kept.append(
                (how, [None if n in found else raw for n, raw in enumerate(values)]) if found else (how, values)
            )
        else:
            kept.append((how, values))
        row += len(values)
    return kept, parts


def _no_key(name: str, kind: Kind, text: str) -> Reject:
    if kind == kinds.TEXT and "\0" in text:
        reason = "and text in PostgreSQL has no NUL character. Correct the value"
    else:
        reason = (
            f"whose column holds {kind}: with another kind in it every row would come twice. Correct the value; or, if "
            "it is right, declare the field as it is, drop the table and read the stream once without its state"
        )
    return Reject(
        f"{text[:60]!r} does not fit {name}, which is part of the key, {reason}",
        "key_does_not_fit",
        field=name,
        value=text[:60],
    )
