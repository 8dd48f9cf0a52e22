"""Invoices for Vic.ai to process: created, given their document, and started, each once."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from decimal import Decimal
from typing import Any, ClassVar

import msgspec
from msgspec import structs

from ap_connectors.core.errors import Reject
from ap_connectors.core.raw_json import JsonObject
from ap_connectors.singer.diff import Change
from ap_connectors.singer.sink import UNCHANGED, Effect, Outcome
from ap_connectors.vicai import contract
from ap_connectors.vicai.client import Refused
from target_vicai import document_vendors, documents
from target_vicai.context import Reference
from target_vicai.document_vendors import Known
from target_vicai.documents import Document
from target_vicai.invoice_diff import changed_fields, differences, hashes
from target_vicai.invoice_sink import OF_IVESK, PAYMENT, InvoiceSink
from target_vicai.item import Item, as_param
from target_vicai.sink import EXTERNAL, TEXT

POSTED = frozenset({"POSTED", "TRANSFERRED"})
"""Statuses of invoices that are in the books."""

_NEW = "NOT_READY"
_VAT_CODES = "vat_codes"
_NO_DOCUMENT = "it waits for its document at Vic.ai: send the record with one"
_NO_CHANGE = "Vic.ai offers no way to change an invoice"
_PAID_BY = frozenset({"totalAmount", "currency", "transactionType", "vendor", "paymentInfo"})
"""Fields by which an invoice is paid: a correction of one is told, however late it comes."""
_MOST_TOLD = 10
"""Differences that a message names."""
_exact: Callable[[bytes], JsonObject] = msgspec.json.Decoder(JsonObject, float_hook=Decimal).decode
_ALREADY = re.compile(r"\balready\b|\bbeen processed\b", re.IGNORECASE)


class Invoices(InvoiceSink):
    """Invoices (Invoices): created, given their document, and started.

    Each invoice is looked up first, whatever `compare` is: so the next run completes what a killed one began, and does
    nothing twice. Vic.ai offers no call to change an invoice, so a correction of one that is not posted yet is set
    aside. What is a correction, and what has Vic changed? A ledger remembers what was sent.
    """

    name, operation, component = "invoices", "createInvoice", "Invoice"
    extras: ClassVar[dict[str, Any]] = {
        "vendorExternalId": TEXT,
        "vendorInternalId": TEXT,
        **documents.FIELDS,
        **document_vendors.FIELDS,
        **OF_IVESK,
    }
    sent, is_paid = "invoice: ", True
    _warned = False
    _line_extras: ClassVar = {
        "costAccountExternalId": TEXT,
        "dimensionsExternalIds": {"type": "array", "items": TEXT},
    }

    def contract_schema(self) -> contract.Schema:
        """Return the contract's schema of the body, its lines with the names that Vic shows as well."""
        schema = contract.inlined(super().contract_schema())
        lines = schema["properties"]["lineItems"]
        line = {**lines["items"], "properties": {**lines["items"]["properties"], **self._line_extras}}
        return {**schema, "properties": {**schema["properties"], "lineItems": {**lines, "items": line}}}

    def load(self, item: Item) -> Outcome:
        """Take the steps that are not done yet: create, attach the document, start."""
        documents.is_given(item.extras)
        self.require_vendor(item)
        body = self._body(item)
        present = self._now(item.key) or self._renamed(item.key)
        if present is not None:
            return self._continue(item, body, present)
        with documents.opened(item.extras, self.context.sources, live=self.context.client.is_live) as document:
            try:
                self._create(
                    item.key, self.require_complete(body), withheld=PAYMENT if item.extras.get(PAYMENT) else None
                )
            except Refused:
                # A call that we gave up on may have been done while we asked once more.
                if (present := self._now(item.key)) is None:
                    raise
                if changes := self._changes(item, body, present):
                    raise _differs(item.key, changes) from None
            return self._with_document(item.key, document, "created")

    def with_vendor(self, item: Item, known: Known) -> Item:
        """Return a record that names a vendor: by Vic's id if the ERP does not know it yet."""
        reference = {"internalId": known.id} if known.key is None else {"externalId": known.key}
        return structs.replace(item, body={**item.body, "vendor": reference})

    def delete(self, item: Item) -> Outcome:
        """Delete an invoice by the ERP's id."""
        if (present := self._now(item.key)) is None:
            return UNCHANGED
        self.context.approval.compared(present, ("status", *self.body_schema.members))
        return self.call_delete("deleteInvoice", lambda: self._now(item.key), id=item.key, **EXTERNAL)

    # What a record means

    def _body(self, item: Item) -> JsonObject:
        """Return the body as Vic takes it: references as objects, and no nulls that the contract does not allow."""
        body = self.writable(item.body)
        if body.get("vendor") is None:
            for name, field in (("vendorExternalId", "externalId"), ("vendorInternalId", "internalId")):
                if item.extras.get(name):
                    body["vendor"] = {field: item.extras[name]}
                    break
        if "lineItems" in body:
            body["lineItems"] = [self._line(line) for line in body["lineItems"]]
        return body

    def _line(self, line: JsonObject) -> JsonObject:
        meant = {name: value for name, value in line.items() if name not in self._line_extras}
        account, dimensions = line.get("costAccountExternalId"), line.get("dimensionsExternalIds")
        if account and meant.get("costAccount") is None:
            meant["costAccount"] = {"externalId": account}
        if dimensions and meant.get("dimensions") is None:
            meant["dimensions"] = [{"externalId": one} for one in dimensions]
        return meant

    # What Vic has

    def _now(self, key: str) -> JsonObject | None:
        return self.context.client.found("getInvoice", id=key, **EXTERNAL)

    def _started(self, key: str) -> JsonObject | None:
        present = self._now(key)
        return present if present is not None and status_of(present) != _NEW else None

    def _document(self, key: str) -> JsonObject | None:
        return {} if self.context.client.exists("getInvoiceDocument", id=key, **EXTERNAL) else None

    def _renamed(self, key: str) -> JsonObject | None:
        """Return an invoice that was sent, and has another id of the ERP's by now: a confirmation may give it one."""
        sent = self.context.ledger.find(self.sent + key)
        if sent is None or sent.id is None:
            return None
        return self.context.client.found("getInvoice", id=sent.id, useSystem="INTERNAL")

    def is_there(self, key: str) -> bool:
        """Return whether Vic has an invoice, also under another id of the ERP's."""
        return (self._now(key) or self._renamed(key)) is not None

    def _lines(self, invoice: JsonObject) -> list[JsonObject]:
        lines = self.context.client.raw_pages("getInvoicelineItems", id=invoice["internalId"], useSystem="INTERNAL")
        return [_exact(line) for page in lines for line in page]

    def _changes(self, item: Item, body: JsonObject, present: JsonObject) -> list[Change]:
        """Return what a record says otherwise than Vic's invoice, as far as it is a correction.

        That a document names a foreign account is warned of; it is not advised to put that into Vic's invoice.
        """
        key = item.key
        sent = self.context.ledger.find(self.sent + key)
        changed = changed_fields(sent.fields, body) if sent is not None and sent.fields else None
        if changed == []:
            return []
        found = differences(self.body_schema, body, present, lambda: self._lines(present), changed)
        if item.extras.get(PAYMENT):
            found = [one for one in found if one.path.partition(".")[0] != PAYMENT]
        if not found and status_of(present) not in POSTED:
            self._remember(key, body, present)
        return found

    def _remember(self, key: str, body: JsonObject, invoice: JsonObject) -> None:
        """Write down what Vic has got of us: by the next time it may have changed much of that."""
        if not self.context.options.dry_run:
            self.context.ledger.end(self.sent + key, "sent", invoice.get("internalId"), fields=hashes(body))

    # The steps

    def _continue(self, item: Item, body: JsonObject, present: JsonObject) -> Outcome:
        """Take the steps that an earlier run did not reach.

        Raises:
            Reject: the record was corrected, and Vic offers no way to change its invoice.
        """
        self.context.approval.compared(present, ("status", *self.body_schema.members))
        changes = self._changes(item, body, present)
        if changes and (status_of(present) not in POSTED or any(one.path == "refNumber" for one in changes)):
            raise _differs(item.key, changes)
        if changes:
            sent = self.context.ledger.find(self.sent + item.key)
            # Without the ledger it is not known who has changed it.
            paid = [one for one in changes if one.path.partition(".")[0] in _PAID_BY] if sent and sent.fields else []
            if paid:
                raise _corrected(item.key, status_of(present), paid)
            return self._leave(item.key, changes[0])
        if status_of(present) != _NEW or present.get("postingError") or present.get("externalId", item.key) != item.key:
            return UNCHANGED
        if self._document(item.key) is not None:
            return self._process(item.key, Outcome("updated"), UNCHANGED)
        with documents.opened(item.extras, self.context.sources, live=self.context.client.is_live) as document:
            return self._with_document(item.key, document, "updated")

    def _leave(self, key: str, change: Change) -> Outcome:
        if not self._warned:
            self._warned = True
            self.context.warn(
                f"invoices: {_told(key)} {_difference(change)}, and is posted. {_NO_CHANGE}; only the first such "
                "invoice is reported."
            )
        return Outcome("unchanged", note=f"it is posted, and differs from the record. {_NO_CHANGE}")

    def _create(self, key: str, body: JsonObject, *, withheld: str | None) -> None:
        sent = {name: value for name, value in body.items() if name != withheld}

        def create() -> JsonObject:
            return self.context.writer.send(self.operation, sent, find_done=lambda: self._now(key))

        self._require_vat_codes(body)
        with self.context.duplicates.claim(key, body) if self.context.options.finds_duplicates else nullcontext():
            self._remember(key, body, self.write_with_parents(_references(body), create))

    def _require_vat_codes(self, body: JsonObject) -> None:
        """Check that Vic has the VAT codes that lines name, as it checks accounts and dimensions itself.

        Raises:
            Missing: it has not.
        """
        context = self.context
        vats = [vat for line in body.get("lineItems") or [] if (vat := line.get("vat")) and not vat.get("internalId")]
        ids = {vat["externalId"]: None for vat in vats if vat.get("externalId")}
        codes = {vat["code"]: None for vat in vats if vat.get("code") and not vat.get("externalId")}
        unknown = [code for code in codes if context.find_by_second_key(_VAT_CODES, code) is None]
        coming = (context.vat_codes_coming.get(code, code) for code in unknown)
        context.await_parents((_VAT_CODES, id_) for id_ in (*ids, *coming))
        absent = [*context.absent((_VAT_CODES, id_) for id_ in ids), *((_VAT_CODES, code) for code in unknown)]
        if absent:
            raise context.missing(absent)

    def _with_document(self, key: str, document: Document | None, effect: Effect) -> Outcome:
        if document is None:
            return Outcome("created" if effect == "created" else "unchanged", note=_NO_DOCUMENT)
        try:
            self.context.writer.upload(
                "uploadDocumentInvoice",
                lambda: [document.part("document")],
                find_done=lambda: self._document(key),
                id=key,
                **EXTERNAL,
            )
        except Refused:
            if self._document(key) is None:
                raise
        return self._process(key, Outcome(effect), Outcome(effect))

    def _process(self, key: str, done: Outcome, was_done: Outcome) -> Outcome:
        """Start the processing; return `done`, or `was_done` if it was started before."""
        try:
            find_done = functools.partial(self._started, key)
            self.context.writer.send("startProcessingInvoice", find_done=find_done, id=key, **EXTERNAL)
        except Refused as refusal:
            # An invoice may stay NOT_READY while it is being processed; then only these words tell.
            if self._started(key) is None and not _ALREADY.search(str(refusal)):
                raise
            return was_done
        return done


def status_of(invoice: JsonObject) -> str:
    """Return an invoice's status in capitals: Vic.ai writes it in either letter case."""
    return str(invoice.get("status") or "").upper()


def _told(key: str) -> str:
    return f"{key} exists at Vic.ai with"


def _difference(one: Change) -> str:
    return f"{one.path} {_shown(one.old)}, and the record says {_shown(one.new)}"


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(member)}" for name, member in value.items() if member is not None)
    if isinstance(value, list):
        return "; ".join(map(_shown, value))
    return "nothing" if value is None else as_param(value)


def _differs(key: str, changes: list[Change]) -> Reject:
    """Return the reject of a record that was corrected; the first difference stands for all where one is enough."""
    shown = [{"field": one.path, "theirs": _shown(one.old), "ours": _shown(one.new)} for one in changes[:_MOST_TOLD]]
    told = "; ".join(map(_difference, changes[:_MOST_TOLD]))
    more = f"; and {len(changes) - _MOST_TOLD} more differences" if len(changes) > _MOST_TOLD else ""
    return Reject(
        f"{_told(key)} {told}{more}. {_NO_CHANGE}: correct it there, or delete it there and load this record again.",
        "differs_at_vicai",
        **shown[0],
        **({"differences": shown} if len(shown) > 1 else {}),
    )


def _corrected(key: str, status: str, changes: list[Change]) -> Reject:
    """Return the reject of a record that was corrected in what is paid, after the invoice was posted."""
    return Reject(
        f"{_told(key)} {'; '.join(map(_difference, changes))}. It is {status}, and was corrected after that. "
        f"{_NO_CHANGE}: book the difference in the ERP, or leave the record out.",
        "corrected_after_posting",
        status=status,
        differences=[{"field": one.path, "theirs": _shown(one.old), "ours": _shown(one.new)} for one in changes],
    )


def _references(body: JsonObject) -> Iterator[Reference]:
    """Yield what an invoice refers to by the ERP's ids."""
    lines = body.get("lineItems") or []
    references = [
        ("vendors", body.get("vendor")),
        ("accounts", body.get("creditAccount")),
        *(("accounts", line.get("costAccount")) for line in lines),
        *(("dimensions", one) for line in lines for one in line.get("dimensions") or []),
    ]
    for resource, reference in references:
        if reference and reference.get("externalId") and not reference.get("internalId"):
            yield resource, reference["externalId"]
