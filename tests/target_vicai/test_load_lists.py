"""Lists of a spreadsheet as input (`--input`): what is loaded, what is refused, and what of a list is left out."""

from __future__ import annotations

import html
import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import openpyxl

from ap_connectors.core import sheets
from ap_connectors.sandbox.process import SandboxProcess
from tests.singer.sheet_files import sheet
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


def test_a_key_that_stands_twice_in_a_list(vicai: SandboxProcess, target: Target, tmp_path: Path) -> None:
    """Each load would flip the vendor there and back: nothing of the list is loaded until it says one thing."""
    path = tmp_path / "vendors.csv"
    rows = [f"V1;{AT};Ąžuolas", f"V2;{AT};B", f"V3;{AT};C", f"V3;{AT};D", f"V1;{AT};Ąžuolas"]
    text = "\n".join(["externalId;externalUpdatedAt;name", *rows])
    path.write_text(f"{text}\nV4;####;D", "utf-8")
    run = target([], "--input", str(path), expect=1)
    both = ("externalUpdatedAt: #### is what", "line 4 and line 5 have the same externalId V3: name differs. Which row")
    assert all(words in line for words, line in zip(both, run.complaints, strict=True)), "each is a line of the log"
    assert run.writes == []
    path.write_text(text.replace(rows[3], ""), "utf-8")
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
