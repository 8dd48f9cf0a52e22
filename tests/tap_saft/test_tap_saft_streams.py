"""What the streams hold: everything that the files say, exactly, under names that mean one thing."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MakeCatalog, RunTap, discovered
from tests.tap_saft.conftest import ELSEWHERE, EVERYTHING, NORWAY_110, NORWAY_130, Write

SAMPLES = Path(__file__).parents[3] / "shared" / "samples" / "saf-t"


def keyed(records: list[dict[str, Any]], *names: str) -> dict[Any, dict[str, Any]]:
    found = {tuple(record[name] for name in names): record for record in records}
    assert len(found) == len(records), "two records of one key"
    return found


def test_keys_hold_the_company_and_never_come_twice(tap: RunTap, catalog: MakeCatalog) -> None:
    for_vic = ("vendors", "vat_codes")
    together = tap(path=str(NORWAY_110.parent), catalog=catalog(*(name for name in EVERYTHING if name not in for_vic)))
    one = tap(path=str(NORWAY_110.parent), catalog=catalog(*for_vic), company_id="912345678")
    found = {**together.records, **one.records}
    for stream in json.loads(discovered("tap_saft"))["streams"]:
        assert stream["key_properties"][0] == "company_id"
        records = found[stream["tap_stream_id"]]
        assert records
        keyed(records, *stream["key_properties"])
        assert all(record[key] is not None for record in records for key in stream["key_properties"])


def test_the_page_and_discovery_agree_on_streams() -> None:
    page = (NORWAY_110.parents[2] / "docs" / "tap-saft.md").read_text(encoding="utf-8").partition("\n## Streams\n")[2]
    rows = [row.split("|") for row in page.partition("\n\n`company_id`")[0].splitlines() if row.startswith("| `")]
    written = {row[1].strip(" `"): (re.findall(r"`(\w+)`", row[2]), row[4].strip() == "yes") for row in rows}
    found = {}
    for stream in json.loads(discovered("tap_saft"))["streams"]:
        (root,) = [entry["metadata"] for entry in stream["metadata"] if not entry["breadcrumb"]]
        found[stream["tap_stream_id"]] = stream["key_properties"], root["selected-by-default"]
    assert written == found


def test_accounts_keep_text_and_digits(tap: RunTap) -> None:
    run = tap(path=str(NORWAY_110))
    assert run.records["accounts"] == [
        {
            "company_id": "912345678",
            "externalId": "0235",
            "externalUpdatedAt": "2026-02-01T00:00:00",
            "number": "0235",
            "name": 'Maskiner  og "utstyr" ',
            "externalData": {
                "saft": {"account_type": "GL", "standard_account_id": "12", "account_creation_date": "2015-01-01"}
            },
            "account_id": "0235",
            "account_description": 'Maskiner  og "utstyr" ',
            "standard_account_id": "12",
            "account_type": "GL",
            "account_creation_date": "2015-01-01",
            "opening_debit_balance": Decimal("1234567890123456789.10"),
            "closing_debit_balance": Decimal("7.50"),
            # Its own name would mean something else to Vic.ai.
            "saft_name": "et fremmed felt",
            "kostnadsbærer": "æøå",
        },
        {
            "company_id": "912345678",
            "externalId": "2400",
            "externalUpdatedAt": "2026-02-01T00:00:00",
            "number": "2400",
            "name": "Leverandørgjeld",
            "externalData": {"saft": {"account_type": "GL"}},
            "account_id": "2400",
            "account_description": "Leverandørgjeld",
            "account_type": "GL",
            "opening_credit_balance": Decimal("-0.00"),
            "closing_credit_balance": Decimal("0.5"),
        },
        {
            "company_id": "912345678",
            "externalId": "2710",
            "externalUpdatedAt": "2026-02-01T00:00:00",
            "number": "2710",
            "name": "Inngående merverdiavgift",
            "externalData": {"saft": {}},
            "account_id": "2710",
            "account_description": "Inngående merverdiavgift",
        },
    ]
    text = run.out
    for digits in ("1234567890123456789.10", "7.50", "87.719298245614035088", "11.4000", "1250.30"):
        assert f":{digits}" in text
    last = run.schemas["accounts"][-1]["properties"]
    assert {"saft_name", "kostnadsbærer"} <= last.keys()


def test_header_has_everything_and_the_facts_of_the_file(tap: RunTap) -> None:
    (header,) = tap(path=str(NORWAY_110)).records["header"]
    assert header["company"] == {"registration_number": "912345678", "name": "Ålesund Øl & Brus AS"}
    assert header["file"] == "norway_110.xml"
    assert header["file_size"] == NORWAY_110.stat().st_size
    assert header["future_header_field"] == "ny"
    assert (header["number_of_entries"], str(header["total_debit"])) == (3, "1250.30")


def test_lines_have_their_transaction_and_journal(tap: RunTap) -> None:
    lines = tap(path=str(NORWAY_110)).records["journal_lines"]
    first, second, third, fourth, fifth = lines
    assert first == {
        "company_id": "912345678",
        "period_year": "2026",
        "journal_id": "GL",
        "transaction_id": "1",
        "line_number": 1,
        "period": "01",
        "transaction_date": "2026-01-04",
        "transaction_description": "Faktura 1155",
        "system_entry_date": "2026-01-05",
        "gl_posting_date": "2026-01-05",
        "system_id": "77",
        "journal_description": "Hovedbok",
        "journal_type": "GL",
        "record_id": "1",
        "account_id": "0235",
        "description": "Faktura 1155",
        "debit_amount": Decimal("1000.00"),
        "currency_code": "EUR",
        "currency_amount": Decimal("87.719298245614035088"),
        "exchange_rate": Decimal("11.4000"),
        "reference_number": "1155",
        "analysis": [{"analysis_type": "A", "analysis_id": "100", "analysis_amount": {"amount": "1000.00"}}],
        "tax_information": [
            {
                "tax_type": "MVA",
                "tax_code": "1",
                "tax_percentage": "25.00",
                "tax_base": "1000.00",
                "tax_amount": {"amount": "250.00"},
            }
        ],
    }
    assert third["description"] == "  Faktura 1155\n to linjer "
    assert fourth["description"] == ""
    # Two transactions of one id: the lines are counted on, so that none overwrites another.
    assert [(line["transaction_id"], line["line_number"]) for line in (second, third, fourth, fifth)] == [
        ("1", 2),
        ("1", 3),
        ("2", 1),
        ("2", 2),
    ]


def test_1_30_in_latin_1(tap: RunTap) -> None:
    run = tap(path=str(NORWAY_130))
    assert run.records["accounts"][0]["name"] == "Leverandørgjeld"
    assert run.records["suppliers"][0]["balance_account"] == [
        {"account_id": "2400", "opening_credit_balance": "0.00", "closing_credit_balance": "80.00"}
    ]
    debit, credit = run.records["journal_lines"]
    assert debit["voucher_description"] == "Inngående faktura"
    assert debit["tax_information"][0]["debit_tax_amount"] == {"amount": "20.00"}
    assert (debit["modification_date"], debit["transaction_supplier_id"]) == ("2026-02-02", "9")
    assert "supplier_id" not in debit
    assert credit["supplier_id"] == "9"


@pytest.mark.parametrize("namespace", [' xmlns="urn:OECD:StandardAuditFile-Tax:XX_1.04"', ""])
def test_other_countries(tap: RunTap, write: Write, namespace: str) -> None:
    write("x.xml", ELSEWHERE, (' xmlns="urn:OECD:StandardAuditFile-Tax:XX_1.04"', namespace))
    run = tap()
    (header,) = run.records["header"]
    assert header["company_id"] == "Conservatoria 500"
    assert header["namespace"] == namespace.partition('"')[2].rstrip('"')
    assert [(record["externalId"], record["taxonomy_code"]) for record in run.records["accounts"]] == [("221", "6")]
    assert [record["customer_id"] for record in run.records["customers"]] == ["C1"]
    assert [(record["supplier_id"], record["name"]) for record in run.records["suppliers"]] == [("F1", "Papel e Cia")]
    assert [(record["tax_code"], str(record["tax_percentage"])) for record in run.records["tax_codes"]] == [
        ("NOR", "23.00")
    ]
    assert [(line.get("debit_amount"), line.get("credit_amount")) for line in run.records["journal_lines"]] == [
        (Decimal("12.30"), None),
        (None, Decimal("12.30")),
    ]


def test_encodings(tap: RunTap, write: Write, exports: Path) -> None:
    text = NORWAY_110.read_text(encoding="utf-8")
    expected = tap(path=str(NORWAY_110)).records
    path = write("x.xml")
    for encoding, declared in (("utf-8-sig", "UTF-8"), ("utf-16", "UTF-16"), ("windows-1257", "windows-1257")):
        path.write_bytes(text.replace('encoding="UTF-8"', f'encoding="{declared}"').encode(encoding))
        found = tap().records
        for stream in ("accounts", "suppliers", "journal_lines", "dimensions"):
            assert found[stream] == expected[stream], encoding


def test_vendors_say_what_the_file_says(tap: RunTap, catalog: MakeCatalog) -> None:
    run = tap(path=str(NORWAY_110), catalog=catalog("vendors", "vat_codes"))
    assert set(run.records) == {"vendors", "vat_codes"}
    common = {"company_id": "912345678", "externalUpdatedAt": "2026-02-01T00:00:00"}
    # What Vic.ai has no field for: see test_tap_saft_marks.py.
    vendors, vat_codes = (
        [{name: item for name, item in one.items() if name not in NO_FIELD} for one in run.records[stream]]
        for stream in ("vendors", "vat_codes")
    )
    assert vendors == [
        common
        | {
            "externalId": "2000",
            "name": "Fjord Papir AS",
            "email": "faktura@fjord.example",
            "phone": "90909090",
            "addressStreet": "Strandgaten 12 B",
            "addressCity": "Bergen",
            "addressState": "Vestland",
            "addressPostalCode": "0451",
            "countryCode": "NO",
            "currency": "NOK",
            "taxInfo": {"orgNumber": "998877665", "taxId": "998877665MVA"},
            "defaultPaymentInfo": {
                "bban": "12347778913",
                "defaultMethod": "BBAN",
                "paymentTerm": {"count": 30, "unit": "DAYS"},
            },
        },
        common
        | {
            "externalId": "2001/Ž",
            "name": "Žalgiris UAB",
            "addressStreet": "Gedimino pr. 9",
            "addressCity": "Vilnius",
            "countryCode": "LT",
            "defaultPaymentInfo": {
                "internationalBankAccount": {"iban": "LT121000011101001000", "bic": "HABALT22"},
                "bankAccountNum": "77-1",
                "bankCode": "99",
            },
        },
    ]
    # Of three entries of a code the one that was in force on the day of the file.
    assert vat_codes == [
        common
        | {
            "externalId": "MVA:1",
            "code": "1",
            "description": "Inngående, høy sats",
            "rate": Decimal("25.00"),
            "activeStartingAt": "2026-01-01T00:00:00",
        },
        common | {"externalId": "MVA:0", "code": "0", "description": "Merverdiavgift", "rate": 0},
    ]


NO_FIELD = {"externalData", "remoteData", "formerExternalId"}


def test_amounts_as_text_where_the_catalog_says_so(tap: RunTap, catalog: MakeCatalog) -> None:
    wanted = catalog("journal_lines")
    for stream in wanted["streams"]:
        if stream["tap_stream_id"] == "journal_lines":
            stream["schema"]["properties"]["debit_amount"] = {"type": ["string", "null"]}
    lines = tap(path=str(NORWAY_110), catalog=wanted).records["journal_lines"]
    assert lines[0]["debit_amount"] == "1000.00"


def test_a_connection_test_reads_a_file(tap: RunTap) -> None:
    assert tap("--test", path=str(NORWAY_110)).status == 0


@pytest.mark.skipif(not SAMPLES.exists(), reason="the sample is not there")
def test_the_tax_administrations_example(tap: RunTap, catalog: MakeCatalog) -> None:
    (path,) = SAMPLES.glob("*.xml")
    run = tap(path=str(SAMPLES), catalog=catalog(*EVERYTHING))
    root = ET.parse(path).getroot()
    space = root.tag.partition("}")[0] + "}"

    def found(tag: str) -> list[ET.Element]:
        return list(root.iter(space + tag))

    def texts(tag: str, part: str) -> list[str]:
        return [element.findtext(space + part) or "" for element in found(tag)]

    counts = {name: len(records) for name, records in run.records.items()}
    assert counts == {
        "header": 1,
        "accounts": len(found("Account")),
        "customers": len(found("Customer")),
        "suppliers": len(found("Supplier")),
        "vendors": len(found("Supplier")),
        "tax_codes": len(found("TaxCodeDetails")),
        "vat_codes": len(set(texts("TaxCodeDetails", "TaxCode"))),
        "dimensions": len(found("AnalysisTypeTableEntry")),
        "journal_lines": len(found("Line")),
        "account_balances": len(found("Account")),
        "party_balances": len(found("Customer")) + len(found("Supplier")),
    }
    assert counts["accounts"] == 22
    assert [r["externalId"] for r in run.records["accounts"]] == texts("Account", "AccountID")
    assert [r["name"] for r in run.records["vendors"]] == texts("Supplier", "Name")
    lines, elements = run.records["journal_lines"], found("Line")
    for side, name in (("DebitAmount", "debit_amount"), ("CreditAmount", "credit_amount")):
        amounts = [one.text or "" for e in elements for one in e.findall(f"{space}{side}/{space}Amount")]
        assert [line[name] for line in lines if name in line] == [Decimal(text) for text in amounts]
        assert all(f'"{name}":{text}' in run.out for text in amounts)
    # Every piece of text of every line, with everything that is nested in it, is there as often as in the file.
    assert Counter(t for e in elements for t in leaves(e)) == Counter(
        t for line in lines for name, item in line.items() if name not in NOT_THE_LINES for t in flat(item)
    )


NOT_THE_LINES = {
    *("company_id", "period_year", "journal_id", "transaction_id", "line_number", "period", "transaction_date"),
    *("transaction_type", "transaction_description", "system_entry_date", "gl_posting_date"),
    *("journal_description", "journal_type"),
}


def leaves(element: ET.Element) -> list[str]:
    return [one.text or "" for one in element.iter() if not len(one)]


def flat(item: Any) -> list[str]:
    if isinstance(item, dict):
        return [text for one in item.values() for text in flat(one)]
    if isinstance(item, list):
        return [text for one in item for text in flat(one)]
    return [str(item)]
