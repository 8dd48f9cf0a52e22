"""What the demo loads: the streams, where Vic.ai keeps them, and how its records read in the ERP's words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Record = dict[str, Any]
"""A record; numbers with a point are decimals with the digits that they have."""


@dataclass(frozen=True)
class Names:
    """What Vic's ids stand for."""

    terms: Mapping[str, str]
    groups: Mapping[str, str]
    tags: Mapping[str, str]
    vendors: Mapping[str, str | None]


@dataclass(frozen=True)
class Stream:
    """One stream of the ERP's file."""

    resource: str
    """What the sandbox's control API calls it."""
    key: tuple[str, ...]
    """The fields that tell its records apart."""
    told: Callable[[Record, Names], Record] = lambda record, _: record
    """Vic's record as the ERP would have written it: names and ids of its own instead of Vic's."""


def _vendor(record: Record, names: Names) -> Record:
    told = {name: value for name, value in record.items() if name not in ("paymentTermId", "vendorGroupId")}
    term, group = record.get("paymentTermId"), record.get("vendorGroupId")
    return {**told, "paymentTermName": names.terms.get(term or ""), "vendorGroupName": names.groups.get(group or "")}


def _vendor_tag(record: Record, names: Names) -> Record:
    vendor, tag = names.vendors.get(record["vendorId"]), names.tags.get(record["tagId"])
    return {"id": record["id"], "vendorExternalId": vendor, "tagValue": tag}


def _order(record: Record, _: Names) -> Record:
    lines = [
        {**line, "dimensions": [{"externalId": one.get("externalId")} for one in line["dimensions"]]}
        for line in sorted(record["lineItems"], key=lambda line: line["lineNumber"])
    ]
    told = {name: value for name, value in record.items() if name != "vendor"}
    return {**told, "vendorExternalId": record["vendor"].get("externalId"), "lineItems": lines}


# Children come before their parents on purpose: a load has to find its order itself.
STREAMS: Mapping[str, Stream] = {
    "vendor_tags": Stream("vendorTags", ("vendorExternalId", "tagValue"), _vendor_tag),
    "purchase_orders": Stream("purchaseOrders", ("externalId",), _order),
    "vendors": Stream("vendors", ("externalId",), _vendor),
    "payment_terms": Stream("paymentTerms", ("name",)),
    "vendor_groups": Stream("vendorGroups", ("name",)),
    "tags": Stream("tags", ("value",)),
    "tax_codes": Stream("taxCodes", ("code",)),
    "vat_codes": Stream("vatCodes", ("externalId",)),
    "accounts": Stream("accounts", ("externalId",)),
    "dimensions": Stream("dimensions", ("externalId",)),
}

VICS_OWN = frozenset({"id", "internalId", "internalUpdatedAt", "displayName", "invoiceItemsMatched"})
"""Fields that Vic fills in by itself, whatever is sent."""
