"""Whose records, whose credentials: what was set aside for one company is never written to another one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests.campaign import one_in
from tests.target_vicai.conftest import Record, Result, Target, lines, load, state
from tests.target_vicai.scene import AT, LONG, PDF
from tests.target_vicai.store import Store

OURS, THEIRS = "Fjordlys Regnskap AS", "Ąžuolas & Co AS"


def vendor(number: int, **changed: object) -> Record:
    return {"externalId": f"V-{number}", "externalUpdatedAt": AT, "name": f"UAB {number}"} | changed


def set_aside(target: Target, *vendors: Record) -> list[str]:
    """The lines of a reject file, corrected."""
    run = target(load("vendors", *(one | {"name": LONG} for one in vendors)), expect=1)
    return [text.replace(LONG, "Pataisyta") for text in run.reject_text.splitlines()]


def refused(run: Result) -> str:
    assert (run.status, run.writes) == (1, [])
    (said,) = run.complaints
    return said


def test_a_reject_file_of_another_company_is_refused(vicai: SandboxProcess, store: Store, target: Target) -> None:
    given = set_aside(target, vendor(1), vendor(2))
    vicai.control.vicai.options(company=THEIRS)
    said = refused(target([*given, state(1)], expect=1))
    for words in ("belongs to another company", f'line 2 is of "{OURS}"', f'the credentials are of "{THEIRS}"'):
        assert words in said
    store.untouched()
    vicai.control.vicai.options(company=OURS)
    assert target(given).counts("vendors")["created"] == 2
    store.change().only(vendors=(2, 0, 0))


@one_in(3)
@pytest.mark.parametrize(
    "change", ["bom", "utf-16", "utf-32", "cr", "crlf", "escaped", "list", "number", "case", "first"]
)
def test_however_it_was_saved(vicai: SandboxProcess, store: Store, target: Target, change: str) -> None:
    """By editors and scripts: what can be read is checked, and what is not the very name is another company."""
    text = "".join(f"{one}\n" for one in set_aside(target, vendor(1), vendor(2)))
    if change in {"list", "number", "case", "first"}:
        other = {"list": f'["{OURS}"]', "number": "5", "case": f'"{OURS.lower()}"', "first": f'"{THEIRS}"'}[change]
        text = text.replace(f'"company":"{OURS}"', f'"company":{other}', 1)
    else:
        vicai.control.vicai.options(company=THEIRS)
        text = text.replace("\n", {"cr": "\r", "crlf": "\r\n"}.get(change, "\n"))
        text = text.replace('"rejected"', '"reject\\u0065d"' if change == "escaped" else '"rejected"')
    run = target(
        [text.encode({"bom": "utf-8-sig", "utf-16": "utf-16", "utf-32": "utf-32"}.get(change, "utf-8"))], expect=1
    )
    assert "belongs to another company" in refused(run)
    store.untouched()


@pytest.mark.parametrize("settings", [{"compare": "none"}, {"dry_run": True}, {"max_rejects": 9}])
def test_whatever_the_settings(vicai: SandboxProcess, store: Store, target: Target, settings: Record) -> None:
    given = set_aside(target, vendor(1))
    vicai.control.vicai.options(company=THEIRS)
    refused(target(given, expect=1, **settings))
    store.untouched()


def test_nothing_is_written_when_only_its_last_line_is_another_companys(
    vicai: SandboxProcess, store: Store, target: Target
) -> None:
    """Two companies' files in one: the whole file is looked at before anything of it is loaded."""
    ours = set_aside(target, *map(vendor, range(8)))
    vicai.control.vicai.options(company=THEIRS)
    theirs = set_aside(target, vendor(9))
    vicai.control.vicai.options(company=OURS)
    said = refused(target([*ours, *theirs], expect=1))
    assert f'line 11 is of "{THEIRS}"' in said
    store.untouched()


def test_what_comes_before_a_reject_file_is_loaded(vicai: SandboxProcess, store: Store, target: Target) -> None:
    theirs = set_aside(target, vendor(9))
    vicai.control.vicai.options(company=THEIRS)
    run = target([*load("vendors", vendor(1)), state(1), *theirs, state(2)], expect=1)
    assert run.states == [{"n": 1}]
    assert [path for _, path in run.writes] == ["/vendors/V-1"]
    store.change().only(vendors=(1, 0, 0))


def test_a_reject_file_of_before_is_taken_and_warned_of(store: Store, target: Target) -> None:
    """0.1.0 wrote no company."""
    given = [json.loads(text) for text in set_aside(target, vendor(1), vendor(2))]
    for one in given[1:]:
        del one["rejected"]["company"]
    run = target(given)
    warnings = [text for text in run.err.splitlines() if "WARNING" in text and "cannot be checked" in text]
    assert len(warnings) == 1
    assert "whose 2 of its records are (the first is line 2)" in warnings[0]
    assert OURS in warnings[0]
    store.change().only(vendors=(2, 0, 0))


def test_a_service_that_names_no_company(vicai: SandboxProcess, store: Store, target: Target) -> None:
    given = set_aside(target, vendor(1))
    vicai.control.vicai.options(company=" ")
    run = target(given)
    assert "cannot be checked" in run.err
    assert run.report["company"] is None
    store.change().only(vendors=(1, 0, 0))


def test_the_company_stands_everywhere(store: Store, target: Target, tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(PDF)
    messages = [*load("attachments", {"document": str(tmp_path / "a.pdf")}), *load("vendors", vendor(1, name=LONG))]
    run = target(messages, expect=1)
    assert run.report["company"] == OURS
    assert [one["rejected"]["company"] for one in run.rejects] == [OURS]
    ledger = [json.loads(text) for text in (tmp_path / "ledger.jsonl").read_text().splitlines()]
    assert {one["company"] for one in ledger} == {OURS}


@pytest.mark.parametrize("expected", [OURS, f"  {OURS} ", "   "])
def test_the_expected_company(store: Store, target: Target, expected: str) -> None:
    target(load("vendors", vendor(1)), expected_company=expected)
    store.change().only(vendors=(1, 0, 0))


@pytest.mark.parametrize("expected", [THEIRS, OURS.upper(), OURS[:-1]])
def test_credentials_of_another_company_load_nothing(store: Store, target: Target, expected: str) -> None:
    said = refused(target([*load("vendors", vendor(1)), state(1)], expected_company=expected, expect=1))
    for words in (f'of "{OURS}"', f'expected_company is "{expected}"', "Nothing was loaded"):
        assert words in said
    assert "expected_company" in target([], "--test", expected_company=expected, expect=1).err
    store.untouched()


def test_a_company_that_cannot_be_told_is_not_the_expected_one(
    vicai: SandboxProcess, store: Store, target: Target
) -> None:
    vicai.control.vicai.options(company=" ")
    assert "expected_company" in refused(target(load("vendors", vendor(1)), expected_company=OURS, expect=1))
    store.untouched()


def test_a_large_reject_file_is_held_on_the_disk(target: Target, store: Store) -> None:
    """More than what is held in memory; every byte arrives."""
    given = set_aside(target, vendor(1))
    first = json.loads(given[1])
    first["record"]["remarks"] = "x" * 1024 * 1024
    many = [first | {"record": first["record"] | {"externalId": f"V-{n}"}} for n in range(20)]
    assert len(lines(many)) > 16 * 1024 * 1024
    assert target([given[0], *many]).counts("vendors")["created"] == 20
    store.change().only(vendors=(20, 0, 0))


def test_a_run_that_never_began_has_a_report_too(store: Store, target: Target) -> None:
    """Whoever watches reports sees that nothing was loaded, and the log says why, once."""
    run = target(load("vendors", vendor(1)), expect=1, client_secret="wrong")
    assert "client_id and client_secret are not accepted" in refused(run)
    assert (run.report["attachments"], run.report["total"]["received"]) == ([], 0)
    store.untouched()
