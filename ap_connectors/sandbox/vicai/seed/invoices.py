"""Invoices and training invoices: headers around lines, ungrouped as they were booked, and grouped by cost account.

`amount` is a line's sum without VAT (what quantity and unit price make), `amountTax` its VAT. All sums are exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ap_connectors.sandbox import clock
from ap_connectors.sandbox.fake_data import SeededRandom, luhn
from ap_connectors.sandbox.vicai import times
from ap_connectors.sandbox.vicai.seed import chart, plan, vendors

_COUNTS = (1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 4, 5, 6, 8)
# In thousandths, as they are written.
_QUANTITIES = (
    (1000, "1"), (1000, "1"), (1000, "1.00"), (2000, "2"), (3000, "3.000"), (500, "0.5"), (7375, "7.375"),
    (10_000, "10"), (12_500, "12.50"), (24_000, "24"), (125, "0.125"), (4000, "4.0"), (100_000, "100"),
)  # fmt: skip
_COMMENTS = ("Se vedlegg", "Periodisert", "Godkjent av Åse", "Pagal sutartį Nr. 7", "Split etter avtale")
_PERCENT = 10_000
Record = dict[str, Any]
_LANGUAGES = {"NOK": "no", "USD": "en", "EUR": "lt", "SEK": "sv"}
_SOURCES = ("EHF", "EHF", "EMAIL", "UPLOAD", None)
_DESCRIPTIONS = (
    "Månedlig avregning",
    "Etter bestilling fra Åse",
    "Pagal sąskaitą – ąčęėįšųūž",
    'Delleveranse "2 av 3"',
)
_ODD_IDS = ("Bilag #{} æøå", "B {}%", 'Bilag "{}"', "Č+{}")
_POSTING_ERRORS = ("Prosjektet er avsluttet i ERP-systemet", "Vedlegget kunne ikke lagres: navnet er for langt")
_FIELDS = ("Vår referanse", "Bestiller", "Målepunkt-ID")


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


@dataclass(frozen=True)
class Invoice:
    """An invoice as it is listed (the contract's Invoice, lines grouped), and its lines before they were grouped."""

    record: Record
    lines: list[Record]


class InvoiceMaker:
    """Makes invoices.

    Args:
        chosen: what is decided about each.
        vendors: all vendors.
        lines: makes their lines.
    """

    def __init__(self, chosen: plan.Plan, vendors: list[Record], lines: LineMaker) -> None:
        self._plan, self._lines = chosen, lines
        self._vendors = vendors
        self._sparse = [_sparse(vendor) for vendor in vendors]
        self._instants = times.SeededInstants(chosen.seed, "invoices", chosen.invoices)

    def changed(self, number: int) -> int:
        """Return when an invoice last changed in Vic, in milliseconds since 1970."""
        return clock.advance(self._instants.at(number), 40 * times.MINUTE)

    def invoice(self, number: int) -> Invoice:
        """Make an invoice; `internalUpdatedAt` in milliseconds since 1970."""
        planned, changed = self._plan.of(number), self.changed(number)
        rng = SeededRandom(self._plan.seed, "invoice", number)
        vendor, sparse = self._vendors[planned.vendor], self._sparse[planned.vendor]
        lines = self._lines.ungrouped(rng, planned, number, vendor["currency"] != "NOK")
        net = sum(line["amount"] for line in lines)
        tax = sum(Decimal(line["amountTax"]) for line in lines)
        record: Record = {
            "totalAmount": str(net + tax),
            "amountWithoutTax": str(net),
            "amountTax": str(tax),
            **self._header(rng, planned, changed // clock.DAY, vendor),
            "internalId": plan.invoice_id(number),
            "internalUpdatedAt": changed,
            "paymentTermId": vendor["paymentTermId"],
            "vendorInternalId": sparse["internalId"],
            "vendorExternalId": sparse["externalId"],
            "vendor": dict(sparse),
            "status": planned.status,
            "source": rng.pick(_SOURCES),
        }
        if planned.order is not None:
            record["poNumber"] = plan.po_number(planned.order)
        if planned.known_to_erp:
            odd = number % 97 == 41
            name = rng.pick(_ODD_IDS) if odd else "BILAG-{:06d}"
            record["externalId"] = name.format(number + 1)
            record["externalUpdatedAt"] = times.wall_text(changed - rng.between(1000, 90_000))
            if rng.chance(40):
                record["postingError"] = rng.pick(_POSTING_ERRORS)
        elif rng.chance(2):
            record["externalId"] = None
        self._rarely(rng, record, vendor)
        record["lineItems"] = grouped(lines)
        return Invoice(record, lines)

    def training_invoice(self, number: int) -> Record:
        """Make a training invoice of the year before, with `externalId` beside the contract's fields."""
        rng = SeededRandom(self._plan.seed, "training invoice", number)
        chosen = self._plan.of(number)._replace(status="POSTED", big=False, order=None)
        known = [vendor for vendor in self._vendors if "externalId" in vendor]
        vendor = known[chosen.vendor % len(known)]
        # Ascending, and before anything happened in Vic.
        changed = clock.START - (400 - number) * 6 * clock.HOUR - rng.below(clock.HOUR)
        record: Record = {
            "externalId": f"HIST 2025 #{number + 1}" if number % 25 == 7 else f"HIST-{number + 1:05d}",
            "externalUpdatedAt": times.wall_text(changed),
            **self._header(rng, chosen, changed // clock.DAY, vendor),
            "vendorExternalId": vendor["externalId"],
            "lineItems": self._lines.ungrouped(rng, chosen, number, vendor["currency"] != "NOK"),
        }
        del record["paymentRef"], record["paymentTerm"]
        if rng.chance(3):
            record["externalData"] = {"bilagsart": rng.pick(("IB", "LF", "KN"))} if rng.below(4) else None
        return record

    def _header(self, rng: SeededRandom, planned: plan.Planned, today: int, vendor: Record) -> Record:
        issued = today - rng.below(12)
        term = rng.pick(vendors.TERM_DAYS)
        currency = vendor["currency"]
        # Norwegian vendors invoice abroad's money at times.
        if currency == "NOK" and rng.chance(25):
            currency = "EUR"
        header: Record = {
            "transactionType": "CREDITNOTE" if planned.credit_note else "INVOICE",
            "refNumber": f"{rng.between(10**4, 10**7)}" if rng.below(30) else f"F-{rng.below(10**4)}/26 Ø",
            "poNumber": None,
            "description": None if rng.below(3) else rng.pick(_DESCRIPTIONS),
            "currency": currency,
            "language": None if rng.chance(20) else _LANGUAGES[vendor["currency"]],
            "issueDate": times.day_text(issued),
            "glDate": times.day_text(today),
            "dueDate": times.day_text(issued + term),
            "paymentTerm": {"count": term, "unit": "DAYS"} if rng.below(9) else None,
            "paymentInfo": {
                name: dict(value) if isinstance(value, dict) else value
                for name, value in vendor["defaultPaymentInfo"].items()
            },
        }
        number = f"{rng.below(10**11):011d}"
        if vendor["currency"] == "NOK":
            kid = number + luhn(number)
            header["paymentRef"] = kid
            header["invoiceInfo"] = {"kid": kid, "creditAccountExternalId": "KTO-2400"}
        else:
            header["paymentRef"] = f"{number[:5]} {number[5:]}"
        return header

    def _rarely(self, rng: SeededRandom, record: Record, vendor: Record) -> None:
        oddity = rng.below(100)
        if oddity < 12:
            label = rng.pick(_FIELDS)
            value = rng.pick(("Bjørn Ås", "Žydrūnė", "707057500012345678", None))
            record["fields"] = [{"label": label, "title": label, "type": "text", "value": value}]
        elif oddity < 20:
            record["customFields"] = [{"id": "7", "value": f"{rng.below(10**4):04d}", "label": "Kjøretøy"}]
        elif oddity < 24:
            record["bolNumbers"] = [{"bolNumber": f"BOL{rng.below(10**6):06d}"}]
        elif oddity < 26:
            record["vendor"] = {"internalId": vendor["internalId"]}
        elif oddity < 28:
            record |= {"fields": [], "customFields": [], "bolNumbers": []}
        elif oddity == 28 and record["status"] == "NOT_READY":
            # The vendor was not recognised yet.
            record |= {"vendor": None, "vendorInternalId": None, "vendorExternalId": None}
        if vendor["currency"] == "USD" and rng.chance(2):
            record |= {"selfAssessedUseTaxAmount": "0.00", "selfAssessedUseTaxAccount": None}


def _sparse(vendor: Record) -> Record:
    return {
        "internalId": vendor["internalId"],
        "externalId": vendor.get("externalId"),
        "orgNumber": vendor["taxInfo"]["orgNumber"],
        "countryCode": vendor["countryCode"],
        "name": vendor["name"],
    }
