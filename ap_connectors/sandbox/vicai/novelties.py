"""Fields and enumerated values that the contract of 0.20.0 does not know, as a service that moves on has them."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from ap_connectors.sandbox.fake_data import Dice

Record = dict[str, Any]

EVERY, AT = 5, 1
# What lists filter by stays as it is, lest a record can be found under no name.
_TRANSACTIONS = {"INVOICE": ("invoice", "Invoice", "SELF_BILLING"), "CREDITNOTE": ("creditnote", "CREDIT_NOTE")}


def add(seed: int, kind: str, number: int, record: Record) -> None:
    """Give one record in five unknown fields; and, where it has enumerations, values in another case or new ones."""
    if number % EVERY != AT:
        return
    dice = Dice(seed, "novelty", kind, number)
    record |= {
        "approvalStage": dice.pick(("mottatt", "kontrollert", "Ąžuolas")),
        "riskScore": Decimal(dice.between(10**18, 10**19 - 1)).scaleb(-9),
        "sustainability": {"scope": dice.between(1, 3), "co2Kg": Decimal(dice.below(10**6)).scaleb(-2), "notes": None},
        "labels": ["ny", dice.pick(("æøå", "ąčęž")), None],
    }
    if kind in _ENUMS:
        _ENUMS[kind](dice, record)


def _invoice(dice: Dice, record: Record) -> None:
    record["transactionType"] = dice.pick(_TRANSACTIONS[record["transactionType"]])
    _line(dice, record["lineItems"][0])


def _line(dice: Dice, record: Record) -> None:
    record["lineType"] = dice.pick(("ITEM", "Expense", "freight"))
    record["matchConfidence"] = Decimal(dice.between(0, 1000)).scaleb(-3)


def _vendor(dice: Dice, record: Record) -> None:
    # The invoices' vendors are other dictionaries.
    record["defaultPaymentInfo"]["defaultMethod"] = dice.pick(("iban", "Bankaccount", "VIRTUAL_CARD"))


def _purchase_order(dice: Dice, record: Record) -> None:
    for line in record["lineItems"]:
        line["matchingType"] = dice.pick(("two_way", "three_way", "Four_Way", "NO_MATCH"))


def _payment_batch(dice: Dice, record: Record) -> None:
    for item in (*record["payments"], *record["credits"]):
        item["status"] = dice.pick((item["status"].upper(), item["status"].title(), item["status"]))
    for payment in record["payments"][:1]:
        payment["deliveryMethod"] = dice.pick(("remote", "LOCAL"))


_ENUMS: dict[str, Callable[[Dice, Record], None]] = {
    "invoice": _invoice,
    "line": _line,
    "training invoice": _invoice,
    "vendor": _vendor,
    "purchase order": _purchase_order,
    "payment batch": _payment_batch,
}
