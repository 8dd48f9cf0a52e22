"""The contract as data: complete, nullable, open for fields to come, and fresh for each who asks."""

from __future__ import annotations

from typing import Any

from ap_connectors.ivesk import contract
from ap_connectors.sandbox.process import SandboxProcess


def types(schema: dict[str, Any]) -> set[str]:
    return set(schema["type"])


def test_every_field_of_the_sandbox_is_in_the_contract(sandbox: SandboxProcess) -> None:
    document, line = contract.schema("document")["properties"], contract.schema("line")["properties"]
    for held in sandbox.control.documents(with_url=True):
        assert set(held) <= set(document)
        assert all(set(entry) <= set(line) for entry in held["lines"])


def test_every_field_but_the_key_may_be_null_and_is_described() -> None:
    for name, key in (("document", "id"), ("line", None), ("column_value", "code")):
        for field, schema in contract.schema(name)["properties"].items():
            assert schema["description"].endswith(".")
            assert ("null" in types(schema)) == (field != key)


def test_objects_are_open() -> None:
    document = contract.schema("document")
    assert document["additionalProperties"] is True
    assert document["properties"]["lines"]["items"]["additionalProperties"] is True


def test_a_change_stays_with_who_made_it() -> None:
    contract.schema("document")["properties"].clear()
    assert contract.schema("document")["properties"]
