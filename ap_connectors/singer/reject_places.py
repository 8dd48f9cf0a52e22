"""Where in a record stands what it refers to: a refusal knows the key, and a person looks for the field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ap_connectors.singer.coercion import joined


def located(params: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a reject, with the `field` of each reference that the record has literally.

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
    field = next((path for path, value in _leaves(record, "") if str(value) == str(key)), None)
    return {**params} if field is None or "field" in params else {**params, "field": field}


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, member in value.items():
            yield from _leaves(member, joined(path, name))
    elif isinstance(value, list):
        for number, element in enumerate(value):
            yield from _leaves(element, f"{path}[{number}]")
    elif value is not None:
        yield path, value
