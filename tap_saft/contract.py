"""Names and types of the fields: from `fields.json`, and from Vic.ai's contract for records that go there."""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import Any

from ap_connectors.vicai import contract as vic

_TYPES: dict[str, dict[str, Any]] = {
    "text": {"type": ["string", "null"]},
    "number": {"type": ["number", "null"]},
    "integer": {"type": ["integer", "null"]},
    "object": {"type": ["object", "null"], "properties": {}, "additionalProperties": True},
    # Elements are text or objects, as the file has them.
    "list": {"type": ["array", "null"], "items": {"type": ["object", "string", "null"], "additionalProperties": True}},
}


@functools.cache
def _declared() -> dict[str, dict[str, list[str]]]:
    text = resources.files(__package__).joinpath("fields.json").read_text(encoding="utf-8")
    declared: dict[str, dict[str, list[str]]] = json.loads(text)
    return declared


def fields(section: str) -> dict[str, Any]:
    """Return the JSON Schemas of a section's fields, by name."""
    return {name: _field(kind, words) for name, (kind, words) in _declared()[section].items()}


def _field(kind: str, words: str) -> dict[str, Any]:
    # What has a title of its own is for a warehouse: target-vicai leaves it out without a warning.
    return {**_TYPES[kind], "title": "SAF-T", "description": words}


@functools.cache
def kinds(section: str) -> dict[str, str]:
    """Return the types of a section's fields, by name: text, number, integer, object or list."""
    return {name: kind for name, (kind, _) in _declared()[section].items()}


def vic_fields(component: str, names: tuple[str, ...]) -> dict[str, Any]:
    """Return the JSON Schemas of some fields of a component of Vic.ai's contract ("Vendor"), by name."""
    known = vic.singer_schema(component)["properties"]
    return {name: known[name] for name in names}


def party(id_name: str) -> dict[str, Any]:
    """Return the first fields of a customer or supplier: company, id (named `id_name`), and number of the entry."""
    return {
        "company_id": fields("parties")["company_id"],
        id_name: _field("text", "Id in the books."),
        "occurrence": _field("integer", "Place among the entries of this id in the file, from 1."),
    }


FORMER_KEY: dict[str, Any] = {
    "formerExternalId": {
        **_TYPES["text"],
        "description": "Key without the type, as 0.1.0 wrote it; target-vicai goes on with it where Vic.ai has that.",
    }
}
