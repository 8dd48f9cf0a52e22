"""What is otherwise than in the last run: names, keys, tables and columns that people have changed, full loads."""

from __future__ import annotations

import pytest

from tests.target_vicai.conftest import record, state, version
from tests.target_warehouse.conftest import Database, Record, Target, raw, schema
from tests.target_warehouse.test_warehouse_rows import (
    INVOICES,
    LINES,
    MOMENT,
    MONDAY,
    PARENT,
    TUESDAY,
    WEDNESDAY,
    invoice,
)

HEAD = schema("things", {"id": "string", "n": "integer"})


def of_load(number: int, **fields: object) -> Record:
    """A record of a full load."""
    return record("things", **fields) | {"version": number}


def test_two_fields_never_share_a_column(target: Target, database: Database) -> None:
    """`company` is a column of ours, so a field of that name gets `_`; another is called `company_` already."""
    fields = ["company_", "company", "company__", "_sdc_deleted_at_", "_sdc_table_version"]
    head = schema("things", {"id": "string"} | dict.fromkeys(fields, "string"))
    streams = ["_state_", "_state", "_state__"]
    heads = [schema(stream, {"id": "string"}) for stream in streams]
    rows = [record(stream, id=stream) for stream in streams]
    for _ in range(2):
        target([head, record("things", id="1", **{name: name for name in fields}), *heads, *rows], company="acme")
    columns = ["company__", "company_", "company___", "_sdc_deleted_at__", "_sdc_table_version_"]
    assert database.texts("things", "company", "id", *columns) == [("acme", "1", *fields)]
    for stream in streams:
        assert database.rows(f"SELECT id FROM {stream}_") == [(stream,)]


def test_a_column_of_the_users_is_theirs(target: Target, database: Database) -> None:
    """A field of the same name that comes later gets a column of its own."""
    target([HEAD, record("things", id="1", n=1)])
    database.rows("ALTER TABLE things ADD COLUMN note varchar")
    database.rows("ALTER TABLE things ADD COLUMN rating real")
    database.rows("UPDATE things SET note = 'mine', rating = 0.5")
    head = schema("things", {"id": "string", "n": "integer", "note": "string", "rating": "number"})
    for n in (2, 3):
        target([head, record("things", id="1", n=n, note="theirs", rating=n)])
        assert database.rows("SELECT n, note, rating FROM things") == [(n, "mine", 0.5)]
        (of_note, of_rating) = (name for name in database.types("things") if name.startswith(("note_", "rating_")))
        assert database.rows(f"SELECT {of_note}, {of_rating} FROM things") == [("theirs", n)]


def test_a_table_that_was_renamed_is_no_longer_ours(target: Target, database: Database) -> None:
    """It is kept as it is, and lines are compared with the invoices of today."""
    target([LINES, INVOICES, *invoice("A", MONDAY, 3)])
    database.rows("ALTER TABLE invoices RENAME TO aside")
    target([LINES, INVOICES, *invoice("A", TUESDAY, 3)])
    late = invoice("A", MONDAY, 3, parent=False)
    target([LINES, *late, *invoice("B", MONDAY, 1, parent=False)])
    assert database.texts("aside", "id", "updated") == [("A", "2026-01-05 10:00:00+00")]
    assert database.texts("invoices", "id", "updated") == [("A", "2026-01-06 10:00:00+00")]
    # And the other way round: lines that were put aside do not go with their invoice.
    database.rows("ALTER TABLE lines RENAME TO former_lines")
    target([LINES, INVOICES, *invoice("A", WEDNESDAY, 1)])
    assert database.rows("SELECT count(*) FROM former_lines WHERE invoice = 'A'") == [(3,)]
    assert database.rows("SELECT count(*) FROM lines") == [(1,)]


@pytest.mark.long
def test_lines_of_a_former_state_go_by_times_that_became_text(target: Target, database: Database) -> None:
    """A ten-millionth of a second makes text of a column of times, and sums counted the lines of before, too."""
    second = "2026-01-06T10:00:00"
    for updated, lines in ((MONDAY, 3), (f"{second}Z", 2), (f"{second}.1234567Z", 1), (f"{second}.2Z", 2)):
        target([LINES, INVOICES, *invoice("A", updated, lines), *invoice("B", MONDAY, 2)])
        assert database.rows("SELECT invoice, count(*) FROM lines GROUP BY 1 ORDER BY 1") == [("A", lines), ("B", 2)]
    # What is late changes nothing; nor does what cannot be compared.
    target([LINES, *invoice("A", f"{second}.1234567Z", 4, parent=False)])
    assert database.rows("SELECT count(*) FROM lines WHERE invoice = 'A'") == [(2,)]
    target([LINES, INVOICES, *invoice("A", f"{second}.3Z", 3), *invoice("A", f"{second}.25Z", 1)])
    assert database.rows("SELECT count(*) FROM lines WHERE invoice = 'A'") == [(3,)]
    target([LINES, INVOICES, *invoice("A", "2026-01-07T10:00:00+02:00", 1)])
    assert database.rows("SELECT count(*) FROM lines WHERE invoice = 'A'") == [(3,)]
    # The times of parts are text, and those of what they are parts of are not.
    parts, orders = {**LINES, "stream": "parts"}, {**INVOICES, "stream": "orders"}
    parts["schema"] = {**parts["schema"], "x-parent": {**PARENT, "stream": "orders"}}
    target([parts, *(record("parts", invoice="C", n=n, invoice_updated=f"{second}.1234567Z") for n in range(2))])
    target([orders, record("orders", id="C", updated=WEDNESDAY)])
    assert database.rows("SELECT count(*) FROM parts") == [(0,)]


def test_a_column_is_no_longer_part_of_the_key(target: Target, database: Database) -> None:
    fields = {"id": "string", "n": "integer"}
    target([schema("things", fields, ["id", "n"]), record("things", id="1", n=1)])
    target([HEAD, record("things", id="1"), record("things", id="2")])
    assert database.rows("SELECT id, n FROM things ORDER BY id") == [("1", None), ("2", None)]
    target([schema("log", fields, []), record("log", id="1", n=1)])
    target([schema("log", fields), record("log", id="1", n=2), record("log", id="2", n=2)])
    assert database.rows("SELECT id, n FROM log ORDER BY id") == [("1", 2), ("2", 2)]


def test_a_key_that_is_named_twice_and_a_type_that_is_null(target: Target, database: Database) -> None:
    target([schema("things", {"id": "string", "n": {"type": None}}, ["id", "id"]), record("things", id="1", n=1)])
    assert database.texts("things", "id", "n") == [("1", "1")]


def test_a_key_changes_in_a_run(target: Target, database: Database) -> None:
    """Records are told apart by the key that was declared before them."""
    both = schema("things", {"id": "string", "n": "integer"}, ["id", "n"])
    target([HEAD, record("things", id="1", n=1), record("things", id="1", n=2), both, record("things", id="1", n=3)])
    assert database.rows("SELECT id, n FROM things ORDER BY n") == [("1", 2), ("1", 3)]


def test_a_key_that_is_declared_as_text_keeps_its_kind(target: Target, database: Database) -> None:
    """As text 10:00:00Z would be another key than the 10:00:00+00 that is there, and the row would come twice."""
    rows = ('{"id": "2026-01-05T10:00:00Z", "amount": 1.50}', '{"id": "2026-01-05T12:00:00+02:00", "amount": "1.5"}')
    key = ["id", "amount"]
    target([schema("things", {"id": MOMENT, "amount": "number"}, key), raw("things", rows[0])])
    text = schema("things", {"id": "string", "amount": "string"}, key)
    run = target([text, *(raw("things", row) for row in rows), raw("things", '{"id": "x", "amount": 1}')], expect=1)
    assert run.counts("things") == {"received": 3, "unchanged": 2, "rejected": 1}
    (reject,) = run.rejected
    assert (reject["code"], reject["params"]) == ("key_does_not_fit", {"field": "id", "value": "x"})
    assert reject["reason"].startswith("'x' does not fit id, which is part of the key, whose column holds instants: ")
    assert database.rows("SELECT count(*) FROM things") == [(1,)]
    # A truth value is not missing, it does not fit.
    run = target([schema("flags", {"id": "boolean"}), raw("flags", '{"id": "t"}')], expect=1)
    assert [one["code"] for one in run.rejected] == ["key_does_not_fit"]


def test_keys_at_the_end_of_time(target: Target, database: Database) -> None:
    moments = ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00Z")
    head = schema("things", {"id": MOMENT, "n": "integer"})
    for created in (3, 0):
        run = target([head, *(record("things", id=one, n=1) for one in (*moments, moments[0]))])
        assert run.counts("things").get("created", 0) == created
    assert database.rows("SELECT count(*) FROM things") == [(3,)]


@pytest.mark.parametrize("deletes", ["mark", "remove"])
def test_a_full_load_with_a_reject_deletes_nothing(target: Target, database: Database, deletes: str) -> None:
    """What was set aside is still there at the service."""
    log = schema("log", {"n": "integer"}, [])

    def of_log(number: int, n: int) -> Record:
        return record("log", n=n) | {"version": number}

    both = [HEAD, of_load(1, id="1", n=1), of_load(1, id="2", n=2), version("things", 1)]
    target([*both, log, of_log(1, 1), version("log", 1)], deletes=deletes)
    half = raw("things", '{"id": "2", "n": 3, "word": "\\ud800"}', version=2)
    again = [HEAD, of_load(2, id="1", n=1), half, version("things", 2)]
    run = target([*again, log, of_log(2, 2), raw("log", "7"), version("log", 2), state(1)], expect=1, deletes=deletes)
    assert run.states == [{"n": 1}]
    assert [one["code"] for one in run.rejected] == ["half_a_character", "not_an_object"]
    assert any(line.startswith("things: records of the full load were set aside, so rows") for line in run.log())
    gone = "_sdc_deleted_at IS NOT NULL" if deletes == "mark" else "FALSE"
    assert database.rows(f"SELECT id, n FROM things WHERE NOT ({gone}) ORDER BY id") == [("1", 1), ("2", 2)]
    assert database.rows("SELECT n FROM log") == [(2,)]  # rows without a key are replaced
    # The next one that is whole does it.
    target([HEAD, of_load(3, id="1", n=1), version("things", 3)], deletes=deletes)
    assert database.rows(f"SELECT id FROM things WHERE NOT ({gone})") == [("1",)]


def test_a_full_load_of_a_stream_that_maps_rename(target: Target, database: Database) -> None:
    maps = {"things": {"__alias__": "objects"}}
    both = [HEAD, of_load(1, id="1", n=1), of_load(1, id="2", n=2), version("things", 1)]
    target(both, stream_maps=maps, deletes="remove")
    target([HEAD, of_load(2, id="1", n=1), version("things", 2)], stream_maps=maps, deletes="remove")
    assert database.rows("SELECT id FROM objects") == [("1",)]


def test_deletions_are_marked_where_they_were_ignored_before(target: Target, database: Database) -> None:
    """Each is told once: what it is about need not be in that run."""
    target([LINES, INVOICES, *invoice("A", MONDAY, 2), *invoice("B", MONDAY, 1)], deletes="ignore")
    told: Record = {"x-deletes": {"stream": "invoices", "keys": {"invoice": "id"}, "at": "at"}}
    gone = schema("gone", {"id": "string", "invoice": "string", "at": MOMENT}, **told)
    run = target([gone, record("gone", id="1", invoice="A", at=TUESDAY), state(1)])
    assert run.counts("gone") == {"received": 1, "created": 1, "deleted": 3}
    assert database.texts("invoices", "id", "_sdc_deleted_at") == [("A", "2026-01-06 10:00:00+00"), ("B", None)]
    assert database.rows("SELECT count(*) FROM lines WHERE _sdc_deleted_at IS NULL") == [(1,)]
    target([LINES, INVOICES, *invoice("A", WEDNESDAY, 1)])
    assert database.rows("SELECT count(*) FROM invoices WHERE _sdc_deleted_at IS NULL") == [(2,)]


def test_a_schema_by_another_case(target: Target, database: Database) -> None:
    """To DuckDB it is the same one."""
    target([HEAD, record("things", id="1", n=1)])
    target([HEAD, record("things", id="1", n=2), state(1)], schema="Stored")
    assert database.rows("SELECT n FROM things") == [(1 if database.is_postgresql else 2,)]


def test_a_key_that_was_dropped_by_hand(target: Target, database: Database) -> None:
    """Nothing is doubled, and what to do is said."""
    both = [HEAD, record("things", id="1", n=1), state(1)]
    target(both)
    if database.is_postgresql:
        database.rows("ALTER TABLE things DROP CONSTRAINT things_pkey")
        run = target(both, expect=1)
        statement = run.complaint.partition("Make it again: ")[2]
        assert statement.startswith("ALTER TABLE ")
        database.rows(statement)
        assert target(both).states == [{"n": 1}]
    database.rows("ALTER TABLE things DROP COLUMN id")
    run = target(both, expect=1)
    assert "The table things: id, part of its key, was dropped, so every row would come twice." in run.complaint
    assert run.states == []
    assert database.rows("SELECT n FROM things") == [(1,)]


def test_names_and_numbers_of_columns_that_a_database_has_not(target: Target, database: Database) -> None:
    """PostgreSQL gives every table columns of its own, and has at most 1600."""
    names = ("ctid", "xmin", "xmax", "cmin", "cmax", "tableoid", "oid", "rowid", "xmax_", "CTID")
    odd = schema("odd", {"id": "string"} | dict.fromkeys(names, "string"))
    fields = {name: f"of {name}" for name in names}
    for created in (1, 0):
        run = target([odd, record("odd", id="1", **fields), state(1)])
        assert run.states == [{"n": 1}]
        assert run.counts("odd").get("created", 0) == created
    (row,) = database.rows("SELECT * FROM odd")
    assert {*row} == {"1", *fields.values(), None}
    if database.is_postgresql:
        wide = schema("wide", {"id": "string"} | {f"c{n}": "string" for n in range(1600)})
        run = target([HEAD, wide, record("wide", id="1"), state(2)], expect=1)
        assert run.complaint.startswith("wide: its table would have 1602 columns, and a table here holds 1600. Select")
        assert run.states == []
