"""Work on many records at once: each object's changes in their order, parents before children, bounded memory."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field

from ap_connectors.core.errors import ApError, Outage, Reject
from ap_connectors.http import shutdown

Parent = Hashable
"""What a child waits for: the name of a kind of object, and its key."""

_LOOK_AGAIN = 0.2


class Missing(Reject):
    """Wait with this record: something that it refers to is not there yet, but may still come in this run.

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
    """One record's work.

    Args:
        lane: the object that it is about; jobs of one lane run one after another, in the order in which they came. A
            lane is named as the Parent is that its jobs provide, so that `is_busy` tells whether a parent may yet come.
        run: does the work, and returns whether what it `provides` is there now. Raises Missing (it is tried again when
            a parent comes) or an Outage; everything else that can happen to a record it deals with itself.
        give_up: called instead, when a parent never came.
        abandoned: called when an outage or the end kept the job from being done.
        provides: what others may wait for and is there when the job is done.
        size: roughly, the bytes that it holds on to.
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
    """Threads that do jobs.

    Args:
        workers: jobs under way at once.
        check: called again and again while somebody waits for the crew; may raise what ends the waiting (a signal).
        most_bytes: what waiting jobs may hold on to together; `submit` waits when it is more.
    """

    def __init__(self, workers: int, check: Callable[[], None], most_bytes: int = 64 * 1024 * 1024) -> None:
        self._check = check
        self._most_jobs, self._most_bytes = 4 * workers + 16, most_bytes
        self._lock = threading.Lock()
        # One for those who do the work, one for those who hand it out.
        self._work_came, self._room = threading.Condition(self._lock), threading.Condition(self._lock)
        self._lanes: dict[Hashable, _KeyQueue] = {}
        self._ready: deque[Hashable] = deque()
        self._parked: dict[Parent, set[Hashable]] = {}
        self._came: set[Parent] = set()
        # Of lanes that wait for a parent nothing counts: what they wait for is still to come in.
        self._jobs = self._bytes = self._running = 0
        self._failure: BaseException | None = None
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"crew-{number}", daemon=True) for number in range(workers)
        ]
        self._started = False

    def is_busy(self, order_key: Hashable) -> bool:
        """Whether jobs of a lane are still to be done."""
        return order_key in self._lanes

    def has_come(self, parent: Parent) -> bool:
        """Whether a job of this run has provided it."""
        return parent in self._came

    def submit(self, job: Job) -> None:
        """Take a job; wait while too many wait already.

        Raises:
            ApError: what ended the work of the crew (an outage); the job is abandoned.
        """
        if not self._started:
            self._started = True
            for thread in self._threads:
                thread.start()
        with self._lock:
            while self._failure is None and self._is_full(job):
                self._room.wait(_LOOK_AGAIN)
                self._check()
            if self._failure is None:
                self._take(job)
                return
        job.abandoned()
        raise self._failure

    def wait(self) -> None:
        """Wait until nothing is left to do but what waits for parents.

        Raises:
            ApError: what ended the work of the crew.
        """
        with self._lock:
            while self._failure is None and (self._ready or self._running):
                self._room.wait(_LOOK_AGAIN)
                self._check()
            if self._failure is not None:
                raise self._failure

    def finish(self) -> None:
        """Do everything; give up what waits for parents that never came.

        Raises:
            ApError: what ended the work of the crew.
        """
        self.wait()
        while self._lanes:
            for job, missing in self._orphans():
                job.on_unresolved(missing)
            self.wait()

    def close(self, patience: float) -> None:
        """Begin nothing new, wait for what is under way, and abandon the rest.

        After so many seconds of patience whatever merely waits for another try is given up.
        """
        deadline = time.monotonic() + patience
        with self._lock:
            self._closed = True
            self._work_came.notify_all()
            while self._running:
                self._room.wait(_LOOK_AGAIN)
                if time.monotonic() > deadline:
                    shutdown.end_waiting()
            jobs = [job for order_key in self._lanes.values() for job in order_key.jobs]
            self._lanes.clear()
            self._ready.clear()
        for job in jobs:
            job.abandoned()

    def _take(self, job: Job) -> None:
        order_key = self._lanes.get(job.order_key)
        if order_key is None:
            order_key = self._lanes[job.order_key] = _KeyQueue()
            self._be_ready(job.order_key)
        order_key.jobs.append(job)
        if order_key.waits_for is None:
            self._jobs += 1
            self._bytes += job.size

    def _be_ready(self, key: Hashable) -> None:
        self._ready.append(key)
        self._work_came.notify()

    def _is_full(self, job: Job) -> bool:
        return self._jobs >= self._most_jobs or (self._jobs > 0 and self._bytes + job.size > self._most_bytes)

    def _orphans(self) -> list[tuple[Job, Missing]]:
        """Take the first job off every lane that waits in vain; what stands behind it, or waits for it, may run."""
        with self._lock:
            waiting = {key: order_key for key, order_key in self._lanes.items() if order_key.waits_for is not None}
            # Who waits for somebody who waits in turn gets another chance when that one is given up.
            hopeless = [key for key, order_key in waiting.items() if not _parents(order_key) & waiting.keys() - {key}]
            orphans = []
            for key in hopeless or list(waiting):
                order_key = waiting[key]
                if (missing := order_key.waits_for) is None:
                    continue
                job = order_key.jobs[0]
                self._release(key, order_key, ready=False)
                orphans.append((job, missing))
                self._done(key, order_key, job, there=False)
        return orphans

    # In the threads

    def _work(self) -> None:
        while True:
            with self._lock:
                while not self._ready and not self._over:
                    self._work_came.wait()
                if self._over:
                    return
                key = self._ready.popleft()
                order_key = self._lanes[key]
                job = order_key.jobs[0]
                self._running += 1
            there, missing, failure = False, None, None
            try:
                there = job.run()
            except Missing as error:
                missing = error
            except BaseException as error:
                failure = error
            with self._lock:
                self._running -= 1
                if failure is not None:
                    self._fail(failure)
                elif missing is not None:
                    self._park(key, order_key, job, missing)
                else:
                    self._done(key, order_key, job, there)
                self._room.notify()

    @property
    def _over(self) -> bool:
        return self._closed or self._failure is not None

    def _fail(self, failure: BaseException) -> None:
        # A mistake of ours explains more than the outage that another thread met meanwhile.
        if self._failure is None or (isinstance(self._failure, Outage) and not isinstance(failure, ApError)):
            self._failure = failure
        self._work_came.notify_all()

    def _park(self, key: Hashable, order_key: _KeyQueue, job: Job, missing: Missing) -> None:
        if not job.tried_again and self._came & missing.parents:
            # It came between our looking and now.
            job.tried_again = True
            self._be_ready(key)
            return
        order_key.waits_for = missing
        self._jobs -= len(order_key.jobs)
        self._bytes -= sum(job.size for job in order_key.jobs)
        for parent in missing.parents:
            self._parked.setdefault(parent, set()).add(key)

    def _release(self, key: Hashable, order_key: _KeyQueue, *, ready: bool = True) -> None:
        for parent in _parents(order_key):
            self._parked.get(parent, set()).discard(key)
        order_key.waits_for = None
        self._jobs += len(order_key.jobs)
        self._bytes += sum(job.size for job in order_key.jobs)
        if ready:
            self._be_ready(key)

    def _done(self, key: Hashable, order_key: _KeyQueue, job: Job, there: bool) -> None:
        if there and job.provides is not None:
            # Before its lane ends: who asks without the lock must see one of the two.
            self._came.add(job.provides)
        order_key.jobs.popleft()
        self._jobs -= 1
        self._bytes -= job.size
        if order_key.jobs:
            self._be_ready(key)
        else:
            del self._lanes[key]
        if job.provides is None:
            return
        # Even if it did not come: who waited only because it was under way looks again.
        for child in self._parked.pop(job.provides, set()):
            waiting = self._lanes.get(child)
            if waiting is not None and waiting.waits_for is not None:
                self._release(child, waiting)


def _parents(order_key: _KeyQueue) -> frozenset[Parent]:
    return order_key.waits_for.parents if order_key.waits_for else frozenset()
