"""Stream maps of a target: the casts that the SDK documents, decimals with floats, and expressions that fail."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.campaign import one_in
from tests.target_vicai.conftest import Record, Target, load, state
from tests.target_vicai.store import Store
from tests.target_vicai.test_load_input import check_clear

CODE: Record = {
    "externalId": "Z1",
    "externalUpdatedAt": "2026-01-01T00:00:00",
    "code": "Z1",
    "description": "Z1",
    "rate": Decimal("25.50"),
}


@one_in(3)
@pytest.mark.parametrize(
    ("field", "expression", "loaded"),
    [
        ("rate", "rate", "25.50"),
        ("rate", "float(rate)", "25.5"),
        ("rate", "rate * 1.5", "38.250"),
        ("rate", "rate / 0.1", "255"),
        ("rate", "float(rate) * 1.1", "28.05"),
        ("rate", "0.1 + 0.2", "0.3"),
        ("externalUpdatedAt", "datetime.datetime(2026, 1, 2)", "2026-01-02T00:00:00"),
        ("description", "str(float(rate))", "25.5"),
    ],
)
def test_what_expressions_make_is_loaded(
    store: Store, target: Target, field: str, expression: str, loaded: str
) -> None:
    target([*load("vat_codes", CODE), state(1)], stream_maps={"vat_codes": {field: expression}})
    [code] = store.change().added("vatCodes")
    found = str(code[field])
    assert (Decimal(found) == Decimal(loaded)) if field == "rate" else found.startswith(loaded)


@one_in(3)
@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("rate + code", "the expression 'rate + code' fails: TypeError"),
        ("nonesuch", "NameNotDefined: 'nonesuch' is not defined"),
        ("rate / 0", "DivisionByZero"),
        ("float('nan')", "nan is not a number in JSON"),
    ],
)
def test_an_expression_that_fails_is_explained(store: Store, target: Target, expression: str, words: str) -> None:
    run = target([*load("vat_codes", CODE), state(1)], expect=1, stream_maps={"vat_codes": {"rate": expression}})
    said = check_clear(run)
    assert "stream_maps: vat_codes, line 2: " in said
    assert words in said
    assert run.states == []
    store.untouched()


@one_in(4)
@pytest.mark.parametrize(
    "members",
    [{}, {"properties": None}, {"properties": []}, {"anyOf": [{"properties": {}}]}, {"properties": {"code": "string"}}],
    ids=str,
)
@pytest.mark.parametrize(
    "mapping",
    [
        {"description": "code + '!'"},
        {"__filter__": "code == 'Z1'", "description": "code + '!'"},
        {"__else__": None, **{name: name for name in CODE}, "description": "code + '!'"},
    ],
    ids=lambda mapping: next(iter(mapping)),
)
def test_a_schema_may_say_nothing_of_the_fields(store: Store, target: Target, members: Record, mapping: Record) -> None:
    """The service's contract knows their types; some taps send a bare `{}`."""
    head, *records = load("vat_codes", CODE)
    run = target([head | {"schema": members}, *records, state(1)], stream_maps={"vat_codes": mapping})
    [code] = store.change().added("vatCodes")
    assert (code["externalId"], code["description"]) == ("Z1", "Z1!")
    assert run.states == [{"n": 1}]
