"""What the demo reads of Vic.ai: the streams, what they are made of, and what tells their records apart."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Stream:
    """One stream, which is one table of the schema `vicai`."""

    key: tuple[str, ...]
    resource: str = ""
    """What the sandbox's control API calls it."""
    parent: str = ""
    """The stream whose records hold its records, or tell which to ask for."""
    held_in: str = ""
    """The field of the parent's records that holds them."""
    from_parent: Mapping[str, str] = field(default_factory=dict)
    """Fields that each record bears of its parent's, by our name."""
    in_full: bool = False
    """Whether every run reads all of it, because the service cannot be asked for changes."""
    left_out: tuple[str, ...] = ()
    """Fields that `meltano.yml` deselects: they have tables of their own."""
    current: str = ""
    """SQL that leaves out what the parent no longer holds; empty where the key says enough."""


def _current(parent: str, ours: str, updated: str) -> str:
    return f"where ({ours}, {updated}::timestamp) in (select (internalId, internalUpdatedAt) from vicai.{parent})"


CURRENT_INVOICE_LINES = _current("invoices", "invoice_id", "invoice_updated_at")
CURRENT_ORDER_LINES = _current("purchase_orders", "purchase_order_id", "purchase_order_updated_at")

STREAMS: Mapping[str, Stream] = {
    "company": Stream(("company",), in_full=True),
    "accounts": Stream(("internalId",), "accounts"),
    "dimensions": Stream(("internalId",), "dimensions"),
    "vendors": Stream(("internalId",), "vendors"),
    "vendor_groups": Stream(("id",), "vendorGroups", in_full=True),
    "tags": Stream(("id",), "tags", in_full=True),
    "vendor_tags": Stream(("id",), "vendorTags", in_full=True),
    "payment_terms": Stream(("id",), "paymentTerms", in_full=True),
    "tax_codes": Stream(("id",), "taxCodes", in_full=True),
    "vat_codes": Stream(("internalId",), "vatCodes", in_full=True),
    # The service shows no id of them, and the loader appends: each version is a row.
    "training_invoices": Stream(("vendorExternalId", "refNumber", "externalUpdatedAt"), "trainingInvoices"),
    "purchase_orders": Stream(("internalId",), "purchaseOrders", left_out=("lineItems",)),
    "purchase_order_line_items": Stream(
        ("internalId",),
        parent="purchase_orders",
        held_in="lineItems",
        from_parent={"purchase_order_id": "internalId", "purchase_order_updated_at": "internalUpdatedAt"},
        current=CURRENT_ORDER_LINES,
    ),
    "invoices": Stream(("internalId",), "invoices"),
    "invoice_line_items": Stream(
        ("invoice_id", "index"),
        parent="invoices",
        from_parent={"invoice_id": "internalId", "invoice_updated_at": "internalUpdatedAt"},
        current=CURRENT_INVOICE_LINES,
    ),
    "payment_batches": Stream(("id",), "paymentBatches", left_out=("payments", "credits")),
    "payments": Stream(
        ("id", "batch_id"), parent="payment_batches", held_in="payments", from_parent={"batch_id": "id"}
    ),
    "credits": Stream(("id", "batch_id"), parent="payment_batches", held_in="credits", from_parent={"batch_id": "id"}),
}

FILES = "invoice_documents"
"""The stream of files, a record for each invoice; its source is the disk."""
