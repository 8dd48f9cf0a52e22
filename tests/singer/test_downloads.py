"""Files: names that stay inside, contents that are whole or not there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from ap_connectors.core.errors import Reject, Stop
from ap_connectors.singer.downloads import FileStore, safe_part

AWKWARD = [
    "",
    ".",
    "..",
    "...",
    "/",
    "\\",
    "../x",
    "a/b",
    "a\x00b",
    "~",
    "C:",
    " ",
    "\u202e",
    "\ud800",
    "x" * 500,
    "Ė" * 500,
]


@pytest.mark.parametrize("text", AWKWARD)
def test_safe_parts(text: str) -> None:
    part = safe_part(text)
    assert part
    assert not set(part) & set('/\\\x00~: \n"<>|?*')
    assert not part.startswith(".")
    assert len(part.encode()) <= 80


def test_different_texts_get_different_parts() -> None:
    texts = [*AWKWARD, "a_b", "a/b ", "a?b", "Ąžuolas", "ąžuolas", "x" * 501]
    assert len({safe_part(text) for text in texts}) == len(texts)


@pytest.mark.parametrize("text", ["SF-2026-0001", "Ąžuolas_ė.(1)", "AB+C,D", "漢字"])
def test_harmless_texts_stay(text: str) -> None:
    assert safe_part(text) == text


def test_written_and_found(tmp_path: Path) -> None:
    store = FileStore(str(tmp_path / "new" / "folder"))
    content = [b"%PDF-1.4 ", b"x" * 9_000_000, b"end"]
    written = store.write("a/b/c.pdf", content, "application/pdf")
    assert Path(written.path).read_bytes() == b"".join(content)
    assert (written.bytes, written.sha256) == (9_000_012, hashlib.sha256(b"".join(content)).hexdigest())
    assert store.find("a/b/c.pdf") == written
    assert store.find("a/b/d.pdf") is None


def test_what_breaks_off_is_not_there(tmp_path: Path) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"%PDF-1.4"
        raise ConnectionError

    store = FileStore(str(tmp_path))
    with pytest.raises(ConnectionError):
        store.write("x.pdf", chunks(), "application/pdf")
    assert list(tmp_path.iterdir()) == []


def test_a_new_write_replaces(tmp_path: Path) -> None:
    store = FileStore(str(tmp_path))
    store.write("x.txt", [b"one"], "text/plain")
    store.write("x.txt", [b"two"], "text/plain")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("x.txt", b"two")]


@pytest.mark.parametrize(
    ("name", "content", "kind", "words"),
    [
        ("x.pdf", b"", "application/pdf", "empty"),
        ("x.pdf", b"<html>", "application/octet-stream", "is labelled as a PDF but is not one"),
        ("x.bin", b"PK", "application/pdf", "is labelled as a PDF but is not one"),
    ],
)
def test_what_is_not_what_it_is_called_is_rejected(
    tmp_path: Path, name: str, content: bytes, kind: str, words: str
) -> None:
    with pytest.raises(Reject, match=words):
        FileStore(str(tmp_path)).write(name, [content], kind)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "x.pdf").touch()
    assert FileStore(str(tmp_path)).find("x.pdf") is None


def test_another_file_system() -> None:
    store = FileStore("memory://bucket/docs")
    written = store.write("a/x.pdf", [b"%PDF-1"], "application/pdf")
    assert written.path == "memory://bucket/docs/a/x.pdf"
    assert store.find("a/x.pdf") == written


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Stop, match="documents_dir"):
        FileStore(str(tmp_path / "file" / "x"))
