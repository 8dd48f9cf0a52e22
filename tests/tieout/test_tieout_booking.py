"""`ap-tieout input-vic` tells each kind of field that is overwritten at Vic.ai: record, field and both values."""

from __future__ import annotations

import copy
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests.tieout.conftest import Record, TieOut
from tests.tieout.test_tieout_input import AT, PDF, Load

LATER = "2026-04-01T10:00:00.000"


def rich(vicai: SandboxProcess) -> dict[str, list[Record]]:
    """An input with every kind of field that a bookkeeper books by."""
    vic = vicai.control.vicai
    vendor = next(one["externalId"] for one in vic.records("vendors") if one.get("externalId"))
    term = vic.records("paymentTerms")[0]["name"]
    line = {
        "amount": Decimal("100.10"),
        "description": "Kėdė",
        "costAccountExternalId": "K-1",
        "dimensionsExternalIds": ["P-2", "P-1"],
        "invoiceLineItemInfo": {"vatCode": "25", "vatAmount": Decimal("25.03"), "vatRate": "25.0"},
    }
    return {
        "accounts": [{"externalId": f"K-{n}", "externalUpdatedAt": AT, "number": f"0{n}", "name": "Ž"} for n in (1, 2)],
        "dimensions": [
            {"externalId": f"P-{n}", "externalUpdatedAt": AT, "name": f"Projektas {n}", "type": "P", "shortName": "1"}
            for n in (1, 2, 3)
        ],
        "vat_codes": [
            {
                **{"externalId": "MVA:1", "formerExternalId": "1", "externalUpdatedAt": AT, "code": "1"},
                **{"description": "Inng.", "rate": 25, "activeStartingAt": "2005-01-01T00:00:00"},
                "remoteData": {"saft": {"base_rate": ["50"]}},
            }
        ],
        "vendors": [
            {
                **{"external_id": "V-1", "external_updated_at": AT, "name": "UAB Vienas", "country_code": "LT"},
                **{"currency": "EUR", "state": "CONFIRMED", "address_city": "Vilnius", "paymentTermName": term},
                "tax_info": {"org_number": "300001", "tax_id": "LT100001"},
                "default_payment_info": {
                    "international_bank_account": {"iban": "LT121000011101001000", "bic": "HABALT22"},
                    "payment_term": {"count": 30, "unit": "DAYS"},
                },
            }
        ],
        "payment_terms": [{"name": "33 dienos", "daysToPay": 33}],
        "tax_codes": [{"code": "TX", "description": "Texas", "rate": "0.0825"}],
        "purchase_orders": [
            {
                **{"poNumber": "UZS-1", "externalId": "UZS-1", "currencyId": "EUR", "issuedOn": "2026-02-02"},
                **{"description": "Kėdės", "deliverOn": "2026-03-01", "vendorExternalId": vendor, "status": "open"},
                "lineItems": [
                    {
                        **{"lineNumber": n, "quantityRequested": "2", "unitAmount": "12.50", "lineItemTotal": "25.00"},
                        **{"productNumber": f"P{n}", "productDescription": "Kėdė", "unitOfMeasure": "vnt"},
                        **{"matchingType": "TWO_WAY", "quantityReceived": "0", "quantityAccepted": "0"},
                    }
                    for n in (2, 1)
                ],
            }
        ],
        "training_invoices": [
            {
                **{"externalId": "T-1", "externalUpdatedAt": AT, "transactionType": "INVOICE", "refNumber": "R-1"},
                **{"issueDate": "2026-02-10", "glDate": "2026-02-11", "dueDate": "2026-03-10", "currency": "NOK"},
                **{"vendorExternalId": vendor, "documentBase64": PDF, "description": "Nuoma"},
                "lineItems": [line, line | {"amount": 7, "description": "Stalas"}],
            }
        ],
        "invoices": [
            {
                **{"externalId": "PIRK-1", "transactionType": "INVOICE", "refNumber": "SF-1", "currency": "EUR"},
                **{"issueDate": "2026-01-15", "glDate": "2026-01-16", "dueDate": "2026-02-15", "totalAmount": "107.10"},
                **{"vendorExternalId": vendor, "documentBase64": PDF},
                "lineItems": [
                    {"amount": Decimal("100.10"), "costAccountExternalId": "K-1", "dimensionsExternalIds": ["P-1"]},
                    {"amount": 7, "costAccountExternalId": "K-2", "description": "Stalas"},
                ],
            }
        ],
    }


@pytest.fixture
def books(vicai: SandboxProcess, tmp_path: Path) -> Load:
    vicai.control.reset(documents=0, invoices=3, vicai={"rate_requests": 0})
    made = Load(vicai, tmp_path)
    made.streams = rich(vicai)
    made.run()
    return made


def lines_with(record: Record, place: int, **changes: Any) -> dict[str, Any]:
    lines = copy.deepcopy(record["lineItems"])
    lines[place] |= changes
    return {"lineItems": lines}


def overwritten(books: Load) -> list[tuple[str, str, dict[str, Any], list[str]]]:
    """Resource, the record's number, what is overwritten, and what has to be told of it."""
    vic = books.vicai.control.vicai

    def one(resource: str, **fields: Any) -> Record:
        (found,) = [each for each in vic.records(resource) if fields.items() <= each.items()]
        return found

    vendors = [each for each in vic.records("vendors") if each.get("externalId")]
    order, invoice = one("purchaseOrders", externalId="UZS-1"), one("invoices", externalId="PIRK-1")
    training = one("trainingInvoices", refNumber="R-1")
    place = next(n for n, line in enumerate(order["lineItems"]) if line["lineNumber"] == 2)
    vendor, was = vendors[1], books.streams["training_invoices"][0]["vendorExternalId"]
    ref = {name: vendor.get(name) for name in ("internalId", "externalId", "name", "orgNumber", "countryCode")}
    # By id, so that the one that was loaded may be anywhere among them.
    term = books.streams["vendors"][0]["paymentTermName"]
    other = next(each for each in vic.records("paymentTerms") if each["name"] != term)
    return [
        ("accounts", "K-1", {"number": "1"}, ["number 01 became 1"]),
        ("dimensions", "P-1", {"name": "X", "type": "Q"}, ["name Projektas 1 became X", "type P became Q"]),
        (
            "vatCodes",
            "MVA:1",
            {"rate": 12, "activeStartingAt": "2006-01-01T00:00:00", "remoteData": {"saft": {"base_rate": ["100"]}}},
            [
                "rate 25 became 12",
                "2005-01-01T00:00:00 became 2006-01-01T00:00:00",
                "remoteData.saft.base_rate[0] 50 became 100",
            ],
        ),
        (
            "vendors",
            "V-1",
            {
                "name": "Kitas",
                "countryCode": "NO",
                "state": "UNCONFIRMED",
                "taxInfo": {"orgNumber": "300002", "taxId": "LT100001"},
                "defaultPaymentInfo": {
                    "internationalBankAccount": {"iban": "LT601010012345678901", "bic": "HABALT22"},
                    "paymentTerm": {"count": 14, "unit": "DAYS"},
                },
                "paymentTermId": other["id"],
                "externalUpdatedAt": LATER,
            },
            [
                "name UAB Vienas became Kitas",
                "countryCode LT became NO",
                "state CONFIRMED became UNCONFIRMED",
                "taxInfo.orgNumber 300001 became 300002",
                "iban LT121000011101001000 became LT601010012345678901",
                "paymentTerm.count 30 became 14",
                f"paymentTermName {term} became {other['name']}",
                f"externalUpdatedAt {AT} became {LATER}",
            ],
        ),
        ("paymentTerms", "33 dienos", {"daysToPay": 32}, ["daysToPay 33 became 32"]),
        (
            "taxCodes",
            "TX",
            {"rate": "8.25", "description": "Y"},
            ["rate 0.0825 became 8.25", "description Texas became Y"],
        ),
        (
            "purchaseOrders",
            "UZS-1",
            {
                "vendor": {**order["vendor"], "externalId": vendor["externalId"]},
                "status": "closed",
                "deliverOn": "2026-03-02",
                **lines_with(order, place, matchingType="THREE_WAY", productNumber="P9"),
            },
            [
                f"vendorExternalId {was} became {vendor['externalId']}",
                "status open became closed",
                "deliverOn 2026-03-01 became 2026-03-02",
                "lineItems[1].matchingType TWO_WAY became three_way",
                "lineItems[1].productNumber P2 became P9",
            ],
        ),
        (
            "trainingInvoices",
            "T-1",
            {
                "transactionType": "CREDITNOTE",
                "glDate": "2026-03-11",
                "dueDate": "2026-03-11",
                "description": "Kita",
                **lines_with(
                    training,
                    0,
                    costAccountExternalId="K-2",
                    costAccount=None,
                    dimensionsExternalIds=["P-3", "P-1"],
                    dimensions=None,
                    invoiceLineItemInfo={"vatCode": "12", "vatAmount": Decimal("25.03"), "vatRate": "25.00"},
                ),
            },
            [
                "transactionType INVOICE became CREDITNOTE",
                "glDate 2026-02-11 became 2026-03-11",
                "dueDate 2026-03-10 became 2026-03-11",
                "description Nuoma became Kita",
                "lineItems[0].costAccountExternalId K-1 became K-2",
                "lineItems[0].dimensionsExternalIds[1] P-2 became P-3",
                "lineItems[0].invoiceLineItemInfo.vatCode 25 became 12",
            ],
        ),
        (
            "invoices",
            "PIRK-1",
            {
                "transactionType": "CREDITNOTE",
                "refNumber": "SF-2",
                "glDate": "2026-03-16",
                "dueDate": "2026-03-15",
                "vendor": ref,
                "vendorExternalId": vendor["externalId"],
                **lines_with(invoice, 1, costAccountExternalId="K-1", costAccount=None, description="Sofa"),
            },
            [
                "transactionType INVOICE became CREDITNOTE",
                "refNumber SF-1 became SF-2",
                "glDate 2026-01-16 became 2026-03-16",
                "dueDate 2026-02-15 became 2026-03-15",
                f"vendorExternalId {was} became {vendor['externalId']}",
                "lineItems[1].costAccountExternalId K-2 became K-1",
                "lineItems[1].description Stalas became Sofa",
            ],
        ),
    ]


STREAMS = {
    **{"vatCodes": "vat_codes", "paymentTerms": "payment_terms", "taxCodes": "tax_codes"},
    **{"purchaseOrders": "purchase_orders", "trainingInvoices": "training_invoices"},
}
KEYS = {"paymentTerms": "name", "taxCodes": "code"}


def test_each_kind_of_field_is_told(books: Load, tie_input: TieOut) -> None:
    before = tie_input(str(books.input))
    assert before.status == 0, before.out
    vic = books.vicai.control.vicai
    for resource, key, changes, _ in (found := overwritten(books)):
        name = KEYS.get(resource, "externalId")
        ids = [one for one in vic.records(resource) if one.get(name) == key or one.get("refNumber") == "R-1"]
        vic.touch(resource, [ids[0].get("internalId") or ids[0].get("id") or key], **changes)
    result = tie_input(str(books.input))
    assert result.status == 1
    for resource, key, _, told in found:
        differences = result.stream(STREAMS.get(resource, resource))["differences"]
        (named,) = differences["field"]["named"]
        assert key in {named["key"], named["label"]}
        assert [words for words in told if words not in named["words"]] == [], named["words"]
    assert tie_input(str(books.input), "--allow", "field", "--allow", "changed").status == 0
    assert tie_input(str(books.input), "--no-line-items").status == 1


def test_what_vic_lists_grouped_is_compared_line_by_line(books: Load, tie_input: TieOut) -> None:
    vic = books.vicai.control.vicai
    (invoice,) = [one for one in vic.records("invoices") if one.get("externalId") == "PIRK-1"]
    vic.touch("invoices", [invoice["internalId"]], lineItems=[{**invoice["lineItems"][0], "amount": Decimal("107.10")}])
    assert tie_input(str(books.input)).status == 0
    books.streams["invoices"][0]["lineItems"][1]["costAccountExternalId"] = "K-1"
    assert tie_input(str(books.input), "--no-line-items").status == 0
    result = tie_input(str(books.input))
    assert result.words("invoices", "field") == ["lineItems[1].costAccountExternalId K-1 became K-2"]


def test_a_vat_code_under_its_former_key_is_the_same_one(books: Load, tie_input: TieOut) -> None:
    vic = books.vicai.control.vicai
    (code,) = [one for one in vic.records("vatCodes") if one["externalId"] == "MVA:1"]
    vic.touch("vatCodes", [code["internalId"]], externalId="1")
    assert tie_input(str(books.input)).status == 0
    vic.touch("vatCodes", [code["internalId"]], rate=12)
    assert tie_input(str(books.input)).words("vat_codes", "field") == ["rate 25 became 12"]


def test_what_vic_does_not_show_is_named(books: Load, tie_input: TieOut) -> None:
    books.streams["training_invoices"][0]["totalAmount"] = "157.16"
    books.streams["training_invoices"][0]["accountNumber"] = "12345678903"
    result = tie_input(str(books.input))
    assert result.status == 0
    assert "Vic.ai does not show accountNumber: not compared." in result.out
    assert "not all was compared" in result.out


def test_a_reject_explains_fields_too(books: Load, tie_input: TieOut, tmp_path: Path) -> None:
    """What was set aside is not at Vic.ai as it was given, and the reason is known."""
    books.streams["accounts"][0] |= {"name": "Kitas", "externalUpdatedAt": "2026-03-05T00:00:00"}
    rejected = {"code": "service_refused", "reason": "no", "at": "2026-03-05T00:00:00Z"}
    path = tmp_path / "set-aside.jsonl"
    line = {"type": "RECORD", "stream": "accounts", "record": books.streams["accounts"][0], "rejected": rejected}
    path.write_text(json.dumps(line) + "\n", encoding="utf-8")
    assert tie_input(str(books.input)).found("accounts") == {"field": (1, ["K-1"])}
    result = tie_input(str(books.input), "--rejects", str(path))
    assert result.status == 0, result.out
    assert result.found("accounts") == {"explained": (1, ["K-1"])}


def test_what_was_reported_of_payments(vicai: SandboxProcess, tie_input: TieOut, tmp_path: Path) -> None:
    """How the ERP paid: payments and credits that it confirmed or that failed, and invoices that it paid itself."""
    vicai.control.reset(documents=0, invoices=60, vicai={"rate_requests": 0})
    vic = vicai.control.vicai
    batch = next(one for one in vic.records("paymentBatches") if one["payments"] and one["credits"])
    payment, credit = batch["payments"][0], batch["credits"][0]
    invoice = vic.records("invoices")[0]
    paid: Record = {"externalPaymentStatus": "paid", "externalPaymentDate": "2026-03-01"}
    whole: Record = paid | {"externalPaymentTotalPaid": "10.50"}
    confirmed = {"confirmedAt": "2026-03-01T10:00:00Z", "remoteId": "ERP-1"}
    failed = {"remoteErroredAt": "2026-03-01T10:00:00Z", "remoteError": "no cover", "remoteId": "ERP-2"}
    given = {
        "payment_confirmations": {"id": payment["id"], **confirmed},
        "credit_failures": {"id": credit["id"], **failed},
        "invoice_payments": {"internal_id": invoice["internalId"], **paid, "external_payment_total_paid": "10.5"},
    }
    path = tmp_path / "reported.jsonl"
    lines = [json.dumps({"type": "RECORD", "stream": name, "record": record}) for name, record in given.items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def hold(**changed: str) -> None:
        parts: Record = {"payments": [payment | confirmed | changed], "credits": [credit | failed | changed]}
        vic.touch("paymentBatches", [batch["id"]], **parts)

    before = tie_input(str(path))
    for stream in given:
        assert "is not at Vic.ai" in before.words(stream, "field")[0]
    hold()
    vic.touch("invoices", [invoice["internalId"]], **whole)
    tied = tie_input(str(path))
    assert tied.status == 0, tied.out
    hold(remoteId="X")
    vic.touch("invoices", [invoice["internalId"]], externalPaymentStatus="voided", externalPaymentTotalPaid="10.51")
    after = tie_input(str(path))
    assert after.words("payment_confirmations", "field") == ["remoteId ERP-1 became X"]
    assert after.words("credit_failures", "field") == ["remoteId ERP-2 became X"]
    assert after.words("invoice_payments", "field") == [
        "externalPaymentStatus paid became voided, externalPaymentTotalPaid 10.5 became 10.51"
    ]
