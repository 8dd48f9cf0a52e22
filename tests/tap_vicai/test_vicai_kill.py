"""Killed anywhere: the union of runs is complete and exact."""

from __future__ import annotations

import random
import signal
from pathlib import Path

from ap_connectors.sandbox.process import SandboxProcess
from tests.campaign import seeds
from tests.conftest import MakeCatalog, Run
from tests.tap_ivesk.test_kill import interrupted, last_state
from tests.tap_vicai.union import Union, command, furnish

SEEDS, KILLS = 10, 5
"""The tap is killed at fifty random points, in all tests together."""


@seeds(range(SEEDS))
def test_union_of_killed_runs_is_complete(
    vicai: SandboxProcess, tmp_path: Path, catalog: MakeCatalog, seed: int
) -> None:
    check_killed(vicai, tmp_path, catalog, seed, "live")


@seeds(range(SEEDS, SEEDS + 4), sample=0)
def test_union_of_killed_runs_is_complete_at_an_older_service(
    vicai: SandboxProcess, tmp_path: Path, catalog: MakeCatalog, seed: int
) -> None:
    check_killed(vicai, tmp_path, catalog, seed, "0.20")


def check_killed(vicai: SandboxProcess, tmp_path: Path, catalog: MakeCatalog, seed: int, age: str) -> None:
    dice = random.Random(seed)
    options = {
        "since_is": dice.choice(["inclusive", "exclusive"]),
        "cursors": dice.choice(["keyset", "offset"]),
        "empty_page_every": dice.choice([0, 3]),
        "order": dice.choice(["sorted", "sorted", "shuffled"]),
    }
    vicai.control.reset(documents=0, invoices=90, vicai=options | {"age": age})
    if age == "live":
        furnish(vicai)
    union, state, killed = Union(age), None, 0
    for _ in range(4 * KILLS):
        # The first runs print half a megabyte, later ones only what changed and the lists that come whole.
        after = dice.randrange(1, 450_000 if killed < 2 else 50_000) if killed < KILLS else 10**9
        how = dice.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
        out, status = interrupted(command(vicai, tmp_path, catalog, state, age), after, how)
        union.take(Run(status, out, ""))
        state = last_state(out) or state
        if status == 0 and killed == KILLS:
            break
        killed += status != 0
        # Meanwhile the company works on.
        for resource in ("invoices", "vendors", "purchaseOrders", "accounts"):
            records = vicai.control.vicai.records(resource)
            vicai.control.vicai.touch(resource, [dice.choice(records)["internalId"] for _ in range(3)])
        if age == "live":
            for kind in ("ping", "invoice_deleted", "purchase_order_deleted"):
                vicai.control.vicai.event(kind, count=2, data={"internalId": f"{dice.random()}", "externalId": None})
    assert killed == KILLS
    assert status == 0
    union.check(vicai)
