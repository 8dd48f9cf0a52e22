"""What all sinks share: client, writer, options, caches of Vic's records, and what is on its way in this run."""

from __future__ import annotations

import datetime
import functools
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from ap_connectors.core.errors import Reject
from ap_connectors.core.raw_json import JsonObject
from ap_connectors.core.validate import id_text
from ap_connectors.singer.document_sources import DocumentSources
from ap_connectors.singer.ledger import Ledger
from ap_connectors.singer.worker_pool import Missing, Parent
from ap_connectors.vicai import contract
from ap_connectors.vicai.client import Part, VicaiClient
from target_vicai.approval import PLANNED, Approval, WatchedWriter, ids_in, name_of
from target_vicai.document_vendors import DocumentVendors
from target_vicai.duplicates import Duplicates, Facts
from target_vicai.record_cache import Keys, PaymentBook, Reading, RecordCache

_SINGLE_READS = 16
"""How many records are read one by one before their whole list is read: an hourly load has a handful of changes,
and the company may have a hundred thousand vendors."""

Reference = tuple[str, str]
"""What a record refers to: a resource (by its stream's name) and a natural key."""


@dataclass(frozen=True)
class LoadOptions:
    """How to load.

    Args:
        compare: write only what differs from Vic's copy (`compare: vic`).
        merge: fields that a record lacks keep Vic's value (`update_mode: merge`).
        delete_records: a record with `_sdc_deleted_at` deletes (`deletes: records` or `mirror`).
        mirror: delete what a full load no longer has (`deletes: mirror`).
        dry_run: write nothing.
        finds_duplicates: set invoices aside that Vic has under another id (`duplicates: set_aside`).
        hold_bank_changes: keep changes of vendors' bank details until someone approves them (`bank_changes: hold`).
    """

    compare: bool = True
    merge: bool = True
    delete_records: bool = False
    mirror: bool = False
    dry_run: bool = False
    finds_duplicates: bool = True
    hold_bank_changes: bool = False


@dataclass(frozen=True)
class ResourceSpec:
    """A resource of Vic's that can be listed.

    Args:
        noun: what messages call one of its records.
        list_operation: the operation that lists them.
        get_operation: the operation that reads one by the ERP's id; None if the contract has no such operation.
        key: the field that holds the natural key, or several fields that make it together.
        second_key: the field that holds another natural key.
        queries: further query parameters of the list; it is read once with each.
        aliases: yields what else a record may be found by.
    """

    noun: str
    list_operation: str
    get_operation: str | None = None
    key: tuple[str, ...] = ("externalId",)
    second_key: str | None = None
    queries: tuple[Mapping[str, str], ...] = ({},)
    aliases: Callable[[JsonObject], Iterable[str]] | None = None

    def keys_of(self, record: JsonObject) -> Keys:
        """Return what a record is found by."""
        parts = [record.get(name) for name in self.key]
        key = " ".join(map(str, parts)) if all(parts) else None
        if key and self.get_operation is None and "externalId" not in self.key:
            key = id_text(key)  # a name; an externalId is part of addresses, as it is
        second = id_text(record.get(self.second_key) or "") or None if self.second_key else None
        return Keys(record.get("internalId") or record["id"], key, second)

    @functools.cached_property
    def parameters(self) -> frozenset[str]:
        """The names of the parameters that the list takes."""
        return frozenset(parameter.name for parameter in contract.operation(self.list_operation).parameters)


@dataclass
class LoadContext:
    """One company at Vic.ai, as the sinks see it.

    Args:
        client: reads.
        writer: writes; in a dry run it only pretends to, and with a plan it asks first whether a call is approved.
        bulk_writer: sends what several records say together; for each of them it was asked before.
        options: how to load.
        resources: what can be listed, by the name of its stream.
        is_coming: returns whether records of this run are still to be loaded that may provide a parent.
        has_come: returns whether a parent was written in this run.
        warn: shows a message to the user.
        check: called between the pages of long lists; may raise what ends the run (a signal).
        wait: waits until the records that were read so far are loaded, but for those that wait for a parent.
        ledger: remembers what Vic cannot tell.
        sources: where documents may come from.
        erp_zone: the zone of the ERP's clock, if known.
        approval: what is told of every record and call, and may refuse it.
    """

    client: VicaiClient
    writer: VicaiClient | DryRunWriter | WatchedWriter
    bulk_writer: VicaiClient | DryRunWriter
    options: LoadOptions
    resources: Mapping[str, ResourceSpec]
    is_coming: Callable[[Parent], bool]
    has_come: Callable[[Parent], bool]
    warn: Callable[[str], None]
    check: Callable[[], None]
    wait: Callable[[], None]
    ledger: Ledger
    sources: DocumentSources
    erp_zone: ZoneInfo | None = None
    approval: Approval = field(default_factory=Approval)
    _caches: dict[str, RecordCache] = field(default_factory=dict)
    _known: dict[Reference, Reading] = field(default_factory=dict)
    _reads: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.duplicates = Duplicates(self._invoices_since)
        """What looks whether Vic has an invoice under another id."""
        self.training_duplicates = Duplicates(self._training_invoices_since, Facts.of_training)
        """The same for training invoices."""
        self.payment_books = {part: PaymentBook(self.client, part) for part in ("payments", "credits")}
        """What Vic knows of payments and of credits."""
        self.company_ledger = self.ledger.of_company()
        """The ledger with what former credentials of the company have sent; another company may have its name."""
        self.vat_codes_coming: dict[str, str] = {}
        """The ERP's ids of the VAT codes that this run loads, by code: lines name them by either."""

    # Vic's records

    def cache(self, resource: str) -> RecordCache:
        """Return Vic's records of a resource; the list is read when a record is first asked for."""
        cache = self._caches.get(resource)
        return cache or self._caches.setdefault(resource, self.read_again(resource))

    def read_again(self, resource: str) -> RecordCache:
        """Return what Vic has at this moment: only this shows whether a call was done whose answer was lost."""
        spec = self.resources[resource]
        return RecordCache(lambda: self._pages(spec), spec.keys_of, spec.aliases)

    def reads_singly(self, resource: str) -> bool:
        """Return whether the next record of a resource is read by itself."""
        if self.cache(resource).is_read:
            return False
        return self.resources[resource].get_operation is not None and self._reads[resource] < _SINGLE_READS

    def find(self, resource: str, key: str) -> Reading | None:
        """Return the record with a natural key; the whole list is not read for a few of them.

        Raises:
            Reject: there are several of that name.
        """
        known = self._known.get((resource, key))
        if known is not None:
            return known
        cache = self.cache(resource)
        if not cache.is_read:
            with self._lock:
                singly = self.reads_singly(resource)
                self._reads[resource] += 1
            if singly:
                return self.fetch(resource, key)
        found = cache.by_key(key)
        if len(found) > 1 and self.resources[resource].get_operation is None:
            raise self.ambiguous(resource, key, len(found))
        return found[0] if found else None

    def find_by_second_key(self, resource: str, key: str) -> Reading | None:
        """Return the record with a second natural key; in a dry run also what would have been written."""
        if found := self.cache(resource).by_second_key(key):
            return found[0]
        spec = self.resources[resource]
        known = (reading for (name, _), reading in list(self._known.items()) if name == resource)
        return next((reading for reading in known if spec.keys_of(reading.record).second_key == key), None)

    def _invoices_since(self, day: datetime.date) -> Iterator[list[msgspec.Raw]]:
        since = f"{day.isoformat()}T00:00:00.000Z"
        for page in self.client.raw_pages("listInvoices", useSystem="INTERNAL", state="ALL", since=since):
            self.check()
            yield page

    def _training_invoices_since(self, day: datetime.date) -> Iterator[list[msgspec.Raw]]:
        # Their times are the ERP's own, without a zone.
        for page in self.client.raw_pages("listTrainingInvoices", since=f"{day.isoformat()}T00:00:00.000"):
            self.check()
            yield page

    def fetch(self, resource: str, key: str) -> Reading | None:
        """Read one record by the ERP's id, now."""
        operation = self.resources[resource].get_operation
        if operation is None:
            raise NotImplementedError(f"{resource} cannot be read one by one")
        before = self._known.get((resource, key))
        found = self.client.found(operation, id=key, useSystem="EXTERNAL")
        if found is not None:
            return self.learn(resource, found)
        if (written := self._known.get((resource, key))) is not before:
            # Another thread wrote it while we asked; in a dry run no request will ever show that.
            return written
        self._known.pop((resource, key), None)
        if self.cache(resource).is_read:
            for gone in self.cache(resource).by_key(key):
                self.forget(resource, gone.record["internalId"], key)
        return None

    def read_at(self, resource: str, key: str) -> float | None:
        """Return when the record with a natural key was last read or written; None if Vic is not known to have it."""
        known = self._known.get((resource, key))
        if known is not None:
            return known.at
        cache = self.cache(resource)
        return cache.read_at(key) if cache.is_read else None

    def learn(self, resource: str, record: JsonObject, instead_of: JsonObject | None = None) -> Reading:
        """Store what Vic answered to a read or a write; in a dry run the answer is made up, and so is its id."""
        if self.options.dry_run and instead_of is not None:
            record = {**instead_of, **record, **{name: instead_of[name] for name in _IDS if name in instead_of}}
        cache, reading = self.cache(resource), Reading(record, time.monotonic())
        key = (cache.put(reading) if cache.is_read else self.resources[resource].keys_of(record)).key
        if key is not None and (not cache.is_read or (resource, key) in self._known):
            # A list that is being read may still show what was before.
            self._known[resource, key] = reading
        return reading

    def forget(self, resource: str, id_: str, key: str) -> None:
        """Remove a record that Vic no longer has."""
        self._known.pop((resource, key), None)
        cache = self.cache(resource)
        if cache.is_read:
            cache.remove(id_)

    def names_of(self, plan: Any) -> dict[str, str]:
        """Return what people call the records whose ids stand in a plan, as far as their lists were read."""
        caches = [cache for cache in self._caches.values() if cache.is_read]
        found = ((id_, cache.by_id(id_)) for id_ in sorted({*ids_in(plan)}) for cache in caches)
        return {id_: name for id_, record in found if record is not None and (name := name_of(record))}

    def _pages(self, spec: ResourceSpec) -> Iterator[list[msgspec.Raw]]:
        # By Vic's own ids, so that the list has what the ERP does not know yet, too.
        system = {"useSystem": "INTERNAL"} if "useSystem" in spec.parameters else {}
        for query in spec.queries:
            for page in self.client.raw_pages(spec.list_operation, **system, **query):
                self.check()
                yield page

    @functools.cached_property
    def document_vendors(self) -> DocumentVendors:
        """What finds the vendors that documents name."""
        return DocumentVendors(lambda: self.cache("vendors"), self._settle_vendors, self.warn)

    def _settle_vendors(self) -> None:
        """Wait for the vendors that are being written, so that the list has them; in a dry run only we know them."""
        self.wait()
        cache = self.cache("vendors")
        for (resource, _), reading in list(self._known.items()):
            if resource == "vendors":
                cache.put(reading)

    # Parents: what a record refers to

    def await_parents(self, parents: Iterable[Reference]) -> None:
        """Let a record wait for those of its parents that are still being worked on.

        Raises:
            Missing: there are such.
        """
        coming = [parent for parent in parents if self.is_coming(parent)]
        if coming:
            raise self.missing(coming)

    def absent(self, parents: Iterable[Reference]) -> list[Reference]:
        """Return the parents that Vic does not have."""
        return [(resource, key) for resource, key in dict.fromkeys(parents) if self.find(resource, key) is None]

    def missing(self, parents: Collection[Reference], said: str = "") -> Missing:
        """Return the reject of a record whose parents Vic does not have.

        Args:
            parents: what it refers to.
            said: what Vic said, if it refused the record.
        """
        names = ", ".join(f"{self.resources[resource].noun} {key}" for resource, key in parents)
        message = (
            f"Not at Vic.ai, and not loaded in this run: {names}. Load what is missing, or correct the reference.{said}"
        )
        references = [{"kind": kind_of(resource), "key": key} for resource, key in parents]
        return Missing(message, parents, references)

    def ambiguous(self, resource: str, name: str, count: int) -> Reject:
        """Return the reject of a record that names one of several records of Vic's."""
        noun = self.resources[resource].noun
        message = f"Vic.ai has {count} {noun}s of the name {name}: give the id of the one that is meant."
        return Reject(message, "ambiguous_name", kind=kind_of(resource), name=name, count=count)


def kind_of(resource: str) -> str:
    """Return what the parameters of rejects call one record of a resource: `vat_code` of `vat_codes`."""
    return resource.removesuffix("s")


_IDS = ("id", "internalId")


class DryRunWriter:
    """Stands in for the client where nothing may be written: answers with the body and an id that is made up."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def send(
        self,
        operation: str,  # noqa: ARG002
        body: Any = None,
        *,
        find_done: Callable[[], JsonObject | None] | None = None,  # noqa: ARG002
        **arguments: str,  # noqa: ARG002
    ) -> JsonObject:
        """Return the body, with an id."""
        return self._answer(body)

    def upload(
        self,
        operation: str,  # noqa: ARG002
        parts: Callable[[], Sequence[Part]],  # noqa: ARG002
        *,
        find_done: Callable[[], JsonObject | None] | None = None,  # noqa: ARG002
        **arguments: str,  # noqa: ARG002
    ) -> JsonObject:
        """Return an id; no file is opened."""
        return self._answer({})

    def _answer(self, body: Any) -> JsonObject:
        id_ = f"{PLANNED}{next(self._numbers)}"
        return {"id": id_, "internalId": id_, **(body if isinstance(body, dict) else {})}
