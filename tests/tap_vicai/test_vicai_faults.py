"""Whatever goes wrong on the way: one run, or several together, are complete and exact."""

from __future__ import annotations

import random
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ap_sandbox.process import SandboxProcess
from tests.conftest import MakeCatalog, Run
from tests.tap_ivesk.test_kill import last_state
from tests.tap_vicai.union import Union, command


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
