"""The contract as data: what a document, a line and a column value look like (`document.schema.json`)."""

from __future__ import annotations

import copy
import functools
import json
from importlib import resources
from typing import Any


@functools.cache
def _contract() -> dict[str, Any]:
    text = resources.files(__package__).joinpath("document.schema.json").read_text(encoding="utf-8")
    contract: dict[str, Any] = json.loads(text)
    return contract


def schema(name: str = "document") -> dict[str, Any]:
    """Return a fresh JSON Schema of a ``document``, a ``line`` or a ``column_value``, references resolved."""
    contract = _contract()
    found = contract if name == "document" else contract["$defs"][name]
    result = copy.deepcopy({key: found[key] for key in ("type", "properties", "required") if key in found})
    if name == "document":
        result["properties"]["lines"]["items"] = schema("line")
    result["additionalProperties"] = True
    return result
