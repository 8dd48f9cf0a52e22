"""Lists whose columns are not all known: what is left out, and what lacks, is told wherever a person looks."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import TYPE_CHECKING

import openpyxl

from tests.target_vicai.conftest import Target
from tests.target_vicai.scene import AT

if TYPE_CHECKING:
    from tests.target_vicai.store import Store

LEFT_OUT = (
    "vendors: columns left out, as no field is called so: orgNumber (did you mean taxInfo.orgNumber?), "
    "IBAN (did you mean defaultPaymentInfo.internationalBankAccount.iban?), pavadinimas."
)
LACKING = (
    "vendors: the list has no column name with values, and what is new needs one: 3 records {} set aside. "
    "Is pavadinimas meant?"
)


def made(path: Path, heads: str, *rows: str) -> Path:
    path.write_text("\n".join([heads, *rows]) + "\n", "utf-8")
    return path


def test_what_of_a_list_is_left_out_is_told_everywhere(store: Store, target: Target, tmp_path: Path) -> None:
    """A vendor without its bank account looks well loaded, and twelve rows without a name are one mistake."""
    rows = [f"V{number};{AT};0123;LT12;Ąžuolas;" for number in range(3)]
    path = made(tmp_path / "vendors.csv", "externalId;externalUpdatedAt;orgNumber;IBAN;pavadinimas;empty", *rows)
    for suffix in ("json", "html", "xlsx"):
        plan, report = tmp_path / f"plan.{suffix}", tmp_path / f"report.{suffix}"
        settings = {"dry_run": True, "plan_path": str(plan), "report_path": str(report), "max_rejects": 9}
        run = target([], "--input", str(path), **settings)
        last = run.err.splitlines()[-3:]
        assert LEFT_OUT in last[0]
        assert LACKING.format("would be") in last[1]
        assert f"The plan is in {plan}." in last[2]
        assert run.err.count("Would be set aside: ") == 1, "one mistake is told once in the log"
        for file in (plan, report):
            if suffix == "json":
                columns = json.loads(file.read_text("utf-8"))["columns"]["vendors"]
                assert (columns["lacking"], columns["set_aside"]) == (["name"], 3)
                assert columns["left_out"]["orgNumber"] == "taxInfo.orgNumber"
                assert columns["left_out"]["pavadinimas"] is None
            elif suffix == "html":
                page = html.unescape(file.read_text("utf-8"))
                assert LEFT_OUT in page
                assert LACKING.format("would be") in page
                assert "vendors: columns left out" in page
            else:
                cells = {str(cell.value) for page in openpyxl.load_workbook(file) for row in page for cell in row}
                assert "pavadinimas" in cells or any("pavadinimas" in cell for cell in cells)
    store.untouched()
    report = tmp_path / "rejects.xlsx"
    run = target([], "--input", str(path), report_path=str(report), expect=1)
    assert LACKING.format("were") in run.err
    # The sheet that tells of it is input again.
    book = openpyxl.load_workbook(report)
    assert [page.title for page in book] == ["vendors", "columns"]
    heads = [cell.value for cell in book["vendors"][1]]
    for row in range(2, 5):
        book["vendors"].cell(row, len(heads) + 1, f"B{row}")
    book["vendors"].cell(1, len(heads) + 1, "name")
    book.save(report)
    assert target([], "--input", str(report)).counts("vendors")["created"] == 3


def test_columns_that_no_list_may_have(store: Store, target: Target, tmp_path: Path) -> None:
    """A mark of documents would make a vendor without a number and a time, and leave one that exists as it is."""
    row = f"V1;{AT};A;0123"
    mapped = {"stream_maps": {"vendors": {"externalId": "externalId"}}}
    for head, told, settings in (
        (
            "documentVendor.orgNumber",
            "documentVendor is for records read from documents; in a list use taxInfo.org",
            {},
        ),
        ("document_vendor.name", "documentVendor is for records read from documents; in a list use name. Nothing", {}),
        ("documentVendor", "documentVendor is for records read from documents; take the column out. Nothing", mapped),
        ("ivesk_document_id", "ivesk_document_id is for records read from documents; take the column out", {}),
    ):
        path = made(tmp_path / "vendors.csv", f"externalId;externalUpdatedAt;name;{head}", row)
        run = target([], "--input", str(path), **settings, expect=1)
        assert f"vendors.csv, {head}: {told}" in run.complaints[-1]
    store.untouched()


def test_the_file_of_a_list_and_times_to_the_minute(store: Store, target: Target, tmp_path: Path) -> None:
    heads, row = "externalId;externalUpdatedAt;name;shoes", "V1;2026-11-20 09:03;2026-11-20 09:03;x"
    for name, meant in (("My vendors", "vendors"), ("vendor 2026", "vendors"), ("list", "")):
        run = target([], "--input", str(made(tmp_path / f"{name}.csv", heads, row)), expect=1)
        told = run.complaints[-1]
        assert f"{name}.csv: the name of a list begins with its stream, and {name.split()[0]} is not one of " in told
        assert (f"Is {meant}.csv meant?" in told) == bool(meant)
        assert run.calls == [], "it is told before anything is asked"
    path = made(tmp_path / "vendors.csv", heads, row)
    for mark in ("~$vendors.csv", ".~lock.vendors.csv#"):
        run = target([], "--input", str(made(tmp_path / mark, "x")), expect=1)
        assert f"{mark} is the mark of a sheet that is open, not the sheet. Save the sheet, close it" in run.err
    plan = str(tmp_path / "plan.json")
    run = target([], "--input", str(path), dry_run=True, plan_path=plan)
    assert f"The plan is in {plan}." in run.err
    assert run.err.count("shoes") == 1, "what is told at the end is not told at the beginning, too"
    run = target([], "--input", str(path), apply_plan=plan)
    assert run.counts("vendors")["created"] == 1, "what a plan says of columns does not stop it from being applied"
    assert f"{path} is open elsewhere (.~lock.vendors.csv# is there): what is not saved yet is not read." in run.err
    store.look()
    found = store.one("vendors", externalId="V1")
    assert (found["externalUpdatedAt"], found["name"]) == ("2026-11-20 09:03:00", "2026-11-20 09:03")
