"""Training invoices: what the ERP booked in the past, for Vic.ai to learn from."""

from __future__ import annotations

import msgspec

from ap_connectors.core.errors import Reject
from ap_connectors.singer.diff import diff, merge_missing
from ap_connectors.singer.sink import UNCHANGED, Outcome
from ap_connectors.vicai import contract
from ap_connectors.vicai.client import Part
from target_vicai import documents
from target_vicai.copy import Plain
from target_vicai.documents import Document
from target_vicai.loader import OLDER, Item, Loader, external_id

_encode = msgspec.json.Encoder(decimal_format="number").encode

_LINES = "lineItems"


class TrainingInvoices(Loader):
    """Invoices for training (Invoices for training), written under the ERP's own id.

    The document goes with the first load of an invoice, and not again: Vic.ai does not say which document it has. Lines
    that a record does not speak of stay at Vic.ai, whatever `update_mode` is; an empty list deletes all of them.
    """

    name, body_of, component = "training_invoices", "upsertTrainingInvoice", "TrainingInvoice"
    extras = documents.FIELDS

    def body_schema(self) -> contract.Schema:
        """Return the contract's schema of the part that holds the data."""
        form = contract.inlined(contract.operation(self.body_of).body["multipart/form-data"])
        data: contract.Schema = form["properties"]["invoiceData"]
        return data

    def key(self, body: Plain, extras: Plain) -> str:  # noqa: ARG002
        """Return the ERP's id."""
        return external_id(body)

    def load(self, item: Item) -> Outcome:
        """Write a training invoice if it differs from what Vic has; the first time with its document."""
        ways = self.vic.ways
        compares = ways.compare or item.replayed is not None
        looks = compares or ways.merge
        present = self._present(item.key) if looks else None
        body = self._meant(item.body, present or {})
        if present is None:
            return self._made(item, self.complete(body), sure=looks)
        differences = tuple(diff(self.body_shape, body, present, readable=self.readable))
        if compares and self.is_older(body, present):
            return OLDER
        if compares and not differences:
            return UNCHANGED
        whole = merge_missing(self.body_shape, body, self._kept(present)) if ways.merge else body
        self._put(item.key, self.complete(whole), None)
        return Outcome("updated", differences)

    def delete(self, item: Item) -> Outcome:
        """Delete a training invoice by the ERP's id."""
        present = self._present(item.key)
        if present is None:
            return UNCHANGED
        if self.is_older(item.body, present):
            return OLDER
        return self.dropped("deleteTrainingInvoice", lambda: self._gone(item.key), id=item.key)

    def _present(self, key: str) -> Plain | None:
        return self.vic.client.found("getTrainingInvoice", id=key)

    def _gone(self, key: str) -> Plain | None:
        return {} if self._present(key) is None else None

    def _meant(self, body: Plain, present: Plain) -> Plain:
        """Return what a record means to write, in place of what Vic has.

        Vic takes null only for some fields; for the others it is worth a try where there is something to clear.
        """
        members = self.body_shape.members
        meant = {
            name: value
            for name, value in body.items()
            if value is not None or members[name].nullable or (name != _LINES and present.get(name) is not None)
        }
        if not self.vic.ways.merge:
            # PUT leaves alone what it does not speak of, so what is to go must be named.
            cleared = (name for name in present if name in members and members[name].nullable and name not in meant)
            meant |= dict.fromkeys(cleared)
        return meant

    @staticmethod
    def _kept(present: Plain) -> Plain:
        """Return what a record that lacks it keeps: all but the lines, which stay by themselves."""
        kept = {name: value for name, value in present.items() if name != _LINES}
        if kept.get("fields"):
            # Vic shows more of a field than it takes.
            named = (field for field in kept["fields"] if field.get("label") is not None)
            kept["fields"] = [{"label": field["label"], "value": field.get("value")} for field in named]
        return kept

    def _made(self, item: Item, body: Plain, *, sure: bool) -> Outcome:
        """Write one that is new, for `sure` or as far as we know."""
        with documents.opened(item.extras) as document:
            if document is None and sure:
                raise Reject(
                    "document is missing (a path or URL; or documentBase64): Vic.ai takes a new training invoice only "
                    "with its document."
                )
            self._put(item.key, body, document)
        return Outcome("created")

    def _put(self, key: str, body: Plain, document: Document | None) -> None:
        """Write once or several times with the same effect, so nobody needs to look whether a lost call was done."""

        def parts(document: Document) -> list[Part]:
            return [Part("invoiceData", _encode(body), media="application/json"), document.part("invoiceDocument")]

        def put() -> Plain:
            if document is None:
                return self.vic.hands.send(self.body_of, body, id=key)
            return self.vic.hands.upload(self.body_of, lambda: parts(document), id=key)

        vendor = body.get("vendorExternalId")
        self.with_parents([("vendors", vendor)] if vendor else [], put)
