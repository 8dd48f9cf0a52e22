"""Files: the right bytes, under safe names, once, whole or not at all, and never with the API key."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pypdf
import pytest
import requests

from ap_connectors.sandbox.process import SandboxProcess
from tests.campaign import one_in
from tests.conftest import Run, RunTap


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "dokumentai"


@pytest.fixture(autouse=True)
def few(sandbox: SandboxProcess) -> None:
    sandbox.control.reset(documents=40)
    sandbox.control.clear_calls()


def downloads(sandbox: SandboxProcess) -> list[dict[str, Any]]:
    return [call for call in sandbox.control.calls() if call["path"].startswith("/storage")]


def files_in(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def check_all_there(run: Run, sandbox: SandboxProcess, folder: Path) -> None:
    documents = {document["id"]: document for document in sandbox.control.documents(with_url=True)}
    files = {record["document_id"]: record for record in run.records["document_files"]}
    assert set(files) == set(documents)
    assert {Path(record["path"]) for record in files.values()} == files_in(folder)
    for id_, record in files.items():
        held = Path(record["path"]).read_bytes()
        assert held == requests.get(documents[id_]["url"], timeout=10).content
        assert (record["bytes"], record["sha256"]) == (len(held), hashlib.sha256(held).hexdigest())
        assert (record["content_type"], record["error"]) == ("application/pdf", None)


def test_all_files_are_kept(sandbox: SandboxProcess, tap: RunTap, folder: Path) -> None:
    run = tap(documents_dir=str(folder))
    calls = downloads(sandbox)
    assert {call["key"] for call in calls} == {"none"}
    assert len(calls) == len(run.records["document_files"]) > 30
    check_all_there(run, sandbox, folder)
    first = run.records["exported_documents"][0]
    path = Path(run.records["document_files"][0]["path"])
    assert first["total"].to_eng_string() in pypdf.PdfReader(path).pages[0].extract_text()
    assert path.relative_to(folder).parts[:2] == (first["buyercode"], first["date"][:7])
    assert first["id"] in path.name


@pytest.mark.parametrize(("status", "code"), [(400, "RequestTimeout"), (409, "OperationAborted"), (403, "SlowDown")])
def test_a_storage_that_asks_for_patience_gets_it(
    sandbox: SandboxProcess, tap: RunTap, folder: Path, status: int, code: str
) -> None:
    sandbox.control.fault("storage", path="/storage", status=status, code=code, times=3, retry_after=0)
    check_all_there(tap(documents_dir=str(folder)), sandbox, folder)


def test_a_file_that_comes_compressed_is_not_unpacked(sandbox: SandboxProcess, tap: RunTap, folder: Path) -> None:
    sandbox.control.fault("large", path="/storage", megabytes=3)
    run = tap(documents_dir=str(folder))
    (error,) = [record["error"] for record in run.records["document_files"] if record["error"]]
    assert "127.0.0.1 sends it compressed (gzip), which was not asked for" in error
    assert len(files_in(folder)) == len(run.records["document_files"]) - 1


def test_files_are_not_downloaded_twice(sandbox: SandboxProcess, tap: RunTap, folder: Path) -> None:
    run = tap(documents_dir=str(folder))
    again = sandbox.control.export(count=3)
    (new,) = sandbox.control.add(1)
    sandbox.control.clear_calls()
    second = tap(documents_dir=str(folder), state=run.state)
    assert sorted(record["document_id"] for record in second.records["document_files"]) == sorted([*again, new])
    assert len(downloads(sandbox)) == 1
    known = {record["document_id"]: record for record in run.records["document_files"]}
    for record in second.records["document_files"]:
        if record["document_id"] in known:
            assert record == known[record["document_id"]]


@one_in(3)
@pytest.mark.parametrize(
    "fields",
    [
        {"docnum": "../../../../etc/passwd", "filename": "../../x.pdf"},
        {"docnum": "..", "filename": "x.pdf/../../.."},
        {"docnum": "C:\\Windows\\nul", "filename": "sąskaita „gegužė“.PDF"},
        {"docnum": "a\u0000b\nc", "filename": "x.p/df"},
        {"docnum": "Ž" * 300, "filename": "a." + "b" * 300},
        {"docnum": None, "filename": None, "date": None, "buyercode": "../..", "sellercode": "../.."},
        {"docnum": "/", "date": "../../2026", "buyercode": "", "sellercode": ""},
        {"id": "../../../tmp/evil", "docnum": "x"},
        {"id": ".", "docnum": "."},
    ],
)
def test_no_name_leaves_the_folder(
    sandbox: SandboxProcess, tap: RunTap, tmp_path: Path, folder: Path, fields: dict[str, str | None]
) -> None:
    sandbox.control.reset(documents=0)
    sandbox.control.add(1, overrides=fields)
    before = files_in(tmp_path)
    run = tap(documents_dir=str(folder))
    (record,) = run.records["document_files"]
    path = Path(record["path"])
    assert path.resolve().is_relative_to(folder.resolve())
    assert len(path.relative_to(folder).parts) == 3
    assert path.read_bytes().startswith(b"%PDF-")
    written = {p for p in files_in(tmp_path) - before if p.name not in {"config.json"}}
    assert written == {path}


def test_two_numbers_that_look_alike_get_two_files(sandbox: SandboxProcess, tap: RunTap, folder: Path) -> None:
    sandbox.control.reset(documents=0)
    sandbox.control.add(1, overrides={"docnum": "A/1", "id": "x/1"})
    sandbox.control.add(1, overrides={"docnum": "A?1", "id": "x?1"})
    run = tap(documents_dir=str(folder))
    assert len({record["path"] for record in run.records["document_files"]}) == 2
    check_all_there(run, sandbox, folder)


def test_an_expired_link_is_renewed(sandbox: SandboxProcess, tap: RunTap, folder: Path) -> None:
    sandbox.control.fault("expired", path="/storage", times=2)
    run = tap(documents_dir=str(folder))
    check_all_there(run, sandbox, folder)


def test_links_that_always_expire_stop_and_say_so(sandbox: SandboxProcess, tap: RunTap, folder: Path) -> None:
    sandbox.control.options(link_seconds=0)
    run = tap(documents_dir=str(folder), expect=1)
    assert len(run.complaints) == 1
    assert "expired" in run.complaints[0]
    assert "clock" in run.complaints[0]
    sandbox.control.options(link_seconds=3600)
    check_all_there(tap(documents_dir=str(folder), state=run.states[-1] if run.states else None), sandbox, folder)


def test_an_outage_of_the_storage_is_no_expired_link(sandbox: SandboxProcess, tap: RunTap, folder: Path) -> None:
    sandbox.control.fault("status", path="/storage", status=503, times=100_000)
    run = tap(documents_dir=str(folder), expect=1)
    assert len(run.complaints) == 1
    assert "503" in run.complaints[0]
    assert "expired" not in run.complaints[0]
    sandbox.control.clear_faults()
    check_all_there(tap(documents_dir=str(folder), state=run.states[-1] if run.states else None), sandbox, folder)


@one_in(3)
@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "truncate"},
        {"kind": "reset"},
        {"kind": "html"},
        {"kind": "status", "status": 500},
        {"kind": "status", "status": 429, "retry_after": 1},
    ],
    ids=lambda fault: "-".join(str(value) for value in fault.values()),
)
def test_passing_trouble_is_borne(sandbox: SandboxProcess, tap: RunTap, folder: Path, fault: dict[str, Any]) -> None:
    sandbox.control.fault(**fault, path="/storage", times=3)
    check_all_there(tap(documents_dir=str(folder)), sandbox, folder)


def test_a_document_that_is_a_web_page_itself(sandbox: SandboxProcess, tap: RunTap, folder: Path) -> None:
    """Only by its name is it told from the page of a proxy, and it must not stop all others for ever."""
    (page,) = sandbox.control.add(1, overrides={"filename": "sąskaita.HTML"})
    sandbox.control.file(page, "html")
    run = tap(documents_dir=str(folder))
    record = next(one for one in run.records["document_files"] if one["document_id"] == page)
    assert (record["content_type"], record["error"]) == ("text/html", None)
    assert b"<html" in Path(record["path"]).read_bytes().lower()
    assert record["path"].endswith(f"~{page}.html")
    assert len(files_in(folder)) == len(run.records["document_files"]) > 30


def test_a_lost_file_is_reported_and_the_rest_goes_on(sandbox: SandboxProcess, tap: RunTap, folder: Path) -> None:
    lost = sandbox.control.documents()[5]["id"]
    sandbox.control.file(lost, "gone")
    run = tap(documents_dir=str(folder))
    record = next(r for r in run.records["document_files"] if r["document_id"] == lost)
    assert record["path"] is record["bytes"] is record["sha256"] is None
    assert "404" in record["error"]
    assert len(run.records["document_files"]) == len(run.records["exported_documents"]) == len(files_in(folder)) + 1
    assert lost in run.err


def test_a_refused_link_is_tried_afresh_and_then_reported(sandbox: SandboxProcess, tap: RunTap, folder: Path) -> None:
    """Storage answers 403 for what is missing, too: one such file must not stop all others for ever."""
    path = next(d["url"] for d in sandbox.control.documents(with_url=True)).partition("?")[0]
    sandbox.control.fault("status", path=path.removeprefix(sandbox.url), status=403, times=1000)
    run = tap(documents_dir=str(folder))
    failed = [record for record in run.records["document_files"] if record["error"]]
    assert len(failed) == 1
    assert "403" in failed[0]["error"]
    assert len(files_in(folder)) == len(run.records["document_files"]) - 1


@one_in(3)
@pytest.mark.parametrize("url", [None, "", "/relative/x.pdf", "file:///etc/passwd"])
def test_a_document_without_a_usable_link(sandbox: SandboxProcess, tap: RunTap, folder: Path, url: str | None) -> None:
    (id_,) = sandbox.control.add(1, overrides={"url": url})
    run = tap(documents_dir=str(folder))
    (record,) = [record for record in run.records["document_files"] if record["document_id"] == id_]
    assert "no usable link" in record["error"]
    assert record["path"] is None


def test_credentials_of_the_folder_stay_out(tap: RunTap) -> None:
    run = tap(documents_dir="ftp://joe:hunter2@127.0.0.1:9/x", expect=1)
    assert len(run.complaints) == 1
    assert "hunter2" not in run.err + run.out


def test_files_from_the_queue_that_is_read(
    sandbox: SandboxProcess, tap: RunTap, catalog: Callable[..., dict[str, Any]], folder: Path
) -> None:
    run = tap(catalog=catalog("digitized_documents", "document_files"), documents_dir=str(folder))
    assert "/pub/exported" not in {call["path"][-13:] for call in sandbox.control.calls()}
    assert {r["document_id"] for r in run.records["document_files"]} == set(run.ids("digitized_documents"))


def test_files_of_both_queues(
    sandbox: SandboxProcess, tap: RunTap, catalog: Callable[..., dict[str, Any]], folder: Path
) -> None:
    """Each file is downloaded once, though two queues show its document; later runs have nothing to say."""
    chosen = catalog("digitized_documents", "exported_documents", "document_files")
    run = tap(catalog=chosen, documents_dir=str(folder))
    assert len(downloads(sandbox)) == len(files_in(folder)) == len(run.ids("digitized_documents"))
    again = tap(catalog=chosen, documents_dir=str(folder), state=run.state)
    assert again.records == {}
    assert "for the first time" not in again.err


def test_files_alone(
    sandbox: SandboxProcess, tap: RunTap, catalog: Callable[..., dict[str, Any]], folder: Path
) -> None:
    run = tap(catalog=catalog("document_files"), documents_dir=str(folder))
    assert set(run.records) == {"document_files"}
    check_all_there(run, sandbox, folder)


def test_a_folder_that_cannot_be_used(sandbox: SandboxProcess, tap: RunTap, tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("x")
    run = tap(documents_dir=str(tmp_path / "a file" / "files"), expect=1)
    assert len(run.complaints) == 1
    assert "documents_dir" in run.complaints[0]
    assert not run.states


def test_an_fsspec_url(sandbox: SandboxProcess, tap: RunTap, folder: Path) -> None:
    run = tap(documents_dir=f"file://{folder}")
    assert len(files_in(folder)) == len(run.records["document_files"]) > 30
    assert all(r["path"].startswith(f"file://{folder}/") for r in run.records["document_files"])


def test_an_unknown_kind_of_folder_is_explained(tap: RunTap) -> None:
    run = tap(documents_dir="nowhere://bucket/x", expect=1)
    assert len(run.complaints) == 1
    assert "documents_dir" in run.complaints[0]
