"""Master data: records under the ERP's own id (`Upsert`), and small lists whose records have a name (`Named`)."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, ClassVar

from ap_connectors.core.errors import Reject
from ap_connectors.core.raw_json import JsonObject
from ap_connectors.singer.sink import UNCHANGED, Outcome
from ap_connectors.vicai.client import Refused
from target_vicai.context import ResourceSpec
from target_vicai.sink import EXTERNAL, OLDER, TEXT, Item, VicSink

_FRESH_SECONDS = 10.0
"""A record of Vic's that is older is read again before its values are sent back: somebody may have changed it there."""


class Upsert(VicSink):
    """Records with an `externalId`, written by PUT and deleted by that id.

    Attributes:
        delete_operation: the operation that deletes a record.
        create_operation: the operation that makes a new one, where PUT does not.
    """

    resource: ClassVar[ResourceSpec]
    mirrored = True
    delete_operation: ClassVar[str]
    create_operation: ClassVar[str | None] = None

    def compare(self, item: Item) -> Outcome | None:
        """Compare with Vic's copy; equal records are done with."""
        if item.deleted or not self._compares(item) or self.context.reads_singly(self.name):
            return None
        try:
            body = self.resolve(item)
        except Reject:
            # A parent that is not there yet, or a name that several records have: `load` deals with it.
            return None
        return self._compared(body, self._present(item.key))

    def load(self, item: Item) -> Outcome:
        """Write a record if it differs from what Vic has."""
        body = self.resolve(item)
        present = self._present(item.key) if self._reads(item) else None
        if present is not None and self._is_stale(present):
            present = self.context.fetch(self.name, item.key)
        if self._compares(item) and (outcome := self._compared(body, present)):
            return outcome
        if present is None:
            return self._create(item.key, body)
        self._put(item.key, self.whole(body, present), present)
        return Outcome("updated", self.changes(body, present))

    def delete(self, item: Item) -> Outcome:
        """Delete a record by the ERP's id."""
        present = self._present(item.key)
        if present is None:
            return UNCHANGED
        if self.is_older(item.body, present):
            return OLDER
        outcome = self.call_delete(
            self.delete_operation, lambda: self.context.fetch(self.name, item.key), id=item.key, **EXTERNAL
        )
        self.context.forget(self.name, present["internalId"], item.key)
        return outcome

    def resolve(self, item: Item) -> JsonObject:
        """Return the body, with Vic's ids in place of references by name.

        Raises:
            Missing: a reference leads to nothing yet. Reject: it leads to several things.
        """
        return item.body

    # Reading

    def _compares(self, item: Item) -> bool:
        return self.context.options.compare or item.replayed is not None

    def _reads(self, item: Item) -> bool:
        return self._compares(item) or self.context.options.merge or self.create_operation is not None

    def _is_stale(self, present: JsonObject) -> bool:
        options = self.context.options
        return options.merge and not options.dry_run and self.context.age(self.name, present) > _FRESH_SECONDS

    def _present(self, key: str) -> JsonObject | None:
        if self.context.options.compare:
            return self.context.find(self.name, key)
        # A load that writes all records writes many: the list is cheaper.
        return next(iter(self.context.cache(self.name).by_key(key)), None)

    def _compared(self, body: JsonObject, present: JsonObject | None) -> Outcome | None:
        if present is None:
            return None
        if self.is_older(body, present):
            return OLDER
        return None if self.changes(body, present) else UNCHANGED

    # Writing

    def _put(self, key: str, body: JsonObject, present: JsonObject | None) -> None:
        answer = self.context.writer.send(self.operation, self.complete(body), id=key, useSystem="EXTERNAL")
        self.context.learn(self.name, answer, instead_of=present)

    def _create(self, key: str, body: JsonObject) -> Outcome:
        if self.create_operation is None:
            self._put(key, body, None)
            return Outcome("created")
        try:
            answer = self.context.writer.send(
                self.create_operation, self.complete(body), find_done=lambda: self.context.fetch(self.name, key)
            )
        except Refused:
            # Somebody else may have created it since we read the list.
            if (found := self.context.fetch(self.name, key)) is None:
                raise
            self._put(key, self.whole(body, found), found)
            return Outcome("updated", self.changes(body, found))
        self.context.learn(self.name, answer)
        return Outcome("created")


class Accounts(Upsert):
    """Accounts of the general ledger (Accounts)."""

    name, operation, component = "accounts", "upsertAccount", "Account"
    delete_operation = "deleteAccount"
    resource = ResourceSpec("account", "listAccounts", "getAccount")


class Dimensions(Upsert):
    """Dimensions: departments, projects and the like (Dimensions).

    PUT still creates new ones, but Vic.ai has announced the end of that; so POST does.
    """

    name, operation, component = "dimensions", "upsertDimension", "Dimension"
    delete_operation, create_operation = "deleteDimension", "createDimension"
    resource = ResourceSpec("dimension", "listDimensions", "getDimension")


class VatCodes(Upsert):
    """VAT codes (VAT codes)."""

    name, operation, component = "vat_codes", "upsertVatCode", "VatCode"
    delete_operation = "deleteVatCode"
    resource = ResourceSpec("VAT code", "listVatCodes", "getVatCode")


class Vendors(Upsert):
    """Vendors (Vendors). Their PUT clears every field that is left out."""

    name, operation, component = "vendors", "upsertVendor", "Vendor"
    delete_operation = "deleteVendor"
    resource = ResourceSpec("vendor", "listVendors", "getVendor")
    omitted_is_cleared = True
    extras: ClassVar[dict[str, Any]] = {"paymentTermName": TEXT, "vendorGroupName": TEXT}
    # By name: the field for Vic's id, and the resource.
    _named: ClassVar = {
        "paymentTermName": ("paymentTermId", "payment_terms"),
        "vendorGroupName": ("vendorGroupId", "vendor_groups"),
    }

    def resolve(self, item: Item) -> JsonObject:
        """Return the body, with Vic's ids in place of the names of the payment term and the vendor group."""
        ids = {}
        for field, (id_field, resource) in self._named.items():
            if field in item.extras and item.body.get(id_field) is None:
                name = item.extras[field]
                ids[id_field] = None if name is None else self._id(resource, name)
        return {**item.body, **ids} if ids else item.body

    def _id(self, resource: str, name: str) -> str:
        self.context.await_parents([(resource, name)])
        found = self.context.find_one(resource, name)
        if found is None:
            raise self.context.missing([(resource, name)])
        return str(found["id"])


class Named(VicSink):
    """Records that are found by Vic's `id` if that is given and known, else by their name.

    Attributes:
        operation: creates a record.
        update_operation: changes one; None if Vic has none.
        delete_operation: deletes one; None if Vic has none.
    """

    update_operation: ClassVar[str | None] = None
    delete_operation: ClassVar[str | None] = None
    resource: ClassVar[ResourceSpec]
    extras: ClassVar[dict[str, Any]] = {"id": TEXT}

    @property
    def _name_field(self) -> str:
        return self.resource.key[0]

    def key(self, body: JsonObject, extras: JsonObject) -> str:
        """Return the name, or the id of something that is to be deleted."""
        key = body.get(self._name_field) or extras.get("id")
        if not key:
            raise Reject(f"{self._name_field} is missing: it is the record's key.")
        return str(key)

    def order_key(self, key: str, body: JsonObject, extras: JsonObject) -> Hashable:  # noqa: ARG002
        """Keep all records of a stream in order: a name may pass from one record to another. The lists are small."""
        return (self.name,)

    def compare(self, item: Item) -> Outcome | None:
        """Compare with Vic's copy; equal records are done with."""
        if item.deleted:
            return None
        found = self._found(item)
        return UNCHANGED if len(found) == 1 and not self.changes(item.body, found[0]) else None

    def load(self, item: Item) -> Outcome:
        """Create what is not there, and change what differs."""
        present = self._one(item)
        if present is None:
            body = self.complete(item.body)
            answer = self.context.writer.send(self.operation, body, find_done=lambda: self._created(item))
            self.context.learn(self.name, answer)
            return Outcome("created")
        changes = self.changes(item.body, present)
        if not changes:
            return UNCHANGED
        if self.update_operation is None:
            told = ", ".join(f"{one.path} is {one.old} at Vic.ai and {one.new} in the record" for one in changes)
            raise Reject(f"Vic.ai offers no way to change these: {told}.")
        body = self.complete(self.whole(item.body, present))
        answer = self.context.writer.send(self.update_operation, body, id=present["id"])
        self.context.learn(self.name, answer, instead_of=present)
        return Outcome("updated", changes)

    def delete(self, item: Item) -> Outcome:
        """Delete by Vic's id, or by name."""
        if self.delete_operation is None:
            return super().delete(item)
        present = self._one(item)
        if present is None:
            return UNCHANGED
        id_ = present["id"]
        outcome = self.call_delete(self.delete_operation, lambda: self.context.read_again(self.name).by_id(id_), id=id_)
        self.context.forget(self.name, id_, item.key)
        return outcome

    def _found(self, item: Item) -> list[JsonObject]:
        cache = self.context.cache(self.name)
        id_ = item.extras.get("id")
        if id_ and (known := cache.by_id(id_)) is not None:
            return [known]
        name = item.body.get(self._name_field)
        return cache.by_key(name) if name else []

    def _one(self, item: Item) -> JsonObject | None:
        found = self._found(item)
        if len(found) > 1:
            raise Reject(f"Vic.ai has {len(found)} of the {self._name_field} {item.key}: give the id of one of them.")
        return found[0] if found else None

    def _created(self, item: Item) -> JsonObject | None:
        """Look in Vic's list of now for what we may have created a moment ago."""
        return next(iter(self.context.read_again(self.name).by_key(item.body[self._name_field])), None)


class VendorGroups(Named):
    """Groups of vendors (Vendor groups)."""

    name, operation, component = "vendor_groups", "createVendorGroup", "VendorGroup"
    update_operation, delete_operation = "updateVendorGroup", "deleteVendorGroup"
    resource = ResourceSpec("vendor group", "listVendorGroups", key=("name",))


class Tags(Named):
    """Tags that vendors can have (Tags)."""

    name, operation, component = "tags", "createTag", "Tag"
    update_operation, delete_operation = "updateTag", "deleteTag"
    resource = ResourceSpec("tag", "listTags", key=("value",))


class PaymentTerms(Named):
    """Payment terms (Payment terms)."""

    name, operation, component = "payment_terms", "createPaymentTerm", "PaymentTerm"
    update_operation, delete_operation = "updatePaymentTerm", "deletePaymentTerm"
    resource = ResourceSpec("payment term", "listPaymentTerms", key=("name",))


class TaxCodes(Named):
    """Tax codes (Tax codes): Vic can create and list them, nothing else."""

    name, operation, component = "tax_codes", "createTaxCode", "TaxCode"
    resource = ResourceSpec("tax code", "getTaxCodes", key=("code",))
