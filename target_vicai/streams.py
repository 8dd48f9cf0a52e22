"""The streams that can be loaded."""

from __future__ import annotations

from target_vicai.attachments import Attachments
from target_vicai.dependencies import DimensionDependencies
from target_vicai.invoice_details import InvoicePayments, SupportingAttachments
from target_vicai.invoices import Invoices
from target_vicai.master_data import Accounts, Dimensions, PaymentTerms, Tags, TaxCodes, VatCodes, VendorGroups
from target_vicai.payments import CreditConfirmations, CreditFailures, PaymentConfirmations, PaymentFailures
from target_vicai.postings import InvoiceConfirmations, InvoiceRejections
from target_vicai.purchase_orders import PurchaseOrders
from target_vicai.sink import VicSink
from target_vicai.training_invoices import TrainingInvoices
from target_vicai.vendor_details import VendorErrors, VendorTags
from target_vicai.vendors import Vendors

ALL: tuple[type[VicSink], ...] = (
    Accounts,
    Dimensions,
    DimensionDependencies,
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
    PaymentConfirmations,
    PaymentFailures,
    CreditConfirmations,
    CreditFailures,
    InvoicePayments,
    SupportingAttachments,
    VendorErrors,
    Attachments,
)
"""The sinks, parents before children: full loads delete in the opposite order."""
