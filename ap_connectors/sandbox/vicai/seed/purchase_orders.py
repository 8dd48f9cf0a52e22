"""Purchase orders: some open, some closed, some matched to a posted invoice line by line."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

from ap_connectors.sandbox import clock
from ap_connectors.sandbox.fake_data import SeededRandom
from ap_connectors.sandbox.vicai import times
from ap_connectors.sandbox.vicai.seed import chart
from ap_connectors.sandbox.vicai.seed.invoices import InvoiceMaker, money
from ap_connectors.sandbox.vicai.seed.plan import MOST_MATCHED, MOST_ORDER_LINES, Plan, line_id, po_number

Record = dict[str, Any]

_FIRST_ID = 40_001
_MATCHING = ("TWO_WAY", "THREE_WAY", "THREE_WAY", "FOUR_WAY")
_STOCKED = tuple(goods for goods in chart.GOODS if goods[-1])


def purchase_orders(plan: Plan, maker: InvoiceMaker, vendors: list[Record]) -> list[Record]:
    """Return all purchase orders; `internalUpdatedAt` in milliseconds since 1970, but their vendors' as text in UTC."""
    return [_order(plan, maker, vendors, place) for place in range(plan.orders)]


def _order(plan: Plan, maker: InvoiceMaker, vendors: list[Record], place: int) -> Record:
    rng = SeededRandom(plan.seed, "purchase order", place)
    near = plan.near(place)
    planned, changed = plan.of(near), maker.changed(near)
    vendor = vendors[planned.vendor]
    lines, currency = [], vendor["currency"]
    number = plan.order_invoice(place)
    if number is not None:
        invoice = maker.invoice(number)
        currency = invoice.record["currency"]
        lines = [_matched(rng, place, spot, line) for spot, line in enumerate(invoice.lines[:MOST_MATCHED])]
    invoiced = len(lines)
    if not lines or rng.chance(2):
        more = min(rng.pick((1, 1, 2, 3, 5, 12)), MOST_ORDER_LINES - invoiced)
        lines += [_wanted(rng, place, invoiced + spot) for spot in range(more)]
    closed = rng.below(4) != 0 if invoiced == len(lines) else rng.chance(6)
    order: Record = {
        "internalId": str(_FIRST_ID + place),
        "internalUpdatedAt": changed,
        "vendor": {**copy.deepcopy(vendor), "internalUpdatedAt": times.utc_text(vendor["internalUpdatedAt"])},
        "issuedOn": times.day_text(changed // clock.DAY - rng.between(5, 60)),
        "poNumber": po_number(place),
        "description": rng.pick(("Bestilling til lageret", "Rammeavtale, avrop 3", "Užsakymas Vilniaus biurui")),
        "amount": str(sum(Decimal(line["lineItemTotal"]) for line in lines)),
        "currencyId": currency,
        "status": "closed" if closed else "open",
        "lineItems": lines,
    }
    if rng.below(12):
        order["externalId"] = f"BEST-{place + 1:05d}"
    if rng.below(3):
        order["deliverOn"] = times.day_text(changed // clock.DAY + rng.between(-3, 40))
    return order


def _matched(rng: SeededRandom, order: int, place: int, line: Record) -> Record:
    quantity = line["quantityInvoiced"]
    return _line(rng, order, place) | {
        "productDescription": line["description"],
        "quantityRequested": quantity,
        "quantityAccepted": quantity,
        "quantityReceived": quantity,
        "unitAmount": line["unitPrice"],
        "lineItemTotal": line["lineItemTotal"],
        "dimensions": _refs(line["dimensions"]),
        "invoiceItemsMatched": [*line["poItemsMatched"]],
    }


def _wanted(rng: SeededRandom, order: int, place: int) -> Record:
    name, unit, _, _, low, high, _ = rng.pick(_STOCKED)
    quantity, price = rng.between(1, 60), rng.between(low, high)
    received = str(rng.below(quantity + 1))
    return _line(rng, order, place) | {
        "productDescription": name,
        "unitOfMeasure": unit,
        "quantityRequested": str(quantity),
        "quantityAccepted": received,
        "quantityReceived": received,
        "unitAmount": money(price),
        "lineItemTotal": money(quantity * price),
        "dimensions": [],
        "invoiceItemsMatched": [],
    }


def _line(rng: SeededRandom, order: int, place: int) -> Record:
    """Make what all lines have in common."""
    return {
        "internalId": line_id(order, place),
        "lineNumber": place + 1,
        "productNumber": f"V{rng.below(10**5):05d}" if rng.below(6) else None,
        "unitOfMeasure": "stk" if rng.below(5) else None,
        "matchingType": rng.pick(_MATCHING),
    }


def _refs(dimensions: list[Record]) -> list[Record]:
    return [
        {name: item[name] for name in ("internalId", "externalId", "name", "typeExternalId")} for item in dimensions
    ]
