"""A batch: pipelines of companies, so many side by side, each once; whatever happens to one, the others are run.

The batch's process has the plugins loaded, runs nothing itself, and has no threads: it forks a process for each
company's pipeline (`worker`), reads its result, and ends it if it does not end by itself.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import os
import selectors
import signal
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from ap_connectors.core import duckdb_files
from ap_connectors.fleet import children, journal, lineage, worker
from ap_connectors.fleet.history import History
from ap_connectors.fleet.members import Fleet
from ap_connectors.fleet.order import Order, jobs_of, warm
from ap_connectors.fleet.results import Result, Status
from ap_connectors.fleet.worker import Job

_MARGIN = 2 * worker.GRACE
"""Seconds beyond its time limit after which a worker is killed, which should have ended its children long before."""

OnResult = Callable[[Result], None]
Work = Callable[[Fleet, Job, float], Result]
"""What is done with a job; gets when its time is over, by `time.monotonic`."""


@dataclass(order=True)
class _Queue:
    """What is left to run of a company: one pipeline after the other."""

    ready_at: float
    number: int
    jobs: deque[Job] = field(compare=False)
    tries: int = field(default=1, compare=False)
    spent: float = field(default=0.0, compare=False)


@dataclass
class _Running:
    queue: _Queue
    pid: int
    until: float
    began: float
    at: str
    content: bytearray = field(default_factory=bytearray)
    is_late: bool = False


def run(
    fleet: Fleet,
    order: Order,
    on_result: OnResult,
    work: Work = worker.work,
    history: History | None = None,
) -> list[Result]:
    """Run a batch in this process, which must not have other threads.

    Args:
        fleet: whose companies.
        order: what to run.
        on_result: is told of each result as it comes.
        work: what is done with each job, in a process of its own.
        history: gets each result, and word of the batch meanwhile; None: what is done is not a run.

    Raises:
        Stop: nothing could begin. BrokenPipeError: `on_result` raised it; the batch was then ended as by a signal.
    """
    if threading.active_count() > 1:
        raise RuntimeError("a batch forks, so its process must not have other threads")
    jobs = jobs_of(fleet, order)
    return _Batch(fleet, order, jobs, on_result, work, history=history).run()


class _Batch:
    def __init__(
        self,
        fleet: Fleet,
        order: Order,
        jobs: Sequence[Sequence[Job]],
        on_result: OnResult,
        work: Work,
        *,
        history: History | None,
    ) -> None:
        self._fleet, self._on_result, self._work, self._history = fleet, on_result, work, history
        self._beat_at = 0.0
        self._senders: list[int] = []
        self._broken: BrokenPipeError | None = None
        self._most = order.jobs or 2 * (os.cpu_count() or 1)
        numbers = itertools.count()
        self._waiting = [_Queue(0.0, next(numbers), deque(each)) for each in jobs]
        self._running: dict[int, _Running] = {}
        self._in_use: dict[str, int] = {}
        self._missed: set[str] = set()
        """DuckDB files of an outage since which nothing was done in them: one company has waited for all."""
        self._results: list[Result] = []
        self._signal = 0
        self._is_loading = False
        self._selector = selectors.DefaultSelector()

    def run(self) -> list[Result]:
        """Run everything; return the results in the order in which they came."""
        told, tell = os.pipe()
        os.set_blocking(tell, False)
        os.set_blocking(told, False)
        before = {number: signal.signal(number, self._on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
        signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
        self._selector.register(told, selectors.EVENT_READ)
        self._files = told, tell
        try:
            self._load()
            if self._history:
                self._history.begin(
                    [(job.company.id, job.pipeline.name) for each in self._waiting for job in each.jobs]
                )
            while self._waiting or self._running:
                self._begin()
                # After a signal nothing may be left: then there is nothing to wait for.
                if self._waiting or self._running:
                    self._look()
            if self._history:
                self._history.end()
        finally:
            signal.set_wakeup_fd(-1)
            for number, handler in before.items():
                signal.signal(number, handler)
            for running in self._running.values():
                _kill(running.pid, signal.SIGKILL)
            self._selector.close()
            os.close(told)
            os.close(tell)
            for pid in self._senders:
                os.waitpid(pid, 0)
        if self._broken:
            raise self._broken
        return self._results

    def _load(self) -> None:
        """Load what the workers need; a signal ends this at once, for nothing will be run."""
        with contextlib.suppress(KeyboardInterrupt):
            try:
                self._is_loading = True
                warm(self._fleet, [job for each in self._waiting for job in each.jobs])
            finally:
                self._is_loading = False

    def _begin(self) -> None:
        """Start what may start now."""
        if self._signal:
            for queue in self._waiting:
                self._drop(queue)
            self._waiting = []
        later: list[_Queue] = []
        while self._waiting and len(self._running) < self._most and self._waiting[0].ready_at <= time.monotonic():
            queue = heapq.heappop(self._waiting)
            file = _file_of(queue.jobs[0])
            if file and file in self._in_use:
                later.append(queue)
            else:
                if file:
                    self._in_use[file] = queue.number
                self._fork(queue)
        for queue in later:
            heapq.heappush(self._waiting, queue)

    def _fork(self, queue: _Queue) -> None:
        source, sink = os.pipe()
        job, until = queue.jobs[0], time.monotonic() + self._fleet.time_limit
        others = [source, *self._running, *self._files]

        def work() -> int:
            for file in others:
                os.close(file)
            os.setpgid(0, 0)
            if _file_of(job) in self._missed:
                os.environ[duckdb_files.VARIABLE] = "0"
            result = self._work(self._fleet, job, until)
            with os.fdopen(sink, "wb") as out:
                out.write(msgspec.json.encode(result))
            return 0

        pid = children.fork(work)
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)
        os.close(sink)
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self._running[source] = _Running(queue, pid, until + _MARGIN, time.monotonic(), at)
        self._selector.register(source, selectors.EVENT_READ)
        if self._signal:
            # It came meanwhile, when this one was not among those that are told.
            _send(pid, signal.SIGTERM)

    def _look(self) -> None:
        """Wait for something to happen, and see to it."""
        now = time.monotonic()
        times = [running.until for running in self._running.values()]
        if self._waiting and len(self._running) < self._most and self._waiting[0].ready_at > now:
            times.append(self._waiting[0].ready_at)
        if self._history:
            if now >= self._beat_at:
                self._history.beat()
                self._beat_at = time.monotonic() + journal.EVERY
            times.append(self._beat_at)
        for key, _ in self._selector.select(max(0.0, min(times) - now) if times else None):
            if key.fd not in self._running:
                with contextlib.suppress(BlockingIOError):
                    os.read(key.fd, 4096)
                continue
            content = os.read(key.fd, 65536)
            self._running[key.fd].content += content
            if not content:
                self._end(key.fd)
        for running in self._running.values():
            if time.monotonic() >= running.until:
                _kill(running.pid, signal.SIGKILL)
                running.is_late = running.is_late or not self._signal
                running.until += worker.GRACE

    def _end(self, file: int) -> None:
        self._selector.unregister(file)
        os.close(file)
        running = self._running.pop(file)
        _, status = os.waitpid(running.pid, 0)
        queue = running.queue
        job = queue.jobs[0]
        try:
            result = msgspec.json.decode(bytes(running.content), type=Result)
        except msgspec.MsgspecError:
            # Its children are told to end, too, if the system has not done so.
            _kill(running.pid, signal.SIGTERM)
            result = self._lost(running, job, status)
        self._in_use = {name: number for name, number in self._in_use.items() if number != queue.number}
        if written := _file_of(job):
            if result.is_done:
                self._missed.discard(written)
            elif result.status == "outage":
                self._missed.add(written)
        queue.spent += result.seconds
        if result.status == "outage" and queue.tries <= self._fleet.retries and not self._signal:
            queue.ready_at = time.monotonic() + self._fleet.retry_pause * 2 ** (queue.tries - 1)
            queue.tries += 1
            queue.jobs[0] = replace(job, run_id=str(uuid.uuid4()))
            heapq.heappush(self._waiting, queue)
            return
        self._tell(msgspec.structs.replace(result, tries=queue.tries, seconds=round(queue.spent, 3)))
        queue.jobs.popleft()
        queue.tries, queue.spent, queue.ready_at = 1, 0.0, 0.0
        if queue.jobs:
            heapq.heappush(self._waiting, queue)

    def _lost(self, running: _Running, job: Job, code: int) -> Result:
        """Return the result of a worker that could not tell its own, and tell OpenLineage in its place."""
        how = _how(code)
        status: Status = "late" if running.is_late else "ended" if self._signal else "outage"
        why = {
            "late": f"it did not end within {self._fleet.time_limit} s (time_limit), and was killed",
            "ended": f"the batch was ended, and its process killed ({how})",
        }.get(status, f"its process ended unexpectedly ({how}{', as when memory runs out' * (how == 'SIGKILL')})")
        log = worker.log_of(self._fleet, job)
        result = Result(
            company=job.company.id,
            pipeline=job.pipeline.name,
            status=status,
            seconds=round(time.monotonic() - running.began, 3),
            error=f"{why}; the next run goes on.",
            began=running.at,
            log=str(log) if log.exists() else None,
            run_id=job.run_id,
        )
        if self._history:

            def send() -> int:
                lineage.ended(self._fleet, result, job.pipeline)
                return 0

            # Not in this process: an address that does not answer would hold up everything.
            self._senders.append(children.fork(send))
        return result

    def _drop(self, queue: _Queue) -> None:
        for job in queue.jobs:
            error = "the batch was ended before it began."
            self._tell(
                Result(
                    company=job.company.id, pipeline=job.pipeline.name, status="ended", error=error, run_id=job.run_id
                )
            )

    def _tell(self, result: Result) -> None:
        self._results.append(result)
        if self._history:
            self._history.add(result)
        if self._broken:
            return
        try:
            self._on_result(result)
        except BrokenPipeError as error:
            self._broken = error
            self._on_signal(signal.SIGPIPE, None)

    def _on_signal(self, number: int, _: Any) -> None:
        """Ask the workers to end; the second time, have them killed."""
        for running in self._running.values():
            _kill(running.pid, signal.SIGKILL) if self._signal else _send(running.pid, signal.SIGTERM)
            running.until = min(running.until, time.monotonic() + _MARGIN)
        self._signal = self._signal or number
        if self._is_loading:
            raise KeyboardInterrupt


def _file_of(job: Job) -> str | None:
    """Return the DuckDB file that a job writes, for there can be one writer only."""
    return job.company.duckdb_file if job.pipeline.to_warehouse else None


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _kill(pid: int, number: signal.Signals) -> None:
    """Send a signal to a worker and its children."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _how(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return signal.Signals(-code).name if code < 0 else f"status {code}"
