"""Purchase orders: an order that Vic does not have, others that invoices are matched to, and how they are looked at."""

from __future__ import annotations

import re

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests.target_vicai.cases_documents import order_line
from tests.target_vicai.conftest import Record, Result, fresh
from tests.target_vicai.store import Store, covers

STREAM = "purchase_orders"
LINE_1, LINE_2, LINE_3, LINE_4 = (order_line(n, "1", f"{n}.10", f"{n}.10") for n in (1, 2, 3, 4))
ADD, CHANGE, DROP = (f"{verb} /purchaseOrderLineItems" for verb in ("POST", "PUT", "DELETE"))
HEAD, PROCESS, CLOSE, OPEN = "PUT /purchaseOrders", "process", "close", "open"
OLD, BOTH = pytest.mark.parametrize("age", ["0.20"]), pytest.mark.parametrize("age", ["0.20", "live"])
"""0.20.0 has to be told to process an order; today's service does so by itself."""


@pytest.fixture
def age() -> str:
    """Of the service, unless a test says otherwise."""
    return "live"


@pytest.fixture
def vicai(_sandbox_process: SandboxProcess, age: str) -> SandboxProcess:
    fresh(_sandbox_process, age=age)
    return _sandbox_process


@pytest.fixture
def given(store: Store) -> Record:
    """An order that Vic does not have, with three lines; the lines of all orders here are worth 1.10, 2.10 ..."""
    vendor = next(one["externalId"] for one in store.all("vendors") if one.get("externalId"))
    return {
        "externalId": "UZS-77",
        "poNumber": "PO-ĄŽ/77",
        "issuedOn": "2026-03-01",
        "currencyId": "EUR",
        "description": "Kėdės",
        "vendorExternalId": vendor,
        "lineItems": [LINE_1, LINE_2, LINE_3],
    }


def steps(run: Result) -> list[str]:
    """What was written: the call, without ids; of calls for one order its last word."""
    found = [re.match(r"(?:.*/purchaseOrders/\d+/(\w+)$|(\w+ /\w+))", " ".join(write)) for write in run.writes]
    return [match[1] or match[2] for match in found if match]


def due(age: str, *steps: str) -> list[str]:
    """The steps that a service of an age needs."""
    return [step for step in steps if step != PROCESS or age == "0.20"]


def held(store: Store, external_id: str = "UZS-77") -> Record:
    """The order as Vic has it now."""
    store.look()
    return store.one("purchaseOrders", externalId=external_id)


def numbers(order: Record) -> list[int]:
    return sorted(line["lineNumber"] for line in order["lineItems"])


def other_lines(given: Record) -> Record:
    """Line 1 goes, line 2 changes, line 3 stays, line 4 comes."""
    return given | {"lineItems": [LINE_4, LINE_3, LINE_2 | {"quantityRequested": "2", "lineItemTotal": "4.20"}]}


def check_other_lines(order: Record, before: Record) -> None:
    assert numbers(order) == [2, 3, 4]
    ids = {line["lineNumber"]: line["internalId"] for line in before["lineItems"]}
    for line in order["lineItems"]:
        assert line["lineNumber"] not in ids or line["internalId"] == ids[line["lineNumber"]]
    shown = [line | {"matchingType": line["matchingType"].lower()} for line in order["lineItems"]]
    by_number = sorted(shown, key=lambda line: line["lineNumber"])
    assert covers(by_number, sorted(other_lines({})["lineItems"], key=lambda line: line["lineNumber"]))
    assert order["amount"] == "11.40"


@pytest.fixture
def matched(vicai: SandboxProcess, store: Store) -> Record:
    """An order of Vic's own that invoices are matched to, and that has a line without a match."""
    fresh(vicai, invoices=50)
    store.look()
    for order in store.all("purchaseOrders"):
        bound = [bool(line["invoiceItemsMatched"]) for line in order["lineItems"]]
        if order.get("externalId") and any(bound) and not all(bound):
            return order
    raise AssertionError("the sandbox has no such order")
