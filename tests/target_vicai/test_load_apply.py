"""Approve, then apply: exactly what a plan says is written; what has changed since is set aside, not sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests import preloaded
from tests.target_vicai.conftest import PREFIX, Message, Target, command, lines, load
from tests.target_vicai.scene import AT
from tests.target_vicai.store import Store
from tests.target_vicai.test_load_deletes import owned
from tests.target_vicai.test_load_payments import REPORTS, STREAM, given_payments, shown
from tests.target_vicai.test_load_plan import planned

APPROVED: dict[str, Any] = {"deletes": "records", "max_rejects": 1}


@pytest.fixture
def plan(target: Target, store: Store, tmp_path: Path) -> Path:
    """A plan of some of everything: new, changed, cleared, unchanged, deleted, rejected, with parents and children."""
    path = tmp_path / "plan.json"
    target(planned(store), dry_run=True, plan_path=str(path), **APPROVED)
    return path


def codes(run: Any) -> dict[str, str]:
    return {one["rejected"]["params"].get("key", ""): one["rejected"]["code"] for one in run.rejects}


def test_exactly_the_plan_is_written(store: Store, target: Target, plan: Path) -> None:
    store.untouched()
    messages = planned(store)
    done = target(messages, apply_plan=str(plan), **APPROVED)
    store.change().only(
        accounts=(1, 1, 1), vendors=(1, 1, 0), tags=(1, 1, 0), vendorTags=(1, 0, 0), purchaseOrders=(1, 0, 0)
    )
    assert [one["rejected"]["code"] for one in done.rejects] == ["too_long"], "as the plan says"
    again = target(messages, apply_plan=str(plan), **APPROVED)
    assert again.writes == [], "it was applied before"


def test_what_has_changed_at_vic_since_is_refused(
    vicai: SandboxProcess, store: Store, target: Target, plan: Path
) -> None:
    messages: list[Any] = [*planned(store)]
    renamed, _, deleted = owned(store, "accounts")[:3]
    (vendor,) = [one for one in messages if one["type"] == "RECORD" and one["record"].get("email", "") is None]
    for resource, one, name in (
        ("accounts", renamed, "Someone else's name"),
        ("accounts", deleted, "Still needed"),
        ("vendors", vendor["record"], "Renamed at Vic AS"),
    ):
        vicai.control.vicai.touch(
            resource, [store.one(resource, externalId=one["externalId"])["internalId"]], name=name
        )
    # A new one that somebody else has made meanwhile, with another name.
    other = {"externalId": "K-1", "externalUpdatedAt": AT, "number": "1", "name": "Of another system"}
    target(load("accounts", other))

    held = vicai.control.vicai.records
    before = {resource: held(resource) for resource in ("accounts", "vendors")}
    run = target(messages, apply_plan=str(plan), expect=1, **APPROVED | {"max_rejects": 0})
    refused = {"K-1", renamed["externalId"], deleted["externalId"], vendor["record"]["externalId"]}
    assert {key for key, code in codes(run).items() if code == "changed_since_plan"} == refused
    assert held("accounts") == before["accounts"]
    assert [one["externalId"] for one in held("vendors") if one not in before["vendors"]] == ["T-1"], (
        "the rest was done"
    )
    assert all("Vic.ai's copy has changed since the plan" in reason for reason in run.reasons if "longer" not in reason)


def test_what_was_not_approved_is_not_written(vicai: SandboxProcess, store: Store, target: Target, plan: Path) -> None:
    document = json.loads(plan.read_bytes())
    document["plan"]["tags"]["created"] = []
    plan.write_text(json.dumps(document), encoding="utf-8")
    messages: list[Any] = [
        *planned(store),
        *load("accounts", {"externalId": "K-9", "externalUpdatedAt": AT, "number": "9", "name": "New"}),
    ]
    for one in messages:
        if one["type"] == "RECORD" and one["record"].get("externalId") == "T-1":
            one["record"] |= {"name": "UAB Kitas"}
    run = target(messages, apply_plan=str(plan), expect=1, **APPROVED)
    found = codes(run)
    assert (found["Nauja žyma"], found["K-9"], found["T-1"]) == ("not_in_plan", "not_in_plan", "not_as_approved")
    names = {one["name"] for one in vicai.control.vicai.records("vendors")}
    assert not names & {"UAB Kitas", "UAB Naujasis"}
    assert "Nauja žyma" not in {one["value"] for one in vicai.control.vicai.records("tags")}


def test_a_record_of_the_plan_that_does_not_come(store: Store, target: Target, plan: Path) -> None:
    run = target(planned(store)[:8], apply_plan=str(plan), expect=1, **APPROVED)
    assert "the input has no record of" in run.complaints[-1]
    assert "vendors T-1" in run.complaints[-1]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        ({"company": "Another AS"}, 'is a plan for "Another AS"; the credentials are of'),
        ({"plan_version": 2}, "was made by another version"),
        ({"plan": None}, "is not a plan. Make one"),
    ],
)
def test_no_such_plan(store: Store, target: Target, plan: Path, spoil: dict[str, Any], words: str) -> None:
    plan.write_text(json.dumps(json.loads(plan.read_bytes()) | spoil), encoding="utf-8")
    run = target(planned(store), apply_plan=str(plan), expect=1, **APPROVED)
    assert words in run.complaints[-1]
    store.untouched()


def test_settings_that_contradict_each_other(store: Store, target: Target, plan: Path) -> None:
    assert "set dry_run to true" in target(planned(store), plan_path=str(plan), expect=1).complaints[-1]
    both = target(planned(store), apply_plan=str(plan), dry_run=True, expect=1)
    assert "apply_plan writes" in both.complaints[-1]
    store.untouched()


def test_lost_answers(vicai: SandboxProcess, store: Store, target: Target, plan: Path) -> None:
    for _ in range(6):
        vicai.control.fault("lost", path=f"{PREFIX}/*", times=1)
    target(planned(store), apply_plan=str(plan), **APPROVED)
    store.change().only(
        accounts=(1, 1, 1), vendors=(1, 1, 0), tags=(1, 1, 0), vendorTags=(1, 0, 0), purchaseOrders=(1, 0, 0)
    )


def test_killed_and_applied_again(
    vicai: SandboxProcess, store: Store, target: Target, plan: Path, tmp_path: Path
) -> None:
    messages: list[Message] = list(planned(store))
    vicai.control.vicai.options(latency_ms=20)
    for number, after in enumerate((1, 3, 5)):
        folder = tmp_path / f"killed{number}"
        folder.mkdir()
        (folder / "input.jsonl").write_bytes(lines(messages))
        vicai.control.clear_calls()
        with (
            (folder / "input.jsonl").open("rb") as source,
            (folder / "out").open("wb") as out,
            preloaded.start(
                command(vicai, folder, APPROVED | {"apply_plan": str(plan)}), stdin=source, stdout=out, stderr=out
            ) as process,
        ):
            while process.poll() is None:
                writes = [one for one in vicai.control.calls() if one["method"] != "GET"]
                if len(writes) > after:
                    process.kill()
                    break
            process.wait(60)
    vicai.control.vicai.options(latency_ms=0)
    run = target(messages, apply_plan=str(plan), **APPROVED)
    assert [one["rejected"]["code"] for one in run.rejects] == ["too_long"]
    store.change().only(
        accounts=(1, 1, 1), vendors=(1, 1, 0), tags=(1, 1, 0), vendorTags=(1, 0, 0), purchaseOrders=(1, 0, 0)
    )


def test_payments_that_go_together_are_approved_each(vicai: SandboxProcess, target: Target, tmp_path: Path) -> None:
    ids, path = given_payments(vicai)[:6], tmp_path / "plan.json"
    messages = load(STREAM, *(REPORTS[0].told(id_) for id_ in ids))
    target(messages, dry_run=True, plan_path=str(path))
    document = json.loads(path.read_bytes())
    document["plan"][STREAM]["updated"].pop()
    path.write_text(json.dumps(document), encoding="utf-8")
    failed = {"id": ids[1], "remoteErroredAt": "2026-03-02T09:00:00Z", "remoteError": "Bankas grąžino"}
    target(load("payment_failures", failed))
    run = target(messages, apply_plan=str(path), expect=1)
    found = codes(run)
    assert (found[ids[1]], len(found)) == ("changed_since_plan", 2)
    (left,) = found.keys() - {ids[1]}
    assert found[left] == "not_in_plan"
    held = shown(vicai, "payments")
    assert [bool(held[id_].get("confirmedAt")) for id_ in ids] == [id_ not in found for id_ in ids]
