"""Line items of invoices: as bodies give them, as answers show them, and grouped by cost account."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from ap_connectors.core.exact import EXACT
from ap_connectors.sandbox.vicai.crud import readable
from ap_connectors.sandbox.vicai.parsing import money
from ap_connectors.sandbox.vicai.resources import Record
from ap_connectors.vicai.contract import Age

_MONEY = ("amountTax", "lineItemTotal")


def shown(
    age: Age, given: Iterable[Mapping[str, Any]], accounts: list[Record | None], dimensions: list[list[Record]]
) -> list[Record]:
    """Return line items as answers show them; for each, the account and the dimensions that it refers to."""
    return [_shown(age, place, *line) for place, line in enumerate(zip(given, accounts, dimensions, strict=True))]


def _shown(age: Age, place: int, line: Mapping[str, Any], account: Record | None, dimensions: list[Record]) -> Record:
    record = readable("InvoiceLineItem", {**line, "dimensions": dimensions}, age)
    external = line.get("costAccountExternalId") if account is None else account.get("externalId")
    record |= {
        "index": place if line.get("index") is None else line["index"],
        "amount": money(line["amount"]),
        "costAccountExternalId": external,
        "dimensionsExternalIds": [
            *(d["externalId"] for d in dimensions if d.get("externalId")),
            *(line.get("dimensionsExternalIds") or ()),
        ],
    }
    if account is not None:
        record["costAccountInternalId"] = account["internalId"]
        record["costAccount"] = {name: account.get(name) for name in ("internalId", "externalId", "number")}
    if (vat := line.get("vat")) and vat.get("amount") is not None:
        record["amountTax"] = str(vat["amount"])
    return record


def grouped(lines: Iterable[Mapping[str, Any]]) -> list[Record]:
    """Return line items with those of one cost account summed up; each keeps the other members of its first line."""
    groups: dict[Any, Record] = {}
    for line in lines:
        account = line.get("costAccountInternalId") or line.get("costAccountExternalId")
        if (group := groups.get(account)) is None:
            groups[account] = {**line, "index": len(groups)}
            continue
        group["amount"] = EXACT.add(money(group["amount"]), money(line["amount"]))
        for name in _MONEY:
            if line.get(name) is not None:
                group[name] = str(EXACT.add(money(group.get(name) or 0), money(line[name])))
        if (vat := line.get("vat")) and vat.get("amount") is not None:
            held = group.get("vat") or {}
            total = EXACT.add(money(held.get("amount") or 0), money(vat["amount"]))
            group["vat"] = {**vat, **held, "amount": str(total)}
    return list(groups.values())


def tax(lines: Iterable[Mapping[str, Any]]) -> Decimal:
    """Sum up the lines' tax."""
    total = Decimal(0)
    for line in lines:
        total = EXACT.add(total, money(line.get("amountTax") or 0))
    return total
