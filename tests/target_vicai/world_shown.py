"""What Vic.ai shows of the records of a `World`, and which of its records one is."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from tests.target_vicai.cases import BY_STREAM
from tests.target_vicai.scene import without
from tests.target_vicai.store import Record, Snapshot, covers

RESOURCE_OF = {stream: case.resource for stream, case in BY_STREAM.items() if stream != "attachments"}
"""What a `World` has records of, by stream; uploads alone are loaded apart from it."""
_KEYS = {
    "vendor_groups": "name",
    "payment_terms": "name",
    "tags": "value",
    "tax_codes": "code",
    "training_invoices": "refNumber",
    "invoice_confirmations": "internalId",
    "invoice_rejections": "internalId",
    "invoice_payments": "internalId",
    "vendor_errors": "internalId",
}
"""The field that tells which of Vic's records one is, where that is not `externalId`."""
_PARTS = {
    "payment_confirmations": "payments",
    "payment_failures": "payments",
    "credit_confirmations": "credits",
    "credit_failures": "credits",
}


def streams_of(age: str) -> set[str]:
    """The streams of a `World` that the service of an age has."""
    return {stream for stream in RESOURCE_OF if age == "live" or not BY_STREAM[stream].is_new}


def same(stream: str, given: Record, shown: Record, now: Snapshot) -> bool:
    if stream == "vendor_tags":
        return _tag_shown(given, now) == without(shown, "id")
    if stream in _PARTS:
        return any(one["id"] == given["id"] for one in shown[_PARTS[stream]])
    if stream in {"supporting_attachments", "dimension_dependencies"}:
        return covers(shown, without(SHOWN[stream](given, now), "active"))
    name = _KEYS.get(stream, "externalId")
    return bool(shown.get(name) == given[name])


def _only(snapshot: Snapshot, resource: str, name: str, value: str) -> str | None:
    """The id of the one record that has a value, if there is one."""
    found = [key for key, shown in snapshot.records[resource].items() if shown.get(name) == value]
    return found[0] if len(found) == 1 else None


def as_given(given: Record, _: Snapshot) -> Record:
    return given


def _vendor_shown(given: Record, now: Snapshot) -> Record:
    if "vendorGroupName" not in given:
        return given
    return without(given, "vendorGroupName", "paymentTermName") | {
        "vendorGroupId": _only(now, "vendorGroups", "name", given["vendorGroupName"]),
        "paymentTermId": _only(now, "paymentTerms", "name", given["paymentTermName"]),
    }


def _tag_shown(given: Record, now: Snapshot) -> Record:
    return {
        "vendorId": _only(now, "vendors", "externalId", given["vendorExternalId"]),
        "tagId": _only(now, "tags", "value", given["tagValue"]),
    }


def _part_shown(part: str) -> Callable[[Record, Snapshot], Record]:
    """What a batch shows of one of its payments or credits."""

    def shown(given: Record, now: Snapshot) -> Record:
        found = (one[part] for one in now.records["paymentBatches"].values())
        parts = next(parts for parts in found if any(one["id"] == given["id"] for one in parts))
        return {part: [given if one["id"] == given["id"] else {} for one in parts]}

    return shown


def _attachment_shown(given: Record, _: Snapshot) -> Record:
    # Each of the files has a length of its own.
    return {"invoiceId": given["internalId"], "filesize": Path(given["document"]).stat().st_size}


def _dependency_shown(given: Record, now: Snapshot) -> Record:
    dimension = _only(now, "dimensions", "externalId", given["dimensionExternalId"])
    return {"dimensionId": dimension, "dependentId": given["dependentInternalId"], "active": given["active"]}


def _order_shown(given: Record, now: Snapshot) -> Record:
    # Each age spells the kinds of matching in its own way.
    lines = [line | {"matchingType": now.spelled(line["matchingType"])} for line in given["lineItems"]]
    vendor = {"externalId": given["vendorExternalId"]}
    return without(given, "vendorExternalId") | {"vendor": vendor, "lineItems": lines}


def _invoice_shown(given: Record, _: Snapshot) -> Record:
    (line,) = given["lineItems"]
    shown = {"amount": Decimal(line["amount"]), "costAccountExternalId": line["costAccount"]["externalId"]}
    kept = without(given, "document", "vendor", "lineItems")
    return kept | {"vendorExternalId": given["vendor"]["externalId"], "lineItems": [shown], "status": "READY_FOR_POST"}


SHOWN: dict[str, Callable[[Record, Snapshot], Record]] = {
    "vendors": _vendor_shown,
    "vendor_tags": _tag_shown,
    "purchase_orders": _order_shown,
    "training_invoices": lambda given, _: without(given, "externalId", "document"),
    "invoices": _invoice_shown,
    "invoice_confirmations": lambda given, _: given | {"status": "POSTED"},
    "invoice_rejections": lambda given, _: {"status": "NOT_READY", "postingError": given["reason"]},
    "supporting_attachments": _attachment_shown,
    "dimension_dependencies": _dependency_shown,
    **{stream: _part_shown(part) for stream, part in _PARTS.items()},
}
