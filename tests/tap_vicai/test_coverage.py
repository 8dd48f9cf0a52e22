"""docs/vicai-coverage.md tells the truth: every operation of the contract, and what uses it."""

from __future__ import annotations

import re
from pathlib import Path

from ap_sandbox.process import SandboxProcess
from tap_vicai import streams
from tap_vicai.base import PartOfParent
from tests.conftest import MakeCatalog, RunTap
from tests.tap_vicai.test_vicai_streams import STREAMS
from vicai import contract

PAGE = Path(__file__).parents[2] / "docs" / "vicai-coverage.md"
ROW = re.compile(r"^\| `(\w+)` \| `(\w+) (\S+)` \| (.+) \|$", re.MULTILINE)


def rows() -> dict[str, tuple[str, str, str]]:
    return {name: (method, path, used) for name, method, path, used in ROW.findall(PAGE.read_text(encoding="utf-8"))}


def test_every_operation_is_listed_as_it_is() -> None:
    written = {name: (method, path) for name, (method, path, _) in rows().items()}
    assert written == {name: (one.method, one.path) for name, one in contract.operations().items()}
    assert len(written) == 71


def test_streams_are_listed_with_the_operation_they_use() -> None:
    written = {stream: name for name, (_, _, used) in rows().items() for stream in re.findall(r"stream `(\w+)`", used)}
    used: dict[str, str] = {}
    for stream in streams.ALL:
        source = (
            stream.parent_stream_type
            if issubclass(stream, PartOfParent) and not hasattr(stream, "operation")
            else stream
        )
        used[stream.name] = source.operation  # type: ignore[misc, union-attr]
    assert written == used
    assert all(used == "not yet" or "stream" in used or "every command" in used for _, _, used in rows().values())


def test_what_is_listed_as_used_is_really_called(
    vicai: SandboxProcess, tap: RunTap, catalog: MakeCatalog, tmp_path: Path
) -> None:
    """And what is listed as not yet used is not."""
    vicai.control.reset(documents=0, invoices=40, vicai={"extra_fields": True})
    tap(
        catalog=catalog(*STREAMS, "company", "invoice_documents", "training_invoice_documents"),
        documents_dir=str(tmp_path / "files"),
    )
    patterns = {
        (one.method, re.compile("/vicai/v0" + re.sub(r"\{\w+\}", "[^/]+", one.path))): name
        for name, one in contract.operations().items()
    }
    called = {
        name
        for call in vicai.control.calls()
        for (method, path), name in patterns.items()
        if call["method"] == method and path.fullmatch(call["path"])
    }
    assert called == {name for name, (_, _, used) in rows().items() if used != "not yet"}
