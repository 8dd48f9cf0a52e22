"""What a sink says in its attributes is in the contract, and the sink is tested: run this first for a new one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ap_connectors.singer.sink import Outcome
from ap_connectors.vicai import contract
from target_vicai.item import Item
from target_vicai.sink import VicSink
from target_vicai.streams import ALL
from tests.target_vicai.cases import BY_STREAM


def wrong(sink: type[VicSink]) -> Iterator[str]:
    """Yield the attributes that name what the contract does not have."""
    resource = sink.resource
    operations = {name: getattr(sink, name) for name in dir(sink) if name == "operation" or name.endswith("_operation")}
    if resource is not None:
        operations |= {"resource.list": resource.list_operation, "resource.get": resource.get_operation}
    for name, operation in operations.items():
        if operation is not None and operation not in contract.operations():
            yield f"{name}: the contract has no operation {operation}"
    if sink.component is not None and sink.component not in contract.document()["components"]["schemas"]:
        yield f"component: the contract has no schema {sink.component}"
        return
    fields = contract.component(sink.component)["properties"].keys() if sink.component else set()
    for key in () if resource is None else (*resource.key, *filter(None, [resource.second_key])):
        if key not in fields:
            yield f"resource: {sink.component} does not show {key}"


@pytest.mark.parametrize("sink", ALL, ids=lambda sink: sink.name)
def test_attributes_are_in_the_contract(sink: type[VicSink]) -> None:
    assert list(wrong(sink)) == []
    assert (sink.__doc__ or "").strip(), "say what it is, and which section of the service's description"


@pytest.mark.parametrize("sink", [sink for sink in ALL if sink.mirrored], ids=lambda sink: sink.name)
def test_what_full_loads_delete_from_has_an_id_of_the_erp(sink: type[VicSink]) -> None:
    assert sink.resource is not None
    assert sink.resource.key == ("externalId",)


def test_every_stream_has_a_case() -> None:
    """By which it goes through lost answers, replays, spellings and plans as all others do."""
    lacking = BY_STREAM.keys() ^ {sink.name for sink in ALL}
    assert not lacking, f"{lacking}: add them to tests/target_vicai/cases_*.py, or to ALL of target_vicai/streams.py"


def test_a_wrong_name_is_told() -> None:
    class Misspelt(VicSink):
        """Nothing."""

        name, operation, component = "misspelt", "upsertAcount", "Acount"

        def load(self, item: Item) -> Outcome:
            raise NotImplementedError

    assert list(wrong(Misspelt)) == [
        "operation: the contract has no operation upsertAcount",
        "component: the contract has no schema Acount",
    ]
