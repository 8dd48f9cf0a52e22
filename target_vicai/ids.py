"""Ids of records as they are meant: without the white space around them; a blank one is missing."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from ap_connectors.core.raw_json import JsonObject
from ap_connectors.core.validate import id_text
from ap_connectors.singer.schema import ObjectSchema, ScalarSchema

_ID = re.compile(r"(?:^id|(?<!tax)Id|Ids)$")
_OF_REFERENCES = frozenset({"code", "number"})
"""What also identifies the object that a part of a record refers to; in the object itself it is text."""
_OF_THE_ERP = frozenset({"externalData", "remoteData"})
_MISSING = object()
_ANYTHING = frozenset({"object", "any"})
"""Kinds of values that a schema says nothing of."""


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
