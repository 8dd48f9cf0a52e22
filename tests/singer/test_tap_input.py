"""State and catalog of a tap, from files as tools and people make them; what is another tap's is refused."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests import preloaded
from tests.campaign import one_in
from tests.conftest import Run, discovered

AT = {"replication_key": "exportedat", "replication_key_value": "2199-01-05T10:11:12.123Z"}
STATE: dict[str, Any] = {"bookmarks": {"exported_documents": AT}}

RunFiles = Callable[..., Run]


@pytest.fixture
def files(sandbox: SandboxProcess, tmp_path: Path) -> RunFiles:
    """Run tap-ivesk with files of these bytes: `files(state=..., catalog=..., config=...)`."""
    settings = {"api_key": sandbox.api_key, "api_url": sandbox.ivesk_url}

    def run(**contents: bytes) -> Run:
        command = [sys.executable, "-m", "tap_ivesk"]
        for option, content in {"config": json.dumps(settings).encode(), **contents}.items():
            (tmp_path / option).write_bytes(content)
            (tmp_path / option).chmod(0o600)
            command += [f"--{option}", str(tmp_path / option)]
        return Run.of(preloaded.run(command))

    return run


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_files_that_windows_tools_saved(files: RunFiles, sandbox: SandboxProcess, encoding: str) -> None:
    config = json.dumps({"api_key": f" {sandbox.api_key}\n", "api_url": f"{sandbox.ivesk_url} "})
    state, catalog = json.dumps(STATE), discovered("tap_ivesk").replace("\n", "\r\n")
    run = files(config=config.encode(encoding), state=state.encode(encoding), catalog=catalog.encode(encoding))
    assert (run.status, run.ids()) == (0, [])
    assert "UTF" not in run.err


@one_in(3)
@pytest.mark.parametrize("state", ["", " \n", "null", '{"type": "STATE", "value": null}', '{"singer_state": null}'])
def test_a_state_that_says_nothing_is_a_warning(files: RunFiles, state: str) -> None:
    run = files(state=state.encode())
    assert (run.status, len(run.ids()) > 200) == (0, True)
    assert "holds no state: everything is read from the beginning" in run.err


@pytest.mark.parametrize("state", ["{}", '{"bookmarks": {}}'])
def test_the_state_of_a_first_run(files: RunFiles, state: str) -> None:
    run = files(state=state.encode())
    assert (run.status, len(run.ids()) > 200) == (0, True)
    assert "WARNING" not in run.err


OF_ANOTHER = {"bookmarks": {"invoices": {"replication_key_value": "2026-01-05T10:11:12.123Z"}}}


@one_in(3)
@pytest.mark.parametrize(
    ("state", "words"),
    [
        ([], "state: must be one JSON object"),
        ([STATE], "state: must be one JSON object"),
        ("exported_documents", "state: must be one JSON object"),
        ({"bookmarks": None}, "has no 'bookmarks'"),
        ({"bookmarks": []}, "has no 'bookmarks'"),
        ({"bookmarks": {"exported_documents": None}}, "the bookmark of exported_documents is not an object"),
        ({"bookmarks": {"exported_documents": "2026-01-05T10:11:12Z"}}, "exported_documents is not an object"),
        *(
            (
                {"bookmarks": {"exported_documents": {**AT, **damage}}},
                f"the bookmark of exported_documents is damaged: {place} cannot be read. Restore it;",
            )
            for damage, place in (
                ({"seen": ["a"]}, "seen"),
                ({"seen": {AT["replication_key_value"]: [1]}}, "seen[...][0]"),
                ({"replication_key_value": {"a": 1}}, "replication_key_value"),
                ({"served": None}, "served"),
                ({"partitions": ["a"]}, "partitions[0]"),
                ({"partitions": [{"context": {}, "seen": 5}]}, "partitions[0].seen"),
            )
        ),
        (OF_ANOTHER, "is not a state of tap-ivesk: it has bookmarks of invoices, which it does not have"),
        ({"type": "STATE", "value": OF_ANOTHER}, "is not a state of tap-ivesk"),
        ({"singer_state": {"bookmarks": {"vendors": {}, "company": {}}}}, "bookmarks of company, vendors, which"),
        (
            {"bookmarks": {"exported_documents": {**AT, "replication_key": "updated_at"}}},
            "is not a state of tap-ivesk: it has bookmarks of exported_documents by another field",
        ),
    ],
)
def test_a_state_of_something_else_is_refused(files: RunFiles, state: Any, words: str) -> None:
    run = files(state=json.dumps(state).encode())
    assert (run.status, run.records) == (1, {})
    assert words in run.complaints[0]
    assert len(run.complaints) == 1


def test_a_log_of_states_is_told_from_a_state(files: RunFiles) -> None:
    log = "".join(f"{json.dumps(STATE)}\n" for _ in range(3)).encode()
    run = files(state=log)
    assert (run.status, run.records, len(run.complaints)) == (1, {}, 1)
    assert "state: holds more than one line of STATE. Hand in the last: tail -1" in run.complaints[0]
    # One that an editor has spread over lines is one.
    assert files(state=json.dumps(STATE, indent=1).encode()).ids() == []


def test_a_bookmark_too_many_is_a_warning(files: RunFiles) -> None:
    run = files(state=json.dumps({"bookmarks": {**STATE["bookmarks"], **OF_ANOTHER["bookmarks"]}}).encode())
    assert (run.status, run.ids()) == (0, [])
    assert "has bookmarks of invoices, which tap-ivesk does not have; they have no effect" in run.err


@one_in(3)
@pytest.mark.parametrize(
    ("catalog", "words"),
    [
        ("", "catalog: is empty."),
        ("null", "must be one JSON object"),
        ("[]", "must be one JSON object"),
        ("{}", "is not a catalog, which lists streams. Make one: tap-ivesk --discover"),
        ('{"streams": []}', "is not a catalog"),
        ('{"streams": null}', "is not a catalog"),
        ('{"streams": [{"stream": "exported_documents"}]}', "is not a catalog"),
        ('{"streams": ["exported_documents"]}', "is not a catalog"),
        ('{"streams": [{"tap_stream_id": "invoices"}]}', "is not a catalog of tap-ivesk: it lists invoices."),
        ('{"streams": [', "invalid JSON at line 1"),
        ("{", "invalid JSON"),
    ],
)
def test_a_catalog_of_something_else_is_refused(files: RunFiles, catalog: str, words: str) -> None:
    run = files(catalog=catalog.encode())
    assert (run.status, run.out) == (1, "")
    assert words in run.complaints[0]


def test_a_stream_too_many_in_the_catalog_is_a_warning(files: RunFiles) -> None:
    catalog = json.loads(discovered("tap_ivesk"))
    catalog["streams"].append({"tap_stream_id": "invoices", "stream": "invoices", "schema": {}, "metadata": []})
    run = files(catalog=json.dumps(catalog).encode(), state=json.dumps(STATE).encode())
    assert run.status == 0
    assert "lists invoices, which tap-ivesk does not have" in run.err


def test_bytes_that_are_not_text(files: RunFiles) -> None:
    run = files(state='{"bookmarks":\n{"Ąžuolas": {}}}'.encode("cp1257"))
    assert "state, line 2: is not UTF-8 text." in run.complaints[0]
    run = files(state=bytes(30))
    assert "state, line 1: has a NUL character" in run.complaints[0]
