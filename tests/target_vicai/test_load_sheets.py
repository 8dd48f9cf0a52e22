"""Plan and rejects for people: pages and sheets in which digits stay, formulas do not run, and corrections load."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openpyxl
import pytest
from openpyxl.utils import get_column_letter

from ap_connectors.core import sheets
from ap_connectors.sandbox.process import SandboxProcess
from ap_connectors.singer import reject_sheets
from tests.browser import Tab
from tests.singer.sheet_files import correct, odd_sheet
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
            if kind == "plan":
                with page.expect_download() as saved:
                    page.get_by_role("link", name="plan.json").click()
                assert json.loads(saved.value.path().read_bytes())["plan_version"]


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
