"""Whatever goes wrong on the way: one run, or several together, are complete and exact."""

from __future__ import annotations

import random
from pathlib import Path

from ap_connectors.sandbox.process import SandboxProcess
from tests import preloaded
from tests.campaign import seeds
from tests.conftest import MakeCatalog, Run
from tests.tap_ivesk.test_kill import last_state
from tests.tap_vicai.union import Union, command, furnish
from tests.trouble import PASSING_FAULTS, revoking


@seeds(range(20))
def test_faults_lose_nothing(vicai: SandboxProcess, tmp_path: Path, catalog: MakeCatalog, seed: int) -> None:
    """429 storms, tokens revoked in mid-run, resets, broken-off answers, HTML: one run, or several, are complete."""
    check_faults(vicai, tmp_path, catalog, seed, "live")


@seeds(range(20, 24), sample=0)
def test_faults_of_an_older_service_lose_nothing(
    vicai: SandboxProcess, tmp_path: Path, catalog: MakeCatalog, seed: int
) -> None:
    check_faults(vicai, tmp_path, catalog, seed, "0.20")


def check_faults(vicai: SandboxProcess, tmp_path: Path, catalog: MakeCatalog, seed: int, age: str) -> None:
    dice = random.Random(1000 + seed)
    options = {"cursors": dice.choice(["keyset", "offset"]), "instant_digits": dice.choice([0, 3, 6])}
    vicai.control.reset(documents=0, invoices=60, vicai=options | {"age": age})
    if age == "live":
        furnish(vicai)
    for number, fault in enumerate(dice.sample([*PASSING_FAULTS, {"kind": "lost"}], 4)):
        vicai.control.fault(**fault, path="/vicai/v", rate=0.02, seed=seed * 10 + number)
    union, state = Union(age), None
    with revoking(vicai, lambda: 0.4):
        for _ in range(5):
            run = Run.of(preloaded.run(command(vicai, tmp_path, catalog, state, age), timeout=300))
            union.take(run)
            state = last_state(run.out) or state
            if run.status == 0:
                break
    assert run.status == 0, run.err[-2000:]
    assert sum(fault["hits"] for fault in vicai.control.faults()) > 0
    vicai.control.clear_faults()
    union.check(vicai)


def test_one_run_alone_doubles_nothing(vicai: SandboxProcess, tmp_path: Path, catalog: MakeCatalog) -> None:
    vicai.control.fault("truncate", path="/vicai/v0/invoices", rate=0.1)
    vicai.control.fault("reset", path="/vicai/v0", rate=0.05)
    run = Run.of(preloaded.run(command(vicai, tmp_path, catalog, None)))
    assert run.status == 0, run.err[-2000:]
    ids = [record["internalId"] for record in run.records["invoices"]]
    assert len(set(ids)) == len(ids) == 240
    keys = [(line["invoice_id"], line["index"]) for line in run.records["invoice_line_items"]]
    assert len(set(keys)) == len(keys)
