"""What every run came to: lines of JSON beside the states, or rows of PostgreSQL where that keeps the states."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable
from typing import Any

import msgspec

from ap_connectors.core.errors import Outage
from ap_connectors.fleet import databases, values
from ap_connectors.fleet.members import Fleet
from ap_connectors.fleet.results import Result

TABLE = "fleet_history"
_DECODE = msgspec.json.Decoder(Result).decode


class History:
    """The results of a fleet's runs, oldest first.

    Args:
        fleet: whose.
    """

    def __init__(self, fleet: Fleet) -> None:
        self.path = fleet.folder / "state" / "history.jsonl"
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

    def results(self, companies: Iterable[str] = ()) -> list[Result]:
        """Return all results, or those of some companies.

        Raises:
            Outage: the database cannot be reached.
        """
        wanted = set(companies)
        return [one for one in self._all() if not wanted or one.company in wanted]

    def _all(self) -> list[Result]:
        if self._url is not None:
            with databases.opened(self._url, write=True) as opened:
                _create(opened.connection)
                return [_DECODE(text) for (text,) in opened.rows(f"SELECT result::text FROM {TABLE} ORDER BY id")]  # noqa: S608
        if not self.path.exists():
            return []
        found = []
        for line in self.path.read_bytes().splitlines():
            try:
                found.append(_DECODE(line))
            except msgspec.MsgspecError:
                continue  # a line that a full disk has cut
        return found

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
