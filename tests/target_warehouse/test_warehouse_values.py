"""Not a value changes on its way into a column, and a column that cannot hold one widens."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.target_vicai.conftest import record, state
from tests.target_warehouse.conftest import Database, Record, Target, raw, schema

MOMENT = {"type": ["string", "null"], "format": "date-time"}
FIELDS = {
    "id": "string",
    "amount": "number",
    "text_amount": {"type": ["string", "null"], "format": "x-singer.decimal", "precision": 38, "scale": 9},
    "plain_decimal": {"anyOf": [{"type": "string", "format": "decimal"}, {"type": "null"}]},
    "whole": "integer",
    "truth": "boolean",
    "day": {"type": ["string", "null"], "format": "date"},
    "instant": MOMENT,
    "wall": MOMENT,
    "clock": {"type": ["string", "null"], "format": "date-time", "x-clock": "local"},
    "words": "string",
    "object": "object",
    "list": "array",
    "anything": {},
    "mixed": {"type": ["string", "number"]},
}
WORDS = 'Žąsis \\"š\\" \\\\ \\n\\t\\r \\u0001 \\u2028 😀 \\\\N \\\\.'
RECORD = f"""{{"id": "1", "amount": 12345678901234567890123456789.123456789, "text_amount": "-0.000000001",
 "plain_decimal": "1234.50", "whole": 9223372036854775807, "truth": false, "day": "2024-02-29",
 "instant": "2026-01-05T10:11:12.123456+02:00", "wall": "2026-03-29T02:30:00", "clock": "2026-10-25T03:30:00.5",
 "words": "{WORDS}", "object": {{"b" : 1.50,  "a":[1e2, "\\u017d"], "a": 33837103238925462.12}}, "list": [ 1.10 ,2],
 "anything": "text", "mixed": 1.50}}""".replace("\n", "")


def test_every_kind_of_column(target: Target, database: Database) -> None:
    run = target([schema("things", FIELDS), raw("things", RECORD), raw("things", '{"id": "2"}'), state(1)])
    assert run.states == [{"n": 1}]
    assert run.log() == []
    types = database.types("things")
    exact = "numeric" if database.is_postgresql else "decimal(38,9)"
    assert [types[name] for name in ("amount", "text_amount", "plain_decimal")] == [exact] * 3
    assert types["whole"] == "bigint"
    assert types["truth"] == "boolean"
    assert types["day"] == "date"
    assert types["instant"] == "timestamp with time zone"
    assert types["wall"].removesuffix(" without time zone") == types["clock"].removesuffix(" without time zone")
    assert types["wall"].startswith("timestamp")
    assert types["words"] == types["mixed"] == ("text" if database.is_postgresql else "varchar")
    assert [types[name] for name in ("object", "list", "anything")] == ["json"] * 3
    (row,) = database.rows("SELECT amount, text_amount, plain_decimal, whole, truth FROM things WHERE id = '1'")
    assert row == (
        Decimal("12345678901234567890123456789.123456789"),
        Decimal("-0.000000001"),
        Decimal("1234.50"),
        9223372036854775807,
        False,
    )
    first, second = database.texts("things", "id", "day", "instant", "wall", "clock", "object", "list", "anything")
    assert first == (
        "1",
        "2024-02-29",
        "2026-01-05 08:11:12.123456+00",
        "2026-03-29 02:30:00",
        "2026-10-25 03:30:00.5",
        '{"b" : 1.50,  "a":[1e2, "\\u017d"], "a": 33837103238925462.12}',
        "[ 1.10 ,2]",
        '"text"',
    )
    assert second == ("2", *[None] * 7)
    assert database.rows("SELECT words, mixed FROM things WHERE id = '1'") == [
        ('Žąsis "š" \\ \n\t\r \x01 \u2028 😀 \\N \\.', "1.50")
    ]


WIDENED = [
    # declared, values, what the column then is in DuckDB and PostgreSQL, what it then holds
    ("number", ["1.5", "0.1234567890123"], "decimal(38,13)", "numeric", ["1.5000000000000", "0.1234567890123"]),
    ("number", ["1", "123456789012345678901234567890"], "varchar", "numeric", None),
    ("number", ["1e3", "12.5000000000000"], "decimal(38,9)", "numeric", ["1000.000000000", "12.500000000"]),
    ("integer", ["7", "9223372036854775808"], "hugeint", "numeric", None),
    ("integer", ["7", "340282366920938463463374607431768211456"], "varchar", "numeric", None),
    (
        "integer",
        ["9223372036854775807", "1.5"],
        "decimal(38,9)",
        "numeric",
        ["9223372036854775807.000000000", "1.500000000"],
    ),
    ("integer", ["7.0", "1e2"], "bigint", "bigint", ["7", "100"]),
    ("integer", ["7", '"7a"'], "varchar", "text", ["7", "7a"]),
    ("number", ["7", '"007"'], "varchar", "text", ["7", "007"]),
    ("boolean", ["true", '"true"'], "varchar", "text", ["true", "true"]),
    ("boolean", ["true", "1"], "varchar", "text", ["true", "1"]),
    ("date", ['"2026-01-31"', '"2026-02-30"'], "varchar", "text", ["2026-01-31", "2026-02-30"]),
    ("date", ['"2026-01-31"', '"2026-01-31T00:00:00"'], "varchar", "text", None),
    ("date", ['"2026-01-31"', '""'], "varchar", "text", ["2026-01-31", ""]),
    (
        "date-time",
        ['"2026-01-05T10:11:12Z"', '"2026-01-05T10:11:12"'],
        "varchar",
        "text",
        ["2026-01-05T10:11:12Z", "2026-01-05T10:11:12"],
    ),
    ("date-time", ['"2026-01-05T10:11:12.1234567Z"', "null"], "varchar", "text", None),
    ("date-time", ['"2026-01-05T23:59:60Z"', '"2026-01-05 10:11Z"'], "varchar", "text", None),
    ("string", ['"a"', "12.50", '{"b": 1.10}'], "varchar", "text", ["a", "12.50", '{"b": 1.10}']),
]


@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "later"])
def test_a_column_widens(target: Target, database: Database, at_once: bool) -> None:
    fields: Record = {"id": "integer"}
    records = []
    for number, (declared, values, *_) in enumerate(WIDENED):
        is_format = declared.startswith("date")
        fields[f"c{number}"] = {"type": ["string"], "format": declared} if is_format else declared
        for place, value in enumerate(values):
            records.append(raw("things", f'{{"id": {number * 10 + place}, "c{number}": {value}}}'))
    head = schema("things", fields)
    if at_once:
        runs = [target([head, *records])]
    else:
        first = [one for number, one in enumerate(records) if '0, "c' in one]
        runs = [target([head, *first]), target([head, *records])]
    types = database.types("things")
    for number, (declared, values, in_duckdb, in_postgresql, held) in enumerate(WIDENED):
        expected = in_postgresql if database.is_postgresql else in_duckdb
        assert types[f"c{number}"] == expected, (declared, values)
        ids = f"id BETWEEN {number * 10} AND {number * 10 + 9}"
        found = database.rows(f"SELECT cast(c{number} as varchar) FROM things WHERE {ids} ORDER BY id")
        texts = [text for (text,) in found]
        if database.is_postgresql and in_postgresql == "numeric":
            assert [Decimal(text) for text in texts] == [Decimal(value) for value in values], (declared, values)
        elif held:
            assert texts == held, (declared, values)
        else:
            assert texts == [None if value == "null" else value.strip('"') for value in values], (declared, values)
    widened = {one["column"] for one in runs[-1].report["widened"]}
    assert {"c3", "c7", "c9", "c11"} <= widened
    assert {"c2", "c6", "c17"}.isdisjoint(widened)
    assert any(
        "the column c11 now holds text; as dates it could not hold '2026-02-30'" in line for line in runs[-1].log()
    )
    # It happens once.
    again = target([head, *records])
    assert again.report["widened"] == []
    assert again.counts("things") == {"received": len(records), "unchanged": len(records)}


def test_where_the_value_is_that_a_column_cannot_hold(target: Target, database: Database) -> None:
    """Line and key of the first one; an empty text is a value, too."""
    day = {"type": ["string", "null"], "format": "date"}
    head = schema("lines", {"id": "string", "n": "integer", "amount": "number", "day": day}, ["id", "n"])
    rows = [
        '{"id": "A", "n": 1, "amount": 1.5, "day": "2026-01-31"}',
        '{"id": "B", "n": 7, "amount": "1,5", "day": null}',
        '{"id": "B", "n": 8, "amount": "0,5", "day": ""}',
    ]
    log = schema("log", {"amount": "number"}, [])
    run = target([head, *(raw("lines", row) for row in rows), log, raw("log", '{"amount": "1,5"}')])
    assert run.log() == [
        "lines: the column amount now holds text; as decimals it could not hold '1,5' (line 3, id B, n 7).",
        "lines: the column day now holds text; as dates it could not hold '' (line 4, id B, n 8).",
        "log: the column amount now holds text; as decimals it could not hold '1,5' (line 6).",
    ]
    kept = [(one["column"], one["for"], one["line"], one["key"]) for one in run.report["widened"]]
    assert kept == [("amount", "1,5", 3, "id B, n 7"), ("day", "", 4, "id B, n 8"), ("amount", "1,5", 6, None)]


def test_an_index_stands_on_a_column_that_has_to_widen(target: Target, database: Database) -> None:
    head = schema("things", {"id": "string", "n": "integer"})
    target([head, record("things", id="1", n=1)])
    database.rows("CREATE INDEX places ON things (n)")
    two = [head, record("things", id="2", n="two"), state(1)]
    if not database.is_postgresql:  # it cannot change the column below an index
        run = target(two, expect=1)
        assert "an index depends on it. Drop what depends on the column, run again, and make it anew." in run.complaint
        assert run.out == ""
        assert database.rows("SELECT n FROM things") == [(1,)]
        database.rows("DROP INDEX places")
    assert target(two).states == [{"n": 1}]
    assert database.texts("things", "id", "n") == [("1", "1"), ("2", "two")]


def test_what_is_nested_too_deeply_is_set_aside_alone(target: Target, database: Database) -> None:
    """Loaded to the byte, or set aside: what comes before and after it is loaded, and the STATE comes out."""
    levels = (1, 300, 900, *range(980, 1003), 3_000, 100_000)
    kinds = [("[", "1", "]"), ('{"a":', "null", "}")]
    values = {f"{n}{kind[0][0]}": kind[0] * n + kind[1] + kind[2] * n for n in levels for kind in kinds}
    head = schema("things", {"id": "string", "words": "string", "object": "object"})
    deep = [raw("things", f'{{"id": "{id_}", "object": {value}}}') for id_, value in values.items()]
    odd = [raw("things", f'{{"id": "new {id_}", "odd": {value}}}') for id_, value in values.items()]
    run = target([head, *deep, *odd, state(1)], expect=1)
    assert run.states == [{"n": 1}]
    rejected = run.report["rejects"]
    assert {one["code"] for one in rejected} == {"nested_too_deeply"}
    stored = dict(database.rows("SELECT id, cast(coalesce(object, odd) AS varchar) FROM things"))
    assert 2 * len(values) == len(stored) + len(rejected)
    assert stored.keys() >= {"1[", "900[", "900{", "new 900{"}
    assert all(value == values[id_.removeprefix("new ")] for id_, value in stored.items())


def test_nul_and_half_a_character(target: Target, database: Database) -> None:
    head = schema("things", {"id": "string", "words": "string", "object": "object"})
    target([head, raw("things", '{"id": "0", "words": "plain \\"q\\""}')])
    run = target(
        [
            head,
            raw("things", '{"id": "1", "words": "a\\u0000b", "object": {"x": "\\u0000"}}'),
            raw("things", '{"id": "2", "words": "\\ud800"}'),
            raw("things", '{"id": "3", "words": "c", "object": {"x": "\\ud83d\\ude00"}}'),
            state(1),
        ],
        expect=1,
    )
    assert run.states == [{"n": 1}]
    assert [(one["code"], one["line"]) for one in run.rejected] == [("half_a_character", 3)]
    if database.is_postgresql:
        assert database.types("things")["words"] == "json"
        assert database.texts("things", "id", "words") == [
            ("0", '"plain \\"q\\""'),
            ("1", '"a\\u0000b"'),
            ("3", '"c"'),
        ]
    else:
        assert database.texts("things", "id", "words") == [("0", 'plain "q"'), ("1", "a\0b"), ("3", "c")]
    assert database.texts("things", "id", "object")[1:] == [("1", '{"x": "\\u0000"}'), ("3", '{"x": "\\ud83d\\ude00"}')]


def test_a_column_of_any_kind_becomes_json(target: Target, database: Database) -> None:
    """By NUL in PostgreSQL; and where the SCHEMA says so, and it has no value yet."""
    values = {"integer": "7", "number": "1.50", "boolean": "true", "string": '"q\\""', "object": '{"a": 1}'}
    values |= {"date": '"2026-01-31"', "date-time": '"2026-01-05T10:00:00Z"'}
    types: Record = {name: {"type": ["string", "null"], "format": name} if "date" in name else name for name in values}
    head = schema("things", {"id": "string", **types})
    kept = ", ".join(f'"{name}": {value}' for name, value in values.items())
    nul = ", ".join(f'"{name}": "a\\u0000b"' for name in values)
    objects = schema("empty", {"id": "string", **dict.fromkeys(types, "object")})
    target([head, raw("things", f'{{"id": "1", {kept}}}'), {**head, "stream": "empty"}, record("empty", id="1")])
    run = target(
        [head, raw("things", f'{{"id": "2", {nul}}}'), objects, raw("empty", '{"id": "2", "integer": {}}'), state(1)]
    )
    assert run.states == [{"n": 1}]
    assert set(database.types("empty").values()) & {"json"}
    assert database.texts("empty", "id", *values) == [("1", *[None] * 7), ("2", "{}", *[None] * 6)]
    if database.is_postgresql:
        json = ('"2026-01-31"', '"2026-01-05T10:00:00+00:00"')
        held = ("1", "7", "1.50", "true", '"q\\""', '{"a": 1}', *json)
        assert database.texts("things", "id", *values) == [held, ("2", *['"a\\u0000b"'] * 7)]


def test_fields_that_the_schema_does_not_have(target: Target, database: Database) -> None:
    run = target(
        [
            schema("things", {"id": "string"}),
            record("things", id="1", new="a", none=None),
            raw("things", '{"id": "2", "amount": 12345678901234567.89, "object": {"a" : 1.0}, "truth": true}'),
            record("things", id="3", new="b", none="now"),
        ]
    )
    assert run.counts("things") == {"received": 3, "created": 3}
    columns = ("id", "new", "none", "object", "truth")
    assert database.texts("things", *columns) == [
        ("1", "a", None, None, None),
        ("2", None, None, '{"a" : 1.0}', "true"),
        ("3", "b", "now", None, None),
    ]
    assert database.rows("SELECT amount FROM things WHERE id = '2'") == [(Decimal("12345678901234567.89"),)]


@pytest.mark.long
def test_too_many_fields_that_the_schema_does_not_have(target: Target, database: Database) -> None:
    records = [record("things", **{"id": str(number), f"f{number}": number}) for number in range(510)]
    run = target([schema("things", {"id": "string"}), *records, state(1)], expect=1)
    assert run.states == [{"n": 1}]
    assert run.report["reject_codes"] == {"too_many_fields": 10}
    assert database.rows("SELECT count(*) FROM things") == [(500,)]


def test_a_row_is_what_its_record_says(target: Target, database: Database) -> None:
    target([schema("things", {"id": "string", "a": "string", "b": "string"}), record("things", id="1", a="a", b="b")])
    run = target([schema("things", {"id": "string", "a": "string"}), record("things", id="1", a="a")])
    assert run.counts("things") == {"received": 1, "updated": 1}
    assert database.texts("things", "id", "a", "b") == [("1", "a", None)]
