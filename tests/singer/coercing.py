"""Schemas of a real contract and small ones, and what they make of a value."""

from __future__ import annotations

from typing import Any

import pytest

from ap_connectors.core.errors import Reject
from ap_connectors.singer.schema import ObjectSchema, Schema
from ap_connectors.vicai import contract

LONE = "Šilut\ud800"


def body(operation: str) -> dict[str, Any]:
    (schema,) = contract.operation(operation).body.values()
    return contract.inlined(schema)


def written(operation: str) -> ObjectSchema:
    return ObjectSchema.of(body(operation))


def coerce(schema: dict[str, Any], value: Any) -> Any:
    return Schema.of(schema).coerce(value, "field")


def reason(schema: dict[str, Any], value: Any) -> str:
    with pytest.raises(Reject) as caught:
        coerce(schema, value)
    return str(caught.value)


def refused(schema: ObjectSchema, record: dict[str, Any]) -> str:
    with pytest.raises(Reject) as caught:
        schema.coerce_record(record)
    return str(caught.value)


def exactly(one: Any, other: Any) -> bool:
    """Equal, of one type and with the same digits: 1 is not True, and 1.50 not 1.5."""
    return type(one) is type(other) and repr(one) == repr(other)
