"""VAT by code, the AP balance, and amounts under their new names: against sums that are made here, with Decimals."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

from ap_connectors.sandbox.process import SandboxProcess
from ap_connectors.tieout.booking import owed_for_payment, signed_line
from ap_connectors.tieout.snapshot import DocumentSummary
from tests.tieout.conftest import PAYMENT, VIC, Record, Tables, TieOut, latest

INVOICES = VIC["invoices"] | dict.fromkeys(("transactionType", "amountNet", "amountVat", "amountSum"), "varchar")
PAID = PAYMENT | dict.fromkeys(("fundedAt", "rejectedAt", "voidedAt"), "timestamp")


def posted(vicai: SandboxProcess) -> list[Record]:
    return [one for one in vicai.control.vicai.records("invoices") if one["status"] == "POSTED"]


def sign(invoice: Record) -> int:
    return -1 if invoice["transactionType"] == "CREDITNOTE" else 1


def fill(vicai: SandboxProcess, vic: Tables) -> None:
    """A warehouse that has what is summed here."""
    batches = vicai.control.vicai.records("paymentBatches")
    vic.fill("invoices", INVOICES, posted(vicai))
    vic.fill("payment_batches", VIC["payment_batches"], [one | {"last_event_at": latest(one)} for one in batches])
    for part in ("payments", "credits"):
        vic.fill(part, PAID, [one | {"batch_id": batch["id"]} for batch in batches for one in batch[part]])


def vat_of(line: Record) -> tuple[str, Decimal]:
    info = line.get("invoiceLineItemInfo") or {}
    vat = line.get("vat") or {}
    stated = next((a for a in (line.get("amountTax"), vat.get("amount"), info.get("vatAmount")) if a is not None), 0)
    return info.get("vatCode") or vat.get("code") or vat.get("externalId") or "", Decimal(str(stated))


def test_vat_by_code_and_what_is_owed(vicai: SandboxProcess, vic: Tables, tie_vic: TieOut) -> None:
    # What becomes of payments: funded, voided after that, rejected, still pending.
    for batch, *events in zip(
        [one["id"] for one in vicai.control.vicai.records("paymentBatches")][:3],
        ["fund", "fund", "reject"],
        ["", "void", ""],
        strict=True,
    ):
        for event in filter(None, events):
            vicai.control.vicai.batch_event(batch, event)
    fill(vicai, vic)
    result = tie_vic("--no-line-items")
    assert result.status == 0, result.out

    vat: dict[tuple[str, str], list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
    owed: dict[str, Decimal] = defaultdict(Decimal)
    invoices = posted(vicai)
    assert {sign(one) for one in invoices} == {1, -1}
    for invoice in invoices:
        owed[invoice["currency"]] += sign(invoice) * abs(Decimal(invoice["totalAmount"]))
        for line in invoice["lineItems"]:
            code, tax = vat_of(line)
            sums = vat[invoice["currency"], code]
            amounts = Decimal(str(line["amount"])), tax
            for place, amount in enumerate(amounts):
                sums[place] += -abs(amount) if sign(invoice) < 0 else amount
    paid = {False: 0, True: 0}
    for batch in vicai.control.vicai.records("paymentBatches"):
        for part, direction in (("payments", -1), ("credits", 1)):
            for one in batch[part]:
                is_paid = bool(one["fundedAt"]) and not one["voidedAt"] and not one["rejectedAt"]
                paid[is_paid] += 1
                owed[one["currencyId"]] += direction * abs(Decimal(one["amount"])) * is_paid
    assert all(paid.values())

    told = {(row["currency"], row["code"]): row for row in result.stream("invoices")["vat_by_code"]}
    assert told.keys() == vat.keys()
    for key, (base, tax) in vat.items():
        for side in ("source", "destination"):
            assert {name: Decimal(text) for name, text in told[key][side].items()} == {"base": base, "vat": tax}
    balances = {row["currency"]: row for row in result.report["ap_balance"]}
    assert {currency: Decimal(row["source"]) for currency, row in balances.items()} == owed
    assert all(row["ties"] for row in balances.values())
    assert "VAT code" in result.out
    assert "AP balance" in result.out


def test_a_payment_that_is_undone_in_the_warehouse_only(vicai: SandboxProcess, vic: Tables, tie_vic: TieOut) -> None:
    fill(vicai, vic)
    (row,) = vic.sql("select id, currencyid, amount from payments where fundedat is not null limit 1")
    vic.sql(f"update payments set voidedat = fundedat where id = '{row[0]}'")
    result = tie_vic("--no-line-items")
    assert result.status == 1
    assert any("voidedAt" in words for words in result.words("payments", "field"))
    (balance,) = [one for one in result.report["ap_balance"] if one["currency"] == row[1]]
    assert Decimal(balance["destination"]) - Decimal(balance["source"]) == Decimal(row[2])


def test_lines_and_headers_without_the_old_amounts(vicai: SandboxProcess, vic: Tables, tie_vic: TieOut) -> None:
    """Vic.ai is to stop sending `amount` of lines; `amountNet` and `amountSum` are there."""
    (invoice,) = [one for one in posted(vicai) if one["lineItems"] and sign(one) > 0][:1]
    lines = [
        {"index": 0, "amountNet": "100.10", "amountTax": "25.03", "amountSum": "125.13", "costAccountExternalId": "1"}
    ]
    header: Record = {"amountNet": "100.10", "amountVat": "25.03", "amountSum": "125.13", "currency": "XTS"}
    gone: Record = dict.fromkeys(("totalAmount", "amountWithoutTax", "amountTax"))
    vicai.control.vicai.touch("invoices", [invoice["internalId"]], lineItems=lines, **header, **gone)
    fill(vicai, vic)
    result = tie_vic("--no-line-items")
    assert result.status == 0, result.out
    for name, amount in (("subtotal", "100.1"), ("vat", "25.03"), ("total", "125.13")):
        assert result.amount("invoices", "XTS", "destination", name) == amount
    where = f"where internalid = '{invoice['internalId']}'"
    vic.sql(f"update invoices set lineitems = replace(lineitems, '100.10', '100.11') {where}")
    changed = tie_vic("--no-line-items")
    assert changed.words("invoices", "changed") == ["its lines' subtotal 100.10 became 100.11"]


def document(total: str, *, is_credit: bool = False) -> DocumentSummary:
    made = DocumentSummary("1", None, "", "2026-01-01", "NOK", (None, None, total), None, ())
    made.is_credit = is_credit
    return made


def test_a_payment_that_the_erp_has_confirmed_is_paid() -> None:
    confirmed = {"confirmedAt": "2026-01-05T08:00:00Z"}
    assert owed_for_payment(document("12.50"), confirmed) == "-12.5"
    assert owed_for_payment(document("12.50"), confirmed | {"failedAt": "2026-01-06T08:00:00Z"}) is None


def test_a_discount_on_a_credit_note_is_not_given_back() -> None:
    lines = Decimal("100.00"), Decimal("-10.00")
    assert sum(signed_line(line, document("90.00", is_credit=True)) for line in lines) == -90
    assert sum(signed_line(-line, document("-90.00", is_credit=True)) for line in lines) == -90
    assert sum(signed_line(line, document("90.00")) for line in lines) == 90
