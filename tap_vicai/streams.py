"""The streams of `tap-vicai`, in the order of the service's own description (Vic.ai API 0.20.0 and 10.40.4)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from ap_connectors.core.bookmarks import key_of
from ap_connectors.core.errors import Reject
from ap_connectors.core.instants import LOCAL
from ap_connectors.core.raw_json import NULL, Record, text
from ap_connectors.http.bodies import file_pieces
from ap_connectors.http.concurrency import ordered
from ap_connectors.singer.downloads import FILE_FACTS, safe_part
from ap_connectors.singer.stream import Batch
from ap_connectors.vicai.client import NotFound, document_type
from ap_connectors.vicai.settings import at_once
from tap_vicai.base import (
    ChildStream,
    DocumentStream,
    FullTableStream,
    IncrementalStream,
    RequestedStream,
    VicaiStream,
)
from tap_vicai.companies import Companies, CompanyInvoices
from tap_vicai.event_log import InvoiceDeletions, PurchaseOrderDeletions, WebhookEventLog
from tap_vicai.payment_batches import PaymentBatchReader

if TYPE_CHECKING:
    import requests
    from singer_sdk import Stream

    from ap_connectors.singer.downloads import StoredFile

INTERNAL = {"useSystem": "INTERNAL"}
"""Use Vic's own ids and times: the ERP's are neither unique nor in order, and may be missing."""


def _text_field(description: str) -> dict[str, Any]:
    return {"type": ["string", "null"], "description": description}


def _parent_time(parent: str) -> dict[str, Any]:
    known = _text_field(f"internalUpdatedAt of the {parent}: tells lines that it still has from those that are gone.")
    return known | {"format": "date-time"}


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
        "dimension_id": _text_field("Vic's id of the dimension that the other depends on."),
        "dependent_id": _text_field("Vic's id of the dependent dimension; without one, its type and the ERP's id."),
    }

    def batches(self, context: Mapping[str, Any] | None) -> Iterator[Batch]:  # noqa: ARG002 - there are no partitions
        """Yield the dependencies of a page of dimensions after the other."""
        for page in self.source.client.pages("listDimensions", **INTERNAL):
            found = ordered(self._of, page, workers=at_once(self.config))
            yield Batch([one for dependencies in found for one in dependencies])

    def _of(self, dimension: Record) -> list[Record]:
        client, number = self.source.client, key_of(dimension, "internalId")
        try:
            found = client.whole_list(self.operation, id=number, **INTERNAL)
        except NotFound:
            if client.is_live:
                # The dimension was deleted meanwhile.
                return []
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


class Invoices(IncrementalStream):
    """Invoices of the chosen states, with their lines grouped (Invoices)."""

    name, operation, component, query = "invoices", "listInvoices", "Invoice", INTERNAL

    @property
    def states(self) -> list[str]:
        """The states that are read; ALL is a state of its own that includes the others."""
        states = list(dict.fromkeys(self.config.get("invoice_states") or ["POSTED"]))
        return ["ALL"] if "ALL" in states else states

    @property
    def subset(self) -> dict[str, str]:
        """The state, if it is only one."""
        return {"state": self.states[0]} if len(self.states) == 1 else {}

    @property
    def partitions(self) -> list[dict[str, Any]] | None:
        """One bookmark for each of several states: each is a list of its own."""
        return None if self.subset else [{"state": state} for state in self.states]

    def remedy(self, context: Mapping[str, Any] | None) -> str:
        """Say what to do if the company may not see the state."""
        state = (context or self.subset)["state"]
        if state == "POSTED":
            return super().remedy(context)
        return (
            f" Invoices of state {state} need a right of their own: set invoice_states to "
            '["POSTED"], or ask Vic.ai for it.'
        )


class InvoiceLineItems(RequestedStream):
    """Lines of changed invoices, ungrouped: one request for each invoice, several at once (Invoices)."""

    name, operation, component = "invoice_line_items", "getInvoicelineItems", "InvoiceLineItem"
    key_fields = ("invoice_id", "index")
    parent_stream_type = Invoices
    parent_keys: ClassVar = {"invoice_id": "internalId"}
    parent_version: ClassVar = {"invoice_updated_at": "internalUpdatedAt"}
    selected_by_default = False
    things = "lines"
    own_fields: ClassVar = {
        "invoice_id": _text_field("Vic's id of the invoice."),
        "invoice_updated_at": _parent_time("invoice"),
    }

    def made_of(self, parent: Record, found: list[Record]) -> Iterator[Record]:
        """Yield an invoice's lines."""
        own = {"invoice_id": parent["internalId"], "invoice_updated_at": parent.get("internalUpdatedAt", NULL)}
        for number, line in enumerate(found):
            # The contract does not promise an index; the place in the list serves as one.
            place = {} if line.get("index", NULL) != NULL else {"index": msgspec.Raw(b"%d" % number)}
            yield line | own | place


class SupportingAttachments(RequestedStream):
    """Files that support changed invoices, one request for each invoice: facts, and files (Supporting attachments)."""

    name, operation, component = (
        "supporting_attachments",
        "listInvoiceSupportingAttachments",
        "InvoiceSupportingAttachment",
    )
    key_fields = ("id",)
    parent_stream_type = Invoices
    selected_by_default = False
    things = "supporting attachments"
    own_fields: ClassVar = {
        "invoice_id": _text_field("Vic's id of the invoice."),
        "invoice_updated_at": _parent_time("invoice"),
        **FILE_FACTS["properties"],
    }

    def ask(self, parent: Record) -> list[Record]:
        """Return the attachments of an invoice, each with the facts of its file where files are wanted."""
        return [one | self._file(parent, one) for one in super().ask(parent)]

    def _file(self, invoice: Record, attachment: Record) -> Record:
        if not self.config.get("documents_dir"):
            return {}
        try:
            facts = dataclasses.asdict(self._stored(invoice, attachment))
        except Reject as reason:
            self.logger.warning("%s", reason)
            facts = {"error": str(reason)}
        return {name: msgspec.Raw(msgspec.json.encode(facts.get(name))) for name in FILE_FACTS["properties"]}

    def _stored(self, invoice: Record, attachment: Record) -> StoredFile:
        number, given = text(attachment, "id") or "", text(attachment, "filename") or "unnamed"
        folder = f"supporting_attachments/{safe_part(text(invoice, 'internalId') or '')}"
        name = f"{folder}/{safe_part(number)}~{safe_part(given)}"

        def keep(response: requests.Response) -> StoredFile:
            return self.source.files.write(name, file_pieces(response, name), document_type(response))

        # An attachment never changes.
        known = self.source.files.find(name)
        link = text(attachment, "downloadUrl") or ""
        return known or self.source.client.linked(link, keep, f"attachment {number}")

    def made_of(self, parent: Record, found: list[Record]) -> Iterator[Record]:
        """Yield an invoice's attachments."""
        own = {"invoice_id": parent["internalId"], "invoice_updated_at": parent.get("internalUpdatedAt", NULL)}
        for attachment in found:
            yield attachment | own


class TrainingInvoices(IncrementalStream):
    """Historical invoices that train Vic's models (Invoices for training); the contract gives them no id."""

    name, operation, component = "training_invoices", "listTrainingInvoices", "TrainingInvoice"
    key_fields: ClassVar[tuple[str, ...]] = ()
    instant_field = "externalUpdatedAt"
    clock = LOCAL

    def key(self, record: Record) -> str:
        """Return the ERP's id if the service shows it, else a hash of the record."""
        return text(record, "externalId") or blake2b(msgspec.json.encode(record), digest_size=16).hexdigest()


class InvoiceDocuments(DocumentStream):
    """Documents of changed invoices: one record each with the facts of the file (Invoices)."""

    name, operation, folder, id_fields = "invoice_documents", "getInvoiceDocument", "invoices", ("internalId",)
    key_fields = ("invoice_id",)
    parent_stream_type = Invoices
    parent_keys: ClassVar = {"invoice_id": "internalId"}
    query = INTERNAL
    # An invoice gets one document, once.
    is_final = True


class TrainingInvoiceDocuments(DocumentStream):
    """Documents of changed training invoices, if the service shows an id to ask by (Invoices for training)."""

    name, operation, folder = "training_invoice_documents", "getTrainingInvoiceDocument", "training_invoices"
    key_fields = ("training_invoice_id",)
    parent_stream_type = TrainingInvoices
    # The contract (0.20.0) has none of these fields; the live service has more than the contract.
    id_fields = ("externalId", "id", "internalId")
    is_final = False


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
        "purchase_order_id": _text_field("Vic's id of the order."),
        "purchase_order_updated_at": _parent_time("order"),
    }


class PaymentBatches(VicaiStream):
    """Batches of payments: sent again whenever anything about them, their payments or their credits has changed."""

    name, operation, component, key_fields = "payment_batches", "listPaymentBatches", "PaymentBatch", ("id",)
    instant_field = "last_event_at"
    query: ClassVar = {"status": "all"}
    own_fields: ClassVar = {
        "last_event_at": _text_field("The latest of all times of the batch, its payments and its credits.")
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
    "batch_id": _text_field("Id of the batch."),
    "batch_last_event_at": _text_field("last_event_at of the batch: tells what it still has from what is gone.")
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
