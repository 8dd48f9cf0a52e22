"""What tax codes, suppliers and projects are: said to Vic.ai, also where its body has no field for it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.conftest import MakeCatalog, RunTap
from tests.tap_saft.conftest import BOOKKEEPING, Write


def marks(records: list[dict[str, Any]], member: str = "externalData") -> dict[str, Any]:
    return {record["externalId"]: record[member]["saft"] for record in records}


def test_tax_codes_of_two_types_are_two_and_say_what_they_are(tap: RunTap, catalog: MakeCatalog) -> None:
    run = tap(path=str(BOOKKEEPING), catalog=catalog("vat_codes"))
    codes = run.records["vat_codes"]
    assert [(one["externalId"], one["code"], one["rate"], one.get("formerExternalId")) for one in codes] == [
        ("AGA:1", "1", Decimal("14.1"), None),
        ("MVA:1", "1", 25, "1"),
        ("MVA:1K", "1K", 25, "1K"),
        ("MVA:1H", "1H", 25, "1H"),
    ]
    assert "tax code 1 has several types; in vat_codes they are AGA:1, MVA:1" in run.err
    vat = {"tax_type": "MVA", "tax_type_description": "Merverdiavgift", "standard_tax_code": "1"}
    assert marks(codes, "remoteData") == {
        "AGA:1": {"tax_type": "AGA", "tax_type_description": "Arbeidsgiveravgift"},
        "MVA:1": vat | {"compensation": "false", "country": "NO", "base_rate": ["100"]},
        "MVA:1K": vat | {"compensation": "true", "base_rate": ["100"]},
        "MVA:1H": vat | {"base_rate": ["50"]},
    }


def test_suppliers_say_whether_they_are_used_and_all_their_accounts(tap: RunTap, catalog: MakeCatalog) -> None:
    norwegian, polish = tap(path=str(BOOKKEEPING), catalog=catalog("vendors")).records["vendors"]
    assert norwegian["currency"] == "NOK"
    # The account in the supplier's currency counts; the number is written with points.
    assert norwegian["defaultPaymentInfo"] == {
        "bban": "15032080119",
        "internationalBankAccount": {"iban": "NO9386011117947", "bic": "DNBANOKK"},
    }
    assert norwegian["externalData"]["saft"] == {
        "payment_terms": {"days": "0", "cash_discount_days": "10"},
        "status": "Inactive",
        "bank_accounts": [
            {"iban_number": "LT121000011101001000", "currency_code": "EUR"},
            {"bank_account_number": "1503.20.80119"},
            {"iban_number": "NO9386011117947", "bic": "DNBANOKK", "currency_code": "NOK"},
        ],
        "account_ids": ["2400"],
        "tax_registrations": [{"tax_registration_number": "912345678MVA", "tax_authority": "Skatteetaten"}],
    }
    # Eleven digits of a bank in Poland are no Norwegian account.
    assert polish["defaultPaymentInfo"] == {"bankAccountNum": "15032080119", "defaultMethod": "BANKACCOUNT"}


def test_an_account_that_fails_its_control_digit(tap: RunTap, catalog: MakeCatalog, write: Write) -> None:
    """Of a supplier without a country: target-vicai checks those of Norwegian ones."""
    unknown = ("<Address><City>Gdańsk</City><Country>PL</Country></Address>", "")
    for number, info in (("1503 20 80119", {"bban": "15032080119", "defaultMethod": "BBAN"}), ("15032080118", None)):
        write("x.xml", BOOKKEEPING, unknown, ("<BankAccountNumber>15032080119<", f"<BankAccountNumber>{number}<"))
        run = tap(catalog=catalog("vendors"))
        assert run.records["vendors"][1].get("defaultPaymentInfo") == info
        assert run.records["vendors"][1]["externalData"]["saft"]["bank_accounts"] == [{"bank_account_number": number}]
        assert ("supplier 50011: a bank account is not a valid Norwegian account number" in run.err) == (info is None)


def test_projects_say_whether_they_have_ended_and_what_they_are_part_of(tap: RunTap, catalog: MakeCatalog) -> None:
    assert marks(tap(path=str(BOOKKEEPING), catalog=catalog("dimensions")).records["dimensions"]) == {
        "P:100": {"status": "Closed", "start_date": "2020-01-01", "end_date": "2023-12-31"},
        "P:100.1": {"belongs_to": ["P:100"]},
    }


def test_a_code_without_a_type_has_its_own_key(tap: RunTap, catalog: MakeCatalog, write: Write) -> None:
    write("x.xml", BOOKKEEPING, ("<TaxType>MVA</TaxType>", ""), ("<TaxType>AGA</TaxType>", "<TaxType> </TaxType>"))
    codes = tap(catalog=catalog("vat_codes")).records["vat_codes"]
    assert [(one["externalId"], one.get("formerExternalId")) for one in codes] == [
        ("1", None),
        ("1K", None),
        ("1H", None),
    ]
