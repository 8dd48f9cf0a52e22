"""Lines of invoices: ungrouped as they were booked, and grouped by cost account as an invoice shows them.

`amount` is a line's sum without VAT (what quantity and unit price make), `amountTax` its VAT. All sums are exact.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from ap_connectors.sandbox.fake_data import SeededRandom
from ap_connectors.sandbox.vicai.seed import chart, plan

Record = dict[str, Any]

_COUNTS = (1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 4, 5, 6, 8)
# In thousandths, as they are written.
_QUANTITIES = (
    (1000, "1"), (1000, "1"), (1000, "1.00"), (2000, "2"), (3000, "3.000"), (500, "0.5"), (7375, "7.375"),
    (10_000, "10"), (12_500, "12.50"), (24_000, "24"), (125, "0.125"), (4000, "4.0"), (100_000, "100"),
)  # fmt: skip
_COMMENTS = ("Se vedlegg", "Periodisert", "Godkjent av Åse", "Pagal sutartį Nr. 7", "Split etter avtale")
_PERCENT = 10_000


def money(cents: int) -> str:
    """Write an amount of hundredths as text: "1250.00"."""
    return f"{cents // 100}.{cents % 100:02d}"


class LineMaker:
    """Makes the lines of invoices.

    Args:
        accounts: the accounts that lines are booked on.
        vat_codes: their VAT codes.
        dimensions: the dimensions that they are told apart by.
    """

    def __init__(self, accounts: list[Record], vat_codes: list[Record], dimensions: list[Record]) -> None:
        self._accounts = {
            account["number"]: {name: account[name] for name in ("internalId", "externalId", "number")}
            for account in accounts
        }
        self._vats = {
            vat_code["code"]: {
                **{name: vat_code[name] for name in ("internalId", "externalId", "code")},
                "amount": None,
                "rate": str(vat_code["rate"]),
            }
            for vat_code in vat_codes
        }
        members = ("name", "type", "typeName", "typeExternalId", "shortName", "displayName", "internalId", "externalId")
        self._dimensions = [{name: dimension[name] for name in members} for dimension in dimensions]
        self._by_type = (self._dimensions[:12], self._dimensions[12:28], self._dimensions[28:])

    def ungrouped(self, rng: SeededRandom, planned: plan.Planned, number: int, abroad: bool) -> list[Record]:
        """Return an invoice's lines as they were booked (InvoiceLineItem)."""
        count = rng.pick(_COUNTS)
        if planned.big:
            count = 2
        elif rng.chance(60):
            count = rng.between(12, plan.MOST_INVOICE_LINES)
        base = self._by_type[0][rng.below(12)]
        made = [self._line(rng, planned, place, base, abroad) for place in range(count)]
        if planned.order is not None:
            for place, line in enumerate(made[: plan.MOST_MATCHED]):
                line["lineType"] = "item"
                line["poLineNumber"] = place + 1
                line["poNumber"] = plan.po_number(planned.order)
                line["poItemsMatched"] = [plan.match(number, planned.order, place, line["quantityInvoiced"])]
        return made

    def _line(self, rng: SeededRandom, planned: plan.Planned, place: int, base: Record, abroad: bool) -> Record:
        name, unit, number, code, low, high, stocked = chart.GOODS[
            # A vendor sells a few things, so that lines of one invoice often share an account.
            (planned.vendor * 7 + rng.below(5)) % len(chart.GOODS)
        ]
        if planned.big:
            # 17 digits before the point; two such lines stay within 19 digits, and VAT would only round them.
            quantity, written, price, code = 1000, "1", rng.between(10**18, 4 * 10**18), "0"
        else:
            (quantity, written), price = rng.pick(_QUANTITIES), rng.between(low, high)
        if abroad:
            code = "0"
        rate = chart.RATES[code]
        net = (quantity * price + 500) // 1000
        tax = (net * rate + _PERCENT // 2) // _PERCENT
        account, vat = self._accounts[number], self._vats[code]
        dimensions = [dict(base)]
        if rng.chance(3):
            dimensions.append(dict(rng.pick(self._by_type[1 + rng.below(2)])))
        net_text, tax_text = money(net), money(tax)
        line: Record = {
            "index": place,
            "amount": Decimal(net_text),
            "amountTax": tax_text,
            "description": name,
            "billable": rng.chance(10),
            "invoiceLineItemInfo": {"vatCode": code, "vatAmount": Decimal(tax_text), "vatRate": vat["rate"]},
            "vat": {**vat, "amount": tax_text},
            "costAccountInternalId": account["internalId"],
            "costAccountExternalId": account["externalId"],
            "costAccount": {**account},
            "dimensions": dimensions,
            "dimensionsInternalIds": [dimension["internalId"] for dimension in dimensions],
            "dimensionsExternalIds": [dimension["externalId"] for dimension in dimensions],
            "quantityInvoiced": written,
            "lineItemTotal": net_text,
            "lineType": "item" if stocked else "expense",
            "poLineNumber": None,
            "poNumber": None,
            "unitPrice": money(price),
        }
        oddity = rng.below(40)
        if oddity < 4:
            line["comment"] = f"{rng.pick(_COMMENTS)} ({unit})"
        elif oddity == 4:
            line["accrual"] = {"start": "2026-01-01", "count": rng.pick((3, 6, 12, None)), "unit": "MONTHS"}
        elif oddity == 5:
            line["invoiceLineItemInfo"] = None
        elif oddity == 6:
            del line["poLineNumber"], line["poNumber"]
        elif oddity == 7 and planned.status == "NOT_READY":
            # Not coded yet.
            line |= {"costAccountInternalId": None, "costAccountExternalId": None, "costAccount": None}
        return line


def grouped(lines: list[Record]) -> list[Record]:
    """Return lines summed by cost account, in the order in which the accounts first come; `index` counts anew."""
    groups: dict[Any, list[Record]] = {}
    for line in lines:
        groups.setdefault(line["costAccountInternalId"], []).append(line)
    return [_group(place, members) for place, members in enumerate(groups.values())]


def _group(place: int, members: list[Record]) -> Record:
    first = members[0]
    group = {**first, "index": place}
    if len(members) == 1:
        return group
    net = sum(line["amount"] for line in members)
    tax = sum(Decimal(line["amountTax"]) for line in members)
    dimensions = list({item["internalId"]: item for line in members for item in line["dimensions"]}.values())
    items = [match for line in members for match in line.get("poItemsMatched", ())]
    group |= {
        "amount": net,
        "amountTax": str(tax),
        "lineItemTotal": str(net),
        "invoiceLineItemInfo": None,
        "dimensions": dimensions,
        "dimensionsInternalIds": [dimension["internalId"] for dimension in dimensions],
        "dimensionsExternalIds": [dimension["externalId"] for dimension in dimensions],
        # Many quantities and prices have no sum that means anything.
        "unitPrice": None,
        "poLineNumber": None,
        "poNumber": next((line["poNumber"] for line in members if line.get("poNumber")), None),
    }
    del group["quantityInvoiced"]
    codes = {line["vat"]["code"] for line in members}
    group["vat"] = {**first["vat"], "amount": str(tax)} if len(codes) == 1 else None
    if items:
        group["poItemsMatched"] = items
    return group
