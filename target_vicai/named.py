"""Vendor groups, tags, payment terms, tax codes: small lists whose records the ERP knows by name, or by Vic's id."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, ClassVar

from ap_connectors.core.errors import Reject
from ap_connectors.singer.diff import Change, diff, merge_missing
from ap_connectors.singer.sink import UNCHANGED, Outcome
from target_vicai.copy import Plain
from target_vicai.loader import TEXT, Item, Loader


class Named(Loader):
    """Records that are found by Vic's `id` if that is given and known, else by their name.

    A subclass says in `naming` which field holds the name, and in `change` and `drop` what Vic has for that, or None.
    """

    naming: ClassVar[str]
    change: ClassVar[str | None] = None
    drop: ClassVar[str | None] = None
    extras: ClassVar[dict[str, Any]] = {"id": TEXT}

    def key(self, body: Plain, extras: Plain) -> str:
        """Return the name, or the id of something that is to be deleted."""
        key = body.get(self.naming) or extras.get("id")
        if not key:
            raise Reject(f"{self.naming} is missing: it is the record's key.")
        return str(key)

    def order_key(self, key: str, body: Plain, extras: Plain) -> Hashable:  # noqa: ARG002
        """Keep all records of a stream in one lane: a name may pass from one thing to another. The lists are small."""
        return (self.name,)

    def compare(self, item: Item) -> Outcome | None:
        """Compare with Vic's copy; equal records are done with."""
        if item.deleted:
            return None
        found = self._found(item)
        return UNCHANGED if len(found) == 1 and not self._differences(item.body, found[0]) else None

    def load(self, item: Item) -> Outcome:
        """Create what is not there, and change what differs."""
        found = self._found(item)
        if len(found) > 1:
            raise Reject(f"Vic.ai has {len(found)} of the {self.naming} {item.key}: give the id of one of them.")
        if not found:
            body = self.complete(item.body)
            answer = self.vic.hands.send(self.body_of, body, find_done=lambda: self._made(item))
            self.vic.learn(self.name, answer)
            return Outcome("created")
        present = found[0]
        differences = self._differences(item.body, present)
        if not differences:
            return UNCHANGED
        if self.change is None:
            told = ", ".join(f"{one.path} is {one.old} at Vic.ai and {one.new} in the record" for one in differences)
            raise Reject(f"Vic.ai offers no way to change these: {told}.")
        body = (
            merge_missing(self.body_shape, item.body, present)
            if self.vic.ways.merge
            else self.emptied(item.body, present)
        )
        answer = self.vic.hands.send(self.change, self.complete(body), id=present["id"])
        self.vic.learn(self.name, answer, instead_of=present)
        return Outcome("updated", differences)

    def delete(self, item: Item) -> Outcome:
        """Delete by Vic's id, or by name."""
        if self.drop is None:
            return super().delete(item)
        found = self._found(item)
        if not found:
            return UNCHANGED
        if len(found) > 1:
            raise Reject(f"Vic.ai has {len(found)} of the {self.naming} {item.key}: give the id of the one to delete.")
        id_ = found[0]["id"]
        outcome = self.dropped(self.drop, lambda: self._gone(id_), id=id_)
        self.vic.forget(self.name, id_, item.key)
        return outcome

    def _found(self, item: Item) -> list[Plain]:
        copy = self.vic.copy(self.name)
        id_ = item.extras.get("id")
        if id_ and (known := copy.by_id(id_)) is not None:
            return [known]
        name = item.body.get(self.naming)
        return copy.of(name) if name else []

    def _differences(self, body: Plain, present: Plain) -> tuple[Change, ...]:
        clears = not self.vic.ways.merge
        return self.clearable(diff(self.body_shape, body, present, readable=self.readable, clears=clears), body)

    def _made(self, item: Item) -> Plain | None:
        """Look in Vic's list of now for what we may have created a moment ago."""
        return next(iter(self.vic.reread(self.name).of(item.body[self.naming])), None)

    def _gone(self, id_: str) -> Plain | None:
        return {} if self.vic.reread(self.name).by_id(id_) is None else None


class VendorGroups(Named):
    """Groups of vendors (Vendor groups)."""

    name, body_of, component, naming = "vendor_groups", "createVendorGroup", "VendorGroup", "name"
    change, drop = "updateVendorGroup", "deleteVendorGroup"


class Tags(Named):
    """Tags that vendors can bear (Tags)."""

    name, body_of, component, naming = "tags", "createTag", "Tag", "value"
    change, drop = "updateTag", "deleteTag"


class PaymentTerms(Named):
    """Payment terms (Payment terms)."""

    name, body_of, component, naming = "payment_terms", "createPaymentTerm", "PaymentTerm", "name"
    change, drop = "updatePaymentTerm", "deletePaymentTerm"


class TaxCodes(Named):
    """Tax codes (Tax codes): Vic can create and list them, nothing else."""

    name, body_of, component, naming = "tax_codes", "createTaxCode", "TaxCode", "code"
