"""Training invoices: known by the ERP's id only, and with their document from the first time on."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from ap_connectors.sandbox.vicai import crud
from ap_connectors.sandbox.vicai.answers import Refusal
from ap_connectors.sandbox.vicai.asked import Asked, Handler
from ap_connectors.sandbox.vicai.resources import Record
from ap_connectors.sandbox.vicai.rules import invoice_lines
from ap_connectors.sandbox.vicai.store import File, Store

_BLANK: Record = {"poNumber": None, "description": None, "currency": "NOK", "language": None, "lineItems": []}


def write(asked: Asked) -> Response:
    """Write a training invoice; lines that are left out stay, an empty list deletes all."""
    store, body = asked.store, asked.body
    found = store.find("trainingInvoices", "external", asked.id)
    status = crud.refused_by(asked.operation)
    document = asked.parts.get("invoiceDocument")
    if found is None and (document is None or not document.data):
        raise Refusal(status, "A new training invoice needs its invoiceDocument, in a multipart body.")
    if store.find("vendors", "external", body["vendorExternalId"] or "") is None:
        raise Refusal(status, f"vendorExternalId {body['vendorExternalId']} is unknown.")
    given = {**body, "refNumber": body["refNumber"] or ""}
    before = _BLANK if found is None else store.record(found)
    record = crud.merged("TrainingInvoice", before, {n: v for n, v in given.items() if n != "lineItems"})
    if "lineItems" in body:
        lines = body["lineItems"]
        nobody: list[Record | None] = [None] * len(lines)
        dimensions = [[_dimension(store, one) for one in line.get("dimensions") or ()] for line in lines]
        record["lineItems"] = invoice_lines.shown(lines, nobody, dimensions)
    if store.options.extra_fields:
        record["externalId"] = asked.id
    entry = store.save("trainingInvoices", record, over=found, external_id=asked.id)
    if document is not None:
        store.files["trainingInvoices", entry.id] = File(document.data, document.media, document.file_name or "")
    return asked.done(entry.body, created=True)


def _dimension(store: Store, reference: Record) -> Record:
    """Show a dimension as Vic knows it, or else as it was named: history may speak of what is gone."""
    for system, name in (("internal", "internalId"), ("external", "externalId")):
        entry = store.find("dimensions", system, reference.get(name) or "")
        if entry is not None:
            return store.record(entry)
    named: dict[str, Any] = crud.readable("Dimension", reference)
    return named


HANDLERS: dict[str, Handler] = {"upsertTrainingInvoice": write}
