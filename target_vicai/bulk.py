"""Calls that take many records at once: threads that load records join their calls into one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from ap_connectors.core.errors import ApError, Reject

T = TypeVar("T")


@dataclass
class _Entry(Generic[T]):
    value: T
    done: bool = False
    error: ApError | None = None


class BulkCalls(Generic[T]):
    """Joins what several threads have to send into few calls.

    The thread that finds no call under way sends all that waits, up to `most`; those that come meanwhile wait, and one
    of them sends the next call. A call that is refused is sent again in halves, so that what is wrong is refused alone.

    Args:
        most: of one call.
        send: sends some values; all are done, or none.
    """

    def __init__(self, most: int, send: Callable[[Sequence[T]], None]) -> None:
        self._most, self._send = most, send
        self._waiting: list[_Entry[T]] = []
        self._under_way = False
        self._changed = threading.Condition()

    def announce(self, value: T) -> Callable[[], None]:
        """Note a value, so that the next call sends it, too; return what waits for it, or sends it.

        What it returns raises: Reject: the service refuses the value. Outage: it failed.
        """
        entry = _Entry(value)
        with self._changed:
            self._waiting.append(entry)
        return lambda: self._finish(entry)

    def _finish(self, entry: _Entry[T]) -> None:
        while True:
            with self._changed:
                while self._under_way and not entry.done:
                    self._changed.wait()
                if entry.done:
                    break
                # Ours is among them: nothing before it can have been left over for long.
                self._waiting.remove(entry)
                batch = [entry, *self._waiting[: self._most - 1]]
                del self._waiting[: self._most - 1]
                self._under_way = True
            try:
                self._in_halves(batch)
            except ApError as error:
                self._settle(batch, error)
            finally:
                with self._changed:
                    self._under_way = False
                    self._changed.notify_all()
        if entry.error is not None:
            raise entry.error

    def _in_halves(self, batch: Sequence[_Entry[T]]) -> None:
        try:
            self._send([entry.value for entry in batch])
        except Reject as refusal:
            if len(batch) == 1:
                self._settle(batch, refusal)
                return
            middle = len(batch) // 2
            self._in_halves(batch[:middle])
            self._in_halves(batch[middle:])
        else:
            self._settle(batch, None)

    @staticmethod
    def _settle(batch: Sequence[_Entry[T]], error: ApError | None) -> None:
        for entry in batch:
            if not entry.done:
                entry.done, entry.error = True, error
