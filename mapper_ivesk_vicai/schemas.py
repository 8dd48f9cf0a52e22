"""What the records look like that leave: the fields of Vic's contract that are filled, and ours."""

from __future__ import annotations

from typing import Any

from ap_connectors.vicai import contract

KEYS = ["externalId"]

_TEXT = {"type": ["string", "null"]}
_OURS = {
    "ivesk_document_id": _TEXT | {"description": "Id of the ivesk document that the record stems from."},
    "ivesk_company_code": _TEXT | {"description": "Registration code of the buyer, as ivesk has it."},
}
_REFERENCE = {"vendorExternalId": _TEXT | {"description": "The vendor's id: code, VAT number or ivesk's id."}}
_DOCUMENT = {
    "document": _TEXT | {"description": "Path or link of the file."},
    "documentName": _TEXT | {"description": "What the file is called."},
}
_HEADER = [
    "externalId", "transactionType", "refNumber", "poNumber", "currency", "issueDate", "glDate", "dueDate",
    "totalAmount", "paymentInfo", "lineItems",
]  # fmt: skip


def vendors() -> dict[str, Any]:
    """Return the schema of vendors."""
    names = ["externalId", "externalUpdatedAt", "name", "addressStreet", "countryCode", "taxInfo", "defaultPaymentInfo"]
    return _schema("upsertVendor", names)


def training_invoices() -> dict[str, Any]:
    """Return the schema of training invoices."""
    return _schema("upsertTrainingInvoice", [*_HEADER, "externalUpdatedAt"], _REFERENCE | _DOCUMENT)


def invoices() -> dict[str, Any]:
    """Return the schema of invoices."""
    return _schema("createInvoice", [*_HEADER, "source", "paymentTerm"], _REFERENCE | _DOCUMENT)


ALL = {"vendors": vendors, "training_invoices": training_invoices, "invoices": invoices}


def _schema(operation: str, names: list[str], more: dict[str, Any] | None = None) -> dict[str, Any]:
    bodies = contract.operation(operation).body
    if (form := bodies.get("multipart/form-data")) is not None:
        body = contract.inlined(form)["properties"]["invoiceData"]
    else:
        body = contract.inlined(bodies["application/json"])
    return {
        "type": "object",
        "properties": {**{name: body["properties"][name] for name in names}, **(more or {}), **_OURS},
    }
