"""A pool of threads for many records: the changes of one object in their order, parents before children."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field

from ap_connectors.core.errors import ApError, Outage, Reject
from ap_connectors.http import shutdown

Parent = Hashable
"""What a child waits for: the stream that loads it, and its natural key."""

_POLL_SECONDS = 0.2


class Missing(Reject):
    """Let this record wait: something that it refers to is not there yet, but may still come in this run.

    Args:
        message: why the record is set aside if it never comes.
        parents: what is missing.
        references: the same for programs: the kind and the natural key of each.
    """

    def __init__(self, message: str, parents: Iterable[Parent], references: Iterable[Mapping[str, str]] = ()) -> None:
        super().__init__(message, "unknown_reference", references=list(references))
        self.parents = frozenset(parents)


@dataclass
class Job:
    """The work of one record.

    Args:
        order_key: the object that it is about; jobs of one key run one after another, in the order in which they came.
            It equals the Parent that its jobs provide, so `is_busy` tells whether a parent may still come.
        run: does the work, and returns whether what it `provides` exists now. Raises Missing (it runs again when a
            parent comes) or an Outage; it handles everything else that can happen to a record.
        on_unresolved: called instead, if a parent never came.
        abandoned: called if an outage or the end of the run kept the job from running.
        provides: what others may wait for, and exists when the job is done.
        size: roughly, the bytes that it holds in memory.
    """

    order_key: Hashable
    run: Callable[[], bool]
    on_unresolved: Callable[[Missing], None]
    abandoned: Callable[[], None]
    provides: Parent | None = None
    size: int = 0
    tried_again: bool = False


@dataclass
class _KeyQueue:
    jobs: deque[Job] = field(default_factory=deque)
    waits_for: Missing | None = None


class KeyedWorkerPool:
    """Threads that run jobs, one at a time for each order key.

    Args:
        workers: jobs that run at once, at most; threads are started as jobs come.
        check: called again and again while a method waits; may raise what ends the waiting (a signal).
        most_bytes: memory that waiting jobs may hold together; `submit` waits while they hold more.
    """

    def __init__(self, workers: int, check: Callable[[], None], most_bytes: int = 64 * 1024 * 1024) -> None:
        self._check = check
        # What waits long is compared with a copy that is old by then.
        self._most_jobs, self._most_bytes = min(4 * workers, workers + 32) + 16, most_bytes
        self._lock = threading.Lock()
        # One wakes the workers, the other the thread that submits.
        self._work_came, self._room = threading.Condition(self._lock), threading.Condition(self._lock)
        self._queues: dict[Hashable, _KeyQueue] = {}
        self._ready: deque[Hashable] = deque()
        self._parked: dict[Parent, set[Hashable]] = {}
        self._came: set[Parent] = set()
        # What jobs of others ended while a job ran, by its key: it may have looked before.
        self._ended: dict[Hashable, set[Parent]] = {}
        # Jobs that wait for a parent do not count: what they wait for has yet to be submitted.
        self._jobs = self._bytes = self._running = 0
        self._failure: BaseException | None = None
        self._closed = False
        self._workers, self._threads, self._idle = workers, 0, 0

    def is_busy(self, order_key: Hashable) -> bool:
        """Whether jobs of a key are still to be done."""
        return order_key in self._queues

    def has_come(self, parent: Parent) -> bool:
        """Whether a job of this run has provided a parent."""
        return parent in self._came

    def submit(self, job: Job) -> None:
        """Add a job; wait while too many wait already.

        Raises:
            ApError: what ended the pool (an outage); the job is abandoned.
        """
        with self._lock:
            while self._failure is None and self._is_full(job):
                self._room.wait(_POLL_SECONDS)
                self._check()
            if self._failure is None:
                self._add(job)
                return
        job.abandoned()
        raise self._failure

    def wait(self) -> None:
        """Wait until only jobs that wait for parents are left.

        Raises:
            ApError: what ended the pool.
        """
        with self._lock:
            while self._failure is None and (self._ready or self._running):
                self._room.wait(_POLL_SECONDS)
                self._check()
            if self._failure is not None:
                raise self._failure

    def finish(self) -> None:
        """Finish all jobs; give up those that wait for parents that never came.

        Raises:
            ApError: what ended the pool.
        """
        self.wait()
        while self._queues:
            for job, missing in self._orphans():
                job.on_unresolved(missing)
            self.wait()

    def close(self, patience: float) -> None:
        """Start no new job, wait for those that run, and abandon the rest.

        Args:
            patience: seconds before pauses between tries are cut short.
        """
        deadline = time.monotonic() + patience
        with self._lock:
            self._closed = True
            self._work_came.notify_all()
            while self._running:
                self._room.wait(_POLL_SECONDS)
                if time.monotonic() > deadline:
                    shutdown.request()
            jobs = [job for queue in self._queues.values() for job in queue.jobs]
            self._queues.clear()
            self._ready.clear()
        for job in jobs:
            job.abandoned()

    def _add(self, job: Job) -> None:
        queue = self._queues.get(job.order_key)
        if queue is None:
            queue = self._queues[job.order_key] = _KeyQueue()
            self._make_ready(job.order_key)
        queue.jobs.append(job)
        if queue.waits_for is None:
            self._jobs += 1
            self._bytes += job.size

    def _make_ready(self, key: Hashable) -> None:
        self._ready.append(key)
        if len(self._ready) > self._idle and self._threads < self._workers:
            self._threads += 1
            threading.Thread(target=self._work, name=f"worker-{self._threads}", daemon=True).start()
        self._work_came.notify()

    def _is_full(self, job: Job) -> bool:
        return self._jobs >= self._most_jobs or (self._jobs > 0 and self._bytes + job.size > self._most_bytes)

    def _orphans(self) -> list[tuple[Job, Missing]]:
        """Take the first job off every queue that waits in vain; what is behind it, or waits for it, may run."""
        with self._lock:
            waiting = {key: queue for key, queue in self._queues.items() if queue.waits_for is not None}
            # A queue that waits for a waiting queue gets another chance when that one is given up.
            hopeless = [key for key, queue in waiting.items() if not _parents(queue) & waiting.keys() - {key}]
            orphans = []
            for key in hopeless or list(waiting):
                queue = waiting[key]
                if (missing := queue.waits_for) is None:
                    continue
                job = queue.jobs[0]
                self._release(key, queue, ready=False)
                orphans.append((job, missing))
                self._done(key, queue, job, provided=False)
        return orphans

    # In the threads

    def _work(self) -> None:
        while True:
            with self._lock:
                while not self._ready and not self._over:
                    self._idle += 1
                    self._work_came.wait()
                    self._idle -= 1
                if self._over:
                    return
                key = self._ready.popleft()
                queue = self._queues[key]
                job = queue.jobs[0]
                self._running += 1
                self._ended[key] = set()
            provided, missing, failure = False, None, None
            try:
                provided = job.run()
            except Missing as error:
                missing = error
            except BaseException as error:
                failure = error
            with self._lock:
                self._running -= 1
                ended = self._ended.pop(key)
                if failure is not None:
                    self._fail(failure)
                elif missing is not None:
                    self._park(key, queue, job, missing, ended)
                else:
                    self._done(key, queue, job, provided)
                self._room.notify()

    @property
    def _over(self) -> bool:
        return self._closed or self._failure is not None

    def _fail(self, failure: BaseException) -> None:
        # A bug explains more than the outage that another thread met meanwhile.
        if self._failure is None or (isinstance(self._failure, Outage) and not isinstance(failure, ApError)):
            self._failure = failure
        self._work_came.notify_all()

    def _park(self, key: Hashable, queue: _KeyQueue, job: Job, missing: Missing, ended: set[Parent]) -> None:
        if ended & missing.parents or (not job.tried_again and self._came & missing.parents):
            # It came, or its last job ended, after this one had looked: nothing would wake it.
            job.tried_again = True
            self._make_ready(key)
            return
        queue.waits_for = missing
        self._jobs -= len(queue.jobs)
        self._bytes -= sum(job.size for job in queue.jobs)
        for parent in missing.parents:
            self._parked.setdefault(parent, set()).add(key)

    def _release(self, key: Hashable, queue: _KeyQueue, *, ready: bool = True) -> None:
        for parent in _parents(queue):
            self._parked.get(parent, set()).discard(key)
        queue.waits_for = None
        self._jobs += len(queue.jobs)
        self._bytes += sum(job.size for job in queue.jobs)
        if ready:
            self._make_ready(key)

    def _done(self, key: Hashable, queue: _KeyQueue, job: Job, provided: bool) -> None:
        if provided and job.provides is not None:
            # Before the queue ends: `is_busy` or `has_come` must be true for a reader without the lock.
            self._came.add(job.provides)
        queue.jobs.popleft()
        self._jobs -= 1
        self._bytes -= job.size
        if queue.jobs:
            self._make_ready(key)
        else:
            del self._queues[key]
        if job.provides is None or job.provides in self._queues:
            # Nothing waits for this, or it is still under way: what waits would look in vain, once for each change.
            return
        for ended in self._ended.values():
            ended.add(job.provides)
        # Even if it did not come: what waited only because it was under way runs again.
        for child in self._parked.pop(job.provides, set()):
            waiting = self._queues.get(child)
            if waiting is not None and waiting.waits_for is not None:
                self._release(child, waiting)


def _parents(queue: _KeyQueue) -> frozenset[Parent]:
    return queue.waits_for.parents if queue.waits_for else frozenset()
