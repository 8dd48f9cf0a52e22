"""The streams of invoices, of those that train Vic's models, and of what belongs to both (0.20.0 and 10.40.4)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from ap_connectors.core.errors import Reject
from ap_connectors.core.instants import LOCAL
from ap_connectors.core.raw_json import NULL, Record, text
from ap_connectors.http.bodies import file_pieces
from ap_connectors.singer.downloads import FILE_FACTS, safe_name, safe_part
from ap_connectors.vicai.client import document_type
from tap_vicai.base import (
    INTERNAL,
    DocumentStream,
    IncrementalStream,
    RequestedStream,
    parent_time,
    text_field,
)

if TYPE_CHECKING:
    import requests

    from ap_connectors.singer.downloads import StoredFile


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
        "invoice_id": text_field("Vic's id of the invoice."),
        "invoice_updated_at": parent_time("invoice"),
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
        "invoice_id": text_field("Vic's id of the invoice."),
        "invoice_updated_at": parent_time("invoice"),
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
        name = f"{folder}/{safe_part(number)}~{safe_name(given)}"

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
