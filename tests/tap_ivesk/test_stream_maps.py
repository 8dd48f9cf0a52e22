"""Stream maps of a tap: numbers stay exact through the SDK's expressions, and an expression that fails is named."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests.campaign import one_in
from tests.conftest import RunTap

TOTAL = "1234567890123.10"


@pytest.fixture(autouse=True)
def one_document(sandbox: SandboxProcess) -> None:
    sandbox.control.reset(documents=0)
    sandbox.control.add(1, overrides={"total": Decimal(TOTAL), "sellercode": "302320404", "buyername": None})


def mapped(tap: RunTap, expression: str) -> str:
    """What an expression becomes, as it is written."""
    run = tap(stream_maps={"exported_documents": {"made": expression}})
    [line] = [line for line in run.lines if line.startswith('{"type":"RECORD","stream":"exported_documents"')]
    return line.partition('"made":')[2].rpartition("}")[0].partition(',"')[0].partition("}")[0]


@one_in(3)
@pytest.mark.parametrize(
    ("expression", "written"),
    [
        ("total", TOTAL),
        ("total * 1.21", "1493827147048.9510"),
        ("1.21 * total", "1493827147048.9510"),
        ("float(total) * 1.21", "1493827147048.951"),
        ("-total + 0.1", "-1234567890123.00"),
        ("float(total)", "1234567890123.1"),
        ("float('0.1') + 0.2", "0.3"),
        ("total > 0.1 and total == 1234567890123.1", "true"),
        ("1e22 * 1.0", "1.0E+22"),
        ("int(total)", "1234567890123"),
        ("datetime.datetime(2026, 1, 2)", '"2026-01-02T00:00:00"'),
        ("datetime.date(2026, 1, 2)", '"2026-01-02"'),
        ("datetime.time(10, 30)", '"10:30:00"'),
        ("[float(total), {'a': 0.5}]", '[1234567890123.1,{"a":0.5'),
        ("datetime.timedelta(seconds=90).total_seconds() / 60.0", "1.5"),
    ],
)
def test_numbers_and_times_of_expressions(tap: RunTap, expression: str, written: str) -> None:
    assert mapped(tap, expression) == written


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("total + sellercode", "TypeError: unsupported operand"),
        ("nonesuch + 1", "NameNotDefined: 'nonesuch' is not defined"),
        ("buyername.upper()", "AttributeDoesNotExist: "),
        ("float(sellername)", "ValueError: could not convert string to float"),
        ("total / 0", "DivisionByZero"),
        ("record['nonesuch']", "KeyError: nonesuch"),
        ("open('x')", "FunctionNotDefined: "),
    ],
)
def test_an_expression_that_fails_is_explained(tap: RunTap, expression: str, words: str) -> None:
    run = tap(stream_maps={"exported_documents": {"made": expression}}, expect=1)
    assert len(run.complaints) == 1
    assert f"stream_maps: exported_documents: the expression {expression!r} fails: " in run.complaints[0]
    assert words in run.complaints[0]


@pytest.mark.parametrize("expression", ["float('nan')", "-float('inf')", "[float('inf')]"])
def test_what_is_not_a_number_does_not_become_null(tap: RunTap, expression: str) -> None:
    run = tap(stream_maps={"exported_documents": {"made": expression}}, expect=1)
    assert "is not a number in JSON" in run.complaints[0]
    assert run.records == {}


@pytest.mark.parametrize(
    "maps",
    [{"exported_documents": {"made": "total *"}}, {"exported_documents": {"made": 7}}, {"exported_documents": "x"}],
)
def test_maps_that_cannot_be_read(tap: RunTap, maps: Any) -> None:
    run = tap(stream_maps=maps, expect=1)
    assert "stream_maps" in run.complaints[0]
    assert "Unexpected" not in run.err
