"""The contract as data: documents, lines and column values (`document.schema.json`), and what follows from it."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Collection, Mapping
from importlib import resources
from typing import Any

from ap_connectors.core.raw_json import Record, text, truth


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


PARTIES = ("buyer", "seller")


def companies(document: Record) -> list[str]:
    """Return the registration codes of a document's companies: the accountant's own, or else both parties'."""
    return companies_of(
        {party: text(document, f"{party}code") for party in PARTIES},
        [party for party in PARTIES if truth(document, f"{party}isfavorite")],
    )


def companies_of(codes: Mapping[str, str | None], own: Collection[str]) -> list[str]:
    """Do the same with the registration codes by party, and the parties that are the accountant's own companies."""
    known = {party: code.strip() for party, code in codes.items() if code and code.strip()}
    return [code for party, code in known.items() if party in own] or list(known.values())
