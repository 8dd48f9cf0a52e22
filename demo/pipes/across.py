"""Purchases in Įvesk and training invoices at Vic.ai, each asked on its own, added up by currency."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from ap_connectors.sandbox.process import Control

Record = Mapping[str, Any]
Sums = Mapping[str, Decimal]


def purchases(control: Control, company: str) -> dict[str, Record]:
    """The exported documents that the company bought by, by id."""
    return {one["id"]: one for one in control.documents("exported") if one["buyercode"] == company}


def trained(control: Control) -> Counter[str]:
    """Vic.ai's training invoices as JSON; it shows no ids of theirs, so equal ones are counted."""
    return Counter(json.dumps(one, default=str, sort_keys=True) for one in control.vicai.records("trainingInvoices"))


def totals(documents: Iterable[Record]) -> Sums:
    """Totals of documents."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for one in documents:
        sums[one["currency"]] += Decimal(str(one["total"]))
    return sums


def at_vic(invoices: Counter[str]) -> Sums:
    """What the lines of training invoices add up to, with VAT; credit notes count against."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for one in map(json.loads, invoices.elements()):
        sign = -1 if one["transactionType"] == "CREDITNOTE" else 1
        for line in one["lineItems"]:
            amounts = (line["amount"], line["invoiceLineItemInfo"]["vatAmount"])
            sums[one["currency"]] += sign * sum(Decimal(amount) for amount in amounts)
    return sums
