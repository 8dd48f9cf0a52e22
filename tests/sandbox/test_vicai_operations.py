"""Every operation of the contract works, and answers as the contract says."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from ap_connectors.vicai import contract
from tests.campaign import one_in
from tests.sandbox.emulated_vic import ENCODER, PDF, Vic, filled

AT = {"externalUpdatedAt": "2026-02-01T10:11:12.154"}
INTERNAL = {"params": {"useSystem": "INTERNAL"}}
LINE = {
    "productNumber": "P-1",
    "quantityRequested": "2",
    "quantityReceived": "2",
    "unitAmount": "5.00",
    "lineItemTotal": "10.00",
    "lineNumber": 1,
}
TRAINING = {"transactionType": "INVOICE", "refNumber": "77", "lineItems": [{"amount": Decimal("12345678901234567.89")}]}
SUBSCRIPTION = {"callbackUrl": "https://example.org/hooks", "accessToken": "t"}


def known(vic: Vic, resource: str, **wanted: Any) -> dict[str, Any]:
    """A record that the sandbox holds, with the ERP's id and these values."""
    records: Iterator[dict[str, Any]] = (r for r in vic.control.records(resource) if wanted.items() <= r.items())
    return next(record for record in records if "externalId" not in wanted or record.get("externalId"))


def form(**parts: Any) -> dict[str, Any]:
    return {"files": parts}


def master_data(vic: Vic) -> None:
    for name, put, single, body in (
        ("Accounts", "upsertAccount", "Account", {"number": "1999", "name": "Ny konto", "externalData": {"a": 1}}),
        ("Dimensions", "upsertDimension", "Dimension", {"name": "Ny avdeling", "type": "DEPARTMENT"}),
        ("Vendors", "upsertVendor", "Vendor", {"name": "Ny leverandør", "state": "CONFIRMED"}),
        ("VatCodes", "upsertVatCode", "VatCode", {"code": "99", "description": "Ny", "rate": Decimal("12.50")}),
    ):
        assert vic.call(f"list{name}")
        new = vic.call(put, "X-1%2F%C3%A5", body=body | AT)
        assert new["externalId"] == "X-1/å"
        assert new["externalUpdatedAt"] == AT["externalUpdatedAt"]
        assert vic.call(f"get{single}", "X-1%2F%C3%A5") == new
        if name == "Vendors":
            errors = [{"message": "Ukjent konto", "field": "bban"}]
            assert vic.call("setVendorRemoteErrors", "X-1%2F%C3%A5", body={"errors": errors})["errors"] == errors
            assert vic.call("clearVendorRemoteErrors", "X-1%2F%C3%A5")["errors"] == []
        assert vic.call(f"delete{single}", new["internalId"], **INTERNAL)["internalId"] == new["internalId"]
        vic.refused(f"get{single}", "X-1%2F%C3%A5", status=404)
    assert vic.call("createDimension", body={"name": "D", **AT})["displayName"] == "D"


def small_records(vic: Vic) -> None:
    group = vic.call("createVendorGroup", body={"name": "Kommuner"})
    assert vic.call("updateVendorGroup", group["id"], body={"name": "K"}) in vic.call("listVendorGroups")
    vic.call("deleteVendorGroup", group["id"])
    tag = vic.call("createTag", body={"value": "haster"})
    assert vic.call("updateTag", tag["id"], body={"value": "haster ikke"}) in vic.call("listTags")
    vendor = known(vic, "vendors")["internalId"]
    worn = vic.call("createVendorTag", body={"vendorId": vendor, "tagId": tag["id"]})
    assert worn in vic.call("listVendorTags")
    vic.call("deleteVendorTag", worn["id"])
    vic.call("deleteTag", tag["id"])
    term = vic.call("createPaymentTerm", body={"name": "Netto 9", "daysToPay": 9, "discountPercentage": "1.50"})
    assert vic.call("updatePaymentTerm", term["id"], body={"name": "Netto 8", "daysToPay": 8})["id"] == term["id"]
    assert "Netto 8" in [one["name"] for one in vic.call("listPaymentTerms")]
    vic.call("deletePaymentTerm", term["id"])
    code = vic.call("createTaxCode", body={"code": "WA", "description": "Washington", "rate": "6.500"})
    assert code in vic.call("getTaxCodes")
    assert vic.call("uploadAttachment", **form(file=("a.pdf", PDF, "application/pdf")))["id"]
    kept = vic.control.records("attachments")[-1]
    assert (kept["sha256"], kept["bytes"]) == (hashlib.sha256(PDF).hexdigest(), len(PDF))


def invoices(vic: Vic) -> None:
    listed = vic.call("listInvoices")
    assert vic.call("getInvoice", listed[0]["externalId"]) == listed[0]
    assert vic.call("getInvoicelineItems", listed[0]["externalId"])
    assert vic.call("getInvoiceDocument", listed[0]["externalId"]).startswith(b"%PDF")
    made = [_invoice(vic, f"I-{n}") for n in range(4)]
    told = {"externalId": "BILAG-X", "externalUpdatedAt": AT["externalUpdatedAt"]}
    assert vic.call("confirmInvoice", made[0], body=told)["status"] == "POSTED"
    assert vic.call("ackInvoice", made[1], body={**told, "externalId": "BILAG-Y"})["status"] == "POSTED"
    vic.call("rejectInvoice", made[2], body={"item": None, "field": None, "reason": "no"})
    vic.call("deleteInvoice", made[3], params={"useSystem": "INTERNAL", "comment": "twice"})


def _invoice(vic: Vic, external_id: str) -> str:
    vendor = {"externalId": known(vic, "vendors", state="CONFIRMED")["externalId"]}
    line = {"amount": "80.00", "vat": {"amount": "20.00"}, "costAccount": {"number": "6300"}}
    body = {"externalId": external_id, "transactionType": "INVOICE", "totalAmount": "100.00", "vendor": vendor}
    made = vic.call("createInvoice", body={**body, "lineItems": [line]})
    vic.call("uploadDocumentInvoice", external_id, **form(document=("a.pdf", PDF, "application/pdf")))
    assert vic.call("startProcessingInvoice", external_id)["status"] == "READY_FOR_POST"
    id_: str = made["internalId"]
    return id_


def training_invoices(vic: Vic) -> None:
    assert vic.call("listTrainingInvoices")
    data = {**TRAINING, **AT, "vendorExternalId": known(vic, "vendors", state="CONFIRMED")["externalId"]}
    parts = form(
        invoiceData=(None, ENCODER.encode(data), "application/json"), invoiceDocument=("b.pdf", PDF, "application/pdf")
    )
    made = vic.call("upsertTrainingInvoice", "T-1", **parts)
    assert str(made["lineItems"][0]["amount"]) == "12345678901234567.89"
    assert vic.call("getTrainingInvoice", "T-1") == made
    assert vic.call("getTrainingInvoiceDocument", "T-1") == PDF
    assert vic.call("deleteTrainingInvoice", "T-1") == made


def purchase_orders(vic: Vic) -> None:
    assert vic.call("listPurchaseOrders")
    vendor = {"internalId": known(vic, "vendors")["internalId"]}
    order = {"poNumber": "PO-9", "amount": "10.00", "vendor": vendor, "issuedOn": "2026-02-01"}
    made = vic.call("createPurchaseOrder", body={**order, "lineItems": [LINE]})["internalId"]
    assert vic.call("processPurchaseOrder", made)["status"] == "open"
    assert vic.call("closePurchaseOrder", made)["status"] == "closed"
    line = vic.call("createPurchaseOrderLineItem", body={**LINE, "purchaseOrderId": made, "lineNumber": 2})
    changed = vic.call("updatePurchaseOrderLineItem", line["internalId"], body={**LINE, "lineNumber": 3})
    assert (changed["internalId"], changed["lineNumber"]) == (line["internalId"], 3)
    vic.call("deletePurchaseOrderLineItem", line["internalId"])
    assert vic.call("updatePurchaseOrder", made, body={**order, "description": "ny"})["description"] == "ny"
    assert vic.call("openPurchaseOrder", made) == vic.call("getPurchaseOrder", made)
    vic.call("deletePurchaseOrder", made)


def subscription(vic: Vic) -> dict[str, Any]:
    return SUBSCRIPTION | ({} if vic.age == "live" else {"expiresAt": "2027-01-01T00:00:00Z"})


def the_rest(vic: Vic) -> None:
    assert vic.call("healthCheck")["company"] == "Fjordlys Regnskap AS"
    vic.call("obtainToken", body={"client_id": vic.sandbox.client_id, "client_secret": vic.sandbox.client_secret})
    vic.call("subscribe", body=subscription(vic))
    assert vic.call("getSubscription") == {**subscription(vic), "events": ["all"]}
    assert vic.call("unsubscribe") == "OK"
    batch = vic.call("listPaymentBatches")[0]
    assert vic.call("getPaymentBatch", batch["id"]) == batch


SECTIONS = (master_data, small_records, invoices, training_invoices, purchase_orders, the_rest)


def payments_back(vic: Vic) -> None:
    batches = vic.control.records("paymentBatches")
    for many, one in (("payments", "Payment"), ("credits", "Credit")):
        paid = next(p["id"] for batch in batches for p in batch[many] if p["status"] == "acknowledged")
        booked = {"confirmedAt": "2026-03-01T00:00:00Z", "remoteId": "B-1"}
        lost = {"remoteErroredAt": "2026-03-02T00:00:00Z", "remoteError": "Konto sperret"}
        assert vic.call(f"confirm{one}", paid, body=booked).items() >= booked.items()
        failed = vic.call(f"fail{one}", paid, body=lost)
        assert (failed["confirmedAt"], failed["remoteError"]) == (None, "Konto sperret")
        assert vic.call(f"bulkConfirm{one}s", body={many: [{"id": paid, **booked}]})[0]["id"] == paid
        assert vic.call(f"bulkFail{one}s", body={many: [{"id": paid, **lost}]})[0]["remoteError"] == "Konto sperret"


def events(vic: Vic) -> None:
    vic.call("subscribe", body=subscription(vic))
    for name in ("Accounts", "Dimensions", "PaymentTerms", "PurchaseOrders", "VatCodes", "Vendors"):
        vic.call(f"synchronize{name}")
    asked = {"occurred_after": "2026-11-01T00:00:00Z", "occurred_before": "2026-11-30T23:00:00Z"}
    vic.control.event("ping", at="2026-11-02T00:00:00Z")
    [ping] = vic.call("listWebhookEvents", params={**asked, "event_types": "ping"})
    assert vic.call("getWebhookEvent", ping["id"]) == ping
    vic.call("unsubscribe")


def companies(vic: Vic) -> None:
    [company] = vic.call("listCompaniesV2")["data"]
    assert vic.call("listInvoicesV2", company["id"])["data"]
    body = {"callback_url": "https://example.org/hooks", "access_token": "t"}
    made = vic.call("createSubscription", company["id"], body=body)["data"]
    assert vic.call("listSubscriptions", company["id"])["data"] == [made]
    window = {"occurred_after": "2026-01-01T00:00:00Z", "occurred_before": "2026-01-02T00:00:00Z"}
    assert vic.call("listCompanyWebhookEventsV2", company["id"], params=window)["data"] == []
    assert vic.call("updateSubscription", company["id"], made["id"], body={"events": ["ping"]})["data"]["events"]
    assert vic.call("getSubscriptionById", company["id"], made["id"])["data"]["events"] == ["ping"]
    vic.call("deleteSubscription", company["id"], made["id"])


def attached(vic: Vic) -> None:
    number = vic.call("uploadAttachment", **form(file=("a.pdf", PDF, "application/pdf")))["id"]
    assert vic.call("getAttachmentStatus", number)["status"] == "processed"
    invoice = next(one["internalId"] for one in vic.control.records("invoices") if one["status"] == "NOT_READY")
    file = form(file=("følge seddel.pdf", PDF, "application/pdf"))
    made = vic.call("uploadInvoiceSupportingAttachment", invoice, **file, **INTERNAL)
    assert vic.call("listInvoiceSupportingAttachments", invoice, **INTERNAL) == [made]
    assert vic.ask("GET", made["downloadUrl"].removeprefix(vic.url)).content == PDF
    vic.call("deleteInvoiceSupportingAttachment", invoice, made["id"], **INTERNAL)
    paid = {"externalPaymentStatus": "paid", "externalPaymentAmount": "10.00"}
    answer = vic.ask("PUT", f"/invoices/{invoice}/external", paid, **INTERNAL)
    assert (answer.status_code, answer.json()["externalPaymentStatus"]) == (202, "paid")
    vic.called.add("updateInvoiceExternal")


def more_of_the_old(vic: Vic) -> None:
    first, second = (one for one in vic.control.records("dimensions")[:2])
    pair = {"externalId": second["externalId"], "type": second["type"], "active": True}
    assert vic.call("replaceDimensionDependencies", first["internalId"], body=pair, **INTERNAL)["active"]
    [held] = vic.call("listDimensionDependencies", first["internalId"], **INTERNAL)
    assert held == {"internalId": second["internalId"], **pair}
    vic.call("deleteDimensionDependency", first["internalId"], second["internalId"], **INTERNAL)
    pairs = [{"dimension": {"internalId": "x"}, "dependent": {"internalId": first["internalId"]}, "active": True}]
    vic.refused("bulkUpsertDimensionDependencies", body={"dependencies": pairs}, status=422)
    pairs[0]["dimension"] = {"internalId": second["internalId"]}
    assert vic.call("bulkUpsertDimensionDependencies", body={"dependencies": pairs})
    order = next(one for one in vic.control.records("purchaseOrders"))
    line = order["lineItems"][0]["internalId"]
    assert vic.call("closePurchaseOrderLineItem", line)["status"] == "closed"
    assert vic.call("openPurchaseOrderLineItem", line) == vic.call("getPurchaseOrderLineItem", line)
    assert vic.call("getPaymentTerm", vic.control.records("paymentTerms")[0]["id"])["name"]


LIVE = (payments_back, events, companies, attached, more_of_the_old)


def test_every_operation_works_and_answers_by_the_contract(either: Vic) -> None:
    for section in (*SECTIONS, *(LIVE if either.age == "live" else ())):
        section(either)
    missing = sorted(contract.operations(either.age).keys() - either.called)
    assert not missing, f"No section here calls {missing}: a new operation is called in one of LIVE"


def test_the_first_age_has_no_operation_of_the_live_one(vic: Vic) -> None:
    new = [one for one in contract.operations().values() if one.since == "live"]
    assert new
    for operation in new:
        answer = vic.ask(operation.method, filled(operation.path, ("1", "2")))
        assert answer.status_code in {404, 405}, operation.name


@pytest.mark.parametrize("path", ["/nothing", "/accounts/", "/accounts/1/2/3", "//accounts", "/invoices//process"])
def test_unknown_paths_are_not_found(vic: Vic, path: str) -> None:
    answer = vic.ask("GET", path)
    assert (answer.status_code, answer.json()["code"]) == (404, 404)


def test_a_wrong_verb_is_told_the_right_ones(vic: Vic) -> None:
    answer = vic.ask("PATCH", "/accounts/1")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, PUT, DELETE"


NOWHERE = "00000000-0000-4000-a000-000000000000"


@one_in(3)
@pytest.mark.parametrize("name", [n for n, one in contract.operations().items() if "{" in one.path and not one.body])
def test_an_unknown_id_is_not_found(live: Vic, name: str) -> None:
    operation = contract.operation(name)
    uuid = any(parameter.schema.get("format") == "uuid" for parameter in operation.parameters)
    needed = {one.name: "2026-01-01T00:00:00Z" for one in operation.parameters if one.where == "query" and one.required}
    answer = live.ask(operation.method, filled(operation.path, (NOWHERE if uuid else "0",) * 2), params=needed)
    assert answer.status_code == 404
    assert answer.json()["errors" if operation.path.startswith("/v2/") else "code"]
