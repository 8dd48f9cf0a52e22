"""Accounts, dimensions, vendors and VAT codes: written under the ERP's own id."""

from __future__ import annotations

from typing import Any, ClassVar

from ap_connectors.core.errors import Reject
from ap_connectors.singer.diff import Change, diff, merge_missing
from ap_connectors.singer.sink import UNCHANGED, Outcome
from ap_connectors.vicai.client import Refused
from target_vicai.copy import Plain
from target_vicai.loader import OLDER, TEXT, Item, Loader, external_id
from target_vicai.vic import missing

_FRESH = 10.0
"""Seconds after which a value of Vic's is read again before it is sent back: somebody may have changed it there."""


class Upsert(Loader):
    """Records with an `externalId`, written by PUT and deleted by that id.

    A subclass names the operations: `get` and `drop`; `create` is the one that makes new ones where PUT does not.
    """

    get: ClassVar[str]
    drop: ClassVar[str]
    create: ClassVar[str | None] = None

    def key(self, body: Plain, extras: Plain) -> str:  # noqa: ARG002
        """Return the ERP's id."""
        return external_id(body)

    def compare(self, item: Item) -> Outcome | None:
        """Compare with Vic's copy; equal records are done with."""
        if item.deleted or not self._compares(item) or self.vic.asks_singly(self.name):
            return None
        try:
            body = self.resolved(item)
        except Reject:
            # A parent that is not there yet, or that has two namesakes: `load` deals with it.
            return None
        return self._compared(body, self._present(item.key))

    def load(self, item: Item) -> Outcome:
        """Write a record if it differs from what Vic has."""
        body = self.resolved(item)
        present = self._present(item.key) if self._reads(item) else None
        if present is not None and self._is_stale(present):
            present = self.vic.fresh(self.name, item.key)
        if self._compares(item) and (outcome := self._compared(body, present)):
            return outcome
        if present is None:
            return self._made(item.key, self.complete(body))
        whole = merge_missing(self.body_shape, body, present) if self.vic.ways.merge else self.emptied(body, present)
        self._put(item.key, self.complete(whole), present)
        return Outcome("updated", self._differences(body, present))

    def delete(self, item: Item) -> Outcome:
        """Delete a record by the ERP's id."""
        present = self._present(item.key)
        if present is None:
            return UNCHANGED
        if self.is_older(item.body, present):
            return OLDER
        outcome = self.dropped(self.drop, lambda: self._gone(item.key), id=item.key, useSystem="EXTERNAL")
        self.vic.forget(self.name, present["internalId"], item.key)
        return outcome

    def resolved(self, item: Item) -> Plain:
        """Return the body, with Vic's ids in place of natural references.

        Raises:
            Missing: a reference leads nowhere yet. Reject: it leads to several things.
        """
        return item.body

    # Reading

    def _compares(self, item: Item) -> bool:
        return self.vic.ways.compare or item.replayed is not None

    def _reads(self, item: Item) -> bool:
        return self._compares(item) or self.vic.ways.merge or self.create is not None

    def _is_stale(self, present: Plain) -> bool:
        ways = self.vic.ways
        return ways.merge and not ways.dry_run and self.vic.age(self.name, present) > _FRESH

    def _present(self, key: str) -> Plain | None:
        if self.vic.ways.compare:
            return self.vic.record(self.name, key)
        # Whoever writes all writes much: the list is cheaper.
        return next(iter(self.vic.copy(self.name).of(key)), None)

    def _compared(self, body: Plain, present: Plain | None) -> Outcome | None:
        if present is None:
            return None
        if self.is_older(body, present):
            return OLDER
        return None if self._differences(body, present) else UNCHANGED

    def _differences(self, body: Plain, present: Plain) -> tuple[Change, ...]:
        found = diff(self.body_shape, body, present, readable=self.readable, clears=not self.vic.ways.merge)
        return self.clearable(found, body)

    # Writing

    def _put(self, key: str, body: Plain, present: Plain | None) -> None:
        answer = self.vic.hands.send(self.body_of, body, id=key, useSystem="EXTERNAL")
        self.vic.learn(self.name, answer, instead_of=present)

    def _made(self, key: str, body: Plain) -> Outcome:
        if self.create is None:
            self._put(key, body, None)
            return Outcome("created")
        try:
            answer = self.vic.hands.send(self.create, body, find_done=lambda: self.vic.fresh(self.name, key))
        except Refused:
            # Somebody else may have made it since we read the list.
            if (found := self.vic.fresh(self.name, key)) is None:
                raise
            whole = merge_missing(self.body_shape, body, found) if self.vic.ways.merge else self.emptied(body, found)
            self._put(key, self.complete(whole), found)
            return Outcome("updated", self._differences(body, found))
        self.vic.learn(self.name, answer)
        return Outcome("created")

    def _gone(self, key: str) -> Plain | None:
        return {} if self.vic.client.found(self.get, id=key, useSystem="EXTERNAL") is None else None


class Accounts(Upsert):
    """Accounts of the general ledger (Accounts)."""

    name, body_of, component = "accounts", "upsertAccount", "Account"
    get, drop = "getAccount", "deleteAccount"


class Dimensions(Upsert):
    """Dimensions: departments, projects and the like (Dimensions). PUT is to stop making new ones, so POST does."""

    name, body_of, component = "dimensions", "upsertDimension", "Dimension"
    get, drop, create = "getDimension", "deleteDimension", "createDimension"


class VatCodes(Upsert):
    """VAT codes (VAT codes)."""

    name, body_of, component = "vat_codes", "upsertVatCode", "VatCode"
    get, drop = "getVatCode", "deleteVatCode"


class Vendors(Upsert):
    """Vendors (Vendors). Their PUT clears every field that is left out."""

    name, body_of, component = "vendors", "upsertVendor", "Vendor"
    get, drop = "getVendor", "deleteVendor"
    omitted_is_cleared = True
    extras: ClassVar[dict[str, Any]] = {"paymentTermName": TEXT, "vendorGroupName": TEXT}
    # By name, what the field with Vic's id is called, and where to look.
    _named: ClassVar = {
        "paymentTermName": ("paymentTermId", "payment_terms"),
        "vendorGroupName": ("vendorGroupId", "vendor_groups"),
    }

    def resolved(self, item: Item) -> Plain:
        """Put Vic's ids in place of the names of the payment term and the vendor group."""
        ids = {}
        for field, (target, kind) in self._named.items():
            if field in item.extras and item.body.get(target) is None:
                name = item.extras[field]
                ids[target] = None if name is None else self._id(kind, name)
        return {**item.body, **ids} if ids else item.body

    def _id(self, kind: str, name: str) -> str:
        self.vic.await_parents([(kind, name)])
        found = self.vic.only(kind, name)
        if found is None:
            raise missing([(kind, name)])
        return str(found["id"])
