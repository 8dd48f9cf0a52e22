"""Attachments: sent once, and asked after until Vic.ai says what has become of them (10.40.4, Attachments)."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Hashable
from datetime import datetime, timedelta, timezone

from ap_connectors.core.errors import ApError, Reject
from ap_connectors.core.raw_json import JsonObject
from ap_connectors.http.concurrency import ordered
from ap_connectors.singer.document_sources import show
from ap_connectors.singer.ledger import DeliveryUnknown, Entry, SendOnce
from ap_connectors.singer.sink import Outcome
from ap_connectors.vicai import contract
from target_vicai.documents import FIELDS, Document, is_given, opened
from target_vicai.item import Item
from target_vicai.sink import VicSink

log = logging.getLogger("target-vicai")

_ASK = "attachment status: "
"""Of lines in the ledger: what has become of the document of this SHA-256 is still to be asked."""
_PATIENCE = timedelta(days=7)
"""Vic reads a document within minutes; after so long a person has to look."""
_AT_ONCE = 8


class Attachments(VicSink):
    """Attachments (Attachments), told apart by the SHA-256 of their bytes.

    Vic.ai can neither list them nor say whether it has one, so a ledger tells (`ledger_path`). One whose answer
    was lost may have arrived; it is not sent again before somebody has looked. That Vic took one says nothing of what
    becomes of it: today's service is asked at the end of this run and of later ones, until it is done with it.
    """

    name, operation = "attachments", "uploadAttachment"
    extras = FIELDS

    def contract_schema(self) -> contract.Schema:
        """Return a schema without fields: all that is sent is the document."""
        return {"type": "object", "properties": {}}

    def key(self, body: JsonObject, extras: JsonObject) -> str:  # noqa: ARG002
        """Return what names the document; its bytes are read later, and not by the main thread."""
        if not is_given(extras):
            message = "document is missing: give a path or URL, or the document itself in documentBase64."
            raise Reject(message, "document_missing")
        return extras.get("documentName") or show(extras.get("document") or "documentBase64")

    def order_key(self, key: str, body: JsonObject, extras: JsonObject) -> Hashable:  # noqa: ARG002
        """Keep what is surely the same in order; the ledger sees to what turns out to be."""
        text = extras.get("document") or extras["documentBase64"]
        return self.name, hashlib.sha256(text.encode()).digest()

    def load(self, item: Item) -> Outcome:
        """Send an attachment that was not sent yet."""
        live, ledger = self.context.client.is_live, self.context.ledger
        with opened(item.extras, self.context.sources, live=live) as document:
            assert document is not None  # noqa: S101 - `key` has checked
            sha256 = document.sha256()
            once = SendOnce(self.context.company_ledger, "Vic.ai")
            if self.context.options.dry_run:
                return once.known(sha256, document.name) or Outcome("created")

            def before() -> None:
                # Written down first: after a kill the next run asks.
                if live:
                    ledger.begin(_ASK + sha256, document.name)

            return once.send(sha256, document.name, lambda doubt: self._send(document, doubt), before=before)

    def _send(self, document: Document, doubt: DeliveryUnknown) -> str | None:
        answer = self.context.writer.upload(self.operation, lambda: [document.part("file")], find_done=doubt.refuse)
        return None if (id_ := answer.get("id")) is None else str(id_)

    def after_loading(self) -> None:
        """Ask what has become of the attachments so far; tell, and ask again next time while Vic is not done."""
        if self.context.options.dry_run or not self.context.client.is_live:
            return
        open_ = sorted(key for key in self.context.ledger.unfinished() if key.startswith(_ASK))
        sent = {key: self.context.ledger.find(key.removeprefix(_ASK)) for key in open_}
        for key, entry in sent.items():
            if entry is None or (entry.state == "sent" and entry.id is None):
                self.context.ledger.end(key, "done")  # It was refused, or Vic gave it no id to ask by.
        asked = [(key, entry) for key, entry in sent.items() if entry is not None and entry.id is not None]
        try:
            for (key, entry), found in zip(asked, ordered(self._ask, asked, workers=_AT_ONCE), strict=True):
                if self._tell(entry, found):
                    self.context.ledger.end(key, "done")
        except ApError as error:
            self._warn(f"attachments: Vic.ai does not say what has become of them: {error} The next run asks again.")

    def _ask(self, sent: tuple[str, Entry]) -> JsonObject:
        return self.context.client.found("getAttachmentStatus", id=sent[1].id or "") or {"status": "unknown"}

    def _tell(self, sent: Entry, found: JsonObject) -> bool:
        """Tell what has become of an attachment; return whether that is final."""
        name, status = sent.name or "an attachment", str(found.get("status") or "unknown")
        invoices = [str(one) for one in found.get("invoice_ids") or ()]
        why = found.get("error_message") or found.get("error_code")
        self.told.append({"name": name, "id": sent.id, "status": status, "invoices": invoices, "error": why})
        if status == "processed":
            became = f"became invoice {', '.join(invoices)}" if invoices else "was read, and became no invoice"
            log.info("attachments: %s %s at Vic.ai.", name, became)
            return True
        if status in {"failed", "ignored"}:
            self._warn(
                f"attachments: {name} was sent, and Vic.ai {status} it ({why or 'it does not say why'}). Look at it in "
                f"Vic.ai (id {sent.id})."
            )
            return True
        if datetime.now(timezone.utc) - datetime.fromisoformat(sent.at.replace("Z", "+00:00")) > _PATIENCE:
            self._warn(
                f"attachments: {name} was sent on {sent.at}, and Vic.ai still calls it {status}. Look at it in Vic.ai "
                f"(id {sent.id}); it is not asked after any more."
            )
            return True
        return False
