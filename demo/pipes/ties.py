"""Runs `ap-tieout` as a user does."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from demo.meltano import environment
from demo.project import ROOT, DemoError

_PATIENCE = 120.0


@dataclass(frozen=True)
class Tie:
    """What a comparison found."""

    name: str
    ties: bool
    said: str


def compare(folder: Path, name: str, arguments: list[str], settings: Mapping[str, str]) -> Tie:
    """Compares; its report is `tie-<name>.json`, what it printed is in `tie-<name>.txt`.

    Raises:
        DemoError: It could not compare.
    """
    report = ["--report", str(folder / f"tie-{name}.json")]
    command = [sys.executable, "-m", "ap_connectors.tieout", name, *arguments, *report]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment(settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=_PATIENCE,
        check=False,
    )
    if done.returncode not in (0, 1):
        raise DemoError(f"ap-tieout {name} ended with status {done.returncode}:\n{done.stderr}")
    (folder / f"tie-{name}.txt").write_text(done.stdout, encoding="utf-8")
    return Tie(name, done.returncode == 0, done.stdout)
