"""What is done with rows: written, and with them what they replace or name as deleted is removed or marked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from target_warehouse import kinds, sql
from target_warehouse.declared import COMPANY, DELETED, ROW, VERSION, Link
from target_warehouse.sql import listed, quoted
from target_warehouse.tables import Plan, Table, are_ordered
from target_warehouse.warehouse import Refused, Warehouse


class Writer:
    """Writes rows of plans, inside a transaction.

    Args:
        warehouse: that they go into.
        deletes: what becomes of what was deleted (the setting).
    """

    def __init__(self, warehouse: Warehouse, deletes: str) -> None:
        self._warehouse, self._deletes = warehouse, deletes

    def load(self, plan: Plan, tables: Mapping[str, Table]) -> Counter[str]:
        """Write the rows of a plan; remove what they replace, and what they say is deleted.

        Args:
            plan: what came of a stream.
            tables: all of the schema, as they are now.

        Returns:
            How many rows were created, updated, deleted.

        Raises:
            Refused: there is a row that the database does not take.
        """
        batch, counts = plan.batch, Counter[str]()
        if batch.size:
            try:
                with self._warehouse.staged(batch.columns) as stage:
                    counts["created"], counts["updated"] = self._warehouse.upsert(plan, stage)
                    counts["deleted"] += self._remove_former_parts(plan, stage, tables)
            except self._warehouse.data_errors as error:
                raise Refused(plan, str(error).strip().splitlines()[0][:300]) from None
        if batch.deletions and self._deletes != "ignore":
            with self._warehouse.staged(batch.deletions) as stage:
                keys = {column: column for column in plan.table.key}
                counts["deleted"] += self._delete(plan.table, stage, keys, DELETED, tables)
        return counts

    def _remove_former_parts(self, plan: Plan, stage: str, tables: Mapping[str, Table]) -> int:
        """Remove parts that a newer state of their parent no longer has.

        They are found by the parts that came, and by the parents: a parent may have lost all its parts.
        """
        table, removed = plan.table, 0
        versions = tuple(table.parent.version) if table.parent else ()
        own = self._versions(table, table, _both(versions))
        if table.parent and own:
            by = (*self._company_key, *table.parent.keys)
            newest = ", ".join(f"max({of_stage}) AS newest_{n}" for n, (_, of_stage) in enumerate(own))
            own = [(of_table, f"s.newest_{n}") for n, (of_table, _) in enumerate(own)]
            latest = f"(SELECT {listed(by)}, {newest} FROM {stage} AS s GROUP BY {listed(by)})"
            removed += self._warehouse.affected(
                sql.remove(self._warehouse.name(table.name), latest, _both(by), sql.older(own))
            )
            parent = self._table_of(table.parent.stream, tables)
            if parent and (version := self._versions(table, parent, table.parent.version)):
                among = f" AND EXISTS (SELECT 1 FROM {stage} AS n WHERE {sql.same('n', 't', by)})"
                keys = self._keys(table.parent)
                removed += self._warehouse.affected(
                    sql.remove(
                        self._warehouse.name(table.name),
                        self._warehouse.name(parent.name),
                        keys,
                        sql.older(version) + among,
                    )
                )
        for part in _parts(table, tables):
            if part.parent and (version := self._versions(part, table, part.parent.version)):
                keys = self._keys(part.parent)
                removed += self._warehouse.affected(
                    sql.remove(self._warehouse.name(part.name), stage, keys, sql.older(version))
                )
        return removed

    def _versions(self, part: Table, parent: Table, version: Mapping[str, str]) -> list[tuple[str, str]]:
        """Return pairs of versions (of the table, of the stage) that tell a former state, if all can be compared."""
        found: list[tuple[str, str]] = []
        for ours, theirs in version.items():
            held = part.columns.get(ours), parent.columns.get(theirs)
            if not are_ordered(*held):
                return []
            as_text = kinds.TEXT in held
            found.append(
                (sql.order(f"t.{quoted(ours)}", as_text=as_text), sql.order(f"s.{quoted(theirs)}", as_text=as_text))
            )
        return found

    @property
    def _company_key(self) -> tuple[str, ...]:
        return () if self._warehouse.company is None else (COMPANY,)

    def _keys(self, link: Link) -> dict[str, str]:
        return _both(self._company_key) | dict(link.keys)

    def _table_of(self, stream: str, tables: Mapping[str, Table]) -> Table | None:
        return next((table for table in tables.values() if table.stream == stream), None)

    # Deletions

    def delete(self, plan: Plan, tables: Mapping[str, Table]) -> int:
        """Delete what the records of a stream of deletions name (`x-deletes`); return how many rows."""
        link = plan.deletions
        target = self._table_of(link.stream, tables) if link else None
        if not link or target is None or not plan.batch.size or self._deletes == "ignore":
            return 0
        if not all(theirs in target.columns for theirs in link.keys.values()):
            return 0
        keys = _both(self._company_key) | {theirs: ours for ours, theirs in link.keys.items()}
        with self._warehouse.staged(plan.batch.columns) as stage:
            events, by = self._warehouse.name(plan.table.name), list(keys.values())
            as_text = plan.table.columns.get(link.at or "") not in kinds.TIMES
            gone, back = sql.latest(events, stage, by, link.at, link.lifted_by, as_text=as_text)
            if back and self._marks(target):
                self._warehouse.affected(sql.unmark(self._warehouse.name(target.name), back, keys))
                for part in _parts(target, tables):
                    if (of_part := self._through(part, keys)) and DELETED in part.columns:
                        self._warehouse.affected(sql.unmark(self._warehouse.name(part.name), back, of_part))
            return self._delete(target, gone, keys, link.at, tables)

    def unmarked(self, plans: Sequence[Plan], tables: Mapping[str, Table]) -> list[Table]:
        """Return tables that rows of a plan are to mark, and that have no column for it: `deletes` was another."""
        found = {}
        planned = {plan.table.name for plan in plans}
        for plan in plans:
            target = self._table_of(plan.deletions.stream, tables) if plan.deletions and plan.batch.size else None
            for table in (target, *_parts(target, tables)) if target else ():
                if table.name not in planned and self._marks(table) and DELETED not in table.columns:
                    found[table.name] = table
        return list(found.values())

    def activate(self, table: Table, version: int) -> int:
        """Delete what a full load did not have; return how many rows."""
        if self._deletes == "ignore" or VERSION not in table.columns:
            return 0
        statement = sql.former_versions(
            self._warehouse.name(table.name), version, self._warehouse.company, marks=self._marks(table)
        )
        return self._warehouse.affected(statement)

    def _marks(self, table: Table) -> bool:
        """Whether rows are marked, not removed. Rows without a key are replaced: the new ones are other rows."""
        return self._deletes == "mark" and ROW not in table.key

    def _delete(
        self, table: Table, stage: str, keys: Mapping[str, str], when: str | None, tables: Mapping[str, Table]
    ) -> int:
        deleted = 0
        if not self._marks(table):
            for part in _parts(table, tables):
                of_part = self._through(part, keys)
                if of_part:
                    deleted += self._warehouse.affected(sql.remove(self._warehouse.name(part.name), stage, of_part))
            return deleted + self._warehouse.affected(sql.remove(self._warehouse.name(table.name), stage, keys))
        deleted += self._warehouse.affected(sql.mark(self._warehouse.name(table.name), stage, keys, when))
        for part in _parts(table, tables):
            of_part = self._through(part, keys)
            if of_part and DELETED in part.columns:
                deleted += self._warehouse.affected(sql.mark(self._warehouse.name(part.name), stage, of_part, when))
        return deleted

    def _through(self, part: Table, keys: Mapping[str, str]) -> dict[str, str]:
        """Return how a stage that names parents names their parts; empty if it cannot."""
        if part.parent is None or not set(part.parent.keys.values()) <= keys.keys():
            return {}
        mine = {ours: keys[theirs] for ours, theirs in part.parent.keys.items()}
        return {one: keys[one] for one in self._company_key} | mine


def _both(names: Iterable[str]) -> dict[str, str]:
    return {name: name for name in names}


def _parts(table: Table, tables: Mapping[str, Table]) -> Iterator[Table]:
    """Yield the tables whose rows are parts of those of a table."""
    for other in tables.values():
        if (
            other.parent
            and other.parent.stream == table.stream
            and set(other.parent.keys.values()) <= set(table.columns)
        ):
            yield other
