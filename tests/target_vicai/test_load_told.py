"""What a person reads of a load: counts that add up, plans without JSON, and commands that can be copied."""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from ap_connectors.core import sheets
from ap_connectors.core.errors import Stop
from ap_connectors.sandbox.process import SandboxProcess
from ap_connectors.singer import reject_sheets
from tests.target_vicai.cases_documents import order_line
from tests.target_vicai.conftest import Target, load
from tests.target_vicai.scene import AT, PDF
from tests.target_vicai.store import Store

IBAN, WRONG = "LT601010012345678901", "LT991000011101001000"


def listed(path: Path, *rows: Mapping[str, Any]) -> Path:
    """Write a list of vendors."""
    book, heads = openpyxl.Workbook(), list(dict.fromkeys(head for row in rows for head in row))
    assert book.active
    book.active.append(heads)
    for row in rows:
        book.active.append([row.get(head) for head in heads])
    book.save(path)
    return path


def vendor(number: int, **more: Any) -> dict[str, Any]:
    at = "defaultPaymentInfo.internationalBankAccount"
    return {
        "externalId": f"0071{number}",
        "externalUpdatedAt": AT,
        "name": f"UAB Ąžuolas {number}",
        "taxInfo.orgNumber": "012345670",
        "paymentTermName": "30 dager netto",
        f"{at}.iban": IBAN,
        f"{at}.bic": "CBVILT2X",
        "defaultPaymentInfo.defaultMethod": "IBAN",
        **more,
    }


def words(path: Path) -> str:
    """Return the text of a page, as one line."""
    body = path.read_text("utf-8").partition("<main")[2]
    return html.unescape(re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", body.replace("<wbr>", ""))))


def test_a_plan_adds_up_and_is_read_by_a_person(store: Store, target: Target, tmp_path: Path) -> None:
    """Of a vendor with a wrong account number both counts spoke, and the report said that records were created."""
    rows = [vendor(0), vendor(4), vendor(7, name=None)]
    rows[1]["defaultPaymentInfo.internationalBankAccount.iban"] = WRONG
    path, plan, report = listed(tmp_path / "vendors 1.xlsx", *rows), tmp_path / "plan.html", tmp_path / "report.html"
    run = target([], "--input", str(path), dry_run=True, plan_path=str(plan), report_path=str(report), expect=1)
    counts = (
        "2 would be created, 1 would be rejected, 0 unchanged, 1 would be set aside in part (the rest of the record"
    )
    assert f"vendors: {counts}" in run.err
    assert "3 received, 2 would be created, " in run.err
    assert "  + 00710   UAB Ąžuolas 0\n  + 00714   UAB Ąžuolas 4   without its bank details\n" in run.err
    assert run.complaints == [
        f"2 records (1 in part) would be set aside; 0 are allowed (max_rejects). {plan} names them."
    ]
    (term,) = [one for one in store.all("paymentTerms") if one["name"] == "30 dager netto"]
    told = words(plan)
    assert "1 would be set aside, 2 would be new, 1 would be set aside in part" in told
    assert f"paymentTermId 30 dager netto ({term['id']})" in told
    assert "taxInfo.orgNumber 012345670" in told
    assert f"defaultPaymentInfo.internationalBankAccount.iban {IBAN}" in told
    assert ("is now" in told, '{"' in told, told.count("00710 UAB Ąžuolas 0")) == (False, False, 1)
    told = words(report)
    assert "Plan of a load Nothing has been written. 2 records would be set aside, 1 of them in part" in told
    assert ("would be created" in told, "would be set aside" in told, "Report of a load" in told) == (True, True, False)
    assert "record name what is wrong field value row code 00714 UAB Ąžuolas 4 The account" in told
    assert "or in the sheet" not in told, "a page is not a sheet"
    store.untouched()
    # The load says it of what happened. What a record has beside a wrong number is named, too.
    rows[2] = vendor(8, **{"defaultPaymentInfo.bban": "12345"})
    rows[2]["defaultPaymentInfo.internationalBankAccount.iban"] = WRONG
    run = target([], "--input", str(listed(path, *rows)), expect=1)
    assert "0 rejected, 0 failed, 2 set aside in part (the rest of the record is loaded)" in run.err
    assert (run.counts("vendors")["rejected"], run.report["in_part"]) == (2, {"vendors": 2})
    reasons = [one["rejected"]["reason"] for one in sorted(run.rejects, key=lambda one: int(one["rejected"]["line"]))]
    assert "without its bank details. Correct" in reasons[0]
    assert "without internationalBankAccount and defaultMethod. Correct" in reasons[1]
    # Who reads no report corrects the list; the command can be copied.
    assert f"Correct {path}, and load it again: target-vicai --config=" in run.complaints[-1]
    command = shlex.split(run.complaints[-1].partition("again: ")[2])
    assert (command[0], command[-2:]) == ("target-vicai", ["--input", str(path)])
    assert Path(command[1].removeprefix("--config=")).name == "config.json"


def test_lines_are_rows_and_what_was_read_is_what_is_applied(store: Store, target: Target, tmp_path: Path) -> None:
    """Of an invoice with its document the plan had no field, and lines were JSON."""
    lines = [
        {"index": 0, "amount": 12.50, "description": "Kėdė „Ąžuolas“", "dimensions": [{"externalId": "D-1"}]},
        {"index": 1, "amount": 0.10, "description": "Stalas"},
    ]
    invoice: dict[str, Any] = {
        "externalId": "B-7",
        "externalUpdatedAt": AT,
        "transactionType": "INVOICE",
        "refNumber": "88213",
    }
    invoice |= {"vendorExternalId": "50000", "documentBase64": base64.b64encode(PDF).decode(), "lineItems": lines}
    order: dict[str, Any] = {"externalId": "PO-7", "poNumber": "007", "issuedOn": "2026-03-01"}
    order |= {"vendorExternalId": "50000", "amount": "10.00", "lineItems": [order_line(1, "2", "5.00", "10.00")]}
    errors: dict[str, Any] = {
        "externalId": "50000",
        "externalUpdatedAt": "2027-01-01T00:00:00",
        "errors": [{"message": "Be PVM"}],
    }
    messages = [*load("training_invoices", invoice), *load("purchase_orders", order), *load("vendors", errors)]
    plan = tmp_path / "plan 1.html"
    target(messages, dry_run=True, plan_path=str(plan))
    told = words(plan)
    assert "lineItems[0] index 0 · amount 12.5 · description Kėdė „Ąžuolas“ · dimensions (externalId D-1) " in told
    assert "lineItems[1] index 1 · amount 0.1 · description Stalas " in told
    assert "lineItems[0] lineNumber 1 · productNumber P-1 · " in told
    assert "errors[0] (nothing) message Be PVM " in told
    assert ("refNumber 88213" in told, '{"' in told, "/vicai/v0 Made at" in told) == (True, False, True)
    # The page holds the plan itself: another run might plan something else.
    (held,) = re.findall(r'download="plan 1.json" href="data:application/json;base64,([^"]*)"', plan.read_text("utf-8"))
    kept = tmp_path / "plan.json"
    kept.write_bytes(base64.b64decode(held))
    later = {**invoice, "refNumber": "88214"}
    refused = target(load("training_invoices", later), apply_plan=str(kept), max_rejects=9, expect=1)
    assert [one["rejected"]["code"] for one in refused.rejects] == ["not_as_approved"]
    store.untouched()
    assert target(messages, apply_plan=str(kept)).rejects == []
    store.change().only(trainingInvoices=(1, 0, 0), purchaseOrders=(1, 0, 0), vendors=(0, 1, 0))


def test_a_sheet_that_is_replayed_is_what_to_correct(vicai: SandboxProcess, target: Target, tmp_path: Path) -> None:
    """An accountant cannot edit JSONL; and of a page nothing can be loaded."""
    wrong = [{"externalId": f"R-{number}", "externalUpdatedAt": "x", "name": "UAB"} for number in (1, 2)]
    sheet = tmp_path / "my rejects.xlsx"
    run = target(load("vendors", *wrong), report_path=str(sheet), expect=1)
    assert f"{sheet} lists them: correct them there, and load it: target-vicai --config=" in run.complaints[-1]
    assert shlex.split(run.complaints[-1])[-1] == str(sheet)
    for settings in ({}, {"report_path": str(tmp_path / "page.html")}):
        run = target([], "--input", str(sheet), expect=1, **settings)
        assert f"Correct {sheet}, and load it again: " in run.complaints[-1]
        assert "jsonl, and load" not in run.complaints[-1]
    assert "vendors R-1: externalUpdatedAt" in run.err, "the lines that a sheet stands for are not its rows"
    # A time is written as in a list, and no line of the SDK's stands among ours.
    book = openpyxl.load_workbook(sheet)
    page = book["vendors"]
    heads = [cell.value for cell in page[1]]
    page.cell(2, heads.index("externalUpdatedAt") + 1).value = "2026-11-30 09:05"
    page.cell(3, heads.index("externalUpdatedAt") + 1).value = "2026-11-30"
    book.save(sheet)
    run = target([], "--input", str(sheet), expect=1)
    assert (run.counts("vendors")["created"], run.counts("vendors")["rejected"]) == (1, 1)
    assert "vendors R-2: externalUpdatedAt has no time of day" in run.err
    assert "lines of input" not in run.err
    run = target(load("vendors", *wrong), expect=1)
    assert f"Correct them in {run.reject_path}, and load that file: target-vicai --config=" in run.complaints[-1]


@pytest.mark.parametrize("suffix", ["xlsx", "csv"])
def test_a_correction_beside_the_reason_is_refused(tmp_path: Path, suffix: str) -> None:
    """It was ignored without a word."""
    record = {"externalId": "007", "pay": {"iban": WRONG}, "amount": "7"}
    params = {"field": "pay.iban", "value": WRONG}
    mark = {"code": "bank_account", "line": 1, "params": params}
    line = json.dumps({"type": "RECORD", "stream": "vendors", "record": record, "rejected": mark}).encode()
    path = tmp_path / f"rejects.{suffix}"

    def read(**cells: str) -> dict[str, Any]:
        (found,) = reject_sheets.sheets_of([reject_sheets.Rejected(line)], together=suffix == "csv")
        row = list(found.rows[0])
        for head, text in cells.items():
            row[found.heads.index({"value": "(value)", "iban": "pay.iban"}[head])] = text
        changed = sheets.Sheet(found.name, found.heads, [row])
        path.write_bytes(sheets.csv_bytes(changed) if suffix == "csv" else sheets.xlsx_bytes([changed]))
        held: dict[str, Any] = json.loads([*reject_sheets.messages(path)][-1])["record"]
        return held

    with pytest.raises(Stop, match=rf"(row|line) 2: \(value\) was changed.*Write {IBAN} into the column pay.iban"):
        read(value=IBAN)
    assert read(value=IBAN, iban=IBAN)["pay"]["iban"] == IBAN, "it stands in both"
    assert read(iban=IBAN)["pay"]["iban"] == IBAN
    assert read(value="")["pay"]["iban"] == WRONG
