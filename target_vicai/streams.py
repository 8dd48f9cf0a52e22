"""The sixteen streams that can be loaded."""

from __future__ import annotations

from target_vicai.attachments import Attachments
from target_vicai.invoices import Invoices
from target_vicai.loader import Loader
from target_vicai.named import PaymentTerms, Tags, TaxCodes, VendorGroups
from target_vicai.orders import PurchaseOrders
from target_vicai.postings import InvoiceConfirmations, InvoiceRejections
from target_vicai.training import TrainingInvoices
from target_vicai.upserts import Accounts, Dimensions, VatCodes, Vendors
from target_vicai.vendor_errors import VendorErrors
from target_vicai.vendor_tags import VendorTags

ALL: tuple[type[Loader], ...] = (
    Accounts,
    Dimensions,
    VatCodes,
    VendorGroups,
    Tags,
    PaymentTerms,
    TaxCodes,
    Vendors,
    VendorTags,
    PurchaseOrders,
    TrainingInvoices,
    Invoices,
    InvoiceConfirmations,
    InvoiceRejections,
    VendorErrors,
    Attachments,
)

MIRRORED = ("purchase_orders", "vendors", "dimensions", "accounts", "vat_codes")
"""Streams whose full load may delete what it no longer has, children first: only these have an id of the ERP's by which
one can tell what a target may have written, and a list of all of them."""
