"""Trouble of many kinds on the way to Vic, and a load that is run again until it is through."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

from tests.target_vicai.conftest import PREFIX, Target
from tests.target_vicai.world import World
from tests.trouble import revoking

Fault = dict[str, Any]

RATE = 0.05
"""Of each kind of fault, at every call."""
MOST_RUNS = 6
LOST: Fault = {"kind": "lost"}
"""Done, and the answer lost: what doubles things."""


def survive(world: World, target: Target, seed: int, faults: Iterable[Fault]) -> None:
    """Load a world through faults, from the last STATE on where a run gives up; Vic holds exactly the input then."""
    vicai = world.vicai
    for number, fault in enumerate(faults):
        vicai.control.fault(**fault, path=PREFIX, rate=RATE, seed=seed * 10 + number)
    done = 0
    pauses = random.Random(seed)
    with revoking(vicai, lambda: pauses.uniform(0.1, 0.5)):
        for _ in range(MOST_RUNS):
            run = target(world.messages(done), expect=None, max_concurrency=world.dice.choice([4, 8, 20]))
            assert run.status in {0, 1}, run.err[-2000:]
            assert not run.rejects, run.reasons
            assert "Traceback" not in run.err
            numbers = [value["n"] for value in run.states]
            assert numbers == sorted(numbers)
            done = max([done, *numbers])
            if run.status == 0:
                break
    assert run.status == 0, run.err[-2000:]
    assert done == len(world.records)
    assert sum(fault["hits"] for fault in vicai.control.faults()) > 5
    vicai.control.clear_faults()
    world.check()
    again = target(world.messages())
    assert again.writes == []
