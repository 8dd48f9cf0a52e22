"""The codes and parameters of records whose document is no good, or may be there already."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from ap_connectors.core.errors import Reject
from ap_connectors.singer.document_sources import DocumentSources
from target_vicai import documents
from tests.target_vicai.codes import Bad, check
from tests.target_vicai.conftest import PREFIX, Target
from tests.target_vicai.scene import AT, PDF, Scene


def test_documents(target: Target, scene: Scene, tmp_path: Path) -> None:
    def file(name: str, content: bytes) -> str:
        path = tmp_path / name
        path.write_bytes(content)
        return str(path)

    office, page = file("a.bin", b"PK\x03\x04rest"), file("b.pdf", b"<!DOCTYPE html><html>")
    empty, pdf = file("c.pdf", b""), file("d.pdf", PDF)
    gone, folder = str(tmp_path / "e.pdf"), str(tmp_path)
    large = tmp_path / "g.pdf"
    with large.open("wb") as sparse:
        sparse.write(PDF)
        sparse.truncate(100 * 1024 * 1024 + 1)
    in_base64 = base64.b64encode(PDF).decode()
    training = {
        "externalId": "TR-1",
        "externalUpdatedAt": AT,
        "transactionType": "INVOICE",
        "refNumber": "1",
        "vendorExternalId": scene.vendor["externalId"],
    }
    check(
        target,
        Bad("document_missing", "attachments", {"documentName": "a.pdf"}, {}),
        Bad("document_missing", "training_invoices", training, {}),
        Bad("document_given_twice", "attachments", {"document": pdf, "documentBase64": in_base64}, {}),
        Bad("document_not_base64", "attachments", {"documentBase64": "%%%"}, {"problem": ...}),
        Bad("document_not_allowed", "attachments", {"document": "/etc/passwd"}, {"document": "/etc/passwd"}),
        Bad("document_not_found", "attachments", {"document": gone}, {"document": gone}),
        Bad("document_unreadable", "attachments", {"document": folder}, {"document": folder, "problem": ...}),
        Bad("document_empty", "attachments", {"document": empty}, {"document": empty}),
        Bad(
            "document_too_large",
            "attachments",
            {"document": str(large)},
            {"document": str(large), "most": "100 MB", "service": "Vic.ai"},
        ),
        Bad("document_type", "attachments", {"document": page}, {"document": "b.pdf"}),
        Bad("document_type", "attachments", {"document": pdf, "documentType": "exe"}, {"stated": "exe"}),
        Bad(
            "document_type_differs",
            "attachments",
            {"document": pdf, "documentType": "png"},
            {"document": "d.pdf", "stated": "png", "found": "PDF"},
        ),
        Bad(
            "document_type_unclear",
            "attachments",
            {"document": office},
            {"document": "a.bin", "found": "Office", "suffixes": ...},
        ),
    )


def test_a_document_that_somebody_still_writes(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(PDF)
    with documents.opened({"document": str(path)}, DocumentSources([str(tmp_path)])) as document:
        assert document is not None
        path.write_bytes(PDF * 2)
        with pytest.raises(Reject) as error:
            document.part("document")
    assert (error.value.code, error.value.params) == ("document_changed", {"document": str(path)})


def test_an_attachment_whose_answer_was_lost(target: Target, scene: Scene, tmp_path: Path) -> None:
    scene.vicai.control.fault("lost", path=f"{PREFIX}/attachments", times=10)
    params = {
        "name": scene.pdf.name,
        "service": "Vic.ai",
        "at": ...,
        "ledger": str(tmp_path / "ledger.jsonl"),
        "key": scene.sha256,
    }
    check(target, Bad("delivery_unknown", "attachments", {"document": str(scene.pdf)}, params))
