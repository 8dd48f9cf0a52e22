"""What a stream's records become at Vic.ai: the base of all loaders."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ap_connectors.core.errors import Reject
from ap_connectors.core.instants import LOCAL
from ap_connectors.singer.diff import Change
from ap_connectors.singer.schema import ObjectSchema, Schema, canonical
from ap_connectors.singer.sink import UNCHANGED, Outcome, UnknownFields, is_deletion
from ap_connectors.singer.worker_pool import Parent
from ap_connectors.vicai import contract
from ap_connectors.vicai.client import NotFound, Refused
from target_vicai.copy import Plain
from target_vicai.vic import Vic, missing

_VICS_OWN = ("id", "internalId", "internalUpdatedAt", "displayName")
_EXPECTED = frozenset(map(canonical, (*_VICS_OWN, "ivesk_document_id", "ivesk_company_code")))
"""Fields that nobody misses: Vic alone writes the first; the others say in a reject which document is meant."""

TEXT = {"type": "string", "maxLength": 255}
"""What a reference by a natural key looks like."""


@dataclass(frozen=True)
class Item:
    """A record in the contract's names and types.

    Args:
        key: its natural key, as messages show it.
        lane: the object that it is about; equal for all records about it, so that they stay in order.
        body: what goes into the body of a call.
        extras: what else it says: references by natural keys, documents, ids.
        deleted: it says that the object is to go.
        replayed: when it was set aside by an earlier run, if it was (an instant, UTC).
        provides: what records of other streams may wait for, and have once it is loaded.
    """

    key: str
    order_key: Hashable
    body: Plain
    extras: Plain = field(default_factory=dict)
    deleted: bool = False
    replayed: str | None = None
    provides: Parent | None = None


class Loader(ABC):
    """Loads the records of one stream.

    A subclass sets `name` (of the stream) and `body_of` (the operation whose body its records have the form of);
    `extras` are fields that are not part of that body, by name with their JSON schema; `component` is what Vic shows,
    so what can be compared; `omitted_is_cleared` says that Vic clears what a body does not name.
    """

    name: ClassVar[str]
    body_of: ClassVar[str]
    component: ClassVar[str | None] = None
    extras: ClassVar[Mapping[str, Any]] = {}
    omitted_is_cleared: ClassVar[bool] = False
    _keys: ClassVar = tuple(map(canonical, ("externalId", "poNumber", "name", "value", "code", "internalId", "id")))

    def __init__(self, vic: Vic) -> None:
        self.vic = vic
        self._unknown_fields = UnknownFields(self.name, "Vic.ai", self._warn, _EXPECTED)

    def _warn(self, message: str) -> None:
        self.vic.warn(message)

    # What a record says

    @functools.cached_property
    def body_shape(self) -> ObjectSchema:
        """The form of the body."""
        return _object(contract.inlined(self.body_schema()))

    @functools.cached_property
    def readable(self) -> ObjectSchema | None:
        """The form of what Vic shows, or None if it shows nothing."""
        return _object(contract.component(self.component)) if self.component else None

    @functools.cached_property
    def _input(self) -> ObjectSchema:
        schema = contract.inlined(self.body_schema())
        return _object({**schema, "properties": {**schema["properties"], **self.extras}, "required": []})

    def body_schema(self) -> contract.Schema:
        """Return the contract's schema of the body."""
        return contract.operation(self.body_of).body["application/json"]

    def key_hint(self, record: Mapping[str, Any]) -> str | None:
        """Return the first of the usual keys that a record has, however wrong the rest of it is."""
        given = {canonical(name): value for name, value in record.items() if isinstance(value, str | int) and value}
        return next((str(given[name]) for name in self._keys if name in given), None)

    def parse(self, record: Mapping[str, Any], replayed: str | None) -> Item:
        """Read a record.

        Raises:
            Reject: it is not what the contract says, or has no key.
        """
        body, unknown = self._input.coerce_record(record)
        self._unknown_fields.report(unknown)
        deleted = is_deletion(unknown)
        extras = {name: body.pop(name) for name in self.extras if name in body}
        key = self.key(body, extras)
        place = (self.name, key)
        return Item(key, self.order_key(key, body, extras), body, extras, deleted, replayed, place)

    @abstractmethod
    def key(self, body: Plain, extras: Plain) -> str:
        """Return a record's natural key.

        Raises:
            Reject: it has none.
        """

    def order_key(self, key: str, body: Plain, extras: Plain) -> Hashable:  # noqa: ARG002
        """Return the object that a record is about."""
        return self.name, key

    # What becomes of it

    def mark_seen(self, key: str, version: int) -> None:
        """Remember that a full load holds a record, where what it lacks may have to go."""
        if self.vic.ways.mirror and self.name in self.vic.mirrored:
            self.vic.copy(self.name).seen(key, version)

    def gone(self, key: str) -> Item:
        """Return what says that a record is to go."""
        return Item(key, (self.name, key), {}, deleted=True)

    def apply(self, item: Item) -> Outcome:
        """Load the record, or delete what it says is gone.

        Raises:
            Missing, Reject, Outage: see `load` and `delete`.
        """
        if not item.deleted:
            return self.load(item)
        return self.delete(item) if self.vic.ways.delete_records else LEFT

    def compare(self, item: Item) -> Outcome | None:  # noqa: ARG002
        """Return the outcome if nothing needs to be asked or written, else None. Called on the main thread."""
        return None

    @abstractmethod
    def load(self, item: Item) -> Outcome:
        """Bring a record to Vic. Called by many threads at once, but for one lane by one at a time.

        Raises:
            Missing: something that it refers to is not there yet. Reject: Vic does not take it. Outage: Vic failed.
        """

    def delete(self, item: Item) -> Outcome:  # noqa: ARG002
        """Delete what a record speaks of.

        Raises:
            Reject: Vic does not delete it. Outage: Vic failed.
        """
        raise Reject(f"{self.name}: Vic.ai offers no way to delete these.")

    # Help for subclasses

    def emptied(self, body: Plain, present: Plain) -> Plain:
        """Return a body that clears what it lacks: named as null, for what is left out Vic may keep."""
        shown = self.body_shape.members
        lacks = {name for name, shape in shown.items() if name not in body and present.get(name) is not None}
        return {**body, **{name: None for name in lacks if shown[name].nullable}}

    def clearable(self, found: Iterable[Change], body: Plain) -> tuple[Change, ...]:
        """Return differences without those fields that a record lacks and that Vic offers no way to clear."""
        shown = self.body_shape.members
        return tuple(
            one
            for one in found
            if self.omitted_is_cleared or one.path in body or one.path not in shown or shown[one.path].nullable
        )

    def dropped(self, operation: str, find_done: Callable[[], Plain | None], **arguments: str) -> Outcome:
        """Call an operation that deletes; what somebody else deleted meanwhile is unchanged.

        Raises:
            Reject: Vic does not delete it. Outage: Vic failed.
        """
        try:
            self.vic.hands.send(operation, find_done=find_done, **arguments)
        except NotFound:
            return UNCHANGED
        return Outcome("deleted")

    def complete(self, body: Plain) -> Plain:
        """Return a body that has all that it needs.

        Raises:
            Reject: something is missing.
        """
        missing = self.body_shape.missing(body)
        if missing:
            raise Reject(f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing.")
        return body

    def with_parents(self, parents: Iterable[tuple[str, str]], load: Any) -> Any:
        """Call `load()`; where Vic refuses it because parents are not there yet, say so.

        Args:
            parents: what the record refers to, each by kind and natural key.
            load: writes; called once more if a parent came just after it was refused.

        Raises:
            Missing: parents are not there (yet). Refused: Vic refuses it for another reason.
        """
        parents = list(dict.fromkeys(parents))
        self.vic.await_parents(parents)
        if self.vic.ways.dry_run:
            self._all_there(parents, "")
            return load()
        try:
            return load()
        except Refused as refusal:
            if not parents:
                raise
            self._all_there(parents, f" {refusal}")
            # One whose write is still under way is at Vic by now, but perhaps was not when we were refused.
            self.vic.await_parents(parents)
            if not any(self.vic.has_come(parent) for parent in parents):
                raise
            # They are there; perhaps they came while we were being refused.
            return load()

    def _all_there(self, parents: list[tuple[str, str]], said: str) -> None:
        absent = self.vic.absent(parents)
        if absent:
            raise missing(absent, said)

    @staticmethod
    def is_older(ours: Plain, theirs: Plain) -> bool:
        """Whether the ERP has told Vic of a later state of the same thing already (both times by the ERP's clock)."""
        mine, known = ours.get("externalUpdatedAt"), theirs.get("externalUpdatedAt")
        if mine == known:
            return False
        return bool(mine and known and LOCAL.knows(known) and LOCAL.milliseconds(mine) < LOCAL.milliseconds(known))


LEFT = Outcome("unchanged", note="marked as deleted, and left alone (deletes: ignore)")
OLDER = Outcome("unchanged", note="Vic.ai holds a later state (externalUpdatedAt)")


def external_id(body: Plain) -> str:
    """Return the ERP's id.

    Raises:
        Reject: there is none, or none that can stand in an address.
    """
    value = body.get("externalId")
    if not isinstance(value, str) or not value:
        raise Reject("externalId is missing: it is the record's key.")
    if value in {".", ".."}:
        raise Reject(f"externalId {value!r} cannot stand in an address; Vic.ai asks for it there.")
    return value


def _object(schema: Mapping[str, Any]) -> ObjectSchema:
    shape = Schema.of(schema)
    assert isinstance(shape, ObjectSchema)  # noqa: S101 - bodies and components of the contract are objects
    return shape
