"""The contract as data: Vic.ai API 0.20.0, all 71 operations (`openapi.json`), and what follows from it.

Names, types and limits are the service's; descriptions are ours, and so are the members that begin with ``x-``:
``x-clock: local`` marks times of the ERP's wall clock, which must never be given a zone.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from ap_connectors.core import instants

Schema = dict[str, Any]

_METHODS = ("get", "post", "put", "patch", "delete")
_TYPED_BY = {"properties": "object", "items": "array", "enum": "string"}


@dataclass(frozen=True)
class Parameter:
    """A parameter of an operation: `where` is ``path``, ``query`` or ``header``."""

    name: str
    where: str
    required: bool
    schema: Schema


@dataclass(frozen=True)
class Operation:
    """One operation.

    Args:
        name: its operationId ("listVendors").
        method: the HTTP verb, in capitals.
        path: its path template ("/vendors/{id}").
        parameters: path, query and header parameters.
        body: schemas of the request body by media type; empty if it takes none.
        body_required: whether a body must be sent.
        answers: schemas of the answers by status ("200", "4XX") and media type.
        tag: the section of the service's own description ("Vendors").
    """

    name: str
    method: str
    path: str
    parameters: tuple[Parameter, ...]
    body: Mapping[str, Schema]
    body_required: bool
    answers: Mapping[str, Mapping[str, Schema]]
    tag: str

    @property
    def is_paged(self) -> bool:
        """Whether it lists page by page."""
        return any(parameter.name == "cursor" for parameter in self.parameters)


@functools.cache
def document() -> dict[str, Any]:
    """Return the whole contract, as it stands in the file; not to be changed."""
    text = resources.files(__package__).joinpath("openapi.json").read_text(encoding="utf-8")
    contract: dict[str, Any] = json.loads(text)
    return contract


@functools.cache
def operations() -> Mapping[str, Operation]:
    """Return all operations by name. Their schemas still hold references; `inlined` resolves them."""
    return {operation.name: operation for operation in _operations()}


def operation(name: str) -> Operation:
    """Return one operation.

    Raises:
        KeyError: the contract does not have it.
    """
    return operations()[name]


def component(name: str) -> Schema:
    """Return a schema of the contract by its name ("Vendor"), all references resolved."""
    return inlined({"$ref": f"#/components/schemas/{name}"})


def inlined(schema: Schema) -> Schema:
    """Return a schema with all references resolved. What stands beside a reference wins over what it refers to."""
    if "$ref" in schema:
        return inlined({**_resolve(schema["$ref"]), **{name: v for name, v in schema.items() if name != "$ref"}})
    return {name: _inlined_member(value) for name, value in schema.items()}


def _inlined_member(value: Any) -> Any:
    if isinstance(value, dict):
        return inlined(value)
    if isinstance(value, list):
        return [_inlined_member(item) for item in value]
    return value


def singer_schema(name: str) -> Schema:
    """Return the JSON Schema of a stream that shows a component: plain, nullable throughout, open to new fields.

    Limits and enumerations are left out, because the live service has more values than the contract; so is the format
    of wall-clock times, so that no destination adds a zone to them.
    """
    return {**_plain(component(name)), "type": "object"}


def _plain(schema: Schema) -> Schema:
    choices = schema.get("oneOf") or schema.get("anyOf")
    if choices:
        # The contract chooses between a schema and null, and nothing else where things are read.
        chosen = next(choice for choice in choices if choice.get("type") != "null")
        schema = {**chosen, **{name: value for name, value in schema.items() if name not in {"oneOf", "anyOf"}}}
        return _plain(schema)
    kind = schema.get("type") or next((kind for member, kind in _TYPED_BY.items() if member in schema), "object")
    plain: Schema = {"type": [kind, "null"]}
    if kind == "object":
        plain["properties"] = {name: _plain(field) for name, field in schema.get("properties", {}).items()}
        plain["additionalProperties"] = True
    if kind == "array":
        plain["items"] = _plain(schema.get("items", {}))
    # The loaders know these two; the rest (decimal, uuid, ISO-4217) would only make them refuse values.
    if schema.get("format") in {"date-time", "date"} and schema.get("x-clock") != "local":
        plain["format"] = schema["format"]
    if "description" in schema:
        plain["description"] = schema["description"]
    return plain


def _operations() -> Iterator[Operation]:
    for path, item in document()["paths"].items():
        for method in _METHODS:
            if (found := item.get(method)) is None:
                continue
            body = _resolved(found.get("requestBody", {}))
            yield Operation(
                name=found["operationId"],
                method=method.upper(),
                path=path,
                parameters=tuple(_parameter(_resolved(one)) for one in found.get("parameters", [])),
                body=_schemas(body),
                body_required=body.get("required", False),
                answers={status: _schemas(_resolved(answer)) for status, answer in found["responses"].items()},
                tag=found["tags"][0],
            )


def _parameter(found: Schema) -> Parameter:
    return Parameter(found["name"], found["in"], found.get("required", False), found.get("schema", {}))


def _schemas(message: Schema) -> dict[str, Schema]:
    return {media: content.get("schema", {}) for media, content in message.get("content", {}).items()}


def _resolved(found: Schema) -> Schema:
    return _resolve(found["$ref"]) if "$ref" in found else found


def _resolve(reference: str) -> Schema:
    found: Any = document()
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    resolved: Schema = found
    return resolved


def latest_event(batch: Mapping[str, Any]) -> str | None:
    """Return the latest of all times of a payment batch, its payments and its credits; None without any."""
    return max(_times(batch), key=instants.milliseconds, default=None)


def _times(part: Any) -> Iterator[str]:
    """Yield the value of every member that is called ...At and is an instant."""
    if isinstance(part, list):
        for element in part:
            yield from _times(element)
    elif isinstance(part, Mapping):
        for name, value in part.items():
            if isinstance(value, dict | list):
                yield from _times(value)
            elif isinstance(value, str) and name.endswith("At") and instants.UTC.knows(value):
                yield value
