"""What the ERP made of the invoices that Vic.ai handed to it: posted, or rejected for what they are."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable
from typing import Any, ClassVar

from ap_connectors.core.errors import Reject
from ap_connectors.singer.sink import UNCHANGED, Outcome
from ap_connectors.vicai.client import Refused
from target_vicai.copy import Plain
from target_vicai.invoices import status
from target_vicai.loader import TEXT, Item, Loader

_POSTED = {"POSTED", "TRANSFERRED"}
_WITH_VIC = {"NOT_READY", "IN_APPROVALS"}


def internal_id(extras: Plain, what: str) -> str:
    """Return Vic's own id of something.

    Raises:
        Reject: there is none, or none that can stand in an address.
    """
    value = extras.get("internalId")
    if not value or value in {".", ".."}:
        raise Reject(f"internalId is missing: it is the record's key, Vic.ai's id of the {what}.")
    return str(value)


class Posting(Loader):
    """Says what became of an invoice that waits for the ERP; it is known by Vic's id.

    The invoice's status tells whether that was said before, so nothing is said twice.
    """

    extras: ClassVar[dict[str, Any]] = {"internalId": TEXT}

    def key(self, body: Plain, extras: Plain) -> str:  # noqa: ARG002
        """Return Vic's id of the invoice."""
        return internal_id(extras, "invoice")

    def order_key(self, key: str, body: Plain, extras: Plain) -> Hashable:  # noqa: ARG002
        """Keep confirmations and rejections of one invoice in order."""
        return "invoice", key

    def load(self, item: Item) -> Outcome:
        """Say it, unless Vic knows."""
        body = self.complete(self.meant(item.body))
        present = self._present(item.key)
        if self.is_said(item.key, body, present):
            return UNCHANGED
        if status(present) in _WITH_VIC:
            raise Reject(
                f"The invoice {item.key} is {status(present)} at Vic.ai: it does not wait for the ERP now "
                f"({', '.join(sorted(_READY))}), so there is nothing to say of it."
            )

        def find_done() -> Plain | None:
            now = self._present(item.key)
            return now if self.is_said(item.key, body, now, begun=True) else None

        try:
            self.vic.hands.send(self.body_of, body, find_done=find_done, id=item.key)
        except Refused:
            # A call that we gave up on may have been done while we asked once more.
            if find_done() is None:
                raise
        return Outcome("updated")

    def meant(self, body: Plain) -> Plain:
        """Return the body to send."""
        members = self.body_shape.members
        return {name: value for name, value in body.items() if value is not None or members[name].nullable}

    @abstractmethod
    def is_said(self, key: str, body: Plain, present: Plain, *, begun: bool = False) -> bool:
        """Return whether Vic knows what the record says; `begun` when this run has tried to tell it.

        Raises:
            Reject: Vic knows something else, and it is too late to say this.
        """

    def _present(self, key: str) -> Plain:
        found = self.vic.client.found("getInvoice", id=key, useSystem="INTERNAL")
        if found is None:
            raise Reject(f"Vic.ai has no invoice with the internalId {key}.")
        return found


_READY = {"READY_FOR_POST", "READY_FOR_TRANSFER"}


class InvoiceConfirmations(Posting):
    """The ERP has posted an invoice (Invoices, confirm)."""

    name, body_of = "invoice_confirmations", "confirmInvoice"

    def is_said(self, key: str, body: Plain, present: Plain, *, begun: bool = False) -> bool:  # noqa: ARG002
        """Return whether Vic knows that the invoice is posted, under the same id of the ERP's."""
        if status(present) not in _POSTED:
            return False
        if present.get("externalId") != body["externalId"]:
            raise Reject(
                f"The invoice {key} is {status(present)} at Vic.ai already, with the externalId "
                f"{present.get('externalId')}; the record says {body['externalId']}."
            )
        return True


class InvoiceRejections(Posting):
    """The ERP can't post an invoice for what is wrong with its data (Invoices, reject)."""

    name, body_of = "invoice_rejections", "rejectInvoice"

    def meant(self, body: Plain) -> Plain:
        """Return the body; one that names no line and no field speaks of the whole invoice."""
        return {"item": None, "field": None, **super().meant(body)}

    def is_said(self, key: str, body: Plain, present: Plain, *, begun: bool = False) -> bool:
        """Return whether the invoice is with Vic again, with the same error."""
        if status(present) in _POSTED:
            raise Reject(f"The invoice {key} is {status(present)} at Vic.ai: it can't be rejected any more.")
        with_vic = status(present) in _WITH_VIC
        return with_vic and (begun or body["reason"] in str(present.get("postingError") or ""))
