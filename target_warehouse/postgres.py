"""PostgreSQL: rows are copied into a temporary table, and inserted over those of the same key."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from ap_connectors.core import postgresql
from ap_connectors.core.errors import Outage, Stop
from ap_connectors.core.postgresql import host, masked
from target_warehouse import kinds
from target_warehouse.declared import COMPANY
from target_warehouse.dependents import aside
from target_warehouse.kinds import Cell, Kind
from target_warehouse.sql import listed, literal, quoted
from target_warehouse.tables import Plan, Table
from target_warehouse.warehouse import Again, Warehouse

try:
    import psycopg
except ImportError:  # the extra is not installed; `open` says so
    psycopg = None  # type: ignore[assignment]

if TYPE_CHECKING:
    import psycopg

_PATIENCE = 300
"""Seconds to wait for another run of the same pipeline."""
_TYPES: Mapping[str, str] = {
    "boolean": "boolean",
    "integer": "bigint",
    "decimal": "numeric",
    "huge": "numeric",
    "date": "date",
    "instant": "timestamp with time zone",
    "wall": "timestamp without time zone",
    "text": "text",
    "json": "json",
}
_KINDS = {type_: Kind(name) for name, type_ in _TYPES.items()} | {"numeric": kinds.MOST_OF_POSTGRESQL}
_LIMITS = (psycopg.errors.TooManyColumns, psycopg.errors.ProgramLimitExceeded) if psycopg else ()
"""What another try meets again, among errors that another try may not meet."""
_ROWS = 2000
"""Rows that are written at once."""


class PostgreSQL(Warehouse):
    """A schema of a PostgreSQL database.

    Args:
        url: of the database.
        pipeline: one run of it at a time.
        wait: is told once what is being waited for.
        others: as of `Warehouse`.
    """

    most = kinds.MOST_OF_POSTGRESQL
    has_nul = False
    longest_name = 63
    names_of_its_own = frozenset({"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"})
    most_columns = 1600
    errors = (psycopg.Error,) if psycopg else ()
    refusals = (psycopg.DataError, psycopg.ProgrammingError, psycopg.NotSupportedError) if psycopg else ()
    dependent_errors = (psycopg.errors.DependentObjectsStillExist,) if psycopg else ()
    data_errors = (
        (
            psycopg.DataError,
            psycopg.IntegrityError,
            psycopg.errors.ProgramLimitExceeded,
            psycopg.errors.StatementTooComplex,  # JSON that is nested too deeply
            psycopg.errors.RaiseException,  # by a trigger of the user's
        )
        if psycopg
        else ()
    )

    def __init__(self, url: str, pipeline: str, wait: Callable[[str], None], *others: Any) -> None:
        super().__init__(*others)
        self._url, self._pipeline, self._wait = url, pipeline, wait
        self._connection: psycopg.Connection[Any] | None = None

    @staticmethod
    def require() -> None:
        """Check that the driver is installed.

        Raises:
            Stop: it is not.
        """
        if psycopg is None:
            raise Stop("The driver of PostgreSQL is not installed here: pip install 'ap-connectors[postgres]'.")

    def connect(self, *, read_only: bool = False) -> None:
        """Connect."""
        self.require()
        try:
            self._connection = postgresql.connect(self._url, "target-warehouse", autocommit=True)
            self.execute("SET TimeZone = 'UTC'")
            self.execute("SET client_min_messages = 'warning'")
            self.execute(f"SET lock_timeout = '{_PATIENCE}s'")
            if read_only:
                self.execute("SET default_transaction_read_only = on")
        except psycopg.Error as error:
            raise self._closed(error) from None

    def prove(self) -> str:
        """Look for the schema, and for the right to make tables in it, or to make it."""
        self.connect(read_only=True)
        name = literal(self.schema)
        found = self.execute(f"SELECT 1 FROM pg_namespace WHERE nspname = {name}")
        right = f"has_schema_privilege({name}, 'CREATE')" if found else "has_database_privilege(d, 'CREATE')"
        ((is_allowed, user, database, is_read_only),) = self.execute(
            f"SELECT {right}, current_user, d, pg_is_in_recovery() OR (SELECT reset_val = 'on' FROM pg_settings "
            "WHERE name = 'default_transaction_read_only') FROM (SELECT current_database() AS d) AS here"
        )
        self.close()
        if is_read_only:
            raise Stop(
                f"database: {database} at {host(self._url)} takes no writes: it is a standby server, or "
                "default_transaction_read_only is on. Name the server that takes them."
            )
        if not is_allowed:
            what = f"tables in the schema {self.schema}" if found else f"the schema {self.schema}"
            where = f"SCHEMA {quoted(self.schema)}" if found else f"DATABASE {quoted(database)}"
            raise Stop(
                f"database: the user {user} may not make {what} of the database {database}. "
                f"GRANT CREATE ON {where} TO {quoted(user)};"
            )
        return "is there" if found else "is not there yet: the first load makes it, in a database that is there"

    def open(self, patience: int = _PATIENCE) -> None:
        """Connect, and wait until no other run of the same pipeline is under way."""
        self.connect()
        try:
            self._begin(patience)
        except psycopg.Error as error:
            raise self._closed(error) from None

    def _begin(self, patience: int) -> None:
        self.execute(f"SET lock_timeout = '{patience}s'")
        run = literal(f"target-warehouse {self.schema} {self.company or ''} {self._pipeline}")
        if not self.execute(f"SELECT pg_try_advisory_lock(hashtextextended({run}, 0))")[0][0]:
            self._wait(f"Another run of {self._pipeline} loads into the schema {self.schema}; waiting until it ends.")
            try:
                self.execute(f"SELECT pg_advisory_lock(hashtextextended({run}, 0))")
            except (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled):  # by the user's statement_timeout
                raise Outage(
                    f"Another run of {self._pipeline} loads into the schema {self.schema}, and has not ended in "
                    "time. Nothing was loaded; run again when it has ended."
                ) from None
        with self.transaction(changes_tables=True):
            if not self.execute(f"SELECT to_regnamespace({literal(quoted(self.schema))}) IS NOT NULL")[0][0]:
                self.execute(f"CREATE SCHEMA {quoted(self.schema)}")

    def _closed(self, error: Exception) -> Stop:
        words = masked(" ".join(str(error).split()) or type(error).__name__, self._url)
        return Stop(f"database: PostgreSQL at {host(self._url)}: {words[:400]}")

    def close(self) -> None:
        """Disconnect."""
        if self._connection:
            self._connection.close()
            self._connection = None

    @property
    def _open_connection(self) -> psycopg.Connection[Any]:
        assert self._connection is not None, "the database is not open"  # noqa: S101
        return self._connection

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """Execute a statement; return its rows."""
        cursor = self._open_connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []

    def affected(self, statement: str) -> int:
        """Execute a statement that changes rows; return how many."""
        return self._open_connection.execute(statement.encode()).rowcount

    @contextlib.contextmanager
    def transaction(self, *, changes_tables: bool = False) -> Iterator[None]:
        """Do all of a block or nothing of it; what changes tables of the schema does so alone."""
        shared = "" if changes_tables else "_shared"
        key = zlib.crc32(f"target-warehouse {self.schema}".encode())
        with self._open_connection.transaction():
            self.execute(f"SELECT pg_advisory_xact_lock{shared}({key})")
            yield

    @contextlib.contextmanager
    def attempt(self) -> Iterator[None]:
        """Look at tables and write to them, on a connection that is new if the former was lost."""
        if self._connection is None or self._connection.closed:
            self._reconnect()
        try:
            yield
        except psycopg.Error as error:
            passes = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
            if (passes and not isinstance(error, _LIMITS)) or self._connection is None or self._connection.closed:
                words = (str(error).strip() or type(error).__name__).splitlines()[0]
                raise Again(masked(words, self._url)) from None
            raise Stop(f"{self._closed(error)}. The next run goes on from the last STATE.") from None

    def _reconnect(self) -> None:
        self.close()
        try:
            self.open()
        except Outage:
            raise
        except Stop as error:
            raise Again(str(error)) from None

    def check_tables(self, tables: Mapping[str, Table]) -> None:
        """Check that no other run has changed the tables since they were looked at.

        Raises:
            Again: one has.
        """
        if self.tables() != tables:
            raise Again("another run has changed the tables")

    # Types

    def type_of(self, kind: Kind) -> str:
        """Return the type of a kind of column."""
        return _TYPES[kind.name]

    def kind_of(self, type_: str) -> Kind | None:
        """Return the kind of a type."""
        return _KINDS.get(type_)

    def described(self) -> tuple[Iterable[tuple[str, str, str]], Mapping[str, str | None]]:
        """Return table, column and type of all columns, and the comments of tables."""
        schema = literal(self.schema)
        columns = self.execute(
            "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute AS a "
            "JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace "
            f"WHERE n.nspname = {schema} AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attnum > 0 "
            "AND NOT a.attisdropped ORDER BY c.relname, a.attnum"
        )
        comments = self.execute(
            "SELECT c.relname, obj_description(c.oid, 'pg_class') FROM pg_class AS c "
            f"JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = {schema}"
        )
        return [(table, column, type_) for table, column, type_ in columns], dict(comments)

    def used(self, table: str, column: str) -> tuple[bool, int]:
        """Return whether a column has any value; how large numbers are does not matter here."""
        found = self.execute(f"SELECT EXISTS (SELECT 1 FROM {self.name(table)} WHERE {quoted(column)} IS NOT NULL)")
        return bool(found[0][0]), 0

    def as_text(self, column: str, kind: Kind) -> str:
        """Return the expression that makes text of a column."""
        name = quoted(column)
        return f"replace({name}::text, ' ', 'T')" if kind in (kinds.INSTANT, kinds.WALL) else f"{name}::text"

    def comparable(self, value: str, kind: Kind | None) -> str:
        """Return a form of a value that can be compared: JSON as the text that it is."""
        return f"{value}::text" if kind == kinds.JSON else value

    def constraint(self, key: Sequence[str]) -> str:
        """Return the primary key."""
        return f", PRIMARY KEY ({listed(key)})"

    def rekey(self, before: Table, after: Table) -> None:
        """Make another primary key."""
        name = self.name(after.name)
        found = self.execute(
            f"SELECT conname FROM pg_constraint WHERE conrelid = to_regclass({literal(name)}) AND contype = 'p'"
        )
        for (constraint,) in found:
            self.execute(f"ALTER TABLE {name} DROP CONSTRAINT {quoted(constraint)}")
        for column in set(before.key) - set(after.key):
            self.execute(f"ALTER TABLE {name} ALTER COLUMN {quoted(column)} DROP NOT NULL")
        self.execute(f"ALTER TABLE {name} ADD PRIMARY KEY ({listed(after.key)})")

    def views_aside(self, relation: str) -> AbstractContextManager[None]:
        """Take down the views that read a table while the block changes types of its columns."""
        return aside(self.execute, relation, self._open_connection.transaction, psycopg.Error)

    # Rows

    @contextlib.contextmanager
    def staged(self, columns: Mapping[str, tuple[Kind, Sequence[Cell]]]) -> Iterator[str]:
        """Copy rows into a temporary table."""
        types = ", ".join(f"{quoted(name)} {self.type_of(kind)}" for name, (kind, _) in columns.items())
        company = "" if self.company is None else f", {quoted(COMPANY)} text DEFAULT {literal(self.company)}"
        self.execute(f"CREATE TEMPORARY TABLE staged_rows ({types}{company}) ON COMMIT DROP")
        cells = [_as_copied(kind, some) for kind, some in columns.values()]
        with self._open_connection.cursor() as cursor:
            statement = f"COPY staged_rows ({listed(columns)}) FROM STDIN WITH (NULL '\\002')".replace("\\002", "\x02")
            with cursor.copy(statement.encode()) as copy:
                for start in range(0, len(cells[0]), _ROWS):
                    copy.write(_copied([some[start : start + _ROWS] for some in cells]))
        yield "staged_rows"
        self.execute("DROP TABLE staged_rows")

    def upsert(self, plan: Plan, stage: str) -> tuple[int, int]:
        """Insert rows, or update those that are there and differ."""
        name = self.name(plan.table.name)
        columns = listed([*plan.batch.columns, *(() if self.company is None else (COMPANY,))])
        sets = ", ".join(f"{quoted(one)} = {value}" for one, value in self.written(plan, "excluded").items())
        changed = self.changed(plan, "excluded")
        update = f"DO UPDATE SET {sets} WHERE {changed}" if sets else "DO NOTHING"
        try:
            found = self.execute(
                f"WITH done AS (INSERT INTO {name} AS t ({columns}) SELECT {columns} FROM {stage} "
                f"ON CONFLICT ({listed(plan.table.key)}) {update} RETURNING xmax = 0 AS fresh) "
                "SELECT count(*) FILTER (WHERE fresh), count(*) FILTER (WHERE NOT fresh) FROM done"
            )
        except psycopg.errors.InvalidColumnReference:
            key = f"ALTER TABLE {name} ADD PRIMARY KEY ({listed(plan.table.key)});"
            raise Stop(
                f"The table {plan.table.name}: its primary key was dropped, so nothing was loaded. Make it again: {key}"
            ) from None
        return int(found[0][0]), int(found[0][1])


_NULL = "\x02"
_SPECIAL = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\x02": "\\002"}


def _as_copied(kind: Kind, cells: Sequence[Cell]) -> list[str]:
    """Return cells as COPY takes them."""
    if kind == kinds.BOOLEAN:
        return [_NULL if cell is None else "t" if cell else "f" for cell in cells]
    if kind not in (kinds.TEXT, kinds.JSON):
        return [_NULL if cell is None else str(cell) for cell in cells]
    found = [None if cell is None else str(cell) for cell in cells]
    # Looked for in all texts at once: most columns have none of them, and few texts a backslash.
    whole = "".join(filter(None, found))
    for special, escaped in _SPECIAL.items():
        if special in whole:
            found = [text and text.replace(special, escaped) for text in found]
    return [_NULL if text is None else text for text in found]


def _copied(cells: list[list[str]]) -> bytes:
    return "".join("\t".join(row) + "\n" for row in zip(*cells, strict=True)).encode()
