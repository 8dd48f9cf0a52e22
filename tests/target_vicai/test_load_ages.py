"""Both ages of the service: what is written differs where it has to, and nothing is lost or doubled in either."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests.campaign import BOTH_AGES, one_in
from tests.conftest import catalogs, runner
from tests.target_vicai.conftest import Record, Target, fresh, load
from tests.target_vicai.scene import WAITING
from tests.target_vicai.store import Store

AGES = pytest.mark.parametrize("age", ["0.20", "live"])
AT, LATER = "2026-03-01T10:00:00", "2026-03-02T10:00:00"


def order(**more: Any) -> Record:
    line = {
        "lineNumber": 1,
        "productNumber": "P-1",
        "quantityRequested": "2",
        "unitAmount": "5.00",
        "lineItemTotal": "10.00",
        "matchingType": "TWO_WAY",
    }
    return {"externalId": "UZS-1", "poNumber": "UZS-1", "issuedOn": "2026-03-01", "lineItems": [line]} | more


@pytest.mark.long
@BOTH_AGES
def test_the_same_300_tags_and_400_vendor_tags_again_write_nothing(
    vicai: SandboxProcess, target: Target, tmp_path: Path, age: str
) -> None:
    """More than a page of each: what is not seen would be made a second time."""
    fresh(vicai, age=age)
    vendors = [one["internalId"] for one in vicai.control.vicai.records("vendors")][:2]
    values = [{"value": f"Žyma {number}"} for number in range(300)]
    pairs = [{"vendorId": vendor, "tagValue": one["value"]} for vendor in vendors for one in values[:200]]
    given = [*load("tags", *values), *load("vendor_tags", *pairs)]
    target(given)
    store = Store(vicai)
    assert len(store.all("tags")) >= 300
    assert len(store.all("vendorTags")) >= 400
    run = target(given)
    assert run.writes == []
    assert [run.counts(name)["unchanged"] for name in ("tags", "vendor_tags")] == [300, 400]
    # And as tap-vicai reads them.
    account = {"client_id": vicai.client_id, "client_secret": vicai.client_secret, "api_url": vicai.vicai_url}
    read = runner("tap_vicai", tmp_path, account)(catalog=catalogs("tap_vicai")("tags", "vendor_tags"))
    held = [len(store.all(name)) for name in ("tags", "vendorTags")]
    assert [len(read.records[name]) for name in ("tags", "vendor_tags")] == held
    again = target(read.lines)
    assert again.writes == []
    assert [again.counts(name)["unchanged"] for name in ("tags", "vendor_tags")] == held
    store.untouched()


@one_in(3)
@AGES
@pytest.mark.parametrize("mode", ["merge", "replace"])
def test_what_a_vendor_record_leaves_out(vicai: SandboxProcess, target: Target, age: str, mode: str) -> None:
    fresh(vicai, age=age)
    control = vicai.control.vicai
    found = (one for one in control.records("vendors") if one.get("paymentTermId") and one.get("externalId"))
    vendor = next(one for one in found if one.get("email"))
    given = {"externalId": vendor["externalId"], "externalUpdatedAt": "2026-11-01T10:00:00", "name": "Ąžuolas"}
    target(load("vendors", given), update_mode=mode)
    now = next(one for one in control.records("vendors") if one["internalId"] == vendor["internalId"])
    assert now["name"] == "Ąžuolas"
    kept = mode == "merge"
    assert now["email"] == (vendor["email"] if kept else None)
    assert now["paymentTermId"] == (vendor["paymentTermId"] if kept else None)
    assert target(load("vendors", given), update_mode=mode).writes == []


@one_in(3)
@AGES
@pytest.mark.parametrize("mode", ["merge", "replace"])
def test_an_order_is_written_in_the_services_spelling(
    vicai: SandboxProcess, target: Target, age: str, mode: str
) -> None:
    fresh(vicai, age=age)
    vendor = next(one["externalId"] for one in vicai.control.vicai.records("vendors") if one.get("externalId"))
    given = order(vendorExternalId=vendor, description="Pirma")
    target(load("purchase_orders", given))
    spelling = {"0.20": "TWO_WAY", "live": "two_way"}[age]

    def held() -> Record:
        (found,) = [one for one in vicai.control.vicai.records("purchaseOrders") if one.get("externalId") == "UZS-1"]
        return found

    assert held()["lineItems"][0]["matchingType"] == spelling
    changed = order(vendorExternalId=vendor)
    changed["lineItems"][0] |= {"unitAmount": "6.00", "lineItemTotal": "12.00", "matchingType": "two_way"}
    target(load("purchase_orders", changed), update_mode=mode)
    assert held()["lineItems"][0]["unitAmount"] == "6.00"
    assert held().get("description") == ("Pirma" if mode == "merge" else None)
    assert target(load("purchase_orders", changed), update_mode=mode).writes == []


def receipt(number: int, quantity: str) -> Record:
    return {
        "receiptLineRemoteId": f"G-{number}", "receiptLineNumber": number, "poLineNumber": 1, "itemId": "P-1",
        "uomCode": "vnt", "receivedQuantity": quantity, "receivedDate": "2026-03-01", "createdBy": "Ona",
        "warehouse": "Vilnius", "createdOn": "2026-03-01", "status": "open",
    }  # fmt: skip


def test_goods_receipts_travel_with_their_lines_and_must_add_up(vicai: SandboxProcess, target: Target) -> None:
    fresh(vicai)
    vendor = next(one["externalId"] for one in vicai.control.vicai.records("vendors") if one.get("externalId"))
    given = order(vendorExternalId=vendor)
    given["lineItems"][0] |= {"quantityReceived": "1.5", "receiptLines": [receipt(1, "1"), receipt(2, "1")]}
    run = target(load("purchase_orders", given), expect=1)
    assert run.writes == []
    assert run.rejects[0]["rejected"]["code"] == "header_and_lines_differ"
    given["lineItems"][0]["quantityReceived"] = "2.0"
    target(load("purchase_orders", given))
    (held,) = [one for one in vicai.control.vicai.records("purchaseOrders") if one.get("externalId") == "UZS-1"]
    got = [one["receiptLineRemoteId"] for one in held["lineItems"][0]["receiptLines"]]
    assert got == ["G-1", "G-2"]
    assert target(load("purchase_orders", given)).writes == []
    # They are told by their ids: in another order they say the same, and one that changes stays the one it was.
    line = given["lineItems"][0]
    line["receiptLines"].reverse()
    assert target(load("purchase_orders", given)).writes == []
    ids = {one["receiptLineRemoteId"]: one["internalId"] for one in held["lineItems"][0]["receiptLines"]}
    line["receiptLines"] = [receipt(3, "0.25"), receipt(2, "1.25"), receipt(1, "1")]
    line["quantityReceived"] = "2.5"
    run = target(load("purchase_orders", given))
    assert [method for method, _ in run.writes] == ["PUT"]
    (held,) = [one for one in vicai.control.vicai.records("purchaseOrders") if one.get("externalId") == "UZS-1"]
    shown = {one["receiptLineRemoteId"]: one for one in held["lineItems"][0]["receiptLines"]}
    assert {id_: one["receivedQuantity"] for id_, one in shown.items()} == {"G-1": "1", "G-2": "1.25", "G-3": "0.25"}
    assert ids.items() <= {id_: one["internalId"] for id_, one in shown.items()}.items()
    assert target(load("purchase_orders", given)).writes == []


def test_streams_of_today_are_set_aside_by_an_older_service(vicai: SandboxProcess, target: Target) -> None:
    fresh(vicai, invoices=3, age="0.20")
    invoice = vicai.control.vicai.records("invoices")[0]["internalId"]
    first, second = (one["internalId"] for one in vicai.control.vicai.records("dimensions")[:2])
    run = target(
        [
            *load("invoice_payments", {"internalId": invoice, "externalPaymentStatus": "paid"}),
            *load("supporting_attachments", {"internalId": invoice, "documentBase64": "JVBERi0xLjQK"}),
            *load("dimension_dependencies", {"dimensionInternalId": first, "dependentInternalId": second}),
        ],
        expect=1,
    )
    assert run.writes == []
    assert [message["rejected"]["code"] for message in run.rejects] == ["not_offered"] * 3


@pytest.mark.parametrize("kind", ["html", "truncate"])
def test_a_file_that_cannot_be_looked_at_is_not_sent_again(vicai: SandboxProcess, target: Target, kind: str) -> None:
    """A page that a proxy answers with status 200 is not the file that Vic has: it was taken for another one."""
    fresh(vicai, invoices=3)
    invoice = vicai.control.vicai.records("invoices")[0]["internalId"]
    vicai.control.vicai.touch("invoices", [invoice], **WAITING)
    given = load("supporting_attachments", {"internalId": invoice, "documentBase64": "JVBERi0xLjQKQUJD"})
    assert target(given).writes != []
    vicai.control.fault(kind, method="GET", path="/vicai/v0/files/supporting", times=2)
    assert target(given).writes == []
    assert [one["hits"] for one in vicai.control.faults()] == [2]


def test_what_has_become_of_attachments_is_told(vicai: SandboxProcess, target: Target) -> None:
    fresh(vicai)
    # The sandbox numbers attachments from 1.
    vicai.control.vicai.attachment("2", status="failed", error_message="Dokumentas tuščias", invoice_ids=[])
    documents = [{"documentName": f"{n}.pdf", "documentBase64": f"JVBERi0xLjQK{text}"} for n, text in ((1, "QQ=="),)]
    run = target(load("attachments", *documents))
    assert "1.pdf became invoice 91 at Vic.ai" in run.err
    assert run.report["attachments"] == [
        {"name": "1.pdf", "id": "1", "status": "processed", "invoices": ["91"], "error": None}
    ]
    run = target(load("attachments", {"documentName": "2.pdf", "documentBase64": "JVBERi0xLjQKQg=="}))
    assert "2.pdf was sent, and Vic.ai failed it (Dokumentas tuščias)" in run.err
    assert [one["error"] for one in run.report["attachments"]] == ["Dokumentas tuščias"]
    assert target(load("attachments", *documents)).report["attachments"] == [], "what is done is asked once"


def test_an_attachment_that_vic_is_not_done_with_is_asked_after_by_later_runs(
    vicai: SandboxProcess, target: Target, tmp_path: Path
) -> None:
    fresh(vicai)
    vicai.control.vicai.attachment("1", status="processing", invoice_ids=[])
    document = {"documentName": "1.pdf", "documentBase64": "JVBERi0xLjQKQQ=="}
    # What has become of it is not said for now: the run's own work is done all the same.
    vicai.control.fault("status", method="GET", path="/vicai/v0/attachments", status=503, times=6)
    run = target(load("attachments", document))
    assert (run.report["attachments"], "The next run asks again" in run.err) == ([], True)
    for _ in range(2):
        run = target(load("accounts"))
        assert [one["status"] for one in run.report["attachments"]] == ["processing"]
    planned = target(load("accounts"), dry_run=True)
    assert planned.report["attachments"] == []
    vicai.control.vicai.attachment("1", status="processed", invoice_ids=["7", "8"])
    run = target(load("accounts"))
    assert [one["invoices"] for one in run.report["attachments"]] == [["7", "8"]]
    assert "1.pdf became invoice 7, 8 at Vic.ai" in run.err
    assert target(load("accounts")).report["attachments"] == []
    # One that was sent long ago: a person has to look.
    vicai.control.vicai.attachment("2", status="processing", invoice_ids=[])
    target(load("attachments", {"documentName": "2.pdf", "documentBase64": "JVBERi0xLjQKQg=="}))
    ledger = tmp_path / "ledger.jsonl"
    ledger.write_text(re.sub(r'"at":"20\d\d', '"at":"2020', ledger.read_text()))
    assert "still calls it processing" in target(load("accounts")).err
    assert target(load("accounts")).report["attachments"] == []
