"""Which rows there are after a load: of one key one, of a former state none, of a deletion what the settings say."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from ap_connectors.core.progress import Progress
from target_warehouse.target import TargetWarehouse
from tests.target_vicai.conftest import record, state, version
from tests.target_warehouse.conftest import Database, Record, Target, raw, schema

HEAD = schema("things", {"id": "string", "n": "integer", "amount": "number"})
MOMENT = {"type": ["string", "null"], "format": "date-time"}
MONDAY, TUESDAY, WEDNESDAY = (f"2026-01-0{day}T10:00:00.000Z" for day in (5, 6, 7))


def test_the_last_of_a_key_counts(target: Target, database: Database) -> None:
    run = target([HEAD, record("things", id="1", n=1), record("things", id="2", n=2), record("things", id="1", n=3)])
    assert run.counts("things") == {"received": 3, "created": 2, "unchanged": 1}
    run = target([HEAD, raw("things", '{"id": "1", "n": 3, "amount": null}'), record("things", id="2", n=4)])
    assert run.counts("things") == {"received": 2, "updated": 1, "unchanged": 1}
    assert database.rows("SELECT id, n FROM things ORDER BY id") == [("1", 3), ("2", 4)]


def test_each_record_is_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    monkeypatch.setattr(Progress, "advance", lambda _, count=1: told.append(count))
    monkeypatch.chdir(tmp_path)
    lines = [json.dumps(one) for one in (HEAD, record("things", id="1"), record("things", id="2"))]
    for settings in ({}, {"stream_maps": {"things": {"n": "1"}}}):
        told.clear()
        TargetWarehouse(config={"database": "w.duckdb", **settings}).run(io.StringIO("\n".join(lines)))
        assert told == [1, 1]


def test_keys_are_equal_as_the_database_compares_them(target: Target, database: Database) -> None:
    head = schema("prices", {"at": MOMENT, "amount": "number", "n": "integer"}, ["at", "amount"])
    rows = [
        '{"at": "2026-01-05T10:00:00Z", "amount": 1.50, "n": 1}',
        '{"at": "2026-01-05T12:00:00.000+02:00", "amount": 1.5, "n": 2}',
        '{"at": "2026-01-05T10:00:00.001Z", "amount": 15e-1, "n": 3}',
    ]
    run = target([head, *(raw("prices", row) for row in rows)])
    assert run.counts("prices") == {"received": 3, "created": 2, "unchanged": 1}
    assert database.rows("SELECT n FROM prices ORDER BY n") == [(2,), (3,)]
    run = target([head, raw("prices", rows[0])])
    assert run.counts("prices") == {"received": 1, "updated": 1}


def test_a_record_without_its_key_is_set_aside(target: Target, database: Database) -> None:
    run = target([HEAD, record("things", n=1), record("things", id=None), record("things", id="1"), state(1)], expect=1)
    assert run.states == [{"n": 1}]
    assert [(one["code"], one["params"], one["line"]) for one in run.rejected] == [
        ("missing_key", {"fields": ["id"]}, 2),
        ("missing_key", {"fields": ["id"]}, 3),
    ]
    assert run.counts("things") == {"received": 3, "created": 1, "rejected": 2}
    assert database.rows("SELECT id FROM things") == [("1",)]


def test_a_key_of_another_kind_is_set_aside(target: Target, database: Database) -> None:
    head = schema("things", {"id": "integer", "n": "integer"})
    target([head, record("things", id=1, n=1)])
    run = target(
        [head, record("things", id="A", n=2), record("things", id=2, n=2), record("things", id=2**70)], expect=1
    )
    assert [(one["code"], one["params"]) for one in run.rejected] == [
        ("key_does_not_fit", {"field": "id", "value": "A"})
    ]
    assert [row[0] for row in database.rows("SELECT id FROM things ORDER BY id")] == [1, 2, 2**70]
    assert target([head, record("things", id=1, n=1)]).counts("things") == {"received": 1, "unchanged": 1}


def test_a_list_or_an_object_is_no_key(target: Target, database: Database) -> None:
    """Its text would be a key of its own, beside the one that is meant."""
    kinds = {"text": "string", "whole": "integer", "number": "number", "truth": "boolean", "anything": {}, "at": MOMENT}
    values = {
        "text": '"101"',
        "whole": "101",
        "number": "1.5",
        "truth": "true",
        "anything": '"101"',
        "at": '"2026-01-05"',
    }
    bad = ('["101"]', '{"id": 101}', "[]", "{}", "[101]")
    messages = []
    for name, kind in kinds.items():
        head = schema(name, {"id": kind, "a": "integer"})
        rows = [f'{{"id": {value}, "a": {n}}}' for n, value in enumerate([values[name], *bad, values[name]])]
        messages += [head, *(raw(name, row) for row in rows)]
    for created in (1, 0):  # Into new tables, and into those that are there.
        run = target(messages, expect=1)
        assert [(one["code"], one["params"]) for one in run.rejected] == [
            ("key_does_not_fit", {"field": "id", "value": value}) for _ in kinds for value in bad
        ]
        for name in kinds:
            counts = run.counts(name)
            assert (counts.get("created", 0), counts["rejected"]) == (created, len(bad))
            assert database.rows(f'SELECT a FROM "{name}"') == [(6,)]
    # Text that looks like a list is text. Where the SCHEMA says that keys are objects or lists, they are.
    target([schema("text", {"id": "string", "a": "integer"}), raw("text", '{"id": "[\\"101\\"]", "a": 7}')])
    assert database.rows("SELECT a FROM text ORDER BY a") == [(6,), (7,)]
    target(
        [
            schema("listed", {"id": {"type": ["array", "object"]}}),
            *(raw("listed", f'{{"id": {one}}}') for one in bad[:3]),
        ]
    )
    assert len(database.rows("SELECT * FROM listed")) == 3


def test_equal_rows_without_a_key_are_one(target: Target, database: Database) -> None:
    head = schema("log", {"n": "integer", "amount": "number", "text": "string"}, [])
    rows = [
        '{"n": 1, "amount": 1.50}',
        '{"amount": 1.5, "n": 1, "text": null}',
        '{"n": 2}',
        '{"n": 1, "text": "1"}',
        "{}",
    ]
    messages = [head, *(raw("log", row) for row in rows)]
    run = target(messages)
    assert run.counts("log") == {"received": 5, "created": 4, "unchanged": 1}
    assert target(messages).counts("log") == {"received": 5, "unchanged": 5}
    # Another column, and the same rows.
    grown = schema("log", {"n": "integer", "amount": "number", "text": "string", "new": "string"}, [])
    assert target([grown, *messages[1:], record("log", n=1, new="x")]).counts("log") == {
        "received": 6,
        "created": 1,
        "unchanged": 5,
    }
    assert len(database.rows("SELECT * FROM log")) == 5


@pytest.mark.parametrize("deletes", ["mark", "remove", "ignore"])
def test_a_full_load_deletes_what_it_does_not_have(target: Target, database: Database, deletes: str) -> None:
    log = schema("log", {"n": "integer"}, [])

    def load(number: int, *ids: str) -> Any:
        records = [
            message
            for one in ids
            for message in (
                {"type": "RECORD", "stream": "things", "record": {"id": one}, "version": number},
                {"type": "RECORD", "stream": "log", "record": {"n": int(one)}, "version": number},
            )
        ]
        return target(
            [HEAD, log, *records, version("things", number), version("log", number), state(number)], deletes=deletes
        )

    load(1, "1", "2", "3")
    run = load(2, "2", "4")
    assert run.states[-1] == {"n": 2}
    ids = {id_ for (id_,) in database.rows("SELECT id FROM things")}
    numbers = {n for (n,) in database.rows("SELECT n FROM log")}
    if deletes == "ignore":
        assert (ids, numbers) == ({"1", "2", "3", "4"}, {1, 2, 3, 4})
        return
    assert run.counts("things")["deleted"] == run.counts("log")["deleted"] == 2
    assert numbers == {2, 4}
    if deletes == "remove":
        assert ids == {"2", "4"}
        return
    assert database.rows("SELECT id FROM things WHERE _sdc_deleted_at IS NOT NULL ORDER BY id") == [("1",), ("3",)]
    # What comes again is there again.
    load(3, "1", "2")
    assert database.rows("SELECT id FROM things WHERE _sdc_deleted_at IS NULL ORDER BY id") == [("1",), ("2",)]


@pytest.mark.parametrize("deletes", ["mark", "remove", "ignore"])
def test_a_record_says_that_it_was_deleted(target: Target, database: Database, deletes: str) -> None:
    head = schema("things", {"id": "string", "n": "integer", "_sdc_deleted_at": MOMENT})
    target([head, *(record("things", id=str(number), n=number) for number in range(1, 4))], deletes=deletes)
    run = target(
        [
            head,
            record("things", id="1", _sdc_deleted_at=MONDAY),
            record("things", id="2", n=5),
            record("things", id="2", _sdc_deleted_at=MONDAY),
            record("things", id="3", _sdc_deleted_at=MONDAY),
            record("things", id="3", n=6),
        ],
        deletes=deletes,
    )
    found = database.rows("SELECT id, n FROM things ORDER BY id")
    if deletes == "remove":
        assert found == [("3", 6)]
    else:
        assert found == [("1", 1), ("2", 5), ("3", 6)]
    if deletes == "mark":
        assert database.texts("things", "id", "_sdc_deleted_at") == [
            ("1", "2026-01-05 10:00:00+00"),
            ("2", "2026-01-05 10:00:00+00"),
            ("3", None),
        ]
        assert run.counts("things")["deleted"] == 2
        target([head, record("things", id="1", n=1)])
        assert database.rows("SELECT id FROM things WHERE _sdc_deleted_at IS NULL ORDER BY id") == [("1",), ("3",)]


# Parts

INVOICES = schema("invoices", {"id": "string", "updated": MOMENT})
PARENT = {"stream": "invoices", "keys": {"invoice": "id"}, "version": {"invoice_updated": "updated"}}
LINES = schema(
    "lines",
    {"invoice": "string", "n": "integer", "invoice_updated": MOMENT},
    ["invoice", "n"],
    **{"x-parent": PARENT},
)


def invoice(id_: str, updated: str, lines: int, *, parent: bool = True) -> list[Record]:
    """An invoice as a tap sends it: the lines before it."""
    parts = [record("lines", invoice=id_, n=n, invoice_updated=updated) for n in range(lines)]
    return [*parts, *([record("invoices", id=id_, updated=updated)] if parent else [])]


def lines_of(database: Database) -> list[tuple[Any, ...]]:
    return database.rows("SELECT invoice, count(*) FROM lines GROUP BY invoice ORDER BY invoice")


@pytest.mark.parametrize("deletes", ["mark", "ignore"])
def test_lines_of_a_former_state_go(target: Target, database: Database, deletes: str) -> None:
    target(
        [LINES, INVOICES, *invoice("A", MONDAY, 3), *invoice("B", MONDAY, 3), *invoice("C", MONDAY, 2)], deletes=deletes
    )
    assert lines_of(database) == [("A", 3), ("B", 3), ("C", 2)]
    run = target([LINES, INVOICES, *invoice("A", TUESDAY, 2), *invoice("B", TUESDAY, 0)], deletes=deletes)
    assert lines_of(database) == [("A", 2), ("C", 2)]
    assert run.counts("lines") == {"received": 2, "updated": 2, "deleted": 1}
    assert run.counts("invoices") == {"received": 2, "updated": 2, "deleted": 3}
    # Two states in one run, and a line that is late.
    target([LINES, INVOICES, *invoice("C", TUESDAY, 4), *invoice("C", WEDNESDAY, 1)], deletes=deletes)
    target([LINES, *invoice("C", TUESDAY, 2, parent=False)], deletes=deletes)
    assert lines_of(database) == [("A", 2), ("C", 1)]
    target([LINES, INVOICES, *invoice("C", WEDNESDAY, 1), *invoice("C", TUESDAY, 3, parent=False)], deletes=deletes)
    assert lines_of(database) == [("A", 2), ("C", 1)]
    # Lines that come before their invoice stay; and without the invoices lines are enough.
    target([LINES, *invoice("A", WEDNESDAY, 1, parent=False)], deletes=deletes)
    assert database.rows("SELECT n FROM lines WHERE invoice = 'A'") == [(0,)]
    target([LINES, *invoice("D", MONDAY, 2, parent=False)], deletes=deletes)
    target([INVOICES, record("invoices", id="D", updated=WEDNESDAY)], deletes=deletes)
    assert "D" not in dict(lines_of(database))


@pytest.mark.parametrize("deletes", ["mark", "remove", "ignore"])
def test_a_stream_of_deletions(target: Target, database: Database, deletes: str) -> None:
    gone = schema(
        "invoice_deletions",
        {"event_id": "string", "internalId": "string", "event": "string", "occurred_at": MOMENT, "place": "string"},
        ["event_id"],
        **{
            "x-deletes": {
                "stream": "invoices",
                "keys": {"internalId": "id"},
                "at": "occurred_at",
                "lifted_by": {"event": ["restored"]},
            }
        },
    )
    events = [
        record("invoice_deletions", event_id="e1", internalId="A", occurred_at=TUESDAY, place="Oslo"),
        record("invoice_deletions", event_id="e2", internalId="Z", occurred_at=TUESDAY),
    ]
    run = target([gone, *events, LINES, INVOICES, *invoice("A", MONDAY, 2), *invoice("B", MONDAY, 1)], deletes=deletes)
    assert database.rows("SELECT count(*) FROM invoice_deletions") == [(2,)]
    if deletes == "remove":
        assert database.rows("SELECT id FROM invoices") == [("B",)]
        assert lines_of(database) == [("B", 1)]
    else:
        assert database.rows("SELECT id FROM invoices ORDER BY id") == [("A",), ("B",)]
        assert lines_of(database) == [("A", 2), ("B", 1)]
    if deletes == "mark":
        assert run.counts("invoice_deletions") == {"received": 2, "created": 2, "deleted": 3}
        assert database.texts("invoices", "id", "_sdc_deleted_at") == [("A", "2026-01-06 10:00:00+00"), ("B", None)]
        assert database.rows("SELECT invoice, n FROM lines WHERE _sdc_deleted_at IS NULL") == [("B", 0)]
        # It is restored; and an event that comes again does not undo that.
        back = record("invoice_deletions", event_id="e3", internalId="A", event="restored", occurred_at=WEDNESDAY)
        for messages in ([back], [events[0]]):
            target([gone, *messages])
            assert database.texts("invoices", "id", "_sdc_deleted_at") == [("A", None), ("B", None)]
            assert database.rows("SELECT count(*) FROM lines WHERE _sdc_deleted_at IS NULL") == [(3,)]


def test_a_deletion_at_a_time_that_is_none(target: Target, database: Database) -> None:
    """It counts from now on; times beside it stay what they are, and the next load is not stopped by it."""
    link = {"stream": "things", "keys": {"internalId": "id"}, "at": "at"}
    times = {"1": "2026-02-30T10:00:00Z", "2": "2024-02-29T23:59:59.5Z", "3": "0000-01-01T00:00:00Z", "4": "2026-01-31"}
    times |= {"5": "2026-01-05T24:00:01Z", "6": "2025-02-29T10:00:00Z", "7": "2026-04-30T10:00:00+00:00", "8": "\0"}
    kinds = {"texts": MOMENT, "integers": "integer", "objects": "object"}
    odd: dict[str, dict[str, Any]] = {"texts": times, "integers": {"9": 1767607200}, "objects": {"10": {"at": TUESDAY}}}
    target([schema("things", {"id": "string"}), *(record("things", id=str(n)) for n in range(1, 11))])
    ((began,),) = database.rows("SELECT CAST(now() AS VARCHAR)")
    for lifted in ({}, {"event": ["restored"]}):
        database.rows("UPDATE things SET _sdc_deleted_at = NULL")
        for kind, by_id in odd.items():
            fields = {"event_id": "string", "internalId": "string", "event": "integer", "at": kinds[kind]}
            head = schema(f"{kind}{len(lifted)}", fields, ["event_id"], **{"x-deletes": {**link, "lifted_by": lifted}})
            events = [record(head["stream"], event_id=n, internalId=n, event=1, at=at) for n, at in by_id.items()]
            # Those without a NUL first: in PostgreSQL the column then becomes JSON.
            target([head, *events[:7], state(1)])
            target([head, *events[7:], state(2)])
        found = {str(id_): since for id_, since in database.texts("things", "id", "_sdc_deleted_at")}
        assert (found.pop("2"), found.pop("7")) == ("2024-02-29 23:59:59.5+00", "2026-04-30 10:00:00+00")
        assert len(found) == 8
        assert all(since and since > began for since in found.values()), found


@pytest.mark.parametrize("odd", [False, True], ids=["times", "text"])
def test_events_of_one_instant_have_no_order(target: Target, database: Database, odd: bool) -> None:
    """Deleted and restored in one instant: what was before it is so after it. Nothing hangs on which comes first."""
    fields = {"event_id": "string", "internalId": "string", "event": "string", "occurred_at": MOMENT}
    link = {"stream": "things", "keys": {"internalId": "id"}, "at": "occurred_at"} | {
        "lifted_by": {"event": ["restored"]}
    }
    head = schema("gone", fields, ["event_id"], **{"x-deletes": link})
    said = {
        "back at once": [(TUESDAY, "deleted"), (TUESDAY, "restored")],
        "gone at last": [(MONDAY, "deleted"), (TUESDAY, "restored"), (TUESDAY, "deleted")],
        "gone twice": [(TUESDAY, "restored"), (TUESDAY, "deleted"), (TUESDAY, "deleted")],
        "back at last": [(MONDAY, "deleted"), (TUESDAY, "restored"), (WEDNESDAY, "deleted"), (WEDNESDAY, "restored")],
        "digits": [
            (MONDAY, "deleted"),
            (TUESDAY, "restored"),
            (TUESDAY.replace(".000", ""), "deleted"),
            (TUESDAY, "deleted"),
        ],
        "gone": [(MONDAY, "restored"), (TUESDAY, "deleted")],
    }
    gone = {"gone at last", "gone twice", "digits", "gone"}
    target([schema("things", {"id": "string"}), *(record("things", id=f"{n} {id_}") for n in range(3) for id_ in said)])
    if odd:
        target([head, record("gone", event_id="?", internalId="?", event="deleted", occurred_at="soon")])
        final = schema("orders_gone", fields, ["event_id"], **{"x-deletes": {**link, "lifted_by": {"event": []}}})
        dates = {"1": "soon", "2": TUESDAY}
        both = [record("orders_gone", event_id=n, internalId=n, occurred_at=at) for n, at in dates.items()]
        target([schema("things", {"id": "string"}), *(record("things", id=n) for n in dates), final, *both])
        assert ("2", "2026-01-06 10:00:00+00") in database.texts("things", "id", "_sdc_deleted_at")
        assert None not in database.rows("SELECT _sdc_deleted_at FROM things WHERE id = '1'")[0]
        database.rows("DELETE FROM things WHERE id IN ('1', '2')")
    for n in range(3):
        made = [
            record("gone", event_id=f"{n} {id_} {place}", internalId=f"{n} {id_}", event=event, occurred_at=at)
            for id_, events in said.items()
            for place, (at, event) in enumerate(events)
        ]
        for part in ([made], [made[::-1]], [made[1::2], made[::2]])[n]:
            target([head, *part])
        found = database.rows("SELECT id, _sdc_deleted_at FROM things WHERE _sdc_deleted_at IS NOT NULL")
        assert {id_ for id_, _ in found} == {f"{before} {id_}" for before in range(n + 1) for id_ in gone}
        assert all(at.isoformat().startswith("2026-01-0") for _, at in found)


# Companies


def test_many_companies_in_one_schema(target: Target, database: Database) -> None:
    company = schema("company", {"company": "string", "n": "integer"}, ["company"])
    for name in ("acme", "o'hara"):
        messages = [HEAD, LINES, INVOICES, company, record("things", id="1", n=len(name)), *invoice("A", MONDAY, 2)]
        run = target([*messages, record("company", company=f"{name} AS"), state(name)], company=name)
        assert run.counts("things") == {"received": 1, "created": 1}
    target([HEAD, LINES, INVOICES, record("things", id="1", n=9), *invoice("A", TUESDAY, 1)], company="acme")
    assert database.rows("SELECT company, id, n FROM things ORDER BY company") == [("acme", "1", 9), ("o'hara", "1", 6)]
    assert database.rows("SELECT company, count(*) FROM lines GROUP BY company ORDER BY company") == [
        ("acme", 1),
        ("o'hara", 2),
    ]
    assert database.texts("company", "company", "company_") == [("acme", "acme AS"), ("o'hara", "o'hara AS")]
    assert database.rows("SELECT company, pipeline FROM _state ORDER BY company") == [
        ("acme", "stored"),
        ("o'hara", "stored"),
    ]
    refused = target([HEAD, record("things", id="2")], expect=1)
    assert "holds rows of several companies" in refused.complaint
    full = [HEAD, {"type": "RECORD", "stream": "things", "record": {"id": "5"}, "version": 1}, version("things", 1)]
    target(full, company="acme", deletes="remove")
    assert database.rows("SELECT company, id FROM things ORDER BY company") == [("acme", "5"), ("o'hara", "1")]


def tenant(name: str) -> Record:
    return {"type": "STATE", "value": {"bookmarks": {"company": {"tenant": name}, "things": {"n": 1}}}}


def test_rows_never_come_under_the_name_of_another_company(target: Target, database: Database) -> None:
    row = record("things", id="1", n=1)
    target([HEAD, row, tenant("Acme AS")], company="acme")
    target([HEAD, row, tenant("Acme AS")], company="acme", state_id="another")
    target([HEAD, row, tenant("Bolt AS")], company="bolt")
    for name, whose in (("acme", "Bolt AS"), ("bolt", "Acme AS"), ("new", "Acme AS")):
        run = target([HEAD, record("things", id="2", n=2), tenant(whose)], expect=1, company=name)
        assert f'"{whose}"' in run.complaint
        assert run.out == ""
    assert database.rows("SELECT company, id FROM things ORDER BY company") == [("acme", "1"), ("bolt", "1")]
    assert database.rows("SELECT DISTINCT company, tenant FROM _state ORDER BY company") == [
        ("acme", "Acme AS"),
        ("bolt", "Bolt AS"),
    ]


def test_a_schema_of_one_company_takes_no_other(target: Target, database: Database) -> None:
    target([HEAD, record("things", id="1", n=1), tenant("Acme AS")])
    run = target([HEAD, record("things", id="1", n=2), tenant("Bolt AS")], expect=1)
    assert 'The schema stored holds the data of "Acme AS", and this is of "Bolt AS"' in run.complaint
    run = target([HEAD, record("things", id="1", n=2)], expect=1, company="bolt")
    assert "holds rows that do not say whose they are" in run.complaint
    assert database.rows("SELECT id, n FROM things") == [("1", 1)]


def test_metadata_columns(target: Target, database: Database) -> None:
    def message(n: int, extracted: str) -> Record:
        return record("things", id="1", n=n) | {"time_extracted": extracted}

    target([HEAD, message(1, MONDAY)], metadata_columns=True)
    before = database.rows("SELECT _sdc_received_at, _sdc_batched_at, _sdc_sequence FROM things")
    assert target([HEAD, message(1, TUESDAY)], metadata_columns=True).counts("things") == {
        "received": 1,
        "unchanged": 1,
    }
    assert database.rows("SELECT _sdc_received_at, _sdc_batched_at, _sdc_sequence FROM things") == before
    assert database.texts("things", "id", "_sdc_extracted_at") == [("1", "2026-01-05 10:00:00+00")]
    target([HEAD, message(2, "not a time")], metadata_columns=True)
    assert database.texts("things", "id", "n", "_sdc_extracted_at") == [("1", "2", None)]
    target([HEAD, record("things", id="2")])
    assert database.rows("SELECT count(*) FROM things") == [(2,)]
