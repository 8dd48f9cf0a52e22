"""DuckDB: a file with one writer. Rows come as Arrow columns and are merged."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ap_connectors.core import duckdb_files, files
from ap_connectors.core.errors import Stop
from target_warehouse import kinds, sql
from target_warehouse.declared import COMPANY
from target_warehouse.dependents import rebind
from target_warehouse.kinds import Cell, Kind
from target_warehouse.sql import listed, literal, quoted
from target_warehouse.tables import Plan, Table
from target_warehouse.warehouse import Again, Warehouse

try:
    import duckdb
    import pyarrow as pa
except ImportError:  # the extra is not installed; `open` says so
    duckdb = None  # type: ignore[assignment]

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_TRIAL_PATIENCE = 10.0
"""Seconds that a trial waits for another program that has the file open."""
_MOST_MEMORY = 4096
_TYPES: Mapping[str, str] = {
    "boolean": "BOOLEAN",
    "integer": "BIGINT",
    "huge": "HUGEINT",
    "date": "DATE",
    "instant": "TIMESTAMP WITH TIME ZONE",
    "wall": "TIMESTAMP",
    "text": "VARCHAR",
    "json": "JSON",
}
_KINDS = {type_: Kind(name) for name, type_ in _TYPES.items()}
_DECIMAL = re.compile(r"DECIMAL\(38,(\d+)\)").fullmatch
_STAGE = "staged_rows"


class DuckDB(Warehouse):
    """A schema of a DuckDB file.

    Args:
        path: of the file; it is made if it is missing, and its folder, too.
        memory_mb: that the database may use.
        wait: is told once what is being waited for.
        others: as of `Warehouse`.
    """

    most = kinds.MOST_OF_DUCKDB
    is_duckdb = same_case = True
    errors = (duckdb.Error,) if duckdb else ()
    refusals = (duckdb.Error,) if duckdb else ()
    data_errors = (duckdb.DataError, duckdb.IntegrityError, duckdb.InvalidInputException) if duckdb else ()

    def __init__(self, path: str, memory_mb: int, wait: Callable[[str], None], *others: Any) -> None:
        super().__init__(*others)
        self._path, self._memory, self._wait = files.place(path), memory_mb, wait
        self._catalog = ""
        self._connection: duckdb.DuckDBPyConnection | None = None

    def open(self) -> None:
        """Open the file, once it is free."""
        try:
            Path(self._path).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Stop(f"database: {self._path} cannot be made: {error.strerror}.") from None
        self.connect()
        # What Arrow has done with goes back to the machine; its own allocator keeps it.
        pa.set_memory_pool(pa.system_memory_pool())
        self.execute("SET preserve_insertion_order = false")
        self.execute("SET wal_autocheckpoint = '64MB'")
        try:
            self.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(self._catalog)}.{quoted(self.schema)}")
        except duckdb.Error as error:
            raise duckdb_files.trouble(error, self._path) from None

    def prove(self) -> str:
        """Look at the file without changing it, or at the folder that it would be made in."""
        self._require()
        if self._path.startswith(":memory:"):
            raise duckdb_files.forgets(self._path)
        path = Path(self._path)
        is_there = duckdb_files.is_made(path)
        folder = next(each for each in path.absolute().parents if each.exists())
        # Beside the file there is its log while it is written to.
        for place in ([path] if is_there else []) + [folder]:
            if not os.access(place, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
                raise Stop(f"database: {self._path}: {place} cannot be written to by this user.")
        if not is_there:
            return f"is not there yet: the first load makes the file in {folder}, which can be written to"
        self.connect(_TRIAL_PATIENCE, read_only=True)
        asked = (
            f"SELECT 1 FROM information_schema.schemata WHERE catalog_name = {literal(self._catalog)} "
            f"AND lower(schema_name) = lower({literal(self.schema)})"
        )
        found = self.execute(asked)
        self.close()
        there = "is there" if found else "is not there yet: the first load makes it, in a file that is there"
        reader = duckdb_files.reader(self._path)
        return f"{there}; {reader} has the file open now, and a load would wait for it" if reader else there

    @staticmethod
    def _require() -> None:
        if duckdb is None:
            raise Stop("DuckDB is not installed here: pip install 'ap-connectors[duckdb]'.")

    def connect(self, patience: float = duckdb_files.PATIENCE, *, read_only: bool = False) -> None:
        """Connect to the file, once it is free."""
        self._require()
        self._connection = duckdb_files.connect(
            self._path, self._wait, read_only=read_only, most=patience, config={"memory_limit": f"{self._memory}MB"}
        )
        self.execute("SET TimeZone = 'UTC'")
        ((self._catalog, path),) = self.execute(
            "SELECT database_name, path FROM duckdb_databases() WHERE database_name = current_database()"
        )
        if not path:
            # What DuckDB makes of :memory:, and of files that it can only query, such as CSV, goes with the process.
            self.close()
            raise duckdb_files.forgets(self._path)

    def close(self) -> None:
        """Close the file."""
        if self._connection:
            self._connection.close()
            self._connection = None

    @property
    def _open_connection(self) -> duckdb.DuckDBPyConnection:
        assert self._connection is not None, "the database is not open"  # noqa: S101
        return self._connection

    def name(self, table: str) -> str:
        """Return a table's name; without the file's name before it, a schema of that name would be ambiguous."""
        return f"{quoted(self._catalog)}.{super().name(table)}"

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """Execute a statement; return its rows."""
        return self._open_connection.execute(statement).fetchall()

    def affected(self, statement: str) -> int:
        """Execute a statement that changes rows; return how many."""
        return int(self.execute(statement)[0][0])

    @contextlib.contextmanager
    def attempt(self) -> Iterator[None]:
        """Look at tables and write to them."""
        try:
            yield
        except duckdb.OutOfMemoryException as error:
            if self._memory >= _MOST_MEMORY:
                raise self._failed(error) from None
            # Tables of hundreds of columns need more than others.
            self._memory *= 2
            self.execute(f"SET memory_limit = '{self._memory}MB'")
            raise Again(f"it needs more memory; it now may use {self._memory} MB") from None
        except duckdb.Error as error:
            raise self._failed(error) from None

    def _failed(self, error: Exception) -> Stop:
        words = " ".join(str(error).split())[:400].rstrip(".!")
        depends = " Drop what depends on the column, run again, and make it anew." if "depends" in words else ""
        return Stop(f"database: {self._path}: {words}.{depends} The next run goes on from the last STATE.")

    @contextlib.contextmanager
    def transaction(self, *, changes_tables: bool = False) -> Iterator[None]:
        """Do all of a block or nothing of it."""
        self.execute("BEGIN")
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(duckdb.Error):
                self.execute("ROLLBACK")
            raise
        if changes_tables:
            rebind(self.execute, self._catalog, duckdb.Error)

    # Types

    def type_of(self, kind: Kind) -> str:
        """Return the type of a kind of column."""
        return f"DECIMAL({kind.whole + kind.scale},{kind.scale})" if kind.name == "decimal" else _TYPES[kind.name]

    def kind_of(self, type_: str) -> Kind | None:
        """Return the kind of a type."""
        if found := _DECIMAL(type_):
            return kinds.decimal(38 - int(found[1]), int(found[1]))
        return _KINDS.get(type_)

    def described(self) -> tuple[Iterable[tuple[str, str, str]], Mapping[str, str | None]]:
        """Return table, column and type of all columns, and the comments of tables."""
        # DuckDB takes names that differ in case only for one.
        where = f"database_name = {literal(self._catalog)} AND lower(schema_name) = lower({literal(self.schema)})"
        columns = self.execute(
            f"SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE {where} AND NOT internal "
            "ORDER BY table_name, column_index"
        )
        comments = self.execute(f"SELECT table_name, comment FROM duckdb_tables() WHERE {where}")
        return [(table, column, type_) for table, column, type_ in columns], dict(comments)

    def used(self, table: str, column: str) -> tuple[bool, int]:
        """Return whether a column has any value, and the most digits before the point that one has."""
        name = quoted(column)
        (found,) = self.execute(
            f"SELECT count({name}) > 0, max(length(split_part(ltrim(CAST({name} AS VARCHAR), '-'), '.', 1))) "
            f"FROM {self.name(table)}"
        )
        return bool(found[0]), found[1] or 0

    def as_text(self, column: str, kind: Kind) -> str:
        """Return the expression that makes text of a column."""
        name = f"CAST({quoted(column)} AS VARCHAR)"
        if kind.name == "decimal" and kind.scale:
            return f"rtrim(rtrim({name}, '0'), '.')"
        return f"replace({name}, ' ', 'T')" if kind in (kinds.INSTANT, kinds.WALL) else name

    def rekey(self, before: Table, after: Table) -> None:
        """Let columns that are no longer part of the key be without a value; there is no primary key."""
        for column in before.key:
            if column not in after.key:
                self.execute(f"ALTER TABLE {self.name(after.name)} ALTER COLUMN {quoted(column)} DROP NOT NULL")

    # Rows

    @contextlib.contextmanager
    def staged(self, columns: Mapping[str, tuple[Kind, Sequence[Cell]]]) -> Iterator[str]:
        """Hand rows over as Arrow columns; SQL casts them."""
        arrays = [pa.array(cells, _arrow(kind)) for kind, cells in columns.values()]
        table = pa.Table.from_arrays(arrays, names=[f"c{number}" for number in range(len(arrays))])
        self._open_connection.register(_STAGE, table)
        casts = [
            f"c{number}{'' if kind.name in _AS_THEY_ARE else f'::{self.type_of(kind)}'} AS {quoted(name)}"
            for number, (name, (kind, _)) in enumerate(columns.items())
        ]
        if self.company is not None:
            casts.append(f"{literal(self.company)} AS {quoted(COMPANY)}")
        try:
            yield f"(SELECT {', '.join(casts)} FROM {_STAGE})"
        finally:
            with contextlib.suppress(duckdb.Error):  # the transaction may have failed
                self._open_connection.unregister(_STAGE)

    def upsert(self, plan: Plan, stage: str) -> tuple[int, int]:
        """Insert rows, or merge them where some are there; to merge what is all new takes three times as long."""
        name = self.name(plan.table.name)
        columns = [*plan.batch.columns, *(() if self.company is None else (COMPANY,))]
        both = sql.same("t", "s", plan.table.key)
        if not self.execute(f"SELECT count(*) FROM {name} AS t SEMI JOIN {stage} AS s ON ({both})")[0][0]:
            return self.affected(f"INSERT INTO {name} ({listed(columns)}) SELECT {listed(columns)} FROM {stage}"), 0
        values = ", ".join(f"s.{quoted(column)}" for column in columns)
        sets = ", ".join(f"{quoted(column)} = {value}" for column, value in self.written(plan).items())
        update = f"WHEN MATCHED AND ({self.changed(plan)}) THEN UPDATE SET {sets} " if sets else ""
        before = self._count(name)
        merged = self.affected(
            f"MERGE INTO {name} AS t USING {stage} AS s ON ({both}) "
            f"{update}WHEN NOT MATCHED THEN INSERT ({listed(columns)}) VALUES ({values})"
        )
        created = self._count(name) - before
        return created, merged - created

    def _count(self, name: str) -> int:
        return int(self.execute(f"SELECT count(*) FROM {name}")[0][0])


_AS_THEY_ARE = {"boolean", "integer", "text"}


def _arrow(kind: Kind) -> Any:
    return {"boolean": pa.bool_(), "integer": pa.int64()}.get(kind.name, pa.string())
