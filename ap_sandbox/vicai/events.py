"""What happens to payment batches: approvals, funding, voiding; to the whole batch or to one payment or credit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ap_sandbox.vicai.resources import Record


class UnknownPaymentError(LookupError):
    """The batch has neither a payment nor a credit of this id."""


# What an event sets: (on the batch, on its payments and credits); True stands for the event's own time.
EVENTS: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
    "approve": ({"status": "approved", "approvedAt": True}, {"status": "approved", "approvedAt": True}),
    "complete": ({"completedAt": True}, {}),
    "process": ({"processedAt": True}, {}),
    "fund": ({}, {"fundedAt": True}),
    "reject": ({"status": "rejected", "rejectedAt": True}, {"status": "rejected", "rejectedAt": True}),
    "void": ({"status": "voided", "voidedAt": True}, {"status": "voided", "voidedAt": True}),
    "acknowledge": ({}, {"status": "acknowledged"}),
}


def apply(batch: Record, event: str, time: str, payment_id: str | None) -> None:
    """Let an event happen at a time: to the batch with all its payments and credits, or to one of these.

    Raises:
        KeyError: There is no such event.
        UnknownPaymentError: The batch has no such payment or credit.
    """
    on_batch, on_payment = EVENTS[event]
    payments = [*(batch.get("payments") or ()), *(batch.get("credits") or ())]
    if payment_id is not None:
        payments = [payment for payment in payments if payment.get("id") == payment_id]
        if not payments:
            raise UnknownPaymentError(payment_id)
    else:
        batch.update(_timed(on_batch, time))
    for payment in payments:
        payment.update(_timed(on_payment, time))


def _timed(changes: Mapping[str, Any], time: str) -> Record:
    return {name: time if value is True else value for name, value in changes.items()}
