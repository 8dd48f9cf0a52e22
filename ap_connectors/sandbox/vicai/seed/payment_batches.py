"""Payment batches: what was paid, credited, rejected or voided, of posted invoices and credit notes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from ap_connectors.sandbox import clock
from ap_connectors.sandbox.fake_data import SeededRandom, uuid_like
from ap_connectors.sandbox.vicai import times
from ap_connectors.sandbox.vicai.resources import Record
from ap_connectors.sandbox.vicai.seed.invoices import InvoiceMaker
from ap_connectors.sandbox.vicai.seed.plan import Plan


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
    "fail": ({}, {"status": "failed", "failedAt": True, "failedReason": "Account closed"}),
    "accept": ({}, {"acceptedAt": True}),
}


def apply(batch: Record, event: str, time: str, payment_id: str | None) -> None:
    """Let an event happen at a time: to the batch with all its payments and credits, or to one of these.

    Raises:
        KeyError: The event is unknown.
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


COMPANY_ID = "1"
_MOST_PAYMENTS, _MOST_CREDITS = 6, 2
# Of how many invoices a batch is filled at most: a million of them would take too long.
_LOOKED_AT = 40
_CENT = Decimal("0.01")
_RATES = {"EUR": (114_000, 119_000), "USD": (98_000, 104_000), "SEK": (10_100, 10_600)}
# When things happen to a batch: working days, and then hours, after the last of its invoices was posted.
_WHEN = {"approvedAt": (0, 1), "rejectedAt": (0, 2), "processedAt": (1, 0), "completedAt": (2, 1), "voidedAt": (7, 3)}
_FUNDED = (1, 2)


@dataclass(frozen=True)
class _Outcome:
    """How far a batch got: its status and times, and the statuses of its payments and credits by turns."""

    status: str
    times: tuple[str, ...]
    statuses: tuple[str, ...]
    funded: bool = False


_OUTCOMES = (
    _Outcome("pending_approval", (), ("pending_approval",)),
    _Outcome("approved", ("approvedAt", "processedAt", "completedAt"), ("acknowledged",), True),
    _Outcome("voided", ("approvedAt", "processedAt", "completedAt", "voidedAt"), ("voided",), True),
    _Outcome("rejected", ("rejectedAt",), ("rejected",)),
    _Outcome("approved", ("approvedAt",), ("approved",)),
    # Completed, and afterwards some of it came back.
    _Outcome(
        "approved",
        ("approvedAt", "processedAt", "completedAt"),
        ("acknowledged", "voided", "rejected", "approved"),
        True,
    ),
    _Outcome("approved", ("approvedAt", "processedAt"), ("approved", "rejected")),
)

# Which times the statuses of payments and credits imply.
_HAPPENED = {
    "pending_approval": (),
    "approved": ("approvedAt",),
    "acknowledged": ("approvedAt", "fundedAt"),
    "rejected": ("rejectedAt",),
    "voided": ("approvedAt", "fundedAt", "voidedAt"),
}


def count(invoices: int) -> int:
    """Return how many batches there are."""
    return min(120, max(6, invoices // 15)) if invoices else 0


def payment_batches(plan: Plan, maker: InvoiceMaker) -> list[Record]:
    """Return all batches, the earliest first; times are text in UTC."""
    return [_batch(plan, maker, place) for place in range(count(plan.invoices))]


def _batch(plan: Plan, maker: InvoiceMaker, place: int) -> Record:
    batches, outcome = count(plan.invoices), _OUTCOMES[place % len(_OUTCOMES)]
    first = place * plan.invoices // batches
    last = min(max(first + 1, (place + 1) * plan.invoices // batches), first + _LOOKED_AT)
    planned = {number: plan.of(number) for number in range(first, last)}
    posted = [number for number, invoice in planned.items() if invoice.status == "POSTED"]
    paid = [number for number in posted if not planned[number].credit_note][:_MOST_PAYMENTS]
    credited = [number for number in posted if planned[number].credit_note][:_MOST_CREDITS]
    began, lap = maker.changed(last - 1), place // len(_OUTCOMES)
    batch: Record = {
        "id": uuid_like(plan.seed, "payment batch", place),
        "name": f"Betaling {times.day_text(began // clock.DAY)} {place + 1:03d}",
        "companyId": COMPANY_ID,
        **{name: _after(began, when) if name in outcome.times else None for name, when in _WHEN.items()},
        "status": outcome.status,
        "payments": [
            _payment(plan.seed, maker.invoice(number).record, _times(outcome, began, turn))
            for turn, number in enumerate(paid)
        ],
        "credits": [
            _credit(plan.seed, maker.invoice(number).record, _times(outcome, began, lap + turn))
            for turn, number in enumerate(credited)
        ],
    }
    # Some answers leave out what has not happened.
    return {name: value for name, value in batch.items() if value is not None} if place % 4 == 3 else batch


def _after(instant: int, when: tuple[int, int]) -> str:
    days, hours = when
    for _ in range(days):
        instant = clock.advance(instant, clock.DAY)
    return times.utc_text(clock.advance(instant, hours * clock.HOUR))


def _times(outcome: _Outcome, began: int, turn: int) -> Record:
    """Return status and times of the payment or credit whose turn it is."""
    status = outcome.statuses[turn % len(outcome.statuses)]
    happened = _HAPPENED[status]
    return {
        "status": status,
        "approvedAt": _after(began, _WHEN["approvedAt"]) if "approvedAt" in happened else None,
        "fundedAt": _after(began, _FUNDED) if outcome.funded and "fundedAt" in happened else None,
        "rejectedAt": _after(began, _WHEN["rejectedAt"]) if "rejectedAt" in happened else None,
        "voidedAt": _after(began, _WHEN["voidedAt"]) if "voidedAt" in happened else None,
    }


def _payment(seed: int, invoice: Record, times: Record) -> Record:
    payment = _credit(seed, invoice, times)
    account = invoice["lineItems"][0]["costAccount"]
    payment["discountAmount"] = "0.00"
    payment["costAccount"] = {"internalId": account["internalId"], "externalId": account["externalId"]}
    return payment


def _credit(seed: int, invoice: Record, times: Record) -> Record:
    """Make a credit, which is also what a payment has in common with it."""
    rng = SeededRandom(seed, "payment of", invoice["internalId"])
    amount, currency = invoice["totalAmount"], invoice["currency"]
    rate, settled = "1.0", amount
    if currency in _RATES:
        exchange = Decimal(rng.between(*_RATES[currency])).scaleb(-4)
        rate, settled = str(exchange), str((Decimal(amount) * exchange).quantize(_CENT, ROUND_HALF_UP))
    return {
        "id": uuid_like(seed, "payment of", invoice["internalId"]),
        "amount": amount,
        "settlementAmount": settled,
        "currencyId": currency,
        "settlementCurrencyId": "NOK",
        "exchangeRate": rate,
        **times,
        "invoice": {"internalId": invoice["internalId"], "externalId": invoice["externalId"]},
        "vendor": {"internalId": invoice["vendorInternalId"], "externalId": invoice["vendorExternalId"]},
    }
