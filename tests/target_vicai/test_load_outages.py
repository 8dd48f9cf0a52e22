"""Reject or outage: what Vic refuses for what it is goes aside; an outage is tried again, and loses nothing."""

from __future__ import annotations

from typing import Any

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests.target_vicai.conftest import PREFIX, Target, load, state
from tests.target_vicai.store import Store
from tests.target_vicai.test_load_input import check_clear, good


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 503},
        {"kind": "status", "status": 401},
        {"kind": "html"},
    ],
    ids=lambda fault: f"{fault['kind']}-{fault.get('status', '')}",
)
def test_an_outage_acknowledges_only_what_vic_has(
    vicai: SandboxProcess, store: Store, target: Target, fault: dict[str, Any]
) -> None:
    """It is not the record's fault: no reject, status 1, and the next run goes on from the last STATE."""
    records = [good(number) for number in range(1, 13)]
    messages = load("accounts", *records)[:1]
    for number, one in enumerate(records, 1):
        messages += [*load("accounts", one)[1:], state(number)]
    vicai.control.fault(**fault, path=f"{PREFIX}/accounts/KTO-9006", times=10_000)
    run = target(messages, expect=1, max_concurrency=2)
    words = check_clear(run)
    assert "accounts" in words
    assert not run.rejects
    assert run.states[-1] == {"n": 5}, "the five before it, and no more"
    there = {account["externalId"] for account in store.change().added("accounts")}
    assert {f"KTO-90{number:02}" for number in range(1, 6)} <= there
    assert "KTO-9006" not in there
    vicai.control.clear_faults()
    store.look()
    target(messages)
    store.change()
    assert len([account for account in store.all("accounts") if account["externalId"].startswith("KTO-90")]) >= 12


def test_a_reject_does_not_become_an_outage_nor_the_other_way_round(
    vicai: SandboxProcess, store: Store, target: Target
) -> None:
    """What Vic refuses for what it is goes aside; what it can't take now is tried again."""
    vicai.control.fault("status", status=422, path=f"{PREFIX}/accounts/KTO-9001", times=10_000)
    vicai.control.fault("status", status=503, path=f"{PREFIX}/accounts/KTO-9002", times=2)
    run = target([*load("accounts", good(1), good(2)), state(1)], expect=1)
    assert [message["record"]["externalId"] for message in run.rejects] == ["KTO-9001"]
    assert "422" in run.reasons[0]
    assert run.states == [{"n": 1}]
    store.change().only(accounts=(1, 0, 0))
    assert run.counts("accounts")["retries"] >= 2


def test_retry_after_is_honoured(vicai: SandboxProcess, store: Store, target: Target) -> None:
    vicai.control.fault("status", status=429, retry_after=2, path=f"{PREFIX}/accounts/KTO-9001")
    run = target([*load("accounts", good(1)), state(1)])
    assert run.counts("accounts")["throttled"] == 1
    assert run.counts("accounts")["seconds"] >= 2
    store.change().only(accounts=(1, 0, 0))


def test_the_limit_is_kept_ahead_of_refusals(vicai: SandboxProcess, store: Store, target: Target) -> None:
    """Sixty writes under thirty requests a second: not one 429."""
    vicai.control.vicai.options(rate_requests=30, rate_seconds=1)
    records = [good(number) for number in range(60)]
    run = target(load("accounts", *records), compare="none", rate_limit={"requests": 30, "seconds": 1})
    assert vicai.control.vicai.overview()["throttled"] == 0
    assert len(run.writes) == 60
    store.change().only(accounts=(60, 0, 0))
