"""What a target and its sinks agree on: a record is parsed, compared and applied, and has an outcome."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from ap_connectors.core.errors import Reject
from ap_connectors.core.settings import closest
from ap_connectors.singer.diff import Change
from ap_connectors.singer.schema import ObjectSchema, Schema, canonical
from ap_connectors.singer.worker_pool import Parent

Effect = Literal["created", "updated", "unchanged", "older", "deleted"]
"""What happened at the service; `older`: nothing, for it holds a later state."""


@dataclass(frozen=True)
class Outcome:
    """What became of a record.

    Args:
        effect: what happened at the service.
        changes: each field that changed, old and new; empty for what is new or gone.
        note: why nothing happened, where that might surprise.
        aside: why parts of the record were set aside by themselves.
        bank_changes: bank details that changed; they are told one by one.
    """

    effect: Effect
    changes: tuple[Change, ...] = ()
    note: str | None = None
    aside: tuple[Reject, ...] = ()
    bank_changes: tuple[Change, ...] = ()


UNCHANGED = Outcome("unchanged")
_OF_THE_TARGET = "_sdc_"


@dataclass(frozen=True)
class ListColumns:
    """What the columns of a person's list are called.

    Args:
        keys: fields of which the first with a value tells its rows apart; none if they may be equal.
        known: all fields, members of objects as "taxInfo.orgNumber"; empty if columns are renamed first.
        needed: those without which nothing new can be loaded.
        times: those that are times.
        expected: names, in canonical spelling, of what goes nowhere and needs no warning.
        refused: fields that no list may have, and why.
    """

    keys: Sequence[str] = ()
    known: Sequence[str] = ()
    needed: Sequence[str] = ()
    times: Sequence[str] = ()
    expected: Collection[str] = ()
    refused: Mapping[str, str] = field(default_factory=dict)

    def meant_by(self, head: str, there: Collection[str] = ()) -> str | None:
        """Return the field that a misspelt heading probably means, if there is one.

        Args:
            head: of the column: "orgNumber", "Vendor name".
            there: other headings of the list, in canonical spelling; what they name cannot be meant again.
        """
        leaves = [
            name
            for name in self.known
            if canonical(name) not in there and not any(other.startswith(f"{name}.") for other in self.known)
        ]
        # The record's own members before those of objects in it.
        inmost_first = sorted(leaves, key=lambda path: -path.count("."))
        names = {_run_together(path.rpartition(".")[2]): path for path in inmost_first}
        names |= {_run_together(path): path for path in inmost_first}
        words = _words(head)
        whole, last = "".join(words), _run_together(head.rpartition(".")[2])
        endings = [name for name in names if len(last) >= _LONG_ENOUGH and name.endswith(last)]
        parts = ["".join(part) for at in range(1, len(words)) for part in (words[at:], words[:-at])]
        candidates = (whole, last, *endings[-1:], *parts, closest(whole, names), closest(last, names))
        return next((names[name] for name in candidates if name in names), None)

    def left_out(self, heads: Iterable[str]) -> dict[str, str | None]:
        """Return the headings that are not those of a field, each with the field that may be meant."""
        heads = [*heads]
        there = {*map(canonical, heads)}
        known = {*map(canonical, self.known)}
        # What is in an object whose members no contract names goes where the object goes.
        free = tuple(f"{name}." for name in known if not any(other.startswith(f"{name}.") for other in known))
        unknown = [
            head
            for head in heads
            if self.known
            and canonical(head) not in known
            and canonical(head) not in self.expected
            and not head.lower().startswith(_OF_THE_TARGET)
            and not canonical(head).startswith(free)
        ]
        return {head: self.meant_by(head, there) for head in unknown}


_LONG_ENOUGH = 4
"""Characters of a heading that is the end of a field's name: "postalCode" of addressPostalCode."""


def _words(head: str) -> list[str]:
    return re.findall(r"[^\W_]+", head.lower())


def _run_together(name: str) -> str:
    return "".join(_words(name))


class ParsedRecord(Protocol):
    """A record that its sink has read."""

    @property
    def key(self) -> str:
        """Its natural key, as messages show it."""

    @property
    def order_key(self) -> Hashable:
        """The object that it is about; equal for all records about it, so that they stay in order."""

    @property
    def provides(self) -> Parent | None:
        """What records of other streams may wait for, and have once it is loaded."""


class Sink(Protocol):
    """Loads the records of one stream."""

    @property
    def name(self) -> str:
        """The stream's name."""

    @property
    def unknown_fields(self) -> UnknownFields:
        """What warns of fields that go nowhere."""

    @property
    def list_columns(self) -> ListColumns:
        """What the columns of a person's list are called."""

    def key_hint(self, record: Mapping[str, Any]) -> str | None:
        """Return the natural key of a record that cannot be parsed, if it shows one."""

    def parse(self, record: Mapping[str, Any], rejected: Mapping[str, Any] | None) -> Any:
        """Return the record as a `ParsedRecord`.

        Args:
            record: as it came, numbers exact.
            rejected: what an earlier run said when it set the record aside, if one did.

        Raises:
            Reject: it cannot be loaded as it is.
        """

    def compare(self, item: Any) -> Any:
        """Compare the record with the service's copy, on the main thread.

        Returns:
            Its `Outcome` if nothing needs to be asked or written. Else the comparison, for `apply`; None if there is
            none, for example because a parent is missing.
        """

    def apply(self, item: Any, compared: Any = None) -> Outcome:
        """Apply the record. Thread-safe; calls for one order key are serialized.

        Args:
            item: the record, parsed.
            compared: what `compare` returned; None when the record had to wait for another one since.

        Raises:
            Missing: it refers to something that is not there yet. Reject: the service refuses it. Outage: it failed.
        """

    def mark_seen(self, key: str, version: int) -> None:
        """Remember that a full load has the record with this natural key."""


# Fields of a record that the service does not take

_DELETED = canonical("_sdc_deleted_at")


def is_deletion(unknown: Mapping[str, Any]) -> bool:
    """Return whether the fields that a schema does not know say that the record's object was deleted."""
    if not unknown:
        return False
    marks = [name for name, value in unknown.items() if value is not None and name[:1] == "_"]
    return any(name.lower().startswith(_OF_THE_TARGET) and canonical(name) == _DELETED for name in marks)


class UnknownFields:
    """Warns of fields that go nowhere, once each.

    Args:
        stream: its name.
        service: whose contract does not have them.
        warn: shows a message to the user.
        expected: names, in canonical spelling, that need no warning.
        known: returns the names of the contract, members of objects as "taxInfo.orgNumber": one of them may be meant.
    """

    def __init__(
        self,
        stream: str,
        service: str,
        warn: Callable[[str], None],
        expected: Collection[str] = (),
        known: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self._stream, self._service, self._warn, self._expected = stream, service, warn, {*expected}
        self._known = known
        self._reported: set[str] = set()

    def expect(self, names: Iterable[str]) -> None:
        """Do not warn of these, in any spelling."""
        self._expected.update(map(canonical, names))

    def report(self, unknown: Mapping[str, Any], there: Iterable[str] = ()) -> None:
        """Warn of those fields that were not reported before; the target's own (`_sdc_...`) need no warning.

        Args:
            unknown: the fields.
            there: names of those that the record has beside them; none of these is meant.
        """
        if not unknown:
            return
        new = [name for name in unknown if name not in self._reported and not name.lower().startswith(_OF_THE_TARGET)]
        if not new:
            return
        self._reported.update(new)
        ignored = [name for name in new if canonical(name) not in self._expected]
        if ignored:
            kind = "field" if len(ignored) == 1 else "fields"
            columns = ListColumns(known=[*self._known()])
            meant = [columns.meant_by(name, {*map(canonical, there)}) for name in ignored]
            hint = f" Did you mean {', '.join(filter(None, meant))}?" if any(meant) else ""
            self._warn(f"{self._stream}: {', '.join(ignored)}: ignored; {self._service} has no such {kind}.{hint}")


def fields(schema: Schema, within: str = "") -> Iterator[tuple[str, Schema]]:
    """Yield an object's members by name, those of objects in it as "taxInfo.orgNumber"."""
    for name, member in schema.members.items() if isinstance(schema, ObjectSchema) else ():
        yield f"{within}{name}", member
        yield from fields(member, f"{within}{name}.")


def paths(schema: Schema) -> Iterator[str]:
    """Yield the names of an object's members, and of those of objects in it as "taxInfo.orgNumber"."""
    return (name for name, _ in fields(schema))
