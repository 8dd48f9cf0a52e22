"""Tags of vendors: attached and taken off."""

from __future__ import annotations

import functools
from contextlib import suppress
from typing import Any, ClassVar

from ap_connectors.core.errors import Reject
from ap_connectors.singer.sink import UNCHANGED, Outcome
from ap_connectors.singer.worker_pool import Missing
from ap_connectors.vicai.client import NotFound, Refused
from target_vicai.copy import Plain
from target_vicai.loader import TEXT, Item, Loader
from target_vicai.vic import missing


class VendorTags(Loader):
    """A vendor bears a tag (Vendor tags); each of the two is named by Vic's id or by its natural key."""

    name, body_of, component = "vendor_tags", "createVendorTag", "VendorTag"
    extras: ClassVar[dict[str, Any]] = {"vendorExternalId": TEXT, "tagValue": TEXT, "id": TEXT}
    # Who is named by which field, where to look, and what Vic calls its id there.
    _ends: ClassVar = (
        ("vendorId", "vendorExternalId", "vendors", "internalId"),
        ("tagId", "tagValue", "tags", "id"),
    )

    def key(self, body: Plain, extras: Plain) -> str:
        """Return what names the vendor, and what names the tag."""
        parts = []
        for own, natural, _, _ in self._ends:
            value = body.get(own) or extras.get(natural)
            if not value:
                raise Reject(f"{own} and {natural} are missing: one of them is needed.")
            parts.append(str(value))
        return " ".join(parts)

    def compare(self, item: Item) -> Outcome | None:
        """Say whether the vendor bears the tag already."""
        if item.deleted:
            return None
        try:
            return UNCHANGED if self.vic.copy(self.name).of(self._pair(item)) else None
        except Reject:
            return None

    def load(self, item: Item) -> Outcome:
        """Attach the tag, unless the vendor bears it."""
        pair = self._pair(item)
        if self.vic.copy(self.name).of(pair):
            return UNCHANGED
        vendor, tag = pair.split(" ")
        try:
            body = {"vendorId": vendor, "tagId": tag}
            answer = self.vic.hands.send(self.body_of, body, find_done=lambda: self._made(pair))
        except Refused:
            # Another record of this run may have named the two in another way.
            if (made := self._made(pair)) is None:
                raise
            self.vic.learn(self.name, made)
            return UNCHANGED
        self.vic.learn(self.name, answer)
        return Outcome("created")

    def delete(self, item: Item) -> Outcome:
        """Take the tag off the vendor."""
        try:
            pair = self._pair(item)
        except Missing:
            return UNCHANGED
        found = self.vic.copy(self.name).of(pair)
        for one in found:
            with suppress(NotFound):
                self.vic.hands.send("deleteVendorTag", find_done=functools.partial(self._gone, one["id"]), id=one["id"])
            self.vic.forget(self.name, one["id"], pair)
        return Outcome("deleted") if found else UNCHANGED

    def _made(self, pair: str) -> Plain | None:
        return next(iter(self.vic.reread(self.name).of(pair)), None)

    def _gone(self, id_: str) -> Plain | None:
        return {} if self.vic.reread(self.name).by_id(id_) is None else None

    def _pair(self, item: Item) -> str:
        """Return Vic's ids of vendor and tag.

        Raises:
            Missing: one of them is not there yet. Reject: two tags have that name.
        """
        ids = []
        parents = [
            (kind, item.extras[natural])
            for own, natural, kind, _ in self._ends
            if not item.body.get(own) and item.extras.get(natural)
        ]
        self.vic.await_parents(parents)
        for own, natural, kind, id_name in self._ends:
            id_ = item.body.get(own)
            if not id_:
                id_ = self._looked_up(kind, item.extras[natural], id_name)
            ids.append(str(id_))
        return " ".join(ids)

    def _looked_up(self, kind: str, key: str, id_name: str) -> str:
        found = self.vic.only(kind, key)
        if found is None:
            raise missing([(kind, key)])
        return str(found[id_name])
