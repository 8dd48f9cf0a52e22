"""What every run came to: lines of JSON beside the states, or rows of PostgreSQL where that keeps the states."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from ap_connectors.core.errors import Outage
from ap_connectors.fleet import databases, values
from ap_connectors.fleet.members import Fleet
from ap_connectors.fleet.results import Result

TABLE = "fleet_history"
_MOST = 64 * 1024 * 1024
"""Bytes after which the file is put aside for a new one; that of before is dropped."""
_DECODE = msgspec.json.Decoder(Result).decode


class History:
    """The results of a fleet's runs, oldest first.

    Args:
        fleet: whose.
    """

    def __init__(self, fleet: Fleet) -> None:
        self.path = fleet.folder / "state" / "history.jsonl"
        self._older = self.path.with_suffix(".1.jsonl")
        self._url = str(values.fetched(fleet.state, "state", [])) if fleet.state is not None else None
        self._connection: Any = None

    def add(self, result: Result) -> None:
        """Add a result.

        Raises:
            OSError: the file cannot be written. Outage: the database cannot be reached.
        """
        line = msgspec.json.encode(result)
        if self._url is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                os.write(file, line + b"\n")
                if os.fstat(file).st_size > _MOST:
                    self.path.replace(self._older)
            finally:
                os.close(file)
            return
        psycopg = databases.driver("psycopg")
        try:
            self._opened().execute(
                f"INSERT INTO {TABLE} (company, pipeline, result) VALUES (%s, %s, %s)",  # noqa: S608
                (result.company, result.pipeline, line.decode()),
            )
        except psycopg.Error as error:
            self._connection = None
            raise Outage(f"state: {databases.masked(str(error), self._url)}") from None

    def results(self, companies: Sequence[str], most: int) -> list[Result]:
        """Return the last results, of some companies or of all.

        Raises:
            Outage: the database cannot be reached.
        """
        if self._url is None:
            wanted = set(companies)
            found = (one for one in self._lines() if not wanted or one.company in wanted)
            return list(deque(found, maxlen=most))
        chosen = "WHERE company = ANY(?) OR cardinality(?::text[]) = 0 ORDER BY id DESC LIMIT ?"
        return self._rows(f"SELECT result::text FROM {TABLE} {chosen}", list(companies), list(companies), most)[::-1]  # noqa: S608

    def latest(self) -> dict[tuple[str, str], Result]:
        """Return the last result of each pipeline, by company and pipeline.

        Raises:
            Outage: the database cannot be reached.
        """
        if self._url is None:
            found: Iterable[Result] = self._lines()
        else:
            last = (
                f"SELECT DISTINCT ON (company, pipeline) result::text FROM {TABLE} ORDER BY company, pipeline, id DESC"  # noqa: S608
            )
            found = self._rows(last)
        return {(one.company, one.pipeline): one for one in found}

    def _rows(self, query: str, *values: Any) -> list[Result]:
        with databases.opened(str(self._url), write=True) as opened:
            _create(opened.connection)
            return [_DECODE(text) for (text,) in opened.rows(query, *values)]

    def _lines(self) -> Iterator[Result]:
        for path in (self._older, self.path):
            if not path.exists():
                continue
            with path.open("rb") as lines:
                for line in lines:
                    # A full disk may have cut one.
                    with contextlib.suppress(msgspec.MsgspecError):
                        yield _DECODE(line)

    def _opened(self) -> Any:
        if self._connection is None or self._connection.closed:
            psycopg = databases.driver("psycopg")
            self._connection = psycopg.connect(self._url, autocommit=True, application_name="ap-fleet")
            _create(self._connection)
        return self._connection


def _create(connection: Any) -> None:
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (TABLE,))
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS {TABLE} (id bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT now(), "
            "company text NOT NULL, pipeline text NOT NULL, result json NOT NULL)"
        )
        connection.execute(f"CREATE INDEX IF NOT EXISTS {TABLE}_last ON {TABLE} (company, pipeline, id)")
