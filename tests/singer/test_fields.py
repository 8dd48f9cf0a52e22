"""Which fields leave, and as what."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ap_connectors.core.errors import Stop
from ap_connectors.core.raw_json import Record
from ap_connectors.singer.fields import FieldTypes

CONTRACT: dict[str, Any] = {
    "id": {"type": ["string"]},
    "total": {"type": ["number", "null"]},
    "userdata": {"type": ["string", "null"]},
    "lines": {"type": ["array", "null"]},
}
AS_TEXT = CONTRACT | {"total": {"type": ["string", "null"]}}


def record(text: str) -> Record:
    return msgspec.json.decode(text, type=Record)


def encoded(fields: FieldTypes, text: str) -> tuple[str, bool]:
    content, changed = fields.encode(record(text))
    return content.decode(), changed


def everything(_: str) -> bool:
    return True


def test_known_fields_pass_untouched() -> None:
    text = '{"id":"a","total":0.10,"userdata":"x","lines":[{"total":1.00}]}'
    assert encoded(FieldTypes(CONTRACT, CONTRACT, everything), text) == (text, False)


def test_deselected_fields_stay() -> None:
    fields = FieldTypes(CONTRACT, CONTRACT, lambda name: name not in {"lines", "secret"})
    assert encoded(fields, '{"id":"a","lines":[],"secret":1}') == ('{"id":"a"}', False)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0.10", '"0.10"'),
        ("null", "null"),
        ('"x"', '"x"'),
        ("true", '"true"'),
        ('{"a":"ą\\""}', r'"{\"a\":\"ą\\\"\"}"'),
    ],
)
def test_text_fields_leave_as_text(value: str, text: str) -> None:
    assert encoded(FieldTypes(CONTRACT, AS_TEXT, everything), f'{{"total":{value}}}') == (f'{{"total":{text}}}', False)
    assert encoded(FieldTypes(CONTRACT, CONTRACT, everything), f'{{"userdata":{value}}}')[0] == f'{{"userdata":{text}}}'


@pytest.mark.parametrize(
    ("value", "kind"),
    [("1", "number"), ("-0.5", "number"), ('"x"', "string"), ("false", "boolean"), ("{}", "object"), ("[]", "array")],
)
def test_new_fields_pass_and_are_declared_once(value: str, kind: str) -> None:
    fields = FieldTypes(CONTRACT, CONTRACT, everything)
    text = f'{{"id":"a","new":{value}}}'
    assert encoded(fields, '{"id":"a","new":null}') == ('{"id":"a","new":null}', False)
    assert encoded(fields, text) == (text, True)
    assert fields.added == {"new": {"type": [kind, "null"]}}
    assert encoded(fields, text) == (text, False)
    assert encoded(fields, '{"id":"a","new":null}')[1] is False


@pytest.mark.parametrize("value", ["1.50", '{"a":1.50}', "[1.50]"])
def test_new_numbers_follow_the_known_ones(value: str) -> None:
    fields = FieldTypes(CONTRACT, AS_TEXT, everything)
    made, changed = encoded(fields, f'{{"new":{value}}}')
    assert msgspec.json.decode(made) == {"new": value}
    assert changed
    assert fields.added == {"new": {"type": ["string", "null"]}}


@pytest.mark.parametrize("kind", ["object", "array"])
def test_new_numbers_follow_known_objects_and_lists(kind: str) -> None:
    """Who wants these as text has a destination that spoils numbers."""
    contract = {"lines": {"type": [kind, "null"]}}
    fields = FieldTypes(contract, {"lines": {"type": ["string", "null"]}}, everything)
    assert encoded(fields, '{"new":1.50}') == ('{"new":"1.50"}', True)


def test_a_field_that_changes_its_kind_becomes_text_for_good() -> None:
    fields = FieldTypes(CONTRACT, CONTRACT, everything)
    assert encoded(fields, '{"new":1.0}') == ('{"new":1.0}', True)
    assert encoded(fields, '{"new":[1.0]}') == ('{"new":"[1.0]"}', True)
    assert encoded(fields, '{"new":1.0}') == ('{"new":"1.0"}', False)
    assert fields.added == {"new": {"type": ["string", "null"]}}


def test_what_a_stale_catalog_lacks_is_declared_as_the_contract_has_it() -> None:
    stale = {name: field for name, field in CONTRACT.items() if name != "userdata"}
    fields = FieldTypes(CONTRACT, stale, everything)
    assert encoded(fields, '{"userdata":{"a":1}}') == (r'{"userdata":"{\"a\":1}"}', True)
    assert fields.added == {"userdata": CONTRACT["userdata"]}


def test_new_fields_of_a_record_are_declared_at_once() -> None:
    fields = FieldTypes(CONTRACT, CONTRACT, everything)
    assert encoded(fields, '{"b":1,"a":"x","c":null}')[1] is True
    assert fields.new == ["b", "a"]
    fields.new.clear()
    assert encoded(fields, '{"b":2,"a":"y","c":null}')[1] is False
    assert encoded(fields, '{"c":[]}')[1] is True
    assert fields.new == ["c"]


@pytest.mark.parametrize("selected", [True, False])
@pytest.mark.parametrize("together", [True, False])
def test_unknown_fields_have_an_end(together: bool, selected: bool) -> None:
    known = {f"known{number}": {"type": ["string", "null"]} for number in range(1000)}
    fields = FieldTypes(CONTRACT | known, CONTRACT, lambda name: selected or name in CONTRACT, "documents")
    # What the contract has is not counted.
    fields.encode(record(msgspec.json.encode(dict.fromkeys(known, "x")).decode()))
    names = [f"new\u001b[2J{number}" for number in range(400)]
    records = [dict.fromkeys(names, 1)] if together else [{name: 1} for name in names]
    for one in records[:300] if not together else []:
        fields.encode(record(msgspec.json.encode(one).decode()))
    with pytest.raises(Stop) as stopped:
        fields.encode(record(msgspec.json.encode(records[-1]).decode()))
    said = str(stopped.value)
    assert said.startswith(
        "documents: more than 300 fields that neither the catalog nor the contract has, lately new\\x1b"
    )
    assert said.isprintable()
    assert len(said) < 1000
