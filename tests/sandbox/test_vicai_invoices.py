"""Invoices and training invoices: what the service allows with them, and what it refuses."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest

from tests.sandbox.emulated_vic import AT, ENCODER, INTERNAL, PDF, Vic, any_vendor, changed_at, file, latest

# Invoices


def create(vic: Vic, **more: Any) -> dict[str, Any]:
    body = {"transactionType": "INVOICE", **_line("1.00"), **more}
    made: dict[str, Any] = vic.call("createInvoice", body=body)
    return made


def _line(amount: str, number: str = "6300") -> dict[str, Any]:
    return {"lineItems": [{"amount": amount, "costAccount": {"number": number}}]}


def test_an_invoice_is_created_documented_and_processed_in_this_order(vic: Vic) -> None:
    nameless = create(vic)
    assert nameless["status"] == "NOT_READY"
    vic.refused("uploadDocumentInvoice", nameless["internalId"], status=422, **INTERNAL, **file())
    vic.refused("getInvoiceDocument", nameless["internalId"], status=404, **INTERNAL)
    invoice = create(vic, externalId="I-1")
    vic.refused("createInvoice", status=422, body={"transactionType": "INVOICE", "externalId": "I-1"})
    assert "document" in vic.refused("startProcessingInvoice", "I-1", status=422)
    vic.call("uploadDocumentInvoice", "I-1", **file())
    assert vic.call("getInvoiceDocument", "I-1") == PDF
    vic.refused("uploadDocumentInvoice", "I-1", status=422, **file())
    assert vic.call("startProcessingInvoice", "I-1")["status"] == "READY_FOR_POST"
    vic.refused("startProcessingInvoice", "I-1", status=422)
    vic.refused("uploadDocumentInvoice", "I-1", status=422, **file())
    assert changed_at(vic, "invoices", invoice["internalId"]) == latest(vic)


def test_lines_are_grouped_by_account_and_added_up_exactly(vic: Vic) -> None:
    lines = [
        {"amount": "12345678901234567.89", "costAccount": {"number": "6300"}, "vat": {"amount": "0.10"}},
        {"amount": "0.11", "costAccount": {"number": "6340"}},
        {"amount": "0.20", "costAccount": {"number": "6300"}, "vat": {"amount": "0.20"}},
    ]
    made = create(vic, externalId="I-1", totalAmount="12345678901234568.50", lineItems=lines)
    assert [str(line["amount"]) for line in made["lineItems"]] == ["12345678901234568.09", "0.11"]
    assert (made["amountTax"], made["amountWithoutTax"]) == ("0.30", "12345678901234568.20")
    ungrouped = vic.call("getInvoicelineItems", "I-1")
    assert [str(line["amount"]) for line in ungrouped] == ["12345678901234567.89", "0.11", "0.20"]
    assert ungrouped == vic.control.line_items(made["internalId"])


def test_references_in_an_invoice_are_looked_up(vic: Vic) -> None:
    vendor = any_vendor(vic)
    pay = vendor["defaultPaymentInfo"]
    number, kind = next((pay[n], k) for n, k in (("bban", "bban"), ("bankAccountNum", "bban")) if pay.get(n))
    org = {"orgNumber": vendor["taxInfo"]["orgNumber"]}
    country = {"countryCode": vendor["countryCode"]}
    for reference in (
        {"internalId": vendor["internalId"]},
        {"externalId": vendor["externalId"]},
        {"name": vendor["name"]},
        {**org},
        {**org, **country, "bankAccount": number, "bankAccountType": kind},
    ):
        assert create(vic, vendor=reference)["vendorInternalId"] == vendor["internalId"], reference
    for wrong in (
        {"externalId": "unknown"},
        {"name": "unknown"},
        {**org, **country, "bankAccount": "1", "bankAccountType": kind},
    ):
        body = {"transactionType": "INVOICE", "vendor": wrong}
        assert "vendor" in vic.refused("createInvoice", status=422, body=body)
    body = {"transactionType": "INVOICE", **_line("1.00", "none")}
    assert "costAccount" in vic.refused("createInvoice", status=422, body=body)


def ready(vic: Vic, external_id: str) -> str:
    made = create(vic, externalId=external_id)
    vic.call("uploadDocumentInvoice", external_id, **file())
    vic.call("startProcessingInvoice", external_id)
    return str(made["internalId"])


@pytest.mark.parametrize("name", ["confirmInvoice", "ackInvoice"])
def test_confirming_posts_an_invoice_that_is_ready(vic: Vic, name: str) -> None:
    told = {"externalId": "BILAG-1", "externalUpdatedAt": "2026-03-01T08:00:00", "postingError": "no scan"}
    id_ = ready(vic, "I-1")
    vic.refused(name, "I-1", status=404, body=told)  # by Vic's own id only
    posted = vic.call(name, id_, body=told)
    assert {"status": "POSTED", **told}.items() <= posted.items()
    vic.refused(name, id_, status=422, body=told)
    other = ready(vic, "I-2")
    vic.refused(name, other, status=422, body=told)
    vic.control.touch("invoices", [other], status="READY_FOR_TRANSFER")
    assert vic.call(name, other, body={**told, "externalId": "BILAG-2"})["status"] == "TRANSFERRED"


@pytest.mark.parametrize("name", ["rejectInvoice", "ackInvoice"])
def test_rejecting_keeps_the_reason(vic: Vic, name: str) -> None:
    id_ = ready(vic, "I-1")
    reason = {"item": 0, "field": "amount", "reason": "period is closed"}
    rejected = vic.call(name, id_, body=reason)
    assert (rejected["status"], rejected["postingError"]) == ("NOT_READY", "period is closed")
    vic.refused(name, id_, status=422, body=reason)


def test_a_file_beyond_64_mb_is_refused(vic: Vic) -> None:
    create(vic, externalId="I-1")
    answer = vic.ask("POST", "/invoices/I-1/document", **file(data=b"x" * (64 * 1024 * 1024 + 1)), timeout=60)
    assert answer.status_code in (413, 422)
    vic.refused("getInvoiceDocument", "I-1", status=404)


# Training invoices


def training(vic: Vic, **more: Any) -> dict[str, Any]:
    vendor = any_vendor(vic)["externalId"]
    return {"transactionType": "INVOICE", "refNumber": "7", "vendorExternalId": vendor, **AT, **more}


def put_training(vic: Vic, id_: str, data: dict[str, Any], document: bytes | None = None) -> Any:
    parts: dict[str, Any] = {"invoiceData": (None, ENCODER.encode(data), "application/json")}
    if document is not None:
        parts["invoiceDocument"] = ("a.pdf", document, "application/pdf")
    return vic.ask("PUT", f"/trainingInvoices/{id_}", files=parts)


def test_a_training_invoice_needs_its_document_the_first_time(vic: Vic) -> None:
    lines = [{"amount": Decimal("1.10")}, {"amount": Decimal("2.00"), "costAccountExternalId": "gone"}]
    data = training(vic, lineItems=lines)
    vic.refused("upsertTrainingInvoice", "T-1", status=400, body=data)
    assert put_training(vic, "T-1", data).status_code == 400
    assert put_training(vic, "T-1", data, PDF).status_code == 201
    assert vic.call("getTrainingInvoiceDocument", "T-1") == PDF
    kept = vic.call("upsertTrainingInvoice", "T-1", body=training(vic, description="ny"))
    assert [str(line["amount"]) for line in kept["lineItems"]] == ["1.10", "2.00"]
    assert kept["lineItems"][1]["costAccountExternalId"] == "gone"
    assert kept["description"] == "ny"
    assert vic.ask("PUT", "/trainingInvoices/T-1", training(vic, lineItems=[])).json()["lineItems"] == []
    assert put_training(vic, "T-1", data, PDF + b"2").status_code == 201
    assert vic.ask("GET", "/trainingInvoices/T-1/document").content == PDF + b"2"
    vic.refused("upsertTrainingInvoice", "T-1", status=400, body=training(vic, vendorExternalId="unknown"))


def test_training_invoices_tell_their_id_only_as_an_extra(vic: Vic) -> None:
    assert all("externalId" not in record for record in vic.all("/trainingInvoices"))
    vic.sandbox.control.reset(documents=0, invoices=80, vicai={"extra_fields": True})
    vic.login()
    records = vic.all("/trainingInvoices")
    assert records
    for record in records:
        assert vic.ask("GET", f"/trainingInvoices/{quote(record['externalId'], safe='')}").status_code == 200
