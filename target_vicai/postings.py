"""What became of invoices in the ERP: posted, or rejected because of their data."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Hashable
from typing import Any, ClassVar

import msgspec

from ap_connectors.core.errors import Reject
from ap_connectors.core.raw_json import JsonObject
from ap_connectors.singer.sink import UNCHANGED, Outcome
from ap_connectors.vicai.client import Refused
from target_vicai.invoices import POSTED, status_of
from target_vicai.item import Item, as_param
from target_vicai.sink import TEXT, VicSink

_AT = "externalUpdatedAt"
_READY = ("READY_FOR_POST", "READY_FOR_TRANSFER")
_WITH_VIC = {"NOT_READY", "IN_APPROVALS"}
_TOLD = Outcome("unchanged", note="was told before, and something else has happened since")
_encode = msgspec.json.Encoder(decimal_format="number", order="sorted").encode


class Posting(VicSink):
    """Tells Vic what became of an invoice that waits for the ERP; it is known by Vic's id.

    The invoice's status says whether Vic knows already, so nothing is told twice.
    """

    key_field = "internalId"
    extras: ClassVar[dict[str, Any]] = {"internalId": TEXT}

    def order_key(self, key: str, body: JsonObject, extras: JsonObject) -> Hashable:  # noqa: ARG002
        """Keep confirmations and rejections of one invoice in order."""
        return "invoice", key

    def load(self, item: Item) -> Outcome:
        """Tell Vic, unless it knows."""
        body = self.require_complete(self.body(item))
        present = self._now(item.key)
        self.context.approval.compared(present, ("status", *self.body_schema.members))
        if (told := self.was_told(item, body, present)) is not None:
            return told
        if self.is_known(item.key, body, present):
            self.remember(item, body)
            return UNCHANGED
        if status_of(present) in _WITH_VIC:
            raise Reject(
                f"The invoice {item.key} is {status_of(present)} at Vic.ai: it does not wait for the ERP "
                f"({', '.join(_READY)}). Send the record when it does.",
                "wrong_state",
                status=status_of(present),
            )

        def find_done() -> JsonObject | None:
            now = self._now(item.key)
            return now if self.is_known(item.key, body, now, told=True) else None

        try:
            self.context.writer.send(self.operation, body, find_done=find_done, id=item.key)
        except Refused:
            # A call that we gave up on may have been done while we asked once more.
            if find_done() is None:
                raise
        self.remember(item, body)
        return Outcome("updated")

    def was_told(self, item: Item, body: JsonObject, present: JsonObject) -> Outcome | None:  # noqa: ARG002
        """Return the outcome if an earlier run has said this, and the invoice's status does not show it any more.

        Raises:
            Reject: it may be meant once more.
        """
        return None

    def remember(self, item: Item, body: JsonObject) -> None:
        """Note that Vic knows what the record says."""

    def body(self, item: Item) -> JsonObject:
        """Return the body to send."""
        return self.writable(item.body)

    @abstractmethod
    def is_known(self, key: str, body: JsonObject, present: JsonObject, *, told: bool = False) -> bool:
        """Return whether Vic knows what the record says; `told` when this run has tried to tell it.

        Raises:
            Reject: Vic knows something else, and it is too late to say this.
        """

    def _now(self, key: str) -> JsonObject:
        found = self.context.client.found("getInvoice", id=key, useSystem="INTERNAL")
        if found is None:
            raise Reject(
                f"Vic.ai has no invoice with the internalId {key}. Correct it, or leave the record out.",
                "unknown_reference",
                references=[{"kind": "invoice", "key": key}],
            )
        return found


class InvoiceConfirmations(Posting):
    """The ERP has posted an invoice (Invoices, confirm)."""

    name, operation = "invoice_confirmations", "confirmInvoice"

    def body(self, item: Item) -> JsonObject:
        """Return the body; without the ERP's id, which 10.40.4 lets be null, nothing would tie the two."""
        body = super().body(item)
        return {name: value for name, value in body.items() if name != "externalId" or value is not None}

    def is_known(self, key: str, body: JsonObject, present: JsonObject, *, told: bool = False) -> bool:  # noqa: ARG002
        """Return whether Vic knows that the invoice is posted, under the same id of the ERP's."""
        if status_of(present) not in POSTED:
            return False
        ours, theirs = body["externalId"], present.get("externalId")
        if theirs != ours:
            raise Reject(
                f"The invoice {key} is {status_of(present)} at Vic.ai already, with the externalId {theirs}; the "
                f"record says {ours}. Vic.ai offers no way to change that: correct the record, or leave it out.",
                "differs_at_vicai",
                field="externalId",
                theirs=as_param(theirs),
                ours=ours,
            )
        return True


class InvoiceRejections(Posting):
    """The ERP cannot post an invoice because of its data (Invoices, reject).

    An invoice that was rejected is corrected at Vic, and waits for the ERP again. Then its status no longer tells that
    the rejection is known, and taps send their last row with every run: a ledger remembers what was told, by
    `externalUpdatedAt`, where the record has one.
    """

    name, operation = "invoice_rejections", "rejectInvoice"
    extras: ClassVar[dict[str, Any]] = {"internalId": TEXT, _AT: TEXT}

    def body(self, item: Item) -> JsonObject:
        """Return the body; one that names no line and no field is about the whole invoice."""
        return {"item": None, "field": None, **super().body(item)}

    def was_told(self, item: Item, body: JsonObject, present: JsonObject) -> Outcome | None:
        """Return the outcome of a rejection that an earlier run has told."""
        status = status_of(present)
        told = self.context.ledger.find(self._told(item, body))
        if told is None or (status in _WITH_VIC and self.is_known(item.key, body, present)):
            return None
        if status in POSTED or status in _WITH_VIC or item.extras.get(_AT):
            return _TOLD
        raise Reject(
            f"The invoice {item.key} was rejected for this reason before ({told.at}), and is {status} again, so it was "
            f"corrected at Vic.ai. Leave the record out; if the ERP has rejected it once more, say when, in {_AT}.",
            "rejected_before",
            status=status,
            at=told.at,
        )

    def remember(self, item: Item, body: JsonObject) -> None:
        """Write down what was told."""
        key, ledger = self._told(item, body), self.context.ledger
        if not self.context.options.dry_run and ledger.find(key) is None:
            ledger.end(key, "sent")

    @staticmethod
    def _told(item: Item, body: JsonObject) -> str:
        """Return the ledger's key of a rejection."""
        return f"rejection: {item.key} {hashlib.sha256(_encode([body, item.extras.get(_AT)])).hexdigest()}"

    def is_known(self, key: str, body: JsonObject, present: JsonObject, *, told: bool = False) -> bool:
        """Return whether the invoice is with Vic again, with the same error."""
        status = status_of(present)
        if status in POSTED:
            raise Reject(
                f"The invoice {key} is {status} at Vic.ai: it is too late to reject it. Leave the record out.",
                "wrong_state",
                status=status,
            )
        return status in _WITH_VIC and (told or body["reason"] in str(present.get("postingError") or ""))
