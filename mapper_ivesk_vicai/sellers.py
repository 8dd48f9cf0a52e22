"""Sellers of documents: who they are, and where they want to be paid."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from ap_connectors.core import bank_accounts
from ap_connectors.core.bank_accounts import Account
from ap_connectors.core.companies import Identity, same_company
from ap_connectors.core.errors import Reject
from ap_connectors.core.raw_json import JsonObject
from mapper_ivesk_vicai.fields import code, one_line, text
from mapper_ivesk_vicai.tables import VendorTable

HIDDEN = "hidden"
"""Stands for the code of a person in messages."""

_PERSONAL = re.compile(r"[1-6]\d{10}", re.ASCII)
_OF_PERSONS = frozenset({"EE", "LT"})
"""Countries in which a registration code of eleven digits is a person's; in Norway any number of eleven digits is."""


class SellerOptions(NamedTuple):
    """How sellers are read: the settings.

    Args:
        company: registration code of the company whose purchases are mapped.
        table: the ERP's ids of sellers.
        hide_persons: keep the codes of persons out of keys and messages.
    """

    company: str
    table: VendorTable
    hide_persons: bool


@dataclass(frozen=True)
class Seller:
    """The seller of a document.

    Args:
        key: its id at Vic.ai: the ERP's, or the one that it gets there if it is new.
        is_erps: `key` is the ERP's, by the vendor table.
        identity: country and numbers.
        id: ivesk's own id.
        name, address: as the document has them.
        country, code, vat: as the document spells them.
        account: where to pay; None if the document does not say, or says what cannot be right.
        states_account: the document says where to pay.
        is_person: its code is personal data that is not to be shown.
    """

    key: str
    is_erps: bool
    identity: Identity
    id: str | None
    name: str | None
    address: str | None
    country: str | None
    code: str | None
    vat: str | None
    account: Account | None
    states_account: bool
    is_person: bool


def read_seller(document: JsonObject, options: SellerOptions) -> tuple[Seller, tuple[Reject, ...]]:
    """Read the seller; return with it why its account is set aside by itself.

    Raises:
        Reject: it is not clear who it is.
    """
    registered, vat, id_ = (code(document, f"seller{name}") for name in ("code", "vat", "id"))
    if same_company(registered, options.company) or (not registered and same_company(vat, options.company)):
        raise Reject(
            f"Seller and buyer are the same company, {options.company}. Correct the parties in ivesk.",
            "seller_is_buyer",
            company=options.company,
        )
    country = text(document, "sellercountry")
    identity = Identity.of(country, registered, vat)
    is_person = options.hide_persons and is_of_a_person(document, "seller", identity)
    known = options.table.find(identity, id_)
    if len(known) > 1:
        raise Reject(
            f"vendor_table has several vendors for the seller {one_line(text(document, 'sellername'))}: "
            f"{', '.join(known)}. Leave one.",
            "ambiguous_vendor",
            document={"name": text(document, "sellername") or ""},
            vendors=[{"externalId": one} for one in known],
        )
    account, wrong = _account(document, identity)
    seller = Seller(
        key=known[0] if known else _key(identity, id_, without_code=is_person),
        is_erps=bool(known),
        identity=identity,
        id=id_,
        name=text(document, "sellername"),
        address=text(document, "selleraddress"),
        country=country,
        code=registered,
        vat=vat,
        account=account,
        states_account=account is not None or bool(wrong),
        is_person=is_person,
    )
    return seller, wrong


def is_of_a_person(document: JsonObject, party: str, identity: Identity | None = None) -> bool:
    """Return whether the code of a party is a person's: the document says so, or the code has that form."""
    if document.get(f"{party}isperson") is True:
        return True
    if identity is None:
        country, registered, vat = (code(document, f"{party}{name}") for name in ("country", "code", "vat"))
        identity = Identity.of(country, registered, vat)
    has_form = _PERSONAL.fullmatch(identity.code or "") is not None
    return (has_form and identity.country in _OF_PERSONS) or _is_norwegian_person(identity)


def _is_norwegian_person(identity: Identity) -> bool:
    return identity.country == "NO" and len(identity.code or "") == 11 and (identity.code or "").isdigit()


def _key(identity: Identity, id_: str | None, *, without_code: bool) -> str:
    """Return the id at Vic.ai of a seller that is new there: by country and code, else VAT number, else ivesk's id."""
    if identity.code and not without_code:
        return f"{identity.country}-{identity.code}" if identity.country else identity.code
    holds_code = without_code and bool(identity.code) and (identity.code or "") in (identity.vat or "")
    found = (None if holds_code else identity.vat) or id_
    if found is None:
        raise Reject(
            "The seller has neither a registration code nor a VAT number nor an id (sellercode, sellervat).",
            "seller_without_id",
        )
    return found


def _account(document: JsonObject, identity: Identity) -> tuple[Account | None, tuple[Reject, ...]]:
    """Return where to pay, and why not if the number cannot be right."""
    written = code(document, "selleriban")
    if written is None:
        return None, ()
    try:
        return bank_accounts.account(written, identity.country), ()
    except ValueError as error:
        message = (
            f"The seller's account {one_line(written)} (selleriban) {error}. The document goes on without it. "
            "Correct it in ivesk, and export the document again."
        )
        return None, (Reject(message, "bank_account", field="selleriban", value=one_line(written)),)


def read_kid(document: JsonObject, seller: Seller) -> tuple[str | None, tuple[Reject, ...]]:
    """Return the reference that a payment must quote, and why not if it is a Norwegian KID that cannot be right."""
    written = code(document, "kid")
    number = seller.account.number if seller.account else ""
    is_norwegian = seller.identity.country == "NO" or number.startswith("NO") or number.isdigit()
    if written is None or not is_norwegian:
        return written, ()
    try:
        return bank_accounts.kid(written), ()
    except ValueError as error:
        message = (
            f"The KID {one_line(written)} {error}. The document goes on without it. Correct it in ivesk, and export "
            "the document again."
        )
        return None, (Reject(message, "kid", field="kid", value=one_line(written)),)
