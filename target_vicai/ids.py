"""Ids of records as they are meant: without the white space around them; a blank one is missing."""

from __future__ import annotations

import functools
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
    meant = {
        name: _meant(value, _is_id(name) or name in keys) for name, value in record.items() if name not in _OF_THE_ERP
    }
    return {name: meant.get(name, value) for name, value in record.items() if meant.get(name) is not _MISSING}


def _meant(value: Any, is_id: bool) -> Any:
    if isinstance(value, str):
        return (id_text(value) or _MISSING) if is_id else value
    if isinstance(value, dict):
        return as_meant(value) or (_MISSING if value else value)
    if isinstance(value, list):
        return [meant for one in value if (meant := _meant(one, is_id)) is not _MISSING]
    return value


@functools.cache
def _is_id(name: str) -> bool:
    return _ID.search(name) is not None
