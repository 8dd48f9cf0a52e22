"""Plan and rejects for people: pages and sheets in which digits stay, formulas do not run, and corrections load."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import openpyxl
import pytest
from openpyxl.utils import get_column_letter

from ap_connectors.core import sheets
from ap_connectors.core.errors import Stop
from ap_connectors.sandbox.process import SandboxProcess
from ap_connectors.singer import reject_sheets
from tests.browser import Tab
from tests.target_vicai.cases_documents import order_line
from tests.target_vicai.conftest import Message, Target, load
from tests.target_vicai.scene import AT, LONG
from tests.target_vicai.test_load_deletes import owned
from tests.target_vicai.test_load_plan import planned

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.target_vicai.store import Store

FORMULA = '=HYPERLINK("http://evil.example";"x")'
EVIL = "<script>alert(1)</script>"
BIG = "1234567890123456789.1200"


def wrong() -> list[Message]:
    """Vendors and an order, each wrong in one way, whose other fields must come through as they are."""
    vendors = [
        {"externalId": "000123", "externalUpdatedAt": AT, "name": LONG, "addressStreet": FORMULA},
        {
            "externalId": "V-2",
            "externalUpdatedAt": AT,
            "name": LONG,
            "addressStreet": "-1\n'second' @line",
            "phone": "+370 600",
        },
        {"externalId": "V-3", "externalUpdatedAt": AT, "name": EVIL * 20, "addressStreet": "Žąsų g. 1"},
    ]
    order = {
        "externalId": "PO-1",
        "poNumber": "007",
        "issuedOn": "2026-03-01",
        "vendorExternalId": "V-9",
        "amount": BIG,
        "lineItems": [order_line(1, "1", BIG, BIG)],
    }
    return [*load("vendors", *vendors), *load("purchase_orders", order)]


def correct(path: Path, changes: dict[str, dict[str, str]]) -> None:
    """Change cells of a sheet as a person would: by the record's key and the column's head."""
    if path.suffix == ".csv":
        rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))
        for row in rows[1:]:
            for head, value in changes.get(row[rows[0].index("externalId")].lstrip("'"), {}).items():
                row[rows[0].index(head)] = value
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            # As Excel does where the comma is the decimal sign.
            csv.writer(file, delimiter=";").writerows(rows)
        return
    book = openpyxl.load_workbook(path)
    for page in book.worksheets:
        heads = [cell.value for cell in page[1]]
        for cells in page.iter_rows(min_row=2):
            for head, value in changes.get(str(cells[heads.index("externalId")].value), {}).items():
                cells[heads.index(head)].value = value
    book.save(path)


@pytest.mark.parametrize("suffix", ["xlsx", "csv"])
def test_a_corrected_sheet_is_loaded(vicai: SandboxProcess, target: Target, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"rejects.{suffix}"
    target(wrong(), report_path=str(path), expect=1)
    changes = {"000123": {"name": "UAB Pirmas"}, "V-2": {"name": "UAB Antras"}, "V-3": {"name": EVIL}}
    correct(path, changes | {"PO-1": {"vendorExternalId": "V-2"}})
    run = target([], "--input", str(path))
    assert run.counts("vendors")["created"] == 3
    held = {one["externalId"]: one for one in vicai.control.vicai.records("vendors") if one.get("externalId")}
    assert [held[key]["name"] for key in changes] == ["UAB Pirmas", "UAB Antras", EVIL]
    assert held["000123"]["addressStreet"] == FORMULA
    assert (held["V-2"]["addressStreet"], held["V-2"]["phone"]) == ("-1\n'second' @line", "+370 600")
    (order,) = [one for one in vicai.control.vicai.records("purchaseOrders") if one.get("externalId") == "PO-1"]
    assert (order["poNumber"], order["amount"]) == ("007", BIG)


def test_a_key_that_stands_twice_in_a_list(vicai: SandboxProcess, target: Target, tmp_path: Path) -> None:
    """Each load would flip the vendor there and back: nothing of the list is loaded until it says one thing."""
    path = tmp_path / "vendors.csv"
    rows = [f"V1;{AT};Ąžuolas", f"V2;{AT};B", f"V3;{AT};C", f"V3;{AT};D", f"V1;{AT};Ąžuolas"]
    path.write_text("\n".join(["externalId;externalUpdatedAt;name", *rows]), "utf-8")
    run = target([], "--input", str(path), expect=1)
    assert "line 4 and line 5 have the same externalId V3: name differs. Which row counts?" in run.err
    assert run.writes == []
    path.write_text(path.read_text("utf-8").replace(rows[3], ""), "utf-8")
    assert target([], "--input", str(path)).counts("vendors")["created"] == 3
    # A group has no id of the ERP's: the name is its key.
    path = tmp_path / "vendor_groups.csv"
    path.write_text("name;description\nA;x\nA;y\n", "utf-8")
    assert "line 2 and line 3 have the same name A" in target([], "--input", str(path), expect=1).err


def test_a_wrong_heading_of_a_list(store: Store, target: Target, tmp_path: Path) -> None:
    """It is told once, before anything is loaded, and not of each row."""
    path = tmp_path / "vendors.csv"
    rows = [f"V{number};{AT};B" for number in range(20)]

    def refused(heads: str) -> str:
        path.write_text("\n".join([heads, *rows]), "utf-8")
        run = target([], "--input", str(path), expect=1)
        assert (run.writes, run.rejects, len(run.complaints)) == ([], [], 1)
        return run.complaints[0]

    assert "External ID: did you mean externalId?" in refused("External ID;externalUpdatedAt;name")
    assert "externalUpdated: did you mean externalUpdatedAt?" in refused("externalId;externalUpdated;name")
    assert "no column is called externalId" in refused("Supplier no;externalUpdatedAt;name")
    store.untouched()
    # Stream maps give columns other names; an invoice is known by either id.
    path.write_text("\n".join(["Supplier no;Changed;name", *rows]), "utf-8")
    maps = {"vendors": {"externalId": "record['Supplier no']", "externalUpdatedAt": "Changed", "name": "name"}}
    assert target([], "--input", str(path), stream_maps=maps).counts("vendors")["created"] == 20
    path = tmp_path / "invoice_payments.csv"
    path.write_text("externalId;externalPaymentMethod\nI1;a\nI1;b\n", "utf-8")
    run = target([], "--input", str(path), expect=1)
    assert "line 2 and line 3 have the same externalId I1" in run.complaints[0]


def test_plan_and_rejects_are_in_the_order_of_the_list(target: Target, tmp_path: Path) -> None:
    """A person has the list beside them; which thread was done first says nothing."""
    path, keys = tmp_path / "vendors.csv", [f"V{number * 7 % 30}" for number in range(30)]
    rows = [f"{key};{AT};{'X' * 300 if n % 5 == 4 else key};{'none' * (n % 3 == 0)}" for n, key in enumerate(keys)]
    path.write_text("\n".join(["externalId;externalUpdatedAt;name;paymentTermName", *rows]), "utf-8")
    expected = {
        True: [key for n, key in enumerate(keys) if n % 3 == 0 or n % 5 == 4],
        False: [key for n, key in enumerate(keys) if n % 3 and n % 5 != 4],
    }
    run = target([], "--input", str(path), dry_run=True, plan_path=str(tmp_path / "plan.json"), expect=1)
    plan = json.loads((tmp_path / "plan.json").read_text())["plan"]["vendors"]
    assert [one["key"] for one in plan["created"]] == expected[False]
    assert [one["key"] for one in plan["rejected"]] == expected[True]
    assert [line.split()[1] for line in run.err.splitlines() if line.startswith("  +")] == expected[False]
    target([], "--input", str(path), report_path=str(tmp_path / "rejects.csv"), expect=1)
    told = [dict(row.cells) for row in sheets.read(tmp_path / "rejects.csv")]
    assert {row["(key)"] for row in told} == {*expected[True]}
    by_code: dict[str, list[int]] = {}
    for row in told:
        by_code.setdefault(row["(code)"], []).append(int(row["(line)"]))
    assert [lines for lines in by_code.values() if lines != sorted(lines)] == []


def test_a_sheet_is_text(target: Target, tmp_path: Path) -> None:
    path = tmp_path / "rejects.xlsx"
    target(wrong(), report_path=str(path), expect=1)
    book = openpyxl.load_workbook(path)
    assert book.sheetnames == ["purchase_orders", "vendors"], "what others wait for comes first"
    cells = [cell for page in book.worksheets for row in page.iter_rows() for cell in row if cell.value is not None]
    assert {cell.data_type for cell in cells} == {"s"}
    assert {"000123", FORMULA, BIG, "007"} <= {cell.value for cell in cells}
    page = book["vendors"]
    heads = [cell.value for cell in page[1]]
    lead = dict(zip(heads, [cell.value for cell in page[2]], strict=True))
    assert str(lead["(what to do)"]).startswith("Correct the record")
    assert (lead["(field)"], lead["(stream)"], lead["(key)"], lead["(code)"]) == (
        "name",
        "vendors",
        "000123",
        "too_long",
    )
    assert page.column_dimensions[get_column_letter(heads.index(reject_sheets.ORIGINAL) + 1)].hidden


def test_csv_runs_no_formula(target: Target, tmp_path: Path) -> None:
    path = tmp_path / "rejects.csv"
    target(wrong(), report_path=str(path), expect=1)
    rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    cells = {cell for row in rows for cell in row}
    # What a spreadsheet would otherwise read as a number or a date, and write back as another text.
    assert {f"'{FORMULA}", "'000123", "'007", f"'{BIG}", "'2026-03-01"} <= cells
    assert "PO-1" in cells


@pytest.mark.long
@pytest.mark.parametrize("kind", ["rejects", "plan"])
def test_a_page_of_it(store: Store, target: Target, browser: Browser, tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"{kind}.html"
    if kind == "plan":
        target(planned(store), dry_run=True, plan_path=str(path), deletes="records", max_rejects=1)
    else:
        target(wrong(), report_path=str(path), expect=1)
    for scheme, width in (("light", 1280), ("dark", 320)):
        with Tab(browser, scheme=scheme, width=width) as tab:
            page = tab.open(path)
            assert (tab.overflow, tab.sideways) == (0, 0)
            groups = page.locator("section.group h3").all_inner_texts()
            if kind == "plan":
                assert any("accounts: would be deleted" in words for words in groups)
                row = page.locator("tr:has-text('Pervadinta')")
                assert "name" in row.locator("td").all_inner_texts()
            else:
                assert "Load what it refers to first" in groups[0]
                assert EVIL[:20] in page.locator("main").inner_text() or page.get_by_text("V-3").is_visible()
            page.get_by_role("searchbox").fill("too_long" if kind == "rejects" else "pervadinta")
            assert page.locator("tbody.group:visible").count() == 1
            assert (tab.complaints, tab.requests) == ([], [path.as_uri()])


@pytest.mark.parametrize("suffix", ["xlsx", "csv"])
def test_a_plan_as_a_sheet(store: Store, target: Target, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"plan.{suffix}"
    target(planned(store), dry_run=True, plan_path=str(path), deletes="records", max_rejects=1)
    rows = [dict(row.cells) for row in sheets.read(path)]
    (renamed,) = [row for row in rows if row["will be"] == "Pervadinta"]
    assert (renamed["what"], renamed["field"], bool(renamed["is now"])) == ("accounts: would be changed", "name", True)
    # What would be deleted or left out says so in its row: a sheet has no headings between rows.
    assert {"accounts: would be deleted", "accounts: would be set aside"} <= {row["what"] for row in rows}
    doomed = owned(store, "accounts")[2]
    named = {row["record"]: row["name"] for row in rows if row["what"].startswith("accounts")}
    assert (named["K-2"], named[doomed["externalId"]]) == (f"{LONG[:80]}…", doomed["name"]), (
        "names beside ids, also here"
    )


# What people do to sheets


def sheet(tmp_path: Path, *rows: list[Any]) -> Path:
    book = openpyxl.Workbook()
    assert book.active
    for row in rows:
        book.active.append(row)
    path = tmp_path / "changed.xlsx"
    book.save(path)
    return path


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
        (found,) = reject_sheets.sheets_of(map(reject_sheets.Rejected, lines), together=suffix == "csv")
        assert {"pay.bban", "pay.bank.iban", "pay.bank", "tax", "tax.org", "free", "a.b", "deep.a.b.c"} <= {
            *found.heads
        }
        path = tmp_path / f"members.{suffix}"
        path.write_bytes(sheets.csv_bytes(found) if suffix == "csv" else sheets.xlsx_bytes([found]))
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
    (found,) = reject_sheets.sheets_of(map(reject_sheets.Rejected, many), together=False)
    path.with_suffix(".xlsx").write_bytes(sheets.xlsx_bytes([found]))
    assert "pay" in found.heads
    assert [*reject_sheets.messages(path.with_suffix(".xlsx"))][1:] == [line + b"\n" for line in many]


def test_what_was_not_touched_keeps_its_bytes(tmp_path: Path) -> None:
    line = LINE.replace('"amount": 5', '"amount" :5.00').encode()
    (found,) = reject_sheets.sheets_of([reject_sheets.Rejected(line)], together=False)
    path = tmp_path / "same.xlsx"
    path.write_bytes(sheets.xlsx_bytes([found]))
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


ODD: dict[str, Any] = {
    "externalId": "000123",
    "name": "UAB \"Vilnius\", 'Ą'",
    "ref": "1234567890123456789",
    "amount": Decimal("1234.50"),
    "total": "1234.50",
    "day": "2026-03-01",
    "at": "2026-03-01T10:00:00.5",
    "note": None,
}
"""What spreadsheets like to change."""


def odd_sheet(tmp_path: Path, suffix: str) -> tuple[Path, list[str], list[Any]]:
    """A sheet of one reject as `report_path` writes it; its heads, and its row."""
    given = {"type": "RECORD", "stream": "s", "record": ODD, "rejected": {"code": "too_long", "line": 7}}
    line = msgspec.json.Encoder(decimal_format="number").encode(given)
    (found,) = reject_sheets.sheets_of([reject_sheets.Rejected(line)], together=suffix == "csv")
    path = tmp_path / f"odd.{suffix}"
    path.write_bytes(sheets.csv_bytes(found) if suffix == "csv" else sheets.xlsx_bytes([found]))
    if suffix == "csv":
        heads, row = csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline=""))
        return path, heads, row
    page = openpyxl.load_workbook(path).worksheets[0]
    (first, second) = ([cell.value for cell in cells] for cells in page.iter_rows())
    return path, [str(one) for one in first], list(second)


def saved(path: Path, heads: list[str], *rows: list[Any]) -> Path:
    """The sheet as Excel saves it: in Lithuania and Norway CSV has semicolons."""
    if path.suffix == ".csv":
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            csv.writer(file, delimiter=";").writerows([heads, *rows])
        return path
    book = openpyxl.Workbook()
    assert book.active
    for row in (heads, *rows):
        book.active.append(row)
    book.save(path)
    return path


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


def test_field_and_value_of_each_reject(vicai: SandboxProcess, target: Target, tmp_path: Path) -> None:
    """A person looks for the field, and for what stands there; the last line names the sheet that was asked for."""
    quoted = "UAB \"Kelias\", 'Ą'"
    control = vicai.control.vicai
    control.add("paymentTerms", 2, name="Dvigubas")
    good = {"externalUpdatedAt": AT, "name": "UAB"}
    vendors: list[dict[str, Any]] = [
        {"externalId": "R-1", **good, "paymentTermName": quoted},
        {"externalId": "R-2", **good, "paymentTermName": "Dvigubas"},
        {"externalId": "R-3", **good, "name": LONG},
        {"externalId": "R-4", **good, "externalUpdatedAt": "2026-03-01"},
        {"externalId": "R-5", **good, "email": {"a": 1}},
        {"externalId": "R-6", "name": "UAB"},
        {"externalId": "R-7", **good, "paymentTermId": quoted},
    ]
    for suffix in ("csv", "xlsx"):
        path = tmp_path / f"fields.{suffix}"
        run = target(load("vendors", *vendors), report_path=str(path), expect=1)
        rows = [dict(row.cells) for row in sheets.read(path)]
        assert {row["(key)"]: (row["(field)"], row["(value)"]) for row in rows} == {
            "R-1": ("paymentTermName", quoted),
            "R-2": ("paymentTermName", "Dvigubas"),
            "R-3": ("name", LONG[:60] + "…"),
            "R-4": ("externalUpdatedAt", "2026-03-01"),
            "R-5": ("email", "an object"),
            "R-6": ("externalUpdatedAt", ""),
            "R-7": ("paymentTermId", quoted),
        }
        assert f"{path} lists them: correct them there, and load it" in run.complaints[-1]
        assert f"--input {path}" in run.complaints[-1]
    run = target(load("vendors", *vendors), dry_run=True, expect=1)
    assert "R-4   UAB   externalUpdatedAt has no time of day: '2026-03-01'" in run.err, "the plan says it, too"
    assert not [one for one in control.records("vendors") if str(one.get("externalId")).startswith("R-")]
    run = target(load("vendors", *vendors), report_path=str(tmp_path / "fields.html"), expect=1)
    assert f"fields.html lists them for people. Correct them in {run.reject_path}" in run.complaints[-1]


def test_an_ending_that_is_not_known_is_refused_at_the_start(store: Store, target: Target, tmp_path: Path) -> None:
    for setting, name, words in (
        ("report_path", "report.pdf", "has the ending .pdf"),
        ("report_path", "report", "has no ending"),
        ("plan_path", "plan.docx", "has the ending .docx"),
        ("plan_path", "plan.json.gz", "has the ending .gz"),
    ):
        run = target(wrong(), dry_run=setting == "plan_path", expect=1, **{setting: str(tmp_path / name)})
        assert f"{setting}: {tmp_path / name} {words}. Name a file that ends in .json or .html or" in run.complaints[-1]
        assert run.calls == []
        assert not (tmp_path / name).exists()
    target(load("accounts"), report_path="/dev/null")
    store.untouched()


def test_hidden_rows_are_not_loaded(vicai: SandboxProcess, target: Target, tmp_path: Path) -> None:
    """A filter leaves the others in the file; so also in a sheet of rejects, whose last column is hidden."""
    path = tmp_path / "rejects.xlsx"
    target(wrong(), report_path=str(path), expect=1)
    changes = {key: {"name": "UAB"} for key in ("000123", "V-2", "V-3")}
    correct(path, changes)
    book = openpyxl.load_workbook(path)
    book["vendors"].row_dimensions[3].hidden = True
    book.save(path)
    run = target([], "--input", str(path), expect=1)
    assert "1 row is hidden by a filter or by hand (sheet vendors, row 3)" in run.complaints[-1]
    assert run.writes == []
    book["vendors"].row_dimensions[3].hidden = False
    book.save(path)
    assert target([], "--input", str(path), expect=1).counts("vendors")["created"] == 3
    book = openpyxl.Workbook()
    page = book.active
    assert page
    for row in (["externalId", "externalUpdatedAt", "name"], ["H-1", AT, "A"], ["H-2", AT, "B"]):
        page.append(row)
    page.row_dimensions[2].hidden = True
    book.save(path := tmp_path / "vendors.xlsx")
    run = target([], "--input", str(path), expect=1)
    assert "nothing was. Show them if they are" in run.complaints[-1]
    assert run.writes == []


def test_a_sheet_that_is_not_named_as_one(store: Store, target: Target, tmp_path: Path) -> None:
    for suffix in ("xlsx", "csv"):
        path, _, _ = odd_sheet(tmp_path, suffix)
        run = target([path.read_bytes()], expect=1)
        assert "The input is a sheet. Name it" in run.complaints[-1]
        other = path.rename(path.with_suffix(".xls" if suffix == "xlsx" else ".html"))
        run = target([], "--input", str(other), expect=1)
        assert "Save it as .xlsx, or load a file" in run.complaints[-1]
    store.untouched()


def test_another_company_s_sheet_is_not_loaded(vicai: SandboxProcess, target: Target, tmp_path: Path) -> None:
    path = tmp_path / "rejects.xlsx"
    target(wrong(), report_path=str(path), expect=1)
    vicai.control.vicai.options(company="Another AS")
    run = target([], "--input", str(path), expect=1)
    assert "The reject sheet belongs to another company" in run.complaints[-1]
    assert "load the reject file that the sheet was made of" in run.complaints[-1]
    assert run.writes == []


def test_a_long_record_goes_on_in_the_next_column(tmp_path: Path) -> None:
    line = LINE.replace('"note": null', f'"documentBase64": "{"QUJD" * 20_000}"').encode()
    for suffix in ("xlsx", "csv"):
        (found,) = reject_sheets.sheets_of([reject_sheets.Rejected(line)], together=suffix == "csv")
        path = tmp_path / f"long.{suffix}"
        path.write_bytes(sheets.csv_bytes(found) if suffix == "csv" else sheets.xlsx_bytes([found]))
        assert [*reject_sheets.messages(path)][-1] == line + b"\n"


# Lists that were never rejects


def test_a_list_is_loaded(store: Store, target: Target, tmp_path: Path) -> None:
    heads = ["externalId", "externalUpdatedAt", "name", "taxInfo.orgNumber", "email", "nonsense"]
    path = sheet(
        tmp_path,
        heads,
        ["L-1", datetime(2026, 3, 1), "Ąžuolas", 914782345, "a@b.lt", None],
        ["L-2", "01.03.2026", "Bad time", None, None, None],
        [None] * 6,
        ["L-3", datetime(2026, 3, 1, 10), "Third", None, None, "x"],
    ).rename(tmp_path / "Vendors 2026.xlsx")
    run = target([], "--input", str(path), expect=1)
    assert (run.counts("vendors")["created"], run.counts("vendors")["rejected"]) == (2, 1)
    assert "L-2 (row 3)" in run.err
    assert ": columns left out, as no field is called so: nonsense." in run.err
    store.look()
    first = store.one("vendors", externalId="L-1")
    assert (first["taxInfo"]["orgNumber"], first["externalUpdatedAt"]) == ("914782345", "2026-03-01T00:00:00")
    # An empty cell says nothing, and what is the same is not written.
    path = sheet(tmp_path, heads[:5], ["L-1", datetime(2026, 3, 2), "Ąžuolas", None, None]).rename(path)
    assert target([], "--input", str(path)).counts("vendors")["updated"] == 1
    store.look()
    kept = store.one("vendors", externalId="L-1")
    assert (kept["email"], kept["taxInfo"]["orgNumber"]) == ("a@b.lt", "914782345")
    assert target([], "--input", str(path)).writes == []
