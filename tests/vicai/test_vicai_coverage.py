"""docs/vicai-coverage.md tells the truth: every operation of the contract, and what uses it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from ap_connectors.vicai import contract
from tap_vicai import streams
from tap_vicai.base import ChildStream
from target_vicai.streams import ALL
from tests.conftest import catalogs, runner
from tests.tap_vicai.conftest import settings
from tests.tap_vicai.test_live_streams import LIVE
from tests.tap_vicai.test_vicai_streams import STREAMS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "vicai-coverage.md"
ROW = re.compile(r"^\| `(\w+)` \| `(\w+) (\S+)` \| (.+) \|$", re.MULTILINE)
EVERYBODY = {"obtainToken", "healthCheck"}
"""What every command of Vic.ai calls."""


def rows() -> dict[str, tuple[str, str, str]]:
    """Every operation of the table: method, path, and what uses it."""
    return {name: (method, path, used) for name, method, path, used in ROW.findall(PAGE.read_text(encoding="utf-8"))}


def test_every_operation_is_listed_as_it_is() -> None:
    written = {name: (method, path) for name, (method, path, _) in rows().items()}
    unused = {name: tuple(call.split()) for name, (call, _) in contract.unused().items()}
    known = {name: (one.method, one.path) for name, one in contract.operations().items()} | unused
    wrong = sorted(name for name in written.keys() | known.keys() if written.get(name) != known.get(name))
    assert not wrong, f"Rows that the contract does not have so, or that are missing: {wrong}"
    assert len(written) == 173
    reasons = {name: used for name, (_, _, used) in rows().items() if used.startswith("no: ")}
    unused_for = {name: f"no: {why}" for name, (_, why) in contract.unused().items()}
    wrong = sorted(name for name in reasons.keys() | unused_for.keys() if reasons.get(name) != unused_for.get(name))
    assert not wrong, f"Rows whose reason is not that of x-unused in live.json, or that are used by now: {wrong}"


def test_streams_are_listed_with_the_operation_they_use() -> None:
    written = {stream: name for name, (_, _, used) in rows().items() for stream in re.findall(r"stream `(\w+)`", used)}
    used: dict[str, str] = {}
    for stream in streams.ALL:
        source = (
            stream.parent_stream_type
            if issubclass(stream, ChildStream) and not hasattr(stream, "operation")
            else stream
        )
        used[stream.name] = source.operation  # type: ignore[misc, union-attr]
    wrong = sorted(name for name in written.keys() | used.keys() if written.get(name) != used.get(name))
    assert not wrong, f"Streams without a row that says stream `NAME`, or in the row of another operation: {wrong}"


def test_users_are_named_in_one_way() -> None:
    for name, (_, _, used) in rows().items():
        if name in contract.unused():
            continue
        for user in used.split(", "):
            named = re.fullmatch(r"(stream|load of) `\w+`|ap-webhooks|ap-tieout|not used", user)
            assert named or (name in EVERYBODY and user.startswith("every command")), (name, user)
        assert used == "not used" or "not used" not in used


def test_what_is_listed_as_read_is_really_called(sandbox: SandboxProcess, tmp_path: Path) -> None:
    """And what no stream is listed with is not."""
    sandbox.control.reset(documents=0, invoices=40, vicai={"extra_fields": True})
    sandbox.control.clear_calls()
    runner("tap_vicai", tmp_path, settings(sandbox))(
        catalog=catalogs("tap_vicai")(*STREAMS, *LIVE, "company", "invoice_documents", "training_invoice_documents"),
        documents_dir=str(tmp_path / "files"),
        company_ids=["ALL"],
    )
    patterns = {
        (one.method, re.compile(root(one.path) + re.sub(r"\{\w+\}", "[^/]+", one.path))): name
        for name, one in contract.operations().items()
    }
    called = {
        name
        for call in sandbox.control.calls()
        for (method, path), name in patterns.items()
        if call["method"] == method and path.fullmatch(call["path"])
    }
    listed = {name for name, (_, _, used) in rows().items() if "stream `" in used} | EVERYBODY
    assert not (unlisted := sorted(called - listed)), f"Called for a stream, and in no row of one: {unlisted}"
    uncalled = sorted(listed - called)
    assert not uncalled, f"In a row of a stream, and never called: {uncalled}; what is read: STREAMS, LIVE"


def root(path: str) -> str:
    return "/vicai" if path.startswith("/v2/") else "/vicai/v0"


def test_target_uses_what_is_listed_as_loaded_and_nothing_else() -> None:
    """What a load of a stream calls, its page says; tests/target_vicai/test_load_docs.py sees to that."""
    loads = {name: re.findall(r"load of `(\w+)`", used) for name, (_, _, used) in rows().items()}
    wrong = {name for name, found in loads.items() if found} ^ set(named("target_vicai"))
    assert not wrong, f"Named in target_vicai, or listed with a load, but not both: {sorted(wrong)}"
    wrong = {stream for found in loads.values() for stream in found} ^ {sink.name for sink in ALL}
    assert not wrong, f"Sinks without a row that says load of `NAME`, or rows without a sink: {sorted(wrong)}"


@pytest.mark.parametrize("command", ["ap-webhooks", "ap-tieout"])
def test_other_commands_use_what_is_listed_and_nothing_else(command: str) -> None:
    listed = {name for name, (_, _, used) in rows().items() if command in used.split(", ")}
    wrong = listed ^ set(named(f"ap_connectors/{command.removeprefix('ap-')}"))
    assert not wrong, f"Named in the sources of {command}, or in a row that lists it, but not both: {sorted(wrong)}"


def named(package: str) -> Iterator[str]:
    """Yield every operation that a package's sources name."""
    for path in sorted((ROOT / package).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and node.value in contract.operations():
                yield str(node.value)
