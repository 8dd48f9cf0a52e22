"""The base of sinks whose records name a vendor that may have been read from a document."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec
from msgspec import structs

from ap_connectors.core.companies import Identity
from ap_connectors.core.errors import Reject
from ap_connectors.core.instants import UTC
from ap_connectors.singer.sink import UNCHANGED, Outcome
from target_vicai.document_vendors import MARK, STEMS_FROM_A_DOCUMENT, Known, vendor_of
from target_vicai.item import Item
from target_vicai.sink import TEXT, VicSink

PAYMENT = "paymentInfo"
"""Where an invoice says where to pay."""
_MOVED, _LEFT_OUT, _EXPORTED = "ivesk_moved_to", "ivesk_left_out_as", "ivesk_exported_at"
OF_IVESK: Mapping[str, Any] = {STEMS_FROM_A_DOCUMENT: TEXT, _EXPORTED: TEXT, _MOVED: TEXT, _LEFT_OUT: TEXT}
"""What the mapper says of the document: its id and its export; or only that it is another company's, by that one's
code, or that it is a sale or of a kind that is not booked."""
_NOT_BOOKED = "not booked: "
"""Of lines in the ledger: what the last export said that must not be booked here."""
_read_note = msgspec.json.Decoder(dict[str, str]).decode


class InvoiceSink(VicSink):
    """A sink whose records may have the mark `documentVendor`: then the vendor is the one that is found for it.

    The record's own `vendorExternalId` counts without a mark, and for a vendor that is new. A subclass calls
    `require_vendor` before it writes.

    Attributes:
        sent: how the ledger's keys of what was sent begin.
        is_paid: Vic.ai pays it.
    """

    sent: ClassVar[str]
    is_paid: ClassVar[bool]

    def apply(self, item: Item, compared: Any = None) -> Outcome:
        """Load a record; of one that says that its document is not to be booked here, tell that it was loaded before.

        Raises:
            Reject: it was, and is still there; or an older export is loaded than the one that said so.
        """
        why = _not_booked(item)
        if item.deleted:
            return super().apply(item, compared)
        if why is None:
            self._check_export(item)
            return super().apply(item, compared)
        self._note_export(item)
        if self.context.company_ledger.find(self.sent + item.key) is None or not self.is_there(item.key):
            return UNCHANGED
        raise why

    def _note_export(self, item: Item) -> None:
        """Note which export says that a document is not to be booked here: one of before may still wait as a reject."""
        ledger, key = self.context.ledger, _NOT_BOOKED + item.key
        said = {name: item.extras[name] for name in (_EXPORTED, _MOVED, _LEFT_OUT) if item.extras.get(name)}
        note = msgspec.json.encode(said).decode()
        known = ledger.find(key)
        if not self.context.options.dry_run and (known is None or known.fields != note):
            # There may be thousands, and one that is lost with the machine comes again with the STATE.
            ledger.end(key, "sent", fields=note, waits=False)

    def _check_export(self, item: Item) -> None:
        """Check that no later export of a record's document says that it is not to be booked here.

        Raises:
            Reject: one does: the record would be booked twice, or although it is not a purchase any more.
        """
        noted = self.context.company_ledger.find(_NOT_BOOKED + item.key)
        if noted is None or noted.fields is None:
            return
        said, ours = _read_note(noted.fields), str(item.extras.get(_EXPORTED) or "")
        # Without a time of export only a record that was set aside before tells that it is older.
        exports = (ours, said.get(_EXPORTED, "")) if ours else (item.replayed or "", noted.at)
        if not all(map(UTC.knows, exports)) or UTC.milliseconds(exports[0]) >= UTC.milliseconds(exports[1]):
            return
        company, kind = said.get(_MOVED), said.get(_LEFT_OUT)
        now = f"belongs to the company {company}" if company else f"is a {kind}, which is left out,"
        raise Reject(
            f"The document {item.key} {now} since its export of {exports[1]}, and this record is an older one "
            f"({exports[0]}). Leave it out; if it is to be booked here after all, export the document again in ivesk.",
            "older_export",
            company=company,
            doctype=kind,
        )

    @abstractmethod
    def is_there(self, key: str) -> bool:
        """Return whether Vic has what was sent under a key."""

    def parse(self, record: Mapping[str, Any], rejected: Mapping[str, Any] | None) -> Item:
        """Return a record with the vendor that its document means.

        Raises:
            Reject: also if it is not clear which vendor that is.
        """
        item = super().parse(record, rejected)
        if item.deleted:
            return item
        mark = item.extras.get(MARK)
        if mark is None:
            return self._named_by_id(item) if item.extras.get(STEMS_FROM_A_DOCUMENT) else item
        known = self.context.document_vendors.known(vendor_of(mark, _key(item)))
        if known is None:
            return item
        item = self.with_vendor(structs.replace(item, extras={**item.extras, MARK: None}), known)
        return self._without_foreign_account(item, known)

    def _named_by_id(self, item: Item) -> Item:
        """Return a document's record without a mark: its vendor was named by the vendor table, or by a person.

        Of version 0.1.0's mapper only the vendor's own record tells who it is.
        """
        vendors, key = self.context.document_vendors, _key(item)
        if key and vendors.has_answers and (found := vendors.key_instead_of(key)) != key:
            item, key = self.with_vendor(item, Known(found, Identity(), None)), found
        if not item.body.get(PAYMENT):
            return item
        named = item.body.get("vendor") or {"externalId": key, "internalId": item.extras.get("vendorInternalId")}
        known = vendors.named(named.get("externalId"), named.get("internalId"))
        return self._without_foreign_account(item, known) if known else item

    def _without_foreign_account(self, item: Item, known: Known) -> Item:
        """Return a record of a document, without an account that is not its vendor's if it is to be paid; tell of it.

        The document may be forged.
        """
        vendors, info = self.context.document_vendors, item.body.get(PAYMENT)
        vendors.tell_of_account(known, info)
        if not self.is_paid or not vendors.is_foreign(known, info):
            return item
        return structs.replace(item, extras={**item.extras, PAYMENT: True})

    def with_vendor(self, item: Item, known: Known) -> Item:
        """Return a record that names a vendor by the ERP's id.

        Raises:
            Reject: the vendor has none.
        """
        if known.key is None:
            raise Reject(
                f"Vic.ai has the vendor {known.name or known.id} without an external id, by which alone a record of "
                f"{self.name} can name it. Confirm the vendor in the ERP, then load this line.",
                "vendor_without_external_id",
                vendor=known.name or known.id or "",
            )
        return structs.replace(item, body={**item.body, "vendorExternalId": known.key})

    def require_vendor(self, item: Item) -> None:
        """Check that the vendor is there, if a document named it; not every service refuses one that is unknown.

        Raises:
            Missing: it is not there yet.
        """
        if item.extras.get(MARK) is None:
            return
        key = _key(item)
        self.context.await_parents([("vendors", key)])
        self.require_parents([("vendors", key)])


def _key(item: Item) -> str:
    """Return the ERP's id of the vendor, which stands in the body, or beside it; empty without one."""
    return str(item.body.get("vendorExternalId") or item.extras.get("vendorExternalId") or "")


def _not_booked(item: Item) -> Reject | None:
    """Return why a record's document is not to be booked here; None if it is."""
    company, kind = item.extras.get(_MOVED), item.extras.get(_LEFT_OUT)
    if company:
        return Reject(
            f"The document {item.key} belongs to the company {company} now, but was loaded here before, and is still "
            "there. If that is right, delete it at Vic.ai; the other company's own run loads it there.",
            "moved_to_another_company",
            company=company,
        )
    if kind:
        return Reject(
            f"The document {item.key} is a {kind} now, which is left out, but was loaded here before, and is still "
            "there. If that is right, delete it at Vic.ai; else correct it in ivesk, and export it again.",
            "no_longer_booked",
            doctype=kind,
        )
    return None
