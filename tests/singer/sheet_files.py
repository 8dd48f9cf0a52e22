"""Sheets as `report_path` writes them of rejects, and as people and spreadsheets change them."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import openpyxl

from ap_connectors.core import sheets
from ap_connectors.singer import reject_sheets

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


def written(path: Path, *lines: bytes) -> list[str]:
    """Write the sheet of rejects, by the ending of the path; return its heads."""
    is_csv = path.suffix == ".csv"
    (found,) = reject_sheets.sheets_of(map(reject_sheets.Rejected, lines), together=is_csv)
    path.write_bytes(sheets.csv_bytes(found) if is_csv else sheets.xlsx_bytes([found]))
    return [*found.heads]


def odd_sheet(tmp_path: Path, suffix: str) -> tuple[Path, list[str], list[Any]]:
    """A sheet of one reject as `report_path` writes it; its heads, and its row."""
    given = {"type": "RECORD", "stream": "s", "record": ODD, "rejected": {"code": "too_long", "line": 7}}
    line = msgspec.json.Encoder(decimal_format="number").encode(given)
    path = tmp_path / f"odd.{suffix}"
    written(path, line)
    if suffix == "csv":
        heads, row = csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline=""))
        return path, heads, row
    page = openpyxl.load_workbook(path).worksheets[0]
    (first, second) = ([cell.value for cell in cells] for cells in page.iter_rows())
    return path, [str(one) for one in first], list(second)


def sheet(tmp_path: Path, *rows: list[Any]) -> Path:
    book = openpyxl.Workbook()
    assert book.active
    for row in rows:
        book.active.append(row)
    path = tmp_path / "changed.xlsx"
    book.save(path)
    return path


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
