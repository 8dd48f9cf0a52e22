"""Uploads: what arrives in the storage, with which name, options and data; each document once."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import zipfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

import pytest

from ap_connectors.core.errors import Reject
from ap_connectors.ivesk.client import IveskClient
from ap_connectors.sandbox.process import SandboxProcess
from ap_connectors.singer import input_files as given
from ap_connectors.singer.document_sources import DocumentSources
from ap_connectors.singer.input_files import InputFile
from target_ivesk.sinks import LIMIT
from tests.conftest import Run, runner
from tests.target_ivesk.conftest import Record, held, ledger, pdf, puts
from tests.target_vicai.conftest import STYLES, Target, load, state, styled
from tests.target_vicai.scene import PDF

SAMPLES = Path(__file__).parents[3] / "shared" / "samples" / "peppol"
NESTED = {"byla": "Ąžuolas „7“", "eilė": [1, {"suma": Decimal("1234567890123456789.10")}], "tuščia": None}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("style", ["old", "new", "both"])
def test_a_document_arrives_once_whatever_the_headers_are_called(
    ivesk: SandboxProcess, target: Target, tmp_path: Path, style: str
) -> None:
    ivesk.control.options(upload_headers=style)
    path = pdf(tmp_path)
    run = target([*load("documents", {"document": str(path)}), state(1)])
    assert run.states == [{"n": 1}]
    [upload] = held(ivesk)
    assert (upload["name"], upload["sha256"], upload["puts"]) == ("sąskaita 1.pdf", sha256(PDF), 1)
    assert (upload["options"], upload["userdata"], upload["sourcedata"]) == ({}, None, None)
    assert run.counts("documents")["created"] == 1
    assert [line["state"] for line in ledger(tmp_path)] == ["sending", "sent"]
    assert ivesk.api_key not in (tmp_path / "ledger.jsonl").read_text()
    again = target([*load("documents", {"document": str(path)}), state(2)])
    assert (again.counts("documents")["unchanged"], again.states) == (1, [{"n": 2}])
    assert len(ivesk.control.uploads()) == 1, "not even a place was asked for"
    fingerprint = hashlib.sha256(ivesk.api_key.encode()).hexdigest()[:16]
    assert again.report["company"] == f"ivesk at {ivesk.url.partition('://')[2]} {fingerprint}"
    assert {line["company"] for line in ledger(tmp_path)} == {again.report["company"]}


def test_many_at_once_and_the_same_ones_among_them(ivesk: SandboxProcess, target: Target, tmp_path: Path) -> None:
    paths = [pdf(tmp_path, f"{number % 20}-{number}.pdf", str(number % 20)) for number in range(60)]
    ivesk.control.options(latency_ms=5)
    run = target([*load("documents", *({"document": str(path)} for path in paths)), state(1)], max_concurrency=20)
    assert (run.counts("documents")["created"], run.counts("documents")["unchanged"]) == (20, 40)
    assert len(held(ivesk)) == len(ivesk.control.uploads()) == 20
    assert {upload["sha256"] for upload in held(ivesk)} == {sha256(path.read_bytes()) for path in paths}


def test_other_userdata_is_another_document(ivesk: SandboxProcess, target: Target, tmp_path: Path) -> None:
    path = str(pdf(tmp_path))
    given = [{"a": 1, "b": 2}, {"b": 2, "a": 1}, "1", 1, None, ""]
    run = target(load("documents", *({"document": path, "userdata": userdata} for userdata in given)))
    assert run.counts("documents")["created"] == 3
    assert len(held(ivesk)) == 3


@pytest.mark.parametrize(
    "userdata", ["byla-Ž 1&2=3+4%", NESTED, 12345678901234567890], ids=["text", "object", "number"]
)
def test_userdata_comes_back_with_the_document(
    ivesk: SandboxProcess, target: Target, tmp_path: Path, userdata: Any
) -> None:
    """What Įvesk was given is handed out with a document, and read by the tap: it is what went in."""
    target(load("documents", {"document": str(pdf(tmp_path)), "userdata": userdata}))
    [upload] = held(ivesk)
    passed = {name: upload[name] for name in ("userdata", "sourcedata") if upload[name] is not None}
    (made,) = ivesk.control.add(1, overrides=passed)
    tap = runner("tap_ivesk", tmp_path, {"api_key": ivesk.api_key, "api_url": ivesk.ivesk_url})
    documents: Run = tap()
    (document,) = [record for record in documents.records["exported_documents"] if record["id"] == made]
    if isinstance(userdata, dict):
        for name in ("userdata", "sourcedata"):
            assert json.loads(document[name], parse_float=Decimal) == userdata
    else:
        assert (document["userdata"], "sourcedata" in passed) == (str(userdata), False)


def test_records_override_the_options_of_the_settings(ivesk: SandboxProcess, target: Target, tmp_path: Path) -> None:
    defaults = {"processlines": True, "checkduplicates": True, "warehouse": "Sandėlis", "tags": ["erp", "ž"]}
    chosen: list[Record] = [
        {},
        {"processlines": False, "splitdocuments": "true", "tags": "a, b", "allocation": "K-1"},
        {"process_lines": None, "REJECT_NON_INVOICES": True, "warehouse": 7, "tags": []},
    ]
    messages: list[Record] = []
    for number, options in enumerate(chosen):
        messages += load("documents", {"document": str(pdf(tmp_path, f"{number}.pdf", str(number)))} | options)
    run = target(messages, upload_options=defaults)
    assert not run.rejects
    found = {upload["name"]: upload["options"] for upload in held(ivesk)}
    rest = {"checkduplicates": True, "warehouse": "Sandėlis"}
    assert found["0.pdf"] == {"processlines": True, "tags": ["erp", "ž"], **rest}
    changed = {"processlines": False, "splitdocuments": True, "tags": ["a", "b"], "allocation": "K-1"}
    assert found["1.pdf"] == changed | rest
    tags = found["2.pdf"].pop("tags")
    assert tags in ([], [""]), "no tags, in place of the usual ones"
    assert found["2.pdf"] == {"processlines": True, "rejectnoninvoices": True, **rest, "warehouse": "7"}


@pytest.mark.parametrize("style", STYLES)
def test_names_match_in_any_spelling(ivesk: SandboxProcess, target: Target, style: str) -> None:
    record = {"fileName": "a.pdf", "documentBase64": base64.b64encode(PDF).decode(), "userdata": "u"}
    run = target(
        load("Documents", styled(record, STYLES[style]) | {"_sdc_batched_at": "2026-01-01", "kita.fields.x": 1})
    )
    [upload] = held(ivesk)
    assert (upload["name"], upload["userdata"], upload["sha256"]) == ("a.pdf", "u", sha256(PDF))
    assert "documents: kita.fields.x: ignored; Įvesk has no such field." in run.err
    assert "_sdc_batched_at" not in run.err


def test_names_say_what_the_file_is(ivesk: SandboxProcess, target: Target, tmp_path: Path) -> None:
    png, xml = b"\x89PNG\r\n\x1a\n" + bytes(9), "<?xml version='1.0'?><Ž/>".encode("utf-16")
    given: dict[str, tuple[bytes, str | None, str]] = {
        "a.PDF": (PDF + b"1", None, "a.PDF"),
        "be galūnės": (PDF + b"2", None, "be galūnės.pdf"),
        "skenuota.pdf": (png, None, "skenuota.pdf.png"),
        "b.jpeg": (b"\xff\xd8\xff\xe0" + bytes(9), "kita/.. ?#%&;.jpeg", "kita/.. ?#%&;.jpeg"),
        "c": (b"II*\0" + bytes(9), "..", "...tif"),
        "d": (xml, None, "d.xml"),
    }
    records = []
    for name, (content, called, _) in given.items():
        (tmp_path / name).write_bytes(content)
        records.append({"document": str(tmp_path / name)} | ({"file_name": called} if called else {}))
    (tmp_path / "in.zip").write_bytes(b"")
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        archive.writestr("2026/ę.pdf", PDF + b"3")
    records.append({"document": f"zip://2026/ę.pdf::{tmp_path}/in.zip"})
    records.append({"documentBase64": base64.b64encode(PDF + b"4").decode()})
    messages = [message for record in records for message in load("documents", record)]
    target(messages)
    found = {upload["sha256"]: upload["name"] for upload in held(ivesk)}
    expected = {sha256(content): name for content, _, name in given.values()}
    assert found == expected | {sha256(PDF + b"3"): "ę.pdf", sha256(PDF + b"4"): "document.pdf"}


def test_a_large_document_arrives_whole(ivesk: SandboxProcess, target: Target, tmp_path: Path) -> None:
    content = PDF + os.urandom(5_000_000)
    (tmp_path / "a.pdf").write_bytes(content)
    target(load("documents", {"document": f"file://{tmp_path}/a.pdf"}))
    [upload] = held(ivesk)
    assert (upload["sha256"], upload["size"]) == (sha256(content), len(content))


def test_what_is_no_good_is_set_aside_and_the_rest_goes_on(
    ivesk: SandboxProcess, target: Target, tmp_path: Path
) -> None:
    page, office, empty = tmp_path / "prisijunkite.pdf", tmp_path / "a.docx", tmp_path / "tuščia.pdf"
    page.write_bytes(b"<!doctype html><html>Sign in</html>")
    office.write_bytes(b"PK\x03\x04" + bytes(30))
    empty.write_bytes(b"")
    huge = pdf(tmp_path, "didelė.pdf")
    os.truncate(huge, 5 * 1024**3 + 1)
    good = {"document": str(pdf(tmp_path))}
    cases: list[tuple[Record, str]] = [
        ({"file_name": "a.pdf"}, "document is missing"),
        ({"document": "", "userdata": "x"}, "document is missing"),
        (good | {"documentBase64": "JVBERi0="}, "both given"),
        ({"document": str(tmp_path / "nėra.pdf")}, "nėra.pdf does not exist"),
        ({"document": str(tmp_path)}, "is a folder"),
        ({"document": str(empty)}, "tuščia.pdf is empty"),
        ({"document": str(page)}, "not of a type that is sent"),
        ({"document": str(office)}, "not of a type that is sent"),
        ({"document": str(huge)}, "larger than 5 GB"),
        ({"documentBase64": "%%%"}, "not base64"),
        ({"document": "nosuch://anna:slaptas@x/a.pdf?signature=abcdef"}, "can't be read"),
        ({"document": "s3://anna:slaptas@x/a.pdf?signature=abcdef"}, "add its folder, or the beginning of its URL"),
        (good | {"processlines": "taip"}, "processlines is neither true nor false"),
        (good | {"tags": ["a,b"]}, "contains a comma"),
        (good | {"userdata": Decimal("1e5000")}, "at most 1000 digits"),
        (good | {"userdata": True}, "userdata is neither text nor an object"),
        (good | {"file_name": "a\nb.pdf"}, "file_name contains a line break"),
        ({"document": 5, "DOCUMENT": "a"}, "more than one spelling"),
    ]
    messages = [message for record, _ in cases for message in load("documents", record)]
    run = target(
        [*messages, *load("documents", good), state(1)],
        expect=1,
        documents_from=[str(tmp_path), "nosuch://anna:slaptas@x"],
    )
    assert run.states == [{"n": 1}]
    told = {json.dumps(reject["record"], default=str): reject["rejected"]["reason"] for reject in run.rejects}
    for record, reason in cases:
        assert reason in told[json.dumps(record, default=str)]
    assert len(told) == len(cases)
    assert "slaptas" not in "".join(told.values())
    assert [upload["sha256"] for upload in held(ivesk)] == [sha256(PDF)]
    assert puts(run) == 1
    assert [line["state"] for line in ledger(tmp_path)] == ["sending", "sent"]


def test_a_document_that_is_still_being_written_is_not_sent(tmp_path: Path) -> None:
    path = pdf(tmp_path)
    with given.opened(str(path), None, None, sources=DocumentSources([str(tmp_path)]), limit=LIMIT) as found:
        assert found is not None
        assert found.sha256()
        with path.open("ab") as writer:
            writer.write(b"more")
        with pytest.raises(Reject, match=r"sąskaita 1\.pdf changed while it was being sent\.$"):
            found.open()


def test_a_document_that_is_written_to_while_it_is_sent_does_not_arrive(ivesk: SandboxProcess, tmp_path: Path) -> None:
    client = IveskClient(ivesk.api_key, ivesk.ivesk_url)
    changes: dict[str, Callable[[bytes], bytes]] = {
        "grows": lambda content: content + b"more",
        "is written anew": lambda content: content.replace(b"x", b"y"),
        "is cut": lambda content: content[:-1],
    }
    for name, change in changes.items():
        path = pdf(tmp_path, f"{name}.pdf", "x" * 1_000_000)
        with given.opened(str(path), None, None, sources=DocumentSources([str(tmp_path)]), limit=LIMIT) as found:
            assert found is not None
            assert found.sha256() == sha256(path.read_bytes())

            def read(
                found: InputFile = found, path: Path = path, change: Callable[[bytes], bytes] = change
            ) -> IO[bytes]:
                file, before = found.open(), path.stat().st_mtime_ns
                path.write_bytes(change(path.read_bytes()))
                # The clock of a file system has ticks of some milliseconds.
                os.utime(path, ns=(before + 1, before + 1))
                return file

            with pytest.raises(Reject, match=r"changed while it was being sent\.$"):
                client.put(client.location(path.name, {}), read, what=path.name)
    assert held(ivesk) == []


def test_a_deleted_record_is_left_alone(ivesk: SandboxProcess, target: Target, tmp_path: Path) -> None:
    run = target(
        [
            *load("documents", {"document": str(pdf(tmp_path)), "_sdc_deleted_at": "2026-01-01T00:00:00Z"}),
            *load("sync_errors", {"documentid": "1", "_SDC_DELETED_AT": "2026-01-01T00:00:00Z"}),
        ]
    )
    assert ivesk.control.uploads() == []
    assert run.counts("documents")["unchanged"] == run.counts("sync_errors")["unchanged"] == 1


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the samples are not here")
def test_peppol_invoices_arrive_byte_for_byte(ivesk: SandboxProcess, target: Target) -> None:
    paths = sorted(SAMPLES.glob("*.xml"))
    assert paths
    records = ({"document": str(path), "userdata": {"peppol": path.stem}} for path in paths)
    target(load("documents", *records), documents_from=[str(SAMPLES)])
    found = {(upload["name"], upload["sha256"], upload["sourcedata"]["peppol"]) for upload in held(ivesk)}
    assert found == {(path.name, sha256(path.read_bytes()), path.stem) for path in paths}
    assert {upload["content_type"] for upload in held(ivesk)} == {"application/xml"}
