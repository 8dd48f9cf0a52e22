"""What a JSON Schema declares, whichever of its many ways it says so in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_TYPED_BY = {"properties": "object", "items": "array", "enum": "string", "maxLength": "string"}
_FORMATS = {"decimal", "date", "date-time", "uuid"}


@dataclass(frozen=True)
class Declared:
    """What a schema declares on its own level.

    Args:
        schema: the schema, with the parts of its `allOf` made its own.
        choices: the schemas of which a value fits one, null left out, each with what stands beside them; empty if
            there is nothing to choose.
        kind: a JSON type, "any", or for text one of the formats that are checked ("date"); means nothing with choices.
        nullable: whether null is allowed.
    """

    schema: Mapping[str, Any]
    choices: list[Mapping[str, Any]]
    kind: str
    nullable: bool

    @classmethod
    def of(cls, schema: Mapping[str, Any]) -> Declared:
        """Read a schema whose references are resolved."""
        schema = _with_parts(schema)
        kinds = schema.get("type", [])
        kinds = [kinds] if isinstance(kinds, str) else list(kinds)
        several = [kind for kind in kinds if kind != "null"]
        written = schema.get("oneOf") or schema.get("anyOf") or []
        real = [choice for choice in written if choice.get("type") != "null"]
        nullable = len(real) < len(written) or "null" in kinds or schema.get("nullable") is True
        around = {name: value for name, value in schema.items() if name not in {"oneOf", "anyOf", "nullable"}}
        if real:
            choices: list[Mapping[str, Any]] = [_merged(around, choice) for choice in real]
        else:
            choices = [{**around, "type": kind} for kind in several] if len(several) > 1 else []
        return cls(schema, choices, _kind(schema, several[0] if several else ""), nullable)


def _kind(schema: Mapping[str, Any], kind: str) -> str:
    kind = kind or next((kind for member, kind in _TYPED_BY.items() if member in schema), "any")
    form = str(schema.get("format"))
    return form if form in _FORMATS and kind in {"string", "any"} else kind


def _with_parts(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a schema with the parts of its `allOf` made its own."""
    whole = {name: value for name, value in schema.items() if name != "allOf"}
    for part in schema.get("allOf", []):
        whole = _merged(whole, _with_parts(part))
    return whole


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**one, **other}
    if "properties" in one or "properties" in other:
        merged["properties"] = {**one.get("properties", {}), **other.get("properties", {})}
        merged["required"] = [*one.get("required", []), *other.get("required", [])]
    return merged
