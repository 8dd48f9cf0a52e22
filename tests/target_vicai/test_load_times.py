"""Which of two states of a record is later: instants where both say a zone, else the ERP's own clock."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.campaign import one_in
from tests.target_vicai.conftest import Record, Result, Target, load
from tests.target_vicai.scene import AT, PDF
from tests.target_vicai.store import Store

VILNIUS = "Europe/Vilnius"
ZONED = "2026-07-01T12:00:00+02:00"

# Vic's time, the record's, the ERP's zone: whether the record is written.
TIMES = [
    (ZONED, "2026-07-01T10:30:00Z", None, True),
    ("2026-07-01T10:00:00Z", "2026-07-01T11:30:00+02:00", None, False),
    ("2026-07-01T10:00:00Z", "2026-07-01T15:59:59.999+06:00", None, False),
    ("2026-07-01T23:30:00-03:00", "2026-07-02T01:00:00+01:00", None, False),
    ("2026-10-25T02:50:00+02:00", "2026-10-25T02:10:00+01:00", None, True),
    ("2026-10-25T02:10:00+01:00", "2026-10-25T02:50:00+02:00", None, False),
    # Without a zone: digits.
    ("2026-07-01T12:00:00", "2026-07-01T10:30:00", None, False),
    ("2026-07-01T10:30:00", "2026-07-01T12:00:00", None, True),
    ("2026-10-25T03:50:00", "2026-10-25T03:10:00", None, False),
    # The hour that comes twice (in Vilnius from 3 to 4): in doubt the later record counts.
    ("2026-10-25T03:50:00", "2026-10-25T03:10:00", VILNIUS, True),
    ("2026-10-25T03:10:00", "2026-10-25T03:50:00", VILNIUS, True),
    ("2026-10-25T03:10:00", "2026-10-25T02:59:59", VILNIUS, False),
    ("2026-10-25T04:00:00", "2026-10-25T03:59:59", VILNIUS, False),
    ("2026-10-25T03:50:00", "2025-10-26T03:55:00", VILNIUS, False),
    ("2026-10-25T03:50:00", "2026-10-25T03:10:00", "Australia/Lord_Howe", False),
    # The hour that is left out never was: digits.
    ("2026-03-29T03:50:00", "2026-03-29T03:10:00", VILNIUS, False),
    ("2026-03-29T04:10:00", "2026-03-29T03:10:00", VILNIUS, False),
    # Only one has a zone.
    ("2026-07-01T12:00:00", "2026-07-01T09:30:00Z", VILNIUS, True),
    ("2026-07-01T12:00:00", "2026-07-01T08:30:00Z", VILNIUS, False),
    ("2026-07-01T08:30:00Z", "2026-07-01T11:00:00", VILNIUS, False),
    ("2026-10-25T03:50:00", "2026-10-25T01:10:00Z", VILNIUS, True),
    ("2026-07-01T12:00:00", "2026-07-01T09:30:00Z", None, False),
]


def account(at: str, **changed: object) -> Record:
    return {"externalId": "K-1", "externalUpdatedAt": at, "number": "1", "name": "Kasa"} | changed


def training(at: str, number: str, document: str | None) -> Record:
    given = {} if document is None else {"document": document}
    return {
        "externalId": "B-1",
        "externalUpdatedAt": at,
        "transactionType": "INVOICE",
        "refNumber": number,
        "vendorExternalId": "50000",
    } | given


def assert_counted(run: Result, stream: str, effect: str) -> None:
    """One record has this effect; what is left out as older is warned of, and never called unchanged."""
    counts = run.counts(stream)
    told = {name: counts[name] for name in ("created", "updated", "unchanged", "older", "deleted") if counts[name]}
    assert told == {effect: 1}
    warnings = [text for text in run.err.splitlines() if "WARNING" in text and "left out as older" in text]
    assert bool(warnings) == (effect == "older")


@one_in(3)
@pytest.mark.parametrize("times", TIMES)
def test_the_later_state_stays(store: Store, target: Target, times: tuple[str, str, str | None, bool]) -> None:
    held, given, zone, is_written = times
    target(load("accounts", account(held)))
    run = target(load("accounts", account(given, name="Kita")), erp_timezone=zone)
    assert_counted(run, "accounts", "updated" if is_written else "older")
    store.look()
    found = store.one("accounts", externalId="K-1")
    assert (found["name"], found["externalUpdatedAt"]) == (("Kita", given) if is_written else ("Kasa", held))


@pytest.mark.parametrize(("given", "is_later"), [("2026-07-01T10:30:00Z", True), ("2026-07-01T11:30:00+02:00", False)])
def test_deletions_and_training_invoices_go_by_it_too(
    store: Store, target: Target, tmp_path: Path, given: str, is_later: bool
) -> None:
    held = "2026-07-01T12:00:00+02:00" if is_later else "2026-07-01T10:00:00Z"
    (tmp_path / "a.pdf").write_bytes(PDF)
    target([*load("accounts", account(held)), *load("training_invoices", training(held, "1", str(tmp_path / "a.pdf")))])
    run = target(load("training_invoices", training(given, "2", None)))
    assert_counted(run, "training_invoices", "updated" if is_later else "older")
    gone = {"_sdc_deleted_at": given}
    for stream, one in (("accounts", account(given)), ("training_invoices", training(given, "2", None))):
        run = target(load(stream, one | gone), deletes="records")
        assert_counted(run, stream, "deleted" if is_later else "older")
    change = store.change()
    change.only(**({} if is_later else {"accounts": (1, 0, 0), "trainingInvoices": (1, 0, 0)}))


def test_a_replay_goes_by_instants(store: Store, target: Target) -> None:
    """Compared whatever the settings say: it never overwrites what has become newer."""
    target(load("accounts", account("2026-07-01T10:00:00Z")))
    replayed = load("accounts", account("2026-07-01T11:30:00+02:00", name="Sena"))
    replayed[1]["rejected"] = {"reason": "x", "at": "2026-07-01T10:00:00.000Z", "line": 2}
    assert_counted(target(replayed, compare="none"), "accounts", "older")
    store.look()
    assert store.one("accounts", externalId="K-1")["name"] == "Kasa"


def test_a_zone_is_told_of_once(target: Target) -> None:
    many = [account(f"2026-07-01T12:00:0{n}+02:00", externalId=f"K-{n}") for n in range(5)]
    run = target(
        [*load("accounts", *many), *load("dimensions", {"externalId": "D", "externalUpdatedAt": AT, "name": "D"})]
    )
    assert run.err.count("has a zone") == 1
    assert "accounts: externalUpdatedAt 2026-07-01T12:00:00+02:00 has a zone" in run.err


def test_many_older_records_are_counted_and_warned_of(target: Target) -> None:
    many = [account("2026-07-01T12:00:00", externalId=f"K-{n}") for n in range(5)]
    target(load("accounts", *many))
    old = [one | {"externalUpdatedAt": "2026-06-30T12:00:00", "name": "Sena"} for one in many]
    run = target(load("accounts", *old, many[0] | {"externalId": "K-9"}))
    counts = run.counts("accounts")
    assert (counts["older"], counts["unchanged"], counts["created"]) == (5, 0, 1)
    assert run.report["total"]["older"] == 5
    said = [text for text in run.err.splitlines() if "WARNING" in text]
    assert any("accounts: 5 records: left out as older" in text for text in said)
    assert "0 unchanged, 5 older" in run.err
    plan = target(load("accounts", *old), dry_run=True)
    assert plan.counts("accounts")["older"] == 5
    assert {one["key"] for one in plan.report["plan"]["accounts"]["older"]} == {f"K-{n}" for n in range(5)}
    assert "< K-0" in plan.err


@pytest.mark.parametrize("wrong", ["Europe/Vilnus", "+02:00", "../etc/passwd", "Europe", "\x00"])
def test_a_zone_that_is_not_one(store: Store, target: Target, wrong: str) -> None:
    run = target(load("accounts", account(AT)), erp_timezone=wrong, expect=1)
    assert "erp_timezone: " in run.complaints[0]
    assert "Europe/Vilnius" in run.complaints[0]
    store.untouched()
