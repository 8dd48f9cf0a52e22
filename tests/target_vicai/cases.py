"""One case per incoming stream: a record that is new, one that changes it, one that is no good; what Vic then shows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from pathlib import Path

from ap_connectors.sandbox.process import SandboxProcess
from tests.target_vicai.store import Record, Store

PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n% \xc4\x85\xc5\xbe\xc5\xab\n%%EOF\n"
LONG = "Ą" * 300
PAYMENT, CREDIT = "5b1f1c0e-6f0e-4a55-9d2c-1d0a4c8e7f21", "7d2e0c1a-0b5e-4a44-8c1d-2e0b4d8f6a33"
"""Vic's ids of a payment and a credit that the ERP has not answered yet."""
NOWHERE = "00000000-0000-4000-a000-000000000000"
WAITING: Record = {"status": "READY_FOR_POST", "externalId": None, "externalUpdatedAt": None}
"""What an invoice shows that the ERP has not answered yet."""
BOOKED = "2026-03-03T09:00:00Z"
AT, LATER = "2026-03-01T10:00:00.123", "2026-03-02T11:30:00.5"
"""The ERP's wall clock: no zone, and digits as they are."""


class Scene:
    """What the cases refer to: a company with master data and three invoices, one of which waits for the ERP."""

    def __init__(self, vicai: SandboxProcess, folder: Path) -> None:
        self.vicai = vicai
        self.age: str = vicai.control.vicai.options()["age"]
        self.pdf = folder / "sąskaita 1.pdf"
        self.pdf.write_bytes(PDF)
        self.waiting = vicai.control.vicai.records("invoices")[-1]["internalId"]
        vicai.control.vicai.touch("invoices", [self.waiting], **WAITING)
        batch = vicai.control.vicai.records("paymentBatches")[0]["id"]
        paid = {"amount": "10.00", "currencyId": "EUR", "status": "acknowledged"}
        payments, credits = [paid | {"id": PAYMENT}], [paid | {"id": CREDIT}]
        vicai.control.vicai.touch("paymentBatches", [batch], payments=payments, credits=credits)
        self.store = Store(vicai)

    @cached_property
    def vendor(self) -> Record:
        """A vendor that the ERP knows, without errors and tags."""
        tagged = {tag["vendorId"] for tag in self.store.all("vendorTags")}
        good = (v for v in self.store.all("vendors") if v.get("externalId") and not v.get("errors"))
        return next(vendor for vendor in good if vendor["internalId"] not in tagged)

    def first(self, resource: str) -> Record:
        return self.store.all(resource)[0]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(PDF).hexdigest()


Make = Callable[[Scene], Record]
Shown = Callable[[Scene, Record], Record]


def as_given(_: Scene, given: Record) -> Record:
    return given


@dataclass(frozen=True)
class Case:
    """How a stream is put to the test.

    Args:
        stream: its name.
        resource: what it changes, as the service's paths name it.
        new: a record that Vic does not hold yet, in the contract's names.
        bad: a record that is no good, with the same key where it has one.
        reason: pattern of why.
        writes: calls of a load of `new`, in order, as patterns "METHOD /path"; of each the answer may be lost.
        changes: members that a later record of the same thing has instead; None where Vic can't change it.
        shown: what Vic shows of a record once it is loaded.
        by_vic: members that Vic fills by itself.
        adds: the load adds a record; else it changes one.
        is_new: the stream exists in the live age only.
        also_first: a further write that 0.20.0 needs at the end.
    """

    stream: str
    resource: str
    new: Make
    bad: Make
    reason: str
    writes: tuple[str, ...]
    changes: Make | None = None
    shown: Shown = as_given
    by_vic: frozenset[str] = field(default=frozenset())
    adds: bool = True
    is_new: bool = False
    also_first: tuple[str, ...] = ()

    def writes_in(self, age: str) -> tuple[str, ...]:
        """The calls of a load of `new` in an age."""
        return self.writes + (self.also_first if age == "0.20" else ())

    @property
    def count(self) -> dict[str, tuple[int, int, int]]:
        """What `Change.only` finds after a first load."""
        return {self.resource: (1, 0, 0) if self.adds else (0, 1, 0)}


def without(record: Record, *names: str) -> Record:
    return {name: value for name, value in record.items() if name not in names}


# Accounts, VAT codes, dimensions


def account(_: Scene) -> Record:
    return {
        "externalId": "KTO-9001",
        "externalUpdatedAt": AT,
        "number": "9001",
        "name": "Ąžuolo sąskaita – «ėįšųūž»",
        "externalData": {"klasė": "9", "Suma": Decimal("12345678901234567.89"), "a_b": [1, None, True], "aB": {"C": 1}},
    }


def vat_code(_: Scene) -> Record:
    return {
        "externalId": "PVM/1 ą",
        "externalUpdatedAt": AT,
        "code": "PVM1",
        "description": "Standartinis PVM tarifas",
        "activeStartingAt": "2009-09-01T00:00:00",
        "rate": Decimal("21.00"),
        "remoteData": {"šalis": "LT"},
    }


def dimension(_: Scene) -> Record:
    return {
        "externalId": "PRJ-77",
        "externalUpdatedAt": AT,
        "name": "Žaliasis tiltas",
        "type": "PROJECT",
        "typeName": "Projektas",
        "typeExternalId": "PRJ",
        "shortName": "77",
        "externalData": {"vadovas": "Šarūnė"},
    }


# Vendors and what belongs to them


def vendor(scene: Scene) -> Record:
    return {
        "externalId": "TIEK-0001",
        "externalUpdatedAt": AT,
        "name": "UAB „Žalgirio tiekėjas“",
        "email": "saskaitos@zalgiris.example",
        "phone": None,
        "addressStreet": "Gedimino pr. 1",
        "addressCity": "Vilnius",
        "addressPostalCode": "01103",
        "countryCode": "LT",
        "currency": "EUR",
        "state": "CONFIRMED",
        "taxInfo": {"taxId": "LT100001", "is1099vendor": False, "orgNumber": "300001"},
        "defaultPaymentInfo": {
            "internationalBankAccount": {"iban": "LT121000011101001000", "bic": "HABALT22"},
            "paymentTerm": {"count": 30, "unit": "DAYS"},
            "defaultMethod": "IBAN",
        },
        "paymentTermName": scene.first("paymentTerms")["name"],
        "vendorGroupName": scene.first("vendorGroups")["name"],
        "externalData": {"likutis": Decimal("0.10")},
    }


def vendor_shown(scene: Scene, given: Record) -> Record:
    found = {
        "paymentTermId": scene.store.one("paymentTerms", name=given["paymentTermName"])["id"],
        "vendorGroupId": scene.store.one("vendorGroups", name=given["vendorGroupName"])["id"],
    }
    return without(given, "paymentTermName", "vendorGroupName") | found


def vendor_tag(scene: Scene) -> Record:
    return {"vendorExternalId": scene.vendor["externalId"], "tagValue": scene.first("tags")["value"]}


def vendor_tag_shown(scene: Scene, given: Record) -> Record:
    return {
        "vendorId": scene.store.one("vendors", externalId=given["vendorExternalId"])["internalId"],
        "tagId": scene.store.one("tags", value=given["tagValue"])["id"],
    }


def vendor_errors(scene: Scene) -> Record:
    message = {"message": "Banko sąskaita nerasta apskaitos sistemoje", "field": "defaultPaymentInfo.bban"}
    return {"internalId": scene.vendor["internalId"], "errors": [message, {"message": "Tiekėjas užblokuotas"}]}


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
        is_new=True,
    )


def dependency(scene: Scene) -> Record:
    first, second = (one for one in scene.store.all("dimensions")[:2])
    return {"dimensionInternalId": first["internalId"], "dependentExternalId": second["externalId"], "active": True}


def dependency_shown(scene: Scene, given: Record) -> Record:
    second = scene.store.all("dimensions")[1]
    pair = {"dimensionId": given["dimensionInternalId"], "dependentId": second["internalId"]}
    return pair | {"active": given["active"]}


CASES = (
    Case(
        "accounts",
        "accounts",
        account,
        lambda scene: account(scene) | {"name": LONG},
        r"name.*(255|long)",
        (r"PUT /accounts/KTO-9001",),
        lambda _: {"externalUpdatedAt": LATER, "name": "Kita sąskaita", "externalData": {"klasė": "8"}},
    ),
    Case(
        "vat_codes",
        "vatCodes",
        vat_code,
        lambda scene: vat_code(scene) | {"rate": "dvidešimt vienas"},
        r"rate.*number.*dvidešimt",
        (r"PUT /vatCodes/PVM.*",),
        lambda _: {"externalUpdatedAt": LATER, "rate": Decimal("9.000"), "description": "Lengvatinis"},
    ),
    Case(
        "dimensions",
        "dimensions",
        dimension,
        lambda scene: dimension(scene) | {"externalUpdatedAt": "vakar"},
        r"externalUpdatedAt.*vakar",
        (r"POST /dimensions",),
        lambda _: {"externalUpdatedAt": LATER, "name": "Baltasis tiltas", "shortName": "78"},
    ),
    Case(
        "vendors",
        "vendors",
        vendor,
        lambda scene: vendor(scene) | {"vendorGroupName": "Tokios grupės nėra"},
        r"(vendorGroupName|vendor group).*Tokios grupės nėra",
        (r"PUT /vendors/TIEK-0001",),
        lambda _: {
            "externalUpdatedAt": LATER,
            "phone": "+370 5 000 0000",
            "addressCity": "Kaunas",
            "email": None,
            "taxInfo": {"taxId": "LT100001", "is1099vendor": True, "orgNumber": "300002"},
        },
        vendor_shown,
    ),
    Case(
        "vendor_groups",
        "vendorGroups",
        lambda _: {"name": "Miško draugai"},
        lambda _: {"name": ["Miško draugai"]},
        r"name.*text",
        (r"POST /vendorGroups",),
        lambda _: {"name": "Miško bičiuliai"},
    ),
    Case(
        "tags",
        "tags",
        lambda _: {"value": "Žvėris"},
        lambda _: {"value": LONG},
        r"value.*(255|long)",
        (r"POST /tags",),
        lambda _: {"value": "Paukštis"},
    ),
    Case(
        "payment_terms",
        "paymentTerms",
        lambda _: {"name": "33 dienos", "daysToPay": 33, "discountDays": 7, "discountPercentage": Decimal("1.250")},
        lambda _: {"name": "33 dienos", "daysToPay": "trisdešimt"},
        r"daysToPay.*trisdešimt",
        (r"POST /paymentTerms",),
        lambda _: {"daysToPay": 34, "discountPercentage": "2.5", "description": "Apmokėti per 34 dienas"},
    ),
    Case(
        "tax_codes",
        "taxCodes",
        lambda _: {"code": "LT-21", "description": "Lietuvos PVM", "rate": Decimal("0.21000")},
        lambda _: {"code": "LT-21", "description": "Lietuvos PVM", "rate": "21,0"},
        r"rate.*21,0",
        (r"POST /taxCodes",),
    ),
    Case(
        "vendor_tags",
        "vendorTags",
        vendor_tag,
        lambda scene: vendor_tag(scene) | {"tagValue": "Tokios žymos nėra"},
        r"tag.*Tokios žymos nėra",
        (r"POST /vendorTags",),
        shown=vendor_tag_shown,
    ),
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
        is_new=True,
    ),
    Case(
        "dimension_dependencies",
        "dimensionDependencies",
        dependency,
        lambda scene: dependency(scene) | {"dependentExternalId": "PRJ-NĖRA"},
        r"PRJ-NĖRA",
        (r"POST /dimensionDependencies",),
        lambda _: {"active": False},
        dependency_shown,
        is_new=True,
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
        is_new=True,
    ),
    Case(
        "vendor_errors",
        "vendors",
        vendor_errors,
        lambda scene: vendor_errors(scene) | {"errors": [{"field": "name"}]},
        r"errors\[0\].*message",
        (r"POST /vendors/\d+/errors",),
        lambda _: {"errors": []},
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
BY_STREAM = {case.stream: case for case in CASES}
