"""Records in Vic.ai's names: accounts, dimensions, vendors and VAT codes, made only of what SAF-T says.

What Vic.ai has no field for travels in `externalData`, of VAT codes in `remoteData`: an object `saft` in SAF-T's names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ap_connectors.core.bank_accounts import norwegian, plain
from ap_connectors.singer.schema import canonical
from tap_saft.values import Fields

FIELDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "accounts": ("Account", ("externalId", "externalUpdatedAt", "number", "name", "externalData")),
    "dimensions": (
        "Dimension",
        ("externalId", "externalUpdatedAt", "name", "type", "typeName", "typeExternalId", "shortName", "externalData"),
    ),
    "vendors": (
        "Vendor",
        (
            *("externalId", "externalUpdatedAt", "name", "email", "phone", "addressStreet", "addressCity"),
            *("addressState", "addressPostalCode", "countryCode", "currency", "taxInfo", "defaultPaymentInfo"),
            "externalData",
        ),
    ),
    "vat_codes": (
        "VatCode",
        (
            *("externalId", "externalUpdatedAt", "code", "description", "rate", "activeStartingAt", "activeEndingAt"),
            "remoteData",
        ),
    ),
}
"""By stream: the component of Vic.ai's contract, and which of its fields SAF-T can fill."""

RESERVED = {stream: frozenset(map(canonical, ("company_id", *names))) for stream, (_, names) in FIELDS.items()}
_METHODS = {"bban": "BBAN", "bankAccountNum": "BANKACCOUNT", "internationalBankAccount": "IBAN"}


def account(saft: Mapping[str, Any]) -> Fields:
    """Return an account for Vic.ai."""
    own = ("account_type", "standard_account_id", "grouping_category", "grouping_code", "account_creation_date")
    return _given(
        externalId=saft.get("account_id"),
        number=saft.get("account_id"),
        name=saft.get("account_description"),
        externalData=_own(saft, own),
    )


def dimension(saft: Mapping[str, Any]) -> Fields:
    """Return a dimension for Vic.ai. Ids are unique within their type only, so the key is ``type:id``."""
    kind, id_ = _text(saft.get("analysis_type")), _text(saft.get("analysis_id"))
    above = [_within(one, "analysis_type", "analysis_id") for one in _objects(saft, "analysis")]
    return _given(
        externalId=_within(saft, "analysis_type", "analysis_id"),
        name=saft.get("analysis_id_description"),
        type=kind,
        typeName=saft.get("analysis_type_description"),
        typeExternalId=kind,
        shortName=id_,
        externalData=_own(saft, ("status", "start_date", "end_date"), belongs_to=[key for key in above if key]),
    )


def vat_code(saft: Mapping[str, Any]) -> Fields:
    """Return a VAT code for Vic.ai; its rate is still text.

    Codes are unique within their type only (1 may be a VAT and an employer's tax), so the key is ``type:code``.
    """
    own = ("tax_type", "tax_type_description", "standard_tax_code", "compensation", "country", "region")
    return _given(
        externalId=_within(saft, "tax_type", "tax_code"),
        code=saft.get("tax_code"),
        description=_text(saft.get("description")) or saft.get("tax_type_description"),
        rate=saft.get("tax_percentage"),
        activeStartingAt=_midnight(saft.get("effective_date")),
        activeEndingAt=_midnight(saft.get("expiration_date")),
        # The rate is what the seller charges. Whether all of it is deducted, compensated, charged is said here.
        remoteData=_own(saft, own, base_rate=_listed(saft, "base_rate"), flat_tax_rate=saft.get("flat_tax_rate")),
    )


def vendor(saft: Mapping[str, Any], country: str, warn: Callable[[str], None]) -> Fields:
    """Return a supplier as a vendor for Vic.ai.

    Args:
        saft: the supplier.
        country: of the audit file; it decides what a bank account number is.
        warn: reports in a sentence which account is left out.
    """
    address = _address(_objects(saft, "address"))
    contacts, party = _objects(saft, "contact"), _object(saft.get("party_info"))
    phones = [_text(contact.get(kind)) for kind in ("telephone", "mobile_phone") for contact in contacts]
    registrations = _objects(saft, "tax_registration")
    tax = _given(
        orgNumber=saft.get("registration_number"),
        taxId=_first(_text(one.get("tax_registration_number")) for one in registrations),
    )
    return _given(
        externalId=saft.get("supplier_id"),
        name=saft.get("name"),
        email=_first(_text(contact.get("email")) for contact in contacts),
        phone=_first(phones),
        addressStreet=" ".join(part for key in ("street_name", "number") if (part := _text(address.get(key)))),
        addressCity=address.get("city"),
        addressState=address.get("region"),
        addressPostalCode=address.get("postal_code"),
        countryCode=address.get("country"),
        currency=party.get("currency_code"),
        taxInfo=tax,
        defaultPaymentInfo=_payment(
            _in_currency(_objects(saft, "bank_account"), _text(party.get("currency_code"))),
            _object(party.get("payment_terms")),
            _norwegian_if(country, _text(address.get("country"))),
            lambda words: warn(f"supplier {saft.get('supplier_id')}: {words}"),
        ),
        externalData=_own(
            saft,
            ("self_billing_indicator",),
            **{name: item for name, item in party.items() if name != "currency_code"},
            bank_accounts=_objects(saft, "bank_account"),
            account_ids=_account_ids(saft),
            tax_registrations=registrations,
        ),
    )


def _norwegian_if(country: str, own: str) -> bool | None:
    """Return whether a supplier is Norwegian, by the file's country and its own; None if its own is not known."""
    return False if country != "NO" or own not in {"", "NO"} else True if own else None


def _account_ids(saft: Mapping[str, Any]) -> list[str]:
    """Return the ledger's accounts of a party: of 1.10, of 1.30."""
    found = (_text(one.get("account_id")) for one in (saft, *_objects(saft, "balance_account")))
    return list(dict.fromkeys(id_ for id_ in found if id_))


def _in_currency(accounts: list[Fields], currency: str) -> list[Fields]:
    """Return bank accounts, those of another currency than the supplier's at the end."""
    return sorted(accounts, key=lambda one: _text(one.get("currency_code")) not in {"", currency} and bool(currency))


def _address(addresses: list[Fields]) -> Fields:
    """Return the street address, or one without a type; else the first."""
    usual = [one for one in addresses if _text(one.get("address_type")) in {"", "StreetAddress"}]
    return next(iter([*usual, *addresses]), {})


def _payment(accounts: list[Fields], terms: Fields, is_norwegian: bool | None, warn: Callable[[str], None]) -> Fields:
    ways: Fields = {}
    for one in accounts:
        iban, bank_number = _text(one.get("iban_number")), _text(one.get("bank_account_number"))
        if iban and "internationalBankAccount" not in ways:
            ways["internationalBankAccount"] = _given(iban=iban, bic=one.get("bic"))
        if bank_number and not {"bban", "bankAccountNum"} & ways.keys():
            # In Norway the whole number, eleven digits, is what banks elsewhere call a BBAN.
            # People write it with points or blanks: 1503.20.80119.
            digits = plain(bank_number)
            if is_norwegian is not False and len(digits) == 11 and digits.isascii() and digits.isdecimal():
                # target-vicai checks it by the vendor's country; without one it would be taken for any number.
                if problem := _problem(digits) if is_norwegian is None else "":
                    warn(f"a bank account {problem}. It is left out; externalData has it.")
                else:
                    ways["bban"] = digits
            else:
                ways |= _given(bankAccountNum=bank_number, bankCode=one.get("sort_code"))
    methods = [method for name, method in _METHODS.items() if name in ways]
    if len(methods) == 1:
        ways["defaultMethod"] = methods[0]
    days = _text(terms.get("days"))
    if days.isdecimal() and days.isascii() and len(days) < 6 and int(days) > 0 and not _text(terms.get("months")):
        ways["paymentTerm"] = {"count": int(days), "unit": "DAYS"}
    return ways


def _problem(number: str) -> str:
    """Return what is wrong with a Norwegian account number; empty if nothing is."""
    try:
        norwegian(number)
    except ValueError as error:
        return str(error)
    return ""


def _within(saft: Mapping[str, Any], kind_name: str, id_name: str) -> str:
    """Return an id that is unique within its type, as a key: ``type:id``; the id alone without a type."""
    kind, id_ = _text(saft.get(kind_name)), _text(saft.get(id_name))
    return f"{kind}:{id_}" if kind and id_ else id_


def _own(saft: Mapping[str, Any], names: tuple[str, ...], **more: Any) -> Fields:
    """Return what Vic.ai has no field for, under a name of its own: other systems may keep theirs beside it.

    It is sent even if it is empty, so that what a later file no longer says does not stay.
    """
    return {"saft": _given(**{name: saft.get(name) for name in names}, **more)}


def _given(**members: Any) -> Fields:
    """Return the members that are not empty."""
    return {name: item for name, item in members.items() if item not in (None, "", {}, [])}


def _text(item: Any) -> str:
    return item.strip() if isinstance(item, str) else ""


def _first(texts: Any) -> str:
    return next((text for text in texts if text), "")


def _object(item: Any) -> Fields:
    return item if isinstance(item, dict) else {}


def _objects(saft: Mapping[str, Any], name: str) -> list[Fields]:
    found = saft.get(name)
    return [one for one in (found if isinstance(found, list) else [found]) if isinstance(one, dict)]


def _listed(saft: Mapping[str, Any], name: str) -> list[Any]:
    found = saft.get(name)
    return found if isinstance(found, list) else [found] if found else []


def _midnight(date: Any) -> str:
    return f"{_text(date)[:10]}T00:00:00" if _text(date) else ""
