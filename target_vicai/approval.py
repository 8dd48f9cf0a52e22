"""What is told of every record and call: a dry run writes it into its plan, and `approved_plan` holds it against one.

A call is what is written: operation, address, body.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from ap_connectors.core.raw_json import JsonObject
from ap_connectors.singer.schema import canonical

if TYPE_CHECKING:
    from target_vicai.item import Item

PLANNED = "planned-"
"""How ids begin that a plan makes up for what it would create."""
_like_an_id = re.compile(rf"{PLANNED}[0-9]+|[0-9a-f-]{{36}}", re.IGNORECASE).fullmatch
_encode = msgspec.json.Encoder(decimal_format="number", order="deterministic").encode
_NAMES = ("name", "description", "refNumber", "poNumber", "value", "code", "number")
"""Fields by which people know a record."""
Place = tuple[str, str]
"""A stream and a key."""


def digest(value: Any) -> str:
    """Return a fingerprint of JSON: the same for the same values, in whatever order they were written."""
    return hashlib.sha256(_encode(value)).hexdigest()


@dataclass
class Work:
    """A record that is being loaded.

    Args:
        place: its stream and key.
        record: its fingerprint.
        name: what people call it.
        present: the fingerprint of what Vic has; None if it has no such record, as far as is known.
        copy: what Vic has, of what can be written.
        calls: those that it has made.
        form: what the form of its next file says beside the file.
    """

    place: Place
    record: str
    name: str = ""
    present: str | None = None
    copy: JsonObject = field(default_factory=dict)
    calls: list[dict[str, Any]] = field(default_factory=list)
    form: JsonObject | None = None


class Approval:
    """Knows which record a thread is loading, and is told of every call before it is sent; here nothing comes of it."""

    is_used = False

    def __init__(self) -> None:
        self._local = threading.local()
        self._lock = threading.Lock()
        self._written: Counter[Place] = Counter()
        self._met: set[Place] = set()
        self._done: set[Place] = set()

    def working_on(self, stream: str, item: Item) -> AbstractContextManager[None]:
        """Say that this thread loads a record."""
        return self._working_on(stream, item) if self.is_used else nullcontext()

    @contextmanager
    def _working_on(self, stream: str, item: Item) -> Iterator[None]:
        if not item.works:
            place = (stream, item.key)
            item.works.append(Work(place, digest([item.deleted, item.body, item.extras]), name_of(item.body)))
            with self._lock:
                self._met.add(place)
        self._local.work = item.works[0]
        try:
            yield
        finally:
            self._local.work = None

    def compared(self, present: JsonObject, names: Iterable[str]) -> None:
        """Say what Vic has of the record: of that, what can be written counts."""
        if self.is_used and (work := getattr(self._local, "work", None)) is not None and not work.calls:
            work.name = work.name or name_of(present)
            work.copy = {name: present[name] for name in names if present.get(name) is not None}
            work.present = digest(work.copy)

    def call(self, operation: str, body: Any = None, **arguments: str) -> None:
        """Say what is about to be written.

        Raises:
            Reject: the plan does not have it.
        """
        self._say({"operation": operation, "arguments": arguments, "body": body}, is_file=False)

    def form(self, body: JsonObject) -> None:
        """Say what the form of the next file says beside the file."""
        if self.is_used and (work := getattr(self._local, "work", None)) is not None:
            work.form = body

    def file(self, operation: str, **arguments: str) -> None:
        """Say that a file is about to be sent, and where.

        Raises:
            Reject: the plan does not have it.
        """
        work: Work | None = getattr(self._local, "work", None)
        self._say({"operation": operation, "arguments": arguments, "body": work.form if work else None}, is_file=True)

    def _say(self, made: dict[str, Any], *, is_file: bool) -> None:
        if self.is_used and (work := getattr(self._local, "work", None)) is not None:
            with self._lock:
                self._check(work, made, is_file=is_file)
                work.calls.append(made)
                self._written[work.place] += len(work.calls) == 1

    def _check(self, work: Work, made: dict[str, Any], *, is_file: bool) -> None:
        pass

    def done(self, stream: str, item: Item, effect: str) -> dict[str, Any]:
        """Say that a record is done with, and what became of it; return what a plan keeps of it, to be approved."""
        if not self.is_used:
            return {}
        with self._lock:
            if effect != "older":
                self._done.add((stream, item.key))
            return self._kept(item.works[0]) if item.works else {}

    @staticmethod
    def name_of(item: Item | None, record: Mapping[str, Any]) -> str:
        """Return what people call a record that is set aside: as it says itself, or else as Vic.ai does."""
        own = {canonical(name): value for name, value in record.items()}
        named = name_of({name: own.get(canonical(name)) for name in _NAMES})
        return named or (item.works[0].name if item and item.works else "")

    def _kept(self, work: Work) -> dict[str, Any]:  # noqa: ARG002
        return {}


class Planning(Approval):
    """Writes down the calls of a dry run."""

    is_used = True

    def _kept(self, work: Work) -> dict[str, Any]:
        """Return the record's fingerprint, that of what Vic has, and the calls."""
        # What a run has written before, Vic may show in another way than it was sent.
        known = {"follows": True} if self._written[work.place] > 1 else {"at_vicai": work.present}
        return {"name": work.name, "approve": {"record": work.record, **known, "calls": work.calls}}


def name_of(body: JsonObject) -> str:
    """Return what people call a record; "" if it has no name."""
    return next((str(body[name]) for name in _NAMES if body.get(name)), "")


def ids_in(value: Any) -> Iterator[str]:
    """Yield the texts in JSON that look like ids, Vic's or a plan's."""
    if isinstance(value, str):
        if _like_an_id(value):
            yield value
    elif isinstance(value, Mapping | list | tuple):
        for member in value.values() if isinstance(value, Mapping) else value:
            yield from ids_in(member)


class WatchedWriter:
    """A writer that says what it is about to write."""

    def __init__(self, writer: Any, approval: Approval) -> None:
        self._writer, self._approval = writer, approval

    def send(self, operation: str, body: Any = None, *, find_done: Any = None, **arguments: str) -> JsonObject:
        """Say it, and send it."""
        self._approval.call(operation, body, **arguments)
        answer: JsonObject = self._writer.send(operation, body, find_done=find_done, **arguments)
        return answer

    def upload(self, operation: str, parts: Any, *, find_done: Any = None, **arguments: str) -> JsonObject:
        """Say it, and upload it."""
        self._approval.file(operation, **arguments)
        answer: JsonObject = self._writer.upload(operation, parts, find_done=find_done, **arguments)
        return answer
