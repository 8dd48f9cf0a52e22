"""Purchase orders: lines by number or id, exact sums, processed at the end (0.20.0), open and closed, what stays."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests.target_vicai.conftest import PREFIX, Record, Target, load
from tests.target_vicai.orders.conftest import (
    ADD,
    BOTH,
    CHANGE,
    CLOSE,
    DROP,
    HEAD,
    LINE_1,
    LINE_2,
    LINE_3,
    LINE_4,
    OPEN,
    PROCESS,
    STREAM,
    check_other_lines,
    due,
    held,
    numbers,
    other_lines,
    steps,
)
from tests.target_vicai.scene import without
from tests.target_vicai.store import Store

# Lines


@BOTH
def test_lines_are_written_by_their_numbers_and_the_order_is_processed_last(
    given: Record, store: Store, target: Target, age: str
) -> None:
    created = target(load(STREAM, given))
    assert steps(created) == due(age, "POST /purchaseOrders", PROCESS)
    before = held(store)
    assert before["amount"] == "6.30"
    run = target(load(STREAM, other_lines(given)))
    assert steps(run) == due(age, CHANGE, ADD, DROP, HEAD, PROCESS), "and line 3, which is equal, is left alone"
    ((_, after),) = store.change().only(purchaseOrders=(0, 1, 0)).changed("purchaseOrders")
    check_other_lines(after, before)
    assert without(after, "lineItems", "amount", "internalUpdatedAt") == without(
        before, "lineItems", "amount", "internalUpdatedAt"
    )
    assert target(load(STREAM, other_lines(given))).writes == []


def test_only_what_differs_is_written(given: Record, store: Store, target: Target) -> None:
    target(load(STREAM, given))
    reworded = given | {"lineItems": [LINE_3, LINE_1 | {"productDescription": "Stalas"}, LINE_2]}
    assert steps(target(load(STREAM, reworded))) == [CHANGE]
    assert steps(target(load(STREAM, reworded | {"description": "Stalai"}))) == [HEAD]
    assert steps(target(load(STREAM, {"externalId": "UZS-77", "deliverOn": "2026-05-01"}))) == [HEAD]
    after = held(store)
    assert (after["description"], after["deliverOn"], numbers(after)) == ("Stalai", "2026-05-01", [1, 2, 3])
    assert target(load(STREAM, reworded | {"description": "Stalai"})).writes == []


def test_lines_go_only_where_the_record_has_a_list_of_them(given: Record, store: Store, target: Target) -> None:
    target(load(STREAM, given))
    target(load(STREAM, without(given, "lineItems") | {"description": "A"}))
    target(load(STREAM, given | {"lineItems": None, "description": "B"}), update_mode="replace")
    assert numbers(held(store)) == [1, 2, 3]
    run = target(load(STREAM, given | {"lineItems": [], "description": "B"}))
    assert steps(run) == [DROP, DROP, DROP, HEAD]
    assert held(store)["lineItems"] == []
    assert Decimal(held(store)["amount"]) == 0


def test_what_a_record_lacks_stays_or_goes_as_asked(given: Record, store: Store, target: Target) -> None:
    target(load(STREAM, given))
    bare = without(given, "description") | {"lineItems": [without(LINE_1, "unitOfMeasure"), LINE_2, LINE_3]}
    assert target(load(STREAM, bare)).writes == []
    run = target(load(STREAM, bare), update_mode="replace")
    assert steps(run) == [CHANGE, HEAD]
    after = held(store)
    assert (after.get("description"), after["lineItems"][0].get("unitOfMeasure")) == (None, None)
    assert (after["currencyId"], after["externalId"]) == ("EUR", "UZS-77")
    assert target(load(STREAM, bare), update_mode="replace").writes == []


def test_without_comparing_everything_is_written_once(given: Record, store: Store, target: Target) -> None:
    target(load(STREAM, given))
    before = held(store)
    assert steps(target(load(STREAM, given), compare="none")) == [CHANGE, CHANGE, CHANGE, HEAD]
    assert without(held(store), "internalUpdatedAt") == without(before, "internalUpdatedAt")


def test_dimensions_of_lines_in_any_order(given: Record, store: Store, target: Target) -> None:
    keys = [one["externalId"] for one in store.all("dimensions") if one.get("externalId")][:2]
    target(load(STREAM, given | {"lineItems": [LINE_1 | {"dimensionsExternalIds": keys}]}))
    shown = held(store)["lineItems"][0]["dimensions"]
    assert [one["externalId"] for one in shown] == keys
    turned = LINE_1 | {"dimensions": [{"externalId": key, "name": None} for key in reversed(keys)]}
    assert target(load(STREAM, given | {"lineItems": [turned]})).writes == []
    assert steps(target(load(STREAM, given | {"lineItems": [turned | {"dimensions": None}]}))) == [CHANGE]
    assert held(store)["lineItems"][0]["dimensions"] == []


def test_a_dimension_that_is_not_there_changes_nothing(given: Record, store: Store, target: Target) -> None:
    target(load(STREAM, given))
    store.look()
    changed = LINE_2 | {"quantityRequested": "7"}
    run = target(load(STREAM, given | {"lineItems": [changed, LINE_3 | {"dimensionsExternalIds": ["NĖRA"]}]}), expect=1)
    assert (run.writes, "dimension NĖRA" in run.reasons[0]) == ([], True)
    store.untouched()


def test_capitals_in_the_name_of_a_matching_are_no_difference(
    given: Record, store: Store, target: Target, vicai: SandboxProcess
) -> None:
    target(load(STREAM, given))
    order = held(store)
    shown = [line | {"matchingType": "two_way"} for line in order["lineItems"]]
    vicai.control.vicai.touch("purchaseOrders", [order["internalId"]], lineItems=shown)
    assert target(load(STREAM, given)).writes == []


# What is looked at before anything is sent


def test_sums_are_exact(given: Record, store: Store, target: Target) -> None:
    large = [LINE_1 | {"lineItemTotal": "12345678901234567.89"}, LINE_2 | {"lineItemTotal": "0.10"}]
    target(load(STREAM, given | {"lineItems": large, "amount": Decimal("12345678901234567.990")}))
    assert Decimal(held(store)["amount"]) == Decimal("12345678901234567.99")
    target(load(STREAM, given | {"lineItems": [*large, LINE_3 | {"lineItemTotal": "0.01"}]}))
    assert held(store)["amount"] == "12345678901234568.00"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"amount": Decimal("6.31")}, r"amount is 6\.31.*6\.30.*difference of 0\.01"),
        ({"lineItems": [LINE_1, LINE_2, LINE_2]}, r"lineNumber 2 is there twice"),
        ({"status": "paused"}, r"status is neither open nor closed: 'paused'"),
        ({"externalId": None, "poNumber": ""}, r"externalId and poNumber are missing"),
        ({"lineItems": [without(LINE_1, "unitAmount")]}, r"lineItems\[0\]\.unitAmount is missing"),
        ({"vendorExternalId": None}, r"vendor is missing"),
    ],
    ids=["sum", "number twice", "status", "no key", "half a line", "no vendor"],
)
def test_what_is_wrong_is_told_before_anything_is_sent(
    given: Record, store: Store, target: Target, changed: Record, reason: str
) -> None:
    run = target(load(STREAM, given | changed), expect=1)
    assert re.search(reason, run.reasons[0])
    assert run.writes == []
    store.untouched()


def test_an_amount_without_lines_must_be_the_sum_of_vics(given: Record, store: Store, target: Target) -> None:
    target(load(STREAM, given))
    store.look()
    run = target(load(STREAM, {"externalId": "UZS-77", "amount": "7.00"}), expect=1)
    assert re.search(r"amount is 7\.00.*6\.30.*0\.70", run.reasons[0])
    assert target(load(STREAM, {"externalId": "UZS-77", "amount": "6.3"})).writes == []
    store.untouched()


# Open and closed


@BOTH
def test_closing_and_opening_alone_is_one_call(given: Record, store: Store, target: Target, age: str) -> None:
    created = target(load(STREAM, given | {"status": "Closed"}))
    assert steps(created) == due(age, "POST /purchaseOrders", PROCESS, CLOSE)
    assert target(load(STREAM, given)).writes == []
    assert steps(target(load(STREAM, given | {"status": "open"}))) == [OPEN]
    assert steps(target(load(STREAM, {"externalId": "UZS-77", "status": "CLOSED"}))) == [CLOSE]
    assert held(store)["status"] == "closed"


@pytest.mark.parametrize(("age", "status"), [("0.20", None), ("live", None), ("live", "closed")])
def test_a_new_line_leaves_a_closed_order_closed(
    given: Record, store: Store, target: Target, age: str, status: str | None
) -> None:
    target(load(STREAM, given | {"status": "closed"}))
    run = target(load(STREAM, given | {"status": status, "lineItems": [LINE_1, LINE_2, LINE_3, LINE_4]}))
    assert steps(run) == due(age, ADD, HEAD, PROCESS, CLOSE)
    assert (held(store)["status"], numbers(held(store))) == ("closed", [1, 2, 3, 4])


# Which order is meant


def test_an_order_of_that_number_without_an_id_is_taken_over(given: Record, store: Store, target: Target) -> None:
    target(load(STREAM, without(given, "externalId")))
    store.look()
    assert steps(target(load(STREAM, given))) == [HEAD]
    ((before, after),) = store.change().only(purchaseOrders=(0, 1, 0)).changed("purchaseOrders")
    assert (before.get("externalId"), after["externalId"]) == (None, "UZS-77")
    assert target(load(STREAM, given)).writes == []


def test_an_order_of_that_number_with_another_id_is_somebody_elses(given: Record, store: Store, target: Target) -> None:
    target(load(STREAM, given))
    theirs = held(store)
    target(load(STREAM, given | {"externalId": "UZS-78"}))
    store.change().only(purchaseOrders=(1, 0, 0))
    assert held(store) == theirs


def test_of_two_orders_of_one_number_neither_is_meant(given: Record, store: Store, target: Target) -> None:
    target(load(STREAM, given, given | {"externalId": "UZS-78"}))
    store.change().only(purchaseOrders=(2, 0, 0))
    run = target(load(STREAM, without(given, "externalId") | {"description": "Kitas"}), expect=1)
    assert run.writes == []
    for order in (held(store), held(store, "UZS-78")):
        assert order["internalId"] in run.reasons[0]


def test_of_two_records_of_one_number_one_takes_the_order_over(given: Record, store: Store, target: Target) -> None:
    target(load(STREAM, without(given, "externalId")))
    store.look()
    target(load(STREAM, *(given | {"externalId": f"UZS-{number}"} for number in range(77, 81))))
    store.change().only(purchaseOrders=(3, 1, 0))
    assert {one["externalId"] for one in store.all("purchaseOrders") if one["poNumber"] == given["poNumber"]} == {
        f"UZS-{number}" for number in range(77, 81)
    }


# Deleted


@pytest.mark.parametrize("kind", ["lost", "reset"])
def test_deleted_once(given: Record, store: Store, target: Target, vicai: SandboxProcess, kind: str) -> None:
    before = store.look()
    target(load(STREAM, given))
    vicai.control.fault(kind, method="DELETE", path=f"{PREFIX}/purchaseOrders")
    gone = {"externalId": "UZS-77", "poNumber": given["poNumber"], "_sdc_deleted_at": "2026-03-02T00:00:00Z"}
    run = target(load(STREAM, gone), deletes="records")
    assert steps(run) == ["DELETE /purchaseOrders"] * (1 if kind == "lost" else 2)
    assert run.counts(STREAM)["deleted"] == 1
    before.until(store.look()).only()
    assert target(load(STREAM, gone), deletes="records").counts(STREAM)["unchanged"] == 1


def test_an_order_without_an_id_is_not_deleted_by_a_number_that_comes_with_one(
    given: Record, store: Store, target: Target
) -> None:
    target(load(STREAM, without(given, "externalId")))
    store.look()
    gone = {"externalId": "UZS-77", "poNumber": given["poNumber"], "_sdc_deleted_at": "2026-03-02T00:00:00Z"}
    assert target(load(STREAM, gone), deletes="records").writes == []
    target(load(STREAM, without(gone, "externalId")), deletes="records")
    store.change().only(purchaseOrders=(0, 0, 1))


def test_a_mirror_keeps_orders_that_are_known_by_their_number(given: Record, store: Store, target: Target) -> None:
    target(load(STREAM, given))
    store.look()
    full = load(STREAM, without(given, "externalId"), number=5)
    done: Record = {"type": "ACTIVATE_VERSION", "stream": STREAM, "version": 5}
    target([*full, done], deletes="mirror", max_delete_fraction=1)
    assert held(store)["poNumber"] == given["poNumber"]


# A plan


def test_a_plan_says_what_would_happen_to_lines(given: Record, store: Store, target: Target) -> None:
    target(load(STREAM, given))
    store.look()
    run = target(load(STREAM, other_lines(given) | {"status": "closed"}), dry_run=True)
    assert run.writes == []
    store.untouched()
    for told in (
        "lineItems[lineNumber 1]",
        "lineItems[lineNumber 2].quantityRequested",
        "lineItems[lineNumber 4]",
        "amount",
        "status",
    ):
        assert told in run.report_text
        assert told in run.err
