"""What has to be done to a table before a batch of records fits, and the batch as the table then takes it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from ap_connectors.core.errors import Stop
from target_warehouse import kinds
from target_warehouse.declared import COMPANY, DELETED, ROW, STATE, VERSION, Declared, Link, names
from target_warehouse.incoming import Incoming
from target_warehouse.kinds import Cell, Segment
from target_warehouse.rows import Rows
from target_warehouse.tables import (
    BATCHED,
    EXTRACTED,
    METADATA,
    RECEIVED,
    SEQUENCE,
    Batch,
    Database,
    Plan,
    Settings,
    Table,
    are_ordered,
)


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
            foreign=before.columns.keys() - before.made if before else (),
        )
        made = Rows(incoming, self._database, before, columns, segments)
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
        if (most := self._database.most_columns) and len(wanted) > most:
            raise Stop(
                f"{incoming.name}: its table would have {len(wanted)} columns, and a table here holds {most}. Select "
                "fewer fields of the stream at the tap, or load into DuckDB. Nothing of this part was loaded."
            )
        known = before.made if before else frozenset()
        added = wanted.keys() - (before.columns.keys() if before else set())
        table = Table(name, wanted, incoming.name, key, known | added, parent, by_company)
        return Plan(table, before, batch, _renamed(declared.deletions, columns), made.widened, made.rejects)

    def _ours(self, declared: Declared) -> list[str]:
        ours = [VERSION, DELETED, *self._database.names_of_its_own]
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
                "over, for they have lost types and the letters of names: see docs/upgrade.md. If target-warehouse "
                "has made it, its comment, which says what it holds, was changed since: put that back."
            )
        if strange := [name for name in table.made if table.columns.get(name, kinds.TEXT) is None]:
            raise Stop(
                f"The table {table.name}: the type of {', '.join(strange)} was changed to one that target-warehouse "
                "does not know. Nothing was loaded. Change it back, or drop the table and read it without a state."
            )
        if gone := [name for name in table.key if name not in table.columns]:
            raise Stop(
                f"The table {table.name}: {', '.join(gone)}, part of its key, was dropped, so every row would come "
                "twice. Nothing was loaded. Drop the table, and read the stream once without a state."
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
        made: Rows,
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
        version = [one for one in (parent.version if parent else ()) if are_ordered(*[made.cells[one][0]] * 2)]
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


def changes(table: Table, before: Table) -> Iterator[tuple[str, Any]]:
    """Yield what to do to a table that there is: columns to add, columns to widen."""
    known = before.columns
    for column, kind in table.columns.items():
        if column not in known:
            yield "add", (column, kind)
        elif known[column] != kind:
            yield "widen", (column, known[column], kind)
