"""Runs the real `target-vicai`, and says what it did: by its own report, and by the calls that the service saw."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ap_connectors.sandbox.process import SandboxProcess
from demo.erp import store
from demo.meltano import environment
from demo.project import ROOT, DemoError

PATIENCE = 120.0
_EFFECTS = ("created", "updated", "unchanged", "deleted", "rejected", "failed")
# Neither "come again later" nor "prove again who you are".
_REFUSED = frozenset(range(400, 500)) - {401, 429}
_TAIL = 15


@dataclass(frozen=True)
class Run:
    """What a run has done.

    Args:
        facts: exit status, what became of the records, the writes that Vic.ai did and that it refused, how many of all
            its records are other than before, and the last STATE.
        calls: all calls to the service but for tokens and for what it refused, by method.
        plan: of a dry run, the text that it printed.
    """

    facts: Mapping[str, Any]
    calls: Mapping[str, int]
    plan: tuple[str, ...]


@dataclass(frozen=True)
class Act:
    """One run, and what it should have done; `...` is what nobody can foretell, and what is not said is nothing."""

    name: str
    run: Run
    expected: Mapping[str, Any]


def differences(acts: tuple[Act, ...]) -> Iterator[str]:
    """Says in a line each what a run should have done otherwise."""
    for act in acts:
        for fact, found in act.run.facts.items():
            expected = act.expected.get(fact, 0)
            if expected is not ... and found != expected:
                yield f"{act.name}: {fact} is {found}, not {expected}"


class Target:
    """`target-vicai` with settings for the sandbox; what it leaves is in `folder`."""

    def __init__(self, sandbox: SandboxProcess, folder: Path) -> None:
        self._control, self._folder = sandbox.control, folder
        self._settings = {
            "TARGET_VICAI_API_URL": sandbox.vicai_url,
            "TARGET_VICAI_CLIENT_ID": sandbox.client_id,
            "TARGET_VICAI_CLIENT_SECRET": sandbox.client_secret,
            "TARGET_VICAI_LEDGER_PATH": str(folder / "ledger.jsonl"),
        }

    @property
    def rejects(self) -> Path:
        """The file of the records that were set aside."""
        return self._folder / "rejects.jsonl"

    def run(self, source: Path, name: str, dry_run: bool = False) -> Run:
        """Loads a file of Singer messages; the report is `<name>.json`, and of a dry run the plan `<name>.txt`.

        Raises:
            DemoError: It ended in a way that no run of the demo should.
        """
        report = self._folder / f"{name}.json"
        rejects = self._folder / f"{name}-rejects.jsonl" if dry_run else self.rejects
        settings = self._settings | {
            "TARGET_VICAI_DRY_RUN": str(dry_run).lower(),
            "TARGET_VICAI_REJECTS_PATH": str(rejects),
            "TARGET_VICAI_REPORT_PATH": str(report),
        }
        before = store.read(self._control)
        self._control.clear_calls()
        done = self._load(source, settings)
        calls = self._control.calls()
        with (self._folder / "target.log").open("a", encoding="utf-8") as log:
            log.write(f"$ target-vicai --config=ENV < {source.name}   # {name}\n{done.stderr}\n")
        if done.returncode not in (0, 1) or not report.exists():
            said = "\n".join(done.stderr.splitlines()[-_TAIL:])
            raise DemoError(f"target-vicai < {source.name} ended with status {done.returncode}:\n{said}")
        plan = _plan(done.stderr) if dry_run else ()
        if dry_run:
            (self._folder / f"{name}.txt").write_text("\n".join(plan) + "\n", encoding="utf-8")
        total = json.loads(report.read_bytes())["total"]
        asked = [call for call in calls if not call["path"].endswith("/token")]
        refused = [call for call in asked if call["method"] != "GET" and call["status"] in _REFUSED]
        methods = Counter(call["method"] for call in asked if call not in refused)
        facts = {
            "status": done.returncode,
            **{effect: total[effect] for effect in _EFFECTS},
            "writes": methods.total() - methods["GET"],
            "refused": len(refused),
            "touched": len(before.unlike(store.read(self._control))),
            "state": json.loads(done.stdout.splitlines()[-1])["taken_at"] if done.stdout.strip() else None,
        }
        return Run(facts, methods, plan)

    def _load(self, source: Path, settings: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
        with source.open("rb") as messages:
            try:
                return subprocess.run(
                    [sys.executable, "-m", "target_vicai", "--config=ENV"],
                    cwd=ROOT,
                    env=environment(settings),
                    stdin=messages,
                    capture_output=True,
                    encoding="utf-8",
                    errors="replace",
                    timeout=PATIENCE,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                raise DemoError(f"target-vicai < {source.name} has not ended after {PATIENCE:g} s.") from None


def _plan(said: str) -> tuple[str, ...]:
    """The plan, which is the last thing but log lines that a dry run prints."""
    lines = said.splitlines()
    start = next((place for place, line in enumerate(lines) if line.startswith("Plan:")), len(lines))
    return tuple(lines[start:])
