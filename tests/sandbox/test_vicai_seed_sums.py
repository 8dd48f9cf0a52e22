"""The sandbox's Vic data: exact sums, and references, matches and payments that agree on both sides."""

from __future__ import annotations

import json
import re
from collections import Counter
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import msgspec
import pytest

from ap_connectors.sandbox.vicai.seed import Seed
from ap_connectors.sandbox.vicai.seed.plan import Plan
from ap_connectors.vicai import contract
from tests.sandbox.seeded import INVOICES, invoices, records, seeded

CENT = Decimal("0.01")

MONEY = re.compile(r"\d+\.\d\d")


def test_header_lines_and_groups_agree_to_the_cent() -> None:
    several = 0
    for invoice in invoices():
        record = invoice.record
        without, tax, total = (Decimal(record[name]) for name in ("amountWithoutTax", "amountTax", "totalAmount"))
        assert total == without + tax
        for name in ("amountWithoutTax", "amountTax", "totalAmount"):
            assert MONEY.fullmatch(record[name])
        for lines in (invoice.lines, record["lineItems"]):
            assert [line["index"] for line in lines] == list(range(len(lines)))
            assert sum(line["amount"] for line in lines) == without
            assert sum(Decimal(line["amountTax"]) for line in lines) == tax
            for line in lines:
                assert line["amount"].as_tuple().exponent == -2
                assert Decimal(line["lineItemTotal"]) == line["amount"]
                if line["vat"] is not None:
                    assert line["vat"]["amount"] == line["amountTax"]
        sums: Counter[Any] = Counter()
        for line in invoice.lines:
            sums[line["costAccountInternalId"]] += line["amount"]
        assert {line["costAccountInternalId"]: line["amount"] for line in record["lineItems"]} == sums
        assert len(record["lineItems"]) == len(sums)
        several += len(sums) < len(invoice.lines)
    assert several > 60
    counts = [len(invoice.lines) for invoice in invoices()]
    assert (min(counts), max(counts) <= 30, max(counts) >= 12) == (1, True, True)


def test_a_line_is_quantity_times_price_and_its_vat_follows_from_the_rate() -> None:
    for line in records("lines"):
        net = Decimal(line["quantityInvoiced"]) * Decimal(line["unitPrice"])
        assert net.quantize(CENT, ROUND_HALF_UP) == line["amount"]
        tax = line["amount"] * Decimal(line["vat"]["rate"]) / 100
        assert tax.quantize(CENT, ROUND_HALF_UP) == Decimal(line["amountTax"])
        assert re.fullmatch(r"\d+(\.\d+)?", line["quantityInvoiced"])


def test_big_amounts_have_19_digits_and_lose_none() -> None:
    big = seeded().invoice(3)
    assert re.fullmatch(r"\d{17}\.\d\d", big.record["totalAmount"])
    assert big.record["status"] == "POSTED"
    encoded = msgspec.json.Encoder(decimal_format="number").encode(big.lines)
    exact = json.loads(encoded, parse_float=Decimal)
    assert sum(line["amount"] for line in exact) == Decimal(big.record["amountWithoutTax"])
    assert len(Seed(7, INVOICES, big_amounts=False).invoice(3).record["totalAmount"]) < 14
    assert len(Seed(7, 1000).invoice(503).record["totalAmount"]) == 20


def test_purchase_orders_and_invoices_are_matched_both_ways() -> None:
    lines = {line["internalId"]: line for order in records("purchase_orders") for line in order["lineItems"]}
    assert len(lines) == sum(len(order["lineItems"]) for order in records("purchase_orders"))
    orders = {order["poNumber"]: order for order in records("purchase_orders")}
    by_order = {
        json.dumps(match, sort_keys=True) for line in lines.values() for match in line.get("invoiceItemsMatched", ())
    }
    by_invoice = set()
    for invoice in invoices():
        if invoice.record["poNumber"] is None:
            assert not any(line.get("poItemsMatched") for line in invoice.lines)
            continue
        order = orders[invoice.record["poNumber"]]
        assert invoice.record["status"] == "POSTED"
        assert order["vendor"]["internalId"] == invoice.record["vendorInternalId"]
        assert order["currencyId"] == invoice.record["currency"]
        for line in invoice.lines:
            for match in line.get("poItemsMatched", ()):
                ordered = lines[match["purchaseOrderItemId"]]
                assert ordered in order["lineItems"]
                assert (line["poNumber"], line["poLineNumber"]) == (order["poNumber"], ordered["lineNumber"])
                assert (ordered["lineItemTotal"], ordered["unitAmount"]) == (line["lineItemTotal"], line["unitPrice"])
                by_invoice.add(json.dumps(match, sort_keys=True))
        grouped = [match for line in invoice.record["lineItems"] for match in line.get("poItemsMatched", ())]
        assert len(grouped) == sum(len(line.get("poItemsMatched", ())) for line in invoice.lines)
    assert by_order == by_invoice
    assert len(by_order) > 20


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_only_posted_invoices_are_matched(seed: int) -> None:
    plan = Plan(seed, 1500, big_amounts=True)
    matched = [number for order in range(plan.orders) if (number := plan.order_invoice(order)) is not None]
    assert len(matched) > plan.orders / 2
    for number in matched:
        planned = plan.of(number)
        assert (planned.status, planned.credit_note, planned.big) == ("POSTED", False, False)


def test_purchase_orders_add_up() -> None:
    orders = records("purchase_orders")
    assert {order["status"] for order in orders} == {"open", "closed"}
    for order in orders:
        assert 1 <= len(order["lineItems"]) <= 12
        assert sum(Decimal(line["lineItemTotal"]) for line in order["lineItems"]) == Decimal(order["amount"])
        numbers = [line["lineNumber"] for line in order["lineItems"]]
        assert len(set(numbers)) == len(numbers)
    assert any(not line["invoiceItemsMatched"] for order in orders for line in order["lineItems"])


@pytest.mark.parametrize("seed", [1, 7, 2026])
def test_payment_batches_pay_what_was_invoiced(seed: int) -> None:
    maker = Seed(seed, INVOICES)
    found = {}
    for number in range(INVOICES):
        record = maker.invoice(number).record
        found[record["internalId"]] = record
    batches = maker.payment_batches()
    statuses: dict[str, set[str]] = {"payments": set(), "credits": set()}
    paid = Counter[str]()
    for batch in batches:
        assert batch["payments"]
        for kind, transaction in (("payments", "INVOICE"), ("credits", "CREDITNOTE")):
            for item in batch[kind]:
                invoice = found[item["invoice"]["internalId"]]
                assert (invoice["status"], invoice["transactionType"]) == ("POSTED", transaction)
                assert (item["amount"], item["currencyId"]) == (invoice["totalAmount"], invoice["currency"])
                assert item["invoice"]["externalId"] == invoice["externalId"]
                assert item["vendor"]["internalId"] == invoice["vendorInternalId"]
                assert (item["status"] == "voided") == (item["voidedAt"] is not None)
                assert (item["status"] == "rejected") == (item["rejectedAt"] is not None)
                statuses[kind].add(item["status"])
                paid[item["id"]] += 1
                paid[invoice["internalId"]] += 1
    assert set(paid.values()) == {1}
    assert statuses["payments"] == set(contract.component("PaymentStatus", contract.FIRST)["enum"])
    assert statuses["credits"] == set(contract.component("CreditStatus", contract.FIRST)["enum"])


def test_payment_batches_come_to_every_end() -> None:
    batches = records("payment_batches")
    assert {batch["status"] for batch in batches} == set(
        contract.component("PaymentBatchStatus", contract.FIRST)["enum"]
    )
    order = ("approvedAt", "processedAt", "completedAt", "voidedAt")
    for batch in batches:
        times = [batch[name] for name in order if batch.get(name) is not None]
        assert times == sorted(times)
        assert bool(times or batch.get("rejectedAt")) == (batch["status"] != "pending_approval")
        for item in (*batch["payments"], *batch["credits"]):
            happened = [item[name] for name in ("approvedAt", "fundedAt", "voidedAt") if item[name] is not None]
            assert happened == sorted(happened)
    assert any(batch["status"] == "voided" and batch["completedAt"] < batch["voidedAt"] for batch in batches)
    # A completed batch of which something came back later.
    assert any(
        payment["status"] == "voided" and batch["status"] == "approved" and payment["voidedAt"] > batch["completedAt"]
        for batch in batches
        for payment in batch["payments"]
    )


def test_references_lead_somewhere() -> None:
    vendors = {vendor["internalId"]: vendor for vendor in records("vendors")}
    known = {vendor["externalId"] for vendor in vendors.values() if "externalId" in vendor}
    accounts = {account["internalId"]: account for account in records("accounts")}
    dimensions = {dimension["internalId"]: dimension for dimension in records("dimensions")}
    vat_codes = {vat_code["internalId"]: vat_code for vat_code in records("vat_codes")}
    terms = {term["id"] for term in records("payment_terms")} | {None}
    groups = {group["id"] for group in records("vendor_groups")} | {None}
    for vendor in vendors.values():
        assert vendor["paymentTermId"] in terms
        assert vendor["vendorGroupId"] in groups
    for record in records("invoices"):
        if record["vendor"] is not None:
            vendor = vendors[record["vendorInternalId"]]
            assert record["vendor"]["internalId"] == vendor["internalId"]
            assert record["vendorExternalId"] == vendor.get("externalId")
        assert record["paymentTermId"] in terms
    for record in records("training_invoices"):
        assert record["vendorExternalId"] in known
    for line in records("lines"):
        if line["costAccount"] is not None:
            account = accounts[line["costAccountInternalId"]]
            assert line["costAccount"]["number"] == account["number"]
            assert line["costAccountExternalId"] == account["externalId"]
        assert Decimal(line["vat"]["rate"]) == vat_codes[line["vat"]["internalId"]]["rate"]
        for place, dimension in enumerate(line["dimensions"]):
            assert dimensions[dimension["internalId"]]["name"] == dimension["name"]
            assert line["dimensionsExternalIds"][place] == dimension["externalId"]
    tags = {tag["id"] for tag in records("tags")}
    pairs = [(link["vendorId"], link["tagId"]) for link in records("vendor_tags")]
    assert len(set(pairs)) == len(pairs)
    assert all(vendor in vendors and tag in tags for vendor, tag in pairs)
