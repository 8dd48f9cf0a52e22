"""The file of a document: on disk or behind its link, named as Vic takes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.mapper_ivesk_vicai.conftest import (
    COMPANY,
    Mapper,
    document,
    messages,
    record,
)


def test_a_file_on_disk_goes_before_the_link(mapper: Mapper, tmp_path: Path) -> None:
    facts: list[dict[str, Any]] = [
        {"document_id": "d-1", "path": "kept/SF-1~d-1.pdf", "bytes": 3, "error": None},
        {"document_id": "d-2", "path": None, "error": "document d-2: the storage has lost the file"},
    ]
    told: list[dict[str, Any]] = [
        {"type": "SCHEMA", "stream": "document_files", "schema": {}, "key_properties": ["document_id"]}
    ]
    told += [record(one, "document_files") for one in facts]
    folder = tmp_path / "files" / COMPANY / "2026-03"
    folder.mkdir(parents=True)
    (folder / "SF-1~d-3.pdf").write_bytes(b"%PDF-")
    documents = [document(id=f"d-{n}", url=f"https://storage.example/{n}") for n in (1, 2, 3)]
    done = mapper([*told, *messages(*documents)], documents_dir=str(tmp_path / "files"))
    assert [found["document"] for found in done.records("training_invoices")] == [
        "kept/SF-1~d-1.pdf",
        "https://storage.example/2",
        str(folder / "SF-1~d-3.pdf"),
    ]


def test_a_folder_that_is_not_there_is_named(mapper: Mapper) -> None:
    done = mapper(messages(document()), documents_dir="nirgends", expect=1)
    assert done.complaints == ["documents_dir: nirgends cannot be read: the folder does not exist."]


def test_without_a_file_nothing_is_said_of_one(mapper: Mapper) -> None:
    found = mapper(messages(document(url=None))).only
    assert not {"document", "documentName"} & found.keys()


def test_a_name_too_long_for_vic_is_left_out(mapper: Mapper) -> None:
    done = mapper(messages(document(filename="ž" * 252 + ".pdf"), document(id="d-2", filename="ž" * 251 + ".pdf")))
    first, second = done.records("training_invoices")
    assert "documentName" not in first
    assert second["documentName"] == "ž" * 251 + ".pdf"


def test_what_the_service_calls_a_link_is_one_of_the_web(mapper: Mapper) -> None:
    wrong = [
        "file:///etc/passwd", "/etc/passwd", "local:///etc/passwd", "FILE:///etc/passwd", "s3://bucket/a.pdf", "a.pdf",
        "http:///etc/passwd", "https://a.example/x::file:///etc/passwd", "zip://a::https://a.example/x.zip",
        "http:a.pdf",
    ]  # fmt: skip
    right = [
        "https://a.example/a.pdf?b=c",
        "HTTP://127.0.0.1:1/a.pdf",
        "https://[::1]/a.pdf",
        "https://anna:pw@a.example/x",
    ]
    given = [document(id=f"d-{number}", url=url) for number, url in enumerate([*wrong, *right])]
    done = mapper(messages(*given), expect=1)
    assert [found["document"] for found in done.records("training_invoices")] == right
    assert [one["rejected"]["code"] for one in done.rejects] == ["document_not_allowed"] * len(wrong)


def test_paths_that_the_mapper_hands_on_are_inside(mapper: Mapper, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files/link.pdf").symlink_to("/etc/passwd")
    inside, linked, outside = (f"{tmp_path}/{name}" for name in ("files/a.pdf", "files/link.pdf", "b.pdf"))
    told: list[dict[str, Any]] = [
        {"type": "SCHEMA", "stream": "document_files", "schema": {}, "key_properties": ["document_id"]}
    ]
    paths = [inside, linked, outside, "/etc/passwd", "s3://bucket/in/a.pdf", "s3://bucket/out/a.pdf"]
    told += [record({"document_id": f"d-{n}", "path": path}, "document_files") for n, path in enumerate(paths)]
    given = [*told, *messages(*(document(id=f"d-{n}") for n, _ in enumerate(paths)))]
    done = mapper(given, expect=1, documents_from=[f"{tmp_path}/files", "s3://bucket/in"])
    assert [found["document"] for found in done.records("training_invoices")] == [inside, "s3://bucket/in/a.pdf"]
    done = mapper(given, expect=1, documents_dir=f"{tmp_path}/files")
    assert [found["document"] for found in done.records("training_invoices")] == [inside]
    done = mapper(messages(document()), documents_from=["s3://"], expect=1)
    assert done.complaints == ["documents_from: s3:// names no folder, host or bucket. Add it."]
