"""Where in a record stands what it refers to: a refusal knows the key, and a person looks for the field."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ap_connectors.singer.coercion import joined
from ap_connectors.singer.schema import canonical

_holds_ids = re.compile(r"(?:id|ids|code|number|name)(?:\[[0-9]+\])?$", re.IGNORECASE).search
"""True of paths of fields that may name another record."""


def located(params: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a reject, with the `field` of each reference, where only one can be meant.

    Args:
        params: of any code; of several reasons each is completed.
        record: as it came.
    """
    found = dict(params)
    if isinstance(references := params.get("references"), list):
        found["references"] = [_with_field(one, one.get("key"), record) for one in references]
    elif "kind" in params and "name" in params:
        found = _with_field(params, params["name"], record)
    if isinstance(reasons := params.get("reasons"), list):
        found["reasons"] = [{**one, "params": located(one["params"], record)} for one in reasons]
    return found


def _with_field(params: Mapping[str, Any], key: Any, record: Mapping[str, Any]) -> dict[str, Any]:
    if "field" in params:
        return {**params}
    found = [path for path, value in _leaves(record, "") if str(value) == str(key)]
    # An amount may have the digits of a key, and an index those of an account.
    kind = canonical(str(params.get("kind") or ""))
    named = [path for path in found if kind and kind in canonical(path)]
    ids = [path for path in found if _holds_ids(path)]
    field = named[0] if named else ids[0] if len(ids) == 1 else None
    return {**params} if field is None else {**params, "field": field}


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, member in value.items():
            yield from _leaves(member, joined(path, name))
    elif isinstance(value, list):
        for number, element in enumerate(value):
            yield from _leaves(element, f"{path}[{number}]")
    elif value is not None:
        yield path, value
