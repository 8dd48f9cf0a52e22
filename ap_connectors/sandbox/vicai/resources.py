"""The service's resources: how each is named, found and filtered, and the collections that hold their records."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import msgspec

from ap_connectors.sandbox.vicai import times

Record = dict[str, Any]
ENCODER = msgspec.json.Encoder(decimal_format="number")
DECODER = msgspec.json.Decoder(float_hook=Decimal)
Order = Literal["system", "internal", "external", "id"]


def _no_filter(_: Record) -> Any:
    return None


@dataclass(frozen=True)
class StoredResource:
    """A resource as the sandbox stores and lists it: one collection of records.

    Args:
        name: as in the paths ("vendorGroups").
        component: the contract's schema of one record.
        key: the member that holds its id; None if records do not show one.
        uuids: ids are UUIDs, else numbers in sequence.
        order: what lists are sorted by; "system" is what `useSystem` says.
        dated: records show internalUpdatedAt.
        filter_value: what lists filter by, kept beside the encoded record.
    """

    name: str
    component: str
    key: str | None = "internalId"
    uuids: bool = False
    order: Order = "system"
    dated: bool = True
    filter_value: Callable[[Record], Any] = _no_filter


def _vendor_filter(record: Record) -> tuple[bool, str]:
    """Return (confirmed, state as the filter of /vendors calls it)."""
    # A vendor whose state was nulled is confirmed if the ERP knows it.
    state = str(record.get("state") or ("confirmed" if record.get("externalId") else "unconfirmed")).lower()
    confirmed = state == "confirmed"
    if record.get("errors"):
        return confirmed, "ERRORED"
    return confirmed, "ACTIVE" if confirmed else "PENDING" if record.get("externalId") else "PREDICTED"


def _batch_filter(record: Record) -> tuple[str, int | None]:
    """Return (status, completedAt in microseconds)."""
    completed = record.get("completedAt")
    return str(record.get("status")).lower(), None if completed is None else times.read_utc(completed)


_ALL = (
    StoredResource("accounts", "Account"),
    StoredResource("dimensions", "Dimension"),
    StoredResource("vendors", "Vendor", filter_value=_vendor_filter),
    StoredResource("vendorGroups", "VendorGroup", "id", uuids=True, order="id", dated=False),
    StoredResource("tags", "Tag", "id", order="id", dated=False),
    StoredResource("vendorTags", "VendorTag", "id", order="id", dated=False),
    StoredResource("paymentTerms", "PaymentTerm", "id", uuids=True, order="id", dated=False),
    StoredResource("taxCodes", "TaxCode", "id", uuids=True, order="id", dated=False),
    StoredResource("vatCodes", "VatCode", order="external", filter_value=lambda record: record.get("code")),
    StoredResource("invoices", "Invoice", filter_value=lambda record: str(record.get("status")).upper()),
    StoredResource("trainingInvoices", "TrainingInvoice", None, order="external", dated=False),
    StoredResource(
        "purchaseOrders", "PurchaseOrder", order="internal", filter_value=lambda r: str(r.get("status")).lower()
    ),
    StoredResource(
        "paymentBatches", "PaymentBatch", "id", uuids=True, order="id", dated=False, filter_value=_batch_filter
    ),
    StoredResource("attachments", "Attachment", "id", order="id", dated=False),
)
RESOURCES = {resource.name: resource for resource in _ALL}


Key = tuple[Any, str]


class Entry:
    """One record.

    Attributes:
        id: Vic's.
        instant: internalUpdatedAt in microseconds.
        external_id: the ERP's id; None if it has none.
        wall: the digits of externalUpdatedAt; empty without one.
        body: the record's JSON.
        filter_value: what lists filter by.
        number: the seeded invoice it was made from; None for others.
        drawn: whether it has a document although none was uploaded.
    """

    __slots__ = ("body", "drawn", "external_id", "filter_value", "id", "instant", "number", "wall")

    def __init__(self, id_: str, instant: int, external_id: str | None, wall: str, body: bytes) -> None:
        self.id, self.instant, self.external_id, self.wall, self.body = id_, instant, external_id, wall, body
        self.filter_value: Any = None
        self.number: int | None = None
        self.drawn = False

    def copy(self) -> Entry:
        """Return one that may be changed without changing this."""
        made = Entry(self.id, self.instant, self.external_id, self.wall, self.body)
        made.filter_value, made.number, made.drawn = self.filter_value, self.number, self.drawn
        return made

    @property
    def place(self) -> str:
        """The id as text that sorts like the id: numbers as numbers."""
        return self.id.zfill(20)


class Collection:
    """Records by id and by external id, sorted by Vic's time, by the ERP's, and by id.

    `unit` is how fine Vic's instants are, in microseconds: what is written alike sorts alike.
    """

    def __init__(self, resource: StoredResource, unit: int) -> None:
        self.resource = resource
        self.by_id: dict[str, Entry] = {}
        self.by_external: dict[str, Entry] = {}
        self._keys: dict[str, Callable[[Entry], Key]] = {
            "internal": lambda entry: (entry.instant // unit * unit, entry.place),
            "external": lambda entry: (entry.wall, entry.place),
            "id": lambda entry: ("", entry.place),
        }
        self._sorted: dict[str, list[Entry]] = {}

    def __len__(self) -> int:
        return len(self.by_id)

    def sorted(self, order: str) -> list[Entry]:
        """Return all records in an order: "internal", "external" or "id"; the list must not be changed."""
        if order not in self._sorted:
            self._sorted[order] = sorted(self.by_id.values(), key=self._keys[order])
        return self._sorted[order]

    def key(self, order: str) -> Callable[[Entry], Key]:
        """Return what an order sorts by."""
        return self._keys[order]

    def load(self, entries: Iterable[Entry]) -> None:
        """Take in many records at once."""
        self._sorted.clear()
        for entry in entries:
            self.by_id[entry.id] = entry
            if entry.external_id is not None:
                self.by_external[entry.external_id] = entry

    def put(self, entry: Entry) -> None:
        """Take in a record, in place of one with the same id."""
        if entry.id in self.by_id:
            self.remove(entry.id)
        self.by_id[entry.id] = entry
        if entry.external_id is not None:
            self.by_external[entry.external_id] = entry
        for order, entries in self._sorted.items():
            insort(entries, entry, key=self._keys[order])

    def remove(self, id_: str) -> Entry:
        """Take a record out."""
        entry = self.by_id.pop(id_)
        if entry.external_id is not None and self.by_external.get(entry.external_id) is entry:
            del self.by_external[entry.external_id]
        for order, entries in self._sorted.items():
            key = self._keys[order]
            del entries[bisect_left(entries, key(entry), key=key)]
        return entry
