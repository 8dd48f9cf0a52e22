"""What every run came to: lines of JSON beside the states, or rows of PostgreSQL where that keeps the states."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from ap_connectors.core import postgresql
from ap_connectors.core.errors import ApError, Outage
from ap_connectors.fleet import databases, journal, values
from ap_connectors.fleet.journal import FolderJournal, Journal, PostgresJournal, Word
from ap_connectors.fleet.members import Fleet
from ap_connectors.fleet.results import Result

_LOG = logging.getLogger(__name__)
TABLE = "fleet_history"
_MOST = 64 * 1024 * 1024
"""Bytes after which the file is put aside for a new one; that of before is dropped."""
_DAYS, _AT_ONCE = 90, 5000
"""For so long rows are kept, and longer the last one of a pipeline; so many of the oldest are looked at by a batch."""
_REST = 9
"""For so many times as long as it took to fail, a database is left alone: a batch waits a tenth of its time for it."""
_DECODE = msgspec.json.Decoder(Result).decode
_CUT_OFF = (
    "the run that began at {0} was cut off before this was done, at {1} or a few seconds later: it was killed, the "
    "machine went down, or a full disk kept its result; the next run goes on."
)

_FORGET = (
    f"DELETE FROM {TABLE} AS old USING (SELECT id FROM {TABLE} ORDER BY id LIMIT %s) AS oldest "  # noqa: S608
    "WHERE old.id = oldest.id AND old.at < now() - make_interval(days => %s) AND EXISTS ("
    f"SELECT 1 FROM {TABLE} AS l WHERE l.company = old.company AND l.pipeline = old.pipeline AND l.id > old.id)"
)


class History:
    """The results of a fleet's runs, oldest first, those included that a run could not tell because it was cut off.

    Args:
        fleet: whose.

    What reads raises OSError if a file cannot be read, Outage if the database cannot be reached. What writes only
    warns, once: companies are run all the same.
    """

    def __init__(self, fleet: Fleet) -> None:
        self.path = fleet.folder / "state" / "history.jsonl"
        self._older = self.path.with_suffix(".1.jsonl")
        self._url = str(values.fetched(fleet.state, "state", [])) if fleet.state is not None else None
        self._connection: Any = None
        self._is_made = False
        self._journal: Journal = (
            FolderJournal(self.path.parent / ".batches")
            if self._url is None
            else PostgresJournal(self._opened, self._readable)
        )
        self._batch = ""
        self._pending: list[Result] = []
        self._has_warned = False
        self._again_at = 0.0

    def begin(self, jobs: Sequence[tuple[str, str]]) -> None:
        """Leave word of a batch of this process; add what batches that were cut off could not tell.

        Args:
            jobs: company and pipeline of each.
        """
        begun = journal.batch(jobs)
        self._batch = begun.id
        with self._warning(), self._told():
            for word in self._journal.words():
                if not word.lives:
                    with self._journal.taken(word.batch.id) as free:
                        for result in self._missing(word) if free else ():
                            self._write(result)
            self._journal.begin(begun)
            if self._url is not None:
                self._opened().execute(_FORGET, (_AT_ONCE, _DAYS))

    def beat(self) -> None:
        """Say that the batch lives."""
        if not self._rests:
            with self._warning(), self._told():
                self._journal.beat()
        self._catch_up()

    def add(self, result: Result) -> None:
        """Add a result of the batch."""
        self._pending.append(msgspec.structs.replace(result, batch=self._batch))
        self._catch_up()

    def end(self) -> None:
        """Take back the word of the batch: all its results are told."""
        self._again_at = 0.0
        self._catch_up()
        if not self._rests:
            with self._warning(), self._told():
                self._journal.end()

    @property
    def _rests(self) -> bool:
        return time.monotonic() < self._again_at

    def _catch_up(self) -> None:
        """Write what could not be written before, too."""
        if self._rests:
            return
        with self._warning(), self._told():
            while self._pending:
                self._write(self._pending[0])
                del self._pending[0]

    @contextlib.contextmanager
    def _warning(self) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        except (OSError, ApError) as error:
            self._again_at = time.monotonic() + _REST * (time.monotonic() - began)
            if not self._has_warned:
                words = f"{error.filename or self.path}: {error.strerror}." if isinstance(error, OSError) else error
                _LOG.warning("the history could not be written: %s", words)
            self._has_warned = True

    def results(self, companies: Sequence[str], most: int) -> list[Result]:
        """Return the last results, of some companies or of all."""
        wanted = set(companies)
        found = deque(self._last(companies, most), maxlen=most)
        found.extend(one for one in self._cut_off() if not wanted or one.company in wanted)
        return list(found)

    def latest(self) -> dict[tuple[str, str], Result]:
        """Return the last result of each pipeline, by company and pipeline."""
        if self._url is None:
            found = {(one.company, one.pipeline): one for one in self._lines()}
        else:
            last = (
                f"SELECT DISTINCT ON (company, pipeline) result::text FROM {TABLE} ORDER BY company, pipeline, id DESC"  # noqa: S608
            )
            found = {(one.company, one.pipeline): one for one in self._rows(last)}
        for one in self._cut_off():
            # Another batch may have done it since.
            if found.get((one.company, one.pipeline), one).began <= one.began:
                found[one.company, one.pipeline] = one
        return found

    def under_way(self) -> dict[tuple[str, str], str]:
        """Return when the batches that are under way began, by company and pipeline of what they set out to do."""
        with self._told():
            words = self._journal.words()
        return {job: word.batch.began for word in words if word.lives for job in word.batch.jobs}

    def _cut_off(self) -> list[Result]:
        """Return what batches that were cut off could not tell, and no other batch has added yet."""
        with self._told():
            words = self._journal.words()
        return [result for word in words if not word.lives for result in self._missing(word)]

    def _missing(self, word: Word) -> Iterator[Result]:
        """Yield a result for each job of a batch that was cut off before it was done."""
        id_ = word.batch.id
        if self._url is None:
            told = {(one.company, one.pipeline) for one in self._lines() if one.batch == id_}
        else:
            asked = f"SELECT result::text FROM {TABLE} WHERE result ->> 'batch' = ?"  # noqa: S608
            told = {(one.company, one.pipeline) for one in self._rows(asked, id_)}
        for company, pipeline in word.batch.jobs:
            if (company, pipeline) not in told:
                yield Result(
                    company=company,
                    pipeline=pipeline,
                    status="cut off",
                    error=_CUT_OFF.format(word.batch.began, word.seen),
                    began=word.batch.began,
                    batch=id_,
                )

    def _write(self, result: Result) -> None:
        line = msgspec.json.encode(result)
        if self._url is not None:
            self._opened().execute(
                f"INSERT INTO {TABLE} (company, pipeline, result) VALUES (%s, %s, %s)",  # noqa: S608
                (result.company, result.pipeline, line.decode()),
            )
            return
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            size = os.fstat(file).st_size
            # A full disk, or the end of the machine, may have cut the last line.
            cut = size > 0 and os.pread(file, 1, size - 1) != b"\n"
            line = b"\n" * cut + line + b"\n"
            if os.write(file, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
            os.fdatasync(file)
            if size > _MOST:
                self.path.replace(self._older)
        finally:
            os.close(file)

    def _last(self, companies: Sequence[str], most: int) -> list[Result]:
        if self._url is None:
            wanted = set(companies)
            return list(deque((one for one in self._lines() if not wanted or one.company in wanted), maxlen=most))
        chosen = "WHERE company = ANY(?) OR cardinality(?::text[]) = 0 ORDER BY id DESC LIMIT ?"
        return self._rows(f"SELECT result::text FROM {TABLE} {chosen}", list(companies), list(companies), most)[::-1]  # noqa: S608

    def _lines(self) -> Iterator[Result]:
        for path in (self._older, self.path):
            if not path.exists():
                continue
            with path.open("rb") as lines:
                for line in lines:
                    # One may have been cut.
                    with contextlib.suppress(msgspec.MsgspecError):
                        yield _DECODE(line)

    def _rows(self, query: str, *values: Any) -> list[Result]:
        with self._told():
            connection = self._readable()
            found = databases.Database(connection, is_postgresql=True).rows(query, *values) if connection else []
        return [_DECODE(text) for (text,) in found]

    def _opened(self) -> Any:
        """Return a connection; the tables are there."""
        if self._readable() is None:
            _create(self._connection)
        return self._connection

    def _readable(self) -> Any | None:
        """Return a connection, for which nothing is made; None where the tables are not there yet."""
        if self._connection is None or self._connection.closed:
            # Quick, for a batch waits for it between its companies.
            self._connection = postgresql.connect(str(self._url), "ap-fleet", is_quick=True, autocommit=True)
            self._is_made = False
        if not self._is_made:
            asked = "SELECT to_regclass(%s) IS NOT NULL"
            self._is_made = bool(self._connection.execute(asked, (journal.TABLE,)).fetchone()[0])
        return self._connection if self._is_made else None

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Say what is wrong with the database, without its password; the next time asks for another connection."""
        if self._url is None:
            yield
            return
        psycopg = databases.driver("psycopg")
        try:
            yield
        except psycopg.Error as error:
            self._connection = None
            raise Outage(f"state: {databases.trouble(error, self._url)}") from None


def _create(connection: Any) -> None:
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (TABLE,))
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS {TABLE} (id bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT now(), "
            "company text NOT NULL, pipeline text NOT NULL, result json NOT NULL)"
        )
        connection.execute(f"CREATE INDEX IF NOT EXISTS {TABLE}_last ON {TABLE} (company, pipeline, id)")
        connection.execute(journal.CREATE)
