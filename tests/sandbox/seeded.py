"""The seeded Vic data that the tests look at, made once."""

from __future__ import annotations

import functools
from typing import Any

from ap_connectors.sandbox.vicai.seed import Seed
from ap_connectors.sandbox.vicai.seed.invoices import Invoice

Record = dict[str, Any]

INVOICES = 400

LISTS = {
    "accounts": "Account",
    "dimensions": "Dimension",
    "vendors": "Vendor",
    "vendor_groups": "VendorGroup",
    "tags": "Tag",
    "vendor_tags": "VendorTag",
    "payment_terms": "PaymentTerm",
    "vat_codes": "VatCode",
    "tax_codes": "TaxCode",
    "training_invoices": "TrainingInvoice",
    "purchase_orders": "PurchaseOrder",
    "payment_batches": "PaymentBatch",
}

COMPONENTS = {**LISTS, "invoices": "Invoice", "lines": "InvoiceLineItem"}


@functools.cache
def seeded(extra_fields: bool = False) -> Seed:
    return Seed(7, INVOICES, extra_fields=extra_fields)


@functools.cache
def invoices(extra_fields: bool = False) -> tuple[Invoice, ...]:
    return tuple(seeded(extra_fields).invoice(number) for number in range(INVOICES))


@functools.cache
def records(kind: str, extra_fields: bool = False) -> list[Record]:
    if kind == "invoices":
        return [invoice.record for invoice in invoices(extra_fields)]
    if kind == "lines":
        return [line for invoice in invoices(extra_fields) for line in invoice.lines]
    found: list[Record] = getattr(seeded(extra_fields), kind)()
    return found
