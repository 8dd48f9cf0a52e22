"""The seller of a purchase as a vendor of Vic's, sent when there is something new to say of it."""

from __future__ import annotations

from typing import Any

from ap_connectors.core.errors import Reject
from mapper_ivesk_vicai.fields import Fields, code, text

_KEYS = ("sellercode", "sellervat", "sellerid")


def key(document: Fields) -> str:
    """Return the seller's id at Vic: its registration code, else its VAT number, else ivesk's own id.

    Raises:
        Reject: it has none of them.
    """
    found = next(filter(None, (code(document, name) for name in _KEYS)), None)
    if found is None:
        raise Reject("The seller has neither a registration code nor a VAT number nor an id (sellercode, sellervat).")
    return found


def country(document: Fields) -> str | None:
    """Return the seller's country as two letters; None if ivesk says none, or says it in another way."""
    said = code(document, "sellercountry")
    return said.upper() if said and len(said) == 2 and said.isascii() and said.isalpha() else None


def facts(document: Fields) -> dict[str, Any]:
    """Return what a document says of its seller, under Vic's names; what it does not say is absent."""
    said = {
        "name": text(document, "sellername"),
        "addressStreet": text(document, "selleraddress"),
        "countryCode": country(document),
        "taxInfo": _given(orgNumber=code(document, "sellercode"), taxId=code(document, "sellervat")),
        "defaultPaymentInfo": account(document),
    }
    return {name: value for name, value in said.items() if value}


def account(document: Fields) -> dict[str, Any]:
    """Return where the seller wants to be paid, as Vic's PaymentInfo; empty if the document does not say."""
    iban = code(document, "selleriban")
    return {"internationalBankAccount": {"iban": iban}, "defaultMethod": "IBAN"} if iban else {}


class Vendors:
    """Remembers what was sent, so that a vendor is sent once, and again when a document says something new of it.

    What a later document leaves out stays as it was: a missing bank account is not news.
    """

    def __init__(self) -> None:
        self._known: dict[str, dict[str, Any]] = {}

    def news(self, key: str, facts: dict[str, Any]) -> dict[str, Any] | None:
        """Return all that is known of a vendor if these facts change it, else None."""
        known = self._known.get(key)
        if known is None:
            return facts
        tax = {**known.get("taxInfo", {}), **facts.get("taxInfo", {})}
        together = {**known, **facts, **({"taxInfo": tax} if tax else {})}
        return None if together == known else together

    def remember(self, key: str, facts: dict[str, Any]) -> None:
        """Take note that this was sent."""
        self._known[key] = facts


def _given(**members: str | None) -> dict[str, str]:
    return {name: value for name, value in members.items() if value is not None}
