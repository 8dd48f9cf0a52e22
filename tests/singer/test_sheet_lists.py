"""Lists of a spreadsheet as input: text stays text, an empty cell says nothing, and a doubt ends the reading."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import openpyxl
import pytest

from ap_connectors.core import messages, sheets
from ap_connectors.core.errors import Stop
from ap_connectors.singer import sheet_lists
from ap_connectors.singer.sink import ListColumns

_SHOWN = ("1.23457E+18", "1,2E+12", "#N/A", "#I/T", "#DIV/0!", "#REIKŠMĖ!", "#NAVN?", "########")
"""What spreadsheets write into CSV of long numbers, errors, and dates in narrow columns."""
COLUMNS = {
    "vendors": ListColumns(["externalId"], ["externalId", "name", "taxInfo.orgNumber", "email"], ["name"]),
    "purchase_orders": ListColumns(["externalId", "poNumber"]),
    "accounts": ListColumns(["externalId"]),
}
HEADS = "externalId;externalUpdatedAt;name;taxInfo.orgNumber"


def book(path: Path, *rows: list[Any], more: list[Any] | None = None) -> Path:
    made = openpyxl.Workbook()
    assert made.active
    for row in rows:
        made.active.append(row)
    if more:
        made.create_sheet("More").append(more)
        made["More"].append(more)
    made.save(path)
    return path


def read(path: Path) -> tuple[str, list[tuple[int, Any]]]:
    """The stream, and records with the number of their line."""
    found = [*messages.read(sheet_lists.messages(path, lambda stream: COLUMNS.get(stream, ListColumns())))]
    return str(found[0].message.stream), [(line.number, line.message.record) for line in found[1:]]


def test_a_row_is_a_record(tmp_path: Path) -> None:
    path = book(
        tmp_path / "vat_codes - Kopi (2).xlsx",
        ["externalId ", "changed", "day", "taxInfo.orgNumber", "taxInfo.a.b", "rate", "open", None],
        ["007", datetime(2026, 11, 20, 14, 2, 11), date(2026, 11, 20), 914782345, "x", 0.0825, True, None],
        [None, " ", None, None, None, None, None, None],
        [12, None, None, None, None, 0, False, ""],
        [None] * 8,
    )
    changed = openpyxl.load_workbook(path)
    assert changed.active
    changed.active["A4"].number_format = "00000"
    changed.save(path)
    first = {
        "externalId": "007",
        "changed": "2026-11-20T14:02:11",
        "day": "2026-11-20T00:00:00",
        "taxInfo": {"orgNumber": "914782345", "a": {"b": "x"}},
        "rate": "0.0825",
        "open": "true",
    }
    second = {"externalId": "00012", "rate": "0", "open": "false"}
    assert read(path) == ("vat_codes", [(2, first), (4, second)])


@pytest.mark.parametrize("sign", [";", ",", "\t"])
def test_csv_as_spreadsheets_write_it(tmp_path: Path, sign: str) -> None:
    path = tmp_path / "vendors_2026.csv"
    rows = [HEADS.replace(";", sign), sign.join(["1", "'t", '"Ąžuolas, ""AS"";\n2"', ""]), sign * 3, "", f"2{sign}x"]
    path.write_text("\r\n".join(rows), "utf-8-sig", newline="")
    expected = [
        (2, {"externalId": "1", "externalUpdatedAt": "'t", "name": 'Ąžuolas, "AS";\n2'}),
        (5, {"externalId": "2", "externalUpdatedAt": "x"}),
    ]
    # A blank line counts in a spreadsheet, too.
    assert read(path) == ("vendors", expected)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (["externalId,name", "1,A, B AS"], "line 2: 1 more cell than the first row has heads"),
        (["Vendors per 1.11.;;", "", HEADS, "1;2;3;4"], "line 3"),
        (["a;b;a", "1;2;3"], "names a more than once"),
        (["a.b;a", "1;2"], "names a more than once"),
        (
            ["External_ID;name", "V3;A", "V3 ;B"],
            "line 2 and line 3 have the same External_ID V3: name differs. Which row",
        ),
        (["externalId;b", "V3;x", "V3\u200b;y"], "line 2 and line 3 have the same externalId V3"),
        (["externalId;b", *(f"{n};{b}" for b in "xyz" for n in (1, 2, 3))], "externalId 2: b differs; 1 more. Which"),
        ([HEADS], "has no rows below its first one"),
        ([], "has no rows below its first one"),
        ([HEADS, '1;2;"UAB Ą', "2;3;x"], "quotation mark that is not closed"),
        *((["a;b", f"1;{shown}"], "line 2, b: .* instead of the value") for shown in _SHOWN),
    ],
)
def test_csv_that_leaves_a_doubt(tmp_path: Path, rows: list[str], words: str) -> None:
    path = tmp_path / "accounts.csv"
    path.write_text("\n".join(rows), "utf-8")
    with pytest.raises(Stop, match=words):
        read(path)


def test_a_heading_that_is_wrong_is_told_once(tmp_path: Path) -> None:
    """Of the key, and of what is needed: each row would be set aside by itself. Other columns are only warned of."""
    for name, heads, words in (
        ("vendors", "External ID;name", "External ID: did you mean externalId?"),
        ("vendors", "externalld;nmae", "externalld: did you mean externalId.; nmae: did you mean name?"),
        ("vendors", "externalId;names", "names: did you mean name?"),
        ("vendors", "Supplier no;name", r"no column is called externalId, .* has Supplier no\. Correct"),
        ("vendors", "Vendors per 1.11.;", "no column is called externalId"),
        ("purchase_orders", "PO no;name", ""),
        ("vendors", "externalId;emial;names;name;iban", ""),
        ("vendors", "external_id;NAME;tax_info.org_number", ""),
        ("suppliers", "Supplier no;name", ""),
    ):
        path = tmp_path / f"{name}.csv"
        path.write_text(f"{heads}\n1;2;3;4;5\n2;2;3;4;5\n".replace(";3;4;5", ";" * (heads.count(";") - 1)), "utf-8")
        if not words:
            assert len(read(path)[1]) == 2
            continue
        with pytest.raises(Stop, match=words) as stop:
            read(path)
        assert str(path) in str(stop.value)
        assert "nothing was loaded" in str(stop.value)


def test_rows_that_say_the_same_are_one(tmp_path: Path) -> None:
    path = tmp_path / "purchase_orders.csv"
    path.write_text("\ufeff\u200bpoNumber;externalId;a\n7;;x\n8;7;x\n7; ;x \n;;y\n;;y\n", "utf-8")
    first, other, none = {"poNumber": "7", "a": "x"}, {"poNumber": "8", "externalId": "7", "a": "x"}, {"a": "y"}
    assert read(path)[1] == [(2, first), (3, other), (5, none), (6, none)]


def test_workbooks_that_leave_a_doubt(tmp_path: Path) -> None:
    path = tmp_path / "accounts.xlsx"
    for rows, more, words in (
        ([["a", "b"], ["1", "=A2&A2"]], None, "row 2, b: this is a formula"),
        ([["a", "b"], ["1", "#N/A"]], None, "this is an error"),
        ([["a", "b"], ["1", timedelta(hours=30)]], None, "row 2, b: this is a number of hours"),
        ([["a", "b"], ["1", datetime(1900, 1, 8)]], None, r"row 2, b: .* that is shown as a day \(1900\)"),
        ([["a", "b"], ["1", 1234567890123456789.0]], None, "may have rounded"),
        ([["a"], ["1"]], ["a"], "in more than one sheet"),
        ([["a", "b"], ["1", "MAR-A"], ["2", date(2026, 3, 1)]], None, "row 3, b: this is the day 2026-03-01"),
    ):
        with pytest.raises(Stop, match=words):
            read(book(path, *rows, more=more))
    merged = openpyxl.load_workbook(book(path, ["a", "b"], ["1", "x"], ["2", None]))
    assert merged.active
    merged.active.merge_cells("B2:B3")
    merged.save(path)
    with pytest.raises(Stop, match="the cells B2:B3 are merged"):
        read(path)
    path.write_bytes("a;b\nĄ;1".encode("cp1257"))
    with pytest.raises(Stop, match="not an Excel workbook"):
        read(path)
    path = path.rename(tmp_path / "accounts.csv")
    for encoding in ("cp1257", "utf-16", "utf-16-le", "utf-16-be"):
        path.write_bytes("externalId;b\nV;1".encode(encoding) + "Ą".encode("cp1257") * (encoding == "cp1257"))
        with pytest.raises(Stop, match="is not UTF-8 text"):
            read(path)
    for name in ("vendors.xls", "vendors.ods"):
        with pytest.raises(Stop, match="Save it as"):
            sheet_lists.is_sheet(name)
    assert not sheet_lists.is_sheet("<stdin>")
    assert not sheet_lists.is_sheet(0)


def test_what_is_wrong_with_a_list_is_told_at_once(tmp_path: Path) -> None:
    """One mistake a run, a person would correct and load it ten times; a thousand formulas are one line."""
    path = tmp_path / "vendors.xlsx"
    made = openpyxl.load_workbook(
        book(
            path,
            ["externalId", "names", "email", "phone", "iban"],
            ["007", "=A1", "MAR-A", "#N/A", "1E+12"],
            [8, "=A1", date(2026, 3, 1), 1234567890123456789.0, "#####"],
            ["V3", "x", "", timedelta(hours=30), ""],
            ["V3", "y", "", "", "", "beyond"],
            ["V4", "=A1", "", "", ""],
        )
    )
    page = made.worksheets[0]
    page.merge_cells("B4:C4")
    page.row_dimensions[6].hidden = True
    made.save(path)
    told = [
        "the cells B4:C4 are merged",
        "row 2, names: this is a formula",
        "row 2, phone: this is an error",
        "row 3, phone: 1234567890123457000 is a number that the spreadsheet may have rounded",
        "row 4, phone: this is a number of hours",
        "1 row is hidden by a filter or by hand",
        "names: did you mean name?",
        "row 2, iban: 1E+12 is what a spreadsheet shows",
        "row 5: 1 more cell than the first row has heads",
        "3 more kinds of mistakes are told when these are corrected.",
    ]
    with pytest.raises(Stop) as stop:
        read(path)
    lines = str(stop.value).split("\n")
    assert len(lines) == len(told), lines
    for line, words in zip(lines, told, strict=True):
        assert words in line
    assert lines[1].endswith("(2 more like this.)")
    page.unmerge_cells("B4:C4")
    page.row_dimensions[6].hidden = False
    page["B1"] = "name"
    made.save(path)
    with pytest.raises(Stop, match="phone: this is an error") as stop:
        read(path)
    for words in ("email: this is the day 2026-03-01", "externalId: 8 is a number", "have the same externalId V3"):
        assert words in str(stop.value)


@pytest.mark.parametrize("said", [b"A1", b"A1:B2", b""])
def test_a_workbook_that_is_larger_than_it_says(tmp_path: Path, said: bytes) -> None:
    """Programs other than spreadsheets write a wrong dimension, or none."""
    path = book(tmp_path / "accounts.xlsx", ["a", "b"], ["1", "x"], ["2", "y"], [None, None], ["3", "ž", None])
    parts = sheet_parts(path)
    name = "xl/worksheets/sheet1.xml"
    parts[name] = parts[name].replace(b'<dimension ref="A1:C5"', b'<dimension ref="%b"' % said if said else b"<unknown")
    assert b"A1:C5" not in parts[name]
    write_parts(path, parts)
    expected = [(2, {"a": "1", "b": "x"}), (3, {"a": "2", "b": "y"}), (5, {"a": "3", "b": "ž"})]
    assert read(path) == ("accounts", expected)


def test_a_workbook_that_is_spoilt(tmp_path: Path) -> None:
    path = book(tmp_path / "accounts.xlsx", ["a"], ["1"])
    parts = sheet_parts(path)
    parts["xl/worksheets/sheet1.xml"] = parts["xl/worksheets/sheet1.xml"][:-40]
    write_parts(path, parts)
    with pytest.raises(Stop, match="is not an Excel workbook"):
        read(path)


def test_a_workbook_that_would_fill_the_memory(tmp_path: Path) -> None:
    source = tmp_path / "source.xlsx"
    openpyxl.Workbook().save(source)
    harms = {
        "unpacks to": (b"</sheetData>", b" " * 101_000_000 + b"</sheetData>"),
        "DOCTYPE": (b"<w", b"<!DOCTYPE a><w"),
    }
    for number, (words, (old, new)) in enumerate(harms.items()):
        path = tmp_path / f"vendors-{number}.xlsx"
        with ZipFile(source) as read, ZipFile(path, "w", ZIP_DEFLATED) as written:
            for name in read.namelist():
                content = read.read(name)
                content = content.replace(b"<sheetData/>", b"<sheetData></sheetData>") if "sheet1" in name else content
                written.writestr(name, content.replace(old, new, 1) if "sheet1" in name else content)
        with pytest.raises(Stop, match=words):
            list(sheets.read(path))


def test_a_key_that_has_lost_its_zeros(tmp_path: Path) -> None:
    """It would be another vendor, and a new one."""
    path = tmp_path / "accounts.xlsx"
    with pytest.raises(Stop, match=r"row 3, externalId: 8 is a number, and other rows have zeros in front \(007\)"):
        read(book(path, ["externalId", "addressPostalCode"], ["007", "0150"], [8, 5003]))
    for second in ("8", 123, 1234, "V8"):
        assert len(read(book(path, ["externalId", "phone"], ["007", "0047123"], [second, 123]))[1]) == 2


def test_what_is_hidden_is_not_loaded(tmp_path: Path) -> None:
    """A filter leaves rows in the file that its user believes left out; a bank account may stand in a hidden column."""
    path = tmp_path / "accounts.xlsx"

    def refused(*rows: int, columns: str = "", sheet: bool = False, spelled: bytes = b' hidden="1"') -> str:
        made = openpyxl.load_workbook(book(path, ["a", "b"], *([str(n), "x"] for n in range(2, 10)), [], [None, " "]))
        page = made.worksheets[0]
        page.append(["11", None, None])
        for row in rows:
            page.row_dimensions[row].hidden = True
        for column in columns:
            page.column_dimensions[column].hidden = True
        if sheet:
            page.sheet_state = "hidden"
            made.create_sheet("Empty")
        page.auto_filter.ref = "A1:B9"
        made.save(path)
        write_parts(path, {name: part.replace(b' hidden="1"', spelled) for name, part in sheet_parts(path).items()})
        try:
            assert len(read(path)[1]) == 9
        except Stop as stop:
            return str(stop)
        return ""

    assert refused(10, 11, columns="CDE") == "", "nothing stands there"
    for spelled in (b' hidden="1"', b' hidden="true"', b" hidden='1'"):
        words = refused(3, 5, 10, spelled=spelled)
        assert "2 rows are hidden by a filter or by hand (sheet Sheet, row 3; sheet Sheet, row 5), so it" in words
    assert refused(3, 5, spelled=b' hidden="0"') == ""
    assert "1 row is hidden by a filter or by hand (sheet Sheet, row 12)" in refused(12)
    assert "7 rows are hidden" in (words := refused(*range(2, 9)))
    assert words.count("; sheet Sheet, row") == 4
    assert "; 2 more), so" in words
    assert "sheet Sheet, row 1)" in refused(1)
    assert "row 2: the hidden column b has a value, which you may not see" in refused(columns="B")
    assert "the sheet Sheet is hidden, and has rows" in refused(sheet=True)


def sheet_parts(path: Path) -> dict[str, bytes]:
    with ZipFile(path) as parts:
        return {name: parts.read(name) for name in parts.namelist()}


def write_parts(path: Path, parts: dict[str, bytes]) -> None:
    with ZipFile(path, "w") as made:
        for name, content in parts.items():
            made.writestr(name, content)
