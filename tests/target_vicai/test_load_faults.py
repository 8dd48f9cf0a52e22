"""A bad way to Vic: run again until it is done, and Vic holds the input exactly, nothing lost and nothing doubled."""

from __future__ import annotations

from pathlib import Path

from ap_connectors.sandbox.process import SandboxProcess
from tests.campaign import seeds
from tests.target_vicai.conftest import Target
from tests.target_vicai.storm import LOST, survive
from tests.target_vicai.world import World

FAULTS = [LOST, {"kind": "reset"}, {"kind": "truncate"}, {"kind": "html"}]


@seeds(range(10))
def test_a_bad_way_loses_and_doubles_nothing(vicai: SandboxProcess, target: Target, tmp_path: Path, seed: int) -> None:
    """One call in five is reset, cut off, answered by a proxy's page, or done and the answer lost; tokens expire."""
    survive(World(vicai, tmp_path, seed), target, seed, FAULTS)


@seeds(range(20, 24), sample=0)
def test_a_bad_way_to_an_older_service(vicai: SandboxProcess, target: Target, tmp_path: Path, seed: int) -> None:
    survive(World(vicai, tmp_path, seed, "0.20"), target, seed, FAULTS)
