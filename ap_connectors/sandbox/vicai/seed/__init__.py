"""The sandbox's Vic data, made from (seed, number) alone: a Norwegian company with vendors at home and abroad.

Shapes are the contract's, but `internalUpdatedAt` of a record is a whole number: milliseconds since 1970. Money is
text, JSON numbers are `decimal.Decimal`. Every call makes new dictionaries; those within one invoice may be shared.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from ap_connectors.sandbox.fake_data import SeededRandom
from ap_connectors.sandbox.vicai.seed import master_data, payment_batches, plan, purchase_orders, vendors
from ap_connectors.sandbox.vicai.seed.invoices import Invoice, InvoiceMaker, LineMaker

Record = dict[str, Any]


class Seed:
    """The records that the sandbox's Vic starts with.

    Args:
        seed: decides everything.
        invoices: how many invoices there are; vendors, orders, batches follow from it.
        big_amounts: one in 500 invoices, number 3 at least, has amounts of 19 digits.
        extra_fields: one in five records has fields and enumerated values that the contract does not know.
    """

    def __init__(self, seed: int, invoices: int, *, big_amounts: bool = True, extra_fields: bool = False) -> None:
        self.seed, self.invoices, self.extra_fields = seed, invoices, extra_fields
        self._plan = plan.Plan(seed, invoices, big_amounts)

    def accounts(self) -> list[Record]:
        """Return about 120 accounts (Account)."""
        return self._with_unknown_fields("account", master_data.accounts(self.seed))

    def dimensions(self) -> list[Record]:
        """Return 40 departments, projects and cost carriers (Dimension)."""
        return self._with_unknown_fields("dimension", master_data.dimensions(self.seed))

    def vendors(self) -> list[Record]:
        """Return the vendors (Vendor): one per 20 invoices, 40 at least, 400 at most."""
        return self._with_unknown_fields("vendor", vendors.vendors(self.seed, self.invoices))

    def vendor_groups(self) -> list[Record]:
        """Return five vendor groups (VendorGroup)."""
        return self._with_unknown_fields("vendor group", master_data.vendor_groups(self.seed))

    def tags(self) -> list[Record]:
        """Return the tags (Tag)."""
        return self._with_unknown_fields("tag", master_data.tags())

    def vendor_tags(self) -> list[Record]:
        """Return which vendor has which tag (VendorTag)."""
        return self._with_unknown_fields("vendor tag", master_data.vendor_tags(self.seed, self._vendors))

    def payment_terms(self) -> list[Record]:
        """Return six payment terms (PaymentTerm), one with a discount."""
        return self._with_unknown_fields("payment term", master_data.payment_terms(self.seed))

    def vat_codes(self) -> list[Record]:
        """Return the Norwegian standard VAT codes (VatCode)."""
        return self._with_unknown_fields("VAT code", master_data.vat_codes(self.seed))

    def tax_codes(self) -> list[Record]:
        """Return four American tax codes (TaxCode)."""
        return self._with_unknown_fields("tax code", master_data.tax_codes(self.seed))

    def invoice(self, number: int) -> Invoice:
        """Make one invoice with its lines; numbers count from 0 in the order of internalUpdatedAt."""
        invoice = self._invoice_maker.invoice(number)
        if self.extra_fields:
            add_unknown_fields(self.seed, "invoice", number, invoice.record)
            add_unknown_fields(self.seed, "line", number, invoice.lines[0])
        return invoice

    def training_invoices(self) -> list[Record]:
        """Return the training invoices (TrainingInvoice) and their `externalId`s: one per 8 invoices, at most 200."""
        made = [self._invoice_maker.training_invoice(number) for number in range(min(200, self.invoices // 8))]
        return self._with_unknown_fields("training invoice", made)

    def purchase_orders(self) -> list[Record]:
        """Return the purchase orders (PurchaseOrder), one per 10 invoices, at most 150; most have been invoiced."""
        made = purchase_orders.purchase_orders(self._plan, self._invoice_maker, self._vendors)
        return self._with_unknown_fields("purchase order", made)

    def payment_batches(self) -> list[Record]:
        """Return the payment batches (PaymentBatch): one per 15 invoices, 6 at least if there are any, at most 120."""
        made = payment_batches.payment_batches(self._plan, self._invoice_maker)
        return self._with_unknown_fields("payment batch", made)

    @functools.cached_property
    def _vendors(self) -> list[Record]:
        return vendors.vendors(self.seed, self.invoices)

    @functools.cached_property
    def _invoice_maker(self) -> InvoiceMaker:
        lines = LineMaker(
            master_data.accounts(self.seed), master_data.vat_codes(self.seed), master_data.dimensions(self.seed)
        )
        return InvoiceMaker(self._plan, self._vendors, lines)

    def _with_unknown_fields(self, kind: str, records: list[Record]) -> list[Record]:
        if self.extra_fields:
            for number, record in enumerate(records):
                add_unknown_fields(self.seed, kind, number, record)
        return records


EVERY, AT = 5, 1
# What lists filter by stays as it is, so that every record can be found.
_TRANSACTIONS = {"INVOICE": ("invoice", "Invoice", "SELF_BILLING"), "CREDITNOTE": ("creditnote", "CREDIT_NOTE")}


def add_unknown_fields(seed: int, kind: str, number: int, record: Record) -> None:
    """Give one record in five unknown fields; and, where it has enumerations, values in another case or new ones."""
    if number % EVERY != AT:
        return
    rng = SeededRandom(seed, "novelty", kind, number)
    record |= {
        "approvalStage": rng.pick(("mottatt", "kontrollert", "Ąžuolas")),
        "riskScore": Decimal(rng.between(10**18, 10**19 - 1)).scaleb(-9),
        "sustainability": {"scope": rng.between(1, 3), "co2Kg": Decimal(rng.below(10**6)).scaleb(-2), "notes": None},
        "labels": ["ny", rng.pick(("æøå", "ąčęž")), None],
    }
    if kind in _ENUMS:
        _ENUMS[kind](rng, record)


def _invoice(rng: SeededRandom, record: Record) -> None:
    record["transactionType"] = rng.pick(_TRANSACTIONS[record["transactionType"]])
    _line(rng, record["lineItems"][0])


def _line(rng: SeededRandom, record: Record) -> None:
    record["lineType"] = rng.pick(("ITEM", "Expense", "freight"))
    record["matchConfidence"] = Decimal(rng.between(0, 1000)).scaleb(-3)


def _vendor(rng: SeededRandom, record: Record) -> None:
    # The invoices' vendors are other dictionaries.
    record["defaultPaymentInfo"]["defaultMethod"] = rng.pick(("iban", "Bankaccount", "VIRTUAL_CARD"))


def _purchase_order(rng: SeededRandom, record: Record) -> None:
    for line in record["lineItems"]:
        line["matchingType"] = rng.pick(("two_way", "three_way", "Four_Way", "NO_MATCH"))


def _payment_batch(rng: SeededRandom, record: Record) -> None:
    for item in (*record["payments"], *record["credits"]):
        item["status"] = rng.pick((item["status"].upper(), item["status"].title(), item["status"]))
    for payment in record["payments"][:1]:
        payment["deliveryMethod"] = rng.pick(("remote", "LOCAL"))


_ENUMS: dict[str, Callable[[SeededRandom, Record], None]] = {
    "invoice": _invoice,
    "line": _line,
    "training invoice": _invoice,
    "vendor": _vendor,
    "purchase order": _purchase_order,
    "payment batch": _payment_batch,
}
