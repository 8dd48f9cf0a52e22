"""Whose a state is: Įvesk does not say whose a key is, so the documents that were read last have to tell."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ap_connectors.sandbox.process import SandboxCompany, SandboxProcess
from tests import preloaded
from tests.conftest import Run, tap_command

STREAM = "exported_documents"


@pytest.fixture(scope="module")
def both() -> Iterator[SandboxProcess]:
    """Two accounts, each with documents and a key of its own."""
    with SandboxProcess(documents=30, companies=2) as process:
        yield process


def read(folder: Path, account: SandboxCompany, state: Any = None, *streams: str, **settings: Any) -> Run:
    given = {"api_key": account.api_key, "api_url": account.ivesk_url, **settings}
    catalog = [f"--catalog={chosen(folder, given, *streams)}"] if streams else []
    return Run.of(preloaded.run([*tap_command(folder, given, state=state), *catalog]))


def chosen(folder: Path, settings: dict[str, Any], *streams: str) -> Path:
    """A catalog in which only these streams are selected."""
    found = json.loads(preloaded.run([*tap_command(folder, settings), "--discover"]).stdout)
    for stream in found["streams"]:
        for each in stream["metadata"]:
            each["metadata"]["selected"] = stream["tap_stream_id"] in streams
    path = folder / "catalog.json"
    path.write_text(json.dumps(found), encoding="utf-8")
    return path


def test_the_state_of_another_account_is_refused(both: SandboxProcess, tmp_path: Path) -> None:
    """Else what the right account has exported before that state would never come."""
    one, other = both.company(1), both.company(2)
    first = read(tmp_path, other)
    assert (first.status, bool(first.ids())) == (0, True)
    run = read(tmp_path, one, first.state)
    assert (run.status, run.ids()) == (1, [])
    assert all(state["bookmarks"][STREAM] == first.state["bookmarks"][STREAM] for state in run.states)
    assert "the state belongs to another Įvesk account" in run.err
    assert one.api_key not in run.out + run.err
    assert other.api_key not in json.dumps(first.state)
    begun = read(tmp_path, one)
    assert begun.ids() == [document["id"] for document in one.control.documents()]


def test_a_key_that_was_renewed_goes_on(both: SandboxProcess, tmp_path: Path) -> None:
    """Also when what was read last was exported again since; and from states that say nothing of the key."""
    one = both.company(1)
    old = read(tmp_path, one).state
    renewed: dict[str, Any] = copy.deepcopy(old)
    renewed["bookmarks"][STREAM]["account"] = "0" * 16
    assert (read(tmp_path, one, renewed).status, read(tmp_path, one, renewed).ids()) == (0, [])
    last = [id_ for ids in renewed["bookmarks"][STREAM]["seen"].values() for id_ in ids]
    one.control.export(last)
    run = read(tmp_path, one, renewed)
    assert (run.status, sorted(run.ids())) == (0, sorted(last))
    assert run.state["bookmarks"][STREAM]["account"] == old["bookmarks"][STREAM]["account"]
    before: dict[str, Any] = copy.deepcopy(old)
    del before["bookmarks"][STREAM]["account"]
    assert read(tmp_path, one, before).status == 0


def test_what_was_digitized_may_have_been_exported_since(both: SandboxProcess, tmp_path: Path) -> None:
    one, stream = both.company(1), "digitized_documents"
    one.control.add(1, export=False)
    state: dict[str, Any] = read(tmp_path, one, None, stream).state
    seen = [id_ for ids in state["bookmarks"][stream]["seen"].values() for id_ in ids]
    one.control.export(seen)
    state["bookmarks"][stream]["account"] = "0" * 16
    assert read(tmp_path, one, state, stream).status == 0
    state["bookmarks"][stream]["seen"] = {at: ["gone"] for at in state["bookmarks"][stream]["seen"]}
    assert read(tmp_path, one, state, stream).status == 1


def test_a_renewed_key_after_the_newest_document_was_deleted(both: SandboxProcess, tmp_path: Path) -> None:
    """What was read shortly before it is remembered, too, and tells whose the key is."""
    one = both.company(1)
    first = read(tmp_path, one)
    held = first.state["bookmarks"][STREAM]
    gone = {"replication_key_value": "2199-01-01T00:01:00.000Z", "account": "of the former key"}
    seen = {**held["seen"], "2199-01-01T00:01:00.000Z": ["deleted"]}
    held |= {**gone, "settled": held["replication_key_value"], "seen": seen}
    run = read(tmp_path, one, first.state)
    assert (run.status, run.ids()) == (0, [])
