"""Killed anywhere, and whatever goes wrong: the union of runs is complete and exact."""

from __future__ import annotations

import random
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ap_sandbox.process import SandboxProcess
from tests.conftest import MakeCatalog, Run, tap_command
from tests.tap_ivesk.test_kill import interrupted, last_state
from tests.tap_vicai.conftest import settings
from tests.tap_vicai.test_vicai_streams import STREAMS, as_sent, everything

KEYS = {
    "invoice_line_items": ("invoice_id", "index"),
    "payments": ("id", "batch_id"),
    "credits": ("id", "batch_id"),
    "training_invoices": ("refNumber", "externalUpdatedAt", "issueDate"),
}
SEEDS, KILLS = 10, 5
"""The tap is killed at fifty random points, in all tests together."""


class Union:
    """What a warehouse would hold after several runs: of each record the last version."""

    def __init__(self) -> None:
        self.held: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {stream: {} for stream in STREAMS}

    def take(self, run: Run) -> None:
        for stream in STREAMS:
            for record in as_sent(stream, run.records[stream]):
                own = ("internalId",) if "internalId" in record else ("id",)
                key = tuple(record.get(name) for name in KEYS.get(stream, own))
                self.held[stream][key] = record

    def check(self, vicai: SandboxProcess) -> None:
        union = Union()
        union.take(Run(0, "", ""))
        for stream, records in everything(vicai).items():
            if stream == "company":
                continue
            expected = Union()
            run = Run(0, "", "")
            run.records[stream] = records
            expected.take(run)
            assert self.held[stream] == expected.held[stream], stream


def command(vicai: SandboxProcess, folder: Path, catalog: MakeCatalog, state: dict[str, Any] | None) -> list[str]:
    return tap_command(
        folder,
        settings(vicai) | {"invoice_states": ["ALL"], "rate_limit": {"requests": 500, "seconds": 1}},
        state=state,
        catalog=catalog(*STREAMS),
        module="tap_vicai",
    )


@pytest.mark.parametrize("seed", range(SEEDS))
def test_union_of_killed_runs_is_complete(
    vicai: SandboxProcess, tmp_path: Path, catalog: MakeCatalog, seed: int
) -> None:
    dice = random.Random(seed)
    options = {
        "since_is": dice.choice(["inclusive", "exclusive"]),
        "cursors": dice.choice(["keyset", "offset"]),
        "empty_page_every": dice.choice([0, 3]),
        "order": dice.choice(["sorted", "sorted", "shuffled"]),
    }
    vicai.control.reset(documents=0, invoices=240, vicai=options)
    union, state, killed = Union(), None, 0
    for _ in range(4 * KILLS):
        # The first runs print a megabyte, later ones only what changed and the lists that come whole.
        after = dice.randrange(1, 900_000 if killed < 2 else 50_000) if killed < KILLS else 10**9
        how = dice.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
        out, status = interrupted(command(vicai, tmp_path, catalog, state), after, how)
        union.take(Run(status, out, ""))
        state = last_state(out) or state
        if status == 0 and killed == KILLS:
            break
        killed += status != 0
        # Meanwhile the company works on.
        for resource in ("invoices", "vendors", "purchaseOrders", "accounts"):
            records = vicai.control.vicai.records(resource)
            vicai.control.vicai.touch(resource, [dice.choice(records)["internalId"] for _ in range(3)])
    assert killed == KILLS
    assert status == 0
    union.check(vicai)


@contextmanager
def revoking(vicai: SandboxProcess) -> Iterator[None]:
    """Let all tokens expire again and again."""
    done = threading.Event()

    def work() -> None:
        while not done.wait(0.15):
            vicai.control.vicai.revoke_tokens()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize("seed", range(20))
def test_faults_lose_nothing(vicai: SandboxProcess, tmp_path: Path, catalog: MakeCatalog, seed: int) -> None:
    """429 storms, tokens revoked in mid-run, resets, broken-off answers, HTML: one run, or several, are complete."""
    dice = random.Random(1000 + seed)
    options = {"cursors": dice.choice(["keyset", "offset"]), "instant_digits": dice.choice([0, 3, 6])}
    vicai.control.reset(documents=0, invoices=120, vicai=options)
    kinds: list[dict[str, Any]] = [
        {"kind": "status", "status": 503},
        {"kind": "status", "status": 429},
        {"kind": "status", "status": 429, "retry_after": 1},
        {"kind": "reset"},
        {"kind": "truncate"},
        {"kind": "html"},
        {"kind": "lost"},
    ]
    for number, fault in enumerate(dice.sample(kinds, 4)):
        vicai.control.fault(**fault, path="/vicai/v0", rate=0.02, seed=seed * 10 + number)
    union, state = Union(), None
    with revoking(vicai):
        for _ in range(5):
            done = subprocess.run(
                command(vicai, tmp_path, catalog, state), capture_output=True, encoding="utf-8", timeout=300
            )
            union.take(Run(done.returncode, done.stdout, done.stderr))
            state = last_state(done.stdout) or state
            if done.returncode == 0:
                break
    assert done.returncode == 0, done.stderr[-2000:]
    assert sum(fault["hits"] for fault in vicai.control.faults()) > 0
    vicai.control.clear_faults()
    union.check(vicai)


def test_one_run_alone_doubles_nothing(vicai: SandboxProcess, tmp_path: Path, catalog: MakeCatalog) -> None:
    vicai.control.fault("truncate", path="/vicai/v0/invoices", rate=0.1)
    vicai.control.fault("reset", path="/vicai/v0", rate=0.05)
    done = subprocess.run(command(vicai, tmp_path, catalog, None), capture_output=True, encoding="utf-8", check=True)
    run = Run(0, done.stdout, "")
    ids = [record["internalId"] for record in run.records["invoices"]]
    assert len(set(ids)) == len(ids) == 240
    keys = [(line["invoice_id"], line["index"]) for line in run.records["invoice_line_items"]]
    assert len(set(keys)) == len(keys)
