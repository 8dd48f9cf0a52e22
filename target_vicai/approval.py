"""Approve, then apply: a plan says which calls each record makes, and `apply_plan` lets these through and no others.

A call is what is written: operation, address, body. The plan also says what a record was and what Vic had at the time:
if either has changed since, the record is set aside, before anything of it is written.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ap_connectors.core.errors import Reject, Stop
from ap_connectors.core.raw_json import JsonObject
from ap_connectors.singer.diff import same_json

if TYPE_CHECKING:
    from target_vicai.sink import Item

VERSION = 1
PLANNED = "planned-"
"""How ids begin that a plan makes up for what it would create."""
_encode = msgspec.json.Encoder(decimal_format="number", order="deterministic").encode
_NAMES = ("name", "description", "refNumber", "poNumber", "value", "code", "number")
"""Fields by which people know a record."""
_Place = tuple[str, str]
"""A stream and a key."""


def digest(value: Any) -> str:
    """Return a fingerprint of JSON: the same for the same values, in whatever order they were written."""
    return hashlib.sha256(_encode(value)).hexdigest()


@dataclass
class _Work:
    """A record that is being loaded.

    Args:
        place: its stream and key.
        record: its fingerprint.
        name: what people call it.
        present: the fingerprint of what Vic has; None if it has no such record, as far as is known.
        calls: those that it has made.
    """

    place: _Place
    record: str
    name: str = ""
    present: str | None = None
    calls: list[dict[str, Any]] = field(default_factory=list)


class Approval:
    """Knows which record a thread is loading, and is told of every call before it is sent; here nothing comes of it."""

    is_used = False

    def __init__(self) -> None:
        self._local = threading.local()
        self._lock = threading.Lock()
        self._works: dict[_Place, _Work] = {}
        self._written: Counter[_Place] = Counter()
        self._met: set[_Place] = set()

    @contextmanager
    def working_on(self, stream: str, item: Item) -> Iterator[None]:
        """Say that this thread loads a record."""
        if not self.is_used:
            yield
            return
        place = (stream, item.key)
        fingerprint = digest([item.deleted, item.body, item.extras])
        with self._lock:
            self._met.add(place)
            work = self._works.get(place)
            if work is None or work.record != fingerprint:
                work = self._works[place] = _Work(place, fingerprint, _name(item.body))
        self._local.work = work
        try:
            yield
        finally:
            self._local.work = None

    def compared(self, present: JsonObject, names: Iterable[str]) -> None:
        """Say what Vic has of the record: of that, what can be written counts."""
        if self.is_used and (work := getattr(self._local, "work", None)) is not None and not work.calls:
            work.name = work.name or _name(present)
            work.present = digest({name: present[name] for name in names if present.get(name) is not None})

    def call(self, operation: str, body: Any = None, **arguments: str) -> None:
        """Say what is about to be written.

        Raises:
            Reject: the plan does not have it.
        """
        if self.is_used and (work := getattr(self._local, "work", None)) is not None:
            made = {"operation": operation, "arguments": arguments, "body": body}
            with self._lock:
                self._check(work, made)
                work.calls.append(made)
                self._written[work.place] += len(work.calls) == 1

    def _check(self, work: _Work, made: dict[str, Any]) -> None:
        pass

    def done(self, stream: str, key: str) -> dict[str, Any]:
        """Say that a record is done with; return what a plan keeps of it, to be approved."""
        with self._lock:
            work = self._works.pop((stream, key), None)
        return self._kept(work) if work else {}

    def _kept(self, work: _Work) -> dict[str, Any]:  # noqa: ARG002
        return {}


class Planning(Approval):
    """Writes down the calls of a dry run."""

    is_used = True

    def _kept(self, work: _Work) -> dict[str, Any]:
        """Return the record's fingerprint, that of what Vic has, and the calls."""
        again = self._written[work.place] > 1
        # What a run has written before, Vic may show in another way than it was sent.
        known = {"at_vicai": work.present} if not again else {}
        return {"name": work.name, "approve": {"record": work.record, **known, "calls": work.calls}}


class Applying(Approval):
    """Lets the calls of a plan through, and no others.

    Args:
        path: of the plan, as `plan_path` wrote it; entries may have been removed from it.
        company: whose credentials these are.

    Raises:
        Stop: it is no such plan, or another company's.
    """

    is_used = True

    def __init__(self, path: str, company: str | None) -> None:
        super().__init__()
        self._path = path
        self._approved: dict[_Place, list[dict[str, Any]]] = defaultdict(list)
        for place, entry in self._entries(company):
            self._approved[place].append(entry)

    def _entries(self, company: str | None) -> Iterator[tuple[_Place, dict[str, Any]]]:
        said = f"apply_plan: {self._path}"
        try:
            plan = json.loads(Path(self._path).read_bytes(), parse_float=Decimal)
            theirs = plan["company"]
            found = [
                ((stream, str(row["key"])), {**row["approve"], "effect": effect})
                for stream, effects in plan["plan"].items()
                for effect in ("created", "updated", "deleted")
                for row in effects.get(effect, ())
            ]
            version = plan["plan_version"]
        except OSError as error:
            raise Stop(f"{said} cannot be read: {error.strerror or type(error).__name__}.") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Stop(
                f"{said} is not a plan. Make one: set dry_run to true and plan_path to a file whose name ends in .json."
            ) from None
        if version != VERSION:
            raise Stop(f"{said} was made by another version of target-vicai. Make a new plan.")
        if theirs != company:
            raise Stop(
                f'{said} is a plan for "{theirs}"; the credentials are of "{company}". Nothing was loaded. Take the '
                "right plan, or set the right credentials."
            )
        yield from found

    def _check(self, work: _Work, made: dict[str, Any]) -> None:
        stream, key = work.place
        entries = self._approved.get(work.place, [])
        if not entries:
            raise Reject(
                f"The plan ({self._path}) does not write this. Make a new plan, and have it approved.",
                "not_in_plan",
                stream=stream,
                key=key,
            )
        same = [entry for entry in entries if entry["record"] == work.record]
        if not same:
            raise Reject(
                "The record is not the one that was approved. Make a new plan, and have it approved.",
                "not_as_approved",
                stream=stream,
                key=key,
            )
        if not any(self._allows(entry, work, made) for entry in same):
            raise Reject(
                "Vic.ai's copy has changed since the plan was made; nothing was written. Make a new plan, and have it "
                "approved.",
                "changed_since_plan",
                stream=stream,
                key=key,
            )

    def _allows(self, entry: Mapping[str, Any], work: _Work, made: Mapping[str, Any]) -> bool:
        calls = entry["calls"]
        if not calls:
            # A plan opens no files, so it does not know of the calls that send them.
            return True
        place = next((number for number, one in enumerate(calls) if _fits(one, made)), None)
        if place is None:
            return False
        # A later step of a record whose first steps an earlier run has taken finds Vic's copy changed by these.
        return place > 0 or bool(work.calls) or "at_vicai" not in entry or entry["at_vicai"] == work.present

    def not_done(self) -> list[_Place]:
        """Return what the plan has and no record of this run was about."""
        return sorted(self._approved.keys() - self._met)


def _name(body: JsonObject) -> str:
    return next((str(body[name]) for name in _NAMES if body.get(name)), "")


def _fits(approved: Any, made: Any) -> bool:
    """Return whether a call is the approved one; an id that the plan made up stands for the one that Vic gave."""
    if isinstance(approved, str) and approved.startswith(PLANNED) and isinstance(made, str):
        return True
    if isinstance(approved, dict) and isinstance(made, Mapping):
        return approved.keys() == made.keys() and all(_fits(value, made[name]) for name, value in approved.items())
    if isinstance(approved, list) and isinstance(made, list | tuple):
        return len(approved) == len(made) and all(map(_fits, approved, made))
    return same_json(approved, made)


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
        self._approval.call(operation, None, **arguments)
        answer: JsonObject = self._writer.upload(operation, parts, find_done=find_done, **arguments)
        return answer
