"""What has to be done to a table before a batch of records fits, and the batch as the table then takes it."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from ap_connectors.core.errors import Reject, Stop
from target_warehouse import kinds
from target_warehouse.declared import COMPANY, DELETED, ROW, STATE, VERSION, Declared, Link, names
from target_warehouse.incoming import Incoming
from target_warehouse.kinds import Cell, Kind, Segment

EXTRACTED, RECEIVED, BATCHED, SEQUENCE = (
    "_sdc_extracted_at",
    "_sdc_received_at",
    "_sdc_batched_at",
    "_sdc_sequence",
)
METADATA: Mapping[str, Kind] = {
    EXTRACTED: kinds.INSTANT,
    RECEIVED: kinds.INSTANT,
    BATCHED: kinds.INSTANT,
    SEQUENCE: kinds.INTEGER,
}
"""Columns that `metadata_columns` adds."""


ORDERED = {kinds.INSTANT, kinds.WALL, kinds.DATE, kinds.INTEGER}
"""Kinds of versions that can be told to be earlier or later."""


@dataclass(frozen=True)
class Table:
    """A table as it is.

    Args:
        name: of it.
        columns: kinds by name; None for a type that we never make.
        stream: what it holds; None if another program made it.
        key: names of the columns that tell rows apart, the company's among them.
        made: names of the columns that we made; the others are the user's.
        parent: whose parts its rows are, by the names of columns.
        by_company: whether the first column says whose a row is.
    """

    name: str
    columns: Mapping[str, Kind | None]
    stream: str | None
    key: tuple[str, ...]
    made: frozenset[str]
    parent: Link | None = None
    by_company: bool = False


@dataclass(frozen=True)
class Widening:
    """A column that changed its kind: `value` is one that it could not hold."""

    table: str
    column: str
    before: Kind
    after: Kind
    value: str


@dataclass
class Settings:
    """What the user wants of tables: see the settings of the same names."""

    company: str | None
    deletes: str
    metadata_columns: bool


@dataclass
class Batch:
    """Rows as a table takes them: `columns` are cells with their kinds, by the names of columns."""

    stream: str
    table: str
    key: tuple[str, ...]
    columns: dict[str, tuple[Kind, Sequence[Cell]]]
    size: int
    compared: tuple[str, ...]
    """Columns whose change makes a row a changed one."""
    deletions: dict[str, tuple[Kind, Sequence[Cell]]]
    """Keys of what was deleted, and when (`_sdc_deleted_at`)."""
    duplicates: int = 0
    """How many rows came that a later one of the same key replaces."""
    numbers: Sequence[int] = ()
    """Of the rows, among all that came."""

    def part(self, start: int, end: int) -> Batch:
        """Return some of the rows, and nothing of the deletions."""
        columns = {name: (kind, cells[start:end]) for name, (kind, cells) in self.columns.items()}
        return replace(self, columns=columns, size=end - start, deletions={}, numbers=self.numbers[start:end])


@dataclass
class Plan:
    """What a stream needs."""

    table: Table
    """As it has to be."""
    before: Table | None
    batch: Batch
    deletions: Link | None = None
    """What its records say is deleted, by the names of columns."""
    widened: list[Widening] = field(default_factory=list)
    rejects: list[tuple[tuple[int, bytes], str | None, Reject]] = field(default_factory=list)
    """The line, the key and the reason of records that cannot be loaded."""

    @property
    def changes_table(self) -> bool:
        """Whether the table has to be made or changed first."""
        return self.table != self.before


class Database:
    """What plans have to know of a database."""

    most: Kind
    """The decimals that it has."""
    has_nul = True
    """Whether text may have NUL characters."""
    longest_name = 255
    same_case = False
    """Whether names that differ in case only are one."""

    def used(self, table: str, column: str) -> tuple[bool, int]:
        """Return whether a column has any value, and the most digits before the point that one has."""
        raise NotImplementedError


class Planner:
    """Makes plans.

    Args:
        database: that they are for.
        settings: of the user.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database, self._settings = database, settings
        self._sequence = 0

    def table_of(self, stream: str, tables: Collection[str]) -> str:
        """Return what the table of a stream is called."""
        database = self._database
        return names([stream], tables, [STATE], database.longest_name, same_case=database.same_case)[stream]

    def plan(self, incoming: Incoming, tables: Mapping[str, Table]) -> Plan:
        """Plan to load what came of a stream.

        Raises:
            Stop: the table is not ours, or another company's.
        """
        declared = incoming.declared
        name = self.table_of(incoming.name, tables)
        before = tables.get(name)
        if before is not None:
            self._check(before)
        segments = incoming.columns()
        fields = [one for one in segments if one != DELETED]
        columns = names(
            fields,
            before.columns if before else (),
            self._ours(declared),
            self._database.longest_name,
            same_case=self._database.same_case,
        )
        made = _Rows(incoming, self._database, before, columns, segments)
        made.read(declared)
        key = tuple(columns[one] for one in declared.key) or (ROW,)
        parent, by_company = _renamed(declared.parent, columns), self._settings.company is not None
        batch = self._batch(made, declared, name, key, parent=parent, deleted=segments.get(DELETED, []))
        own = {column: kind for column, (kind, _) in {**batch.deletions, **batch.columns}.items()}
        wanted = {**(before.columns if before else {}), **own}
        if self._settings.company is not None:
            wanted = {COMPANY: kinds.TEXT, **wanted}
            key = (COMPANY, *key)
        if self._settings.deletes == "mark":
            wanted.setdefault(DELETED, kinds.INSTANT)
        known = before.made if before else frozenset()
        added = wanted.keys() - (before.columns.keys() if before else set())
        table = Table(name, wanted, incoming.name, key, known | added, parent, by_company)
        return Plan(table, before, batch, _renamed(declared.deletions, columns), made.widened, made.rejects)

    def _ours(self, declared: Declared) -> list[str]:
        ours = [VERSION, DELETED]
        if self._settings.company is not None:
            ours.append(COMPANY)
        if not declared.key:
            ours.append(ROW)
        return ours + list(METADATA) * self._settings.metadata_columns

    def _check(self, table: Table) -> None:
        """Check that a table is one that we may load into."""
        if table.stream is None:
            raise Stop(
                f"The table {table.name} was not made by target-warehouse. Nothing was loaded. Choose another database "
                "or schema; a new one is filled by a run without a state. Tables of target-duckdb cannot be taken "
                "over, for they have lost types and the letters of names: see docs/upgrade.md."
            )
        if strange := [name for name in table.made if table.columns.get(name, kinds.TEXT) is None]:
            raise Stop(
                f"The table {table.name}: the type of {', '.join(strange)} was changed to one that target-warehouse "
                "does not know. Nothing was loaded. Change it back, or drop the table and read it without a state."
            )
        wants = self._settings.company is not None
        if table.by_company and not wants:
            raise Stop(
                f"The table {table.name} holds rows of several companies (column company), and the setting company is "
                "not set. Nothing was loaded. Set it, or choose another schema."
            )
        if wants and not table.by_company:
            raise Stop(
                f"The table {table.name} holds rows that do not say whose they are, and the setting company is set. "
                "Nothing was loaded. Choose another schema, or load without company."
            )

    def _batch(
        self,
        made: _Rows,
        declared: Declared,
        name: str,
        key: tuple[str, ...],
        *,
        parent: Link | None,
        deleted: list[Segment],
    ) -> Batch:
        """Choose the rows: of one key the last counts."""
        compared = tuple(made.cells)
        now = datetime.now(timezone.utc).isoformat()
        if not declared.key:
            made.cells[ROW] = kinds.TEXT, made.digests(declared)
        versions = [version for chunk in made.chunks for version in chunk.versions]
        if any(version is not None for version in versions):
            made.cells[VERSION] = kinds.INTEGER, versions
        if self._settings.metadata_columns:
            extracted = [one for chunk in made.chunks for one in chunk.extracted]
            cells, bad = kinds.fit(kinds.INSTANT, ("text", extracted))
            made.cells[EXTRACTED] = kinds.INSTANT, [None if one in bad else one for one in cells] if bad else cells
            made.cells[RECEIVED] = made.cells[BATCHED] = kinds.INSTANT, [now] * made.size
            made.cells[SEQUENCE] = kinds.INTEGER, range(self._sequence, self._sequence + made.size)
            self._sequence += made.size
        when: list[Cell] = []
        for segment in deleted:
            cells, _ = kinds.fit(kinds.INSTANT, segment)
            raw = kinds.texts(segment)
            when += [cell or (now if text is not None else None) for cell, text in zip(cells, raw, strict=True)]
        version = [column for column in (parent.version if parent else ()) if made.cells[column][0] in ORDERED]
        upserts, deletions = made.choose(key, when, version)
        taken = len(upserts) + len(deletions)
        columns = {one: (kind, _taken(cells, upserts, made.size)) for one, (kind, cells) in made.cells.items()}
        gone = {one: (made.cells[one][0], _taken(made.cells[one][1], deletions, made.size)) for one in key}
        gone[DELETED] = kinds.INSTANT, [when[row] for row in deletions]
        return Batch(
            made.name,
            name,
            key,
            columns,
            len(upserts),
            compared,
            gone if deletions else {},
            made.size - taken - len(made.rejects),
            upserts,
        )


class _Rows:
    """The rows of a stream while they are being read."""

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
            self.cells[column] = self._column(column, self._segments[name], existing, declared, name)
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
        example = min(misfits, default="")
        while misfits:
            kind = kinds.widened(kind, misfits, self._database.most, whole)
            if name in declared.key and kind in (kinds.TEXT, kinds.JSON):
                kind = existing or wanted
                self._refuse(name, kind, segments, misfits)
                return kind, cells
            cells, misfits = self._fit(kind, segments)
            misfits = misfits - refused
        if example or (used and kind != existing):
            self.widened.append(Widening(self.name, column, existing or wanted, kind, example))
        return kind, cells

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
        found = [text for segment in segments for text in kinds.texts(segment)]
        for row, text in enumerate(found):
            if text in misfits:
                self._bad[row] = Reject(
                    f"{name} is part of the key, whose column holds {kind}, and {text[:60]!r} is something else",
                    "key_does_not_fit",
                    field=name,
                    value=text[:60],
                )

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
                list(zip(*(self._forms(*self.cells[column]) for column in version), strict=True)) if version else []
            )
            for row, one in enumerate(keys):
                if row in self._bad:
                    continue
                of = gone if deleted and deleted[row] is not None else last
                if not states or one not in of or not _is_before(states[row], states[of[one]]):
                    of[one] = row
        return list(last.values()), [row for one, row in gone.items() if row > last.get(one, -1)]

    def _forms(self, kind: Kind, cells: Sequence[Cell]) -> Sequence[Cell]:
        if kind.name in ("decimal", "instant"):
            return [kinds.equal_form(kind, cell) if row not in self._bad else None for row, cell in enumerate(cells)]
        return cells


def _is_before(one: tuple[Cell, ...], other: tuple[Cell, ...]) -> bool:
    return None not in (*one, *other) and one < other


def _taken(cells: Sequence[Cell], rows: list[int], size: int) -> Sequence[Cell]:
    return cells if len(rows) == size else [cells[row] for row in rows]


def _renamed(parent: Link | None, columns: Mapping[str, str]) -> Link | None:
    """Return a link by the names of columns on our side."""
    if parent is None or not all(name in columns for name in parent.keys):
        return None
    keys = {columns[ours]: theirs for ours, theirs in parent.keys.items()}
    version = {columns[ours]: theirs for ours, theirs in parent.version.items() if ours in columns}
    lifted = {columns[ours]: values for ours, values in parent.lifted_by.items() if ours in columns}
    return Link(parent.stream, keys, version, columns.get(parent.at or ""), lifted)


def changes(plan: Plan) -> Iterator[tuple[str, Any]]:
    """Yield what to do to the table: columns to add, columns to widen."""
    known = plan.before.columns if plan.before else {}
    for column, kind in plan.table.columns.items():
        if column not in known:
            yield "add", (column, kind)
        elif known[column] != kind:
            yield "widen", (column, known[column], kind)
