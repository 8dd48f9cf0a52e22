"""What an operation does unless a rule says otherwise: list, get, create, write, delete."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from ap_connectors.sandbox.vicai.call import Call, Handler, Refusal
from ap_connectors.sandbox.vicai.lists import list_records
from ap_connectors.sandbox.vicai.resources import RESOURCES, Entry, Record
from ap_connectors.vicai import contract
from ap_connectors.vicai.contract import Age, Operation, Schema


def default(operation: Operation) -> Handler:
    """Return what an operation does by its verb, and by whether its path ends in an id.

    Raises:
        LookupError: Nothing follows from these; the operation needs a rule.
    """
    if operation.path.count("/") != 1 + operation.path.endswith("}"):
        raise LookupError(f"{operation.name} needs a handler in sandbox/vicai/rules")
    return _BY_SHAPE[operation.method, operation.path.endswith("}")]


def get(call: Call) -> Response:
    """Answer one record."""
    return call.done(call.entry().body)


def create(call: Call) -> Response:
    """Write a new record; the service does not look for duplicates, but an external id belongs to one record."""
    body = call.body or {}
    name = call.resource.name
    ensure_unique(call, body.get("externalId"), None)
    entry = call.store.save(name, readable(call.resource.component, body, call.age))
    return call.done(entry.body, created=True)


def write(call: Call) -> Response:
    """Change a record, or create it under the ERP's id; members that are left out keep their values."""
    found = known(call)
    before = {} if found is None else call.store.record(found)
    return put(call, found, merged(call.resource.component, before, call.body, call.age))


def known(call: Call) -> Entry | None:
    """Find the record to write; return None if the call creates it.

    Raises:
        Refusal: 404, the id is one of Vic's own, and unknown.
    """
    if call.system == "internal":
        return call.entry()
    return call.store.find(call.resource.name, "external", call.id)


def put(call: Call, found: Entry | None, record: Record) -> Response:
    """Write a record in place of what was found, and answer it."""
    if RESOURCES[call.resource.name].key == "internalId" and call.system == "external":
        record.setdefault("externalId", call.id)
    ensure_unique(call, record.get("externalId"), found)
    missing = sorted(set(_component(call.resource.component, call.age).get("required", ())) - record.keys() - _BY_VIC)
    if missing:
        raise Refusal(refused_by(call.operation), f"{missing[0]} can't be blank.")
    entry = call.store.save(call.resource.name, record, over=found)
    return call.done(entry.body, created=found is None)


def delete(call: Call) -> Response:
    """Delete a record; the answer is what it was."""
    entry = call.entry()
    call.store.delete(call.resource.name, entry)
    return call.done(entry.body)


def ensure_unique(call: Call, external_id: str | None, found: Entry | None) -> None:
    """Make sure that an external id is not another record's.

    Raises:
        Refusal: 422, it is.
    """
    holder = None if external_id is None else call.store.find(call.resource.name, "external", external_id)
    if holder is not None and holder is not found:
        raise Refusal(422, f"externalId {external_id} has already been taken.")


def readable(component: str, body: Mapping[str, Any], age: Age) -> Record:
    """Return what of a body is shown later: members of the component; null only where it may be; money as text."""
    fields = _component(component, age)["properties"]
    record = {name: shown(fields[name], value) for name, value in body.items() if name in fields}
    return {name: value for name, value in record.items() if value is not None or nullable(fields[name])}


def merged(component: str, before: Record, body: Mapping[str, Any], age: Age) -> Record:
    """Return a record with what a body says; null clears, and what is left out stays."""
    kept = {name: value for name, value in before.items() if name not in body or body[name] is not None}
    return {**kept, **readable(component, body, age)}


def shown(schema: Schema, value: Any) -> Any:
    """Return a value as answers show it: money that came as a JSON number is text."""
    choices = schema.get("oneOf") or schema.get("anyOf")
    if choices:
        schema = next((choice for choice in choices if choice.get("type") != "null"), schema)
    if schema.get("format") == "decimal" and value is not None and not isinstance(value, str):
        return str(value)
    if isinstance(value, dict):
        fields = schema.get("properties", {})
        return {name: shown(fields[name], item) if name in fields else item for name, item in value.items()}
    if isinstance(value, list):
        return [shown(schema.get("items", {}), item) for item in value]
    return value


def nullable(schema: Schema) -> bool:
    """Tell whether a member may be null."""
    return any(choice.get("type") == "null" for choice in schema.get("oneOf", ()))


def refused_by(operation: Operation) -> int:
    """Return the status by which an operation refuses a body."""
    return 422 if "422" in operation.answers else 400


_BY_VIC = frozenset({"internalId", "internalUpdatedAt", "id"})


@functools.cache
def _component(name: str, age: Age) -> Schema:
    return contract.component(name, age)


_BY_SHAPE: dict[tuple[str, bool], Handler] = {
    ("GET", False): list_records,
    ("GET", True): get,
    ("POST", False): create,
    ("PUT", True): write,
    ("DELETE", True): delete,
}
