"""Attachments: documents that Vic.ai makes invoices of, each sent once."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable

from ap_connectors.core.errors import Reject
from ap_connectors.core.raw_json import JsonObject
from ap_connectors.singer.ledger import DeliveryUnknown, SendOnce
from ap_connectors.singer.sink import Outcome
from ap_connectors.vicai import contract
from target_vicai import documents
from target_vicai.documents import Document
from target_vicai.sink import Item, VicSink


class Attachments(VicSink):
    """Attachments (Attachments), told apart by the SHA-256 of their bytes.

    Vic.ai can neither list them nor say whether it has one, so a ledger tells (`ledger_path`). One whose answer
    was lost may have arrived; it is not sent again before somebody has looked.
    """

    name, operation = "attachments", "uploadAttachment"
    extras = documents.FIELDS

    def contract_schema(self) -> contract.Schema:
        """Return a schema without fields: all that is sent is the document."""
        return {"type": "object", "properties": {}}

    def key(self, body: JsonObject, extras: JsonObject) -> str:  # noqa: ARG002
        """Return what names the document; its bytes are read later, and not by the main thread."""
        if not documents.is_given(extras):
            message = "document is missing: give a path or URL, or the document itself in documentBase64."
            raise Reject(message, "document_missing")
        return extras.get("documentName") or documents.show(extras.get("document") or "documentBase64")

    def order_key(self, key: str, body: JsonObject, extras: JsonObject) -> Hashable:  # noqa: ARG002
        """Keep what is surely the same in order; the ledger sees to what turns out to be."""
        text = extras.get("document") or extras["documentBase64"]
        return self.name, hashlib.sha256(text.encode()).digest()

    def load(self, item: Item) -> Outcome:
        """Send an attachment that was not sent yet."""
        with documents.opened(item.extras) as document:
            assert document is not None  # noqa: S101 - `key` has checked
            sha256 = document.sha256()
            once = SendOnce(self.context.ledger, "Vic.ai")
            if self.context.options.dry_run:
                return once.known(sha256, document.name) or Outcome("created")
            return once.send(sha256, document.name, lambda doubt: self._send(document, doubt))

    def _send(self, document: Document, doubt: DeliveryUnknown) -> str | None:
        answer = self.context.writer.upload(self.operation, lambda: [document.part("file")], find_done=doubt.refuse)
        id_ = answer.get("id")
        return None if id_ is None else str(id_)
