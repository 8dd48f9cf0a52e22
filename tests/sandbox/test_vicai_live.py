"""What the live age does otherwise than 0.20.0: events and their record, pages, reports of payments, matched lines."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.emulated_vic import DECODER, INTERNAL, Vic
from tests.sandbox.receiver import Receiver

WINDOW = {"occurred_after": "2026-10-01T00:00:00Z", "occurred_before": "2026-10-31T00:00:00Z"}


def subscribe(live: Vic, receiver: Receiver, *events: str) -> None:
    live.control.options(webhook_retry_seconds=0.01)
    body = {"callbackUrl": f"{receiver.url}/vic/", "accessToken": "the-token", "events": list(events) or ["all"]}
    assert "expiresAt" not in live.call("subscribe", body={**body, "expiresAt": "2020-01-01T00:00:00Z"})
    assert "expiresAt" not in live.call("getSubscription")


def recorded(live: Vic, **asked: Any) -> list[dict[str, Any]]:
    return live.all("/webhooks/events", **{**WINDOW, **asked})


def test_a_click_is_an_event_with_a_link_to_the_document(live: Vic, receiver: Receiver) -> None:
    subscribe(live, receiver)
    receiver.answer(204)
    clicked = live.control.click("invoicePost")
    live.sandbox.control.wait_for_webhooks()
    [delivery] = receiver.deliveries
    assert (delivery.path, delivery.headers["authorization"]) == ("/vic/events", "Bearer the-token")
    envelope = delivery.json
    assert (envelope["event"], envelope["data"]["internalId"]) == ("invoice_post", clicked["id"])
    assert live.ask("GET", envelope["data"]["documentUrl"].removeprefix(live.url)).content.startswith(b"%PDF")
    [event] = live.control.events()
    assert (event["id"], event["occurred_at"], event["delivered"]) == (envelope["id"], envelope["occurred_at"], True)
    assert event["body"] == DECODER.decode(delivery.body)


def test_only_what_is_named_is_sent_and_recorded(live: Vic, receiver: Receiver) -> None:
    subscribe(live, receiver, "invoice_deleted")
    deletable = [one["internalId"] for one in live.control.records("invoices") if one["status"] == "NOT_READY"]
    live.call("deleteInvoice", deletable[0], **INTERNAL)
    live.control.click("vendorNew")
    live.control.event("ping")
    live.sandbox.control.wait_for_webhooks()
    [event] = live.control.events()
    assert event["body"]["data"]["internalId"] == deletable[0]
    assert [one.json["event"] for one in receiver.deliveries] == ["invoice_deleted"]


def test_the_record_comes_by_windows_and_pages(live: Vic, receiver: Receiver) -> None:
    subscribe(live, receiver)
    made = live.control.event("ping", count=130, at="2026-10-05T12:00:00Z", send=False)
    live.control.event("vendor_updated", count=3, at="2026-10-06T00:00:00Z")
    live.sandbox.control.wait_for_webhooks()
    assert {event["id"] for event in recorded(live, event_types="ping,invoice_posted", limit=7)} == set(made)
    assert len(recorded(live)) == 133
    assert {event["id"] for event in recorded(live, undelivered="true")} == set(made)
    live.control.options(recorded_body="data")
    assert recorded(live, event_types="ping")[0]["body"] == {}
    for wrong in ({"occurred_before": "2026-11-01T00:00:01Z"}, {"event_types": "nothing"}, {"cursor": "x"}):
        assert live.ask("GET", "/webhooks/events", params={**WINDOW, **wrong}).status_code == 422
    assert live.ask("GET", "/webhooks/events", params={"occurred_after": "2026-10-01T00:00:00Z"}).status_code == 400


def test_five_deliveries_and_no_more(live: Vic, receiver: Receiver) -> None:
    subscribe(live, receiver)
    receiver.answer(429)
    live.control.event("ping")
    attempts = live.sandbox.control.wait_for_webhooks()
    assert [one["outcome"] for one in attempts] == ["failed"] * 4 + ["given up"]
    assert [event["delivered"] for event in live.control.events()] == [False]


def test_several_subscriptions_beside_the_old_one(live: Vic, receiver: Receiver) -> None:
    subscribe(live, receiver, "ping")
    [company] = live.call("listCompaniesV2")["data"]
    body = {"callback_url": f"{receiver.url}/v2", "access_token": "pass", "auth_method": "basic", "username": "me"}
    live.call("createSubscription", company["id"], body=body)
    live.control.event("ping")
    live.sandbox.control.wait_for_webhooks()
    told = {one.path: one.headers["authorization"] for one in receiver.deliveries}
    assert told == {"/vic/events": "Bearer the-token", "/v2/events": "Basic bWU6cGFzcw=="}


def test_tags_have_pages(live: Vic) -> None:
    live.control.add("tags", 300)
    every = [one["id"] for one in live.control.records("tags")]
    assert [len(page) for page in live.pages("/tags")] == [250, len(every) - 250]
    assert live.ids("/tags", limit=100) == every
    assert live.ask("GET", "/tags?limit=0").status_code == 422
    assert live.ask("GET", "/accounts?cursor=nothing").status_code == 422


def test_a_vendor_keeps_three_fields_that_are_left_out(live: Vic) -> None:
    [vendor, *_] = [one for one in live.control.records("vendors") if one.get("paymentTermId") and one.get("email")]
    body = {"name": "Ny", "externalUpdatedAt": "2026-02-01T10:11:12.154"}
    written = live.call("upsertVendor", vendor["internalId"], body=body, **INTERNAL)
    assert (written["paymentTermId"], written["email"]) == (vendor["paymentTermId"], None)
    nulled = live.call("upsertVendor", vendor["internalId"], body={**body, "paymentTermId": None}, **INTERNAL)
    assert nulled["paymentTermId"] is None


def test_one_unknown_payment_aborts_all(live: Vic) -> None:
    batches = live.control.records("paymentBatches")
    paid = [one["id"] for batch in batches for one in batch["payments"] if one["status"] == "acknowledged"]
    at = {"confirmedAt": "2026-03-01T00:00:00Z"}
    unknown = "00000000-0000-4000-a000-000000000000"
    body = {"payments": [{"id": id_, **at} for id_ in (*paid[:2], unknown)]}
    assert unknown in live.refused("bulkConfirmPayments", body=body, status=404)
    assert live.control.reported()["confirmations"] == []
    assert len(live.call("bulkConfirmPayments", body={"payments": body["payments"][:2]})) == 2


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"lineItemTotal": "999999999999999999.00"}, 200),
        ({"lineItemTotal": "0.01"}, 422),
        ({"unitAmount": "0.01"}, 422),
        ({"quantityRequested": "0"}, 422),
    ],
)
def test_a_matched_line_may_only_grow(live: Vic, change: dict[str, Any], status: int) -> None:
    lines = (line for order in live.control.records("purchaseOrders") for line in order["lineItems"])
    line = next(one for one in lines if one["invoiceItemsMatched"])
    names = (
        "lineNumber",
        "productNumber",
        "quantityReceived",
        "quantityAccepted",
        "unitAmount",
        "lineItemTotal",
        "quantityRequested",
        "matchingType",
    )
    body = {name: line[name] for name in names} | change
    answer = live.ask("PUT", f"/purchaseOrderLineItems/{line['internalId']}", body)
    assert answer.status_code == status, answer.text


def test_receipts_must_add_up(live: Vic) -> None:
    receipt = {
        "receiptLineRemoteId": "R-1", "receiptLineNumber": 1, "poLineNumber": 1, "itemId": "P", "uomCode": "stk",
        "receivedQuantity": "2", "receivedDate": "2026-02-01", "createdBy": "Ola", "warehouse": "1",
        "createdOn": "2026-02-01", "status": "open",
    }  # fmt: skip
    order = next(one for one in live.control.records("purchaseOrders") if one["status"] == "open")
    line = {"purchaseOrderId": order["internalId"], "lineNumber": 77, "unitAmount": "5.00", "lineItemTotal": "15.00"}
    line |= {"productNumber": "P", "quantityRequested": "3", "quantityReceived": "3", "receiptLines": [receipt]}
    assert "receiptLines sum up to 2" in live.refused("createPurchaseOrderLineItem", body=line, status=422)
    made = live.call("createPurchaseOrderLineItem", body=line | {"quantityReceived": "2"})
    assert made["receiptLines"][0]["receivedQuantity"] == "2"


def test_companies_share_out_the_invoices(live: Vic) -> None:
    live.control.options(companies=3)
    companies = live.call("listCompaniesV2")["data"]
    assert len(companies) == 3
    found: list[str] = []
    for company in companies:
        cursor: dict[str, str] = {}
        while True:
            asked = {"status": "all", "page[size]": "20", **cursor}
            page = live.call("listInvoicesV2", company["id"], params=asked)
            found += [one["legacy_id"] for one in page["data"]]
            if page["meta"]["page"]["cursor"] is None:
                break
            cursor = {"page[cursor]": page["meta"]["page"]["cursor"]}
    assert sorted(found) == sorted(one["internalId"] for one in live.control.records("invoices"))
    wrong = live.ask("GET", f"/v2/companies/{companies[0]['id']}/invoices?updated_after=soon")
    assert wrong.status_code == 400
    assert wrong.json()["errors"][0]["message"]
