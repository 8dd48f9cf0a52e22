"""What the service allows and what it refuses, operation by operation."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.sandbox.emulated_vic import AT, INTERNAL, Vic, any_vendor, file, latest

UNKNOWN_ID = "00000000-0000-4000-a000-000000000000"


# Upserts


def test_put_creates_by_external_id_and_changes_what_is_there(vic: Vic) -> None:
    before = vic.control.overview(False)["accounts"]
    new = vic.call("upsertAccount", "N-1", body={"number": "1", "name": "a", "externalData": {"x": 1}, **AT})
    again = vic.call(
        "upsertAccount", "N-1", body={"number": "2", "name": "b", "externalUpdatedAt": "2026-02-02T00:00:00"}
    )
    assert vic.control.overview(False)["accounts"] == before + 1
    assert again["internalId"] == new["internalId"]
    assert again["internalUpdatedAt"] > new["internalUpdatedAt"] > "2026"
    assert again["internalUpdatedAt"] == latest(vic)
    assert (again["name"], again["externalData"]) == ("b", {"x": 1})
    assert again["externalUpdatedAt"] == "2026-02-02T00:00:00"
    assert (
        vic.call("upsertAccount", new["internalId"], body={"number": "3", "name": "c", **AT}, **INTERNAL)["name"] == "c"
    )
    vic.refused("upsertAccount", "999999", status=404, body={"number": "3", "name": "c", **AT}, **INTERNAL)


def test_an_external_id_is_one_records_own(vic: Vic) -> None:
    taken = vic.call("createDimension", body={"externalId": "D-1", "name": "a", **AT})["externalId"]
    assert "D-1" in vic.refused("createDimension", status=422, body={"externalId": "D-1", "name": "b", **AT})
    body = {"name": "b", "externalId": taken, **AT}
    vic.refused("upsertDimension", "D-2", status=422, body=body)


def test_putting_a_dimension_clears_a_type_that_is_left_out(vic: Vic) -> None:
    body = {"name": "a", "type": "PROJECT", "typeExternalId": "PRO", **AT}
    assert vic.call("upsertDimension", "D-1", body=body)["typeExternalId"] == "PRO"
    changed = vic.call("upsertDimension", "D-1", body={"name": "a", **AT})
    assert changed["type"] == "PROJECT"
    assert "typeExternalId" not in changed


def test_putting_a_vendor_nulls_what_is_left_out(vic: Vic) -> None:
    vendor = any_vendor(vic)
    answer = vic.ask("PUT", f"/vendors/{vendor['externalId']}", {"name": "Ny", **AT})
    assert answer.status_code == 200
    bare = vic.call("getVendor", vendor["externalId"])
    assert (bare["name"], bare["internalId"]) == ("Ny", vendor["internalId"])
    kept = {"internalId", "internalUpdatedAt", "externalId", "externalUpdatedAt", "name", "description"}
    assert {name for name, value in bare.items() if value is not None} <= kept
    assert {"email", "addressStreet", "countryCode", "paymentTermId"} <= bare.keys()
    assert not {"taxInfo", "defaultPaymentInfo", "currency", "state", "errors"} & bare.keys()
    vic.refused("upsertVendor", "V", status=422, body={"name": "Ny", "paymentTermId": UNKNOWN_ID, **AT})
    assert vic.ask("PUT", "/vendors/V", {"name": "Ny", **AT}).status_code == 201


def test_vat_codes_keep_their_local_times_and_exact_rates(vic: Vic) -> None:
    body = {"code": "9", "description": "d", "rate": Decimal("0.10"), "activeStartingAt": "2026-01-01T00:00:00", **AT}
    vic.call("upsertVatCode", "V-9", body=body)
    text = vic.ask("GET", "/vatCodes/V-9").text
    assert '"rate":0.10' in text
    assert '"activeStartingAt":"2026-01-01T00:00:00"' in text
    assert vic.call("upsertVatCode", "V-9", body=AT)["code"] == "9"
    vic.refused("upsertVatCode", "V-10", status=400, body=AT)


def test_money_may_come_as_a_number_and_is_told_as_text(vic: Vic) -> None:
    body = {"code": "x", "description": "d", "rate": Decimal("6.50")}
    assert vic.call("createTaxCode", body=body)["rate"] == "6.50"


# Small records


def test_creating_is_not_idempotent(vic: Vic) -> None:
    assert (
        vic.call("createVendorGroup", body={"name": "a"})["id"]
        != vic.call("createVendorGroup", body={"name": "a"})["id"]
    )
    assert vic.call("createTag", body={"value": "a"})["id"] != vic.call("createTag", body={"value": "a"})["id"]
    term = {"name": "a", "daysToPay": 1}
    assert vic.call("createPaymentTerm", body=term)["id"] != vic.call("createPaymentTerm", body=term)["id"]


def test_a_vendor_wears_a_tag_once_and_loses_it_with_the_tag(vic: Vic) -> None:
    vendor, tag = any_vendor(vic)["internalId"], vic.call("createTag", body={"value": "a"})["id"]
    worn = vic.call("createVendorTag", body={"vendorId": vendor, "tagId": tag})
    vic.refused("createVendorTag", status=422, body={"vendorId": vendor, "tagId": tag})
    vic.refused("createVendorTag", status=422, body={"vendorId": "0", "tagId": tag})
    vic.call("deleteTag", tag)
    assert worn not in vic.call("listVendorTags")


def test_a_vendor_that_is_used_stays(vic: Vic) -> None:
    invoice = vic.control.records("invoices")[0]
    answer = vic.ask("DELETE", f"/vendors/{invoice['vendorInternalId']}", **INTERNAL)
    assert answer.status_code in (409, 422)
    assert "invoice" in answer.json()["message"]
    vic.call("upsertVendor", "free", body={"name": "a", **AT})
    assert vic.call("deleteVendor", "free")["externalId"] == "free"


@pytest.mark.parametrize(
    "change",
    [
        {"callbackUrl": "http://example.org"},
        {"events": ["all", "syncRequest"]},
        {"events": ["nothing"]},
        {"accessToken": None},
        {"callbackUrl": "example"},
    ],
)
def test_a_wrong_subscription_is_refused(vic: Vic, change: dict[str, Any]) -> None:
    good = {"callbackUrl": "https://example.org", "accessToken": "t", "expiresAt": "2027-01-01T00:00:00Z"}
    vic.refused("getSubscription", status=404)
    vic.refused("subscribe", status=400, body={**good, **change})
    vic.refused("unsubscribe", status=404)
    assert vic.call("subscribe", body={**good, "events": ["syncRequest"]})["events"] == ["syncRequest"]
    assert vic.call("subscribe", body={**good, "events": None})["events"] == ["syncRequest"]
    assert vic.control.records("subscription") == [{**good, "events": ["syncRequest"]}]


def test_attachments_are_of_known_types(vic: Vic) -> None:
    assert "text/plain" in vic.refused("uploadAttachment", status=422, **file("file", media="text/plain"))
    assert "other" in vic.refused("uploadAttachment", status=400, **file("other"))
    headers = {"Content-Type": "multipart/form-data"}
    assert "boundary" in vic.refused("uploadAttachment", status=400, data=b"x", headers=headers)


# Purchase orders


def order(vic: Vic, **more: Any) -> dict[str, Any]:
    vendor = {"internalId": any_vendor(vic)["internalId"]}
    base = {"poNumber": "PO-1", "amount": "30.30", "vendor": vendor, "issuedOn": "2026-02-01", "externalId": "E"}
    return {**base, "lineItems": [line(1, "10.10"), line(2, "20.20")], **more}


def line(number: int, total: str, **more: Any) -> dict[str, Any]:
    base = {"productNumber": "P", "quantityRequested": "1", "quantityReceived": "1", "unitAmount": total}
    return {**base, "lineItemTotal": total, "lineNumber": number, **more}


def test_an_order_is_processed_when_its_amount_is_the_exact_sum(vic: Vic) -> None:
    made = vic.call("createPurchaseOrder", body=order(vic))
    assert [item["matchingType"] for item in made["lineItems"]] == ["THREE_WAY"] * 2
    vic.call("processPurchaseOrder", made["internalId"])
    extra = vic.call(
        "createPurchaseOrderLineItem", body=line(3, "0.01", purchaseOrderId=made["internalId"], matchingType="TWO_WAY")
    )
    assert "30.31" in vic.refused("processPurchaseOrder", made["internalId"], status=422)
    body = {name: value for name, value in order(vic, amount="30.31", issuedOn=None).items() if name != "lineItems"}
    changed = vic.call("updatePurchaseOrder", made["internalId"], body=body)
    assert "issuedOn" not in changed
    assert len(changed["lineItems"]) == 3
    vic.call("processPurchaseOrder", made["internalId"])
    vic.call("deletePurchaseOrderLineItem", extra["internalId"])
    vic.refused("processPurchaseOrder", made["internalId"], status=422)


def test_wrong_orders_are_refused(vic: Vic) -> None:
    for wrong, named in (
        ({"vendor": {"externalId": "unknown"}}, "vendor"),
        ({"lineItems": [line(1, "1"), line(1, "2")]}, "lineNumber"),
        ({"lineItems": [line(1, "1", quantityReceived=None)]}, "quantityReceived"),
        ({"lineItems": [line(1, "1", matchingType="FOUR_WAY")]}, "quantityAccepted"),
        ({"lineItems": [line(1, "1", dimensions=[{"externalId": "none"}])]}, "dimension"),
        ({"amount": "much"}, "amount"),
    ):
        assert named in vic.refused("createPurchaseOrder", status=422, body=order(vic, **wrong)), wrong
    vic.refused("createPurchaseOrderLineItem", status=404, body=line(1, "1", purchaseOrderId="0"))


def test_a_line_opens_a_closed_order_and_keeps_its_number_to_itself(vic: Vic) -> None:
    made = vic.call("createPurchaseOrder", body=order(vic))
    id_ = made["internalId"]
    vic.call("closePurchaseOrder", id_)
    vic.refused("createPurchaseOrderLineItem", status=422, body=line(2, "1", purchaseOrderId=id_))
    assert vic.call("getPurchaseOrder", id_)["status"] == "closed"
    new = vic.call("createPurchaseOrderLineItem", body=line(3, "1", purchaseOrderId=id_))
    assert vic.call("getPurchaseOrder", id_)["status"] == "open"
    vic.refused("updatePurchaseOrderLineItem", new["internalId"], status=422, body=line(2, "1"))


def test_putting_a_line_clears_what_is_null_and_keeps_what_is_left_out(vic: Vic) -> None:
    told = {"productDescription": "Lenta", "unitOfMeasure": "vnt.", "quantityAccepted": "1"}
    made = vic.call("createPurchaseOrder", body=order(vic, lineItems=[line(1, "10.10", **told), line(2, "20.20")]))
    before, other = made["lineItems"]
    kept = vic.call("updatePurchaseOrderLineItem", before["internalId"], body=line(1, "10.10"))
    assert kept == before
    bare = line(1, "9", productDescription=None, unitOfMeasure=None)
    changed = vic.call("updatePurchaseOrderLineItem", before["internalId"], body=bare)
    assert {name for name, value in changed.items() if value != before[name]} == {
        "unitAmount",
        "lineItemTotal",
        "unitOfMeasure",
    }
    assert changed["unitOfMeasure"] is None
    assert before.keys() - changed.keys() == {"productDescription"}
    assert vic.call("getPurchaseOrder", made["internalId"])["lineItems"] == [changed, other]


def test_a_line_that_is_matched_to_a_posted_invoice_stays(vic: Vic) -> None:
    orders = vic.control.records("purchaseOrders")
    matched = next(i for o in orders for i in o["lineItems"] if i.get("invoiceItemsMatched"))
    vic.refused("updatePurchaseOrderLineItem", matched["internalId"], status=422, body=line(9, "1"))
    vic.refused("deletePurchaseOrderLineItem", matched["internalId"], status=422)
    assert orders == vic.control.records("purchaseOrders")
