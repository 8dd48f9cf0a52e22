"""When a record of a purchase order is about the one that Vic has, and when it may no longer change it."""

from __future__ import annotations

from ap_connectors.core.errors import Reject
from ap_connectors.core.instants import UTC
from target_vicai.copy import Plain
from target_vicai.loader import Item


def is_untouched(item: Item, order: Plain) -> bool:
    """Whether an order that is equal must still be processed: nothing happened to it since its record was set aside."""
    return _has_changed(item, order) is False


def guard(item: Item, order: Plain) -> None:
    """Keep a record that was set aside from overwriting what is newer."""
    if _has_changed(item, order):
        raise Reject(
            f"Purchase order {item.key} changed at Vic.ai on {order['internalUpdatedAt']}, after this record was set "
            f"aside on {item.replayed}. Send it afresh, or remove `rejected` from its line to load it all the same."
        )


def _has_changed(item: Item, order: Plain) -> bool | None:
    """Whether an order changed after its record was set aside; None if it never was, or nobody can tell."""
    then, now = item.replayed, order.get("internalUpdatedAt")
    if not then or not now or not UTC.knows(then) or not UTC.knows(now):
        return None
    return UTC.milliseconds(now) > UTC.milliseconds(then)


def means(reference: Plain, vendor: Plain) -> bool:
    """Whether a reference leads to the vendor that an order has."""
    for name in ("internalId", "externalId", "name"):
        if name in reference:
            return bool(reference[name] == vendor.get(name))
    tax, pay = vendor.get("taxInfo") or {}, vendor.get("defaultPaymentInfo") or {}
    accounts = {pay.get(name) for name in ("bankAccountNum", "bban", "bankGiro", "plusGiro")}
    accounts.add((pay.get("internationalBankAccount") or {}).get("iban"))
    return (
        reference.get("orgNumber") == tax.get("orgNumber")
        and reference.get("countryCode") == vendor.get("countryCode")
        and reference.get("bankAccount") in {None, *accounts}
    )
