"""New records that look like seeded ones, for the control API: copies of what a larger seed makes, under new ids."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from ap_connectors.sandbox.vicai.resources import RESOURCES, Entry, Record
from ap_connectors.sandbox.vicai.seed import Seed
from ap_connectors.sandbox.vicai.store import SEEDED, Store

_INVOICES = 120  # enough for one of every kind, even if the store began without any
_POSTED = "POSTED"


class NewRecords:
    """Makes records that look like seeded ones."""

    def __init__(self, store: Store) -> None:
        self._store = store
        options = store.options
        self._maker = Seed(store.seed, _INVOICES, big_amounts=options.big_amounts, extra_fields=options.extra_fields)

    def add(self, resource: str, count: int, at: int | None, overrides: Mapping[str, Any]) -> list[Entry]:
        """Add records, all at an instant or each later than all others; `overrides` go in verbatim."""
        if resource == "invoices":
            numbers = [n for n in range(_INVOICES) if self._maker.invoice(n).record["status"] == _POSTED]
            return [self._add_invoice(numbers[n % len(numbers)], at, overrides) for n in range(count)]
        templates = SEEDED[resource](self._maker) if resource in SEEDED else [{}]
        return [self._add(resource, templates[n % len(templates)], at, overrides) for n in range(count)]

    def _add(self, resource: str, template: Record, at: int | None, overrides: Mapping[str, Any]) -> Entry:
        store = self._store
        moment = store.tick() if at is None else at
        record = {**template}
        record.pop("internalUpdatedAt", None)
        name = self._external_id(resource)
        if record.get("externalId") is not None:
            record["externalId"] = name
        if record.get("externalUpdatedAt") is not None:
            record["externalUpdatedAt"] = store.written(moment).removesuffix("Z")
        for part in _PARTS.get(resource, ()):
            record[part] = [{**item, **self._part_id(item)} for item in record.get(part, ())]
        external_id = None
        if RESOURCES[resource].key is None:
            external_id = str(overrides.get("externalId", name))
            if not store.options.extra_fields:
                record.pop("externalId", None)
                overrides = {field: value for field, value in overrides.items() if field != "externalId"}
        entry = store.save(resource, {**record, **overrides}, instant=moment, external_id=external_id)
        entry.drawn = True
        return entry

    def _add_invoice(self, number: int, at: int | None, overrides: Mapping[str, Any]) -> Entry:
        invoice = self._maker.invoice(number)
        entry = self._add("invoices", invoice.record, at, overrides)
        self._store.lines[entry.id] = list(invoice.lines)
        return entry

    def _external_id(self, resource: str) -> str:
        collection = self._store[resource]
        number = len(collection) + 1
        while f"NEW-{number}" in collection.by_external:
            number += 1
        return f"NEW-{number}"

    def _part_id(self, item: Mapping[str, Any]) -> Record:
        if "internalId" in item:
            return {"internalId": self._store.next_line_id()}
        return {"id": str(uuid.uuid4())}


# Parts of records that have ids of their own.
_PARTS = {"purchaseOrders": ("lineItems",), "paymentBatches": ("payments", "credits")}
