"""Acts on stored events: plans runs by the rules, starts them when they are due, and retries those that fail."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from ap_connectors.core import instants, validate
from ap_connectors.core.errors import Outage, Stop
from ap_connectors.webhooks.database import RunnerLock, now_ms
from ap_connectors.webhooks.fetching import Fetching
from ap_connectors.webhooks.inbox import EventSummary, Inbox
from ap_connectors.webhooks.processes import Child, is_running, send_signal
from ap_connectors.webhooks.rules import Rule, search_path, shown
from ap_connectors.webhooks.runs import RUNNING, WAITING, Run, Runs
from ap_connectors.webhooks.settings import PREFIX, Settings

_LOG = logging.getLogger("ap_connectors.webhooks.runner")
_IDLE_SECONDS, _BUSY_SECONDS, _ERROR_SECONDS = 1.0, 0.1, 5.0
_GATHER_SECONDS = 0.1
"""Pause between two plannings, because each takes a transaction."""
_KILL_SECONDS = 10.0
"""Time between SIGTERM and SIGKILL."""
_LONGEST_VARIABLE = 100_000
"""Bytes that fit into an environment variable."""
_NOT_HANDED_ON = ("PGPASSWORD", "TARGET_VICAI_REQUEST_ID")
"""The password of the inbox; and the id of the request that started us, if a run did."""


@dataclass
class _ActiveRun:
    """A run with a process; `child` is None if a previous receiver started it, `rule` if it is not configured now.

    Its process begins when `documents`, if there are, have been fetched.
    """

    run: Run
    rule: Rule | None
    child: Child | None
    documents: Fetching | None = None
    kill_at: float | None = None

    @property
    def pid(self) -> int:
        """The pid, which is also the id of its process group."""
        pid = self.child.pid if self.child else self.run.pid
        assert pid is not None  # noqa: S101 - active runs have a process
        return pid


class Runner:
    """Starts runs in a thread of its own.

    Args:
        inbox: where events and runs are stored.
        settings: which commands to run, and how.
        report: called with the rule's name and the outcome of each try (done, failed, repeated), for the metrics.
    """

    def __init__(self, inbox: Inbox, settings: Settings, report: Callable[[str, str], None]) -> None:
        self.runs = Runs(inbox.database)
        self._inbox = inbox
        self._rules = {rule.name: rule for rule in settings.rules}
        self._settings = settings
        self._report = report
        self._lock = RunnerLock(inbox.database)
        self._is_active = False
        self._active: dict[int, _ActiveRun] = {}
        self._unknown_rules: set[str] = set()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="runner", daemon=True)
        try:
            settings.runs_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise Stop(f"runs_dir: {settings.runs_dir} cannot be created: {error.strerror}.") from None

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self, _ids: Sequence[int] = ()) -> None:
        """Report new events. Thread-safe."""
        self._wake.set()

    def stop(self) -> None:
        """Start no more runs; let active ones finish for `stop_seconds`, then end them, to be repeated later."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(self._settings.stop_seconds + _KILL_SECONDS + 5)
        self._lock.release()

    # The thread

    def _work(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(self._pause())
            self._wake.clear()
            self._guarded(self._step)
            self._stopping.wait(_GATHER_SECONDS)
        self._guarded(self._finish)

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except (Outage, OSError) as error:
            _LOG.error("Runs have to wait: %s", error)
        except Exception:
            _LOG.exception("Runs have to wait after an unexpected error.")
        else:
            return
        # The database and our view of the runs may differ now; `_take_over` reads them again.
        self._is_active = False
        self._stopping.wait(_ERROR_SECONDS)

    def _pause(self) -> float:
        if self._active:
            return _BUSY_SECONDS
        try:
            due = self.runs.next_due(self._rules) if self._is_active else None
        except Outage:
            return _IDLE_SECONDS
        return _IDLE_SECONDS if due is None else min(_IDLE_SECONDS, max(0.0, (due - now_ms()) / 1000))

    def _step(self) -> None:
        """Plan new events, check active runs, start due ones."""
        if not self._is_active:
            self._is_active = self._lock.acquire()
            if not self._is_active:
                return
            self._take_over()
        elif not self._lock.acquire():
            self._is_active = False
            _LOG.error("Another receiver of this inbox starts the runs now; this one only receives.")
            return
        self._check_active()
        while self.runs.plan(list(self._rules.values()), self._settings.first_pause):
            pass
        for run in self.runs.due(self._rules):
            if len(self._active) >= self._settings.runs_at_once or self._stopping.is_set():
                break
            self._start(run)

    def _take_over(self) -> None:
        """Adopt the runs of a previous receiver: wait for those whose process still runs, requeue the others."""
        for run in self.runs.of_status(RUNNING):
            if run.id in self._active:
                continue
            if run.pid is not None and is_running(run.pid, run.born or ""):
                _LOG.info(
                    "Run %d of %s is still running from a previous process; it will be retried when it exits.",
                    run.id,
                    self._shown(run),
                )
                self._active[run.id] = _ActiveRun(run, self._rules.get(run.job), None)
            else:
                self._requeue(run, "was interrupted; it will be retried")
        for run in self.runs.of_status(WAITING):
            self._rule(run)

    def _rule(self, run: Run) -> Rule | None:
        rule = self._rules.get(run.job)
        if rule is None and run.job not in self._unknown_rules:
            self._unknown_rules.add(run.job)
            _LOG.error(
                "Run %d waits for the rule %r, which is not configured: add it, or give a rule this name.",
                run.id,
                self._shown(run),
            )
        return rule

    def _shown(self, run: Run) -> str:
        return shown(run.job, self._settings.rules)

    # Starting

    def _start(self, run: Run) -> None:
        rule = self._rule(run)
        if rule is None or any(one.run.job == run.job or _share_lock(one.rule, rule) for one in self._active.values()):
            return
        started = self.runs.start(run)
        if started is None:
            return
        if not rule.documents:
            self._launch(started, rule)
            return
        self._active[run.id] = _ActiveRun(started, rule, None, Fetching(self._settings, self._inbox, run.id))

    def _launch(self, started: Run, rule: Rule) -> None:
        log = self._settings.runs_dir / f"{started.id:08d}-{started.attempts}-{os.getpid()}.log"
        try:
            child = Child(rule.command, rule.cwd, environment(rule, started, self.runs.events_of(started)), log)
        except OSError as error:
            self._fail(_ActiveRun(started, rule, None), None, f"cannot be started: {error.strerror} ({rule.cwd})")
            return
        try:
            self.runs.record_process(started, child.pid, child.born, str(log))
        except BaseException:
            child.cancel()
            self.runs.requeue(started, "its process could not be recorded", pause=_ERROR_SECONDS)
            raise
        self._active[started.id] = _ActiveRun(started, rule, child)
        child.start()
        _LOG.info("Run %d of %s starts, try %d; its output is in %s", started.id, rule.shown, started.attempts, log)
        self._delete_old_logs()

    def _delete_old_logs(self) -> None:
        active = {f"{run_id:08d}" for run_id in self._active}
        for path in sorted(self._settings.runs_dir.glob("[0-9]*-*.log"))[: -self._settings.keep_logs]:
            if path.name.partition("-")[0] not in active:
                with suppress(OSError):
                    path.unlink()

    # Ending

    def _check_active(self) -> None:
        for one in list(self._active.values()):
            status = one.child.exit_status() if one.child else None
            if one.documents is not None and one.rule is not None:
                self._check_documents(one, one.documents, one.rule)
            elif one.child is None and not is_running(one.run.pid or 0, one.run.born or ""):
                self._requeue(one.run, "has ended with unknown status; it will be retried")
                del self._active[one.run.id]
            elif status is not None:
                self._ended(one, status)
                del self._active[one.run.id]
            else:
                self._check_timeout(one)

    def _check_documents(self, one: _ActiveRun, documents: Fetching, rule: Rule) -> None:
        """Begin a run whose documents have been fetched."""
        if documents.is_alive():
            return
        del self._active[one.run.id]
        if documents.error is None:
            self._launch(one.run, rule)
        else:
            self._fail(one, None, f"has no documents: {documents.error}")

    def _check_timeout(self, one: _ActiveRun) -> None:
        """End a run that takes too long: SIGTERM first, then SIGKILL."""
        started = instants.milliseconds(one.run.started_at) if one.run.started_at else now_ms()
        if one.kill_at is not None:
            if time.monotonic() > one.kill_at:
                send_signal(one.pid, signal.SIGKILL)
        elif one.rule and one.rule.timeout is not None and now_ms() - started > one.rule.timeout * 1000:
            _LOG.warning("Run %d of %s exceeds its timeout of %g s.", one.run.id, one.rule.shown, one.rule.timeout)
            self._terminate(one)

    def _terminate(self, one: _ActiveRun) -> None:
        one.kill_at = time.monotonic() + _KILL_SECONDS
        send_signal(one.pid, signal.SIGTERM)

    def _ended(self, one: _ActiveRun, status: int) -> None:
        if status == 0 and one.kill_at is None:
            self.runs.done(one.run)
            self._report(self._shown(one.run), "done")
            _LOG.info("Run %d of %s is done.", one.run.id, self._shown(one.run))
        elif self._stopping.is_set():
            # Ended by us, or by what ended us.
            self._requeue(one.run, "was ended with the receiver; it will be retried")
        elif one.kill_at is not None:
            self._fail(one, status, "exceeded its timeout")
        else:
            self._fail(one, status, f"was ended by signal {-status}" if status < 0 else f"ended with status {status}")

    def _fail(self, one: _ActiveRun, status: int | None, note: str) -> None:
        run, retries = one.run, one.rule.retries if one.rule else 0
        pause = None
        if run.attempts <= retries:
            pause = min(self._settings.longest_pause, self._settings.first_pause * 2.0 ** (run.attempts - 1))
        self.runs.failed(run, status, note, pause)
        self._report(self._shown(run), "failed" if pause is None else "repeated")
        message = f"Run {run.id} of {self._shown(run)} {note}, try {run.attempts} of {retries + 1}"
        if pause is None:
            _LOG.error("%s. It will not be retried: see its output, then run `ap-webhooks retry %d`.", message, run.id)
        else:
            _LOG.warning("%s; the next try is in %g s.", message, pause)

    def _requeue(self, run: Run, note: str) -> None:
        self.runs.requeue(run, note)
        self._report(self._shown(run), "repeated")
        _LOG.warning("Run %d of %s %s.", run.id, self._shown(run), note)

    def _finish(self) -> None:
        self._wait(self._settings.stop_seconds)
        for one in self._own():
            self._terminate(one)
        self._wait(_KILL_SECONDS + 1)

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while self._own() and time.monotonic() < until:
            self._check_active()
            time.sleep(_BUSY_SECONDS)

    def _own(self) -> list[_ActiveRun]:
        """Return the active runs that this process started."""
        return [one for one in self._active.values() if one.child]


def _share_lock(one: Rule | None, other: Rule) -> bool:
    return one is not None and one.lock == other.lock


def environment(rule: Rule, run: Run, events: Sequence[EventSummary]) -> dict[str, str]:
    """Return the environment of a command: ours without the receiver's settings, and what the run is about."""
    found = {name: value for name, value in os.environ.items() if not name.startswith((PREFIX, *_NOT_HANDED_ON))}
    found["PATH"] = search_path(found.get("PATH"))
    about: Mapping[str, str] = {
        "RUN_ID": str(run.id),
        "ATTEMPT": str(run.attempts),
        "EVENT_IDS": _listed(str(event.id) for event in events),
        "EVENT_COUNT": str(len(events)),
        "KINDS": _listed(sorted({event.name for event in events})),
        "COMPANIES": _listed(sorted({event.company for event in events if event.company})),
        "REQUEST_ID": _listed([run.request_id or ""]),
    }
    found |= {PREFIX + name: value for name, value in about.items()}
    found |= rule.variables
    if run.request_id:
        try:
            found["TARGET_VICAI_REQUEST_ID"] = validate.uuid("requestId", run.request_id)
        except Stop:
            _LOG.warning("Run %d: its request id is not a UUID, so target-vicai cannot send it.", run.id)
    return found


def _listed(texts: Iterable[str]) -> str:
    """Return texts as a variable holds them: all of them, or nothing, for a part would pass for all."""
    found = ",".join(texts).replace("\0", "")
    return found if len(found.encode(errors="surrogateescape")) <= _LONGEST_VARIABLE else ""
