"""What docs/warehouse.md says about adding up, run against credit notes and payments of every state."""

from __future__ import annotations

import re
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests.tieout.conftest import Tables

PAGE = Path(__file__).parents[2] / "docs" / "warehouse.md"
AMOUNT = "decimal(38, 9)"
INVOICE = {**dict.fromkeys(("internalId", "transactionType", "currency"), "varchar"), "totalAmount": AMOUNT}
DOCUMENT = {**dict.fromkeys(("id", "doctype", "currency"), "varchar"), "total": AMOUNT, "buyerisfavorite": "boolean"}
TIMES = ("approvedAt", "fundedAt", "rejectedAt", "voidedAt")
PAYMENT = {
    **dict.fromkeys(("id", "batch_id", "currencyId", "status"), "varchar"),
    "amount": AMOUNT,
    **dict.fromkeys(TIMES, "timestamp"),
}


def query(*words: str) -> str:
    """Return the one query of the page that has these words."""
    blocks = re.findall(r"```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (found,) = [block for block in blocks if all(word in block for word in words)]
    return str(found)


@pytest.mark.parametrize("spelled", [str.upper, str.lower, str.title])
def test_credit_notes_of_vic_are_subtracted(vicai: SandboxProcess, tmp_path: Path, spelled: Any) -> None:
    kinds = [("INVOICE", "100.00"), ("CREDITNOTE", "30.10"), ("CREDITNOTE", "-0.90"), ("INVOICE", "-5.00")]
    invoices = [
        {"internalId": str(number), "transactionType": spelled(kind), "currency": "XTS", "totalAmount": amount}
        for number, (kind, amount) in enumerate(kinds)
    ]
    tables, records = Tables(tmp_path / "warehouse.duckdb", "vicai"), vicai.control.vicai.records("invoices")
    tables.fill("invoices", INVOICE, records + invoices)
    found = {row[0]: row[1:] for row in tables.sql(query("vicai.invoices", "count(*)"))}
    assert found.pop("XTS") == (4, Decimal("64.00"))
    expected: dict[str, Decimal] = defaultdict(Decimal)
    for one in records:
        sign = -1 if one["transactionType"] == "CREDITNOTE" else 1
        expected[one["currency"]] += sign * Decimal(one["totalAmount"])
    assert {one["transactionType"] for one in records} == {"INVOICE", "CREDITNOTE"}
    assert {currency: total for currency, (_, total) in found.items()} == expected


def test_credit_notes_of_ivesk_are_subtracted(sandbox: SandboxProcess, tmp_path: Path) -> None:
    kinds = [("invoice", "10"), ("creditnote", "-3"), ("creditnote", "2"), ("proforma", "50"), (None, "0.5")]
    rows = [
        {"id": str(number), "doctype": kind, "currency": "XTS", "total": total, "buyerisfavorite": True}
        for number, (kind, total) in enumerate(kinds)
    ]
    sold = {"id": "sold", "doctype": "invoice", "currency": "XTS", "total": "7777", "buyerisfavorite": False}
    documents = sandbox.control.documents()
    tables = Tables(tmp_path / "warehouse.duckdb", "ivesk")
    tables.fill("exported_documents", DOCUMENT, documents + rows + [sold])
    found = {row[0]: row[1:] for row in tables.sql(query("from ivesk.exported_documents\n", "count(*)"))}
    assert found.pop("XTS") == (4, Decimal("5.5"))
    expected: dict[str, Decimal] = defaultdict(Decimal)
    for one in documents:
        if one["doctype"] != "proforma" and one["buyerisfavorite"]:
            expected[one["currency"]] += Decimal(one["total"])
    assert {currency: total for currency, (_, total) in found.items()} == expected


def test_only_what_was_paid_is_paid(vicai: SandboxProcess, tmp_path: Path) -> None:
    at = "2026-01-07T07:26:43.448Z"
    funded = {"approvedAt": at, "fundedAt": at}
    payments = [
        {"amount": "100.00", "status": "acknowledged", **funded},
        {"amount": "20.00", "status": "pending_approval"},
        {"amount": "7.00", "status": "approved", "approvedAt": at},
        {"amount": "500.00", "status": "voided", **funded, "voidedAt": at},
        {"amount": "900.00", "status": "rejected", "rejectedAt": at},
    ]
    credits = [{"amount": "10.00", **funded}, {"amount": "1.00"}, {"amount": "3.00", "rejectedAt": at}]
    tables = Tables(tmp_path / "warehouse.duckdb", "vicai")
    batches = vicai.control.vicai.records("paymentBatches")
    for name, rows in (("payments", payments), ("credits", credits)):
        kept = [part | {"batch_id": batch["id"]} for batch in batches for part in batch[name]]
        own = [row | {"id": str(number), "batch_id": "b", "currencyId": "XTS"} for number, row in enumerate(rows)]
        tables.fill(name, PAYMENT, kept + own)
    found = {row[0]: row[1:] for row in tables.sql(query("vicai.payments", "paid"))}
    assert found.pop("XTS") == (Decimal("90.00"), Decimal("26.00"))
    expected: dict[str, list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
    for batch in batches:
        for sign, name in ((1, "payments"), (-1, "credits")):
            for part in batch[name]:
                if not part["voidedAt"] and not part["rejectedAt"]:
                    expected[part["currencyId"]][0 if part["fundedAt"] else 1] += sign * Decimal(part["amount"])
    assert any(paid and pending for paid, pending in expected.values())
    assert found == {currency: tuple(sums) for currency, sums in expected.items()}
