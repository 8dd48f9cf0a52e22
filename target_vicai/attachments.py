"""Attachments: documents that Vic.ai makes invoices of, each sent once."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable

from ap_http import ending
from ap_http.errors import ApError, Reject
from ap_singer.loading import UNCHANGED, Outcome
from target_vicai import documents
from target_vicai.copy import Plain
from target_vicai.documents import Document
from target_vicai.loader import Item, Loader
from vicai import contract
from vicai.client import Forbidden, NotFound, Refused


class Attachments(Loader):
    """Attachments (Attachments), told apart by the SHA-256 of their bytes.

    Vic.ai can neither list them nor say whether it has one, so a ledger tells (`ledger_path`). One whose answer
    was lost may have arrived; it is not sent again before somebody has looked.
    """

    name, body_of = "attachments", "uploadAttachment"
    extras = documents.FIELDS

    def body_schema(self) -> contract.Schema:
        """Return a schema without fields: all that is sent is the document."""
        return {"type": "object", "properties": {}}

    def key(self, body: Plain, extras: Plain) -> str:  # noqa: ARG002
        """Return what names the document; its bytes are read later, and not by the main thread."""
        if not documents.is_given(extras):
            raise Reject("document is missing (a path or URL), and documentBase64 too.")
        return extras.get("documentName") or documents.show(extras.get("document") or "documentBase64")

    def lane(self, key: str, body: Plain, extras: Plain) -> Hashable:  # noqa: ARG002
        """Keep what is surely the same in order; the ledger sees to what turns out to be."""
        text = extras.get("document") or extras["documentBase64"]
        return self.name, hashlib.sha256(text.encode()).digest()

    def load(self, item: Item) -> Outcome:
        """Send an attachment that was not sent yet."""
        with documents.opened(item.extras) as document:
            assert document is not None  # noqa: S101 - `key` has looked
            sha256 = document.sha256()
            with self.vic.ledger.turn(sha256):
                return self._sent_once(document, sha256)

    def _sent_once(self, document: Document, sha256: str) -> Outcome:
        plans = self.vic.ways.dry_run
        known = self.vic.ledger.find(sha256) if plans else self.vic.ledger.begin(sha256, document.name)
        if known is not None:
            if known.state == "sent":
                return UNCHANGED
            raise self._may_have_arrived(sha256, document.name, known.at)
        if not plans:
            self._send(document, sha256)
        return Outcome("created")

    def _send(self, document: Document, sha256: str) -> None:
        in_doubt = False

        def look() -> Plain | None:
            # The door asks as soon as a call failed in a way that leaves open whether it was done.
            nonlocal in_doubt
            in_doubt = True
            raise self._may_have_arrived(sha256, document.name, "a moment ago")

        try:
            answer = self.vic.hands.upload(self.body_of, lambda: [document.part("file")], look=look)
        except (Forbidden, NotFound, Refused):
            self.vic.ledger.end(sha256, "refused")
            raise
        except ApError:
            # When the process is ending the door does not ask any more, so nothing is sure then.
            if not in_doubt and not ending.is_near():
                self.vic.ledger.end(sha256, "unsent")
            raise
        id_ = answer.get("id")
        self.vic.ledger.end(sha256, "sent", None if id_ is None else str(id_))

    def _may_have_arrived(self, sha256: str, name: str, at: str) -> Reject:
        return Reject(
            f"{name} may be at Vic.ai: it was sent ({at}), and the answer was lost. Vic.ai has no call that tells, so "
            f'look there. If it is there, write "sent" for "sending" into its last line in {self.vic.ledger.path} (key '
            f"{sha256}); if not, take that line out. Then load this record again."
        )
