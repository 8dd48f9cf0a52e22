"""Documents of records: what makes one unusable, as sentence, code and parameters; and what a file is by its bytes."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import pytest

from ap_connectors.core.errors import Reject
from ap_connectors.core.reject_codes import CODES
from ap_connectors.singer.document_sources import DocumentSources
from ap_connectors.singer.input_files import Limit, file_type, opened

ANYWHERE = DocumentSources(["/"])
LIMIT = Limit(10, "10 bytes", "Vic.ai")


def refused(document: str | None, in_base64: str | None = None, name: str | None = None) -> Reject:
    with pytest.raises(Reject) as caught, opened(document, in_base64, name, sources=ANYWHERE, limit=LIMIT):
        pass
    assert caught.value.code in CODES
    return caught.value


@pytest.mark.parametrize(
    ("make", "words", "code", "params"),
    [
        (None, "does not exist", "document_not_found", {}),
        (Path.mkdir, "is a folder", "document_unreadable", {"problem": "is a folder"}),
        (os.mkfifo, "is not a regular file", "document_unreadable", {"problem": "is not a regular file"}),
        (Path.touch, "is empty", "document_empty", {}),
        (
            lambda path: path.write_bytes(b"x" * 11),
            "is larger than 10 bytes, which is the most that Vic.ai takes",
            "document_too_large",
            {"most": "10 bytes", "service": "Vic.ai"},
        ),
    ],
)
def test_a_path_that_is_no_use(tmp_path: Path, make: Any, words: str, code: str, params: dict[str, Any]) -> None:
    path = tmp_path / "a.pdf"
    if make:
        make(path)
    reject = refused(str(path))
    assert str(reject) == f"The document {path} {words}."
    assert (reject.code, reject.params) == (code, {"document": str(path), **params})


def test_base64_that_is_no_use() -> None:
    reject = refused(None, "~~~~")
    assert (reject.code, list(reject.params)) == ("document_not_base64", ["problem"])
    reject = refused(None, base64.b64encode(b"x" * 11).decode(), "a.pdf")
    assert (reject.code, reject.params["document"]) == ("document_too_large", "a.pdf")
    assert refused("a.pdf", "eA==").code == "document_given_twice"


def test_a_file_that_changes(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(b"%PDF-1.7")
    with opened(str(path), None, None, sources=ANYWHERE, limit=LIMIT) as document:
        assert document
        path.write_bytes(b"%PDF-1.7\n")
        with pytest.raises(Reject) as caught:
            document.sha256()
    assert (caught.value.code, caught.value.params) == ("document_changed", {"document": str(path)})


def test_a_record_without_a_document() -> None:
    with opened(None, "", None, sources=ANYWHERE, limit=LIMIT) as document:
        assert document is None


@pytest.mark.parametrize(
    ("start", "found"),
    [
        (b"junk before the mark %PDF-1.7", "PDF"),
        (b"II*\0rest", "TIFF"),
        (b"\xff\xd8\xff\xe0", "JPEG"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"GIF89a", "GIF"),
        (b"PK\x03\x04", "ZIP"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "OLE"),
        (b"<?xml version='1.0'?><Invoice/>", "XML"),
        ("\ufeff<Invoice/>".encode("utf-16"), "XML"),
        (b"<!DOCTYPE html><html>Sign in</html>", None),
        (b"plain text", None),
        (b"", None),
    ],
)
def test_the_type_of_a_file(start: bytes, found: str | None) -> None:
    assert file_type(start) == found
