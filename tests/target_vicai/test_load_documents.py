"""Documents of records: where they may come from, what they may be, and what is said of those that are no good."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import zipfile
from pathlib import Path
from typing import Any

import fsspec
import pytest

from ap_connectors.core.errors import Reject
from ap_connectors.singer.document_sources import DocumentSources
from target_vicai import documents
from target_vicai.documents import Document
from tests import privileges
from tests.target_vicai.conftest import Target, load
from tests.target_vicai.scene import PDF
from tests.target_vicai.store import Store

ANYWHERE = DocumentSources(
    ["/", "memory://in", "nosuch://in", "nosuch://anna:very-secret@files", "https://127.0.0.1:1"]
)

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
OFFICE = b"PK\x03\x04\x14\x00\x06\x00" + bytes(60)
XML = '<?xml version="1.0" encoding="UTF-8"?>\n<Invoice><cbc:Note>Sąskaita</cbc:Note></Invoice>'
OPEN_XML = "application/vnd.openxmlformats-officedocument"

TYPES = [
    ("a.pdf", PDF, "application/pdf"),
    ("mailed.pdf", b"\r\n" * 100 + PDF, "application/pdf"),
    ("without suffix", PDF, "application/pdf"),
    ("said otherwise.png", PDF, "application/pdf"),
    ("a.tif", b"II*\0" + bytes(90), "image/tiff"),
    ("a.tiff", b"MM\0*" + bytes(90), "image/tiff"),
    ("a.jpg", b"\xff\xd8\xff\xe0" + bytes(90), "image/jpeg"),
    ("a.PNG", b"\x89PNG\r\n\x1a\n" + bytes(90), "image/png"),
    ("a.gif", b"GIF89a" + bytes(90), "image/gif"),
    ("e.xml", XML.encode(), "text/xml"),
    ("bom.xml", b"\xef\xbb\xbf" + XML.encode(), "text/xml"),
    ("wide.xml", XML.encode("utf-16"), "text/xml"),
    ("e-faktura", b"<ubl:Invoice xmlns:ubl='urn:oasis'/>", "text/xml"),
    ("a.docx", OFFICE, f"{OPEN_XML}.wordprocessingml.document"),
    ("a.DOTX", OFFICE, f"{OPEN_XML}.wordprocessingml.template"),
    ("a.xlsx", OFFICE, f"{OPEN_XML}.spreadsheetml.sheet"),
    ("a.docm", OFFICE, "application/vnd.ms-word.document.macroEnabled.12"),
    ("a.xlsb", OFFICE, "application/vnd.ms-excel.sheet.binary.macroenabled.12"),
    ("a.doc", OLE, "application/msword"),
    ("a.xls", OLE, "application/vnd.ms-excel"),
]

NO_TYPES = [
    ("program.exe", b"MZ\x90\0" * 90, r"program\.exe is not of a type that Vic\.ai processes"),
    ("sign in.pdf", b"<!DOCTYPE html><html><body>Sign in</body></html>", r"not of a type"),
    ("xhtml.xml", b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"/>', r"not of a type"),
    ("text.txt", "Sąskaita faktūra".encode(), r"not of a type"),
    ("archive.zip", OFFICE, r"end the name in one of \.docx.*or say it in documentType"),
    ("locked.docx", OLE, r"end the name in one of \.doc,"),
    ("empty.pdf", b"", r"empty\.pdf is empty"),
]


def given(**extras: Any) -> tuple[str, str, bytes]:
    """Open a record's document: its name, its media type, its bytes as they are sent; twice the same ones."""
    with documents.opened(extras, ANYWHERE) as document:
        assert document is not None
        content = sent(document)
        assert (content, document.size) == (sent(document), len(content))
        assert document.sha256() == hashlib.sha256(content).hexdigest()
        return document.name, document.media, content


def sent(document: Document) -> bytes:
    part = document.part("document")
    assert (part.name, part.file_name, part.media) == ("document", document.name, document.media)
    assert not isinstance(part.content, bytes), "a file, lest it is all in memory"
    with part.content as content:
        return content.read()


def refused(**extras: Any) -> str:
    with pytest.raises(Reject) as error, documents.opened(extras, ANYWHERE):
        pass
    return str(error.value)


@pytest.mark.parametrize(("name", "content", "media"), TYPES, ids=[name for name, _, _ in TYPES])
def test_what_vic_processes_is_told_by_its_bytes(tmp_path: Path, name: str, content: bytes, media: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert given(document=str(path)) == (name, media, content)
    encoded = base64.b64encode(content).decode()
    assert given(documentBase64=encoded, documentName=name) == (name, media, content)


@pytest.mark.parametrize(("name", "content", "reason"), NO_TYPES, ids=[name for name, _, _ in NO_TYPES])
def test_what_vic_does_not_process_is_refused(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert_says(refused(document=str(path)), reason)


def assert_says(told: str, reason: str) -> None:
    assert re.search(reason, told), told


@pytest.mark.parametrize(
    ("stated", "media"),
    [
        ("docx", f"{OPEN_XML}.wordprocessingml.document"),
        (".XLSX", f"{OPEN_XML}.spreadsheetml.sheet"),
        ("application/vnd.ms-word.document.macroenabled.12", "application/vnd.ms-word.document.macroEnabled.12"),
    ],
)
def test_the_record_may_say_what_the_bytes_leave_open(stated: str, media: str) -> None:
    name, found, _ = given(documentBase64=base64.b64encode(OFFICE).decode(), documentType=stated)
    assert found == media
    assert name.startswith("document.")


def test_the_record_may_not_say_otherwise_than_the_bytes() -> None:
    encoded = base64.b64encode(PDF).decode()
    assert_says(refused(documentBase64=encoded, documentType="image/png"), r"documentType is image/png.*type PDF")
    assert_says(refused(documentBase64=encoded, documentType="text/html"), r"documentType is text/html.*not process")
    for stated in ("application/pdf; charset=binary", "PDF", "application/octet-stream", "", None):
        assert given(documentBase64=encoded, documentType=stated)[1] == "application/pdf"


def test_no_document_and_two_documents() -> None:
    for nothing in ({}, {"document": None}, {"document": "", "documentBase64": None}):
        with documents.opened(nothing, ANYWHERE) as document:
            assert document is None
    assert_says(refused(document="a.pdf", documentBase64="JVBERi0="), r"document and documentBase64 are both given")


def test_base64_in_lines_and_base64_that_is_none() -> None:
    wrapped = base64.encodebytes(PDF).decode().replace("\n", "\r\n")
    assert given(documentBase64=wrapped) == ("document.pdf", "application/pdf", PDF)
    for wrong in ("JVBERi0x!", "JVBERi0xL", "ąčę", "data:application/pdf;base64,JVBERi0x"):
        assert_says(refused(documentBase64=wrong), r"documentBase64 is not base64")


@pytest.mark.parametrize("live", [False, True])
def test_64_megabytes_are_the_most_and_100_today(tmp_path: Path, live: bool) -> None:
    path, most = tmp_path / "large.pdf", documents.MOST_BYTES[live]
    path.write_bytes(PDF)
    os.truncate(path, most)
    with documents.opened({"document": str(path)}, ANYWHERE, live=live) as document:
        assert document is not None
        assert document.size == most
    os.truncate(path, most + 1)
    with pytest.raises(Reject, match=r"100 MB" if live else r"64 MB"):
        documents.opened({"document": str(path)}, ANYWHERE, live=live).__enter__()
    if live:
        return
    assert_says(refused(document=str(path)), r"large\.pdf is larger than 64 MB")
    text = base64.b64encode(PDF + bytes(most)).decode()
    assert_says(refused(documentBase64=text), r"documentBase64 is larger than 64 MB")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert_says(refused(document=str(tmp_path / "nėra.pdf")), r"nėra\.pdf does not exist")
    assert_says(refused(document=str(tmp_path)), r"is a folder")
    assert_says(refused(document="a\0b.pdf"), r"can't be read")
    os.mkfifo(tmp_path / "pipe.pdf")
    assert_says(refused(document=str(tmp_path / "pipe.pdf")), r"not a regular file")


@pytest.mark.skipif(not privileges.can_be_dropped(), reason="root may read everything")
def test_files_that_may_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "secret.pdf"
    path.write_bytes(PDF)
    path.chmod(0)
    with privileges.dropped():
        assert_says(refused(document=str(path)), r"secret\.pdf may not be read")


def test_home_is_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.pdf").write_bytes(PDF)
    assert given(document="~/a.pdf")[2] == PDF


def test_fsspec_urls(tmp_path: Path) -> None:
    fsspec.filesystem("memory").pipe("/in/sąskaita 1.pdf", PDF)
    assert given(document="memory://in/sąskaita 1.pdf") == ("sąskaita 1.pdf", "application/pdf", PDF)
    (tmp_path / "b c.pdf").write_bytes(PDF)
    assert given(document=f"file://{tmp_path}/b c.pdf") == ("b c.pdf", "application/pdf", PDF)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("2026/d.pdf", PDF)
    assert given(document=f"zip://2026/d.pdf::{tmp_path}/all.zip") == ("d.pdf", "application/pdf", PDF)
    assert_says(refused(document="memory://in/none.pdf"), r"memory://in/none\.pdf does not exist")
    assert_says(refused(document="nosuch://in/a.pdf"), r"nosuch://in/a\.pdf can't be read: .*nosuch")


def test_what_is_fetched_is_gone_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    fsspec.filesystem("memory").pipe("/in/a.pdf", PDF)
    with documents.opened({"document": "memory://in/a.pdf"}, ANYWHERE):
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_fetched_file_may_not_be_too_large_either(monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec.filesystem("memory").pipe("/in/large.pdf", PDF + bytes(3000))
    monkeypatch.setattr(documents, "MOST_BYTES", {False: 2000})
    assert_says(refused(document="memory://in/large.pdf"), r"memory://in/large\.pdf is larger than 64 MB")


def test_no_message_shows_a_login_or_a_signature() -> None:
    told = refused(document="nosuch://anna:very-secret@files/a.pdf?X-Amz-Signature=abcdef")
    assert "very-secret" not in told
    told = refused(document="https://127.0.0.1:1/a.pdf?X-Amz-Signature=abcdef")
    assert "abcdef" not in told
    assert "https://127.0.0.1:1/a.pdf" in told


# Through the command


def test_nothing_is_created_for_a_document_that_is_no_good(store: Store, target: Target, tmp_path: Path) -> None:
    """An invoice whose document Vic would not take is not left there without one."""
    page = tmp_path / "prisijunkite.pdf"
    page.write_bytes(b"<html><title>Sign in</title></html>")
    vendor = store.all("vendors")[0]["externalId"]
    invoice = {"externalId": "S-1", "transactionType": "INVOICE", "vendorExternalId": vendor}
    run = target(
        load("invoices", invoice | {"document": str(page)}, invoice | {"documentBase64": "%%%"}, invoice), expect=1
    )
    assert ["type" in run.reasons[0], "base64" in run.reasons[1]] == [True, True]
    assert run.writes == [("POST", "/invoices")]
    store.change().only(invoices=(1, 0, 0))


def test_documents_are_sent_whole_and_from_zip_files_too(store: Store, target: Target, tmp_path: Path) -> None:
    content = PDF + os.urandom(3_000_000)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("vidus/ąčę 1.pdf", content)
    run = target(load("attachments", {"document": f"zip://vidus/ąčę 1.pdf::{tmp_path}/a.zip"}))
    assert not run.rejects
    (attachment,) = store.change().only(attachments=(1, 0, 0)).added("attachments")
    assert attachment["sha256"] == hashlib.sha256(content).hexdigest()
    assert attachment["fileName"] == "ąčę 1.pdf"


def test_records_cannot_make_the_target_read_this_machine_or_its_network(
    store: Store, target: Target, tmp_path: Path
) -> None:
    """By default, as a user has it; the emulated service is on this machine, so its own addresses may be asked."""
    secret = tmp_path / "secret.pdf"
    secret.write_bytes(PDF)
    given = [
        str(secret), f"file://{secret}", f"FILE://{secret}", f"local://{secret}", f"simplecache::file://{secret}",
        os.path.relpath(secret), f"zip://a.pdf::{secret}", "http://169.254.169.254/latest/meta-data/",
        "https://10.0.0.1/a.pdf", "https://[::ffff:10.0.0.1]/a.pdf", "s3://bucket/a.pdf", "memory://a.pdf",
    ]  # fmt: skip
    run = target(load("attachments", *({"document": one} for one in given)), expect=1, documents_from=None)
    assert {reject["rejected"]["code"] for reject in run.rejects} == {"document_not_allowed"}
    assert len(run.rejects) == len(given)
    store.change().only()
    here = f"{store.vicai.url}/nothing-is-here.pdf"
    run = target(load("attachments", {"document": here}), expect=1, documents_from=None)
    assert run.reasons == [f"The document {here} does not exist."]
    run = target(load("attachments", {"document": here}), expect=1, documents_from=["https://"])
    assert "documents_from" in run.reasons[0]
    run = target(load("attachments", {"document": str(secret)}), documents_from=[str(tmp_path), "https://"])
    store.change().only(attachments=(1, 0, 0))
