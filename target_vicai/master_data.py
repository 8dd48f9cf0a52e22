"""Master data: records under the ERP's own id (`Upsert`), and small lists whose records have a name (`Named`)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, ClassVar

from msgspec import structs

from ap_connectors.core.errors import Reject
from ap_connectors.core.raw_json import JsonObject
from ap_connectors.singer.sink import UNCHANGED, Outcome
from ap_connectors.vicai import contract
from ap_connectors.vicai.client import Refused
from target_vicai.compared_sink import ComparedSink, Comparison
from target_vicai.context import Reference, ResourceSpec
from target_vicai.item import Item, as_param, missing_key
from target_vicai.record_cache import Reading
from target_vicai.sink import EXTERNAL, TEXT


class Upsert(ComparedSink):
    """Records with an `externalId`, written by PUT and deleted by that id.

    Attributes:
        delete_operation: the operation that deletes a record.
        create_operation: the operation that creates a record, where PUT does not.
        references: by a field of `extras` that names a record of another resource, the body's field for Vic's id of
            that, and the resource.
    """

    resource: ClassVar[ResourceSpec]
    mirrored = True
    delete_operation: ClassVar[str]
    create_operation: ClassVar[str | None] = None
    references: ClassVar[Mapping[str, tuple[str, str]]] = {}

    def can_compare(self, item: Item) -> bool:
        """Return whether a record can be compared without a request of its own."""
        return self.writes_only_changes(item) and not self.context.reads_singly(self.name)

    def comparison(self, item: Item, *, fresh: bool = False) -> Comparison:
        """Compare a record with Vic's copy, references resolved."""
        body, parents = self._resolved(item)
        found, compares = self._found(item), self.writes_only_changes(item)
        if fresh and found is not None and self.is_old(found.at):
            found = self.context.fetch(self.name, item.key)
        if found is not None and compares and (older := self.older(body, found.record)):
            return Comparison(body, found.record, found.at, outcome=older, parents=parents)
        if found is not None and self.context.options.merge:
            body = _beside_others(body, found.record)
        if found is None:
            body, aside = self.adjusted(item, body, None)
            return Comparison(body, parents=parents, aside=aside)
        changes, aside, outcome = self.changes(body, found.record), (), None
        # What does not differ at all, as most records of a load, needs no look at what may be written of it.
        if changes or not compares:
            adjusted, aside = self.adjusted(item, body, found.record)
            if adjusted is not body:
                body, changes = adjusted, self.changes(adjusted, found.record)
        if compares and not changes:
            outcome = replace(UNCHANGED, aside=aside) if aside else UNCHANGED
        return Comparison(body, found.record, found.at, changes, outcome, parents, aside=aside)

    def adjusted(
        self,
        item: Item,  # noqa: ARG002
        body: JsonObject,
        present: JsonObject | None,  # noqa: ARG002
    ) -> tuple[JsonObject, tuple[Reject, ...]]:
        """Return the body to write, and why parts of the record are set aside by themselves."""
        return body, ()

    def write(self, item: Item, compared: Comparison) -> Outcome:
        """Create a record, or write what differs."""
        if compared.present is None:
            return self._create(item.key, compared.body)
        self._put(item.key, self.whole(compared.body, compared.present), compared.present)
        return Outcome("updated", compared.changes)

    def delete(self, item: Item) -> Outcome:
        """Delete a record by the ERP's id."""
        found = self._found(item)
        if found is None:
            return UNCHANGED
        if older := self.older(item.body, found.record):
            return older
        outcome = self.call_delete(
            self.delete_operation, lambda: self.context.fetch(self.name, item.key), id=item.key, **EXTERNAL
        )
        self.context.forget(self.name, found.record["internalId"], item.key)
        return outcome

    def is_old(self, read_at: float | None) -> bool:
        """Return whether Vic's copy is too old to be sent back; only `merge` does that."""
        return self.context.options.merge and super().is_old(read_at)

    def _resolved(self, item: Item) -> tuple[JsonObject, dict[Reference, float]]:
        """Return the body with Vic's ids in place of names, and what they were found by."""
        body, parents = item.body, {}
        for field, (id_field, resource) in self.references.items():
            if field in item.extras and item.body.get(id_field) is None:
                name, id_ = item.extras[field], None
                if name is not None:
                    parent = self.find_parent(resource, name)
                    parents[resource, name], id_ = parent.at, str(parent.record["id"])
                body = {**body, id_field: id_}
        return body, parents

    def _found(self, item: Item) -> Reading | None:
        options = self.context.options
        if options.compare:
            return self.context.find(self.name, item.key)
        if item.deleted or self.writes_only_changes(item) or options.merge or self.create_operation is not None:
            # A load that writes all records writes many: the list is cheaper.
            return next(iter(self.context.cache(self.name).by_key(item.key)), None)
        return None

    def _put(self, key: str, body: JsonObject, present: JsonObject | None) -> None:
        answer = self.context.writer.send(self.operation, self.require_complete(body), id=key, useSystem="EXTERNAL")
        self.context.learn(self.name, answer, instead_of=present)

    def _create(self, key: str, body: JsonObject) -> Outcome:
        if self.create_operation is None:
            self._put(key, body, None)
            return Outcome("created")

        def find_done() -> JsonObject | None:
            found = self.context.fetch(self.name, key)
            return found and found.record

        try:
            answer = self.context.writer.send(self.create_operation, self.require_complete(body), find_done=find_done)
        except Refused:
            # Somebody else may have created it since we read the list.
            if (found := find_done()) is None:
                raise
            self._put(key, self.whole(body, found), found)
            return Outcome("updated", self.changes(body, found))
        self.context.learn(self.name, answer)
        return Outcome("created")


def _beside_others(body: JsonObject, present: JsonObject) -> JsonObject:
    """Return a body of tap-saft's with what other systems keep beside `saft` in the free-form object.

    All other free-form objects are the ERP's, as wholes.
    """
    for name in ("externalData", "remoteData"):
        ours = body.get(name)
        if isinstance(ours, dict) and ours.keys() == {"saft"} and isinstance(theirs := present.get(name), dict):
            body = {**body, name: {**theirs, **ours}}
    return body


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
    resource = ResourceSpec("VAT code", "listVatCodes", "getVatCode", second_key="code")
    extras: ClassVar[dict[str, Any]] = {"formerExternalId": TEXT}

    def parse(self, record: Mapping[str, Any], rejected: Mapping[str, Any] | None) -> Item:
        """Return a record; under its former key (tap-saft), if Vic.ai has that and not the new one.

        Tax codes had no type in their key in 0.1.0: under a new key each would be a second one, and what refers to the
        old one would stay behind.
        """
        item = super().parse(record, rejected)
        if code := item.body.get("code"):
            self.context.vat_codes_coming[code] = item.key
        former = item.extras.get("formerExternalId")
        if former and former != item.key and self.context.find(self.name, item.key) is None:
            found = self.context.find(self.name, former)
            if found is not None and found.record.get("code") == item.body.get("code"):
                body = {**item.body, self.key_field: former}
                item = structs.replace(
                    item,
                    key=former,
                    order_key=self.order_key(former, body, item.extras),
                    body=body,
                    provides=(self.name, former),
                )
        return item


class Named(ComparedSink):
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

    @property
    def list_keys(self) -> Sequence[str]:
        """Fields that tell the rows of a list apart."""
        return ("id", self._name_field)

    def key(self, body: JsonObject, extras: JsonObject) -> str:
        """Return the name, or the id of something that is to be deleted."""
        key = body.get(self._name_field) or extras.get("id")
        if not key:
            raise missing_key(self._name_field)
        return str(key)

    def order_key(self, key: str, body: JsonObject, extras: JsonObject) -> Hashable:  # noqa: ARG002
        """Keep all records of a stream in order: a name may pass from one record to another. The lists are small."""
        return (self.name,)

    def can_compare(self, item: Item) -> bool:  # noqa: ARG002
        """Return True: the lists are small, and read whatever `compare` is."""
        return True

    def comparison(self, item: Item, *, fresh: bool = False) -> Comparison:  # noqa: ARG002
        """Compare a record with Vic's copy."""
        present = self._found(item)
        if present is None:
            return Comparison(item.body)
        changes = self.changes(item.body, present)
        return Comparison(item.body, present, changes=changes, outcome=None if changes else UNCHANGED)

    def is_current(self, item: Item, compared: Comparison) -> bool:  # noqa: ARG002
        """Return True: no other record of the stream is applied in between, for all have one order key."""
        return True

    def write(self, item: Item, compared: Comparison) -> Outcome:
        """Create what is not there, and change what differs."""
        present, changes = compared.present, compared.changes
        if present is None:
            body = self.require_complete(item.body)
            answer = self.context.writer.send(self.operation, body, find_done=lambda: self._created(item))
            self.context.learn(self.name, answer)
            return Outcome("created")
        if self.update_operation is None:
            told = ", ".join(f"{one.path} is {one.old} at Vic.ai and {one.new} in the record" for one in changes)
            raise Reject(
                f"Vic.ai offers no way to change these: {told}. Send the record as it is there.",
                "not_changeable",
                fields=[one.path for one in changes],
            )
        body = self.require_complete(self.whole(item.body, present))
        answer = self.context.writer.send(self.update_operation, body, id=present["id"])
        self.context.learn(self.name, answer, instead_of=present)
        return Outcome("updated", changes)

    def delete(self, item: Item) -> Outcome:
        """Delete by Vic's id, or by name."""
        if self.delete_operation is None:
            return super().delete(item)
        present = self._found(item)
        if present is None:
            return UNCHANGED
        id_ = present["id"]
        self.context.approval.compared(present, self.body_schema.members)
        outcome = self.call_delete(self.delete_operation, lambda: self.context.read_again(self.name).by_id(id_), id=id_)
        self.context.forget(self.name, id_, item.key)
        return outcome

    def _found(self, item: Item) -> JsonObject | None:
        cache = self.context.cache(self.name)
        id_, name = item.extras.get("id"), item.body.get(self._name_field)
        if id_ and (known := cache.by_id(id_)) is not None:
            return known
        found = cache.by_key(name) if name else []
        if len(found) > 1:
            raise self.context.ambiguous(self.name, item.key, len(found))
        return found[0].record if found else None

    def _created(self, item: Item) -> JsonObject | None:
        """Look in Vic's list of now for what we may have created a moment ago."""
        found = self.context.read_again(self.name).by_key(item.body[self._name_field])
        return found[0].record if found else None


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

    def contract_schema(self) -> contract.Schema:
        """Return the contract's schema, in which a discount has no end: none gives more than the whole amount."""
        schema = contract.inlined(super().contract_schema())
        discount = schema["properties"]["discountPercentage"]
        limited = {**discount, "oneOf": [{**one, "maximum": 100} for one in discount["oneOf"]]}
        return {**schema, "properties": {**schema["properties"], "discountPercentage": limited}}


class TaxCodes(Named):
    """Tax codes (Tax codes): Vic can create and list them, nothing else."""

    name, operation, component = "tax_codes", "createTaxCode", "TaxCode"
    resource = ResourceSpec("tax code", "getTaxCodes", key=("code",))

    def write(self, item: Item, compared: Comparison) -> Outcome:
        """Create a tax code, if its rate is a fraction: it stays as it is for ever.

        The document shows "0.25" and says no more; from 1 on it can only be meant in per cent.
        """
        rate = item.body.get("rate")
        if compared.present is None and rate is not None and not 0 <= Decimal(rate) < 1:
            raise Reject(
                f"rate is {rate}, and Vic.ai's tax codes have fractions: 25 % is 0.25. A tax code can never be changed "
                "or deleted, so it is not sent like this. Send the rate divided by 100.",
                "not_a_fraction",
                field="rate",
                value=as_param(rate),
            )
        return super().write(item, compared)
