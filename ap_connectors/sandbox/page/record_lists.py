"""Documents of Įvesk and records of Vic.ai as lists for the page; those of Vic.ai with the last changed first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ap_connectors.sandbox import clock
from ap_connectors.sandbox.naming import PARAMETER
from ap_connectors.sandbox.page.listing import PAGE, Act, Cell, Listing, Row, amount, count, link, moment, part
from ap_connectors.sandbox.vicai import documents as files
from ap_connectors.sandbox.vicai.resources import Entry, Record
from ap_connectors.sandbox.vicai.store import Store
from ap_connectors.sandbox.webhooks.callbacks import CLICKABLE

if TYPE_CHECKING:
    from ap_connectors.sandbox.tenants import Tenant

_GOOD, _BAD = {"POSTED", "TRANSFERRED", "acknowledged", "CONFIRMED"}, {"voided", "rejected", "failed"}
VOIDABLE = ("approved", "acknowledged")


def documents(tenant: Tenant, page: int) -> list[Listing]:
    """List Įvesk's documents in the order in which they were digitized."""
    store = tenant.services.ivesk.store
    rows = []
    for place in part(len(store.digitized), page):
        number = store.digitized.numbers[place]
        document, exported = store.document(number), store.exported_at[number]
        id_ = store.id_of(number)
        pdf = link("/_control/ivesk/files", **{PARAMETER: tenant.id, "id": id_})
        name = _text(document, "docnum") or id_
        export = Act("Export", "/ivesk/export", {"ids": [id_]}, about=f"{name}, again" if exported else name)
        cells = (
            Cell(name, href=pdf),
            Cell(_text(document, "doctype")),
            Cell(_text(document, "sellername")),
            Cell(_text(document, "buyername")),
            amount(document.get("total")),
            Cell(_text(document, "currency")),
            moment(document.get("digitizedat")),
            moment(clock.iso(exported)) if exported else Cell("not yet", "dim"),
        )
        rows.append(Row(cells, (export,)))
    heads = ("document", "type", "seller", "buyer", "#total", "currency", "digitized", "exported")
    acts = (
        Act("Three new documents", "/ivesk/documents", {"count": 3, "export": False}),
        Act("Export three", "/ivesk/export", {"new": 3}),
    )
    return [Listing("documents", "Documents at Įvesk", heads, rows, len(store.digitized), page, acts=acts)]


def _text(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    return "" if value is None else str(value)


def invoices(tenant: Tenant, page: int) -> list[Listing]:
    """List Vic.ai's invoices by their last change."""
    store = tenant.services.vicai.store

    def row(entry: Entry, record: Record) -> Row:
        name = str(record.get("refNumber") or entry.id)
        query = {PARAMETER: tenant.id, "resource": "invoices", "id": entry.id}
        has_pdf = files.has_document(store, "invoices", entry)
        acts = [
            Act(label, "/vicai/click", {"kind": kind, "id": entry.id}, about=name)
            for label, kind in (("Post", "invoicePost"), ("Transfer", "invoiceTransfer"))
            if entry.filter_value in CLICKABLE
        ]
        cells = (
            Cell(name, href=link("/_control/vicai/documents", **query) if has_pdf else ""),
            Cell((record.get("vendor") or {}).get("name")),
            Cell(record.get("issueDate"), "when"),
            _status(record.get("status")),
            amount(record.get("totalAmount")),
            Cell(record.get("currency")),
            Cell(entry.external_id, "mono"),
            moment(record.get("internalUpdatedAt")),
        )
        return Row(cells, acts)

    heads = ("invoice", "vendor", "issued", "status", "#total", "currency", "at the ERP", "changed")
    acts = (
        Act("Post one", "/vicai/click", {"kind": "invoicePost"}),
        Act("Transfer one", "/vicai/click", {"kind": "invoiceTransfer"}),
    )
    return [_records(store, page, "invoices", row, title="Invoices at Vic.ai", heads=heads, acts=acts)]


def vendors(tenant: Tenant, page: int) -> list[Listing]:
    """List Vic.ai's vendors by their last change."""
    store = tenant.services.vicai.store

    def row(entry: Entry, record: Record) -> Row:
        info = record.get("defaultPaymentInfo") or {}
        account = (info.get("internationalBankAccount") or {}).get("iban") or info.get("bankAccountNum")
        cells = (
            Cell(record.get("name")),
            Cell((record.get("taxInfo") or {}).get("orgNumber"), "mono"),
            Cell(record.get("countryCode")),
            Cell(account, "mono"),
            _status(record.get("state")),
            Cell(entry.external_id, "mono"),
            moment(record.get("internalUpdatedAt")),
        )
        return Row(cells)

    heads = ("vendor", "registration no.", "country", "bank account", "state", "at the ERP", "changed")
    acts = (Act("A new vendor", "/vicai/click", {"kind": "vendorNew"}),)
    return [_records(store, page, "vendors", row, title="Vendors at Vic.ai", heads=heads, acts=acts)]


def orders(tenant: Tenant, page: int) -> list[Listing]:
    """List Vic.ai's purchase orders by their last change."""
    store = tenant.services.vicai.store

    def row(entry: Entry, record: Record) -> Row:
        open_ = record.get("status") == "open"
        change = {"status": "closed" if open_ else "open"}
        body = {"resource": "purchaseOrders", "ids": [entry.id], "changes": change}
        cells = (
            Cell(record.get("poNumber")),
            Cell((record.get("vendor") or {}).get("name")),
            Cell(record.get("issuedOn"), "when"),
            _status(record.get("status")),
            amount(record.get("amount")),
            Cell(record.get("currencyId")),
            count(len(record.get("lineItems") or ())),
            moment(record.get("internalUpdatedAt")),
        )
        return Row(
            cells, (Act("Close" if open_ else "Reopen", "/vicai/touch", body, about=str(record.get("poNumber"))),)
        )

    heads = ("order", "vendor", "issued", "status", "#amount", "currency", "#lines", "changed")
    return [_records(store, page, "purchaseOrders", row, title="Purchase orders at Vic.ai", heads=heads)]


def payments(tenant: Tenant, page: int) -> list[Listing]:
    """List the payments and credits of all batches, and the batches."""
    store = tenant.services.vicai.store
    names = {entry.id: store.record(entry).get("name") for entry in store["vendors"].by_id.values()}
    batches, found = [], []
    for entry in store["paymentBatches"].by_id.values():
        batch = store.record(entry)
        parts = [(kind, one) for kind in ("payments", "credits") for one in batch.get(kind) or ()]
        found += [(batch, kind, one) for kind, one in parts]
        events = [("Approve", "approve")] if batch.get("status") == "pending_approval" else []
        if batch.get("status") == "approved" and not batch.get("processedAt"):
            events = [("Process", "process")]
        cells = (
            Cell(batch.get("name")),
            _status(batch.get("status")),
            count(len(parts)),
            *(moment(batch.get(name)) for name in ("approvedAt", "processedAt", "completedAt", "voidedAt")),
        )
        acts = [
            Act(label, "/vicai/batch", {"id": entry.id, "event": event}, about=str(batch.get("name")))
            for label, event in events
        ]
        batches.append(Row(cells, acts))
    rows = [_payment(*found[place], names) for place in part(len(found), page)]
    heads = ("batch", "kind", "vendor", "invoice", "#amount", "currency", "status", "voided")
    some = batches[::-1][:PAGE]
    return [
        Listing("payments", "Payments and credits at Vic.ai", heads, rows, len(found), page),
        Listing(
            "batches", "Payment batches", _BATCH_HEADS, some, note=f"The latest {PAGE}." if len(batches) > PAGE else ""
        ),
    ]


_BATCH_HEADS = ("batch", "status", "#payments", "approved", "processed", "completed", "voided")


def _payment(batch: Record, kind: str, one: Record, names: Mapping[str, Any]) -> Row:
    vendor, invoice = ((one.get(name) or {}) for name in ("vendor", "invoice"))
    order, about = {"id": batch["id"], "payment_id": one["id"]}, str(invoice.get("externalId"))
    acts = [
        Act(label, "/vicai/batch", {**order, "event": event}, about=about)
        for label, event in (("Void", "void"), ("Fail", "fail"))
        if one.get("status") in VOIDABLE
    ]
    cells = (
        Cell(batch.get("name")),
        Cell(kind[:-1]),
        Cell(names.get(str(vendor.get("internalId")))),
        Cell(invoice.get("externalId") or invoice.get("internalId"), "mono"),
        amount(one.get("amount")),
        Cell(one.get("currencyId")),
        _status(one.get("status")),
        moment(one.get("voidedAt")),
    )
    return Row(cells, acts)


def voidable(store: Store) -> Act | None:
    """Return what voids a payment, the latest that can be."""
    for entry in reversed(store["paymentBatches"].by_id.values()):
        for one in store.record(entry).get("payments") or ():
            if one.get("status") in VOIDABLE:
                return Act("Void a payment", "/vicai/batch", {"id": entry.id, "event": "void", "payment_id": one["id"]})
    return None


def closable(store: Store) -> Act | None:
    """Return what closes an order, the latest that is open."""
    for entry in reversed(store["purchaseOrders"].sorted("internal")):
        if entry.filter_value == "open":
            body = {"resource": "purchaseOrders", "ids": [entry.id], "changes": {"status": "closed"}}
            return Act("Close an order", "/vicai/touch", body)
    return None


def _records(store: Store, page: int, resource: str, row: Callable[[Entry, Record], Row], **listing: Any) -> Listing:
    """Return a page of a resource's records; `listing` is what else the list has."""
    entries = store[resource].sorted("internal")
    rows = [row(entries[place], store.record(entries[place])) for place in part(len(entries), page)]
    return Listing(resource, rows=rows, total=len(entries), page=page, **listing)


def _status(value: Any) -> Cell:
    return Cell(value, "good" if value in _GOOD else "bad" if value in _BAD else "")
