"""What belongs to vendors: their tags, and the errors that the ERP finds."""

from __future__ import annotations

import functools
from typing import Any, ClassVar

from ap_connectors.core.errors import Reject
from ap_connectors.core.raw_json import JsonObject
from ap_connectors.singer.diff import Change, diff
from ap_connectors.singer.sink import UNCHANGED, Outcome
from ap_connectors.singer.worker_pool import Missing
from ap_connectors.vicai.client import Refused
from target_vicai.context import ResourceSpec
from target_vicai.sink import TEXT, Item, VicSink

_INTERNAL = {"useSystem": "INTERNAL"}


class VendorTags(VicSink):
    """Tags of vendors (Vendor tags): attached and removed. Both are named by Vic's id or by a natural key."""

    name, operation, component = "vendor_tags", "createVendorTag", "VendorTag"
    resource = ResourceSpec("vendor tag", "listVendorTags", key=("vendorId", "tagId"))
    extras: ClassVar[dict[str, Any]] = {"vendorExternalId": TEXT, "tagValue": TEXT, "id": TEXT}
    # The field with Vic's id, the one with a natural key, the resource, and the field of Vic's id there.
    _ends: ClassVar = (
        ("vendorId", "vendorExternalId", "vendors", "internalId"),
        ("tagId", "tagValue", "tags", "id"),
    )

    def key(self, body: JsonObject, extras: JsonObject) -> str:
        """Return what names the vendor, and what names the tag."""
        parts = []
        for id_field, key_field, _, _ in self._ends:
            value = body.get(id_field) or extras.get(key_field)
            if not value:
                raise Reject(f"{id_field} and {key_field} are missing: one of them is needed.")
            parts.append(str(value))
        return " ".join(parts)

    def compare(self, item: Item) -> Outcome | None:
        """Look whether the vendor has the tag already."""
        if item.deleted:
            return None
        try:
            return UNCHANGED if self.context.cache(self.name).by_key(self._pair(item)) else None
        except Reject:
            return None

    def load(self, item: Item) -> Outcome:
        """Attach the tag, unless the vendor has it."""
        pair = self._pair(item)
        if self.context.cache(self.name).by_key(pair):
            return UNCHANGED
        vendor, tag = pair.split(" ")
        try:
            body = {"vendorId": vendor, "tagId": tag}
            answer = self.context.writer.send(self.operation, body, find_done=lambda: self._attached(pair))
        except Refused:
            # Another record of this run may have named the two in another way.
            if (attached := self._attached(pair)) is None:
                raise
            self.context.learn(self.name, attached)
            return UNCHANGED
        self.context.learn(self.name, answer)
        return Outcome("created")

    def delete(self, item: Item) -> Outcome:
        """Remove the tag from the vendor."""
        try:
            pair = self._pair(item)
        except Missing:
            return UNCHANGED
        found = self.context.cache(self.name).by_key(pair)
        for one in found:
            self.call_delete("deleteVendorTag", functools.partial(self._now, one["id"]), id=one["id"])
            self.context.forget(self.name, one["id"], pair)
        return Outcome("deleted") if found else UNCHANGED

    def _now(self, id_: str) -> JsonObject | None:
        return self.context.read_again(self.name).by_id(id_)

    def _attached(self, pair: str) -> JsonObject | None:
        return next(iter(self.context.read_again(self.name).by_key(pair)), None)

    def _pair(self, item: Item) -> str:
        """Return Vic's ids of vendor and tag.

        Raises:
            Missing: one of them is not there yet. Reject: two tags have that name.
        """
        named = [
            (resource, item.extras[key_field])
            for id_field, key_field, resource, _ in self._ends
            if not item.body.get(id_field)
        ]
        self.context.await_parents(named)
        ids = []
        for id_field, key_field, resource, id_there in self._ends:
            id_ = item.body.get(id_field)
            ids.append(str(id_ or self._looked_up(resource, item.extras[key_field], id_there)))
        return " ".join(ids)

    def _looked_up(self, resource: str, key: str, id_field: str) -> str:
        found = self.context.find_one(resource, key)
        if found is None:
            raise self.context.missing([(resource, key)])
        return str(found[id_field])


class VendorErrors(VicSink):
    """Errors of vendors (Vendors, errors): a record's list replaces Vic's, an empty one clears it.

    The vendor is known by Vic's id.
    """

    name, operation, component, key_field = "vendor_errors", "setVendorRemoteErrors", "Vendor", "internalId"
    extras: ClassVar[dict[str, Any]] = {"internalId": TEXT}

    def load(self, item: Item) -> Outcome:
        """Set the errors if Vic shows others."""
        body = self.complete(item.body)
        changes = self._changes(item.key, body)
        if not changes:
            return UNCHANGED

        def find_done() -> JsonObject | None:
            return None if self._changes(item.key, body) else {}

        if body["errors"]:
            self.context.writer.send(self.operation, body, find_done=find_done, id=item.key, **_INTERNAL)
        else:
            self.context.writer.send("clearVendorRemoteErrors", find_done=find_done, id=item.key, **_INTERNAL)
        return Outcome("updated", tuple(changes))

    def _changes(self, key: str, body: JsonObject) -> list[Change]:
        found = self.context.client.found("getVendor", id=key, **_INTERNAL)
        if found is None:
            raise Reject(f"Vic.ai has no vendor with the internalId {key}.")
        return diff(self.body_schema, body, found, readable=self.read_schema)
