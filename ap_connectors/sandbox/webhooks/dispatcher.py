"""Delivers webhooks in the background: in order for each subscription, again after failures, all of it written down."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from ap_connectors.sandbox import clock
from ap_connectors.sandbox.webhooks import sender
from ap_connectors.sandbox.webhooks.sender import Answer, NoAnswerError, OutgoingRequest, WithheldError

MOST = 20_000
MOST_SENDERS = 64
Outcome = Literal["under way", "delivered", "refused", "failed", "given up", "withheld"]


@dataclass(frozen=True)
class RetryPolicy:
    """How patient a service is.

    Args:
        seconds: how long a receiver may take to answer.
        retries: how often a failed delivery is tried again.
        first: seconds before the first retry; each later pause is twice as long.
        longest: seconds that a pause takes at most.
        again: 4XX that are tried again, as 3XX and 5XX always are; other 4XX count as received.
    """

    seconds: float
    retries: int
    first: float
    longest: float
    again: frozenset[int]

    def pause(self, attempt: int) -> float:
        """Return the seconds between an attempt, counted from 1, and the next."""
        return min(self.longest, self.first * 2.0 ** min(attempt - 1, 60))

    def outcome(self, status: int) -> Outcome:
        """Return what a status means."""
        if 200 <= status < 300:
            return "delivered"
        return "refused" if 400 <= status < 500 and status not in self.again else "failed"


@dataclass
class Delivery:
    """One delivery.

    Args:
        service: "ivesk" or "vicai".
        event: the event's name.
        id: what the receiver knows the delivery by: SNS's MessageId, or the request id.
        url: where it goes, without secrets.
        request: makes it ready for an attempt; raises `WithheldError`.
        policy: how patient the service is.
        answered: is told a receiver's 2XX.
        received: is told when it counts as received.
    """

    service: str
    event: str
    id: str
    url: str
    request: Callable[[], Awaitable[OutgoingRequest]]
    policy: RetryPolicy
    answered: Callable[[Answer], None] | None = None
    received: Callable[[], None] | None = None
    attempts: int = 0


@dataclass
class Attempt:
    """One attempt of a delivery; `status` is null if there was no answer, and `why` says what was wrong."""

    n: int
    at: str
    service: str
    event: str
    id: str
    url: str
    attempt: int
    outcome: Outcome = "under way"
    status: int | None = None
    seconds: float = 0.0
    why: str | None = None


@dataclass
class _DeliveryQueue:
    """One subscription's deliveries that wait, and the tasks that make them."""

    waiting: asyncio.Queue[Delivery] = field(default_factory=asyncio.Queue)
    senders: list[asyncio.Task[None]] = field(default_factory=list)
    is_forgotten: bool = False


class Dispatcher:
    """Makes deliveries; for use on the event loop only, whose tasks end with it."""

    def __init__(self) -> None:
        self._queues: dict[str, _DeliveryQueue] = {}
        self._idle = asyncio.Event()
        self.clear()

    def clear(self) -> None:
        """Forget all deliveries, also those under way."""
        for queue in self._queues.values():
            queue.is_forgotten = True
            for task in queue.senders:
                task.cancel()
        self._queues = {}
        self.waiting = self.count = 0
        self.latest: deque[Attempt] = deque(maxlen=MOST)
        self._idle.set()

    def send(self, subscription: str, delivery: Delivery, senders: int = 1) -> None:
        """Put a delivery behind the others of its subscription; with one sender the first attempts keep their order."""
        found = self._queues.setdefault(subscription, _DeliveryQueue())
        self.waiting += 1
        self._idle.clear()
        found.waiting.put_nowait(delivery)
        while len(found.senders) < min(senders, MOST_SENDERS):
            found.senders.append(asyncio.get_running_loop().create_task(self._work(found)))

    async def idle(self, seconds: float) -> bool:
        """Wait until nothing waits any more; false if that takes longer."""
        try:
            await asyncio.wait_for(self._idle.wait(), seconds)
        except (asyncio.TimeoutError, TimeoutError):
            return False
        return True

    async def _work(self, queue: _DeliveryQueue) -> None:
        while True:
            delivery = await queue.waiting.get()
            delivery.attempts += 1
            self.count += 1
            at = clock.iso(int(clock.now() * 1000))
            attempt = Attempt(
                self.count,
                at,
                delivery.service,
                delivery.event,
                delivery.id,
                sender.shown(delivery.url),
                delivery.attempts,
            )
            self.latest.append(attempt)
            began = time.monotonic()
            try:
                await _attempt(delivery, attempt)
            except Exception as error:  # an error of the sandbox itself must not stop the deliveries behind it
                traceback.print_exc()
                attempt.outcome, attempt.why = "withheld", f"The sandbox itself has failed: {error!r}"
            attempt.seconds = round(time.monotonic() - began, 3)
            if queue.is_forgotten:
                # Before Python 3.12 `wait_for` swallows a cancellation that comes with its answer.
                return
            if attempt.outcome == "failed":
                # Others need not wait for this one's turn, as with the services.
                asyncio.get_running_loop().call_later(
                    delivery.policy.pause(delivery.attempts), queue.waiting.put_nowait, delivery
                )
                continue
            self.waiting -= 1
            if not self.waiting:
                self._idle.set()


async def _attempt(delivery: Delivery, attempt: Attempt) -> None:
    policy = delivery.policy
    try:
        request = await delivery.request()
        attempt.url = sender.shown(request.url)
        answer = await asyncio.wait_for(sender.post(request), policy.seconds)
    except WithheldError as error:
        attempt.outcome, attempt.why = "withheld", str(error)
        return
    except NoAnswerError as error:
        attempt.outcome, attempt.why = "failed", str(error)
    except (asyncio.TimeoutError, TimeoutError):
        attempt.outcome, attempt.why = "failed", f"no answer within {policy.seconds:g} s"
    else:
        attempt.status, attempt.outcome = answer.status, policy.outcome(answer.status)
        if attempt.outcome == "delivered" and delivery.answered is not None:
            delivery.answered(answer)
        if attempt.outcome in ("delivered", "refused") and delivery.received is not None:
            delivery.received()
    if attempt.outcome == "failed" and delivery.attempts > policy.retries:
        attempt.outcome = "given up"
