"""What the ERP finds wrong with vendors, for Vic.ai to show."""

from __future__ import annotations

from typing import Any, ClassVar

from ap_connectors.core.errors import Reject
from ap_connectors.singer.diff import Change, diff
from ap_connectors.singer.sink import UNCHANGED, Outcome
from target_vicai.copy import Plain
from target_vicai.loader import TEXT, Item, Loader
from target_vicai.postings import internal_id

_INTERNAL = {"useSystem": "INTERNAL"}


class VendorErrors(Loader):
    """Errors of vendors (Vendors, errors): a record's list takes the place of Vic's, an empty one clears it.

    The vendor is known by Vic's id.
    """

    name, body_of, component = "vendor_errors", "setVendorRemoteErrors", "Vendor"
    extras: ClassVar[dict[str, Any]] = {"internalId": TEXT}

    def key(self, body: Plain, extras: Plain) -> str:  # noqa: ARG002
        """Return Vic's id of the vendor."""
        return internal_id(extras, "vendor")

    def load(self, item: Item) -> Outcome:
        """Set the errors if Vic shows others."""
        body = self.complete(item.body)
        differences = self._differences(item.key, body)
        if not differences:
            return UNCHANGED

        def find_done() -> Plain | None:
            return None if self._differences(item.key, body) else {}

        if body["errors"]:
            self.vic.hands.send(self.body_of, body, find_done=find_done, id=item.key, **_INTERNAL)
        else:
            self.vic.hands.send("clearVendorRemoteErrors", find_done=find_done, id=item.key, **_INTERNAL)
        return Outcome("updated", tuple(differences))

    def _differences(self, key: str, body: Plain) -> list[Change]:
        found = self.vic.client.found("getVendor", id=key, **_INTERNAL)
        if found is None:
            raise Reject(f"Vic.ai has no vendor with the internalId {key}.")
        return diff(self.body_shape, body, found, readable=self.readable)
