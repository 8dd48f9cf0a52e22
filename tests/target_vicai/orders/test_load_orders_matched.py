"""Lines that stay: those that invoices are matched to, and those that an id of the ERP's tells apart."""

from __future__ import annotations

from decimal import Decimal

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from target_vicai.purchase_order_lines import compare_lines
from tests.campaign import one_in
from tests.target_vicai.conftest import PREFIX, Record, Target, load
from tests.target_vicai.orders.conftest import (
    ADD,
    BOTH,
    CHANGE,
    DROP,
    HEAD,
    LINE_1,
    LINE_2,
    LINE_3,
    LINE_4,
    STREAM,
    held,
    steps,
)
from tests.target_vicai.scene import without
from tests.target_vicai.store import Store, covers

# Lines that invoices are matched to


def test_what_vic_shows_changes_nothing(matched: Record, store: Store, target: Target) -> None:
    """Orders as tap-vicai brings them, whole vendors, ids and matches and all."""
    run = target(load(STREAM, *(one for one in store.all("purchaseOrders") if one.get("externalId"))))
    assert (run.writes, run.rejects) == ([], [])
    store.untouched()


def test_the_other_lines_can_change(matched: Record, store: Store, target: Target) -> None:
    free = [line for line in matched["lineItems"] if not line["invoiceItemsMatched"]]
    words = [line | {"productDescription": "Kita"} if line in free else line for line in matched["lineItems"]]
    run = target(load(STREAM, matched | {"lineItems": words}))
    assert steps(run) == [CHANGE] * len(free)
    after = held(store, matched["externalId"])
    assert covers(after["lineItems"], words)
    assert after["status"] == matched["status"]


@pytest.mark.parametrize("goes", [False, True], ids=["changed", "gone"])
def test_a_matched_line_stays_and_the_rest_of_the_order_goes_on(
    matched: Record, store: Store, target: Target, goes: bool
) -> None:
    """After the first invoice: more is received, other lines change, the order is closed. All but the first is done."""
    bound = next(line for line in matched["lineItems"] if line["invoiceItemsMatched"])
    rest = [
        line if line["invoiceItemsMatched"] else line | {"productDescription": "Kita", "lineItemTotal": "7.00"}
        for line in matched["lineItems"]
        if line is not bound
    ]
    kept = [] if goes else [bound | {"quantityReceived": "999", "lineItemTotal": "1.00"}]
    status = "open" if matched["status"] == "closed" else "closed"
    wanted = without(matched, "amount") | {"description": "Kitas", "lineItems": [*rest, *kept], "status": status}
    run = target(load(STREAM, wanted), expect=1)
    assert f"lineNumber {bound['lineNumber']}]" in run.reasons[0]
    assert "matched to a posted invoice" in run.reasons[0]
    after = held(store, matched["externalId"])
    assert (after["description"], after["status"]) == ("Kitas", status)
    shown = {line["lineNumber"]: line for line in after["lineItems"]}
    assert covers(shown[bound["lineNumber"]], bound)
    assert all(covers(shown[line["lineNumber"]], line) for line in rest)
    together = sum(Decimal(line["lineItemTotal"]) for line in after["lineItems"])
    assert Decimal(after["amount"]) == together
    # It is told each time, and nothing is written any more; the corrected record has no more to do.
    again = target(load(STREAM, wanted), expect=1)
    assert (again.writes, again.reasons) == ([], run.reasons)
    assert target(load(STREAM, wanted | {"lineItems": [*rest, bound]})).writes == []


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({"quantityReceived": "25", "quantityAccepted": "25"}, False),
        ({"dimensions": []}, False),
        ({"quantityReceived": "23.5"}, True),
        ({"unitAmount": "1.5"}, True),
        ({"quantityReceived": "25", "productDescription": "Kita"}, True),
        ({"quantityReceived": None}, True),
    ],
)
def test_a_matched_line_may_grow_at_todays_service(change: Record, refused: bool) -> None:
    old = {"internalId": "1", "lineNumber": 1, "matchingType": "three_way", "invoiceItemsMatched": [{"id": "7"}]}
    old |= {"quantityReceived": "24", "quantityRequested": "24", "unitAmount": "1", "lineItemTotal": "24"}
    old |= {"dimensions": [{"externalId": "A"}]}
    new = without(old, "internalId", "invoiceItemsMatched") | change
    found = compare_lines([new], [old], merge=True, live=True)
    assert (bool(found.refused), bool(found.changed)) == (refused, not refused)
    assert compare_lines([new], [old], merge=True).refused


@pytest.mark.parametrize("field", ["poNumber", "vendorExternalId", "matchingType"])
def test_what_stays_of_an_order_that_an_invoice_is_matched_to(
    matched: Record, store: Store, target: Target, field: str
) -> None:
    """Vic would refuse the whole head: what it takes is written, what has to stay is told before anything is sent."""
    vendors = (one["externalId"] for one in store.all("vendors") if one.get("externalId"))
    other = next(key for key in vendors if key != matched["vendor"]["externalId"])
    value = {"poNumber": "PO-KITAS", "vendorExternalId": other, "matchingType": "document"}[field]
    wanted = without(matched, "vendor" if field == "vendorExternalId" else "") | {"description": "Kitas", field: value}
    run = target(load(STREAM, wanted), expect=1)
    assert steps(run) == [HEAD]
    (told,) = run.rejects
    assert (told["rejected"]["code"], told["rejected"]["params"]["ours"].split()[-1]) == ("order_matched", value)
    after = held(store, matched["externalId"])
    assert after["description"] == "Kitas"
    assert after["vendor"]["internalId"] == matched["vendor"]["internalId"]
    kept = ("poNumber", "matchingType", "lineItems")
    assert {name: after.get(name) for name in kept} == {name: matched.get(name) for name in kept}
    assert target(load(STREAM, wanted), expect=1).writes == []


# Lines that have an id of the ERP's


def keyed(*numbers: int) -> list[Record]:
    """Lines whose ids tell them apart, in these places."""
    ids = "abcd"
    found = [LINE_1, LINE_2, LINE_3, LINE_4]
    return [
        found[which] | {"externalId": ids[which], "lineNumber": number}
        for which, number in enumerate(numbers)
        if number
    ]


@one_in(3)
@pytest.mark.parametrize(
    ("places", "writes"),
    [
        ((2, 3, 4, 1), [CHANGE] * 3 + [ADD]),
        ((2, 1, 3, 0), [CHANGE] * 3),
        ((2, 3, 1, 0), [CHANGE] * 4),
        ((0, 1, 2, 3), [DROP, CHANGE, CHANGE, ADD]),
        ((3, 1, 0, 2), [DROP, CHANGE, CHANGE, ADD]),
    ],
    ids=["one before", "swapped", "turned", "first gone", "all"],
)
def test_lines_that_move_stay_the_same_lines(
    given: Record, store: Store, target: Target, places: tuple[int, ...], writes: list[str]
) -> None:
    """A line that comes first in the ERP moves the others: each keeps what Vic knows of it, and no number is double."""
    target(load(STREAM, given | {"lineItems": keyed(1, 2, 3)}))
    before = {line["externalId"]: line["internalId"] for line in held(store)["lineItems"]}
    moved = given | {"lineItems": keyed(*places)}
    run = target(load(STREAM, moved))
    assert [step for step in steps(run) if step != HEAD] == writes
    shown = {line["externalId"]: line for line in held(store)["lineItems"]}
    assert sorted(shown) == [id_ for id_, number in zip("abcd", places, strict=True) if number]
    for line in keyed(*places):
        assert covers(shown[line["externalId"]], line)
    assert all(shown[id_]["internalId"] == number for id_, number in before.items() if id_ in shown)
    assert target(load(STREAM, moved)).writes == []


def test_lines_that_were_moving_when_it_was_killed_are_found_by_their_ids(
    given: Record, store: Store, target: Target, vicai: SandboxProcess
) -> None:
    target(load(STREAM, given | {"lineItems": keyed(1, 2, 3)}))
    before = {line["externalId"]: line["internalId"] for line in held(store)["lineItems"]}
    vicai.control.fault("status", method="PUT", path=f"{PREFIX}/purchaseOrderLineItems", status=503, after=2, times=99)
    target(load(STREAM, given | {"lineItems": keyed(3, 1, 2)}), expect=1)
    vicai.control.clear_faults()
    target(load(STREAM, given | {"lineItems": keyed(3, 1, 2)}))
    shown = {line["externalId"]: line for line in held(store)["lineItems"]}
    assert {id_: line["internalId"] for id_, line in shown.items()} == before
    assert all(covers(shown[line["externalId"]], line) for line in keyed(3, 1, 2))


@BOTH
def test_an_id_that_comes_to_a_line_later_belongs_to_the_line_of_that_number(
    given: Record, store: Store, target: Target, age: str
) -> None:
    target(load(STREAM, given))
    before = {line["lineNumber"]: line["internalId"] for line in held(store)["lineItems"]}
    lines = [{**line, "memo": "Skubu"} for line in keyed(1, 2, 3)]
    run = target(load(STREAM, given | {"lineItems": lines}))
    # 0.20.0 knows neither id nor memo, and shows neither: nothing is written hour after hour because of them.
    assert steps(run) == ([] if age == "0.20" else [CHANGE] * 3)
    assert {line["lineNumber"]: line["internalId"] for line in held(store)["lineItems"]} == before
    assert target(load(STREAM, given | {"lineItems": lines})).writes == []


def test_an_id_that_two_lines_have_is_told(given: Record, target: Target) -> None:
    run = target(
        load(STREAM, given | {"lineItems": [line | {"externalId": "a"} for line in (LINE_1, LINE_2)]}), expect=1
    )
    assert "externalId a is there twice" in run.reasons[0]
    assert run.writes == []
