"""Sheets of rejects: what people and spreadsheets do to cells is right, or refused in words that say where."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import openpyxl
import pytest

from ap_connectors.core.errors import Stop
from ap_connectors.singer import reject_sheets
from tests.singer.sheet_files import ODD, correct, odd_sheet, saved, sheet, written

RECORD: dict[str, Any] = {"externalId": "1", "amount": 5, "lines": [1], "note": None, "open": True}
LINE = json.dumps({"type": "RECORD", "stream": "s", "record": RECORD, "rejected": {"code": "too_long", "line": 1}})


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads([*reject_sheets.messages(path)][-1])["record"]
    return found


@pytest.mark.parametrize(
    ("head", "cell", "value"),
    [
        ("amount", "1234567890123456789", 1234567890123456789),
        ("amount", "five", "five"),
        ("amount", 7.0, 7),
        ("lines", "[1, 2]", [1, 2]),
        ("note", "new", "new"),
        ("externalId", "", None),
        ("open", False, False),
        ("open", "no", "no"),
        ("added", "x", "x"),
    ],
)
def test_a_cell_that_was_changed(tmp_path: Path, head: str, cell: Any, value: Any) -> None:
    row = {"externalId": "1", "amount": "5", "lines": "[1]", "note": None, "open": "true"} | {head: cell}
    heads, cells = [*row, reject_sheets.ORIGINAL], [*row.values(), LINE]
    assert read(sheet(tmp_path, heads, cells)) == RECORD | {head: value}


def test_members_of_objects_are_columns(tmp_path: Path) -> None:
    """As in lists, so that a bank account is corrected in a cell of its own, and not within JSON."""
    records: list[dict[str, Any]] = [
        {
            "externalId": "1",
            "pay": {"bban": "007", "bank": {"iban": "LT1", "bic": None}},
            "tax": None,
            "lines": [{"a": 1}],
        },
        {"externalId": "2", "tax": {"org": "9"}, "free": {"a.b": {"c": 1}}, "empty": {}, "pay": {"bank": "x"}},
        {"externalId": "3", "a.b": 1, "tax": {"org": "9"}},
        {"externalId": "4", "deep": {"a": {"b": {"c": {"d": {"e": 1}}}}}},
    ]
    lines = [
        json.dumps(
            {"type": "RECORD", "stream": "s", "record": one, "rejected": {"code": "too_long", "line": n}}
        ).encode()
        for n, one in enumerate(records)
    ]
    for suffix in ("xlsx", "csv"):
        path = tmp_path / f"members.{suffix}"
        heads = written(path, *lines)
        assert {"pay.bban", "pay.bank.iban", "pay.bank", "tax", "tax.org", "free", "a.b", "deep.a.b.c"} <= {*heads}
        read_back = [one for one in reject_sheets.messages(path) if b'"RECORD"' in one]
        assert read_back == [line + b"\n" for line in lines], "untouched, to the byte"
        changes = {
            "1": {"pay.bban": "008", "pay.bank.bic": "B", "tax.org": "5"},
            "2": {"tax.org": "", "pay.bban": "6"},
            "3": {"tax": '{"org": "8"}'},
        }
        correct(path, changes)
        changed = [json.loads(one)["record"] for one in reject_sheets.messages(path) if b'"RECORD"' in one]
        first = {"pay": {"bban": "008", "bank": {"iban": "LT1", "bic": "B"}}, "tax": {"org": "5"}}
        assert changed == [
            records[0] | first,
            records[1] | {"tax": {"org": None}, "pay": {"bank": "x", "bban": "6"}},
            records[2] | {"tax": {"org": "8"}},
            records[3],
        ]
    # Names that are data would be more columns than a spreadsheet takes.
    many = [lines[0].replace(b'"bban"', f'"bban{n}"'.encode()) for n in range(300)]
    path = tmp_path / "many.xlsx"
    assert "pay" in written(path, *many)
    assert [*reject_sheets.messages(path)][1:] == [line + b"\n" for line in many]


def test_what_was_not_touched_keeps_its_bytes(tmp_path: Path) -> None:
    line = LINE.replace('"amount": 5', '"amount" :5.00').encode()
    path = tmp_path / "same.xlsx"
    written(path, line)
    assert [*reject_sheets.messages(path)][-1] == line + b"\n"


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([["(what to do)", "amount"], ["correct it", "5"]], "is missing or changed"),
        ([["lines", reject_sheets.ORIGINAL], ["1, 2", LINE]], "row 2, lines: this is not JSON any more"),
        ([["amount", reject_sheets.ORIGINAL], [1234567890123456789.0, LINE]], "may have rounded"),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path: Path, rows: list[list[Any]], words: str) -> None:
    with pytest.raises(Stop, match=words):
        read(sheet(tmp_path, *rows))


@pytest.mark.parametrize("suffix", ["xlsx", "csv"])
def test_what_people_and_spreadsheets_do(tmp_path: Path, suffix: str) -> None:
    """Each is either right, or refused in words that say where and what to do."""
    path, heads, row = odd_sheet(tmp_path, suffix)
    before = json.loads([*reject_sheets.messages(path)][-1], parse_float=Decimal)["record"]
    assert before == ODD

    def with_cells(**cells: Any) -> list[Any]:
        return [cells.get(head, cell) for head, cell in zip(heads, row, strict=True)]

    def loaded(*rows: list[Any], heads: list[str] = heads) -> list[dict[str, Any]]:
        lines = [json.loads(one, parse_float=Decimal) for one in reject_sheets.messages(saved(path, heads, *rows))]
        return [one["record"] for one in lines if one["type"] == "RECORD"]

    def refused(*rows: list[Any], heads: list[str] = heads) -> str:
        with pytest.raises(Stop) as stop:
            loaded(*rows, heads=heads)
        assert path.name in str(stop.value)
        return str(stop.value)

    is_csv = suffix == "csv"
    # Saved as it was; rows taken out; columns in another order; a further field.
    assert loaded(row) == [ODD]
    assert loaded() == []
    order = sorted(range(len(heads)), key=lambda number: heads[number])
    assert loaded([row[n] for n in order], heads=[heads[n] for n in order]) == [ODD]
    assert loaded([*row, "x@y.lt"], heads=[*heads, "email"]) == [ODD | {"email": "x@y.lt"}]
    # What was retyped without being changed.
    dates = (
        {"day": "2026-03-01"}
        if is_csv
        else {"day": datetime(2026, 3, 1), "at": datetime(2026, 3, 1, 10, 0, 0, 500_000)}
    )
    numbers: dict[str, Any] = {"amount": "1234.5", "total": "1234.5"} if is_csv else {"amount": 1234.5, "total": 1234.5}
    assert loaded(with_cells(**dates, **numbers)) == [ODD]
    if is_csv:
        assert "after an apostrophe" in refused(with_cells(externalId="123"))
        assert "1.23457E+18 may be what a spreadsheet has made of it" in refused(with_cells(ref="1.23457E+18"))
        assert "after an apostrophe" in refused(with_cells(ref="1,23457E+18"))
    else:
        assert "row 2, externalId: 123 may be what" in refused(with_cells(externalId=123))
        for number in (1234567890123450000, 1.23456789012345e18):
            assert "may have rounded" in refused(with_cells(ref=number))
        assert loaded(with_cells(at=datetime(2026, 4, 1)))[0]["at"] == "2026-04-01T00:00:00"
        # What was no date is a time, too: of a field that is a day the contract takes midnight.
        assert read(sheet(tmp_path, ["note", reject_sheets.ORIGINAL], [datetime(2026, 4, 1), LINE]))["note"] == (
            "2026-04-01T00:00:00"
        )
        assert "this is a formula" in refused(with_cells(name="=A1"))
        assert "this is an error (#REF!)" in refused(with_cells(amount="#REF!"))
    # What was changed. A decimal comma stays for the target to refuse: 1,234 may be either.
    assert loaded(with_cells(externalId="000124", amount="99.10", note="new"))[0] == ODD | {
        "externalId": "000124",
        "amount": Decimal("99.10"),
        "note": "new",
    }
    assert loaded(with_cells(amount="1234,75"))[0]["amount"] == "1234,75"
    # Rows and headings.
    empty = ["" if is_csv else None] * len(heads)
    assert "New records come from where the others come from" in refused(row, ["V-9", *empty[1:]])
    assert "is gone, and Pavadinimas is new" in refused(row, heads=["Pavadinimas" if h == "name" else h for h in heads])
    assert "two columns are called name" in refused(row, heads=["name" if h == "note" else h for h in heads])
    assert "is missing or changed" in refused(row, heads=["line" if h == reject_sheets.ORIGINAL else h for h in heads])
    assert "Sort whole rows" in refused(with_cells(**{"(line)": "8"}))


@pytest.mark.parametrize("suffix", ["xlsx", "csv"])
def test_a_number_that_a_spreadsheet_has_made(tmp_path: Path, suffix: str) -> None:
    """Who types 007 into a cell that is not text gets 7: what was meant is loaded, or asked for by row and column."""
    path, is_csv = tmp_path / f"codes.{suffix}", suffix == "csv"

    def typed(before: Any, cell: Any, *, at_fault: bool = False, shown: str = "") -> Any:
        """What is loaded of a cell; a number is one that the spreadsheet has made."""
        field = "code" if at_fault else "name"
        line = {
            "type": "RECORD",
            "stream": "s",
            "record": {"code": before, "name": "x"},
            "rejected": {"code": "unknown_reference", "params": {"references": [{"field": field, "key": "7"}]}},
        }
        book = saved(
            path,
            ["code", "name", reject_sheets.ORIGINAL],
            [cell, "x", msgspec.json.Encoder(decimal_format="number").encode(line).decode()],
        )
        if shown:
            changed = openpyxl.load_workbook(book)
            changed.worksheets[0]["A2"].number_format = shown
            changed.save(book)
        found = [json.loads(one, parse_float=Decimal) for one in reject_sheets.messages(book)]
        return found[-1]["record"]["code"]

    def asked(*given: Any, **more: Any) -> bool:
        with pytest.raises(Stop, match=r"(row|line) 2, code: .* may be what a spreadsheet has made of it") as stop:
            typed(*given, **more)
        return ("after an apostrophe" if is_csv else "Make the cell text") in str(stop.value)

    text = "'{}".format if is_csv else str
    # Typed as text: as it is meant.
    for before, code in (("007", "7"), ("7", "007"), ("1500.1", "1500.10"), ("1500.10", "1500.1"), (7, "007")):
        assert typed(before, text(code)) == code
    assert typed(7, text("7.0")) == 7
    # A number where zeros were, also another one; and where the field is what was wrong.
    for coded, number in (("007", 7), ("007", 8), ("+4790011223", 4790011223)):
        assert asked(coded, number)
    assert asked("1500.10", 1500.1, at_fault=True)
    assert typed("1500.10", 1500.1) == "1500.10"
    assert typed("12", 13) == "13"
    assert typed(Decimal("12.50"), 12.5) == Decimal("12.50")
    assert typed("7", 7) == "7"
    if is_csv:
        # As a column of the format 000 is saved.
        assert typed("7", "007") == "007"
        assert typed("7", 7, at_fault=True) == "7"
    else:
        assert typed("7", 7, shown="000") == "007"
        assert typed("008", 7, shown="000") == "007"
        assert asked("7", 7, at_fault=True)


def test_a_long_record_goes_on_in_the_next_column(tmp_path: Path) -> None:
    line = LINE.replace('"note": null', f'"documentBase64": "{"QUJD" * 20_000}"').encode()
    for suffix in ("xlsx", "csv"):
        path = tmp_path / f"long.{suffix}"
        written(path, line)
        assert [*reject_sheets.messages(path)][-1] == line + b"\n"
