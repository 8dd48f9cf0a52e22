"""The streams of `tap-vicai`, in the order of the service's own description (Vic.ai API 0.20.0 and 10.40.4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from ap_connectors.core.bookmarks import key_of
from ap_connectors.core.raw_json import NULL, Record, text
from ap_connectors.http.concurrency import ordered
from ap_connectors.singer.stream import Batch
from ap_connectors.vicai.client import NotFound
from ap_connectors.vicai.settings import at_once
from tap_vicai.base import (
    INTERNAL,
    ChildStream,
    FullTableStream,
    IncrementalStream,
    VicaiStream,
    parent_time,
    text_field,
)
from tap_vicai.companies import Companies, CompanyInvoices
from tap_vicai.event_log import InvoiceDeletions, PurchaseOrderDeletions, WebhookEventLog
from tap_vicai.invoices import (
    InvoiceDocuments,
    InvoiceLineItems,
    Invoices,
    SupportingAttachments,
    TrainingInvoiceDocuments,
    TrainingInvoices,
)
from tap_vicai.payment_batches import PaymentBatchReader

if TYPE_CHECKING:
    from singer_sdk import Stream


class Accounts(IncrementalStream):
    """General ledger accounts (Accounts)."""

    name, operation, component, query = "accounts", "listAccounts", "Account", INTERNAL


class Dimensions(IncrementalStream):
    """Departments, projects and other dimensions that invoice lines are coded by (Dimensions)."""

    name, operation, component, query = "dimensions", "listDimensions", "Dimension", INTERNAL


class DimensionDependencies(VicaiStream):
    """Which dimensions may be chosen together: all of them each time, one request for each (Dimensions)."""

    name, operation, component = "dimension_dependencies", "listDimensionDependencies", "DimensionDependency"
    key_fields = ("dimension_id", "dependent_id")
    selected_by_default = False
    own_fields: ClassVar = {
        "dimension_id": text_field("Vic's id of the dimension that the other depends on."),
        "dependent_id": text_field("Vic's id of the dependent dimension; without one, its type and the ERP's id."),
    }

    def batches(self, context: Mapping[str, Any] | None) -> Iterator[Batch]:  # noqa: ARG002 - there are no partitions
        """Yield the dependencies of a page of dimensions after the other.

        Raises:
            NotFound: of no dimension the service has a list.
        """
        absent, has_any = None, False
        for page in self.source.client.pages("listDimensions", **INTERNAL):
            found = [*ordered(self._of, page, workers=at_once(self.config))]
            absent = next((one for one in found if isinstance(one, NotFound)), absent)
            lists = [one for one in found if not isinstance(one, NotFound)]
            has_any = has_any or bool(lists)
            yield Batch([one for dependencies in lists for one in dependencies])
        if absent and not has_any:
            raise absent

    def _of(self, dimension: Record) -> list[Record] | NotFound:
        client, number = self.source.client, key_of(dimension, "internalId")
        try:
            found = client.whole_list(self.operation, id=number, **INTERNAL)
        except NotFound as error:
            if client.is_live:
                # The dimension was deleted meanwhile, or the service has no such lists.
                return error
            raise
        own = {"dimension_id": dimension["internalId"]}
        return [one | own | {"dependent_id": _dependent(one)} for one in found]


def _dependent(dependency: Record) -> msgspec.Raw:
    if dependency.get("internalId", NULL) != NULL:
        return dependency["internalId"]
    named = f"{text(dependency, 'type')} {text(dependency, 'externalId')}"
    return msgspec.Raw(msgspec.json.encode(named))


class Vendors(IncrementalStream):
    """Vendors, confirmed or not (Vendors)."""

    name, operation, component, query = "vendors", "listVendors", "Vendor", INTERNAL


class VatCodes(FullTableStream):
    """VAT codes with their validity (VAT codes); read in full each time, since there are few."""

    name, operation, component, key_fields = "vat_codes", "listVatCodes", "VatCode", ("internalId",)


class VendorGroups(FullTableStream):
    """Groups of vendors (Vendor groups)."""

    name, operation, component, key_fields = "vendor_groups", "listVendorGroups", "VendorGroup", ("id",)


class Tags(FullTableStream):
    """Tags that vendors can have (Tags)."""

    name, operation, component, key_fields = "tags", "listTags", "Tag", ("id",)


class VendorTags(FullTableStream):
    """Which vendor has which tag (Vendor tags)."""

    name, operation, component, key_fields = "vendor_tags", "listVendorTags", "VendorTag", ("id",)


class PaymentTerms(FullTableStream):
    """Terms that Vic can assign to vendors and invoices (Payment terms)."""

    name, operation, component, key_fields = "payment_terms", "listPaymentTerms", "PaymentTerm", ("id",)


class TaxCodes(FullTableStream):
    """Tax codes of a company (Tax codes)."""

    name, operation, component, key_fields = "tax_codes", "getTaxCodes", "TaxCode", ("id",)


class PurchaseOrders(IncrementalStream):
    """Purchase orders, open and closed, with their lines (Purchase orders)."""

    name, operation, component = "purchase_orders", "listPurchaseOrders", "PurchaseOrder"

    @property
    def partitions(self) -> list[dict[str, Any]]:
        """Each status is a list of its own: an order that is closed moves from one to the other."""
        return [{"status": "open"}, {"status": "closed"}]


class PurchaseOrderLineItems(ChildStream):
    """Lines of changed purchase orders, from the same answer (Purchase orders)."""

    name, component, key_fields = "purchase_order_line_items", "PurchaseOrderLineItem", ("internalId",)
    parent_stream_type = PurchaseOrders
    parent_field = "lineItems"
    parent_keys: ClassVar = {"purchase_order_id": "internalId"}
    parent_version: ClassVar = {"purchase_order_updated_at": "internalUpdatedAt"}
    own_fields: ClassVar = {
        "purchase_order_id": text_field("Vic's id of the order."),
        "purchase_order_updated_at": parent_time("order"),
    }


class PaymentBatches(VicaiStream):
    """Batches of payments: sent again whenever anything about them, their payments or their credits has changed."""

    name, operation, component, key_fields = "payment_batches", "listPaymentBatches", "PaymentBatch", ("id",)
    instant_field = "last_event_at"
    query: ClassVar = {"status": "all"}
    own_fields: ClassVar = {
        "last_event_at": text_field("The latest of all times of the batch, its payments and its credits.")
        | {"format": "date-time"}
    }

    def batches(self, context: Mapping[str, Any] | None) -> Iterator[Batch]:
        """Yield the batches that have changed since they were last sent."""
        reader = PaymentBatchReader(self.last_bookmark(context), self.config.get("start_date"))
        for page in self.source.client.pages(self.operation, **self.query):
            changed = [batch | {"last_event_at": at} for batch, at in reader.changed(page)]
            yield Batch(changed, reader.bookmark())
        yield Batch([], reader.bookmark(whole=True))


_OF_A_BATCH: dict[str, Any] = {
    "batch_id": text_field("Id of the batch."),
    "batch_last_event_at": text_field("last_event_at of the batch: tells what it still has from what is gone.")
    | {"format": "date-time"},
}


class Payments(ChildStream):
    """Payments of changed batches, from the same answer (Payment batches)."""

    name, component, key_fields = "payments", "Payment", ("id", "batch_id")
    parent_stream_type = PaymentBatches
    parent_field = "payments"
    parent_keys: ClassVar = {"batch_id": "id"}
    parent_version: ClassVar = {"batch_last_event_at": "last_event_at"}
    own_fields: ClassVar = _OF_A_BATCH


class Credits(ChildStream):
    """Credits that were used in changed batches, from the same answer (Payment batches)."""

    name, component, key_fields = "credits", "Credit", ("id", "batch_id")
    parent_stream_type = PaymentBatches
    parent_field = "credits"
    parent_keys: ClassVar = {"batch_id": "id"}
    parent_version: ClassVar = {"batch_last_event_at": "last_event_at"}
    own_fields: ClassVar = _OF_A_BATCH


class Company(VicaiStream):
    """The company that the credentials belong to, and how the service is (Status)."""

    name, operation, component, key_fields = "company", "healthCheck", "HealthCheck", ("company",)

    def batches(self, context: Mapping[str, Any] | None) -> Iterator[Batch]:  # noqa: ARG002 - there are no parts
        """Yield the response that `before_sync` has asked for."""
        yield Batch([dict(self.source.company)])


ALL: tuple[type[Stream], ...] = (
    Company,
    Companies,
    Accounts,
    Dimensions,
    DimensionDependencies,
    Vendors,
    VendorGroups,
    Tags,
    VendorTags,
    PaymentTerms,
    TaxCodes,
    VatCodes,
    PurchaseOrders,
    PurchaseOrderLineItems,
    Invoices,
    InvoiceLineItems,
    InvoiceDocuments,
    SupportingAttachments,
    CompanyInvoices,
    TrainingInvoices,
    TrainingInvoiceDocuments,
    PaymentBatches,
    Payments,
    Credits,
    WebhookEventLog,
    InvoiceDeletions,
    PurchaseOrderDeletions,
)
