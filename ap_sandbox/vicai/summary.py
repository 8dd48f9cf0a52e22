"""Exact sums of the invoices that Vic holds."""

from __future__ import annotations

from decimal import Context, Decimal

import msgspec

from ap_sandbox.vicai.store import Store

_EXACT = Context(prec=100)


class _Amount(msgspec.Struct):
    currency: str | None = None
    totalAmount: str | None = None  # noqa: N815 - the contract's name


def sums(store: Store) -> dict[str, tuple[int, Decimal]]:
    """Return (number, total) of all invoices, whatever their state, by currency."""
    decoder = msgspec.json.Decoder(_Amount)
    found: dict[str, tuple[int, Decimal]] = {}
    for entry in store["invoices"].by_id.values():
        amount = decoder.decode(entry.body)
        count, total = found.get(amount.currency or "", (0, Decimal(0)))
        found[amount.currency or ""] = (count + 1, _EXACT.add(total, Decimal(amount.totalAmount or 0)))
    return dict(sorted(found.items()))
