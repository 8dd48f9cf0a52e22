"""Vendors: the ERP's, whose bank details are watched, and those that documents name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from msgspec import structs

from ap_connectors.core.errors import Reject
from ap_connectors.core.raw_json import JsonObject
from ap_connectors.singer.diff import Change, diff, merge_missing
from ap_connectors.singer.schema import ObjectSchema, canonical
from ap_connectors.singer.sink import UNCHANGED, ListColumns, Outcome
from target_vicai import bank_details
from target_vicai.compared_sink import Comparison
from target_vicai.context import ResourceSpec
from target_vicai.document_vendors import (
    FIELDS,
    FORMER_MARK,
    MARK,
    NO_ERP_TIME,
    STEMS_FROM_A_DOCUMENT,
    DocumentVendor,
    aliases,
    is_of_documents,
    vendor_of,
)
from target_vicai.item import Item
from target_vicai.master_data import Upsert
from target_vicai.record_cache import Reading
from target_vicai.sink import EXTERNAL, OF_DOCUMENTS, TEXT

_NAME_AND_ADDRESS = ("name", "addressStreet", "addressCity", "addressState", "addressPostalCode")

_WITHOUT_ID = "Vic.ai has the vendor without an external id; it is left as it is"
_NEVER_DELETED = "a document does not delete a vendor; it is left as it is"


class Vendors(Upsert):
    """Vendors (Vendors). Their PUT clears every field that is left out.

    A record with `documentVendor` finds its vendor at Vic.ai or makes a new one, whatever the other settings are. What
    exists is left alone, but for name and address where the mark says `update`.
    """

    name, operation, component = "vendors", "upsertVendor", "Vendor"
    delete_operation = "deleteVendor"
    resource = ResourceSpec("vendor", "listVendors", "getVendor", aliases=aliases)
    omitted_is_cleared = True
    extras: ClassVar[dict[str, Any]] = {
        "paymentTermName": {**TEXT, "description": "Name of the payment term, in place of paymentTermId."},
        "vendorGroupName": {**TEXT, "description": "Name of the vendor group, in place of vendorGroupId."},
        **FIELDS,
    }
    references: ClassVar[Mapping[str, tuple[str, str]]] = {
        "paymentTermName": ("paymentTermId", "payment_terms"),
        "vendorGroupName": ("vendorGroupId", "vendor_groups"),
    }

    @property
    def list_columns(self) -> ListColumns:
        """What the columns of a person's list are called; a field that marks vendors of documents is not among them."""
        columns = super().list_columns
        former = {STEMS_FROM_A_DOCUMENT: OF_DOCUMENTS.format(STEMS_FROM_A_DOCUMENT)}
        return replace(columns, refused={**columns.refused, **former})

    def as_marked(self, item: Item, unknown: JsonObject) -> Item:
        """Return a record; one that a document made has the key of the vendor that is found for it.

        Raises:
            Reject: it is not clear which vendor that is.
        """
        vendors = self.context.document_vendors
        is_old = bool(unknown) and any(
            value is not None and canonical(name) == FORMER_MARK for name, value in unknown.items()
        )
        if item.extras.get(MARK) is None and not is_old:
            vendors.others_wait = True
            return item
        self.lists_all = False
        vendor = vendor_of(item.extras.get(MARK) or {}, item.key, item.body)
        key = vendors.announced(vendor, item.body.get(bank_details.FIELD)).key or item.key
        extras = {**item.extras, MARK: replace(vendor, key=key)}
        return structs.replace(item, key=key, order_key=(self.name, key), extras=extras, provides=(self.name, key))

    def compare(self, item: Item) -> Outcome | Comparison | None:
        """Return the outcome if nothing is to be written. What a document or an approval changes is read anew first."""
        compared = super().compare(item)
        if isinstance(compared, Outcome):
            return compared
        return None if MARK in item.extras or _is_awaited(item) else compared

    def can_compare(self, item: Item) -> bool:
        """Return whether a record can be compared without a request of its own; for documents Vic's list is read."""
        return MARK in item.extras or (super().can_compare(item) and not _is_awaited(item))

    def apply(self, item: Item, compared: Comparison | None = None) -> Outcome:
        """Load or delete; a document deletes nothing."""
        if item.deleted and MARK in item.extras:
            return Outcome("unchanged", note=_NEVER_DELETED)
        return super().apply(item, compared)

    def comparison(self, item: Item, *, fresh: bool = False) -> Comparison:
        """Compare a record with Vic's copy: all of it, or what a document or an approval may change."""
        if (vendor := item.extras.get(MARK)) is not None:
            return self._of_document(item, vendor, fresh=fresh)
        return self._of_approval(item) if _is_awaited(item) else super().comparison(item, fresh=fresh)

    def write(self, item: Item, compared: Comparison) -> Outcome:
        """Create a vendor, or write what differs; tell each bank detail that changes."""
        present = compared.present
        if present is None:
            outcome = self._make(item, compared.body) if MARK in item.extras else super().write(item, compared)
            return replace(outcome, aside=compared.aside) if compared.aside else outcome
        whole = self._over(item, compared.body, present)
        self._put(item.key, whole, present)
        if MARK in item.extras and item.key in self.context.document_vendors.made:
            self.context.document_vendors.made[item.key] = item.extras[MARK].date
        found = bank_details.changes(present, whole)
        return Outcome("updated", compared.changes, compared.note, compared.aside, found)

    def _over(self, item: Item, body: JsonObject, present: JsonObject) -> JsonObject:
        """Return the body to write over Vic's; what a document or an approval does not name stays, in any mode."""
        if _is_awaited(item):
            others = merge_missing(self.body_schema, {}, present)
            return {name: value for name, value in {**others, **body}.items() if value != {}}
        if MARK in item.extras:
            return merge_missing(self.body_schema, body, present)
        return self.whole(body, present)

    def owns(self, record: JsonObject) -> bool:
        """Return whether a full load of the ERP's may delete a vendor: not one that only documents know."""
        return not is_of_documents(record)

    # The ERP's

    def adjusted(
        self, item: Item, body: JsonObject, present: JsonObject | None
    ) -> tuple[JsonObject, tuple[Reject, ...]]:
        """Set aside account numbers that cannot be right, and changes of bank details that are to be held."""
        aside: tuple[Reject, ...] = ()
        if present is None:
            return bank_details.checked(body, None)
        if not bank_details.are_at_vic(body, present):
            body, aside = bank_details.checked(body, present)
            body = self._kept(body, present) if aside else bank_details.as_spelled_at_vic(body, present)
        if self.context.options.hold_bank_changes and (
            found := bank_details.changes(present, self.whole(body, present))
        ):
            body, aside = self._kept(body, present), (*aside, bank_details.held(item.key, found))
        return body, aside

    def _kept(self, body: JsonObject, present: JsonObject) -> JsonObject:
        return bank_details.kept(body, present, self._payment_info.members)

    @property
    def _payment_info(self) -> ObjectSchema:
        member = self.body_schema.members[bank_details.FIELD]
        assert isinstance(member, ObjectSchema)  # noqa: S101 - the contract says so
        return member

    def _found(self, item: Item) -> Reading | None:
        # A change of bank details is told and held whatever the settings are, so Vic's copy is always needed.
        looks = self.context.options.compare
        return super()._found(item) if looks else next(iter(self.context.cache(self.name).by_key(item.key)), None)

    def _of_approval(self, item: Item) -> Comparison:
        """Compare the bank details that an earlier run held with Vic's of now; only they are written.

        Raises:
            Reject: they are not approved, or Vic's have changed since.
        """
        mark = item.rejected or {}
        wanted = bank_details.awaited(mark)
        found = self.context.fetch(self.name, item.key)
        if found is None:
            missing = self.context.missing([(self.name, item.key)])
            raise Reject(str(missing), missing.code, **missing.params)
        present = found.record
        self.context.approval.compared(present, self.body_schema.members)
        there = bank_details.flat(present.get(bank_details.FIELD))
        open_ = [each for each in wanted if not bank_details.is_there(each.new, each.path, there)]
        who = str(mark.get("approved") or "").strip()
        moved = any(not bank_details.is_there(each.old, each.path, there) for each in open_)
        if moved or (open_ and not who and self.context.options.hold_bank_changes):
            raise bank_details.held(
                item.key, tuple(Change(each.path, bank_details.value_of(each.path, there), each.new) for each in open_)
            )
        body = bank_details.with_changes(present, open_, self._payment_info.members)
        _, wrong = bank_details.checked(body, present)
        if wrong:
            raise Reject.several(wrong)
        note = f"bank details approved by {who}" if who else None
        return Comparison(body, present, found.at, tuple(open_), None if open_ else UNCHANGED, note=note)

    # A document's

    def _of_document(self, item: Item, vendor: DocumentVendor, *, fresh: bool) -> Comparison:
        vendors = self.context.document_vendors
        known = vendors.at_vic(vendor)
        if fresh and (known is None or known.key is not None):
            # Another run may have made it since the list was read, or the ERP may have changed it a moment ago.
            self.context.fetch(self.name, (known and known.key) or item.key)
            known = vendors.at_vic(vendor)
        if known is None or known.id is None:
            body, aside = bank_details.checked({**item.body, "externalUpdatedAt": NO_ERP_TIME}, None)
            return Comparison(self.writable(body), aside=tuple(aside))
        present = self.context.cache(self.name).by_id(known.id) or {}
        self.context.approval.compared(present, self.body_schema.members)
        body, aside = self._allowed(item, vendor, present)
        changes = tuple(diff(self.body_schema, body, present, readable=self.read_schema))
        outcome = None
        if known.key is None:
            outcome = Outcome("unchanged", note=_WITHOUT_ID)
        elif not changes:
            outcome = replace(UNCHANGED, aside=aside)
            vendors.tell_of_account(known, item.body.get(bank_details.FIELD))
        return Comparison(body, present, changes=changes, outcome=outcome, aside=aside)

    def _allowed(
        self, item: Item, vendor: DocumentVendor, present: JsonObject
    ) -> tuple[JsonObject, tuple[Reject, ...]]:
        """Return what a document may change of a vendor that exists.

        That is nothing, or name and address. Only what documents of this very run have made, and the ERP has not seen
        yet, the newest of these documents completes.
        """
        told = {name: value for name, value in item.body.items() if value is not None}
        time = {"externalUpdatedAt": present.get("externalUpdatedAt") or NO_ERP_TIME}
        made = self.context.document_vendors.made.get(vendor.key)
        if made is not None and vendor.date >= made and is_of_documents(present):
            body, aside = bank_details.checked({**told, **time}, present)
            body = self._kept(body, present) if aside else bank_details.as_spelled_at_vic(body, present)
            return {name: value for name, value in body.items() if name != "externalId"}, tuple(aside)
        names = _NAME_AND_ADDRESS if vendor.update else ()
        return {name: told[name] for name in names if name in told} | time, ()

    def _make(self, item: Item, body: JsonObject) -> Outcome:
        """Create a vendor of a document. Repeated only after a look: the ERP may have written it in between."""

        def find_done() -> JsonObject | None:
            found = self.context.fetch(self.name, item.key)
            return found and found.record

        body = self.require_complete(body)
        answer = self.context.writer.send(self.operation, body, find_done=find_done, id=item.key, **EXTERNAL)
        self.context.learn(self.name, answer)
        self.context.document_vendors.made[item.key] = item.extras[MARK].date
        return Outcome("created")


def _is_awaited(item: Item) -> bool:
    """Return whether a line of a reject file holds a change of bank details."""
    return item.rejected is not None and item.rejected.get("code") == "bank_change" and not item.deleted
