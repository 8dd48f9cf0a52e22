"""What a stream says in its attributes is in the contract: run this first for a new one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from singer_sdk import Stream

from ap_connectors.vicai import contract
from tap_vicai.base import ChildStream, DocumentStream, FullTableStream, IncrementalStream, VicaiStream
from tap_vicai.streams import ALL


def fields(stream: type[VicaiStream]) -> set[str]:
    return set(contract.component(stream.component)["properties"]) | stream.own_fields.keys()


def wrong(stream: type[Stream]) -> Iterator[str]:
    """Yield the attributes that name what the contract does not have."""
    operation = getattr(stream, "operation", None)
    if operation is None:
        if not issubclass(stream, ChildStream):
            yield "operation is missing"
    elif operation not in contract.operations():
        yield f"operation: the contract has no operation {operation}"
        return
    else:
        called = contract.operation(operation)
        known = {parameter.name for parameter in called.parameters}
        yield from (f"query: {operation} takes no {name}" for name in getattr(stream, "query", {}) if name not in known)
        if issubclass(stream, IncrementalStream) and "since" not in known:
            yield f"operation: {operation} takes no since: use FullTableStream"
    if issubclass(stream, VicaiStream):
        if stream.component not in contract.document()["components"]["schemas"]:
            yield f"component: the contract has no schema {stream.component}"
            return
        named = {"key_fields": stream.key_fields, "instant_field": tuple(filter(None, [stream.instant_field]))}
        for attribute, names in named.items():
            yield from (
                f"{attribute}: {stream.component} has no {name}" for name in names if name not in fields(stream)
            )
    if issubclass(stream, ChildStream) and hasattr(stream, "parent_field"):
        parent: Any = stream.parent_stream_type
        of_parent = fields(parent)
        from_parent = {**stream.parent_keys, **stream.parent_version}
        for name in (stream.parent_field, *from_parent.values()):
            if name not in of_parent:
                yield f"parent_field, parent_keys: {parent.name} has no {name}"
        for name in from_parent.keys() - stream.own_fields.keys():
            yield f"parent_keys: own_fields lacks {name}"


@pytest.mark.parametrize("stream", ALL, ids=lambda stream: stream.name)
def test_attributes_are_in_the_contract(stream: type[Stream]) -> None:
    assert list(wrong(stream)) == []
    assert (stream.__doc__ or "").strip(), "say what it is, and which section of the service's description"
    assert issubclass(stream, VicaiStream | DocumentStream)


def test_wrong_names_are_told() -> None:
    class Tags(FullTableStream):
        """Nothing."""

        name, operation, component, key_fields = "tags", "listTag", "Tag", ("id",)

    class Terms(IncrementalStream):
        """Nothing."""

        name, operation, component, key_fields = "terms", "listPaymentTerms", "PaymentTerm", ("number",)
        query = {"useSystem": "INTERNAL"}  # noqa: RUF012 - as one would write it

    assert list(wrong(Tags)) == ["operation: the contract has no operation listTag"]
    assert list(wrong(Terms)) == [
        "query: listPaymentTerms takes no useSystem",
        "operation: listPaymentTerms takes no since: use FullTableStream",
        "key_fields: PaymentTerm has no number",
        "instant_field: PaymentTerm has no internalUpdatedAt",
    ]
