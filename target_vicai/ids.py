"""Ids of records as they are meant: without the white space around them; a blank one is missing."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from ap_connectors.core.raw_json import JsonObject
from ap_connectors.core.validate import id_text

_ID = re.compile(r"(?:^id|(?<!tax)Id|Ids)$")
_OF_REFERENCES = frozenset({"code", "number"})
"""What also identifies the object that a part of a record refers to; in the object itself it is text."""
_OF_THE_ERP = frozenset({"externalData", "remoteData"})
_MISSING = object()


def as_meant(record: JsonObject, keys: Collection[str] = _OF_REFERENCES) -> JsonObject:
    """Return a record or a part of one: ids without what is invisible around them, and no blank ids.

    All other texts are as they came. A reference of blank ids only is missing, too.

    Args:
        record: in the contract's names and types.
        keys: names of further fields that hold ids.
    """
    changed: JsonObject = {}
    for name, value in record.items():
        # Most fields are texts that are no ids: a call for each would cost a tenth of a load.
        if type(value) is str and not _IS_ID[name] and name not in keys:
            continue
        meant = _meant(name, value, keys)
        # The very same object where nothing changes, as in nearly all records.
        if meant is not value:
            changed[name] = meant
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
