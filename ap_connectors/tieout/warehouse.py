"""The warehouse, read only: a DuckDB file, or any database that SQLAlchemy knows. Every value comes as text."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from ap_connectors.core.errors import Stop
from ap_connectors.tieout.snapshot import Fields

_ROWS_AT_ONCE = 5000
_SLICE = 50_000
_INEXACT = ("DOUBLE", "FLOAT", "REAL")
_JSON = ("JSON", "STRUCT", "MAP")
TEXT = ("VARCHAR", "CHAR", "TEXT", "STRING", "CLOB", "NVARCHAR")


class Engine(Protocol):
    """What asks the database."""

    name: str
    catalog: str
    """What stands before the schema in names, so that a schema of the same name is not meant; "" without."""

    def columns(self) -> Iterable[tuple[str, str, str, str]]:
        """Yield schema, table, column and type of everything that there is, in the order of the columns."""

    def rows(self, query: str) -> Iterator[tuple[Any, ...]]:
        """Yield the rows that a query finds."""

    def slices(self, table: str, column: str) -> Iterable[str]:
        """Yield conditions that cut a table into parts, each small enough to be sorted in little memory."""

    def close(self) -> None:
        """Close the connection."""


@dataclass(frozen=True)
class Column:
    """A column: its name as the database writes it, and its type in capitals."""

    name: str
    type: str


def spelling(name: str) -> str:
    """Return what all spellings of a name have in common; loaders write `internalId`, `internalid`, `internal_id`."""
    return name.replace("_", "").lower()


def quoted(name: str) -> str:
    """Return a name as SQL that means it exactly."""
    return '"' + name.replace('"', '""') + '"'


class Table:
    """A table of the warehouse; its columns are found whatever their spelling."""

    def __init__(self, engine: Engine, schema: str, name: str, columns: Iterable[Column]) -> None:
        self.name = name
        self._engine = engine
        self._where = ".".join(quoted(part) for part in (engine.catalog, schema, name) if part)
        self._columns = {spelling(column.name): column for column in columns}

    def count(self) -> int:
        """Return how many rows there are."""
        ((rows,),) = self._engine.rows(f"select count(*) from {self._where}")  # noqa: S608 - as below
        return int(rows)

    @property
    def types(self) -> dict[str, str]:
        """Types of the columns by the `spelling` of their names, but for those that loaders add."""
        columns = self._columns.items()
        return {name: column.type for name, column in columns if not column.name.lower().startswith("_sdc_")}

    def has(self, name: str) -> bool:
        """Whether there is a column."""
        return spelling(name) in self._columns

    def spelled(self, name: str) -> str | None:
        """Return a column's name as the database writes it; None if it is not there."""
        column = self._columns.get(spelling(name))
        return column.name if column else None

    def require(self, names: Collection[str]) -> None:
        """Check that columns are there.

        Raises:
            Stop: one is not.
        """
        for name in names:
            if not self.has(name):
                raise Stop(
                    f"The warehouse's table {self.name} has no column {name}, without which nothing can be compared. "
                    "Is the field deselected? Select it and load the stream anew."
                )

    def require_exact(self, names: Collection[str]) -> None:
        """Check that columns of amounts keep every digit; those that are not there pass.

        Raises:
            Stop: one does not.
        """
        for name in names:
            column = self._columns.get(spelling(name))
            if column and column.type.startswith(_INEXACT):
                raise Stop(
                    f"The warehouse keeps {self.name}.{column.name} as {column.type}: digits are lost already, so no "
                    "sum of it can be exact. Declare the amounts as text (see docs/warehouse.md) and load anew."
                )

    def is_rounded_json(self, name: str) -> bool:
        """Whether a column holds JSON whose numbers DuckDB's loader has made doubles of."""
        column = self._columns.get(spelling(name))
        return self._engine.name == "DuckDB" and column is not None and column.type.startswith(_JSON)

    def records(
        self, names: Collection[str], *, together: str | None = None, among: tuple[str, Collection[str]] | None = None
    ) -> Iterator[Fields]:
        """Yield the rows as text by our names; a column that is not there is None, and so is an empty text.

        Args:
            names: of the columns.
            together: column whose equal values are to come one after the other.
            among: column, and the values that the rows wanted have in it.
        """
        here = [name for name in names if self.has(name)]
        if not here:
            return
        columns = ", ".join(f"cast({self._quoted(name)} as varchar)" for name in here)
        query = f"select {columns} from {self._where}"  # noqa: S608 - names are the warehouse's own
        for part in self._parts(together) if among is None else [self._condition(*among)]:
            for row in self._engine.rows(query + part):
                record: dict[str, str | None] = dict.fromkeys(names)
                record.update((name, value or None) for name, value in zip(here, row, strict=True))
                yield record

    def _parts(self, together: str | None) -> Iterator[str]:
        if together is None:
            yield ""
            return
        column = self._quoted(together)
        for condition in self._engine.slices(self._where, column):
            yield f" where {condition} order by {column}"

    def _condition(self, column: str, values: Collection[str]) -> str:
        listed = ", ".join("'" + value.replace("'", "''") + "'" for value in values)
        # Without a cast an index is used.
        is_text = self._columns[spelling(column)].type.startswith(TEXT)
        compared = self._quoted(column) if is_text else f"cast({self._quoted(column)} as varchar)"
        return f" where {compared} in ({listed or 'null'})"

    def _quoted(self, name: str) -> str:
        return quoted(self._columns[spelling(name)].name)


class Warehouse:
    """One schema of a warehouse.

    Args:
        where: path of a DuckDB file, or a URL (`postgresql://...`).
        schema: where the tables are.

    Raises:
        Stop: it cannot be opened; the message says why and shows no password.
    """

    def __init__(self, where: str, schema: str) -> None:
        self.schema = schema
        self._engine: Engine = _Sql(where) if "://" in where else _DuckDB(where)
        self.name = self._engine.name
        self._tables: dict[str, Table] = {}
        self._asked_for: set[str] = set()
        self._elsewhere: dict[str, set[str]] = {}
        found: dict[tuple[str, str], list[Column]] = {}
        for its_schema, table, column, type_ in self._engine.columns():
            found.setdefault((its_schema, table), []).append(Column(column, type_.upper()))
        for (its_schema, table), columns in found.items():
            if its_schema.lower() == schema.lower():
                self._tables[table.lower()] = Table(self._engine, its_schema, table, columns)
            else:
                self._elsewhere.setdefault(table.lower(), set()).add(its_schema)

    def __enter__(self) -> Warehouse:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._engine.close()

    def find(self, name: str) -> Table | None:
        """Return a table, or None if it is missing."""
        self._asked_for.add(name)
        return self._tables.get(name)

    @property
    def others(self) -> list[str]:
        """Names of the schema's tables that were not asked for."""
        return sorted(self._tables.keys() - self._asked_for)

    def table(self, name: str, job: str) -> Table:
        """Return a table.

        Raises:
            Stop: it is missing; the message names the `job` that fills it.
        """
        if found := self.find(name):
            return found
        others = ", ".join(sorted(self._elsewhere.get(name, ())))
        hint = f" There is one in the schema {others}: set --schema." if others else f" Has {job} run?"
        raise Stop(f"The warehouse has no table {name} in the schema {self.schema}.{hint}")


class _DuckDB:
    name = "DuckDB"
    catalog = ""

    def __init__(self, path: str) -> None:
        if not Path(path).is_file():
            raise Stop(f"--warehouse {path}: there is no such file. Name the DuckDB file that the loader writes.")
        import duckdb  # noqa: PLC0415 - other databases do without it

        self._path, self._error = path, duckdb.Error
        try:
            self._connection = duckdb.connect(path, read_only=True)
        except duckdb.Error as error:
            raise self._trouble(error) from None
        ((self.catalog,),) = self.rows("select current_database()")

    def columns(self) -> Iterator[tuple[str, str, str, str]]:
        yield from self.rows(
            "select schema_name, table_name, column_name, data_type from duckdb_columns() "
            "where database_name = current_database() and not internal order by schema_name, table_name, column_index"
        )

    def rows(self, query: str) -> Iterator[tuple[Any, ...]]:
        cursor = self._connection.cursor()
        try:
            cursor.execute(query)
            while piece := cursor.fetchmany(_ROWS_AT_ONCE):
                yield from piece
        except self._error as error:
            raise self._trouble(error) from None
        finally:
            cursor.close()

    def slices(self, table: str, column: str) -> Iterator[str]:
        # DuckDB hands out a result when all of it is in memory.
        ((rows,),) = self.rows(f"select count(*) from {table}")  # noqa: S608 - as above
        parts = 1 + rows // _SLICE
        yield from (f"coalesce(hash({column}) % {parts}, 0) = {part}" for part in range(parts))

    def close(self) -> None:
        self._connection.close()

    def _trouble(self, error: Exception) -> Stop:
        problem = str(error).splitlines()[0]
        if "lock" in problem:
            return Stop(
                f"--warehouse {self._path}: another process has the file open for writing, perhaps a load that is "
                "under way. Run again when it has ended."
            )
        if "not a valid DuckDB" in problem:
            return Stop(f"--warehouse {self._path}: is not a DuckDB file.")
        return Stop(f"--warehouse {self._path}: DuckDB cannot read it: {problem[:200]}")


class _Sql:
    """Any other database; its driver has to be installed beside us."""

    catalog = ""

    def __init__(self, url: str) -> None:
        try:
            import sqlalchemy  # noqa: PLC0415 - only who asks for it needs it
        except ImportError:
            raise Stop("--warehouse: a database URL needs SQLAlchemy, which is not installed.") from None
        self._sql = sqlalchemy
        try:
            made = sqlalchemy.engine.make_url(url)
            self._shown = made.render_as_string(hide_password=True)
            self._engine = sqlalchemy.create_engine(made)
            self._connection = self._engine.connect()
        except sqlalchemy.exc.ArgumentError:
            raise Stop("--warehouse: is not a URL that SQLAlchemy understands (postgresql://user@host/name).") from None
        except ImportError as error:
            raise Stop(f"--warehouse: the driver for this database is not installed ({error.name}).") from None
        except sqlalchemy.exc.SQLAlchemyError as error:
            raise self._trouble(error) from None
        self.name = self._engine.dialect.name

    def columns(self) -> Iterator[tuple[str, str, str, str]]:
        try:
            inspector = self._sql.inspect(self._engine)
            for schema in inspector.get_schema_names():
                for table in inspector.get_table_names(schema) if schema != "information_schema" else ():
                    for column in inspector.get_columns(table, schema):
                        yield schema, table, column["name"], str(column["type"])
        except self._sql.exc.SQLAlchemyError as error:
            raise self._trouble(error) from None

    def rows(self, query: str) -> Iterator[tuple[Any, ...]]:
        try:
            streamed = self._connection.execution_options(yield_per=_ROWS_AT_ONCE)
            yield from (tuple(row) for row in streamed.execute(self._sql.text(query.replace(":", r"\:"))))
        except self._sql.exc.SQLAlchemyError as error:
            raise self._trouble(error) from None

    def slices(self, table: str, column: str) -> Iterator[str]:  # noqa: ARG002 - one will do, as rows are streamed
        yield "1 = 1"

    def close(self) -> None:
        self._connection.close()
        self._engine.dispose()

    def _trouble(self, error: Exception) -> Stop:
        return Stop(
            f"--warehouse {self._shown}: {type(error).__name__}. Check address, user and password, and whether the "
            "database is up."
        )
