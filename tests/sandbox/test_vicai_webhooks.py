"""Vic.ai's webhooks: what a click sends, to whom, how often; and what an answer makes of it."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from ap_connectors.sandbox.process import SandboxError
from ap_connectors.sandbox.vicai.parsing import form_parts
from ap_connectors.vicai import contract
from tests.campaign import one_in
from tests.sandbox.emulated_vic import AT, DECODER, INTERNAL, Vic
from tests.sandbox.receiver import Delivery, Receiver

UUID = "6e1f1c1e-8a8e-4a83-9b0f-0d4d1f5d2a10"


def subscribe(vic: Vic, receiver: Receiver, **change: Any) -> None:
    vic.control.options(webhook_retry_seconds=0.01)
    body = {"callbackUrl": f"{receiver.url}/vic/", "accessToken": "tökén", "expiresAt": "2099-01-01T00:00:00Z"}
    vic.call("subscribe", body={**body, "accessToken": "the-token", **change})


def held(value: Any, component: str) -> Any:
    """Hold what came against the contract."""
    errors = list(jsonschema.Draft202012Validator(contract.component(component, contract.FIRST)).iter_errors(value))
    assert not errors, errors[:2]
    return value


def status(vic: Vic, id_: str) -> str:
    [found] = [one for one in vic.control.records("invoices") if one["internalId"] == id_]
    return str(found["status"])


def only(vic: Vic, receiver: Receiver, path: str) -> Delivery:
    """The one delivery that came."""
    vic.sandbox.control.wait_for_webhooks()
    [delivery] = receiver.deliveries
    assert (delivery.path, delivery.headers["authorization"]) == (f"/vic/{path}", "Bearer the-token")
    return delivery


@pytest.mark.parametrize(
    ("kind", "waits", "done"),
    [("invoicePost", "READY_FOR_POST", "POSTED"), ("invoiceTransfer", "READY_FOR_TRANSFER", "TRANSFERRED")],
)
def test_an_invoice_comes_with_its_document_and_waits(
    vic: Vic, receiver: Receiver, kind: str, waits: str, done: str
) -> None:
    subscribe(vic, receiver)
    receiver.answer(202)
    clicked = vic.control.click(kind)
    delivery = only(vic, receiver, kind)
    form = form_parts("0.20", delivery.headers["content-type"], delivery.body)
    [invoice] = [
        one for one in vic.control.record_lines("invoices") if DECODER.decode(one)["internalId"] == clicked["id"]
    ]
    assert form["invoiceData"].data == invoice
    assert form["invoiceData"].media == "application/json"
    held(json.loads(form["invoiceData"].data), "Invoice")
    assert form["invoiceDocument"].data == vic.call("getInvoiceDocument", clicked["id"], **INTERNAL)
    assert form["invoiceDocument"].media == "application/pdf"
    assert delivery.headers["x-request-id"] == clicked["request_id"]
    assert status(vic, clicked["id"]) == waits
    vic.call("confirmInvoice", clicked["id"], body={"externalId": "ERP-1", **AT})
    assert status(vic, clicked["id"]) == done
    with pytest.raises(SandboxError, match=f"{done}: there is no {kind}"):
        vic.control.click(kind, clicked["id"])


def test_a_rejected_invoice_can_be_clicked_again(vic: Vic, receiver: Receiver) -> None:
    subscribe(vic, receiver)
    first = vic.control.click("invoicePost")
    vic.call("rejectInvoice", first["id"], body={"item": None, "field": None, "reason": "Sąskaita uždaryta"})
    second = vic.control.click("invoicePost", first["id"])
    vic.sandbox.control.wait_for_webhooks()
    assert [one.headers["x-request-id"] for one in receiver.deliveries] == [first["request_id"], second["request_id"]]
    assert status(vic, first["id"]) == "READY_FOR_POST"


def test_a_201_confirms_at_once(vic: Vic, receiver: Receiver) -> None:
    subscribe(vic, receiver)
    receiver.answers = lambda _: (201, json.dumps({"externalId": "ERP-7", **AT}).encode())
    invoice, vendor = vic.control.click("invoicePost")["id"], vic.control.click("vendorNew")["id"]
    vic.sandbox.control.wait_for_webhooks()
    assert status(vic, invoice) == "POSTED"
    assert vic.call("getInvoice", "ERP-7", params={"useSystem": "EXTERNAL"})["internalId"] == invoice
    [known] = [one for one in vic.control.records("vendors") if one["internalId"] == vendor]
    assert (known["externalId"], known["state"], bool(known["confirmedAt"])) == ("ERP-7", "CONFIRMED", True)


@one_in(3)
@pytest.mark.parametrize("body", [b"", b"[]", b'{"externalId": 5}', b"\xff"])
def test_a_201_that_confirms_nothing_leaves_the_invoice_waiting(vic: Vic, receiver: Receiver, body: bytes) -> None:
    subscribe(vic, receiver)
    receiver.answers = lambda _: (201, body)
    invoice = vic.control.click("invoicePost")["id"]
    assert vic.sandbox.control.wait_for_webhooks()[-1]["outcome"] == "delivered"
    assert status(vic, invoice) == "READY_FOR_POST"


def test_a_new_vendor_is_told_of_and_waits_for_the_erp(vic: Vic, receiver: Receiver) -> None:
    subscribe(vic, receiver)
    count = len(vic.control.records("vendors"))
    clicked = vic.control.click("vendorNew")
    delivery = only(vic, receiver, "vendorNew")
    vendor = held(delivery.json, "VendorCallback")
    assert (vendor["internalId"], vendor["state"]) == (clicked["id"], "UNCONFIRMED")
    assert delivery.headers["x-request-id"] == clicked["request_id"]
    assert "externalId" not in vendor
    assert len(vic.control.records("vendors")) == count + 1


def test_a_sync_request_bears_its_id_in_the_body(vic: Vic, receiver: Receiver) -> None:
    subscribe(vic, receiver)
    assert vic.control.click("syncRequest", request_id=UUID) == {"id": None, "request_id": UUID, "sent": True}
    delivery = only(vic, receiver, "syncRequest")
    assert held(delivery.json, "RequestIdCallback") == {"requestId": UUID}
    assert "x-request-id" not in delivery.headers


def test_a_processed_batch_is_told_of_with_what_is_approved(vic: Vic, receiver: Receiver) -> None:
    subscribe(vic, receiver)
    batch = max(vic.control.records("paymentBatches"), key=lambda one: len(one["payments"]))
    vic.control.batch_event(batch["id"], "approve")
    vic.control.batch_event(batch["id"], "void", batch["payments"][0]["id"])
    vic.control.batch_event(batch["id"], "fund")
    processed = vic.control.batch_event(batch["id"], "process")
    delivery = only(vic, receiver, "events")
    event = held(delivery.json, "WebhookEvent")
    assert event["event"] == "payment_batch_processed"
    told, payments = held(event["data"], "PaymentBatch"), processed.pop("payments")
    assert told.pop("payments") == [one for one in payments if one["status"] == "approved"]
    assert len(payments) > 1
    assert told == processed
    assert delivery.headers["x-request-id"]


def test_only_what_is_subscribed_is_sent(vic: Vic, receiver: Receiver) -> None:
    assert vic.control.click("syncRequest")["sent"] is False  # there is no subscription
    subscribe(vic, receiver, events=["vendorNew"])
    assert vic.control.click("syncRequest")["sent"] is False
    assert vic.control.click("vendorNew")["sent"] is True
    invoice = vic.control.click("invoicePost")
    assert (invoice["sent"], status(vic, invoice["id"])) == (False, "READY_FOR_POST")
    subscribe(vic, receiver, expiresAt="2020-01-01T00:00:00Z")
    assert vic.control.click("vendorNew")["sent"] is False
    vic.sandbox.control.wait_for_webhooks()
    assert [one.path for one in receiver.deliveries] == ["/vic/vendorNew"]


@pytest.mark.parametrize("refusal", [401, 403, 500, 503])
def test_some_refusals_are_tried_again_five_times(vic: Vic, receiver: Receiver, refusal: int) -> None:
    subscribe(vic, receiver)
    receiver.answer(refusal)
    request_id = vic.control.click("vendorNew")["request_id"]
    attempts = vic.sandbox.control.wait_for_webhooks()
    assert [one["outcome"] for one in attempts] == ["failed"] * 5 + ["given up"]
    assert {one["id"] for one in attempts} == {request_id}
    assert [one.headers["x-request-id"] for one in receiver.deliveries] == [request_id] * 6
    assert len({one.body for one in receiver.deliveries}) == 1


@pytest.mark.parametrize("refusal", [400, 404, 413, 422, 429])
def test_other_refusals_count_as_received(vic: Vic, receiver: Receiver, refusal: int) -> None:
    subscribe(vic, receiver)
    receiver.answer(refusal)
    vic.control.click("syncRequest")
    [attempt] = vic.sandbox.control.wait_for_webhooks()
    assert (attempt["outcome"], attempt["status"]) == ("refused", refusal)


def test_callbacks_are_tried_once_if_the_option_says_so_and_events_still_again(vic: Vic, receiver: Receiver) -> None:
    subscribe(vic, receiver)
    vic.control.options(callbacks_retried=False)
    receiver.answer(500)
    vic.control.click("syncRequest")
    vic.control.batch_event(vic.control.records("paymentBatches")[0]["id"], "process")
    vic.sandbox.control.wait_for_webhooks()
    paths = [one.path for one in receiver.deliveries]
    assert (paths.count("/vic/syncRequest"), paths.count("/vic/events")) == (1, 6)


def test_a_retry_goes_by_the_subscription_as_it_is_then(vic: Vic, receiver: Receiver) -> None:
    subscribe(vic, receiver)
    vic.control.options(webhook_retry_seconds=0.3)

    def rotated(delivery: Delivery) -> tuple[int, bytes]:
        return (200 if delivery.headers["authorization"] == "Bearer newer" else 401), b""

    receiver.answers = rotated
    vic.control.click("syncRequest")
    subscribe(vic, receiver, accessToken="newer")
    assert vic.sandbox.control.wait_for_webhooks()[-1]["outcome"] == "delivered"
    vic.control.options(webhook_retry_seconds=0.3)
    receiver.answer(500)
    vic.control.click("syncRequest")
    while len(vic.sandbox.control.webhooks()) < 3:
        pass
    vic.call("unsubscribe")
    last = vic.sandbox.control.wait_for_webhooks()[-1]
    assert (last["outcome"], last["why"]) == ("withheld", "not sent: there is no subscription")


@pytest.mark.parametrize(("kind", "seconds"), [("syncRequest", 0.25), ("batch", 0.75)])
def test_a_receiver_has_five_seconds_and_fifteen_for_events(
    vic: Vic, receiver: Receiver, kind: str, seconds: float
) -> None:
    subscribe(vic, receiver)
    vic.control.options(webhook_patience=0.05, callbacks_retried=False, webhook_retry_seconds=0)
    receiver.slow = 1.5
    if kind == "batch":
        vic.control.batch_event(vic.control.records("paymentBatches")[0]["id"], "process")
    else:
        vic.control.click(kind)
    while (first := (vic.sandbox.control.webhooks() or [{}])[0]).get("outcome") in (None, "under way"):
        pass
    assert first["why"] == f"no answer within {seconds} s"
    assert seconds <= first["seconds"] < 1.5


def test_other_machines_are_never_called(vic: Vic, receiver: Receiver) -> None:
    subscribe(vic, receiver, callbackUrl="https://user:pass@erp.example/vic")
    vic.control.click("syncRequest")
    [attempt] = vic.sandbox.control.wait_for_webhooks()
    assert (attempt["outcome"], attempt["url"]) == ("withheld", "https://erp.example/vic/syncRequest")
    assert "this machine only" in attempt["why"]


def test_an_end_that_is_no_time_is_refused(vic: Vic, receiver: Receiver) -> None:
    body = {"callbackUrl": receiver.url, "accessToken": "t", "expiresAt": "2099-01-01"}
    vic.refused("subscribe", status=400, body=body)


@pytest.mark.parametrize(("kind", "id_"), [("invoicePay", None), ("invoicePost", "0"), ("vendorNew", "0")])
def test_a_button_that_is_not_there_is_said_to_be_so(vic: Vic, kind: str, id_: str | None) -> None:
    with pytest.raises(SandboxError, match=r"/_control/vicai/click: 400"):
        vic.control.click(kind, id_)


def test_a_201_with_another_records_external_id_confirms_nothing(vic: Vic, receiver: Receiver) -> None:
    subscribe(vic, receiver)
    taken = next(one["externalId"] for one in vic.control.records("invoices") if one.get("externalId"))
    receiver.answers = lambda _: (201, json.dumps({"externalId": taken, **AT}).encode())
    invoice = vic.control.click("invoicePost")["id"]
    vic.sandbox.control.wait_for_webhooks()
    assert status(vic, invoice) == "READY_FOR_POST"
