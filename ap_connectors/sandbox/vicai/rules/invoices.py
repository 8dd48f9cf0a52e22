"""Invoices: create, document, process; then confirmed as posted, or rejected."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from ap_connectors.sandbox.vicai import crud
from ap_connectors.sandbox.vicai.answers import ENCODER, Refusal, json_answer
from ap_connectors.sandbox.vicai.asked import Asked, Handler
from ap_connectors.sandbox.vicai.checks import money
from ap_connectors.sandbox.vicai.collection import Entry
from ap_connectors.sandbox.vicai.documents import has_document
from ap_connectors.sandbox.vicai.resources import Record
from ap_connectors.sandbox.vicai.rules import invoice_lines, lookup
from ap_connectors.sandbox.vicai.store import File

_READY = {"READY_FOR_POST": "POSTED", "READY_FOR_TRANSFER": "TRANSFERRED"}
_NEW = "NOT_READY"
# Where an invoice shows what a body says in another way.
_ACCOUNT_METHODS = {"IBAN": "IBAN", "BBAN": "BBAN", "PLUSGIRO": "PLUSGIRO", "BANKGIRO": "BANKGIRO"}


def create(asked: Asked) -> Response:
    """Create an invoice that waits for its document."""
    body, store = asked.body, asked.store
    crud.not_taken(asked, body.get("externalId"), None)
    vendor = lookup.vendor(store, body["vendor"]) if body.get("vendor") else None
    given = body.get("lineItems") or []
    lines = invoice_lines.shown(
        given,
        [lookup.account(store, line.get("costAccount")) for line in given],
        [lookup.dimensions(store, line.get("dimensions")) for line in given],
    )
    record = {**_BLANK, **crud.readable("Invoice", {n: v for n, v in body.items() if n not in _SHOWN_OTHERWISE})}
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
        record["amountTax"], record["amountWithoutTax"] = str(tax), str(invoice_lines.EXACT.subtract(total, tax))
    if (payment := body.get("paymentInfo")) is not None:
        record["paymentInfo"] = _payment(payment)
    if (account := body.get("creditAccount")) is not None:
        given_ids = (("Internal", account.get("internalId")), ("External", account.get("externalId")))
        ids = {f"creditAccount{system}Id": id_ for system, id_ in given_ids if id_}
        record["invoiceInfo"] = {"kid": body.get("paymentRef", ""), **ids}
    entry = store.save("invoices", record)
    store.lines[entry.id] = lines
    return asked.done(entry.body, created=True)


def attach(asked: Asked) -> Response:
    """Attach the document: once, before processing, and to an invoice that the ERP has named."""
    entry, store = asked.entry(), asked.store
    if entry.external_id is None:
        raise Refusal(422, "The invoice needs an externalId before a document is attached.")
    if entry.fact != _NEW:
        raise Refusal(422, "The invoice has been processed; no document can be attached any more.")
    if has_document(store, "invoices", entry):
        raise Refusal(422, "The invoice has a document already; it can't be changed.")
    part = asked.parts["document"]
    saved = store.save("invoices", store.record(entry), over=entry)
    store.files["invoices", entry.id] = File(part.data, part.media, part.file_name or "")
    return asked.done(saved.body)


def process(asked: Asked) -> Response:
    """Start the processing, which is over at once."""
    entry = asked.entry()
    if entry.fact != _NEW:
        raise Refusal(422, "The invoice has been processed already.")
    if not has_document(asked.store, "invoices", entry):
        raise Refusal(422, "The invoice has no document to process.")
    return _changed(asked, entry, {"status": "READY_FOR_POST"})


def confirm(asked: Asked) -> Response:
    """Take note that the ERP has posted the invoice."""
    entry = _ready(asked)
    body = asked.body
    crud.not_taken(asked, body["externalId"], entry)
    error = {"postingError": body["postingError"]} if "postingError" in body else {}
    told = {name: body[name] for name in ("externalId", "externalUpdatedAt")}
    return _changed(asked, entry, {"status": _READY[entry.fact], **told, **error})


def reject(asked: Asked) -> Response:
    """Take note that the ERP can't post the invoice for what it is: somebody has to mend it first."""
    entry = _ready(asked)
    asked.store.rejections[entry.id] = asked.body
    return _changed(asked, entry, {"status": _NEW, "postingError": asked.body["reason"]})


def acknowledge(asked: Asked) -> Response:
    """Confirm or reject, whichever the body says."""
    return confirm(asked) if "externalId" in asked.body else reject(asked)


def line_items(asked: Asked) -> Response:
    """Answer the line items as they were before grouping."""
    return json_answer(ENCODER.encode(asked.store.line_items(asked.entry())))


def _ready(asked: Asked) -> Entry:
    entry = asked.entry()
    if entry.fact not in _READY:
        raise Refusal(422, f"The invoice is {entry.fact}; only one that is {' or '.join(_READY)} is waited for.")
    return entry


def _changed(asked: Asked, entry: Entry, changes: Record) -> Response:
    record = {**asked.store.record(entry), **changes}
    return asked.done(asked.store.save("invoices", record, over=entry).body, created=True)


def _payment(info: Record) -> Record:
    """InvoicePaymentInfo, as sent, in the form of PaymentInfo, as shown."""
    number, kind = info.get("accountNumber"), info["kind"]
    shown: dict[str, Any] = {"defaultMethod": _ACCOUNT_METHODS.get(kind, "BANKACCOUNT")}
    if kind == "IBAN":
        return {**shown, "internationalBankAccount": {"iban": number, "bic": info.get("bic")}}
    names = {"BBAN": "bban", "PLUSGIRO": "plusGiro", "BANKGIRO": "bankGiro"}
    return {**shown, names.get(kind, "bankAccountNum"): number, "bankCode": info.get("routingNumber")}


_SHOWN_OTHERWISE = frozenset({"lineItems", "vendor", "paymentInfo", "creditAccount"})
_BLANK: Record = {"refNumber": "", "poNumber": None, "description": None, "currency": "NOK", "language": None}

HANDLERS: dict[str, Handler] = {
    "createInvoice": create,
    "uploadDocumentInvoice": attach,
    "startProcessingInvoice": process,
    "confirmInvoice": confirm,
    "rejectInvoice": reject,
    "ackInvoice": acknowledge,
    "getInvoicelineItems": line_items,
}
