"""A vendor as the ERP has it and as documents name it, and invoices of such documents."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.target_vicai.conftest import Record

ERP_IBAN, OTHER_IBAN, THIRD_IBAN = "LT601010012345678901", "LT121000011101001000", "NO9386011117947"
NEVER = "1970-01-01T00:00:00"


def erp_vendor(**changes: Any) -> Record:
    """A vendor as the ERP knows it."""
    return {
        "externalId": "50010",
        "externalUpdatedAt": "2026-01-01T00:00:00",
        "name": "UAB Žalia",
        "addressStreet": "Liepų g. 5",
        "countryCode": "LT",
        "state": "CONFIRMED",
        "taxInfo": {"orgNumber": "304111222", "taxId": "LT100001234567"},
        "defaultPaymentInfo": {
            "internationalBankAccount": {"iban": ERP_IBAN, "bic": "HABALT22"},
            "defaultMethod": "IBAN",
            "paymentTerm": {"count": 30, "unit": "DAYS"},
        },
    } | changes


def mark(**changes: Any) -> Record:
    return {"countryCode": "LT", "orgNumber": "304111222", "taxId": "LT100001234567", "date": "2026-03-05"} | changes


def document_vendor(key: str = "LT-304111222", iban: str | None = OTHER_IBAN, **changes: Any) -> Record:
    """The same vendor as a document names it: another name, address, account."""
    named = changes.pop("documentVendor", mark())
    account = {"internationalBankAccount": {"iban": iban}, "defaultMethod": "IBAN"}
    return {
        "externalId": key,
        "externalUpdatedAt": NEVER,
        "name": "UAB Kita",
        "addressStreet": "Kita g. 1",
        "countryCode": "LT",
        "taxInfo": {"orgNumber": "304111222", "taxId": "LT100001234567"},
        **({"defaultPaymentInfo": account} if iban else {}),
        "documentVendor": named,
        "ivesk_document_id": "d-1",
        "ivesk_company_code": "302320404",
    } | changes


def training(pdf: Path, **changes: Any) -> Record:
    return {
        "externalId": "d-1",
        "externalUpdatedAt": "2026-03-06T10:00:00.000",
        "transactionType": "INVOICE",
        "refNumber": "SF-1",
        "currency": "EUR",
        "totalAmount": "12.10",
        "vendorExternalId": "LT-304111222",
        "documentVendor": mark(name="UAB Kita"),
        "paymentInfo": {"internationalBankAccount": {"iban": OTHER_IBAN}, "defaultMethod": "IBAN"},
        "lineItems": [{"index": 0, "amount": Decimal(10)}],
        "document": str(pdf),
    } | changes


def invoice(pdf: Path, **changes: Any) -> Record:
    return {
        "externalId": "d-1",
        "refNumber": "SF-1",
        "currency": "EUR",
        "transactionType": "INVOICE",
        "totalAmount": "12.10",
        "vendorExternalId": "LT-304111222",
        "documentVendor": mark(),
        "lineItems": [{"index": 0, "amount": "10.00"}],
        "document": str(pdf),
    } | changes
