"""The Vic half of the control API, the command's flags, and the start page."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
import requests

from ap_connectors.sandbox.process import SandboxError, SandboxProcess
from tests.campaign import one_in
from tests.sandbox.emulated_vic import DECODER, Vic

IN = {"useSystem": "INTERNAL"}
LISTED: dict[str, dict[str, Any]] = {
    "accounts": IN,
    "dimensions": IN,
    "vendors": IN,
    "vendorGroups": {},
    "tags": {},
    "vendorTags": {},
    "paymentTerms": {},
    "taxCodes": {},
    "vatCodes": {},
    "invoices": {**IN, "state": "ALL"},
    "trainingInvoices": {},
    "paymentBatches": {},
}


@pytest.mark.parametrize("extra_fields", [False, True])
def test_records_are_told_byte_for_byte_as_lists_serve_them(vic: Vic, extra_fields: bool) -> None:
    vic.sandbox.control.reset(documents=0, invoices=60, vicai={"extra_fields": extra_fields, "rate_requests": 0})
    vic.login()
    for resource, query in LISTED.items():
        lines = list(vic.control.record_lines(resource))
        served = vic.ask("GET", f"/{resource}", params={**query, **({"limit": 100} if "Tag" not in resource else {})})
        if served.status_code == 400:  # no pages
            served = vic.ask("GET", f"/{resource}")
        assert lines, resource
        if resource != "vatCodes":
            assert served.content == b"[" + b",".join(lines[:100]) + b"]", resource
        assert sorted(map(str, vic.control.records(resource)[:100])) == sorted(map(str, DECODER.decode(served.content)))
    orders = vic.all("/purchaseOrders") + vic.all("/purchaseOrders", status="closed")
    assert sorted(map(str, orders)) == sorted(map(str, vic.control.records("purchaseOrders")))


def test_the_overview_counts_and_sums_exactly(vic: Vic) -> None:
    vic.control.add("invoices", 1, currency="EUR", totalAmount="12345678901234567.89")
    overview = vic.control.overview()
    for resource in [*LISTED, "purchaseOrders", "attachments", "subscription"]:
        assert overview[resource] == len(vic.control.records(resource)), resource
    sums: dict[str, list[Any]] = {}
    for invoice in vic.control.records("invoices"):
        entry = sums.setdefault(invoice["currency"], [0, Decimal(0)])
        entry[0] += 1
        entry[1] += Decimal(invoice["totalAmount"])
    assert overview["sums"] == {c: {"invoices": n, "totalAmount": str(total)} for c, (n, total) in sums.items()}
    assert overview["options"]["cursors"] == "keyset"
    assert overview["throttled"] == 0
    assert "sums" not in vic.control.overview(sums=False)


def test_touching_changes_records_and_moves_them_behind_all_others(vic: Vic) -> None:
    before = vic.control.records("invoices")
    touched = vic.control.touch("invoices", count=2, description="ny", nova={"a": Decimal("1.10")})
    assert touched == [record["internalId"] for record in before[:2]]
    after = vic.control.records("invoices")
    assert [record["internalId"] for record in after[-2:]] == touched
    assert [record["description"] for record in after[-2:]] == ["ny", "ny"]
    assert b'"nova":{"a":1.10}' in list(vic.control.record_lines("invoices"))[-1]
    newest = [record["internalUpdatedAt"] for record in after[-3:]]
    assert newest == sorted(set(newest))
    assert vic.control.line_items(touched[0])
    at = "2026-01-07T08:00:00.000Z"
    assert vic.control.touch("invoices", touched, at=at) == touched
    found = [record for record in vic.control.records("invoices") if record["internalUpdatedAt"] == at]
    assert {record["internalId"] for record in found} >= set(touched)


@one_in(3)
@pytest.mark.parametrize("resource", [*LISTED, "purchaseOrders"])
@pytest.mark.parametrize("invoices", [0, 60])
def test_new_records_look_like_the_seeded_ones(vic: Vic, resource: str, invoices: int) -> None:
    vic.sandbox.control.reset(documents=0, invoices=invoices)
    before = vic.control.records(resource)
    overrides = {"name": "Ny"} if resource in ("accounts", "vendors") else {"nova": "x"}
    made = vic.control.add(resource, 3, **overrides)
    assert len(set(made)) == 3
    records = vic.control.records(resource)
    assert len(records) == len(before) + 3
    assert sum(overrides.items() <= record.items() for record in records) == 3
    if resource != "trainingInvoices":
        ids = [record.get("internalId") or record["id"] for record in records]
        assert len(set(ids)) == len(ids)
        assert set(made) <= set(ids)
    if before:
        assert {name for record in records for name in record} - {"nova"} == {n for r in before for n in r}
    vic.control.delete(resource, made)
    assert vic.control.records(resource) == before


def test_new_records_come_after_all_others_or_at_an_instant(vic: Vic) -> None:
    newest = vic.control.records("invoices")[-1]["internalUpdatedAt"]
    made = vic.control.add("invoices", 3)
    times = [record["internalUpdatedAt"] for record in vic.control.records("invoices")[-3:]]
    assert [newest, *times] == sorted({newest, *times})
    vic.control.add("invoices", 2, at="2030-05-05T05:05:05Z")
    last = vic.control.records("invoices")[-2:]
    assert {record["internalUpdatedAt"] for record in last} == {"2030-05-05T05:05:05.000Z"}
    vic.login()
    lines = vic.call("getInvoicelineItems", made[0], params=IN)
    total = sum((line["amount"] for line in lines), Decimal(0))
    [invoice] = [record for record in vic.control.records("invoices") if record["internalId"] == made[0]]
    assert total == Decimal(invoice["amountWithoutTax"])


def test_what_happens_to_batches(vic: Vic) -> None:
    [id_] = vic.control.add(
        "paymentBatches", status="pending_approval", approvedAt=None, completedAt=None, processedAt=None, voidedAt=None
    )
    approved = vic.control.batch_event(id_, "approve", at="2031-01-01T00:00:00Z")
    assert (approved["status"], approved["approvedAt"]) == ("approved", "2031-01-01T00:00:00.000Z")
    payments = [*approved["payments"], *approved["credits"]]
    assert {payment["status"] for payment in payments} == {"approved"}
    assert vic.control.batch_event(id_, "process")["processedAt"] > "2031"
    assert vic.control.batch_event(id_, "complete")["completedAt"] > "2031"
    one = payments[0]["id"]
    funded = vic.control.batch_event(id_, "fund", payment_id=one)
    by_id = {payment["id"]: payment for payment in [*funded["payments"], *funded["credits"]]}
    assert by_id[one]["fundedAt"] > "2031"
    voided = vic.control.batch_event(id_, "void", payment_id=one)
    assert voided["status"] == "approved"
    assert {payment["status"] for payment in [*voided["payments"], *voided["credits"]]} >= {"voided"}
    assert vic.control.batch_event(id_, "acknowledge")["payments"][0]["status"] == "acknowledged"
    rejected = vic.control.batch_event(id_, "reject")
    assert (rejected["status"], rejected["payments"][-1]["status"]) == ("rejected", "rejected")
    assert vic.call("getPaymentBatch", id_) == rejected
    assert id_ in vic.ids("/paymentBatches", status="rejected", completedAtOrAfter="2031-01-01T00:00:00Z")


@one_in(3)
@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/vicai/touch", {"resource": "acounts"}, 404),
        ("POST", "/vicai/touch", {"resource": "accounts", "ids": ["0"]}, 404),
        ("POST", "/vicai/touch", {"resource": "accounts", "at": "x"}, 400),
        ("POST", "/vicai/add", {"resource": "accounts", "cuont": 1}, 400),
        ("POST", "/vicai/batch", {"id": "0", "event": "void"}, 404),
        ("POST", "/vicai/documents", {"resource": "invoices", "id": "0", "state": "gone"}, 404),
        ("GET", "/vicai/records/nothing", None, 404),
        ("GET", "/vicai/lines/0", None, 404),
        ("PATCH", "/vicai/options", {"cursors": "some"}, 400),
        ("PATCH", "/vicai/options", {"nothing": 1}, 400),
        ("POST", "/reset", {"invoices": -1}, 400),
        ("POST", "/reset", {"vicai": {"nothing": 1}}, 400),
        ("POST", "/reset", {"vicai": 1}, 400),
    ],
)
def test_wrong_control_calls_say_so(vic: Vic, method: str, path: str, body: Any, status: int) -> None:
    before = vic.control.overview()
    with pytest.raises(SandboxError, match=f": {status} "):
        vic.sandbox.control.call(method, path, body)
    assert vic.control.overview() == before


def test_reset_forgets_everything(vic: Vic) -> None:
    fresh = {resource: list(vic.control.record_lines(resource)) for resource in LISTED}
    for resource in fresh:
        vic.control.add(resource)
    vic.control.options(since_is="exclusive")
    vic.sandbox.control.reset(documents=0, invoices=80, vicai={"last_cursor": "empty", "age": "0.20"})
    assert {resource: list(vic.control.record_lines(resource)) for resource in LISTED} == fresh
    options = vic.control.options()
    assert (options["since_is"], options["last_cursor"], options["rate_requests"]) == ("inclusive", "empty", 500)
    vic.refused("healthCheck", status=401)


def test_extra_fields_and_new_values_reach_every_kind(vic: Vic) -> None:
    plain = {resource: {n for r in vic.control.records(resource) for n in r} for resource in LISTED}
    vic.sandbox.control.reset(documents=0, invoices=80, vicai={"extra_fields": True})
    for resource, names in plain.items():
        assert {n for r in vic.control.records(resource) for n in r} - names, resource


def test_the_command_takes_flags_for_vic_and_shows_no_secret() -> None:
    options = {"cursors": "offset", "instant_digits": 6, "lone_objects": True, "token_seconds": 7.5}
    with SandboxProcess(2, invoices=12, client_id="me", client_secret="hush-hush", vicai=options) as sandbox:
        assert sandbox.line.endswith(
            "vicai at /vicai/v0 (client_id: me, client_secret: as given), 12 invoices; Ctrl-C stops it\n"
        )
        assert sandbox.vicai_url == f"{sandbox.url}/vicai/v0"
        assert (sandbox.client_id, sandbox.client_secret) == ("me", "hush-hush")
        assert options.items() <= sandbox.control.vicai.options().items()
        client = Vic(sandbox)
        client.login()
        assert len(client.all("/invoices", state="ALL")) == 12
        page = requests.get(sandbox.url, timeout=10).text
        assert "hush-hush" not in page
