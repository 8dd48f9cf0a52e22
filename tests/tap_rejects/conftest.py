"""The real `tap-rejects`, reject files, and `target-vicai` with its sandbox to make true ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RunTap, runner
from tests.mapper_ivesk_vicai.conftest import mapper
from tests.target_vicai.conftest import target, vicai

__all__ = ["mapper", "target", "vicai"]

Record = dict[str, Any]


@pytest.fixture
def tap(tmp_path: Path) -> RunTap:
    """Run the real `tap-rejects` as a process; it reads the folder `tmp_path` unless told otherwise."""
    folder = tmp_path / "settings"
    folder.mkdir()
    return runner("tap_rejects", folder, {"path": str(tmp_path)})


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a reject file: `write(("stream", {...record...}, "reason"), ..., name="rejects-1.jsonl")`."""

    def write(*rejects: tuple[str, Record, str], name: str = "rejects-1.jsonl", end: str = "\n") -> Path:
        path = tmp_path / name
        lines = [line(number, *each) for number, each in enumerate(rejects, 1)]
        path.write_text("\n".join(lines) + end, encoding="utf-8")
        return path

    return write


def line(number: int, stream: str, record: Record, reason: str) -> str:
    """A line of a reject file."""
    mark = {"reason": reason, "at": f"2026-11-20T16:05:{number:02}.000Z", "line": 7 * number}
    return json.dumps({"type": "RECORD", "stream": stream, "record": record, "rejected": mark}, ensure_ascii=False)


def of(document: str = "dok-1", /, company: str = "302320404", **fields: Any) -> Record:
    """A record that mapper-ivesk-vicai made of a document."""
    return {"externalId": document, "ivesk_document_id": document, "ivesk_company_code": company, **fields}
