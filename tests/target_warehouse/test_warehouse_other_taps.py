"""Output in the style of other taps that were tried: of a database, of spreadsheets, of files, of any API."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.target_vicai.conftest import state
from tests.target_warehouse.conftest import Database, Record, Target, raw

DRAFT = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
MAYBE_TIME = {"format": "date-time", "type": ["string", "null"]}


def head(stream: str, properties: Record, key: list[str], **members: Any) -> Record:
    schema = {"type": "object", "properties": properties, **members}
    return {"type": "SCHEMA", "stream": stream, "schema": schema, "key_properties": key}


def types(*names: str) -> Record:
    return {"type": [*names, "null"]}


# As meltanolabs-tap-postgres: any JSON, arrays, codes as text, names in quotes; a key of a number and a time.
LEDGER = [
    head(
        "public-Ledger lines",
        {
            "id": {"type": ["integer"]},
            "At": {"format": "date-time", "type": ["string"]},
            "amount": types("number"),
            "js": types("string", "number", "integer", "array", "object", "boolean") | {"additionalProperties": True},
            "tags": {"items": {"type": ["string"]}, "type": ["array", "null"]},
            "clock": {"format": "time", "type": ["string", "null"]},
            'Weird "name': types("string") | {"maxLength": 5},
        },
        ["id", "At"],
        required=["id", "At"],
        **DRAFT,
    ),
    raw(
        "public-Ledger lines",
        '{"id":1,"At":"2026-01-01T00:00:00.000000+00:00","amount":12345678901234567890.123456789,"js":{"b":[1,2.50]},'
        '"tags":["a","b,c"],"clock":"10:11:12","Weird \\"name":"c    "}',
        time_extracted="2026-11-26T08:19:38.898295+00:00",
    ),
    raw(
        "public-Ledger lines",
        '{"id":1,"At":"2026-01-02T00:00:00.500000+00:00","amount":1E-20,"js":"text","tags":[],"clock":null}',
    ),
]
# As tap-dbf: numbers with their digits, a date that is declared as a time, no key.
OF_DBF = [
    head(
        "inv",
        {
            "ID": types("integer"),
            "AMOUNT": types("number") | {"multipleOf": 0.0001},
            "DAY": MAYBE_TIME,
            "_sdc_row_index": types("integer"),
        },
        [],
    ),
    raw("inv", '{"ID":1,"AMOUNT":10.5,"DAY":"2026-01-05","_sdc_row_index":0}'),
    raw("inv", '{"ID":2,"AMOUNT":null,"DAY":null,"_sdc_row_index":1}'),
]
# As tap-jsonl and tap-spreadsheets: columns of theirs that begin with _sdc_, and text where no type is known.
SHEET = [
    head(
        "sheet",
        {
            "id": types("integer"),
            "amount": types("number"),
            "when": types("string"),
            "_sdc_last_modified": MAYBE_TIME,
            "_sdc_filename": types("string"),
        },
        ["id"],
        additionalProperties=True,
    ),
    raw(
        "sheet",
        '{"id":1,"amount":10.5,"when":"2026-01-05 10:00:00","_sdc_last_modified":"2026-11-26T08:16:00+00:00",'
        '"_sdc_filename":"b.xlsx"}',
    ),
    raw("sheet", '{"id":2,"amount":null,"when":"","new":"x"}'),
]
# As tap-rest-api-msdk: flattened names, lists as text, a field of several types.
THINGS = [
    head(
        "things",
        {
            "id": types("integer"),
            "nested_a": types("number"),
            "nested_list": types("string"),
            "mixed": types("string", "integer"),
            "flag": types("boolean"),
        },
        ["id"],
    ),
    raw("things", '{"id":1,"nested_a":1.10,"nested_list":"[1, {\\"x\\": null}]","mixed":1,"flag":true}'),
    raw("things", '{"id":2,"nested_a":0.1,"mixed":"a","flag":null}'),
]


def test_all_of_it_is_there(target: Target, database: Database) -> None:
    messages = [*LEDGER, *OF_DBF, *SHEET, *THINGS, state(1)]
    run = target(messages, metadata_columns=True)
    assert run.states == [{"n": 1}]
    assert run.report["total"]["created"] == 8
    again = target(messages, metadata_columns=True)
    assert again.report["total"]["unchanged"] == 8
    text = "text" if database.is_postgresql else "varchar"
    ledger = database.types("public-Ledger lines")
    assert [ledger[name] for name in ("id", "At", "js", "tags", "clock")] == [
        "bigint",
        "timestamp with time zone",
        "json",
        "json",
        text,
    ]
    assert ledger["amount"] == ("numeric" if database.is_postgresql else "varchar")
    amounts = [Decimal(value or "") for (value,) in database.texts("public-Ledger lines", "amount", order="At")]
    assert amounts == [Decimal("12345678901234567890.123456789"), Decimal("1E-20")]
    assert database.texts("public-Ledger lines", "js", "tags", 'Weird ""name', order="At") == [
        ('{"b":[1,2.50]}', '["a","b,c"]', "c    "),
        ('"text"', "[]", None),
    ]
    # A date that is declared as a time stays a date: it has no hour, and gets none.
    assert database.types("inv")["DAY"] == "date"
    assert database.texts("inv", "ID", "AMOUNT", "DAY") in (
        [("1", "10.500000000", "2026-01-05"), ("2", None, None)],
        [("1", "10.5", "2026-01-05"), ("2", None, None)],
    )
    assert database.texts("sheet", "id", "when", "new", "_sdc_filename") == [
        ("1", "2026-01-05 10:00:00", None, "b.xlsx"),
        ("2", "", "x", None),
    ]
    assert database.texts("things", "id", "nested_list", "mixed", "flag") == [
        ("1", '[1, {"x": null}]', "1", "true"),
        ("2", None, "a", None),
    ]


def test_times_after_dates_are_text(target: Target, database: Database) -> None:
    days = [head("inv", {"ID": types("integer"), "DAY": MAYBE_TIME}, ["ID"]), raw("inv", '{"ID":1,"DAY":"2026-01-05"}')]
    target(days)
    assert database.types("inv")["DAY"] == "date"
    run = target([days[0], raw("inv", '{"ID":2,"DAY":"2026-01-06T10:00:00Z"}')])
    assert [one["column"] for one in run.report["widened"]] == ["DAY"]
    assert database.texts("inv", "ID", "DAY") == [("1", "2026-01-05"), ("2", "2026-01-06T10:00:00Z")]
    assert target(days).counts("inv") == {"received": 1, "unchanged": 1}
