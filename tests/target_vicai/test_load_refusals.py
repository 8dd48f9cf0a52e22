"""A bad day of Vic's: run again until it is done, and Vic holds the input exactly, nothing lost and nothing doubled."""

from __future__ import annotations

from pathlib import Path

from ap_connectors.sandbox.process import SandboxProcess
from tests.campaign import seeds
from tests.target_vicai.conftest import Target
from tests.target_vicai.storm import LOST, survive
from tests.target_vicai.world import World

FAULTS = [LOST, {"kind": "status", "status": 503}, {"kind": "status", "status": 429}, {"kind": "truncate"}]


@seeds(range(10, 20))
def test_a_bad_day_loses_and_doubles_nothing(vicai: SandboxProcess, target: Target, tmp_path: Path, seed: int) -> None:
    """One call in five is refused for now, is too many, is cut off, or is done and the answer lost; tokens expire."""
    survive(World(vicai, tmp_path, seed), target, seed, FAULTS)
