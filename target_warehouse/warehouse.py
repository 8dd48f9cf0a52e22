"""The door to a database: its tables as they are, changes to them, and rows that are written."""

from __future__ import annotations

import copy
import json
from abc import abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from ap_connectors.core.errors import Stop
from target_warehouse import kinds
from target_warehouse.declared import COMPANY, ROW, STATE, VERSION, Link, possible
from target_warehouse.kinds import Kind
from target_warehouse.plan import changes
from target_warehouse.sql import listed, literal, order, quoted
from target_warehouse.tables import METADATA, Database, Plan, Table, are_ordered

if TYPE_CHECKING:
    from typing_extensions import Self

MADE_BY = "target-warehouse"


class Again(Exception):
    """The transaction failed for a reason that another try may not meet: a deadlock, a lost connection."""


class Refused(Exception):
    """The database does not take a row of a stream, whose plan this is."""

    def __init__(self, plan: Plan, said: str) -> None:
        super().__init__(said)
        self.plan = plan


class Warehouse(Database):
    """A schema of a database that we load into. A subclass speaks to the database.

    Args:
        schema: its name.
        company: of the rows, if they say it.
    """

    def __init__(self, schema: str, company: str | None) -> None:
        self.schema, self.company = schema, company
        self.has_states = False
        """Whether there is a table of states, as of the last look at the tables."""

    is_duckdb = False
    """Whether views are written in the SQL of DuckDB."""
    data_errors: tuple[type[Exception], ...] = ()
    """What it raises for a row that it does not take."""
    errors: tuple[type[Exception], ...] = ()
    """What it raises at all."""
    refusals: tuple[type[Exception], ...] = ()
    """What it raises for a statement that it cannot carry out as it is, whenever it is repeated."""
    dependent_errors: tuple[type[Exception], ...] = ()
    """What it raises where a view is to go that others read."""

    # What a database says

    @abstractmethod
    def open(self) -> None:
        """Connect; make the schema if it is missing.

        Raises:
            Stop: it cannot be opened, is another program's, or is in use for too long.
        """

    @abstractmethod
    def prove(self) -> str:
        """Look whether a load could begin, and make nothing; return what is there, or will be made.

        Raises:
            Stop: as of `open`; or a load could not make what is missing.
        """

    @abstractmethod
    def connect(self, *, read_only: bool = False) -> None:
        """Connect, and do nothing more.

        Raises:
            Stop: as of `open`.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of the database."""

    def in_schema(self, schema: str) -> Self:
        """Return the door to another schema, by the same connection."""
        other = copy.copy(self)
        other.schema = schema
        return other

    @abstractmethod
    def attempt(self) -> AbstractContextManager[None]:
        """Look at tables and write to them, on a connection that is new if the former was lost.

        Raises:
            Again: it failed, and another try may not.
            Stop: the database refuses what the block does, and would again.
        """

    @abstractmethod
    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """Execute a statement; return its rows."""

    @abstractmethod
    def transaction(self, *, changes_tables: bool = False) -> AbstractContextManager[None]:
        """Do all of a block or nothing of it.

        Args:
            changes_tables: whether the block changes tables, and so has to be alone.
        """

    @abstractmethod
    def type_of(self, kind: Kind) -> str:
        """Return the type of a kind of column."""

    @abstractmethod
    def kind_of(self, type_: str) -> Kind | None:
        """Return the kind of a type, None for one that we never make."""

    @abstractmethod
    def described(self) -> tuple[Iterable[tuple[str, str, str]], Mapping[str, str | None]]:
        """Return table, column and type of all columns of the schema, and the comments of its tables."""

    @abstractmethod
    def staged(self, columns: Mapping[str, tuple[Kind, Sequence[kinds.Cell]]]) -> AbstractContextManager[str]:
        """Bring rows to the database; return what SQL calls them while the block lasts."""

    @abstractmethod
    def as_text(self, column: str, kind: Kind) -> str:
        """Return the expression that makes text of a column: numbers without zeros at their end."""

    @abstractmethod
    def rekey(self, before: Table, after: Table) -> None:
        """Make other columns those that tell rows apart; those of before need no value any more."""

    # Tables

    def name(self, table: str) -> str:
        """Return a table's name as SQL has it."""
        return f"{quoted(self.schema)}.{quoted(table)}"

    def tables(self) -> dict[str, Table]:
        """Return the tables of the schema as they are, but for that of the states."""
        columns: dict[str, dict[str, Kind | None]] = {}
        described, comments = self.described()
        for table, column, type_ in described:
            columns.setdefault(table, {})[column] = self.kind_of(type_)
        self.has_states = columns.pop(STATE, None) is not None
        return {name: self._table(name, found, comments.get(name)) for name, found in columns.items()}

    def _table(self, name: str, columns: Mapping[str, Kind | None], comment: str | None) -> Table:
        """Return a table as it is; what we know of it is in its comment, which moves along when it is renamed."""
        table = _table(name, columns, comment)
        if table.stream is None or name in possible(table.stream, [STATE], self.longest_name, same_case=self.same_case):
            return table
        return Table(name, columns, None, (), frozenset())

    def check_tables(self, tables: Mapping[str, Table]) -> None:
        """Check that no other run has changed the tables since they were looked at, where there can be one."""

    def change(self, table: Table, before: Table | None) -> None:
        """Make a table, or change the one that there is."""
        name = self.name(table.name)
        if before is None:
            columns = ", ".join(self._column(one, kind, table.key) for one, kind in table.columns.items())
            self.execute(f"CREATE TABLE {name} ({columns}{self.constraint(table.key)})")
        else:
            for what, (column, *of) in changes(table, before):
                if what == "add":
                    self.execute(f"ALTER TABLE {name} ADD COLUMN {quoted(column)} {self.type_of(of[0])}")
                elif self.type_of(of[0]) != self.type_of(of[1]):
                    with self.views_aside(name):
                        self.execute(self._widened(name, column, *of))
            if before.key != table.key:
                self._check_key(before, table)
                self.rekey(before, table)
        said: dict[str, Any] = {"made_by": MADE_BY, "stream": table.stream, "key": table.key}
        said |= {"by_company": table.by_company, "columns": sorted(table.made)}
        if table.parent:
            said["parent"] = table.parent.as_json()
        self.execute(f"COMMENT ON TABLE {name} IS {literal(json.dumps(said, ensure_ascii=False))}")

    def views_aside(self, relation: str) -> AbstractContextManager[None]:  # noqa: ARG002 - a database may not mind
        """Keep views that read a table from being in the way while the block changes types of its columns."""
        return nullcontext()

    def constraint(self, key: Sequence[str]) -> str:  # noqa: ARG002 - a database may have none
        """Return the constraint that a table with such a key is made with, behind a comma."""
        return ""

    def _column(self, column: str, kind: Kind | None, key: Collection[str]) -> str:
        assert kind is not None, column  # noqa: S101 - of a table that we make
        return f"{quoted(column)} {self.type_of(kind)}{' NOT NULL' if column in key else ''}"

    def _widened(self, name: str, column: str, before: Kind, after: Kind) -> str:
        type_ = self.type_of(after)
        using = f" USING {self.as_text(column, before)}" if after == kinds.TEXT else ""
        if after == kinds.JSON:
            using = f" USING CASE WHEN {quoted(column)} IS NOT NULL THEN to_json({quoted(column)}) END"
        if not using and (before.name not in _NUMBERS or after.name not in _NUMBERS):
            using = f" USING CAST(NULL AS {type_})"  # it has no value yet
        return f"ALTER TABLE {name} ALTER COLUMN {quoted(column)} TYPE {type_}{using}"

    def _check_key(self, before: Table, after: Table) -> None:
        """Check that rows that there are can be told apart by another key."""
        name, key = self.name(after.name), after.key
        if ROW in key and ROW not in before.columns:
            rows = self.execute(f"SELECT count(*) FROM {name}")[0][0]
        else:
            missing = " OR ".join(f"{quoted(column)} IS NULL" for column in key)
            rows = self.execute(
                f"SELECT (SELECT count(*) FROM {name} WHERE {missing}) + (SELECT count(*) - count(DISTINCT "
                f"({listed(key)})) FROM {name})"
            )[0][0]
        if rows:
            raise Stop(
                f"The key of {after.stream} has changed from {', '.join(before.key)} to {', '.join(key)}, and {rows} "
                f"rows of the table {after.name} cannot be told apart by it. Nothing was loaded. Drop the table and "
                "read the stream once without its state, or load into another schema."
            )

    # Rows

    @abstractmethod
    def upsert(self, plan: Plan, stage: str) -> tuple[int, int]:
        """Write rows, each key once; return how many were new, and how many changed one that there was."""

    def written(self, plan: Plan, stage: str = "s") -> dict[str, str]:
        """Return what a row that is there becomes: a value of the stage by the name of the column."""
        columns = plan.batch.columns
        found = {name: f"{stage}.{quoted(name)}" for name in columns if name not in plan.table.key}
        # The row is what the record says: of what it does not have there is nothing.
        found |= dict.fromkeys(self._absent(plan), "NULL")
        return found

    def changed(self, plan: Plan, stage: str = "s") -> str:
        """Return the condition that a row (t) is to become another one than it is."""
        table, conditions = plan.table, []
        for name in self.written(plan):
            kind = table.columns[name]
            if name in plan.batch.compared or name == VERSION:
                one, other = (self.comparable(f"{side}.{quoted(name)}", kind) for side in ("t", stage))
                conditions.append(f"{one} IS DISTINCT FROM {other}")
        conditions += [f"t.{quoted(name)} IS NOT NULL" for name in self._absent(plan)]
        condition = " OR ".join(conditions) or "FALSE"
        # A part of a former state never takes the place of one of a later state.
        for name in table.parent.version if table.parent else ():
            if are_ordered(kind := table.columns[name], kind):
                one, other = (order(f"{side}.{quoted(name)}", as_text=kind == kinds.TEXT) for side in (stage, "t"))
                condition = f"({condition}) AND ({one} < {other}) IS NOT TRUE"
        return condition

    def _absent(self, plan: Plan) -> list[str]:
        """Return the columns of ours that the rows of a plan have no value for."""
        kept = {COMPANY, VERSION, ROW, *METADATA, *plan.batch.columns, *plan.table.key}
        return [name for name in plan.table.columns if name not in kept and name in plan.table.made]

    def comparable(self, value: str, kind: Kind | None) -> str:  # noqa: ARG002 - a database may have to
        """Return a form of a value that can be compared."""
        return value

    @abstractmethod
    def affected(self, statement: str) -> int:
        """Execute a statement that changes rows; return how many."""


_NUMBERS = {"integer", "huge", "decimal"}


def _table(name: str, columns: Mapping[str, Kind | None], comment: str | None) -> Table:
    """Return a table as it is; what we know of it is in its comment."""
    try:
        said = json.loads(comment or "")
    except ValueError:
        said = None
    if not isinstance(said, dict) or said.get("made_by") != MADE_BY or not _is_whole(said):
        return Table(name, columns, None, (), frozenset())
    made = frozenset(said["columns"])
    parent = Link.of(said.get("parent"))
    return Table(name, columns, said["stream"], tuple(said["key"]), made, parent, bool(said.get("by_company")))


def _is_whole(said: Mapping[str, Any]) -> bool:
    """Return whether a comment says all that we need; people can change it."""
    lists = said.get("key"), said.get("columns")
    return isinstance(said.get("stream"), str) and all(
        isinstance(names, list) and all(isinstance(name, str) for name in names) for names in lists
    )
