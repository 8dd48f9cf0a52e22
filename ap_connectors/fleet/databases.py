"""Databases that the fleet looks into: PostgreSQL by its URL, DuckDB by the path of its file."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ap_connectors.core import database_urls
from ap_connectors.core.database_urls import host, is_postgresql
from ap_connectors.core.errors import Outage, Stop

_EXTRAS = {"psycopg": "postgres", "duckdb": "duckdb"}


def masked(text: str, database: str) -> str:
    """Return a text on one line, without the secrets of a database's URL."""
    return " ".join(database_urls.masked(text, database).split())


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


@contextmanager
def opened(database: str, base: Path | None = None, *, write: bool = False) -> Iterator[Database]:
    """Open a database; close it behind the block.

    Args:
        database: URL, or path of a file.
        base: where relative paths begin.
        write: whether it may be changed.

    Raises:
        Stop: it cannot be opened, or refuses a statement. Outage: another program has it open, or it is not there now.
    """
    if is_postgresql(database):
        psycopg = driver("psycopg")
        try:
            with psycopg.connect(database, autocommit=True, application_name="ap-fleet") as connection:
                connection.read_only = not write
                yield Database(connection, is_postgresql=True)
        except psycopg.OperationalError as error:
            raise Outage(trouble(error, database)) from None
        except psycopg.Error as error:
            raise Stop(trouble(error, database)) from None
        return
    duckdb = driver("duckdb")
    path = str((base or Path()) / database)
    try:
        with duckdb.connect(path, read_only=not write) as connection:
            yield Database(connection, is_postgresql=False)
    except duckdb.Error as error:
        words = " ".join(str(error).split())[:300]
        raise (Outage if "lock on file" in words else Stop)(f"{path}: {words}") from None
