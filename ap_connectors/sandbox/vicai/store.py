"""The state of the Vic half: records of all kinds, documents, line items, and Vic's own clock. No HTTP here."""

from __future__ import annotations

import functools
import gc
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from ap_connectors.sandbox import clock
from ap_connectors.sandbox.options import VicaiOptions
from ap_connectors.sandbox.vicai import live_fields, times
from ap_connectors.sandbox.vicai.event_log import EventLog
from ap_connectors.sandbox.vicai.resources import DECODER, ENCODER, RESOURCES, Collection, Entry, Record, StoredResource
from ap_connectors.sandbox.vicai.seed import Seed
from ap_connectors.vicai.contract import Age

_ORDER_LINES = "purchaseOrderLineItems"
_MOST_COPIED = 2_000
"""Invoices of a store whose beginning is kept; each takes about a kilobyte."""
FILE_STATES = ("ok", "gone", "html", "short")
# Which method of Seed makes the records of a resource; invoices are made one by one.
SEEDED = {
    "accounts": Seed.accounts,
    "dimensions": Seed.dimensions,
    "vendors": Seed.vendors,
    "vendorGroups": Seed.vendor_groups,
    "tags": Seed.tags,
    "vendorTags": Seed.vendor_tags,
    "paymentTerms": Seed.payment_terms,
    "vatCodes": Seed.vat_codes,
    "taxCodes": Seed.tax_codes,
    "trainingInvoices": Seed.training_invoices,
    "purchaseOrders": Seed.purchase_orders,
    "paymentBatches": Seed.payment_batches,
}


@dataclass(frozen=True)
class File:
    """A document that was uploaded: its bytes, and the content type and name it came with."""

    data: bytes
    media: str
    name: str = ""


class Store:
    """Everything that Vic knows about one company; empty at first, see `seeded`.

    Args:
        seed: which data.
        invoices: how many invoices to begin with; other records follow from it.
        options: the service's behaviour.
    """

    def __init__(self, seed: int, invoices: int, options: VicaiOptions) -> None:
        self.seed, self.invoices, self.options = seed, invoices, options
        self.maker = Seed(seed, invoices, big_amounts=options.big_amounts, extra_fields=options.extra_fields)
        unit = times.UNITS[options.instant_digits]
        self.collections = {name: Collection(resource, unit) for name, resource in RESOURCES.items()}
        self.files: dict[tuple[str, str], File] = {}
        self.file_states: dict[tuple[str, str], str] = {}
        self.lines: dict[str, list[Record]] = {}
        self.rejections: dict[str, Record] = {}
        self.subscription: Record | None = None
        self.subscriptions_v2: list[Record] = []
        self.events = EventLog(self.wants, lambda: self.options.instant_digits)
        self.base = "http://127.0.0.1"
        """Scheme, host and port that the latest caller used."""
        self.synchronized: list[str] = []
        """Resources that a synchronisation was asked for, in this order."""
        self.confirmations: list[tuple[str, str]] = []
        """What was done to payments and credits: "confirm" or "fail", and the id."""
        self.dependencies: dict[tuple[str, str], bool] = {}
        """Pairs of dimensions by internal ids: whether they may be chosen together."""
        self.supporting: dict[str, dict[str, Record]] = {}
        """Supporting attachments by invoice and id."""
        self.attachment_states: dict[str, Record] = {}
        """What has become of attachments, where that is not usual."""
        self.newest = clock.START * 1000
        self.list_answers = 0
        self._last_numbers = dict.fromkeys([*RESOURCES, _ORDER_LINES], 0)

    @classmethod
    def seeded(cls, seed: int, invoices: int, options: VicaiOptions) -> Store:
        """Return a store with the records that it begins with; those of a small one are made once and copied."""
        if invoices > _MOST_COPIED:
            store = cls(seed, invoices, options)
            store._seed()
            return store
        made, store = _made(seed, invoices, options), cls(seed, invoices, options)
        for name, collection in made.collections.items():
            store.collections[name].load(entry.copy() for entry in collection.by_id.values())
        store.maker, store.newest, store._last_numbers = made.maker, made.newest, {**made._last_numbers}
        return store

    def _seed(self) -> None:
        for name, seeded in SEEDED.items():
            self.collections[name].load([self._seeded(RESOURCES[name], record) for record in seeded(self.maker)])
        # Nothing of what is made here is garbage; looking for it would take a tenth of the time.
        gc.disable()
        try:
            self.collections["invoices"].load(self._seeded_invoices())
        finally:
            gc.enable()
        lines = [line for e in self["purchaseOrders"].by_id.values() for line in self.record(e)["lineItems"]]
        self._last_numbers[_ORDER_LINES] = max(
            [int(n) for n in (line["internalId"] for line in lines) if n.isdecimal()] or [0]
        )

    @property
    def age(self) -> Age:
        """The age that the service plays."""
        return self.options.age

    def wants(self, kind: str) -> bool:
        """Tell whether a subscription names a kind of events. The live service records no others."""
        held = [one for one in (self.subscription, *self.subscriptions_v2) if one is not None]
        return self.age == "live" and any(names(one, kind) for one in held)

    def __getitem__(self, resource: str) -> Collection:
        return self.collections[resource]

    # Reading

    def find(self, resource: str, system: str, id_: str) -> Entry | None:
        """Find a record by its internal id or the ERP's; `system` is "internal" or "external"."""
        collection = self.collections[resource]
        return (collection.by_external if system == "external" else collection.by_id).get(id_)

    def record(self, entry: Entry) -> Record:
        """Decode a record, decimals exact; changes to it go in with `save`."""
        record: Record = DECODER.decode(entry.body)
        return record

    def line_items(self, entry: Entry) -> list[Record]:
        """Return an invoice's line items as they were before grouping."""
        if entry.id in self.lines:
            lines = self.lines[entry.id]
        else:
            lines = [] if entry.number is None else list(self.maker.invoice(entry.number).lines)
        if self.age != "live":
            return lines
        return live_fields.lines(lines, self.seed, entry.id, self.options)

    # Changing

    def tick(self) -> int:
        """Return an instant later than all others, in microseconds: when the next change happens."""
        self.newest = clock.advance(self.newest // 1000, 1000) * 1000
        return self.newest

    def next_id(self, resource: StoredResource) -> str:
        """Return an id that no record has had."""
        return str(uuid.uuid4()) if resource.uuids else self._next_number(resource.name)

    def next_line_id(self) -> str:
        """Return an id that no line of a purchase order has had."""
        return self._next_number(_ORDER_LINES)

    def _next_number(self, name: str) -> str:
        self._last_numbers[name] += 1
        return str(self._last_numbers[name])

    def save(
        self,
        resource: str,
        record: Mapping[str, Any],
        *,
        over: Entry | None = None,
        instant: int | None = None,
        external_id: str | None = None,
    ) -> Entry:
        """Write a new record, or one over another that it replaces; it changes now, or at `instant`.

        `external_id` is for records that do not show theirs.
        """
        spec = RESOURCES[resource]
        id_ = self.next_id(spec) if over is None else over.id
        moment = self.tick() if instant is None else instant
        self.newest = max(self.newest, moment)
        entry = self._entry(spec, {**record}, id_, moment, external_id or (over.external_id if over else None))
        if over is not None:
            entry.number, entry.drawn = over.number, over.drawn
        self.collections[resource].put(entry)
        return entry

    def delete(self, resource: str, entry: Entry) -> None:
        """Forget a record and what belongs to it."""
        self.collections[resource].remove(entry.id)
        self.files.pop((resource, entry.id), None)
        if resource == "invoices":
            self.lines.pop(entry.id, None)

    def change_options(self, options: VicaiOptions) -> None:
        """Replace the options; instants are written anew if they have other digits now."""
        digits, self.options = self.options.instant_digits, options
        if digits == options.instant_digits:
            return
        unit = times.UNITS[options.instant_digits]
        for name, old in self.collections.items():
            self.collections[name] = Collection(old.resource, unit)
            if old.resource.dated:
                for entry in old.by_id.values():
                    record = self.record(entry)
                    record["internalUpdatedAt"] = self.written(entry.instant)
                    entry.body = ENCODER.encode(record)
            self.collections[name].load(old.by_id.values())

    def written(self, instant: int) -> str:
        """Write an instant as Vic does."""
        return times.write_utc(instant, self.options.instant_digits)

    def _entry(self, spec: StoredResource, record: Record, id_: str, instant: int, external_id: str | None) -> Entry:
        if spec.key is not None:
            record[spec.key] = id_
        if spec.dated:
            record["internalUpdatedAt"] = self.written(instant)
        if spec.key == "internalId":
            external_id = record.get("externalId")
        local = record.get("externalUpdatedAt")
        if self.age == "live":
            live_fields.complete(spec.name, record, self.seed, self.written(instant), self.options)
        entry = Entry(id_, instant, external_id, _wall(local), ENCODER.encode(record))
        entry.filter_value = spec.filter_value(record)
        return entry

    def _seeded(self, spec: StoredResource, record: Record, number: int | None = None) -> Entry:
        record = {**record}
        milliseconds = record.pop("internalUpdatedAt", clock.START)
        # Finer digits for those who want to see them; records of one millisecond keep sharing their instant.
        instant = milliseconds * 1000 + milliseconds * 7919 % 1000
        self.newest = max(self.newest, instant)
        id_ = self.next_id(spec) if spec.key is None else record[spec.key]
        if id_.isdecimal():
            self._last_numbers[spec.name] = max(self._last_numbers[spec.name], int(id_))
        external_id = None
        if spec.key is None:
            # Training invoices do not show by which id they are asked for.
            external_id = record["externalId"]
            if not self.options.extra_fields:
                del record["externalId"]
        entry = self._entry(spec, record, id_, instant, external_id)
        entry.number, entry.drawn = number, True
        return entry

    def _seeded_invoices(self) -> Iterator[Entry]:
        spec = RESOURCES["invoices"]
        for number in range(self.invoices):
            record = self.maker.invoice(number).record
            if self.age == "live":
                live_fields.approve(record, number)
            yield self._seeded(spec, record, number)


@functools.lru_cache(maxsize=16)
def _made(seed: int, invoices: int, options: VicaiOptions) -> Store:
    store = Store(seed, invoices, options)
    store._seed()
    return store


MULTIPART = ("invoicePost", "invoiceTransfer")


def names(subscription: Mapping[str, Any], kind: str) -> bool:
    """Tell whether a subscription of the live age names a kind; "all" means the events that replace `MULTIPART`."""
    return bool({kind, *(() if kind in MULTIPART else ("all",))} & {*(subscription.get("events") or ())})


def shuffled(entries: Sequence[Entry]) -> list[Entry]:
    """Sort records by nothing that they show."""
    return sorted(entries, key=shuffle_key)


def shuffle_key(entry: Entry) -> tuple[Any, str]:
    """Return what `shuffled` sorts by."""
    return blake2b(entry.id.encode(), digest_size=8).hexdigest(), entry.place


def _wall(local: Any) -> str:
    try:
        return times.read_wall(local) if isinstance(local, str) else ""
    except ValueError:
        return ""
