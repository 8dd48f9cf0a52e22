"""What the records of the live service show beside those of 0.20.0."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ap_connectors.sandbox.fake_data import uuid_like
from ap_connectors.sandbox.options import VicaiOptions
from ap_connectors.sandbox.vicai.resources import Record

COMPANY_ID = "1"
_FROM_LINE = {"amountNet": "lineItemTotal", "amountSum": "lineItemTotal"}


def complete(resource: str, record: Record, seed: int, changed: str, options: VicaiOptions) -> None:
    """Give a record of the live age what it lacks; `changed` is its internalUpdatedAt."""
    if resource in _BY_RESOURCE:
        _BY_RESOURCE[resource](record, seed, changed, options)


def approve(record: Record, number: int) -> None:
    """Make every second seeded invoice that is in approval an approved one: 0.20.0 has no such status."""
    if record["status"] == "IN_APPROVALS" and number % 2:
        record["status"] = "APPROVED"


def _invoice(record: Record, seed: int, changed: str, options: VicaiOptions) -> None:
    number = record.get("poNumber")
    for name, value in (
        ("id", uuid_like(seed, "invoice", record.get("internalId"))),
        ("companyId", COMPANY_ID),
        ("companyExternalId", "C1"),
        ("insertedAt", changed),
        ("automatedAt", None),
        ("uiStatus", None),
        ("billStatus", "UNPAID"),
        ("markedAs", None),
        ("purchaseOrderNumbers", [number] if number else []),
        ("matchedPurchaseOrders", []),
        ("amountNet", record.get("amountWithoutTax")),
        ("amountSum", record.get("totalAmount")),
    ):
        if value is not None or name in _MAY_BE_NULL:
            record.setdefault(name, value)
    if record.get("lineItems"):
        record["lineItems"] = lines(record["lineItems"], seed, record.get("internalId"), options)


_MAY_BE_NULL = {"automatedAt", "uiStatus", "markedAs"}


def lines(old: list[Record], seed: int, invoice: Any, options: VicaiOptions) -> list[Record]:
    """Return the lines of an invoice with what those of the live age show."""
    made = []
    for line in old:
        new = {"internalId": uuid_like(seed, "line", invoice, line.get("index")), **line}
        for name, source in _FROM_LINE.items():
            if line.get(source) is not None:
                new.setdefault(name, line[source])
        if not options.line_amounts:
            new.pop("amount", None)
        made.append(new)
    return made


def _training_invoice(record: Record, _seed: int, _changed: str, options: VicaiOptions) -> None:
    record.setdefault("companyId", COMPANY_ID)
    if not options.line_amounts:
        record["lineItems"] = [
            {name: value for name, value in line.items() if name != "amount"} for line in record.get("lineItems") or ()
        ]


def _order(record: Record, _seed: int, _changed: str, _options: VicaiOptions) -> None:
    record.setdefault("matchingType", "line")
    record.setdefault("type", "normal")
    lines = []
    for line in record.get("lineItems") or ():
        new: dict[str, Any] = {"status": "open", "externalId": None, "receiptLines": [], "scheduleLines": [], **line}
        if isinstance(new.get("matchingType"), str) and new["matchingType"].isupper():
            new["matchingType"] = new["matchingType"].lower()
        lines.append(new)
    record["lineItems"] = lines


def _vendor(record: Record, _seed: int, _changed: str, _options: VicaiOptions) -> None:
    record.setdefault("companyId", COMPANY_ID)
    record.setdefault("poMatchingDocumentLevel", False)


_PAID = (
    "confirmedAt",
    "acceptedAt",
    "failedAt",
    "failedReason",
    "remoteId",
    "remoteError",
    "remoteErroredAt",
    "paymentMethod",
    "referenceId",
)


def _batch(record: Record, _seed: int, _changed: str, _options: VicaiOptions) -> None:
    for name in ("payments", "credits"):
        for one in record.get(name) or ():
            one.setdefault("batchId", record.get("id"))
            for field in _PAID:
                one.setdefault(field, None)


_BY_RESOURCE: dict[str, Callable[[Record, int, str, VicaiOptions], None]] = {
    "invoices": _invoice,
    "trainingInvoices": _training_invoice,
    "purchaseOrders": _order,
    "vendors": _vendor,
    "paymentBatches": _batch,
}
