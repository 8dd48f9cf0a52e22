"""Killed anywhere, and run again from the last STATE: Vic holds the input exactly; no STATE said more than was so."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

from ap_connectors.sandbox.process import SandboxProcess
from tests import preloaded
from tests.campaign import BOTH_AGES, seeds
from tests.target_vicai.conftest import PREFIX, command, lines, load, loading, state
from tests.target_vicai.scene import PDF
from tests.target_vicai.store import Record, Snapshot
from tests.target_vicai.world import World

SEEDS, KILLS = 10, 5
"""The target is killed at fifty random moments, in all tests together."""


def writes(vicai: SandboxProcess) -> int:
    """How many calls so far could change something."""
    calls = vicai.control.calls()
    return sum(call["method"] != "GET" and call["path"] != f"{PREFIX}/token" for call in calls)


def interrupted(
    vicai: SandboxProcess,
    folder: Path,
    messages: list[Record],
    *,
    after: int | None = None,
    how: signal.Signals = signal.SIGKILL,
    wait: float = 0,
    **settings: Any,
) -> tuple[list[int], int]:
    """Load, end the target once Vic saw so many writes and `wait` seconds went by; return its STATEs and its status."""
    vicai.control.clear_calls()
    with loading(vicai, folder, messages, **settings) as process:
        while process.poll() is None:
            if after is not None and writes(vicai) >= after:
                time.sleep(wait)
                process.send_signal(how)
                break
            time.sleep(0.002)
        status = process.wait(60)
    said = (folder / "err").read_text()
    assert status in {0, -how, 128 + how}, said[-3000:]
    assert "Traceback" not in said
    assert not (folder / "rejects.jsonl").exists(), "nothing was wrong with a record"
    # A line that a kill cut off is no STATE.
    whole = (folder / "out").read_text().rpartition("\n")[0].splitlines()
    return [json.loads(text)["n"] for text in whole], status


@seeds(range(SEEDS))
def test_killed_runs_together_are_exact(vicai: SandboxProcess, tmp_path: Path, seed: int) -> None:
    check_killed(World(vicai, tmp_path, seed), tmp_path)


@seeds(range(SEEDS, SEEDS + 4), sample=0)
def test_killed_runs_to_an_older_service_are_exact(vicai: SandboxProcess, tmp_path: Path, seed: int) -> None:
    check_killed(World(vicai, tmp_path, seed, "0.20"), tmp_path)


def check_killed(world: World, tmp_path: Path) -> None:
    vicai = world.vicai
    vicai.control.vicai.options(latency_ms=3)
    done, killed, attempt = 0, 0, 0
    while killed < KILLS:
        attempt += 1
        assert attempt < 4 * KILLS
        how = world.dice.choice([signal.SIGKILL, signal.SIGTERM])
        after, wait = world.dice.randrange(0, 14), world.dice.uniform(0, 0.012)
        folder = tmp_path / f"run{attempt}"
        states, status = interrupted(vicai, folder, world.messages(done), after=after, how=how, wait=wait)
        assert states == sorted(states)
        done = max([done, *states])
        world.held(done)
        if status == 0:
            world.more()
        else:
            killed += 1
    states, status = interrupted(vicai, tmp_path / "last", world.messages(done))
    assert status == 0
    assert states[-1:] == [len(world.records)] or done == len(world.records)
    vicai.control.vicai.options(latency_ms=0)
    world.check()


def test_a_terminated_load_finishes_what_it_began(vicai: SandboxProcess, tmp_path: Path) -> None:
    """SIGTERM in the middle of slow writes: what Vic did is acknowledged, what it did not is not, status 143."""
    world = World(vicai, tmp_path, 1)
    world.more()
    vicai.control.vicai.options(latency_ms=60)
    began = time.monotonic()
    states, status = interrupted(vicai, tmp_path / "run", world.messages(), after=12, how=signal.SIGTERM)
    assert time.monotonic() - began < 30
    assert status == 128 + signal.SIGTERM
    vicai.control.vicai.options(latency_ms=0)
    assert max(states, default=0) < len(world.records)
    world.held(max(states, default=0))


def test_nothing_is_acknowledged_before_vic_has_it(vicai: SandboxProcess, tmp_path: Path) -> None:
    """The first record's write hangs, the others are done long since: no STATE comes out."""
    world = World(vicai, tmp_path, 2)
    world.records = [(stream, one) for stream, one in world.records if stream == "accounts"]
    first = world.records[0][1]["externalId"]
    vicai.control.fault("slow", method="PUT", path=f"{PREFIX}/accounts/{first}", seconds=30)
    states, _ = interrupted(vicai, tmp_path / "run", world.messages(), after=8, wait=0.5)
    assert states == []
    assert len(world.before.until(Snapshot(vicai)).added("accounts")) > 3


@BOTH_AGES
@seeds(range(3))
def test_killed_uploads_are_never_doubled(vicai: SandboxProcess, tmp_path: Path, seed: int, age: str) -> None:
    """Vic can't list attachments: one whose answer never came is set aside for a person, and sent no second time."""
    world = World(vicai, tmp_path, seed, age)
    paths = [tmp_path / f"priedas{number}.pdf" for number in range(12)]
    for number, path in enumerate(paths):
        path.write_bytes(PDF + b"%d\n" % number)
    records = load("attachments", *({"document": str(path)} for path in paths))
    vicai.control.vicai.options(latency_ms=20)
    after, how = world.dice.randrange(1, 9), world.dice.choice([signal.SIGKILL, signal.SIGTERM])
    wait = world.dice.uniform(0, 0.02)
    at_once = 8
    given = [*records, state(1)]
    interrupted(vicai, tmp_path / "killed", given, after=after, how=how, wait=wait, max_concurrency=at_once)
    folder = tmp_path / "again"
    folder.mkdir()
    vicai.control.vicai.options(latency_ms=0)
    done = preloaded.run(command(vicai, folder, {}), input=lines([*records, state(1)]), timeout=60)
    rejects = (folder / "rejects.jsonl").read_text().splitlines() if (folder / "rejects.jsonl").exists() else []
    aside = [json.loads(text)["record"]["document"] for text in rejects if '"RECORD"' in text]
    assert done.returncode == (1 if aside else 0)
    held = vicai.control.vicai.records("attachments")
    names = [attachment["fileName"] for attachment in held]
    assert len(set(names)) == len(names), "none twice"
    assert {path.name for path in paths} <= {*names, *(Path(path).name for path in aside)}, "and none forgotten"
    assert len(aside) <= at_once, "only those that were on their way"
