"""A record as a sink has read it, its ids as they are meant, and the reject of one without a key."""

from __future__ import annotations

import re
from collections.abc import Collection, Hashable, Mapping
from typing import Any

import msgspec

from ap_connectors.core.errors import Reject
from ap_connectors.core.instants import UTC
from ap_connectors.core.raw_json import JsonObject
from ap_connectors.core.validate import id_text
from ap_connectors.singer.coercion import quoted
from ap_connectors.singer.schema import ObjectSchema, ScalarSchema
from ap_connectors.singer.worker_pool import Parent
from target_vicai.approval import Work

_ID = re.compile(r"(?:^id|(?<!tax)Id|Ids)$")
_OF_REFERENCES = frozenset({"code", "number"})
"""What also identifies the object that a part of a record refers to; in the object itself it is text."""
_OF_THE_ERP = frozenset({"externalData", "remoteData"})
_MISSING = object()
_ANYTHING = frozenset({"object", "any"})
"""Kinds of values that a schema says nothing of."""


class Item(msgspec.Struct, frozen=True):
    """A record in the contract's names and types. There is one for each: a dataclass takes ten times as long to make.

    Args:
        key: its natural key, as messages show it.
        order_key: the object that it is about; equal for all records about it, so that they stay in order.
        body: what goes into the body of a call.
        extras: what else it says: references by natural keys, documents, ids.
        deleted: it says that the object is to be deleted.
        rejected: what an earlier run said when it set the record aside, if one did.
        provides: what records of other streams may wait for, and have once this one is loaded.
        works: what a plan notes of it; two records may have one key, so the key does not tell.
    """

    key: str
    order_key: Hashable
    body: JsonObject
    extras: JsonObject = msgspec.field(default_factory=dict)
    deleted: bool = False
    rejected: Mapping[str, Any] | None = None
    provides: Parent | None = None
    works: list[Work] = msgspec.field(default_factory=list)

    @property
    def replayed(self) -> str | None:
        """When an earlier run set it aside, the first of several, if one did (an instant, UTC)."""
        mark = self.rejected
        return None if mark is None else str(mark.get("first_at") or mark.get("at") or "")


def changed_since_reject(item: Item, present: JsonObject) -> bool | None:
    """Return whether Vic's record changed after ours was set aside; None if it never was, or that is not known."""
    then, now = item.replayed, present.get("internalUpdatedAt")
    if not then or not now or not UTC.knows(then) or not UTC.knows(now):
        return None
    return UTC.milliseconds(now) > UTC.milliseconds(then)


def check_not_newer(item: Item, present: JsonObject, what: str) -> None:
    """Check that a record which was set aside overwrites nothing newer.

    Args:
        item: the record.
        present: what Vic has.
        what: it is, as messages call it.

    Raises:
        Reject: that changed after the record was set aside.
    """
    if changed_since_reject(item, present):
        raise Reject(
            f"{what} {item.key} changed at Vic.ai on {present['internalUpdatedAt']}, after this record was set aside "
            f"on {item.replayed}. Send it afresh, or remove `rejected` from its line to load it all the same.",
            "changed_at_vicai",
            changed=present["internalUpdatedAt"],
            set_aside=item.replayed,
        )


def missing_key(*fields: str) -> Reject:
    """Return the reject of a record without a key; any one of the fields would do."""
    if len(fields) == 1:
        message = f"{fields[0]} is missing: it is the record's key."
    else:
        message = f"{' and '.join(fields)} are missing: one of them is needed as the record's key."
    return Reject(message, "missing_key", fields=list(fields))


def as_param(value: Any) -> str:
    """Return a field's value as a parameter of a reject: text as it is, a number with all its digits."""
    return value if isinstance(value, str) else quoted(value)


class IdFields:
    """Where the ids are in objects of a schema: few of their fields hold any, and only these are looked at.

    Args:
        schema: of the objects.
        keys: names of further fields that hold ids.
    """

    def __init__(self, schema: ObjectSchema, keys: Collection[str] = _OF_REFERENCES) -> None:
        self._declared, self._keys = schema.members.keys(), keys
        self._inside = {
            name: IdFields(member)
            for name, member in schema.members.items()
            if isinstance(member, ObjectSchema) and name not in _OF_THE_ERP
        }
        self._names = [
            name
            for name, member in schema.members.items()
            if _IS_ID[name] or name in keys or not isinstance(member, ScalarSchema) or member.kind in _ANYTHING
        ]

    def as_meant(self, record: JsonObject) -> JsonObject:
        """Return an object as the function does, by the schema that its fields were coerced to."""
        if not record.keys() <= self._declared:
            return as_meant(record, self._keys)
        changed: JsonObject = {}
        for name in self._names:
            value = record.get(name)
            if value is None:
                continue
            inside = self._inside.get(name)
            if inside is None or type(value) is not dict:
                meant = _meant(name, value, self._keys)
            else:
                meant = (inside.as_meant(value) or _MISSING) if value else value
            if meant is not value:
                changed[name] = meant
        return _with(record, changed)


def as_meant(record: JsonObject, keys: Collection[str] = _OF_REFERENCES) -> JsonObject:
    """Return a record or a part of one: ids without what is invisible around them, and no blank ids.

    All other texts are as they came. A reference of blank ids only is missing, too.

    Args:
        record: in the contract's names and types.
        keys: names of further fields that hold ids.
    """
    changed: JsonObject = {}
    for name, value in record.items():
        kind = type(value)
        # Most fields are not ids: a call for each would cost a tenth of a load.
        if (_IS_ID[name] or name in keys) if kind is str else (kind is dict or kind is list):
            meant = _meant(name, value, keys)
            # The very same object where nothing changes, as in nearly all records.
            if meant is not value:
                changed[name] = meant
    return _with(record, changed)


def _with(record: JsonObject, changed: JsonObject) -> JsonObject:
    if not changed:
        return record
    everything = ((name, changed.get(name, value)) for name, value in record.items())
    return {name: value for name, value in everything if value is not _MISSING}


def _meant(name: str, value: Any, keys: Collection[str]) -> Any:
    kind = type(value)
    if kind is str:
        return (id_text(value) or _MISSING) if _IS_ID[name] or name in keys else value
    if kind is dict and value and name not in _OF_THE_ERP:
        return as_meant(value) or _MISSING
    if kind is list and value:
        meant = [_meant(name, one, _OF_REFERENCES) for one in value]
        if any(new is not old for new, old in zip(meant, value, strict=True)):
            return [one for one in meant if one is not _MISSING]
    return value


class _Names(dict[str, bool]):
    """Whether a field holds ids, by its name."""

    def __missing__(self, name: str) -> bool:
        found = _ID.search(name) is not None
        if len(self) < _MOST_NAMES:
            self[name] = found
        return found


_MOST_NAMES = 1024
_IS_ID = _Names()
