"""What the ERP adds to invoices that Vic has: how they were paid, and files that support them (Vic.ai API 10.40.4)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Sequence
from typing import Any, ClassVar

import msgspec
import requests

from ap_connectors.core.errors import Reject, Retry
from ap_connectors.core.raw_json import JsonObject, text
from ap_connectors.http.bodies import file_pieces
from ap_connectors.singer.sink import UNCHANGED, Outcome
from ap_connectors.vicai import contract
from target_vicai.documents import FIELDS, Document, is_given, opened
from target_vicai.item import Item, check_not_newer, missing_key
from target_vicai.sink import TEXT, VicSink

_IDS: dict[str, Any] = {"internalId": TEXT, "externalId": TEXT}


class _OfInvoice(VicSink):
    """Says something of an invoice that Vic has, known by either id."""

    key_field = "internalId"

    @property
    def list_keys(self) -> Sequence[str]:
        """Fields that tell the rows of a list apart."""
        return ("internalId", "externalId")

    def key(self, body: JsonObject, extras: JsonObject) -> str:  # noqa: ARG002
        """Return the invoice's id: Vic's, or else the ERP's."""
        key = extras.get("internalId") or extras.get("externalId")
        if not key:
            raise missing_key("internalId", "externalId")
        return str(key)

    def order_key(self, key: str, body: JsonObject, extras: JsonObject) -> Hashable:  # noqa: ARG002
        """Keep what is said of one invoice in order."""
        return "invoice", extras.get("internalId") or f"external {key}"

    def address(self, item: Item) -> dict[str, str]:
        """Return the arguments of calls that name the invoice.

        Raises:
            Reject: the service is too old for this.
        """
        if not self.context.client.is_live:
            raise self.not_offered()
        return {"id": item.key, "useSystem": "INTERNAL" if item.extras.get("internalId") else "EXTERNAL"}

    def present(self, item: Item) -> JsonObject:
        """Return the invoice as Vic shows it.

        Raises:
            Reject: Vic does not have it, or the service is too old for this.
        """
        found = self.context.client.found("getInvoice", **self.address(item))
        if found is None:
            whose = "internalId" if item.extras.get("internalId") else "externalId"
            raise Reject(
                f"Vic.ai has no invoice with the {whose} {item.key}. Correct it, or leave the record out.",
                "unknown_reference",
                references=[{"kind": "invoice", "key": item.key}],
            )
        return found


class InvoicePayments(_OfInvoice):
    """How the ERP has paid an invoice (Invoices, external)."""

    name, operation, component = "invoice_payments", "updateInvoiceExternal", "Invoice"
    extras = _IDS

    def load(self, item: Item) -> Outcome:
        """Write what differs, with all that Vic knows of the payment beside: it may clear what is left out."""
        if not item.body:
            names = list(self.body_schema.members)
            raise Reject(
                f"Nothing is said of the payment: give one of {', '.join(names)}.", "missing_field", fields=names
            )
        address, present = self.address(item), self.present(item)
        body = self.whole(item.body, present)
        changes = self.changes(body, present)
        if not changes and self.writes_only_changes(item):
            return UNCHANGED
        if any(one.old is not None for one in changes):
            # An earlier part of a payment, say, that was set aside: by now the ERP may have told of the rest.
            check_not_newer(item, present, "How the ERP paid the invoice")

        def find_done() -> JsonObject | None:
            now = self.context.client.found("getInvoice", **address)
            return now if now is not None and not self.changes(body, now) else None

        self.context.writer.send(self.operation, body, find_done=find_done, **address)
        return Outcome("updated", changes)


class SupportingAttachments(_OfInvoice):
    """Files that support an invoice, told apart by the SHA-256 of their bytes (Supporting attachments)."""

    name, operation = "supporting_attachments", "uploadInvoiceSupportingAttachment"
    extras: ClassVar = {**_IDS, **FIELDS}

    def contract_schema(self) -> contract.Schema:
        """Return a schema without fields: all that is sent is the file."""
        return {"type": "object", "properties": {}}

    @property
    def list_keys(self) -> Sequence[str]:
        """No field tells rows apart: an invoice may have several files."""
        return ()

    def key(self, body: JsonObject, extras: JsonObject) -> str:
        """Return the invoice's id; a file is there, too."""
        key = super().key(body, extras)
        if not is_given(extras):
            message = "document is missing: give a path or URL, or the document itself in documentBase64."
            raise Reject(message, "document_missing")
        return key

    def load(self, item: Item) -> Outcome:
        """Send a file that the invoice does not have yet."""
        address = self.address(item)
        with opened(item.extras, self.context.sources, live=True) as document:
            assert document is not None  # noqa: S101 - `key` has checked
            self.present(item)
            find_done = self._finder(address, document)
            if find_done() is not None:
                return UNCHANGED
            if not self.context.options.dry_run:
                self.context.writer.upload(
                    self.operation, lambda: [document.part("file")], find_done=find_done, **address
                )
        return Outcome("created")

    def _finder(self, address: dict[str, str], document: Document) -> Callable[[], JsonObject | None]:
        """Return what looks whether the invoice has a file of these bytes: the service changes names."""
        client, sha256 = self.context.client, document.sha256()

        def hashed(response: requests.Response) -> str:
            digest, size = hashlib.sha256(), 0
            for piece in file_pieces(response, document.name):
                digest.update(piece)
                size += len(piece)
            if size != document.size:
                # A page of what is in between, with status 200: taken for another file it would be sent once more.
                raise Retry(f"{size} bytes came for an attachment of {document.size}")
            return digest.hexdigest()

        def find() -> JsonObject | None:
            for one in client.whole_list("listInvoiceSupportingAttachments", **address):
                if text(one, "filesize") != str(document.size):
                    continue
                link = text(one, "downloadUrl") or ""
                if client.linked(link, hashed, f"attachment {text(one, 'id')}") == sha256:
                    return msgspec.json.decode(msgspec.json.encode(one), type=JsonObject)
            return None

        return find
