"""Invoices, from creation to posting; training invoices, known by the ERP's id only; attachments."""

from __future__ import annotations

import hashlib
from typing import Any

from starlette.responses import Response

from ap_connectors.core.exact import EXACT
from ap_connectors.sandbox.vicai import crud
from ap_connectors.sandbox.vicai.call import Call, Handler, Refusal, json_answer, value_answer
from ap_connectors.sandbox.vicai.documents import has_document
from ap_connectors.sandbox.vicai.parsing import money
from ap_connectors.sandbox.vicai.resources import ENCODER, Entry, Record
from ap_connectors.sandbox.vicai.rules import invoice_lines, lookup
from ap_connectors.sandbox.vicai.store import File, Store

_READY = {"READY_FOR_POST": "POSTED", "READY_FOR_TRANSFER": "TRANSFERRED"}
_NEW = "NOT_READY"
_KEPT = {"IN_APPROVALS", "APPROVED", "POSTED", "TRANSFERRED"}
# Where an invoice shows what a body says in another way.
_ACCOUNT_METHODS = {"IBAN": "IBAN", "BBAN": "BBAN", "PLUSGIRO": "PLUSGIRO", "BANKGIRO": "BANKGIRO"}


def create(call: Call) -> Response:
    """Create an invoice that waits for its document."""
    body, store = call.body, call.store
    crud.ensure_unique(call, body.get("externalId"), None)
    vendor = lookup.vendor(store, body["vendor"]) if body.get("vendor") else None
    given = body.get("lineItems") or []
    lines = invoice_lines.shown(
        call.age,
        given,
        [lookup.account(store, line.get("costAccount")) for line in given],
        [lookup.dimensions(store, line.get("dimensions")) for line in given],
    )
    record = {
        **_BLANK_INVOICE,
        **crud.readable("Invoice", {n: v for n, v in body.items() if n not in _SHOWN_OTHERWISE}, call.age),
    }
    record |= {"status": _NEW, "lineItems": invoice_lines.grouped(lines)}
    if vendor is not None:
        record["vendorInternalId"], record["vendorExternalId"] = vendor["internalId"], vendor.get("externalId")
        record["vendor"] = {
            "internalId": vendor["internalId"],
            "externalId": vendor.get("externalId"),
            "orgNumber": (vendor.get("taxInfo") or {}).get("orgNumber"),
            "countryCode": vendor.get("countryCode"),
            "name": vendor.get("name"),
        }
    if body.get("totalAmount") is not None:
        total, tax = money(body["totalAmount"]), invoice_lines.tax(lines)
        record["amountTax"], record["amountWithoutTax"] = str(tax), str(EXACT.subtract(total, tax))
    if (payment := body.get("paymentInfo")) is not None:
        record["paymentInfo"] = _payment(payment)
    if (account := body.get("creditAccount")) is not None:
        given_ids = (("Internal", account.get("internalId")), ("External", account.get("externalId")))
        ids = {f"creditAccount{system}Id": id_ for system, id_ in given_ids if id_}
        record["invoiceInfo"] = {"kid": body.get("paymentRef", ""), **ids}
    entry = store.save("invoices", record)
    store.lines[entry.id] = lines
    return call.done(entry.body, created=True)


def attach(call: Call) -> Response:
    """Attach the document: once, before processing, and to an invoice that the ERP has named."""
    entry, store = call.entry(), call.store
    if entry.external_id is None:
        raise Refusal(422, "The invoice needs an externalId before a document is attached.")
    if entry.filter_value != _NEW:
        raise Refusal(422, "The invoice has been processed; no document can be attached any more.")
    if has_document(store, "invoices", entry):
        raise Refusal(422, "The invoice has a document already; it can't be changed.")
    part = call.parts["document"]
    saved = store.save("invoices", store.record(entry), over=entry)
    store.files["invoices", entry.id] = File(part.data, part.media, part.file_name or "")
    return call.done(saved.body)


def process(call: Call) -> Response:
    """Start the processing, which is over at once."""
    entry = call.entry()
    if entry.filter_value != _NEW:
        raise Refusal(422, "The invoice has been processed already.")
    if not has_document(call.store, "invoices", entry):
        raise Refusal(422, "The invoice has no document to process.")
    return _changed(call, entry, {"status": "READY_FOR_POST"}, "invoice_submitted")


def confirm(call: Call) -> Response:
    """Record that the ERP has posted the invoice."""
    entry = _ready(call)
    body = call.body
    crud.ensure_unique(call, body["externalId"], entry)
    error = {"postingError": body["postingError"]} if "postingError" in body else {}
    told = {name: body[name] for name in ("externalId", "externalUpdatedAt")}
    return _changed(call, entry, {"status": _READY[entry.filter_value], **told, **error}, "invoice_posted")


def reject(call: Call) -> Response:
    """Record that the ERP can't post the invoice: it has to be corrected first."""
    entry = _ready(call)
    call.store.rejections[entry.id] = call.body
    return _changed(call, entry, {"status": _NEW, "postingError": call.body["reason"]}, "invoice_rejected")


def acknowledge(call: Call) -> Response:
    """Confirm or reject, whichever the body says."""
    return confirm(call) if "externalId" in call.body else reject(call)


def line_items(call: Call) -> Response:
    """Answer the line items as they were before grouping."""
    return json_answer(ENCODER.encode(call.store.line_items(call.entry())))


def _ready(call: Call) -> Entry:
    entry = call.entry()
    if entry.filter_value not in _READY:
        raise Refusal(422, f"The invoice is {entry.filter_value}; it must be {' or '.join(_READY)}.")
    return entry


def _changed(call: Call, entry: Entry, changes: Record, event: str) -> Response:
    record = {**call.store.record(entry), **changes}
    call.store.events.happened(event, record)
    return call.done(call.store.save("invoices", record, over=entry).body, created=True)


def _payment(info: Record) -> Record:
    """Return an InvoicePaymentInfo, as sent, in the form of PaymentInfo, as shown."""
    number, kind = info.get("accountNumber"), info["kind"]
    shown: dict[str, Any] = {"defaultMethod": _ACCOUNT_METHODS.get(kind, "BANKACCOUNT")}
    if kind == "IBAN":
        return {**shown, "internationalBankAccount": {"iban": number, "bic": info.get("bic")}}
    names = {"BBAN": "bban", "PLUSGIRO": "plusGiro", "BANKGIRO": "bankGiro"}
    return {**shown, names.get(kind, "bankAccountNum"): number, "bankCode": info.get("routingNumber")}


_SHOWN_OTHERWISE = frozenset({"lineItems", "vendor", "paymentInfo", "creditAccount"})
_BLANK_INVOICE: Record = {"refNumber": "", "poNumber": None, "description": None, "currency": "NOK", "language": None}


_BLANK_TRAINING_INVOICE: Record = {
    "poNumber": None,
    "description": None,
    "currency": "NOK",
    "language": None,
    "lineItems": [],
}


def write_training_invoice(call: Call) -> Response:
    """Write a training invoice; lines that are left out stay, an empty list deletes all."""
    store, body = call.store, call.body
    found = store.find("trainingInvoices", "external", call.id)
    status = crud.refused_by(call.operation)
    document = call.parts.get("invoiceDocument")
    if found is None and (document is None or not document.data):
        raise Refusal(status, "A new training invoice needs its invoiceDocument, in a multipart body.")
    if store.find("vendors", "external", body["vendorExternalId"] or "") is None:
        raise Refusal(status, f"vendorExternalId {body['vendorExternalId']} is unknown.")
    given = {**body, "refNumber": body["refNumber"] or ""}
    before = _BLANK_TRAINING_INVOICE if found is None else store.record(found)
    record = crud.merged("TrainingInvoice", before, {n: v for n, v in given.items() if n != "lineItems"}, call.age)
    if "lineItems" in body:
        lines = body["lineItems"]
        accounts: list[Record | None] = [None] * len(lines)
        dimensions = [[_dimension(store, one) for one in line.get("dimensions") or ()] for line in lines]
        record["lineItems"] = invoice_lines.shown(call.age, lines, accounts, dimensions)
    if store.options.extra_fields:
        record["externalId"] = call.id
    entry = store.save("trainingInvoices", record, over=found, external_id=call.id)
    if document is not None:
        store.files["trainingInvoices", entry.id] = File(document.data, document.media, document.file_name or "")
    return call.done(entry.body, created=True)


def _dimension(store: Store, reference: Record) -> Record:
    """Show a dimension as Vic knows it, or else as it was named: history may name what is gone."""
    for system, name in (("internal", "internalId"), ("external", "externalId")):
        entry = store.find("dimensions", system, reference.get(name) or "")
        if entry is not None:
            return store.record(entry)
    named: dict[str, Any] = crud.readable("Dimension", reference, store.age)
    return named


_OFFICE = "application/vnd.openxmlformats-officedocument"
_EXCEL = "application/vnd.ms-excel"
MEDIA = frozenset(
    {
        "application/msword",
        "application/pdf",
        "application/vnd.ms-word.document.macroenabled.12",
        "application/vnd.ms-word.template.macroenabled.12",
        f"{_OFFICE}.wordprocessingml.document",
        f"{_OFFICE}.wordprocessingml.template",
        f"{_OFFICE}.spreadsheetml.sheet",
        f"{_OFFICE}.spreadsheetml.template",
        _EXCEL,
        *(f"{_EXCEL}.{kind}.macroenabled.12" for kind in ("addin", "sheet.binary", "sheet", "template")),
        "image/tiff",
        "image/jpg",
        "image/jpeg",
        "image/png",
        "image/gif",
        "text/xml",
    }
)


def upload_attachment(call: Call) -> Response:
    """Keep a file of a supported type; its id is the answer."""
    part, store = call.parts["file"], call.store
    if part.media not in MEDIA:
        raise Refusal(422, f"Files of type {part.media[:100]} are not supported.")
    if not part.data:
        raise Refusal(422, "The file is empty.")
    facts = {
        "fileName": part.file_name,
        "contentType": part.media,
        "bytes": len(part.data),
        "sha256": hashlib.sha256(part.data).hexdigest(),
    }
    entry = store.save("attachments", facts)
    store.files["attachments", entry.id] = File(part.data, part.media, part.file_name or "")
    return value_answer({"id": entry.id}, 201)


def tell_payment(call: Call) -> Response:
    """Keep how the ERP has paid an invoice; what is left out stays."""
    entry, body = call.entry(), call.body or {}
    record = {**call.store.record(entry), **crud.readable("Invoice", body, call.age)}
    saved = call.store.save("invoices", record, over=entry)
    call.store.events.happened("invoice_updated", record)
    return json_answer(saved.body, 202)


def delete(call: Call) -> Response:
    """Delete an invoice; in the live age not one that waits for approval, or that the ERP has."""
    entry = call.entry()
    if call.age == "live" and entry.filter_value in _KEPT:
        raise Refusal(422, f"The invoice is {entry.filter_value}; it can't be deleted.")
    gone = {"internalId": entry.id, "externalId": entry.external_id}
    answer = crud.delete(call)
    call.store.events.happened("invoice_deleted", gone)
    return answer


HANDLERS: dict[str, Handler] = {
    "createInvoice": create,
    "uploadDocumentInvoice": attach,
    "startProcessingInvoice": process,
    "confirmInvoice": confirm,
    "rejectInvoice": reject,
    "ackInvoice": acknowledge,
    "deleteInvoice": delete,
    "updateInvoiceExternal": tell_payment,
    "getInvoicelineItems": line_items,
    "upsertTrainingInvoice": write_training_invoice,
    "uploadAttachment": upload_attachment,
}
