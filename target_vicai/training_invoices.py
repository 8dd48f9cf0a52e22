"""Training invoices: what the ERP booked in the past, for Vic.ai to learn from."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any, ClassVar

import msgspec

from ap_connectors.core.errors import Reject
from ap_connectors.core.raw_json import JsonObject
from ap_connectors.singer.diff import diff, merge_missing
from ap_connectors.singer.schema import ObjectSchema
from ap_connectors.singer.sink import UNCHANGED, Outcome
from ap_connectors.vicai import contract
from ap_connectors.vicai.client import Part
from target_vicai import document_vendors, documents
from target_vicai.documents import Document
from target_vicai.invoice_sink import OF_IVESK, PAYMENT, InvoiceSink
from target_vicai.item import Item

_encode = msgspec.json.Encoder(decimal_format="number").encode

_LINES = "lineItems"


class TrainingInvoices(InvoiceSink):
    """Invoices for training (Invoices for training), written under the ERP's own id.

    The document is sent with the first load of an invoice, and not again: Vic.ai does not say which document it has.
    Lines stay at Vic.ai if a record has no `lineItems`, whatever `update_mode` is; an empty list deletes all of them.
    A record that the mapper made of a document is the whole of it: what it no longer says is cleared. An account to pay
    to goes with its vendor.
    """

    name, operation, component = "training_invoices", "upsertTrainingInvoice", "TrainingInvoice"
    extras: ClassVar[dict[str, Any]] = {**documents.FIELDS, **document_vendors.FIELDS, **OF_IVESK}
    sent, is_paid = "training invoice: ", False

    def contract_schema(self) -> contract.Schema:
        """Return the contract's schema of the part of the form that holds the data."""
        form = contract.inlined(contract.operation(self.operation).body["multipart/form-data"])
        data: contract.Schema = form["properties"]["invoiceData"]
        return data

    def load(self, item: Item) -> Outcome:
        """Write a training invoice if it differs from what Vic has; the first time with its document."""
        self.require_vendor(item)
        options = self.context.options
        compares = self.writes_only_changes(item)
        of_a_document = bool(item.extras.get("ivesk_document_id"))
        reads, is_whole = compares or options.merge or of_a_document, not options.merge or of_a_document
        present = self._now(item.key) if reads else None
        body = self._body(item.body, present or {}, is_whole=is_whole)
        if present is None:
            return self._create(item, self.require_complete(body), is_new=reads)
        self._remember(item)
        self.context.approval.compared(present, self.body_schema.members)
        changes = tuple(diff(self.body_schema, body, present, readable=self.read_schema))
        if compares and (older := self.older(body, present)):
            return older
        if compares and not changes:
            return UNCHANGED
        whole = body if is_whole else merge_missing(self.body_schema, body, self._kept(body, present))
        self._put(item.key, self.require_complete(whole), None)
        return Outcome("updated", changes)

    def delete(self, item: Item) -> Outcome:
        """Delete a training invoice by the ERP's id."""
        present = self._now(item.key)
        if present is None:
            return UNCHANGED
        if older := self.older(item.body, present):
            return older
        return self.call_delete("deleteTrainingInvoice", lambda: self._now(item.key), id=item.key)

    def _now(self, key: str) -> JsonObject | None:
        return self.context.client.found("getTrainingInvoice", id=key)

    def _body(self, body: JsonObject, present: JsonObject, *, is_whole: bool) -> JsonObject:
        """Return the body to write over what Vic has; PUT leaves alone what it does not name.

        The contract allows null for some fields only; for the others it is worth a try if there is something to clear.
        """
        members = self.body_schema.members
        written = {
            name: value
            for name, value in body.items()
            if value is not None or members[name].nullable or (name != _LINES and present.get(name) is not None)
        }
        names = members.keys() - {_LINES} if is_whole else {PAYMENT} if _has_moved(body, present) else set()
        return _cleared(self.body_schema, written, {name: present.get(name) for name in present.keys() & names})

    @staticmethod
    def _kept(body: JsonObject, present: JsonObject) -> JsonObject:
        """Return what a record that lacks it keeps: all but the lines, which stay by themselves."""
        kept = {name: value for name, value in present.items() if name != _LINES}
        if _has_moved(body, present):
            kept.pop(PAYMENT, None)
        if kept.get("fields"):
            # Vic shows more of a field than it takes.
            named = (field for field in kept["fields"] if field.get("label") is not None)
            kept["fields"] = [{"label": field["label"], "value": field.get("value")} for field in named]
        return kept

    def _create(self, item: Item, body: JsonObject, *, is_new: bool) -> Outcome:
        """Write one that Vic does not have; `is_new` says whether we looked."""
        with documents.opened(item.extras, self.context.sources, live=self.context.client.is_live) as document:
            if document is None and is_new:
                raise Reject(
                    "document is missing: Vic.ai takes a new training invoice only with its document. Give a path or "
                    "URL, or the document itself in documentBase64.",
                    "document_missing",
                )
            # What an ERP has booked twice it has booked twice; a document that was scanned twice is one.
            finds = self.context.options.finds_duplicates and is_new and item.extras.get("ivesk_document_id")
            with self.context.training_duplicates.claim(item.key, body) if finds else nullcontext():
                self._put(item.key, body, document)
        self._remember(item)
        return Outcome("created")

    def _remember(self, item: Item) -> None:
        """Write down that a document is loaded here; a run that was killed may not have done so."""
        if not item.extras.get("ivesk_document_id") or self.context.options.dry_run:
            return
        if self.context.company_ledger.find(self.sent + item.key) is None:
            self.context.ledger.end(self.sent + item.key, "sent")

    def is_there(self, key: str) -> bool:
        """Return whether Vic has a training invoice."""
        return self._now(key) is not None

    def _put(self, key: str, body: JsonObject, document: Document | None) -> None:
        """Write. Done twice it has the same effect, so a call whose answer was lost is simply repeated."""

        def parts(document: Document) -> list[Part]:
            return [Part("invoiceData", _encode(body), media="application/json"), document.part("invoiceDocument")]

        def put() -> JsonObject:
            if document is None:
                return self.context.writer.send(self.operation, body, id=key)
            self.context.approval.form(body)
            return self.context.writer.upload(self.operation, lambda: parts(document), id=key)

        vendor = body.get("vendorExternalId")
        self.write_with_parents([("vendors", vendor)] if vendor else [], put)


def _has_moved(body: JsonObject, present: JsonObject) -> bool:
    """Return whether the invoice is another vendor's than Vic thinks."""
    theirs = present.get("vendorExternalId")
    return bool(theirs) and body.get("vendorExternalId", theirs) != theirs


def _cleared(schema: ObjectSchema, ours: JsonObject, theirs: JsonObject, *, is_part: bool = False) -> JsonObject:
    """Return `ours`, with null for what only Vic has: in parts as well, but not in lists."""
    whole = dict(ours)
    for name, old in theirs.items():
        member, new = schema.members.get(name), ours.get(name)
        if member is None or old in (None, "", {}) or (name in ours and type(new) is not dict):
            continue
        if name not in ours and member.nullable:
            whole[name] = None
        elif isinstance(member, ObjectSchema) and type(old) is dict:
            if part := _cleared(member, new or {}, old, is_part=True):
                whole[name] = part
        elif is_part and name in schema.required:
            # Such a text (the KID) knows no null.
            whole[name] = ""
    return whole
