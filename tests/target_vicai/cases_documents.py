"""The cases of orders, invoices, what the ERP answers to them, and files."""

from __future__ import annotations

from decimal import Decimal

from tests.target_vicai.scene import AT, BOOKED, CREDIT, LATER, NOWHERE, PAYMENT, PDF, Case, Scene, without
from tests.target_vicai.store import Record

# Orders


def order_line(number: int, quantity: str, price: str, total: str) -> Record:
    return {
        "lineNumber": number,
        "productNumber": f"P-{number}",
        "productDescription": f"Kėdė „Ąžuolas“ {number}",
        "unitOfMeasure": "vnt",
        "quantityRequested": quantity,
        "matchingType": "two_way",
        "unitAmount": price,
        "lineItemTotal": total,
    }


def order(scene: Scene) -> Record:
    return {
        "externalId": "UZS-2026-1",
        "poNumber": "UZS-1",
        "issuedOn": "2026-03-01",
        "currencyId": "EUR",
        "description": "Baldų užsakymas",
        "vendorExternalId": scene.vendor["externalId"],
        "amount": Decimal("12345678901234667.99"),
        "lineItems": [
            order_line(1, "1", "100.10", "100.10"),
            order_line(2, "0.5", "24691357802469135.78", "12345678901234567.89"),
        ],
    }


def order_changes(_: Scene) -> Record:
    """Line 1 goes, line 2 changes, line 3 comes."""
    lines = [order_line(2, "2", "5.00", "10.00"), order_line(3, "1", "0.01", "0.01")]
    return {"description": "Kitas užsakymas", "amount": Decimal("10.01"), "lineItems": lines}


def order_shown(scene: Scene, given: Record) -> Record:
    spelled = str.lower if scene.age == "live" else str.upper
    lines = [line | {"matchingType": spelled(line["matchingType"])} for line in given["lineItems"]]
    return without(given, "vendorExternalId") | {"lineItems": lines}


# Invoices


def training_invoice(scene: Scene) -> Record:
    return {
        "externalId": "BILAG-900001",
        "externalUpdatedAt": AT,
        "transactionType": "INVOICE",
        "refNumber": "TR-1",
        "currency": "EUR",
        "language": "lt",
        "issueDate": "2026-02-01",
        "dueDate": "2026-03-01",
        "description": "Istorinė sąskaita",
        "vendorExternalId": scene.vendor["externalId"],
        "totalAmount": Decimal("12345678901234567.89"),
        "lineItems": [
            {"index": 0, "amount": Decimal("12345678901234560.89"), "costAccountExternalId": "KTO-1000"},
            {"index": 1, "amount": 7, "costAccountExternalId": "KTO-1000", "description": "Pristatymas – į biurą"},
        ],
        "document": str(scene.pdf),
    }


def training_invoice_shown(_: Scene, given: Record) -> Record:
    # Vic does not show the total, and a training invoice's own ids, in its answers.
    return without(given, "externalId", "totalAmount", "document")


def invoice(scene: Scene) -> Record:
    return {
        "externalId": "PIRK-1",
        "transactionType": "INVOICE",
        "refNumber": "SF-0001",
        "currency": "EUR",
        "language": "lt",
        "issueDate": "2026-03-01",
        "dueDate": "2026-03-31",
        "totalAmount": Decimal("12345678901234567.89"),
        "vendor": {"externalId": scene.vendor["externalId"]},
        "lineItems": [{"amount": "12345678901234567.89", "costAccount": {"externalId": "KTO-1000"}}],
        "document": str(scene.pdf),
    }


def invoice_shown(scene: Scene, given: Record) -> Record:
    line = {"amount": Decimal("12345678901234567.89"), "costAccountExternalId": "KTO-1000"}
    vendor_id = {"vendorExternalId": scene.vendor["externalId"]}
    kept = without(given, "document", "vendor", "lineItems")
    return kept | vendor_id | {"lineItems": [line], "status": "READY_FOR_POST"}


def confirmation(scene: Scene) -> Record:
    return {"internalId": scene.waiting, "externalId": "DZ-55", "externalUpdatedAt": "2026-03-05T09:00:00"}


def rejection(scene: Scene) -> Record:
    return {"internalId": scene.waiting, "item": None, "field": None, "reason": "PVM kodas neteisingas – patikslinkite"}


def attachment(scene: Scene) -> Record:
    return {"document": str(scene.pdf)}


def report_case(stream: str) -> Case:
    """The case of a report of payments or credits: Vic knows them by its own ids, in their batches."""
    part, id_ = ("payments", PAYMENT) if stream.startswith("payment") else ("credits", CREDIT)
    field, verb = ("confirmedAt", "confirm") if stream.endswith("confirmations") else ("remoteErroredAt", "fail")
    told = {field: BOOKED} | ({"remoteId": "MOK-1"} if verb == "confirm" else {"remoteError": "Sąskaita uždaryta"})
    return Case(
        stream,
        "paymentBatches",
        lambda _: {"id": id_, **told},
        lambda _: {"id": NOWHERE, **told},
        NOWHERE,
        (rf"POST /{part}/[\w-]+/{verb}",),
        lambda _: {field: "2026-03-05T00:00:00Z"},
        shown=lambda _, given: {part: [given]},
        adds=False,
    )


DOCUMENTS = (
    Case(
        "purchase_orders",
        "purchaseOrders",
        order,
        lambda scene: order(scene) | {"amount": Decimal("1.00")},
        r"amount.*1\.00.*12345678901234667\.99",
        (r"POST /purchaseOrders",),
        order_changes,
        order_shown,
        frozenset({"vendor", "status"}),
        also_first=(r"POST /purchaseOrders/\d+/process",),
    ),
    Case(
        "training_invoices",
        "trainingInvoices",
        training_invoice,
        lambda scene: training_invoice(scene) | {"document": str(scene.pdf) + ".nėra"},
        r"document.*nėra",
        (r"PUT /trainingInvoices/BILAG-900001",),
        lambda _: {"externalUpdatedAt": LATER, "description": "Pataisyta", "lineItems": []},
        training_invoice_shown,
    ),
    Case(
        "invoices",
        "invoices",
        invoice,
        lambda scene: invoice(scene) | {"dueDate": "2026-02-30"},
        r"dueDate.*2026-02-30",
        (r"POST /invoices", r"POST /invoices/[\w-]+/document", r"POST /invoices/[\w-]+/process"),
        shown=invoice_shown,
        by_vic=frozenset({"vendor", "vendorInternalId", "amountTax", "amountWithoutTax", "documentUrl"}),
    ),
    Case(
        "invoice_confirmations",
        "invoices",
        confirmation,
        lambda scene: confirmation(scene) | {"internalId": "999999999"},
        r"999999999",
        (r"POST /invoices/\d+/confirm",),
        shown=lambda _, given: given | {"status": "POSTED"},
        adds=False,
    ),
    Case(
        "invoice_rejections",
        "invoices",
        rejection,
        lambda scene: rejection(scene) | {"reason": None},
        r"reason",
        (r"POST /invoices/\d+/reject",),
        shown=lambda scene, given: {
            "internalId": scene.waiting,
            "status": "NOT_READY",
            "postingError": given["reason"],
        },
        adds=False,
    ),
    *map(
        report_case,
        ("payment_confirmations", "payment_failures", "credit_confirmations", "credit_failures"),
    ),
    Case(
        "supporting_attachments",
        "supportingAttachments",
        lambda scene: {"internalId": scene.waiting, "document": str(scene.pdf)},
        lambda scene: {"internalId": "999999999", "document": str(scene.pdf)},
        r"999999999",
        (r"POST /invoices/\d+/supporting-attachments",),
        shown=lambda scene, _: {"invoiceId": scene.waiting, "filesize": len(PDF), "contentType": "application/pdf"},
        by_vic=frozenset({"filename"}),
    ),
    Case(
        "invoice_payments",
        "invoices",
        lambda scene: {"internalId": scene.waiting, "externalPaymentStatus": "paid", "externalPaymentAmount": "10.50"},
        lambda _: {"internalId": "999999999", "externalPaymentStatus": "paid"},
        r"999999999",
        (r"PUT /invoices/\d+/external",),
        lambda _: {"externalPaymentStatus": "voided", "externalPaymentDate": "2026-03-05"},
        adds=False,
    ),
    Case(
        "attachments",
        "attachments",
        attachment,
        lambda scene: {"document": str(scene.pdf.with_suffix(".exe"))},
        r"exe",
        (r"POST /attachments",),
        shown=lambda scene, _: {
            "sha256": scene.sha256,
            "bytes": len(PDF),
            "contentType": "application/pdf",
            "fileName": scene.pdf.name,
        },
    ),
)
