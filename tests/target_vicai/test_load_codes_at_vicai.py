"""The codes and parameters of records that do not fit what Vic.ai has, or that it refuses."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests.target_vicai.cases_documents import order_line
from tests.target_vicai.codes import Bad, account, check, order, told, vendor
from tests.target_vicai.conftest import PREFIX, Target, fresh, load
from tests.target_vicai.scene import AT, Scene


def test_what_vic_has(target: Target, scene: Scene) -> None:
    """References, names, states, and what Vic shows otherwise."""
    control = scene.vicai.control
    control.vicai.add("paymentTerms", 2, name="Dvigubas")
    waiting, posted = (one["internalId"] for one in reversed(scene.store.all("invoices")[-2:]))
    control.vicai.touch("invoices", [posted], status="POSTED", externalId="DZ-54")
    control.vicai.touch("invoices", [waiting], status="IN_APPROVALS")
    confirmed = {"externalId": "DZ-55", "externalUpdatedAt": AT}
    twice = {"kind": "payment_term", "name": "Dvigubas", "count": 2}
    check(
        target,
        Bad(
            "unknown_reference",
            "vendors",
            vendor(vendorGroupName="Nėra"),
            {"references": [{"kind": "vendor_group", "key": "Nėra", "field": "vendorGroupName"}]},
        ),
        Bad(
            "unknown_reference",
            "purchase_orders",
            order(1, vendorExternalId="NĖRA"),
            {"references": [{"kind": "vendor", "key": "NĖRA", "field": "vendorExternalId"}]},
        ),
        Bad(
            "unknown_reference",
            "invoice_confirmations",
            confirmed | {"internalId": "999"},
            {"references": [{"kind": "invoice", "key": "999", "field": "internalId"}]},
        ),
        Bad(
            "unknown_reference",
            "vendor_errors",
            {"internalId": "999", "errors": []},
            {"references": [{"kind": "vendor", "key": "999", "field": "internalId"}]},
        ),
        Bad(
            "ambiguous_name",
            "vendors",
            vendor(externalId="T-2", paymentTermName="Dvigubas"),
            twice | {"field": "paymentTermName"},
        ),
        Bad("ambiguous_name", "payment_terms", {"name": "Dvigubas", "daysToPay": 3}, twice | {"field": "name"}),
        Bad("wrong_state", "invoice_confirmations", confirmed | {"internalId": waiting}, {"status": "IN_APPROVALS"}),
        Bad("wrong_state", "invoice_rejections", {"internalId": posted, "reason": "-"}, {"status": "POSTED"}),
        Bad(
            "differs_at_vicai",
            "invoice_confirmations",
            confirmed | {"internalId": posted},
            {"field": "externalId", "theirs": "DZ-54", "ours": "DZ-55"},
        ),
    )


def test_a_service_that_is_too_old(vicai: SandboxProcess, target: Target) -> None:
    fresh(vicai, age="0.20")
    report = {"id": "5b1f1c0e-6f0e-4a55-9d2c-1d0a4c8e7f21", "confirmedAt": "2026-03-01T00:00:00Z"}
    (said,) = target(load("payment_confirmations", report), expect=1).rejects
    assert said["rejected"]["code"] == "not_offered"
    assert said["rejected"]["params"] == {"stream": "payment_confirmations"}


def test_an_invoice_that_is_another_one_there(target: Target, scene: Scene) -> None:
    invoice = {
        "externalId": "PIRK-1",
        "transactionType": "INVOICE",
        "refNumber": "SF-1",
        "issueDate": "2026-03-01",
        "currency": "EUR",
        "totalAmount": Decimal("1.10"),
        "vendor": {"externalId": scene.vendor["externalId"]},
        "lineItems": [],
    }
    target(load("invoices", invoice))
    same = {"docnum": "SF-1", "date": "2026-03-01", "total": "1.10", "currency": "EUR", "other": "PIRK-1"}
    check(target, Bad("duplicate", "invoices", invoice | {"externalId": "PIRK-2"}, same))
    differs = {"field": "totalAmount", "theirs": "1.10", "ours": "2.20"}
    check(target, Bad("differs_at_vicai", "invoices", invoice | {"totalAmount": Decimal("2.20")}, differs))


def test_purchase_orders(target: Target, scene: Scene) -> None:
    """Matched lines, amounts that are none, steps that Vic refuses, a replay that is late."""
    control = scene.vicai.control
    target(load("purchase_orders", *map(order, range(1, 7))))
    scene.store.look()
    orders = {number: scene.store.one("purchaseOrders", externalId=f"UZS-{number}") for number in range(1, 7)}

    def becomes(number: int, **first_line: Any) -> None:
        lines = orders[number]["lineItems"]
        control.vicai.touch(
            "purchaseOrders", [orders[number]["internalId"]], lineItems=[lines[0] | first_line, *lines[1:]]
        )

    def refuses(path: str, **fault: Any) -> None:
        control.fault("status", status=422, path=f"{PREFIX}/{path}", times=10, **fault)

    match = {
        "invoiceItemId": "1",
        "purchaseOrderItemId": orders[1]["lineItems"][0]["internalId"],
        "quantityMatched": "1",
    }
    becomes(1, invoiceItemsMatched=[match])
    becomes(2, lineItemTotal="daug")
    control.vicai.add("purchaseOrders", 2, poNumber="N-99", externalId=None)
    refuses(f"purchaseOrders/{orders[3]['internalId']}", method="PUT")
    becomes(4, invoiceItemsMatched=[match])
    changed = [order_line(1, "2", "6.00", "12.00"), order_line(2, "1", "3.00", "3.00")]
    only_second = [order_line(2, "1", "3.00", "3.00")]
    head = {name: value for name, value in order(2).items() if name != "lineItems"}
    check(
        target,
        Bad("line_matched", "purchase_orders", order(1, lineItems=changed), {"line": "1", "field": ...}),
        Bad("line_matched", "purchase_orders", order(1, lineItems=only_second), {"line": "1"}),
        Bad(
            "not_a_number_at_vicai",
            "purchase_orders",
            head | {"amount": "13.00", "description": "x"},
            {"field": "lineItems[lineNumber 1].lineItemTotal", "value": "'daug'"},
        ),
        Bad("partly_written", "purchase_orders", order(3, description="x", lineItems=changed), {"reasons": ...}),
        Bad(
            "order_matched",
            "purchase_orders",
            order(4, poNumber="N-4b"),
            {"field": "poNumber", "theirs": ..., "ours": "N-4b"},
        ),
        Bad(
            "changed_at_vicai",
            "purchase_orders",
            order(5, description="x"),
            {"changed": ..., "set_aside": "2020-01-01T00:00:00Z"},
            replayed="2020-01-01T00:00:00Z",
        ),
        Bad(
            "ambiguous_name",
            "purchase_orders",
            {"poNumber": "N-99", "amount": "1"},
            {"kind": "purchase_order", "name": "N-99", "count": 2, "field": "poNumber"},
        ),
    )


def test_the_reason_of_a_step_that_vic_refused_is_there(target: Target, scene: Scene) -> None:
    scene.vicai.control.vicai.options(age="0.20")
    target(load("purchase_orders", order(1)))
    scene.store.look()
    held = scene.store.one("purchaseOrders", externalId="UZS-1")
    path = f"{PREFIX}/purchaseOrders/{held['internalId']}/process"
    scene.vicai.control.fault("status", status=422, path=path, times=10)
    run = target(load("purchase_orders", order(1, description="x")), expect=1)
    ((code, params),) = told(run.rejects)
    assert code == "not_processed"
    (reason,) = params["reasons"]
    assert reason.keys() == {"code", "params", "reason"}
    assert reason["reason"] in run.reasons[0]


@pytest.mark.parametrize(("status", "code"), [(403, "no_right"), (404, "not_found"), (422, "service_refused")])
def test_what_vic_answers(target: Target, scene: Scene, status: int, code: str) -> None:
    scene.vicai.control.fault("status", status=status, path=f"{PREFIX}/accounts/K-1", method="PUT", times=10)
    run = target(load("accounts", account()), compare="none", update_mode="replace", expect=1)
    ((found, params),) = told(run.rejects)
    assert (found, params["status"]) == (code, status)
