"""Errors for the accountant: why a document did not arrive in the books. Each is reported once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ap_connectors.core.errors import Reject
from ap_connectors.core.raw_json import JsonObject
from ap_connectors.core.validate import id_text
from ap_connectors.singer.ledger import DeliveryUnknown
from ap_connectors.singer.sink import Outcome
from target_ivesk.sink import Item, IveskSink, fingerprint, named

_IDS = ("documentid", "companycode")
_NAMES = (*_IDS, "message")


class SyncErrors(IveskSink):
    """Synchronisation errors (Report synchronization errors), told apart by their three fields.

    A document that was exported again and is refused as before was not mended, so that is told once more.
    """

    name = "sync_errors"
    fields: ClassVar[Mapping[str, Any]] = {
        **{name: {"type": "string"} for name in _NAMES},
        "exportedat": {"type": ["string", "null"]},
    }
    # What tap-rejects adds for people.
    expected = frozenset({"at", "stream", "key"})

    def meant(self, body: JsonObject) -> JsonObject:
        """Return the record with its ids as they are meant: systems pad them to a width."""
        return {**body, **{name: id_text(body[name]) for name in _IDS if body.get(name)}}

    def check(self, body: Mapping[str, Any]) -> None:
        """Check that the three fields are there, and not empty."""
        missing = [name for name in _NAMES if not id_text(body.get(name) or "")]
        if missing:
            are = "is" if len(missing) == 1 else "are"
            raise Reject(f"{', '.join(missing)} {are} missing or empty.", "missing_field", fields=missing)

    def key(self, body: Mapping[str, Any]) -> str:
        """Return the document's id."""
        return str(body.get("documentid"))

    def key_hint(self, record: Mapping[str, Any]) -> str | None:
        """Return the document's id."""
        return id_text(named(record, "documentid") or "") or None

    def order_key(self, body: Mapping[str, Any]) -> bytes:
        """Keep what is said of one document in order."""
        return self.key(body).encode()

    def send(self, item: Item) -> Outcome:
        """Report an error that was not reported yet."""
        document_id, company_code, message = (item.body[name] for name in _NAMES)

        def report(doubt: DeliveryUnknown) -> None:
            self.account.client.report_error(document_id, company_code, message, find_done=doubt.refuse)

        key, what = fingerprint(self.name, document_id, company_code, message), f"The error of document {document_id}"
        if exported := item.body.get("exportedat"):
            # Earlier versions did not know the export.
            if (known := self.account.once.known(key, what)) is not None:
                return known
            key = fingerprint(self.name, document_id, company_code, message, exported)
        return self.account.once.send(key, what, report)
