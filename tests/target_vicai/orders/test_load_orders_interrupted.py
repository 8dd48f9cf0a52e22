"""Orders whose load is killed or whose answers are lost, and those that are set aside and loaded again."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests.campaign import one_in
from tests.target_vicai.conftest import PREFIX, Record, Target, load, loading, state
from tests.target_vicai.orders.conftest import (
    ADD,
    BOTH,
    CHANGE,
    CLOSE,
    DROP,
    HEAD,
    OLD,
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

# Killed, answers lost, outages


FAULTS = {
    "line changed": ("PUT", "/purchaseOrderLineItems"),
    "line added": ("POST", "/purchaseOrderLineItems"),
    "line deleted": ("DELETE", "/purchaseOrderLineItems"),
    "head written": ("PUT", "/purchaseOrders"),
    "processed": ("POST", "/purchaseOrders"),
    "closed": ("POST", "/purchaseOrders"),
}
STEPS = [CHANGE, ADD, DROP, HEAD, PROCESS, CLOSE]
EVERY_STEP = pytest.mark.parametrize(
    ("age", "step"),
    [*(("0.20", step) for step in FAULTS), *(("live", step) for step in ("line added", "head written", "closed"))],
)


def order_fault(vicai: SandboxProcess, kind: str, step: str, age: str, **order: float) -> None:
    method, path = FAULTS[step]
    before = int(step == "closed" and age == "0.20")
    vicai.control.fault(kind, method=method, path=PREFIX + path, after=before, **order)


def kill_before(vicai: SandboxProcess, folder: Path, messages: list[Record], step: str, age: str) -> None:
    """Load, and kill the target when everything before a step is done, and the step is not."""
    order_fault(vicai, "status", step, age, status=503, times=1000)
    with loading(vicai, folder, messages) as process:
        deadline = time.monotonic() + 60
        while not vicai.control.faults()[0]["hits"]:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.kill()
    assert (folder / "out").read_bytes() == b"", "no STATE for what is not done"
    vicai.control.clear_faults()


@one_in(3)
@EVERY_STEP
def test_killed_before_a_step_the_next_run_does_the_rest(
    given: Record, store: Store, target: Target, tmp_path: Path, *, age: str, step: str
) -> None:
    target(load(STREAM, given | {"status": "closed"}))
    before = held(store)
    messages = [*load(STREAM, other_lines(given) | {"status": "closed"}), state(1)]
    kill_before(store.vicai, tmp_path / "killed", messages, step, age)
    run = target(messages)
    assert run.states == [{"n": 1}]
    assert steps(run) == due(age, *STEPS[list(FAULTS).index(step) :])
    after = held(store)
    check_other_lines(after, before)
    assert after["status"] == "closed"
    assert target(messages).writes == []


@one_in(5)
@EVERY_STEP
@pytest.mark.parametrize("kind", ["lost", "reset"])
def test_no_lost_answer_does_anything_twice(
    given: Record, store: Store, target: Target, *, age: str, step: str, kind: str
) -> None:
    vicai = store.vicai
    target(load(STREAM, given | {"status": "closed"}))
    before = held(store)
    order_fault(vicai, kind, step, age)
    run = target(load(STREAM, other_lines(given) | {"status": "closed"}))
    assert vicai.control.faults()[0]["hits"] == 1
    after = held(store)
    check_other_lines(after, before)
    assert after["status"] == "closed"
    tries = list(STEPS)
    # What may be done twice is repeated; of the rest Vic is asked first.
    if kind == "reset" or step in {"line changed", "head written", "processed"}:
        place = list(FAULTS).index(step)
        tries.insert(place, tries[place])
    assert steps(run) == due(age, *tries)
    assert not run.rejects


@BOTH
def test_a_new_order_whose_answer_is_lost_is_processed_once(
    given: Record, store: Store, target: Target, vicai: SandboxProcess, age: str
) -> None:
    """With a number alone Vic would take the same order twice."""
    vicai.control.fault("lost", method="POST", path=f"{PREFIX}/purchaseOrders")
    run = target(load(STREAM, without(given, "externalId") | {"status": "closed"}))
    assert steps(run) == due(age, "POST /purchaseOrders", PROCESS, CLOSE)
    (order,) = store.change().only(purchaseOrders=(1, 0, 0)).added("purchaseOrders")
    assert (numbers(order), order["status"]) == ([1, 2, 3], "closed")


@OLD
def test_an_order_that_was_written_and_not_processed_is_processed_by_the_next_run(
    given: Record, store: Store, target: Target, vicai: SandboxProcess
) -> None:
    """Vic does not show it: the order is equal by then."""
    messages = [*load(STREAM, given), state(1)]
    vicai.control.fault("status", method="POST", path=f"{PREFIX}/purchaseOrders/", status=503, times=1000)
    run = target(messages, expect=1)
    assert (run.states, run.rejects) == ([], [])
    vicai.control.clear_faults()
    planned = target(messages, dry_run=True)
    assert planned.writes == []
    again = target(messages)
    assert steps(again) == [PROCESS]
    assert again.states == [{"n": 1}]
    store.change().only(purchaseOrders=(1, 0, 0))
    assert target(messages).writes == []


@BOTH
def test_an_order_that_a_new_line_opened_is_closed_by_the_next_run(
    given: Record, store: Store, target: Target, vicai: SandboxProcess, age: str
) -> None:
    target(load(STREAM, given | {"status": "closed"}))
    assert held(store)["status"] == "closed"
    more = other_lines(given)
    vicai.control.fault("status", method="POST", path=f"{PREFIX}/purchaseOrders/", status=503, times=1000)
    run = target(load(STREAM, more), expect=1)
    assert steps(run)[:4] == [CHANGE, ADD, DROP, HEAD]
    assert held(store)["status"] == "open"
    vicai.control.clear_faults()
    assert steps(target(load(STREAM, more))) == due(age, PROCESS, CLOSE)
    assert held(store)["status"] == "closed"
    # Somebody opens it by hand: that stays.
    vicai.control.vicai.touch("purchaseOrders", [held(store)["internalId"]], status="open")
    assert target(load(STREAM, more)).writes == []


@OLD
def test_a_refused_order_owes_nothing(given: Record, target: Target, vicai: SandboxProcess, tmp_path: Path) -> None:
    vicai.control.fault("status", method="POST", path=f"{PREFIX}/purchaseOrders", status=422)
    target(load(STREAM, given), expect=1)
    target(load(STREAM, given))
    lines = [json.loads(line) for line in (tmp_path / "ledger.jsonl").read_text().splitlines()]
    assert [line["state"] for line in lines] == ["sending", "done", "sending", "done"]


# Set aside and loaded again


@OLD
def test_an_order_that_vic_would_not_process_is_processed_when_replayed(
    given: Record, store: Store, target: Target, vicai: SandboxProcess
) -> None:
    vicai.control.fault("status", method="POST", path=f"{PREFIX}/purchaseOrders/", status=422)
    run = target(load(STREAM, given | {"status": "closed"}), expect=1)
    assert re.search(r"written, but not processed.*422", run.reasons[0])
    assert held(store)["status"] == "open"
    assert steps(target(run.reject_lines)) == [PROCESS, CLOSE]


def test_a_replay_never_overwrites_what_is_newer(
    given: Record, store: Store, target: Target, vicai: SandboxProcess
) -> None:
    target(load(STREAM, given))
    run = target(load(STREAM, other_lines(given) | {"amount": "1.00"}), expect=1)
    rejected = json.loads(json.dumps(run.reject_lines, default=str))
    del rejected[1]["record"]["amount"]
    vicai.control.vicai.touch("purchaseOrders", [held(store)["internalId"]], at="2099-01-01T00:00:00Z")
    store.look()
    again = target(rejected, expect=1)
    assert again.writes == []
    assert re.search(r"UZS-77 changed at Vic\.ai on 2099-01-01", again.reasons[0])
    store.untouched()
    # Equal already: nothing to overwrite.
    rejected[1]["record"] = given
    assert target(rejected).writes == []
    # A person's decision.
    del rejected[1]["rejected"]
    rejected[1]["record"] = other_lines(given)
    assert steps(target(rejected)) == [CHANGE, ADD, DROP, HEAD]
