"""Errors for the accountant, each reported once however often the job runs; and input and settings that are wrong."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests.campaign import one_in
from tests.target_ivesk.conftest import API, Record, held, ledger, pdf
from tests.target_vicai.conftest import Target, lines, load, record, schema, state


@pytest.fixture
def errors(ivesk: SandboxProcess) -> list[Record]:
    """Errors of three documents."""
    documents = ivesk.control.documents()
    messages = ["Šalies „Japan“ nėra sąraše.", 'PVM kodas "X"\nneteisingas', "Trūksta sąskaitos 6312"]
    return [
        {"documentid": document["id"], "companycode": "302320404", "message": message}
        for document, message in zip(documents, messages, strict=False)
    ]


def test_each_is_reported_once_in_three_runs(
    ivesk: SandboxProcess, target: Target, tmp_path: Path, errors: list[Record]
) -> None:
    for number in range(3):
        run = target([*load("sync_errors", *errors, errors[0]), state(number)])
        assert run.states == [{"n": number}]
        assert run.counts("sync_errors")["created"] == (3 if number == 0 else 0)
        assert len(run.writes) == (3 if number == 0 else 0)
    assert sorted(ivesk.control.sync_errors(), key=str) == sorted(errors, key=str)
    # Something else about the same document is something else.
    changed = {"DOCUMENT_ID": errors[0]["documentid"], "companyCode": 302320404, "Message": "Kita bėda"}
    assert target(load("SyncErrors", changed)).counts("sync_errors")["created"] == 1
    assert len(ivesk.control.sync_errors()) == 4
    assert {line["state"] for line in ledger(tmp_path)} == {"sending", "sent"}


def test_the_same_error_of_a_new_export_is_reported_again(
    ivesk: SandboxProcess, target: Target, errors: list[Record]
) -> None:
    first, second = (f"2026-11-{day}T15:00:00.000Z" for day in (20, 21))
    exported = [errors[0] | {"exportedat": at} for at in (first, first, second)]
    for created in (2, 0):
        assert target(load("sync_errors", *exported)).counts("sync_errors")["created"] == created
    # What an earlier version has reported, without knowing of exports, is not reported again; nor is null an export.
    target(load("sync_errors", errors[1] | {"exportedat": None}))
    given = [errors[1] | {"exportedat": at} for at in (None, first)]
    assert target(load("sync_errors", *given)).counts("sync_errors")["unchanged"] == 2
    assert ivesk.control.sync_errors() == [errors[0], errors[0], errors[1]]


@one_in(3)
@pytest.mark.parametrize("kind", ["lost", "reset", "html", "status", "truncate"])
def test_in_doubt_it_is_left_to_a_person(
    ivesk: SandboxProcess, target: Target, tmp_path: Path, errors: list[Record], kind: str
) -> None:
    ivesk.control.fault(kind, method="POST", path=f"{API}/syncerrors")
    run = target([*load("sync_errors", errors[0]), state(1)], expect=None)
    assert run.states == [{"n": 1}]
    assert len(run.writes) == 1, "never repeated"
    if kind == "truncate":
        # The status came, and said that it was done.
        assert (run.status, ivesk.control.sync_errors()) == (0, errors[:1])
        return
    assert run.status == 1
    [line] = ledger(tmp_path)
    for words in (errors[0]["documentid"], "may be at Įvesk", line["key"]):
        assert words in run.reasons[0]
    assert target(run.reject_lines, expect=1).writes == []
    (tmp_path / "ledger.jsonl").write_text("")
    assert target(run.reject_lines).counts("sync_errors")["created"] == 1


def test_what_is_no_error_of_a_document_is_set_aside(
    ivesk: SandboxProcess, target: Target, tmp_path: Path, errors: list[Record]
) -> None:
    unknown = errors[0] | {"documentid": "7777707d-594d-420c-9174-ce278f823333"}
    cases: list[tuple[Record, str]] = [
        (unknown, "Document 7777707d-594d-420c-9174-ce278f823333 does not exist"),
        ({"documentid": "1"}, "companycode, message are missing or empty."),
        (errors[0] | {"message": " \n"}, "message is missing or empty."),
        (errors[0] | {"message": "\u200b\u2003"}, "message is missing or empty."),
        (errors[0] | {"companycode": "\xa0\u200b"}, "companycode is missing or empty."),
        (errors[0] | {"companycode": {"a": 1}}, "companycode is not text"),
    ]
    messages = [message for given, _ in cases for message in load("sync_errors", given)]
    run = target([*messages, *load("sync_errors", errors[1])], expect=1)
    told = {json.dumps(one["record"]): one["rejected"]["reason"] for one in run.rejects}
    assert len(told) == len(cases)
    for given, reason in cases:
        assert reason in told[json.dumps(given)]
    assert ivesk.control.sync_errors() == [errors[1]]
    assert "refused" in [line["state"] for line in ledger(tmp_path)]


def test_ids_are_told_apart_without_what_surrounds_them(
    ivesk: SandboxProcess, target: Target, errors: list[Record]
) -> None:
    """Systems pad ids to a width; a message keeps its own white space."""
    told = errors[0] | {"message": " Klaida "}
    padded = [told | {name: f"\u00a0{told[name]} \u200b"} for name in ("documentid", "companycode")]
    run = target(load("sync_errors", *padded, told))
    assert run.counts("sync_errors")["created"] == 1
    assert ivesk.control.sync_errors() == [told]


def test_throttled_errors_are_reported_once(ivesk: SandboxProcess, target: Target, errors: list[Record]) -> None:
    ivesk.control.fault("status", method="POST", path=f"{API}/syncerrors", status=429, retry_after=0, times=2)
    assert len(target(load("sync_errors", errors[0])).writes) == 3
    assert ivesk.control.sync_errors() == errors[:1]


def test_another_account_has_a_book_of_its_own(
    ivesk: SandboxProcess, target: Target, tmp_path: Path, errors: list[Record]
) -> None:
    target(load("sync_errors", errors[0]))
    lines = ledger(tmp_path)
    for line in lines:
        line["owner"] = "app.ivesk.lt 0123456789abcdef"
    (tmp_path / "ledger.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert target(load("sync_errors", errors[0])).counts("sync_errors")["created"] == 1


def test_a_reject_file_of_another_account_is_refused(
    ivesk: SandboxProcess, target: Target, errors: list[Record]
) -> None:
    """Įvesk names no account, so the fingerprint of the key tells whose it is."""
    bad = target(load("sync_errors", *(one | {"message": " "} for one in errors[:2])), expect=1).reject_lines
    account = bad[1]["rejected"]["company"]
    fingerprint = hashlib.sha256(ivesk.api_key.encode()).hexdigest()[:16]
    assert account == f"ivesk at {ivesk.url.removeprefix('http://')} {fingerprint}"
    for one in bad[1:]:
        one["record"]["message"] = "Klaida"
    bad[2]["rejected"]["company"] = theirs = account.replace(fingerprint, "0123456789abcdef")
    run = target(bad, expect=1)
    assert f'line 3 is of "{theirs}", the credentials are of "{account}"' in run.complaints[0]
    assert run.writes == []
    assert ivesk.control.sync_errors() == []
    bad[2]["rejected"]["company"] = account
    run = target(bad)
    assert run.counts("sync_errors")["created"] == 2
    assert run.report["company"] == account


# Input, settings


def test_a_wrong_key_is_told_before_anything_is_read(ivesk: SandboxProcess, target: Target, tmp_path: Path) -> None:
    messages = load("documents", {"document": str(pdf(tmp_path))})
    run = target(messages, api_key="wrong-key-0123456789", expect=1)
    assert "api_key is not accepted" in run.complaints[-1]
    assert "wrong-key-0123456789" not in run.err
    assert ivesk.control.uploads() == []
    run = target(messages, api_url=f"{ivesk.url}/nothing", expect=1)
    assert "Check api_url" in run.complaints[-1]


def test_a_reject_file_is_not_read_and_written_at_once(target: Target, tmp_path: Path) -> None:
    path = tmp_path / "rejects.jsonl"
    path.write_bytes(lines(load("sync_errors", {"documentid": "7"})))
    before = path.read_bytes()
    run = target([], f"--input={path}", rejects_path=str(path), expect=1)
    assert "is the file that is read" in run.complaints[-1]
    assert path.read_bytes() == before


def test_looking_whether_a_load_could_begin(ivesk: SandboxProcess, target: Target) -> None:
    run = target([], "--test")
    assert run.out.startswith("target-ivesk: ivesk at 127.0.0.1")
    assert "accepts the key with the fingerprint " in run.out
    assert [call["path"] for call in run.calls] == [f"{API}/exported"]


WRONG: list[tuple[list[Any], str]] = [
    (["{not json"], r"Line 3 of the input is not JSON"),
    ([record("other", a=1)], "Line 3: a RECORD of the stream other came before its SCHEMA"),
    ([schema("vendors", "a")], "Line 3: the stream vendors is unknown. target-ivesk loads documents, sync_errors"),
]


@pytest.mark.parametrize(("more", "words"), WRONG)
def test_wrong_input_ends_the_run_and_what_came_before_is_done(
    ivesk: SandboxProcess, target: Target, tmp_path: Path, more: list[Any], words: str
) -> None:
    run = target([*load("documents", {"document": str(pdf(tmp_path))}), *more, state(1)], expect=1)
    assert words in run.complaints[-1]
    assert (run.states, len(held(ivesk))) == ([], 1)


SETTINGS: list[tuple[Record, str]] = [
    ({"api_key": None}, "api_key is missing"),
    ({"upload_options": {"proceslines": True}}, "upload_options: proceslines is not an option"),
    ({"upload_options": {"processlines": "ja"}}, "upload_options.processlines must be true or false"),
    ({"upload_options": {"tags": ["a,b"]}}, "upload_options: tags: 'a,b' contains a comma"),
    ({"ledger_path": "/dev/null/a"}, "ledger_path: /dev/null/a can't be used"),
]


@pytest.mark.parametrize(("changed", "words"), SETTINGS, ids=[words for _, words in SETTINGS])
def test_wrong_settings_are_explained(
    ivesk: SandboxProcess, target: Target, tmp_path: Path, changed: Record, words: str
) -> None:
    run = target(load("documents", {"document": str(pdf(tmp_path))}), expect=1, **changed)
    assert any(words in complaint for complaint in run.complaints), run.complaints
    assert held(ivesk) == []


def test_the_example_of_the_docs_is_loaded(ivesk: SandboxProcess, target: Target, errors: list[Record]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "target-ivesk.md").read_text(encoding="utf-8")
    example = page.partition("```jsonl\n")[2].partition("```")[0]
    known = example.replace("7777707d-594d-420c-9174-ce278f823333", errors[0]["documentid"])
    target(known.splitlines())
    [upload] = held(ivesk)
    assert (upload["name"], upload["sourcedata"]) == ("90418.pdf", {"case": "A-7"})
    assert len(ivesk.control.sync_errors()) == 1


def test_the_docs_list_the_settings(target: Target) -> None:
    page = (Path(__file__).parents[2] / "docs" / "target-ivesk.md").read_text(encoding="utf-8")
    about = json.loads(target([], "--about", "--format=json").out)["settings"]["properties"]
    for name, setting in about.items():
        if not name.startswith(("stream_map", "faker", "flattening")):
            assert f"| `{name}` |" in page
            assert setting["description"] in page


def test_files_with_bank_accounts_are_not_open_to_all(ivesk: SandboxProcess, target: Target, tmp_path: Path) -> None:
    path = tmp_path / "rejects.jsonl"
    path.touch()
    path.chmod(0o644)
    told = "every user of this machine may read"
    bad = load("documents", {"document": "/etc/passwd"}, {"document": "/etc/shadow"})
    run = target(bad, expect=1, rejects_path=str(path))
    assert run.err.count(told) == 1
    path.chmod(0o600)
    assert told not in target(bad, expect=1, rejects_path=str(path)).err
    assert told not in target(bad, expect=1, rejects_path=str(tmp_path / "new.jsonl")).err
    assert (tmp_path / "new.jsonl").stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a link of another user's")
@pytest.mark.parametrize("setting", ["rejects_path", "ledger_path", "report_path"])
def test_links_of_other_users_are_not_written_through(
    ivesk: SandboxProcess, target: Target, tmp_path: Path, setting: str
) -> None:
    victim, link = tmp_path / "victim", tmp_path / "link.json"
    link.symlink_to(victim)
    os.lchown(link, 54321, 54321)
    given = load("documents", {"document": str(pdf(tmp_path))}, {"document": "/etc/passwd"})
    run = target(given, expect=1, **{setting: str(link)})
    assert "it is a link that another user made" in run.err
    assert "Traceback" not in run.err
    assert not victim.exists()
