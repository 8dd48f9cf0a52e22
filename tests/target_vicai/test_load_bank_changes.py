"""Bank details: checked, compared however they are spelled, told one by one, and held until someone approves them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.campaign import one_in
from tests.target_vicai.conftest import Record, Result, Target, load, record, state
from tests.target_vicai.store import Store

OLD, NEW, NEWER = "LT601010012345678901", "LT121000011101001000", "PT50000201231234567890154"
IBAN = "defaultPaymentInfo.internationalBankAccount.iban"
AT, LATER, LATEST = "2026-01-01T00:00:00", "2026-02-01T00:00:00", "2026-03-01T00:00:00"
HELD = {"bank_changes": "hold"}


def paid_by(iban: str | None, **more: Any) -> Record:
    account = {"internationalBankAccount": {"iban": iban, "bic": None}} if iban else {}
    return {**account, "defaultMethod": "IBAN", **more}


def vendor(iban: str | None = OLD, at: str = AT, **changes: Any) -> Record:
    return {
        "externalId": "50010",
        "externalUpdatedAt": at,
        "name": "UAB Žalia",
        "countryCode": "LT",
        "taxInfo": {"orgNumber": "304111222"},
        "defaultPaymentInfo": paid_by(iban),
    } | changes


def iban_of(store: Store, key: str = "50010") -> Any:
    store.look()
    info = store.one("vendors", externalId=key).get("defaultPaymentInfo") or {}
    return (info.get("internationalBankAccount") or {}).get("iban")


@pytest.fixture
def known(store: Store, target: Target) -> Store:
    target(load("vendors", vendor()))
    store.look()
    return store


def codes(run: Result) -> list[str]:
    return [one["rejected"]["code"] for one in run.rejects]


def approved(run: Result, by: str = "Ona") -> list[str]:
    """The reject file, approved as the docs say it: with a text editor, or sed."""
    return [
        re.sub(r'"code":\s*"bank_change"', rf'\g<0>,"approved":"{by}"', line) for line in run.reject_text.splitlines()
    ]


# Told


@pytest.mark.parametrize("settings", [{}, {"compare": "none", "update_mode": "replace"}, {"dry_run": True}], ids=str)
def test_changes_are_told_one_by_one(known: Store, target: Target, settings: Record) -> None:
    changed = vendor(NEW, LATER, defaultPaymentInfo=paid_by(NEW, bban="123", defaultMethod="BBAN"))
    run = target(load("vendors", changed, vendor(externalId="50011")), **settings)
    assert run.report["bank_changes"] == [
        {"stream": "vendors", "key": "50010", "field": IBAN, "from": OLD, "to": NEW},
        {
            "stream": "vendors",
            "key": "50010",
            "field": "defaultPaymentInfo.defaultMethod",
            "from": "IBAN",
            "to": "BBAN",
        },
        {"stream": "vendors", "key": "50010", "field": "defaultPaymentInfo.bban", "from": None, "to": "123"},
    ]
    head = "Bank details would change" if settings.get("dry_run") else "Bank details changed"
    assert f"{head}: vendors 50010: {IBAN} {OLD} -> {NEW}." in run.err
    assert f"{head}: vendors 50010: defaultPaymentInfo.bban none -> 123." in run.err
    if settings.get("dry_run"):
        table = run.err.partition("Bank details that would change:")[2]
        assert OLD in table
        assert NEW in table
        known.untouched()


def test_a_spelling_is_no_change(known: Store, target: Target) -> None:
    run = target(load("vendors", vendor("lt60 1010 0123 4567 8901", LATER)), **HELD)
    assert run.counts("vendors")["updated"] == 1, "the time of change"
    assert (run.report["bank_changes"], codes(run), iban_of(known)) == ([], [], OLD)
    for _ in range(2):
        run = target(load("vendors", vendor("LT60-1010-0123-4567-8901", LATER)))
        assert run.counts("vendors")["unchanged"] == 1


# Checked


def test_an_account_that_cannot_be_right_is_set_aside_by_itself(known: Store, target: Target) -> None:
    """The vendor is loaded without it; one that is known keeps all the bank details that it has."""
    norway: Record = {"countryCode": "NO", "taxInfo": {}}
    said = [
        vendor("LT991000011101001000", LATER, name="UAB Pervadinta"),
        vendor(None, externalId="n-1", defaultPaymentInfo=paid_by("LT991000011101001000")),
        vendor(externalId="n-2", **norway, defaultPaymentInfo={"bban": "8601.11.17947", "defaultMethod": "BBAN"}),
        vendor(externalId="n-3", **norway, defaultPaymentInfo={"bban": "8601.11.17948", "defaultMethod": "BBAN"}),
        vendor("NO93 8601 1117 947", externalId="n-4", **norway),
    ]
    run = target([*load("vendors", *said), state(1)], expect=1)
    assert run.states == [{"n": 1}]
    assert codes(run) == ["bank_account"] * 3
    rejects = sorted(run.rejects, key=lambda one: int(one["rejected"]["line"]))
    values = [one["rejected"]["params"]["value"] for one in rejects]
    assert values == ["LT991000011101001000", "LT991000011101001000", "8601.11.17948"]
    kept = [", and keeps the bank details that it has" in one["rejected"]["reason"] for one in rejects]
    assert kept == [True, False, False], "a new one has none"
    assert all("The vendor is loaded without it" in one["rejected"]["reason"] for one in rejects)
    assert iban_of(known) == OLD
    assert known.one("vendors", externalId="50010")["name"] == "UAB Pervadinta"
    info = {key: known.one("vendors", externalId=key).get("defaultPaymentInfo") or {} for key in ("n-1", "n-2", "n-3")}
    assert info["n-1"].get("internationalBankAccount") is None
    assert info["n-2"]["bban"] == "86011117947"
    assert info["n-3"].get("bban") is None
    assert iban_of(known, "n-4") == "NO9386011117947"
    figures = run.counts("vendors")
    assert (figures["received"], figures["created"], figures["updated"], figures["rejected"]) == (5, 4, 1, 3)
    # Corrected in the file, it arrives.
    mended = [line.replace("LT991000011101001000", NEW) for line in run.reject_text.splitlines() if "n-3" not in line]
    run = target(mended)
    assert iban_of(known) == NEW
    assert {one["key"] for one in run.report["bank_changes"] if one["to"] == NEW} == {"50010", "n-1"}


def test_what_vic_has_is_not_checked_again(store: Store, target: Target) -> None:
    """It may stem from elsewhere; only what is new can be refused."""
    wrong = {"bban": "123", "defaultMethod": "BBAN"}
    target(load("vendors", vendor(None, defaultPaymentInfo=wrong)))
    run = target(load("vendors", vendor(None, LATER, countryCode="NO", defaultPaymentInfo=wrong)))
    assert codes(run) == []


# Held


@one_in(3)
@pytest.mark.parametrize(
    "settings",
    [{}, {"update_mode": "replace"}, {"compare": "none"}, {"compare": "none", "update_mode": "replace"}],
    ids=str,
)
def test_a_change_is_held_and_all_else_is_loaded(known: Store, target: Target, settings: Record) -> None:
    term = {"count": 14, "unit": "DAYS"}
    info = paid_by(NEW, paymentTerm=term)
    changed = vendor(at=LATER, name="UAB Pervadinta", defaultPaymentInfo=info)
    run = target([*load("vendors", changed), state(1)], expect=1, **HELD, **settings)
    assert run.states == [{"n": 1}]
    [(before, now)] = known.change().only(vendors=(0, 1, 0)).changed("vendors")
    assert now["defaultPaymentInfo"] == before["defaultPaymentInfo"] | {"paymentTerm": term}
    assert now["name"] == "UAB Pervadinta"
    [reject] = run.rejects
    assert reject["rejected"]["code"] == "bank_change"
    assert reject["rejected"]["params"] == {"vendor": "50010", "changes": [{"field": IBAN, "from": OLD, "to": NEW}]}
    assert f"{IBAN} {OLD} -> {NEW}" in reject["rejected"]["reason"]
    assert run.report["bank_changes"] == []
    # Without an approval it stays held, however often the file is loaded.
    for _ in range(2):
        run = target(run.reject_text.splitlines(), expect=1, **HELD, **settings)
        assert codes(run) == ["bank_change"]
        known.untouched()
    # Approved, it is applied, once, and nothing else of the line.
    target(load("vendors", vendor(OLD, LATEST, name="UAB Dar kitaip")), **settings)
    before = known.look().records["vendors"]
    file = approved(run)
    run = target(file, **HELD, **settings)
    [(old, now)] = known.change().only(vendors=(0, 1, 0)).changed("vendors")
    assert old == before[old["internalId"]]
    assert iban_of(known) == NEW
    assert (now["name"], now["externalUpdatedAt"]) == ("UAB Dar kitaip", LATEST)
    assert [(one["from"], one["to"]) for one in run.report["bank_changes"]] == [(OLD, NEW)]
    assert "approved by Ona" in run.err
    again = target(file, **HELD, **settings)
    assert (again.counts("vendors")["unchanged"], again.writes) == (1, [])


def test_clearing_an_account_is_a_change(known: Store, target: Target) -> None:
    cleared = [
        vendor(at=LATER, defaultPaymentInfo={"internationalBankAccount": None}),
        vendor(at=LATER, defaultPaymentInfo={"internationalBankAccount": {"iban": None}}),
        vendor(at=LATER, defaultPaymentInfo={"internationalBankAccount": {"iban": ""}}),
        vendor(at=LATER, defaultPaymentInfo={"defaultMethod": "BANKGIRO"}),
    ]
    run = target(load("vendors", *cleared), expect=1, **HELD)
    assert codes(run) == ["bank_change"] * 4
    assert iban_of(known) == OLD
    gone = {name: value for name, value in vendor(at=LATEST).items() if name != "defaultPaymentInfo"}
    run = target(load("vendors", gone), expect=1, update_mode="replace", **HELD)
    assert [(one["field"], one["to"]) for one in run.rejects[0]["rejected"]["params"]["changes"]] == [
        (IBAN, ""),
        ("defaultPaymentInfo.defaultMethod", ""),
    ]
    assert iban_of(known) == OLD
    target(approved(run), **HELD)
    assert iban_of(known) is None


def test_a_first_account_is_held_and_a_new_vendor_is_not(store: Store, target: Target) -> None:
    target(load("vendors", vendor(None, defaultPaymentInfo={})))
    run = target(load("vendors", vendor(NEW, LATER), vendor(NEW, externalId="n-1")), expect=1, **HELD)
    assert codes(run) == ["bank_change"]
    assert (iban_of(store), iban_of(store, "n-1")) == (None, NEW)
    target(approved(run), **HELD)
    assert iban_of(store) == NEW


def test_an_approval_does_not_undo_what_came_after(known: Store, target: Target) -> None:
    """Two changes were held, and both approved: the second is told anew, from where the vendor is now."""
    first = target(load("vendors", vendor(NEW, LATER)), expect=1, **HELD)
    second = target(load("vendors", vendor(NEWER, LATEST)), expect=1, **HELD)
    target(approved(first), **HELD)
    run = target(approved(second), expect=1, **HELD)
    assert iban_of(known) == NEW
    [reject] = run.rejects
    assert reject["rejected"]["params"]["changes"] == [{"field": IBAN, "from": NEW, "to": NEWER}]
    assert "approved" not in reject["rejected"]
    target(approved(run), **HELD)
    assert iban_of(known) == NEWER
    run = target(approved(first), expect=1, **HELD)
    assert iban_of(known) == NEWER


def test_a_run_that_applies_is_an_approval(known: Store, target: Target) -> None:
    held = target(load("vendors", vendor(NEW, LATER)), expect=1, **HELD)
    plan = target(held.reject_text.splitlines(), dry_run=True)
    assert [(one["from"], one["to"]) for one in plan.report["bank_changes"]] == [(OLD, NEW)]
    assert iban_of(known) == OLD
    target(held.reject_text.splitlines(), bank_changes="apply")
    assert iban_of(known) == NEW


def test_a_vendor_that_is_gone_is_not_made_anew(known: Store, target: Target) -> None:
    held = target(load("vendors", vendor(NEW, LATER)), expect=1, **HELD)
    target(load("vendors", {"externalId": "50010", "_sdc_deleted_at": LATER}), deletes="records")
    known.look()
    run = target(approved(held), expect=1, **HELD)
    assert codes(run) == ["unknown_reference"]
    known.untouched()


def test_a_record_cannot_approve_itself(known: Store, target: Target) -> None:
    said = vendor(NEW, LATER, approved="me", rejected={"approved": "me", "code": "bank_change"})
    line = record("vendors", **said) | {"approved": "me"}
    run = target([load("vendors", said)[0], json.dumps(line)], expect=1, **HELD)
    assert codes(run) == ["bank_change"]
    assert iban_of(known) == OLD
