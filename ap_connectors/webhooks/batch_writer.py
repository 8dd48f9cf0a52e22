"""The thread that stores deliveries: all that wait go into one transaction, and are answered after its commit."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence

from ap_connectors.core.errors import Outage
from ap_connectors.webhooks.inbox import Delivery, Inbox, Stored
from ap_connectors.webhooks.metrics import Metrics

_LOG = logging.getLogger("ap_connectors.webhooks.batch_writer")
_BATCH_SIZE = 300
_BATCH_BYTES = 64_000_000

_Waiting = tuple[Delivery, "asyncio.Future[Stored]"]


class BatchWriter:
    """Stores deliveries in batches.

    Args:
        inbox: where to.
        stored: called in the writer's thread with the ids of new events, once they are durable.
        metrics: counts batches and waiting deliveries.
    """

    def __init__(self, inbox: Inbox, stored: Callable[[Sequence[int]], None], metrics: Metrics) -> None:
        self._inbox = inbox
        self._stored = stored
        self._metrics = metrics
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        # A daemon, so that a database that never answers cannot keep the process from ending.
        self._thread = threading.Thread(target=self._work, name="inbox-writer", daemon=True)
        metrics.waiting.set_function(self._queue.qsize)

    def start(self) -> None:
        """Start the thread; call this in the event loop that will await `store`."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def stop(self, seconds: float = 10) -> None:
        """Store what waits, and end the thread."""
        self._queue.put(None)
        self._thread.join(seconds)

    @property
    def is_alive(self) -> bool:
        """Whether the thread is running."""
        return self._thread.is_alive()

    async def store(self, delivery: Delivery) -> Stored:
        """Wait until a delivery is durable.

        Raises:
            Outage: it is not stored.
            NotStorable: it cannot be stored.
        """
        future: asyncio.Future[Stored] = asyncio.get_running_loop().create_future()
        self._queue.put((delivery, future))
        return await future

    def _work(self) -> None:
        ended = False
        while not ended:
            first = self._queue.get()
            batch = [] if first is None else [first]
            ended = first is None
            size = 0 if first is None else _size(first[0])
            while not ended and len(batch) < _BATCH_SIZE and size < _BATCH_BYTES:
                try:
                    more = self._queue.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    ended = True
                else:
                    batch.append(more)
                    size += _size(more[0])
            if batch:
                self._answer(batch, self._store(batch))

    def _store(self, batch: Sequence[_Waiting]) -> Sequence[Stored | Exception]:
        began = time.perf_counter()
        try:
            found = self._inbox.store([delivery for delivery, _ in batch])
        except Outage as error:
            self._metrics.failures.inc()
            return [error] * len(batch)
        except Exception as error:
            # One that the database does not accept must not fail the others.
            self._metrics.failures.inc()
            if len(batch) == 1:
                _LOG.exception("A delivery could not be stored.")
                return [error]
            return [result for waiting in batch for result in self._store([waiting])]
        self._metrics.commits.observe(time.perf_counter() - began)
        self._metrics.batches.observe(len(batch))
        return found

    def _answer(self, batch: Sequence[_Waiting], results: Sequence[Stored | Exception]) -> None:
        assert self._loop is not None  # noqa: S101 - `start` came first
        try:
            self._loop.call_soon_threadsafe(_settle, [future for _, future in batch], results)
        except RuntimeError:
            _LOG.warning("%d deliveries are stored, but the server has stopped before answering them.", len(batch))
        new = [result.id for result in results if isinstance(result, Stored) and result.new]
        if new:
            try:
                self._stored(new)
            except Exception:
                # They are safe: the runner also looks into the inbox by itself.
                _LOG.exception("The runner could not be notified of new events.")


def _settle(futures: Sequence[asyncio.Future[Stored]], results: Sequence[Stored | Exception]) -> None:
    for future, result in zip(futures, results, strict=True):
        if future.done():
            continue
        if isinstance(result, Stored):
            future.set_result(result)
        else:
            future.set_exception(result)


def _size(delivery: Delivery) -> int:
    return len(delivery.body) + len(delivery.document or b"")
