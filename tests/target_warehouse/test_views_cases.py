"""Views on warehouses made by hand: signs, states, cut-off days, rounding, doubles, and what was deleted."""

from __future__ import annotations

from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.target_warehouse.conftest import Database
from tests.target_warehouse.viewed import Record, Streams, Warehouse

D = Decimal
T = "2026-01-05T08:00:00.000Z"
JAN, FEB = date(2026, 1, 31), date(2026, 2, 28)


@pytest.fixture
def warehouse(database: Database, tmp_path: Path) -> Warehouse:
    return Warehouse(database.url, tmp_path)


def invoice(number: str, total: str | None, **more: Any) -> Record:
    found: Record = {
        "internalId": number,
        "internalUpdatedAt": T,
        "refNumber": f"N-{number}",
        "transactionType": "INVOICE",
        "status": "POSTED",
        "currency": "NOK",
        "totalAmount": total,
        "issueDate": "2026-01-10",
        "glDate": "2026-01-10",
        "dueDate": "2026-02-10",
        "vendorInternalId": "7",
        "vendorExternalId": "V7",
    }
    return found | more


def line(invoice_id: str, index: int, amount: str | None, **more: Any) -> Record:
    return {"invoice_id": invoice_id, "invoice_updated_at": T, "index": index, "amount": amount, **more}


def payment(number: str, invoice_id: str, amount: str, **more: Any) -> Record:
    found: Record = {"id": number, "batch_id": "B", "batch_last_event_at": T, "amount": amount, "currencyId": "NOK"}
    return found | {"status": "approved", "invoice": {"internalId": invoice_id}, "vendor": {"internalId": "7"}} | more


def vic(**streams: list[Record]) -> Streams:
    """Records of Vic.ai; the tables that views on payments and lines need are there in any case."""
    always = dict.fromkeys(("invoices", "invoice_line_items", "payments", "credits"), ())
    return always | streams


def test_vendors_that_invoices_do_not_name_have_their_names(warehouse: Warehouse) -> None:
    warehouse.fill(
        "vicai",
        vic(
            invoices=[invoice("1", "1.00"), invoice("2", "2.00", vendorInternalId="8")],
            vendors=[{"internalId": "7", "internalUpdatedAt": T, "externalId": "V7", "name": "Ąžuolas AS"}],
        ),
    )
    warehouse.ap_views("apply")
    query = "SELECT invoice_id, vendor_name FROM answers.open_items ORDER BY invoice_id"
    assert warehouse.values(query) == [("1", "Ąžuolas AS"), ("2", None)]


def test_signs_of_credit_notes_and_of_their_lines(warehouse: Warehouse) -> None:
    warehouse.fill(
        "vicai",
        vic(
            invoices=[
                invoice("1", "125.00"),
                invoice("2", "90.00", transactionType="CREDITNOTE"),
                invoice("3", "-40.00", transactionType="credit_note"),
                # Vic.ai is to stop sending totalAmount.
                invoice("4", None, amountSum="12345678901234567.89", amountNet="12345678901234567.89", currency="EUR"),
                invoice("5", "1.00", status="IN_APPROVALS"),
                invoice("6", "999.00") | {"_sdc_deleted_at": T},
            ],
            invoice_line_items=[
                line("1", 0, "100.00", amountTax="25.00", costAccountExternalId="K1"),
                # A discount on a credit note: what is given back is less.
                line("2", 0, "100.00", amountTax="0.00", costAccountExternalId="K1"),
                line("2", 1, "-10.00", amountTax="0.00", costAccount={"externalId": "K2"}),
                line("3", 0, "-40.00", costAccountExternalId=""),
                line("4", 0, None, amountNet="12345678901234567.89", vat={"code": "1", "amount": "0.10"}),
                # Older services: a number inside an object.
                line("5", 0, "1.00", invoiceLineItemInfo={"vatCode": "9", "vatAmount": D("12345678901234567.89")}),
                line("6", 0, "999.00"),
            ],
        ),
    )
    warehouse.ap_views("apply")
    found = dict(warehouse.values("SELECT invoice_id, total FROM answers.invoices"))
    assert found == {"1": D(125), "2": D(-90), "3": D(-40), "4": D("12345678901234567.89"), "5": D(1)}
    sums = "SELECT invoice_id, sum(net), sum(vat) FROM answers.invoice_lines GROUP BY invoice_id"
    assert {number: (net, vat) for number, net, vat in warehouse.values(sums)} == {
        "1": (D(100), D(25)),
        "2": (D(-90), D(0)),
        "3": (D(-40), None),
        "4": (D("12345678901234567.89"), D("0.10")),
        "5": (D(1), D("12345678901234567.89")),
    }
    assert warehouse.sums("SELECT currency, account, sum(net) FROM answers.lines_by_account GROUP BY 1, 2") == {
        ("NOK", "K2"): D(10),
        ("NOK", None): D(-40),
        ("EUR", None): D("12345678901234567.89"),
    }
    assert len(warehouse.values("SELECT * FROM answers.lines_without_account")) == 3


def test_what_is_paid_and_what_is_open(warehouse: Warehouse) -> None:
    paid = {"fundedAt": "2026-01-31T23:59:59.999Z"}
    warehouse.fill(
        "vicai",
        vic(
            invoices=[
                invoice("1", "100.00"),
                invoice("2", "60.00", dueDate=None),
                invoice("3", "30.00", transactionType="CREDITNOTE", glDate="2026-02-03"),
                invoice("4", "50.00", externalPaymentTotalPaid="20.00", externalPaymentDate="2026-02-15"),
                invoice("5", "70.00", externalPaymentStatus="paid", externalPaymentCurrencyId="EUR"),
                invoice("6", "80.00", externalPaymentStatus="voided", externalPaymentTotalPaid="80.00"),
                invoice("7", "11.00", status="READY_FOR_POST"),
                invoice("8", "5.00", currency="EUR", dueDate="2025-10-01"),
            ],
            payments=[
                payment("p1", "1", "100.00", **paid),
                payment("p2", "2", "60.00", **paid, voidedAt=T),
                payment("p3", "2", "60.00", approvedAt=T),
                payment("p4", "2", "60.00", rejectedAt=T),
                payment("p5", "2", "60.00", failedAt=T, **paid),
                payment("p6", "2", "60.00", status="failed", **paid),
                payment("p7", "8", "2.00", confirmedAt="2026-02-01T00:00:00Z", currencyId="EUR"),
                payment("p8", "99", "1.00", **paid),
            ],
            credits=[payment("c1", "3", "30.00", **paid)],
        ),
    )
    warehouse.ap_views("apply")
    assert warehouse.sums("SELECT state, currency, sum(amount) FROM answers.payments GROUP BY 1, 2") == {
        ("paid", "NOK"): D("71"),
        ("paid", "EUR"): D("2"),
        ("pending", "NOK"): D(60),
        ("voided", "NOK"): D(60),
        ("rejected", "NOK"): D(60),
        ("failed", "NOK"): D(120),
    }
    open_now = {"2": D(60), "4": D(30), "6": D(80), "8": D(3), "99": D(-1)}
    assert warehouse.sums("SELECT invoice_id, open_amount FROM answers.open_items") == open_now
    at = "SELECT invoice_id, open_amount FROM answers.open_at_month_end WHERE day = DATE"
    # The credit was set off before the credit note came.
    in_january = {"2": D(60), "3": D(30), "4": D(50), "6": D(80), "8": D(5), "99": D(-1)}
    assert warehouse.sums(f"{at} '{JAN}'") == in_january
    assert warehouse.sums(f"{at} '{FEB}'") == open_now
    ages = "SELECT invoice_id, age FROM answers.open_at_month_end WHERE day = DATE"
    assert dict(warehouse.values(f"{ages} '{FEB}'")) == {
        "2": "no due date",
        "4": "1-30",
        "6": "1-30",
        "8": "over 90",
        "99": "no due date",
    }
    # Any other day, as the documentation says.
    sums = "SELECT currency, sum(amount) FROM answers.ledger WHERE day <= DATE '2026-02-14' GROUP BY currency"
    assert warehouse.sums(sums) == {"NOK": D(60 + 50 + 80 - 1), "EUR": D(3)}
    assert warehouse.values("SELECT ref_number FROM answers.payments WHERE payment_id = 'p8'") == [(None,)]


def test_receipts_and_invoices_at_the_end_of_a_month(warehouse: Warehouse) -> None:
    def order_line(number: str, received: str | None, *receipts: tuple[str, str], **more: Any) -> Record:
        came = [{"receivedDate": day, "receivedQuantity": quantity} for day, quantity in receipts]
        found: Record = {"internalId": number, "purchase_order_id": "O", "purchase_order_updated_at": T}
        found |= {"quantityRequested": "10", "quantityReceived": received, "unitAmount": "0.333", "receiptLines": came}
        return found | more

    warehouse.fill(
        "vicai",
        vic(
            purchase_orders=[
                {
                    "internalId": "O",
                    "internalUpdatedAt": T,
                    "poNumber": "P",
                    "currencyId": "NOK",
                    "issuedOn": "2026-01-02",
                }
            ],
            purchase_order_line_items=[
                order_line("a", "7", ("2026-01-20", "2.5"), ("2026-02-20", "4.5")),
                order_line("b", "4"),
                order_line("c", None, ("2026-01-31", "5")),
                order_line(
                    "d",
                    "0",
                    matchingType="two_way",
                    invoiceItemsMatched=[{"invoiceItemId": "x", "quantityMatched": "3"}],
                ),
                order_line("e", "1", invoiceItemsMatched=[{"quantityMatched": "2"}, {"quantityMatched": "9"}]),
            ],
            invoices=[
                invoice("1", "1.00", glDate="2026-02-01"),
                invoice("2", "1.00", transactionType="CREDITNOTE", glDate="2026-02-27"),
                invoice("3", "1.00", status="IN_APPROVALS"),
            ],
            invoice_line_items=[
                line("1", 0, "1.00", poItemsMatched=[{"purchaseOrderItemId": "a", "quantityMatched": "2.5"}]),
                line("1", 1, "1.00", poReceiptLinesMatched=[{"purchaseOrderItemId": "c", "quantityMatched": "5"}]),
                line("2", 0, "1.00", poItemsMatched=[{"purchaseOrderItemId": "c", "quantityMatched": "1"}]),
                line("3", 0, "1.00", poItemsMatched=[{"purchaseOrderItemId": "b", "quantityMatched": "4"}]),
            ],
        ),
    )
    warehouse.ap_views("apply")
    query = "SELECT order_line_id, quantity, amount FROM answers.received_not_invoiced WHERE day = "
    by_day = {
        day: {number: (quantity, amount) for number, quantity, amount in warehouse.values(query + day)}
        for day in ("DATE '2025-12-31'", f"DATE '{JAN}'", f"DATE '{FEB}'", "current_date")
    }
    # The undated receipts count from the order's date on; 2.5 times 0.333 is 0.8325, and 4.5 times 1.4985.
    undated = {"b": (D(4), D("1.33")), "e": (D(1), D("0.33"))}
    assert by_day["DATE '2025-12-31'"] == {}
    assert by_day[f"DATE '{JAN}'"] == {"a": (D("2.5"), D("0.83")), "c": (D(5), D("1.67"))} | undated
    assert by_day[f"DATE '{FEB}'"] == {"a": (D("4.5"), D("1.50")), "c": (D(1), D("0.33"))} | undated
    assert by_day["current_date"] == by_day[f"DATE '{FEB}'"]
    findings = dict(warehouse.values("SELECT order_line_id, finding FROM answers.order_lines"))
    assert findings == {
        "a": "received and not invoiced",
        "b": "received and not invoiced",
        "c": "open",
        "d": "open",
        "e": "invoiced more than ordered",
    }


def test_doubles_and_bank_details(warehouse: Warehouse) -> None:
    def account(iban: str | None) -> Record:
        return {"bban": None, "internationalBankAccount": {"iban": iban} if iban else None}

    warehouse.fill(
        "vicai",
        vic(
            invoices=[
                invoice("1", "10.00", refNumber="INV-0042", paymentInfo=account("NO93 8601 1117 947")),
                invoice(
                    "2", "10.00", refNumber="inv 42", issueDate="2026-01-11", paymentInfo=account("no9386011117947")
                ),
                invoice("3", "10.01", refNumber="INV-0042", issueDate="2026-01-12", paymentInfo=account(None)),
                invoice("4", "10.00", refNumber="INV-0042", vendorInternalId="8", paymentInfo=account("NO1")),
                invoice("5", "10.00", refNumber="INV-0042", transactionType="CREDITNOTE"),
                invoice("6", "3.00", issueDate="2026-02-01", paymentInfo=account("LT601010012345678901")),
                invoice("7", "3.00", refNumber="N/6", issueDate="2026-02-01", status="NOT_READY"),
                invoice("8", "3.00", refNumber="106", issueDate="2026-02-01"),
                invoice("9", "3.00", refNumber="1006", issueDate="2026-02-01"),
            ],
            vendors=[
                {
                    "internalId": "7",
                    "internalUpdatedAt": T,
                    "defaultPaymentInfo": {"internationalBankAccount": {"iban": "LT60 1010 0123 4567 8901"}},
                }
            ],
            invoice_documents=[
                {"invoice_id": "1", "path": "a.pdf", "bytes": 1, "sha256": "0", "error": None},
                {"invoice_id": "2", "path": None, "error": "status 404"},
                *({"invoice_id": str(number), "path": "b.pdf", "error": None} for number in range(4, 10)),
            ],
        ),
    )
    warehouse.ap_views("apply")
    doubles = warehouse.values(
        "SELECT number, invoice_id, copies, same_date FROM answers.duplicates ORDER BY invoice_id"
    )
    assert doubles == [("INV42", "1", 2, False), ("INV42", "2", 2, False), ("N6", "6", 2, True), ("N6", "7", 2, True)]
    changes = "SELECT vendor_id, kind, from_account, to_account, invoice_id, account_today FROM answers.bank_changes"
    new = "LT601010012345678901"
    assert warehouse.values(changes) == [("7", "iban", "NO9386011117947", new, "6", new)]
    reasons = "SELECT invoice_id, reason FROM answers.invoices_without_pdf"
    assert dict(warehouse.values(reasons)) == {"2": "status 404", "3": "no file is known"}


def document(number: str, total: str, **more: Any) -> Record:
    found: Record = {
        "id": number,
        "exportedat": T,
        "date": "2026-01-10",
        "docnum": f"N-{number}",
        "doctype": "invoice",
        "total": D(total),
        "currency": "EUR",
        "sellercode": "300",
        "sellercountry": "LT",
        "buyercode": "302",
        "buyerisfavorite": True,
    }
    return found | more


def test_purchases_of_ivesk(warehouse: Warehouse) -> None:
    rate = D("1.25")
    documents = [
        document("1", "10.00", selleriban="LT60 1010 0123 4567 8901"),
        document("2", "10.00", doctype="creditnote", docnum="n 001", date="2026-01-11", selleriban="LT12"),
        document("3", "-7.00", doctype="CreditNote", selleriban=None),
        document("10", "0.50", doctype=None, docnum="10", sellercode="301", date="2026-01-12"),
        document("4", "5.00", doctype="proforma"),
        document("5", "5.00", doctype="prepaymentinvoice"),
        document("6", "5.00", buyerisfavorite=False),
        document("7", "1000.00", currency="USD", currencyrate=rate, docnum="N-1"),
        document("8", "1000.00", currency="USD", currencyrate=None),
        document("9", "10.00", docnum="N1", doctype="invoice"),
    ]
    parts = [
        # 0.00625 / 1.25 is 0.005; the digits of 12345678901234567.89125 go beyond a double's.
        *((f"0.0{cents}", "7") for cents in ("0625", "0624", "1875", "0626")),
        ("12345678901234567.89375", "7"),
        ("-0.00625", "7"),
        ("33.33", "8"),
        ("4.00", "2"),
    ]
    lines = [
        {
            "document_id": number,
            "line_number": place,
            "exportedat": T,
            "vatclass": "PVM1",
            "vat": D(vat),
            "subtotal": D(0),
        }
        | {"code": "6000" if place else None}
        for place, (vat, number) in enumerate(parts)
    ]
    warehouse.fill(
        "ivesk",
        {
            "exported_documents": documents,
            "exported_document_lines": lines,
            "document_files": [{"document_id": one["id"], "path": "a.pdf", "error": None} for one in documents[:5]],
        },
    )
    warehouse.fill(
        "vicai",
        {
            "invoices": [
                invoice("71", "10.00", externalId="1", currency="EUR"),
                invoice("72", "10.00", externalId="2", currency="EUR"),
                invoice("73", "-7.00", refNumber="N-3", transactionType="CREDITNOTE", currency="EUR"),
                invoice("74", "1.00", refNumber="N-8", currency="EUR"),
            ],
            "training_invoices": [
                {"refNumber": "N-8", "issueDate": "2026-01-10", "currency": "USD", "transactionType": "INVOICE"}
            ],
        },
    )
    warehouse.ap_views("apply")
    assert warehouse.sums("SELECT currency, sum(total) FROM answers.purchases GROUP BY currency") == {
        "EUR": D("3.50"),
        "USD": D(2000),
    }
    cents = [(D(vat) / rate).quantize(D("0.01"), ROUND_HALF_UP) for vat, number in parts if number == "7"]
    assert cents[:4] == [D("0.01"), D("0.00"), D("0.02"), D("0.01")]
    vats = "SELECT line_number, vat_eur FROM answers.purchase_lines WHERE document_id = '7' ORDER BY line_number"
    assert [vat for _, vat in warehouse.values(vats)] == cents
    ((vat, without),) = warehouse.values("SELECT vat_eur, lines_without_rate FROM answers.purchases_vat_by_class")
    assert (vat, without) == (sum(cents) - 4, 1)
    assert warehouse.values("SELECT document_id FROM answers.purchases_without_account") == [("7",)]
    states = (
        "SELECT document_id, state, matched_by, difference FROM answers.purchases_at_vic WHERE invoice_id IS NOT NULL"
    )
    assert sorted(warehouse.values(states), key=str) == [
        ("1", "same", "id", D(0)),
        ("2", "differs", "id", D(20)),
        ("3", "same", "number", D(0)),
        (None, "only at Vic.ai", None, None),
    ]
    others = "SELECT state, count(*) FROM answers.purchases_at_vic WHERE invoice_id IS NULL GROUP BY state"
    assert warehouse.sums(others) == {"training invoice": 1, "not at Vic.ai": 3}
    changes = "SELECT from_iban, to_iban, document_id FROM answers.purchases_bank_changes"
    assert warehouse.values(changes) == [("LT601010012345678901", "LT12", "2")]
    doubles = "SELECT document_id, copies, same_date FROM answers.purchases_duplicates ORDER BY document_id"
    assert warehouse.values(doubles) == [("1", 2, True), ("9", 2, True)]
    reasons = "SELECT document_id, reason FROM answers.purchases_without_pdf"
    assert {number for number, _ in warehouse.values(reasons)} == {"7", "8", "9"}


def test_the_ledger_against_the_books(warehouse: Warehouse) -> None:
    def balance(party: str, closing: str, made: str, **more: Any) -> Record:
        found: Record = {"company_id": "911", "party_type": "supplier", "party_id": party, "account_id": "2400"}
        found |= {"occurrence": 1, "period_start": "2026-01", "period_end": "2026-01", "currency_code": "NOK"}
        return found | {"audit_file_date_created": made, "closing_balance": D(closing)} | more

    warehouse.fill(
        "saft",
        {
            "party_balances": [
                balance("V7", "-1.00", "2026-02-01"),
                balance("V7", "-90.00", "2026-02-10"),
                balance("V7", "-10.00", "2026-02-10", account_id="2410"),
                balance("V8", "-5.00", "2026-02-10"),
                balance("C1", "99.00", "2026-02-10", party_type="customer"),
            ],
            "suppliers": [{"company_id": "911", "supplier_id": "V8", "occurrence": 1, "name": "Åttende AS"}],
        },
    )
    warehouse.fill(
        "vicai",
        vic(
            invoices=[
                invoice("1", "101.00"),
                invoice("2", "50.00", glDate="2026-02-01"),
                invoice("3", "4.00", currency="EUR"),
                invoice("4", "6.00", vendorInternalId="9", vendorExternalId="V9"),
            ]
        ),
    )
    warehouse.ap_views("apply")
    query = (
        "SELECT vendor_external_id, currency, owed_vic, owed_books, difference FROM answers.ledger_against_books "
        f"WHERE day = DATE '{JAN}' ORDER BY 1, 2"
    )
    assert warehouse.values(query) == [
        ("V7", "EUR", D(4), None, None),
        ("V7", "NOK", D(101), D(100), D(1)),
        ("V8", "NOK", None, D(5), D(-5)),
        ("V9", "NOK", D(6), None, D(6)),
    ]
    names = "SELECT vendor_name FROM answers.ledger_against_books WHERE vendor_external_id = 'V8'"
    assert warehouse.values(names) == [("Åttende AS",)]
