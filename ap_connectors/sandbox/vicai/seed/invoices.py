"""Invoices and training invoices: headers around lines."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ap_connectors.sandbox import clock
from ap_connectors.sandbox.fake_data import SeededRandom, luhn
from ap_connectors.sandbox.vicai import times
from ap_connectors.sandbox.vicai.seed import plan, vendors
from ap_connectors.sandbox.vicai.seed.invoice_lines import LineMaker, grouped

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
