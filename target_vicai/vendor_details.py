"""What belongs to vendors: their tags, and the errors that the ERP finds."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any, ClassVar

from ap_connectors.core.errors import Reject
from ap_connectors.core.raw_json import JsonObject
from ap_connectors.singer.diff import Change, diff
from ap_connectors.singer.sink import UNCHANGED, ListColumns, Outcome
from ap_connectors.singer.worker_pool import Missing
from ap_connectors.vicai.client import Refused
from target_vicai.compared_sink import ComparedSink, Comparison
from target_vicai.context import ResourceSpec
from target_vicai.item import Item, missing_key
from target_vicai.record_cache import Reading
from target_vicai.sink import TEXT, VicSink

_INTERNAL = {"useSystem": "INTERNAL"}


class VendorTags(ComparedSink):
    """Tags of vendors (Vendor tags): attached and removed. Both are named by Vic's id or by a natural key."""

    name, operation, component = "vendor_tags", "createVendorTag", "VendorTag"
    resource = ResourceSpec("vendor tag", "listVendorTags", key=("vendorId", "tagId"))
    extras: ClassVar[dict[str, Any]] = {"vendorExternalId": TEXT, "tagValue": TEXT, "id": TEXT}
    # The field with Vic's id, the one with a natural key, the resource, and the field of Vic's id there.
    _ends: ClassVar = (
        ("vendorId", "vendorExternalId", "vendors", "internalId"),
        ("tagId", "tagValue", "tags", "id"),
    )

    @property
    def list_columns(self) -> ListColumns:
        """What the columns of a person's list are called; vendor and tag are known by either id."""
        return replace(super().list_columns, needed=())

    def key(self, body: JsonObject, extras: JsonObject) -> str:
        """Return what names the vendor, and what names the tag."""
        parts = []
        for id_field, key_field, _, _ in self._ends:
            value = body.get(id_field) or extras.get(key_field)
            if not value:
                raise missing_key(id_field, key_field)
            parts.append(str(value))
        return " ".join(parts)

    def can_compare(self, item: Item) -> bool:  # noqa: ARG002
        """Return True: the list is small, and read whatever `compare` is."""
        return True

    def comparison(self, item: Item, *, fresh: bool = False) -> Comparison:  # noqa: ARG002
        """Look whether the vendor has the tag already."""
        body, parents = {}, {}
        for id_field, key_field, resource, id_there in self._ends:
            body[id_field] = item.body.get(id_field)
            if not body[id_field]:
                key = item.extras[key_field]
                found = self.find_parent(resource, key)
                body[id_field], parents[resource, key] = str(found.record[id_there]), found.at
        return Comparison(body, outcome=UNCHANGED if self._in_cache(body) else None, parents=parents)

    def is_current(self, item: Item, compared: Comparison) -> bool:
        """Return whether vendor and tag are still the same; another record may have attached the tag since."""
        return super().is_current(item, compared) and not self._in_cache(compared.body)

    def write(self, item: Item, compared: Comparison) -> Outcome:  # noqa: ARG002
        """Attach the tag."""
        body = compared.body
        try:
            answer = self.context.writer.send(self.operation, body, find_done=lambda: self._attached(body))
        except Refused:
            # Another record of this run may have named the two in another way.
            if (attached := self._attached(body)) is None:
                raise
            self.context.learn(self.name, attached)
            return UNCHANGED
        self.context.learn(self.name, answer)
        return Outcome("created")

    def delete(self, item: Item) -> Outcome:
        """Remove the tag from the vendor."""
        try:
            body = self.comparison(item).body
        except Missing:
            return UNCHANGED
        found = self._in_cache(body)
        for id_ in (one.record["id"] for one in found):
            self.call_delete("deleteVendorTag", functools.partial(self._now, id_), id=id_)
            self.context.forget(self.name, id_, _pair(body))
        return Outcome("deleted") if found else UNCHANGED

    def _in_cache(self, body: JsonObject) -> list[Reading]:
        return self.context.cache(self.name).by_key(_pair(body))

    def _now(self, id_: str) -> JsonObject | None:
        return self.context.read_again(self.name).by_id(id_)

    def _attached(self, body: JsonObject) -> JsonObject | None:
        found = self.context.read_again(self.name).by_key(_pair(body))
        return found[0].record if found else None


def _pair(body: JsonObject) -> str:
    return f"{body['vendorId']} {body['tagId']}"


class VendorErrors(VicSink):
    """Errors of vendors (Vendors, errors): a record's list replaces Vic's, an empty one clears it.

    The vendor is known by Vic's id.
    """

    name, operation, component, key_field = "vendor_errors", "setVendorRemoteErrors", "Vendor", "internalId"
    extras: ClassVar[dict[str, Any]] = {"internalId": TEXT}

    def load(self, item: Item) -> Outcome:
        """Set the errors if Vic shows others."""
        body = self.require_complete(item.body)
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
            raise Reject(
                f"Vic.ai has no vendor with the internalId {key}. Correct it, or leave the record out.",
                "unknown_reference",
                references=[{"kind": "vendor", "key": key}],
            )
        self.context.approval.compared(found, self.body_schema.members)
        return diff(self.body_schema, body, found, readable=self.read_schema)
