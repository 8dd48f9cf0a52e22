"""Acts on events: plans runs by the rules, starts them when they are due, and repeats those that fail."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from ap_connectors.core import instants, validate
from ap_connectors.core.errors import Outage, Stop
from ap_connectors.webhooks.inbox import Inbox
from ap_connectors.webhooks.processes import Child, end, lives
from ap_connectors.webhooks.rules import Rule
from ap_connectors.webhooks.runs import RUNNING, WAITING, Run, Runs, Told, now_ms
from ap_connectors.webhooks.settings import PREFIX, Running

# Who acts: of all receivers of one inbox, one at a time starts runs.
# What a run's command is told, in its environment.

_ACTING = 7_065_708
"""The advisory lock of PostgreSQL that the one who acts holds."""


class Lease:
    """The right to act; it ends with the process, however that ends."""

    def __init__(self, inbox: Inbox) -> None:
        self._engine = inbox.engine
        self._file: int | None = None
        self._connection: sa.Connection | None = None

    def hold(self) -> bool:
        """Take it, or see that we still have it; False if somebody else does.

        Raises:
            Outage: the database cannot be asked.
            OSError: the lock file cannot be made.
        """
        if self._engine.dialect.name == "postgresql":
            return self._hold_connection()
        return self._hold_file()

    def drop(self) -> None:
        """Leave it to others."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if self._connection is not None:
            # The lock belongs to the session, which a pool would keep.
            self._connection.invalidate()
            self._connection.close()
            self._connection = None

    def _hold_file(self) -> bool:
        if self._file is not None:
            return True
        database = Path(str(self._engine.url.database))
        descriptor = os.open(database.with_name(f".{database.name}.acting"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._file = descriptor
        return True

    def _hold_connection(self) -> bool:
        try:
            if self._connection is not None:
                self._connection.execute(sa.text("SELECT 1"))
                return True
            # No transaction stays open for as long as we act.
            connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT", reads=True)
            if connection.execute(sa.select(sa.func.pg_try_advisory_lock(_ACTING))).scalar_one():
                self._connection = connection
                return True
            connection.close()
        except sa.exc.SQLAlchemyError as error:
            self.drop()
            raise Outage(
                f"The database of the inbox cannot be asked: {getattr(error, 'orig', None) or error}"
            ) from error
        return False


_LONGEST = 100_000
"""Characters that fit into a variable."""


def environment(rule: Rule, run: Run, events: Sequence[Told]) -> dict[str, str]:
    """What a command is given: our own environment without the receiver's secrets, and what the run is about."""
    found = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    found.pop("TARGET_VICAI_REQUEST_ID", None)
    # A service has no PATH of an activated environment, and `meltano` is beside us.
    found["PATH"] = os.pathsep.join(part for part in (found.get("PATH"), str(Path(sys.executable).parent)) if part)
    ids = ",".join(str(event.id) for event in events)
    about: Mapping[str, str] = {
        "RUN_ID": str(run.id),
        "ATTEMPT": str(run.attempts),
        "EVENT_IDS": ids if len(ids) <= _LONGEST else "",
        "EVENT_COUNT": str(len(events)),
        "KINDS": ",".join(sorted({f"{event.service}.{event.kind}" for event in events}))[:_LONGEST],
        "COMPANIES": ",".join(sorted({event.company for event in events if event.company}))[:_LONGEST],
        "REQUEST_ID": run.request_id or "",
    }
    found |= {PREFIX + name: value.replace("\0", "") for name, value in about.items()} | dict(rule.env)
    if run.request_id:
        try:
            found["TARGET_VICAI_REQUEST_ID"] = validate.uuid("requestId", run.request_id)
        except Stop:
            _LOG.warning("Run %d: its request id is no UUID, so target-vicai cannot send it: left out.", run.id)
    return found


_LOG = logging.getLogger("ap_connectors.webhooks.runner")
_IDLE, _BUSY, _TROUBLE = 1.0, 0.1, 5.0
_GATHER = 0.1
"""Seconds between two plannings, for each is a transaction of its own."""
_HARD = 10.0
"""Seconds between asking a run to end and ending it."""

Outcome = Callable[[str, str], None]


@dataclass
class _Under:
    """A run under way; `child` is None where it was started by a process that is gone."""

    run: Run
    rule: Rule | None
    child: Child | None
    ending: float | None = None

    @property
    def pid(self) -> int:
        """Of its process; a group of its own."""
        pid = self.child.pid if self.child else self.run.pid
        assert pid is not None  # noqa: S101 - nothing else is under way
        return pid


class Runner:
    """One thread that does it all.

    Args:
        inbox: where events and runs are.
        rules: what is done.
        running: how.
        outcome: told the rule and how a run ended (done, failed, repeated), for the metrics.
    """

    def __init__(self, inbox: Inbox, rules: Sequence[Rule], running: Running, outcome: Outcome) -> None:
        self._inbox = inbox
        self.runs = Runs(inbox)
        self._rules = {rule.name: rule for rule in rules}
        self._running = running
        self._outcome = outcome
        self._lease = Lease(inbox)
        self._acting = False
        self._under: dict[int, _Under] = {}
        self._strangers: set[str] = set()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="runner", daemon=True)
        try:
            running.logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise Stop(f"runs_dir: {running.logs} cannot be made: {error.strerror}.") from None

    def start(self) -> None:
        """Begin to act."""
        self._thread.start()

    def wake(self, _ids: Sequence[int] = ()) -> None:
        """Say that there is something new; called from any thread."""
        self._wake.set()

    def stop(self) -> None:
        """Start nothing more; let what runs come to its end for a while, or else leave it to be repeated."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(self._running.stop_seconds + _HARD + 5)
        self._lease.drop()

    # The thread

    def _work(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(self._pause())
            self._wake.clear()
            self._safely(self._turn)
            self._stopping.wait(_GATHER)
        self._safely(self._finish)

    def _safely(self, step: Callable[[], None]) -> None:
        try:
            step()
        except (Outage, OSError, sa.exc.SQLAlchemyError) as error:
            _LOG.error("Acting on events has to wait: %s", error)
        except Exception:
            _LOG.exception("Acting on events failed; it is tried again.")
        else:
            return
        # What the database knows of runs may differ from what we know now.
        self._acting = False
        self._stopping.wait(_TROUBLE)

    def _pause(self) -> float:
        if self._under:
            return _BUSY
        try:
            at = self.runs.next_time(self._rules) if self._acting else None
        except Outage:
            return _IDLE
        return _IDLE if at is None else min(_IDLE, max(0.0, (at - now_ms()) / 1000))

    def _turn(self) -> None:
        """Plan, look after what runs, start what is due."""
        if not self._acting:
            self._acting = self._lease.hold()
            if not self._acting:
                return
            self._take_over()
        elif not self._lease.hold():
            self._acting = False
            _LOG.error("Another receiver of this inbox acts now; we only receive.")
            return
        self._look_after()
        while self.runs.plan(list(self._rules.values()), self._running.first_pause):
            pass
        for run in self.runs.due(self._rules):
            if len(self._under) >= self._running.at_once or self._stopping.is_set():
                break
            self._start(run)

    def _take_over(self) -> None:
        """See to the runs of a process that is gone: those whose own process lives are waited for."""
        self.runs.create()
        for run in self.runs.of_status(RUNNING):
            if run.id in self._under:
                continue
            if run.pid is not None and lives(run.pid, run.born or ""):
                _LOG.info("Run %d of %s goes on without us; it is repeated when it ends.", run.id, run.job)
                self._under[run.id] = _Under(run, self._rules.get(run.job), None)
            else:
                self._repeat(run, "it was cut short, and is repeated")
        for run in self.runs.of_status(WAITING):
            self._rule(run)

    def _rule(self, run: Run) -> Rule | None:
        rule = self._rules.get(run.job)
        if rule is None and run.job not in self._strangers:
            self._strangers.add(run.job)
            _LOG.error("Run %d waits for a rule called %r, and there is none: name one so.", run.id, run.job)
        return rule

    # Starting

    def _start(self, run: Run) -> None:
        rule = self._rule(run)
        if rule is None or any(one.run.job == run.job or self._shares(one, rule) for one in self._under.values()):
            return
        begun = self.runs.begin(run)
        if begun is None:
            return
        log = self._running.logs / f"{run.id:08d}-{begun.attempts}-{os.getpid()}.log"
        try:
            child = Child(rule.command, rule.cwd, environment(rule, begun, self.runs.told(begun)), log)
        except OSError as error:
            self._failed(_Under(begun, rule, None), None, f"cannot be started: {error.strerror} ({rule.cwd})")
            return
        try:
            self.runs.note_process(begun, child.pid, child.born, str(log))
        except BaseException:
            child.drop()
            self.runs.put_back(begun, "it could not begin", pause=_TROUBLE)
            raise
        self._under[run.id] = _Under(begun, rule, child)
        child.go()
        _LOG.info("Run %d of %s begins, try %d; its output is in %s", run.id, run.job, begun.attempts, log)
        self._tidy()

    def _shares(self, one: _Under, rule: Rule) -> bool:
        return one.rule is not None and one.rule.lock == rule.lock

    def _tidy(self) -> None:
        under = {f"{run_id:08d}" for run_id in self._under}
        for path in sorted(self._running.logs.glob("[0-9]*-*.log"))[: -self._running.keep]:
            if path.name.partition("-")[0] not in under:
                with suppress(OSError):
                    path.unlink()

    # Ending

    def _look_after(self) -> None:
        for one in list(self._under.values()):
            status = one.child.status() if one.child else None
            if one.child is None and not lives(one.run.pid or 0, one.run.born or ""):
                self._repeat(one.run, "its end was not seen, so it is repeated")
                del self._under[one.run.id]
            elif status is not None:
                self._ended(one, status)
                del self._under[one.run.id]
            else:
                self._limit(one)

    def _limit(self, one: _Under) -> None:
        """End what takes too long: ask first, then do it."""
        now = time.monotonic()
        began = instants.milliseconds(one.run.started_at or instants.text(now_ms()))
        if one.ending is not None:
            if now > one.ending:
                end(one.pid, signal.SIGKILL)
        elif one.rule and one.rule.timeout is not None and now_ms() - began > one.rule.timeout * 1000:
            _LOG.warning("Run %d of %s takes longer than %g s and is ended.", one.run.id, one.run.job, one.rule.timeout)
            self._ask_to_end(one)

    def _ask_to_end(self, one: _Under) -> None:
        one.ending = time.monotonic() + _HARD
        end(one.pid, signal.SIGTERM)

    def _ended(self, one: _Under, status: int) -> None:
        if status == 0 and one.ending is None:
            self.runs.done(one.run)
            self._outcome(one.run.job, "done")
            _LOG.info("Run %d of %s is done.", one.run.id, one.run.job)
        elif self._stopping.is_set():
            # We, or whoever ended us, asked it to end.
            self._repeat(one.run, "the receiver was ended meanwhile; it is repeated")
        elif one.ending is not None:
            self._failed(one, status, "took longer than its timeout")
        else:
            self._failed(one, status, f"was ended by signal {-status}" if status < 0 else f"ended with status {status}")

    def _failed(self, one: _Under, status: int | None, note: str) -> None:
        run, retries = one.run, one.rule.retries if one.rule else 0
        again = None
        if run.attempts <= retries:
            again = min(self._running.longest_pause, self._running.first_pause * 2.0 ** (run.attempts - 1))
        self.runs.failed(run, status, note, again)
        self._outcome(run.job, "failed" if again is None else "repeated")
        said = f"Run {run.id} of {run.job} {note}, try {run.attempts} of {retries + 1}"
        if again is None:
            _LOG.error("%s. It is not repeated by itself: see its output, then `ap-webhooks retry %d`.", said, run.id)
        else:
            _LOG.warning("%s; the next one is in %g s.", said, again)

    def _repeat(self, run: Run, note: str) -> None:
        self.runs.put_back(run, note)
        self._outcome(run.job, "repeated")
        _LOG.warning("Run %d of %s: %s.", run.id, run.job, note)

    def _finish(self) -> None:
        self._wait(self._running.stop_seconds)
        for one in self._mine():
            self._ask_to_end(one)
        self._wait(_HARD + 1)

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while self._mine() and time.monotonic() < until:
            self._look_after()
            time.sleep(_BUSY)

    def _mine(self) -> list[_Under]:
        return [one for one in self._under.values() if one.child]
