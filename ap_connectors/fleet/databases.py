"""Databases that the fleet looks into: PostgreSQL by its URL, DuckDB by the path of its file."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ap_connectors.core import duckdb_files, files, postgresql
from ap_connectors.core.errors import Outage, Stop
from ap_connectors.core.postgresql import host, is_postgresql

_EXTRAS = {"psycopg": "postgres", "duckdb": "duckdb"}


def masked(text: str, database: str) -> str:
    """Return a text on one line, without the secrets of a database's URL."""
    return " ".join(postgresql.masked(text, database).split())


def trouble(error: Exception, database: str) -> str:
    """Say what PostgreSQL says."""
    return f"PostgreSQL at {host(database)}: {masked(str(error), database)}"


def driver(name: str) -> Any:
    """Return a database's package.

    Raises:
        Stop: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        raise Stop(f"{name} is not installed here: pip install 'ap-connectors[{_EXTRAS[name]}]'.") from None


class Database:
    """An open database.

    Args:
        connection: of the driver.
        is_postgresql: which of the two.
    """

    def __init__(self, connection: Any, *, is_postgresql: bool) -> None:
        self.connection, self.is_postgresql = connection, is_postgresql

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Execute a statement, in which `?` stands for each value; return its rows."""
        text = statement.replace("?", "%s") if self.is_postgresql else statement
        cursor = self.connection.execute(text, values or None)
        return list(cursor.fetchall()) if cursor.description else []

    def answer(self, query: str) -> tuple[Sequence[str], Sequence[tuple[Any, ...]]]:
        """Return names and rows of a query."""
        cursor = self.connection.execute(query)
        return [column[0] for column in cursor.description or ()], list(cursor.fetchall())


def _tell(words: str) -> None:
    print(f"ap-fleet: {words}", file=sys.stderr, flush=True)  # noqa: T201


@contextmanager
def opened(
    database: str, base: Path | None = None, *, write: bool = False, tell: duckdb_files.Tell = _tell
) -> Iterator[Database]:
    """Open a database; close it behind the block.

    Args:
        database: URL, or path of a file.
        base: where relative paths begin.
        write: whether it may be changed.
        tell: is told which program has the file open, when it has to be waited for.

    Raises:
        Stop: it cannot be opened, or refuses a statement. Outage: another program keeps it, or it is not there now.
    """
    if is_postgresql(database):
        psycopg = driver("psycopg")
        try:
            with postgresql.connect(database, "ap-fleet", autocommit=True) as connection:
                connection.read_only = not write
                yield Database(connection, is_postgresql=True)
        except psycopg.OperationalError as error:
            raise Outage(trouble(error, database)) from None
        except psycopg.Error as error:
            raise Stop(trouble(error, database)) from None
        return
    path = str((base or Path()) / files.place(database))
    with duckdb_files.connect(path, tell, read_only=not write) as connection:
        duckdb = driver("duckdb")
        try:
            yield Database(connection, is_postgresql=False)
        except duckdb.Error as error:
            raise Stop(f"{path}: {' '.join(str(error).split())[:300]}") from None
