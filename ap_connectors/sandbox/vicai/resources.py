"""The service's kinds of records: how each is named, found and filtered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from ap_connectors.sandbox.vicai import instants

Record = dict[str, Any]
Order = Literal["system", "internal", "external", "id"]


def _no_fact(_: Record) -> Any:
    return None


@dataclass(frozen=True)
class Resource:
    """A kind of records.

    Args:
        name: as in the paths ("vendorGroups").
        component: the contract's schema of one record.
        key: the member that holds its id; None if records do not show one.
        uuids: ids are UUIDs, else numbers in sequence.
        order: what lists are sorted by; "system" is what `useSystem` says.
        dated: records show internalUpdatedAt.
        fact: what lists filter by, kept beside the encoded record.
    """

    name: str
    component: str
    key: str | None = "internalId"
    uuids: bool = False
    order: Order = "system"
    dated: bool = True
    fact: Callable[[Record], Any] = _no_fact


def _vendor_fact(record: Record) -> tuple[bool, str]:
    """(confirmed, state as the filter of /vendors calls it)."""
    # A vendor whose state was nulled is confirmed if the ERP knows it.
    state = str(record.get("state") or ("confirmed" if record.get("externalId") else "unconfirmed")).lower()
    confirmed = state == "confirmed"
    if record.get("errors"):
        return confirmed, "ERRORED"
    return confirmed, "ACTIVE" if confirmed else "PENDING" if record.get("externalId") else "PREDICTED"


def _batch_fact(record: Record) -> tuple[str, int | None]:
    """(status, completedAt in microseconds)."""
    completed = record.get("completedAt")
    return str(record.get("status")).lower(), None if completed is None else instants.utc(completed)


_ALL = (
    Resource("accounts", "Account"),
    Resource("dimensions", "Dimension"),
    Resource("vendors", "Vendor", fact=_vendor_fact),
    Resource("vendorGroups", "VendorGroup", "id", uuids=True, order="id", dated=False),
    Resource("tags", "Tag", "id", order="id", dated=False),
    Resource("vendorTags", "VendorTag", "id", order="id", dated=False),
    Resource("paymentTerms", "PaymentTerm", "id", uuids=True, order="id", dated=False),
    Resource("taxCodes", "TaxCode", "id", uuids=True, order="id", dated=False),
    Resource("vatCodes", "VatCode", order="external", fact=lambda record: record.get("code")),
    Resource("invoices", "Invoice", fact=lambda record: str(record.get("status")).upper()),
    Resource("trainingInvoices", "TrainingInvoice", None, order="external", dated=False),
    Resource("purchaseOrders", "PurchaseOrder", order="internal", fact=lambda r: str(r.get("status")).lower()),
    Resource("paymentBatches", "PaymentBatch", "id", uuids=True, order="id", dated=False, fact=_batch_fact),
    Resource("attachments", "Attachment", "id", order="id", dated=False),
)
RESOURCES = {resource.name: resource for resource in _ALL}
