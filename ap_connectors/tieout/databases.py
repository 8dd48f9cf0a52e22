"""The databases that a warehouse may be in, read only: DuckDB, PostgreSQL, and what else SQLAlchemy knows."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

from ap_connectors.core import duckdb_files, files, postgresql
from ap_connectors.core.errors import Stop
from ap_connectors.core.postgresql import POSTGRESQL, is_postgresql, masked
from ap_connectors.core.redact import printable

_ROWS_AT_ONCE = 5000
_SLICE = 50_000


class Engine(Protocol):
    """What asks the database. Instants come in UTC."""

    name: str
    catalog: str
    """What stands before the schema in names, so that a schema of the same name is not meant; "" without."""
    has_to_json: bool
    """Whether its function to_json writes lists and structures as JSON."""

    def columns(self) -> Iterable[tuple[str, str, str, str]]:
        """Yield schema, table, column and type of everything that there is, in the order of the columns."""

    def tables(self) -> Iterable[tuple[str, str, str | None]]:
        """Yield schema, name and comment of the tables; not of views."""

    def rows(self, query: str, table: str = "it") -> Iterator[tuple[Any, ...]]:
        """Yield the rows that a query finds; what cannot be read is told by the name of the table."""

    def slices(self, table: str, column: str) -> Iterable[str]:
        """Yield conditions that cut a table into parts, each small enough to be sorted in little memory."""

    def close(self) -> None:
        """Close the connection."""


def connect(where: str) -> Engine:
    """Open a database.

    Args:
        where: path of a DuckDB file, or a URL (`postgresql://...`).

    Raises:
        Stop: it cannot be opened; the message says why and shows no password.
    """
    if "://" in where and not where.startswith(POSTGRESQL):
        return Sql(where)
    if not is_postgresql(where):
        return DuckDB(where)
    try:
        import psycopg  # noqa: F401, PLC0415 - only who asks for it needs it
    except ImportError:
        return Sql(where)  # it has other drivers
    return PostgreSQL(where)


def _tell(words: str) -> None:
    print(f"ap-tieout: {words}", file=sys.stderr, flush=True)  # noqa: T201


class DuckDB:
    """A DuckDB file, whatever its name is."""

    name = "DuckDB"
    catalog = ""
    has_to_json = True

    def __init__(self, path: str) -> None:
        path = files.place(path)
        if not Path(path).is_file():
            raise Stop(f"--warehouse {path}: there is no such file. Name the DuckDB file that the loader writes.")
        import duckdb  # noqa: PLC0415 - other databases do without it

        self._path, self._duckdb = path, duckdb
        self._connection = duckdb_files.connect(path, _tell, read_only=True)
        try:
            # Without it instants are told in the time zone of this machine.
            self._connection.execute("SET TimeZone = 'UTC'")
        except duckdb.Error as error:
            raise self._trouble(error) from None
        ((self.catalog,),) = self.rows("select current_database()")

    def columns(self) -> Iterator[tuple[str, str, str, str]]:
        """Yield what there is."""
        yield from self.rows(
            "select schema_name, table_name, column_name, data_type from duckdb_columns() "
            "where database_name = current_database() and not internal order by schema_name, table_name, column_index"
        )

    def tables(self) -> Iterator[tuple[str, str, str | None]]:
        """Yield the tables."""
        yield from self.rows(
            "select schema_name, table_name, comment from duckdb_tables() where database_name = current_database()"
        )

    def rows(self, query: str, table: str = "it") -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query."""
        cursor = self._connection.cursor()
        try:
            cursor.execute(query)
            while piece := cursor.fetchmany(_ROWS_AT_ONCE):
                yield from piece
        except self._duckdb.Error as error:
            raise self._trouble(error, table) from None
        finally:
            cursor.close()

    def slices(self, table: str, column: str) -> Iterator[str]:
        """Yield parts, as DuckDB hands out a result when all of it is in memory."""
        ((rows,),) = self.rows(f"select count(*) from {table}", table)  # noqa: S608 - names are the warehouse's own
        parts = 1 + rows // _SLICE
        yield from (f"coalesce(hash({column}) % {parts}, 0) = {part}" for part in range(parts))

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _trouble(self, error: Exception, table: str = "it") -> Stop:
        problem = str(error).splitlines()[0]
        return Stop(f"--warehouse {self._path}: DuckDB cannot read {table}: {problem[:200]}")


class PostgreSQL:
    """A PostgreSQL database, by psycopg."""

    name = "PostgreSQL"
    catalog = ""
    has_to_json = True

    def __init__(self, url: str) -> None:
        import psycopg  # noqa: PLC0415 - only who asks for it needs it

        self._url, self._error, self._numbers = url, psycopg.Error, itertools.count(1)
        self._outage = psycopg.OperationalError
        try:
            # One moment for all queries, though a load may be under way.
            self._connection = postgresql.connect(
                url,
                "ap-tieout",
                options="-c timezone=UTC -c default_transaction_read_only=on",
                client_encoding="UTF8",  # a database of SQL_ASCII would hand out bytes
            )
            self._connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        except (psycopg.Error, UnicodeError) as error:
            raise self._trouble(error) from None

    def columns(self) -> Iterator[tuple[str, str, str, str]]:
        """Yield what there is."""
        yield from self.rows(
            # What a domain is of; types of texts by other names are text.
            "select n.nspname, c.relname, a.attname, case when t.typtype = 'e' then 'enum' "
            "when t.typname = 'citext' then 'text' when t.typtype = 'd' then format_type(t.typbasetype, t.typtypmod) "
            "else format_type(a.atttypid, a.atttypmod) end "
            "from pg_attribute as a join pg_type as t on t.oid = a.atttypid "
            "join pg_class as c on c.oid = a.attrelid join pg_namespace as n on n.oid = c.relnamespace "
            "where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p', 'v', 'm', 'f') "
            "and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg_toast%' "
            "order by 1, 2, a.attnum"
        )

    def tables(self) -> Iterator[tuple[str, str, str | None]]:
        """Yield the tables."""
        yield from self.rows(
            "select n.nspname, c.relname, obj_description(c.oid, 'pg_class') from pg_class as c "
            "join pg_namespace as n on n.oid = c.relnamespace where c.relkind in ('r', 'p', 'f')"
        )

    def rows(self, query: str, table: str = "it") -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query, as they come from the server."""
        try:
            # Two queries may be read side by side.
            with self._connection.cursor(name=f"rows_{next(self._numbers)}") as cursor:
                cursor.itersize = _ROWS_AT_ONCE
                cursor.execute(query.encode())
                yield from cursor
        except (self._error, UnicodeError) as error:
            raise self._trouble(error, table) from None

    def slices(self, table: str, column: str) -> Iterator[str]:  # noqa: ARG002 - one will do, as rows are streamed
        """Yield one part."""
        yield "true"

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _trouble(self, error: Exception, table: str = "it") -> Stop:
        # What the driver says may repeat the whole URL, with the password.
        words = printable(masked((str(error).splitlines() or ["it failed"])[0], self._url))[:200]
        if table != "it" and not isinstance(error, self._outage):
            return Stop(
                f"--warehouse: PostgreSQL cannot read {table}: {words}. Give the user the right to read it; if it is a "
                "view, see that it works."
            )
        return Stop(
            f"--warehouse: PostgreSQL: {words}. Check address, user and password, and whether the database is up."
        )


class Sql:
    """Any other database; its driver has to be installed beside us."""

    catalog = ""
    has_to_json = False

    def __init__(self, url: str) -> None:
        try:
            import sqlalchemy  # noqa: PLC0415 - only who asks for it needs it
        except ImportError:
            more = " For PostgreSQL: pip install 'ap-connectors[postgres]'." if url.startswith("postgres") else ""
            raise Stop(f"--warehouse: this database URL needs SQLAlchemy, which is not installed.{more}") from None
        self._sql = sqlalchemy
        try:
            made = sqlalchemy.engine.make_url(url)
            self._shown = made.render_as_string(hide_password=True)
            self._engine = sqlalchemy.create_engine(made)
            self._connection = self._engine.connect()
        except (sqlalchemy.exc.ArgumentError, ValueError):
            raise Stop("--warehouse: is not a URL that SQLAlchemy understands (postgresql://user@host/name).") from None
        except ImportError as error:
            raise Stop(f"--warehouse: the driver for this database is not installed ({error.name}).") from None
        except sqlalchemy.exc.SQLAlchemyError as error:
            raise self._trouble(error) from None
        self.name = self._engine.dialect.name

    def columns(self) -> Iterator[tuple[str, str, str, str]]:
        """Yield what there is."""
        try:
            inspector = self._sql.inspect(self._engine)
            for schema in inspector.get_schema_names():
                for table in inspector.get_table_names(schema) if schema != "information_schema" else ():
                    for column in inspector.get_columns(table, schema):
                        yield schema, table, column["name"], str(column["type"])
        except self._sql.exc.SQLAlchemyError as error:
            raise self._trouble(error) from None

    def tables(self) -> Iterator[tuple[str, str, str | None]]:
        """Yield the tables."""
        yield from {(schema, table, None) for schema, table, _, _ in self.columns()}

    def rows(self, query: str, table: str = "it") -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query."""
        try:
            streamed = self._connection.execution_options(yield_per=_ROWS_AT_ONCE)
            yield from (tuple(row) for row in streamed.execute(self._sql.text(query.replace(":", r"\:"))))
        except self._sql.exc.SQLAlchemyError as error:
            raise self._trouble(error, table) from None

    def slices(self, table: str, column: str) -> Iterator[str]:  # noqa: ARG002 - one will do, as rows are streamed
        """Yield one part."""
        yield "1 = 1"

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
        self._engine.dispose()

    def _trouble(self, error: Exception, table: str = "it") -> Stop:
        return Stop(
            f"--warehouse {self._shown}: cannot read {table}: {type(error).__name__}. Check address, user, password "
            "and rights, and whether the database is up."
        )
