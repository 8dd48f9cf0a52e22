"""Vendors that documents name: remembered through a run, and written with the mark that says where they come from."""

from __future__ import annotations

import datetime
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Literal

from ap_connectors.core.companies import Identity, same_name, two_letters
from ap_connectors.core.raw_json import JsonObject
from mapper_ivesk_vicai.fields import given
from mapper_ivesk_vicai.sellers import Seller

VendorsAs = Literal["create", "update", "never"]

NO_ERP_TIME = "1970-01-01T00:00:00"
"""`externalUpdatedAt` of vendors: the ERP's clock has not spoken of them, and ivesk's must not compete with it."""


@dataclass(frozen=True)
class Vendor:
    """What the documents of a run say of a vendor, the newest invoice first.

    Args:
        key: its id at Vic.ai.
        identity: its country and numbers.
        facts: under Vic.ai's names, without the account.
        account: where to pay, as Vic.ai's PaymentInfo; empty if not known.
        date: of the newest invoice (ISO 8601); empty if not known.
        account_date: of the newest one that says where to pay.
        is_person: its numbers are not to be shown.
        is_erps: the vendor table says which vendor of the ERP's it is.
    """

    key: str
    identity: Identity
    facts: JsonObject
    account: JsonObject
    date: str
    account_date: str
    is_person: bool
    is_erps: bool

    @property
    def mark(self) -> JsonObject:
        """What an invoice says of its vendor, so that target-vicai finds it."""
        tax = self.facts.get("taxInfo", {})
        person = {"person": True} if self.is_person else {}
        named = given(countryCode=self.facts.get("countryCode"), name=self.facts.get("name"))
        return {**named, **tax, **person}

    def record(self, *, update: bool) -> JsonObject:
        """Return the record of `vendors`."""
        mark = {**self.mark, **({"date": self.date} if self.date else {}), **({"update": True} if update else {})}
        account = {"defaultPaymentInfo": self.account} if self.account else {}
        return {
            "externalId": self.key,
            "externalUpdatedAt": NO_ERP_TIME,
            **self.facts,
            **account,
            "documentVendor": mark,
        }


class Vendors:
    """Remembers vendors, so that one is sent once, and again when a document says something new of it.

    A seller is known again by country and numbers; without any, by ivesk's id of it and its name. What a later document
    leaves out stays as it was; of two that differ, the newer invoice counts, whichever was exported first.
    """

    def __init__(self) -> None:
        self._known: dict[str, dict[str, Vendor]] = defaultdict(dict)

    def of(self, seller: Seller, issued: str | None) -> tuple[Vendor, bool]:
        """Return all that is known of a seller, and whether that is news.

        Args:
            seller: as a document names it.
            issued: the document's date.
        """
        known = self._find(seller)
        if known is None:
            return _first(seller, _date(issued)), True
        together = _together(known, _first(seller, _date(issued)), stated=seller.states_account)
        return together, (together.facts, together.account) != (known.facts, known.account)

    def remember(self, vendor: Vendor, seller: Seller) -> None:
        """Store what was sent."""
        names = (*vendor.identity.numbers, *([f"id {seller.id}"] if seller.id else []), f"key {vendor.key}")
        for name in names:
            self._known[name].pop(vendor.key, None)
            self._known[name][vendor.key] = vendor

    def _find(self, seller: Seller) -> Vendor | None:
        if seller.is_erps:
            return self._known.get(f"key {seller.key}", {}).get(seller.key)
        numbers = seller.identity.numbers
        for number in numbers:
            for each in self._known.get(number, {}).values():
                if not each.is_erps and self._last(each).identity.relation(seller.identity) == "same":
                    return self._last(each)
        if numbers or not seller.id:
            return None
        alike = [
            self._last(each)
            for each in self._known.get(f"id {seller.id}", {}).values()
            if same_name(each.facts.get("name"), seller.name)
            and each.identity.relation(seller.identity) == "unknown"
            and not each.is_erps
        ]
        return alike[0] if len(alike) == 1 else None

    def _last(self, vendor: Vendor) -> Vendor:
        """Return what was remembered last of a vendor: an older state may be listed under a number."""
        return self._known[f"key {vendor.key}"].get(vendor.key, vendor)


def _first(seller: Seller, date: str) -> Vendor:
    facts = {
        "name": seller.name,
        "addressStreet": seller.address,
        "countryCode": two_letters(seller.country),
        "taxInfo": given(orgNumber=seller.code, taxId=seller.vat),
    }
    facts = {name: value for name, value in facts.items() if value}
    account_date = date if seller.states_account else ""
    return Vendor(
        seller.key,
        seller.identity,
        facts,
        payment_info(seller),
        date,
        account_date,
        seller.is_person,
        seller.is_erps,
    )


def _together(known: Vendor, other: Vendor, *, stated: bool) -> Vendor:
    older, newer = (other, known) if other.date < known.date else (known, other)
    # The same numbers, perhaps spelled otherwise, which changes nothing.
    tax = {**other.facts.get("taxInfo", {}), **known.facts.get("taxInfo", {})}
    mine, its = newer.identity, older.identity
    is_newer_account = stated and other.account_date >= known.account_date
    return replace(
        known,
        identity=Identity(mine.country or its.country, mine.code or its.code, mine.vat or its.vat),
        facts={**older.facts, **newer.facts, **({"taxInfo": tax} if tax else {})},
        account=other.account if is_newer_account else known.account,
        date=newer.date,
        account_date=other.account_date if is_newer_account else known.account_date,
        is_person=known.is_person or other.is_person,
    )


def payment_info(seller: Seller) -> JsonObject:
    """Return where the seller wants to be paid, as Vic.ai's PaymentInfo; empty if the document does not say."""
    if seller.account is None:
        return {}
    if seller.account.kind == "BBAN":
        return {"bban": seller.account.number, "defaultMethod": "BBAN"}
    return {"internationalBankAccount": {"iban": seller.account.number}, "defaultMethod": "IBAN"}


def _date(issued: str | None) -> str:
    """Return a date as ISO 8601 has it; empty if it is not a date: what is wrong with it is told of the invoice."""
    try:
        return datetime.date.fromisoformat((issued or "")[:10]).isoformat()
    except ValueError:
        return ""
