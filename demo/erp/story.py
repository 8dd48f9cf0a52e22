"""The ERP's part of the story: a plan, a load, nothing to do, twelve changes, and a record that has to be corrected."""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ap_connectors.sandbox.process import Control, SandboxProcess
from demo.acts import Places, Say
from demo.erp import export, store
from demo.erp.books import ByUsers
from demo.erp.export import CHANGES, WITHOUT_EMAIL, Export
from demo.erp.store import Store
from demo.erp.streams import STREAMS
from demo.erp.target import Act, Run, Target
from demo.project import DemoError

_EMAIL = "saskaitos@ciobrelis.example"
_PLANNED = {"created": "to create", "updated": "to change", "rejected": "to set aside"}
_DONE = {"created": "created", "updated": "updated", "rejected": "set aside"}
_SHOWN = 3
_WIDE = 90


@dataclass(frozen=True)
class Evidence:
    """The ERP's records at the end, what users filled in at Vic.ai, what Vic held before and after, and the runs."""

    export: Export
    by_users: ByUsers
    before: Store
    after: Store
    acts: tuple[Act, ...]


def play(places: Places, sandbox: SandboxProcess, say: Say) -> Evidence:
    """Plans and loads, loads again, lets the ERP change, plans and loads that, corrects what was set aside."""
    folder, control = places.erp, sandbox.control
    folder.mkdir(parents=True)
    first, second = folder / "master-data.jsonl", folder / "master-data-changed.jsonl"
    # In life hours lie between such runs. Here the next begins while the last one's requests would still count.
    control.vicai.options(rate_seconds=1.0)
    before, acts, target = store.read(control), [], Target(sandbox, folder)

    say("ERP", "")
    there = export.master_data()
    export.write(first, there, export.TAKEN)
    number = sum(map(len, there.values()))
    say("", f"{number} records of {len(there)} streams, children before their parents")

    def act(name: str, expected: Mapping[str, Any], run: Run) -> Run:
        acts.append(Act(f"ERP, {name}", run, expected))
        return run

    say("Plan", "")
    run = act("first plan", {"created": number, "state": None}, target.run(first, "plan", dry_run=True))
    say("", _told(run, below=_counted(run.plan)))
    say("Load", "")
    # An order is created, and then processed.
    writes = number + len(there["purchase_orders"])
    # What is refused for its parents, which are still to come, waits for them.
    expected = {"created": number, "touched": number, "writes": writes, "refused": ..., "state": export.TAKEN}
    say("", _told(act("first load", expected, target.run(first, "load"))))
    say("Load again", "")
    expected = {"unchanged": number, "state": export.TAKEN}
    say("", _told(act("second load", expected, target.run(first, "load-again"))))

    say("Meanwhile", "")
    bad, good = export.misspelt()
    after = export.changed(there)
    export.write(second, after | {"vendors": [*after["vendors"], bad]}, export.CHANGED)
    by_users = fill_in(control)
    say("", f"{CHANGES} changes in the ERP, and a new vendor with {len(bad['name'])} letters in its name")

    news = {"created": 2, "updated": CHANGES - 2, "unchanged": number - CHANGES + 2, "rejected": 1, "status": 1}
    say("Plan", "")
    run = act("second plan", news | {"state": None}, target.run(second, "plan-of-changes", dry_run=True))
    say("", _told(run, below=_changes(run.plan)))
    say("Load", "")
    expected = news | {"writes": CHANGES, "touched": CHANGES, "state": export.CHANGED}
    run = act("third load", expected, target.run(second, "load-of-changes"))
    if not target.rejects.exists():
        raise DemoError(f"target-vicai has not set a name of {len(bad['name'])} letters aside.")
    say("", _told(run, below=export.reasons(target.rejects)))
    say("Replay", "")
    corrected = folder / "rejects-corrected.jsonl"
    export.correct(target.rejects, corrected, good)
    expected = {"created": 1, "writes": 1, "touched": 1, "state": None}
    say("", _told(act("replay", expected, target.run(corrected, "replay")), "the name is corrected; "))
    return Evidence(_at_last(second, corrected), by_users, before, store.read(control), tuple(acts))


def fill_in(control: Control) -> ByUsers:
    """Lets a user at Vic.ai fill in an address that the ERP does not know; says which field of which record."""
    external_id = export.vendor_id(WITHOUT_EMAIL)
    vendors = control.vicai.records("vendors")
    found = [vendor["internalId"] for vendor in vendors if vendor.get("externalId") == external_id]
    control.vicai.touch("vendors", found, email=_EMAIL)
    return {("vendors", (external_id,)): {"email": _EMAIL}}


def _at_last(file: Path, corrected: Path) -> Export:
    """What the ERP's files say at the end: a corrected record instead of the one that was set aside."""
    there = export.read(file)
    for stream, records in export.read(corrected).items():
        keys = STREAMS[stream].key
        instead = {tuple(record[name] for name in keys): record for record in records}
        there[stream] = [instead.get(tuple(record[name] for name in keys), record) for record in there[stream]]
    return there


def _told(run: Run, words: str = "", below: Iterable[str] = ()) -> str:
    verbs = _PLANNED if run.plan else _DONE
    done = [f"{run.facts[effect]} {verb}" for effect, verb in verbs.items() if run.facts[effect]]
    told = ", ".join(done) or f"nothing to do, {run.facts['unchanged']} unchanged"
    methods = dict.fromkeys(("GET", "POST", "PUT", *sorted(run.calls)))
    asked = ", ".join(f"{run.calls.get(method, 0)} {method}" for method in methods)
    refused = f"; {run.facts['refused']} refused till parents came" if run.facts["refused"] else ""
    return "\n".join([f"{words}{told}: {asked}{refused}", *(_short(line) for line in below)])


def _counted(plan: tuple[str, ...]) -> Iterator[str]:
    """The head of a plan, and what it says of the first streams."""
    told = [line for line in plan if line.startswith(tuple(f"{name}:" for name in ("Plan", *STREAMS)))]
    yield from told[: 1 + _SHOWN]
    yield f"... and {len(told) - 1 - _SHOWN} more streams"


def _changes(plan: tuple[str, ...]) -> Iterator[str]:
    """What a plan says of vendors: some that change, field by field."""
    records: list[list[str]] = []
    start = next((place for place, line in enumerate(plan) if line.startswith("vendors:")), len(plan))
    for line in itertools.takewhile(str.strip, plan[start + 1 :]):
        if line.startswith("      ") and records:
            records[-1].append(line)
        else:
            records.append([line])
    changing = [record for record in records if record[0].lstrip().startswith("~")]
    for head, *fields in changing[:_SHOWN]:
        yield head
        # That the ERP's time moves on goes without saying.
        yield from (line for line in fields if line.split()[0] != "externalUpdatedAt")
    yield f"  ... and {CHANGES - len(changing[:_SHOWN])} more changes"


def _short(line: str) -> str:
    indent = len(line) - len(line.lstrip())
    text = " " * indent + re.sub(" {2,}", "  ", line.strip())
    return text if len(text) <= _WIDE else f"{text[: _WIDE - 1]}…"
