"""The contract as data, in two ages: Vic.ai API 0.20.0 (`openapi.json`), and what 10.40.4 changes in it (`live.json`).

`live.json` is a JSON Merge Patch (RFC 7396). The live age has all of 0.20.0's operations and fields and more, so
clients read and write by it, whichever age they meet; the sandbox plays either. Names, types and limits are the
service's; descriptions are ours, and so are the members that begin with ``x-``: ``x-clock: local`` marks times of the
ERP's wall clock, which must never be given a zone.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Literal

import msgspec

from ap_connectors.core import instants

Schema = dict[str, Any]
Age = Literal["0.20", "live"]
FIRST: Age = "0.20"
LIVE: Age = "live"

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
        age: the age whose contract it was read from.
        since: the age that it came with.
    """

    name: str
    method: str
    path: str
    parameters: tuple[Parameter, ...]
    body: Mapping[str, Schema]
    body_required: bool
    answers: Mapping[str, Mapping[str, Schema]]
    tag: str
    age: Age
    since: Age

    @property
    def takes_limit(self) -> bool:
        """Whether every age that has it lists page by page, so that it can be told how long a page may be."""
        in_first = operation(self.name, FIRST) if self.name in _places(FIRST) else self
        return any(parameter.name == "limit" for parameter in in_first.parameters)


@functools.cache
def document(age: Age = LIVE) -> dict[str, Any]:
    """Return the whole contract of an age; not to be changed."""
    return _file("openapi.json") if age == FIRST else _merged(document(FIRST), _file("live.json"))


def _file(name: str) -> dict[str, Any]:
    return msgspec.json.decode(resources.files(__package__).joinpath(name).read_bytes(), type=Schema)


def _merged(target: Any, patch: Any) -> Any:
    """Return what a JSON Merge Patch (RFC 7396) makes of a document."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merged(merged.get(name), value)
    return merged


@functools.cache
def operations(age: Age = LIVE) -> Mapping[str, Operation]:
    """Return all operations by name. Their schemas still hold references; `inlined` resolves them."""
    return {name: operation(name, age) for name in _places(age)}


@functools.cache
def operation(name: str, age: Age = LIVE) -> Operation:
    """Return one operation; a run needs few of them.

    Raises:
        KeyError: the contract does not have it.
    """
    path, method = _places(age)[name]
    found = document(age)["paths"][path][method]
    body = _resolved(found.get("requestBody", {}), age)
    return Operation(
        name=name,
        method=method.upper(),
        path=path,
        parameters=tuple(_parameter(_resolved(one, age)) for one in found.get("parameters", [])),
        body=_schemas(body),
        body_required=body.get("required", False),
        answers={status: _schemas(_resolved(answer, age)) for status, answer in found["responses"].items()},
        tag=found["tags"][0],
        age=age,
        since=FIRST if name in _places(FIRST) else LIVE,
    )


@functools.cache
def _places(age: Age) -> Mapping[str, tuple[str, str]]:
    """Return where operations are described, by name: under which path and method."""
    return {
        item[method]["operationId"]: (path, method)
        for path, item in document(age)["paths"].items()
        for method in _METHODS
        if method in item
    }


def unused() -> Mapping[str, tuple[str, str]]:
    """Return the operations of 10.40.4 that nothing here calls, by name: call ("GET /v2/users"), and why not."""
    return {
        name: (call, group["why"]) for group in document()["x-unused"] for name, call in group["operations"].items()
    }


def component(name: str, age: Age = LIVE) -> Schema:
    """Return a schema of the contract by its name ("Vendor"), all references resolved."""
    return inlined({"$ref": f"#/components/schemas/{name}"}, age)


def inlined(schema: Schema, age: Age = LIVE) -> Schema:
    """Return a schema with all references resolved. What stands beside a reference wins over what it refers to."""
    if "$ref" in schema:
        beside = {name: value for name, value in schema.items() if name != "$ref"}
        return inlined({**_resolve(schema["$ref"], age), **beside}, age)
    return {name: _inlined_member(value, age) for name, value in schema.items()}


def _inlined_member(value: Any, age: Age) -> Any:
    if isinstance(value, dict):
        return inlined(value, age)
    if isinstance(value, list):
        return [_inlined_member(item, age) for item in value]
    return value


def singer_schema(name: str) -> Schema:
    """Return the JSON Schema of a stream that shows a component: plain, nullable throughout, open to new fields.

    Limits and enumerations are left out, because the live service has more values than the contract; so is the format
    of wall-clock times, so that no destination adds a zone to them: `x-clock` tells them. `x-decimal` marks text that
    holds decimals.
    """
    shown = component(name)
    schema = _plain(shown)
    for field, own in shown.get("properties", {}).items():
        chosen = _chosen(own)
        if chosen.get("format") == "decimal":
            schema["properties"][field]["x-decimal"] = True
        if chosen.get("x-clock") == "local":
            schema["properties"][field]["x-clock"] = "local"
    return {**schema, "type": "object"}


def _chosen(schema: Schema) -> Schema:
    """Return a schema without its choices: the contract chooses between one and null, where things are read."""
    choices = schema.get("oneOf") or schema.get("anyOf") or ()
    chosen = next((choice for choice in choices if choice.get("type") != "null"), None)
    if chosen is None:
        return schema
    return _chosen({**chosen, **{name: value for name, value in schema.items() if name not in {"oneOf", "anyOf"}}})


def _plain(schema: Schema) -> Schema:
    schema = _chosen(schema)
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


def _parameter(found: Schema) -> Parameter:
    return Parameter(found["name"], found["in"], found.get("required", False), found.get("schema", {}))


def _schemas(message: Schema) -> dict[str, Schema]:
    return {media: content.get("schema", {}) for media, content in message.get("content", {}).items()}


def _resolved(found: Schema, age: Age) -> Schema:
    return _resolve(found["$ref"], age) if "$ref" in found else found


def _resolve(reference: str, age: Age) -> Schema:
    found: Any = document(age)
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
