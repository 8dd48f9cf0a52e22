"""A sandbox with a Vic.ai company, the real `target-vicai` run against it, and a store that notices everything."""

from __future__ import annotations

import functools
import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests import preloaded
from tests.conftest import renewed
from tests.target_vicai.scene import PDF, Scene
from tests.target_vicai.store import Store

Record = dict[str, Any]
Message = Mapping[str, Any] | str | bytes

_ENCODER = msgspec.json.Encoder(decimal_format="number")
PREFIX = "/vicai/v0"
OPTIONS = {"rate_requests": 0}
"""Tests run many loads in ten seconds, which is no company's habit."""


@pytest.fixture
def vicai(_sandbox_process: SandboxProcess) -> SandboxProcess:
    """A sandbox with the master data of a company, and no invoices."""
    fresh(_sandbox_process)
    return _sandbox_process


@pytest.fixture
def scene(vicai: SandboxProcess, tmp_path: Path) -> Scene:
    """A company with an invoice that waits for the ERP, and others."""
    fresh(vicai, invoices=3)
    folder = tmp_path / "documents"
    folder.mkdir()
    return Scene(vicai, folder)


def fresh(vicai: SandboxProcess, invoices: int = 0, **options: Any) -> None:
    """Begin with new data."""
    renewed(vicai, documents=0, invoices=invoices, vicai=OPTIONS | options)


@pytest.fixture
def store(vicai: SandboxProcess) -> Store:
    """Everything that Vic holds, remembered at the start."""
    return Store(vicai)


@pytest.fixture
def pdf(tmp_path: Path) -> Path:
    """A document that target-vicai may read."""
    path = tmp_path / "doc.pdf"
    path.write_bytes(PDF)
    return path


def settings(vicai: SandboxProcess, folder: Path) -> dict[str, Any]:
    return {
        "client_id": vicai.client_id,
        "client_secret": vicai.client_secret,
        "api_url": vicai.vicai_url,
        "rate_limit": {"requests": 500, "seconds": 1},
        "ledger_path": str(folder / "ledger.jsonl"),
        "documents_from": [str(folder)],
    }


# What goes in


def schema(stream: str, *fields: str, keys: Iterable[str] | None = None) -> Record:
    """A SCHEMA message; the first field is the key unless told otherwise."""
    return {
        "type": "SCHEMA",
        "stream": stream,
        "schema": {"type": "object", "properties": {field: {} for field in fields}},
        "key_properties": list(fields[:1] if keys is None else keys),
    }


def record(stream: str, **fields: Any) -> Record:
    return {"type": "RECORD", "stream": stream, "record": fields}


def state(value: Any) -> Record:
    return {"type": "STATE", "value": {"n": value}}


def version(stream: str, number: int) -> Record:
    return {"type": "ACTIVATE_VERSION", "stream": stream, "version": number}


def load(stream: str, *records: Record, number: int | None = None) -> list[Record]:
    """The SCHEMA of a stream's records, and these; `number` is the version of a full-table load."""
    fields = dict.fromkeys(name for one in records for name in one)
    extra = {} if number is None else {"version": number}
    return [schema(stream, *fields), *({"type": "RECORD", "stream": stream, "record": one} | extra for one in records)]


def line(message: Message) -> bytes:
    """A message as a tap writes it: JSON with all digits of decimals; text and bytes as they are."""
    if isinstance(message, str):
        return message.encode("utf-8", "surrogatepass")
    return message if isinstance(message, bytes) else _ENCODER.encode(message)


def lines(messages: Iterable[Message]) -> bytes:
    return b"".join(line(message) + b"\n" for message in messages)


# What comes out


class Result:
    """How a load ended, what it said, and what it asked of Vic."""

    def __init__(self, done: subprocess.CompletedProcess[bytes], folder: Path, calls: list[Record]) -> None:
        self.status = done.returncode
        self.out, self.err = done.stdout.decode(), done.stderr.decode()
        self.calls = calls
        self.reject_path, self._report_path = folder / "rejects.jsonl", folder / "report.json"

    @functools.cached_property
    def states(self) -> list[Any]:
        """What went to standard output: the STATEs' values."""
        return [json.loads(text, parse_float=Decimal) for text in self.out.splitlines()]

    @property
    def writes(self) -> list[tuple[str, str]]:
        """Calls that could change something, as (method, path)."""
        return [
            (call["method"], call["path"].removeprefix(PREFIX))
            for call in self.calls
            if call["method"] != "GET" and not call["path"].endswith("/token")
        ]

    @functools.cached_property
    def reject_text(self) -> str:
        return self.reject_path.read_text(encoding="utf-8") if self.reject_path.exists() else ""

    @functools.cached_property
    def reject_lines(self) -> list[Record]:
        """The messages of the reject file; decimals with the digits that are there."""
        return [json.loads(text, parse_float=Decimal) for text in self.reject_text.splitlines()]

    @property
    def rejects(self) -> list[Record]:
        """The rejected records' messages."""
        return [message for message in self.reject_lines if message["type"] == "RECORD"]

    @property
    def reasons(self) -> list[str]:
        return [message["rejected"]["reason"] for message in self.rejects]

    @functools.cached_property
    def report_text(self) -> str:
        return self._report_path.read_text(encoding="utf-8") if self._report_path.exists() else ""

    @property
    def report(self) -> Record:
        report: Record = json.loads(self.report_text, parse_float=Decimal)
        return report

    def counts(self, stream: str) -> Record:
        """The report's figures of a stream."""
        counts: Record = self.report["streams"][stream]
        return counts

    @property
    def complaints(self) -> list[str]:
        """The log's ERROR lines, without time and logger."""
        return [text.split(" | ", 3)[-1].strip() for text in self.err.splitlines() if "| ERROR" in text]


Target = Callable[..., Result]


@pytest.fixture
def target(vicai: SandboxProcess, tmp_path: Path) -> Target:
    """Run the real `target-vicai` as a process: `target(messages, expect=0, compare="none")`; keywords are settings."""
    return runner(vicai, tmp_path, command)


def runner(
    sandbox: SandboxProcess,
    tmp_path: Path,
    command: Callable[[SandboxProcess, Path, Record], list[str]],
    check: Callable[[Result], None] = lambda _result: None,
) -> Target:
    """Return what runs a target in a folder of its own, and checks what goes for every run."""
    numbers = itertools.count(1)

    def run(
        messages: Iterable[Message],
        *arguments: str,
        expect: int | None = 0,
        env: dict[str, str] | None = None,
        **changed: Any,
    ) -> Result:
        folder = tmp_path / f"run{next(numbers)}"
        folder.mkdir()
        sandbox.control.clear_calls()
        done = preloaded.run([*command(sandbox, folder, changed), *arguments], input=lines(messages), env=env)
        assert expect in {None, done.returncode}, done.stderr.decode()[-3000:]
        result = Result(done, folder, sandbox.control.calls())
        check(result)
        return result

    return run


@contextmanager
def loading(
    vicai: SandboxProcess, folder: Path, messages: Iterable[Message], **changed: Any
) -> Iterator[preloaded.Process | subprocess.Popen[bytes]]:
    """Start a load that is to be ended before its end; `folder` is made, and `out` and `err` there are what it said."""
    folder.mkdir()
    (folder / "input.jsonl").write_bytes(lines(messages))
    with (
        (folder / "input.jsonl").open("rb") as source,
        (folder / "out").open("wb") as out,
        (folder / "err").open("wb") as err,
        preloaded.start(command(vicai, folder, changed), stdin=source, stdout=out, stderr=err) as process,
    ):
        yield process


def command(vicai: SandboxProcess, folder: Path, changed: Record) -> list[str]:
    """The command that loads, with its settings in a file of `folder`; a setting that is None is left out."""
    files = {"rejects_path": str(folder / "rejects.jsonl"), "report_path": str(folder / "report.json")}
    # The attachments' book is one for all runs of a test.
    chosen = settings(vicai, folder.parent) | files | changed
    config = folder / "config.json"
    config.write_text(json.dumps({name: value for name, value in chosen.items() if value is not None}))
    config.chmod(0o600)
    return [sys.executable, "-m", "target_vicai", "--config", str(config)]


# How it is written


def camel(name: str) -> str:
    return name


def snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def upper(name: str) -> str:
    return snake(name).upper()


STYLES = {"camelCase": camel, "snake_case": snake, "UPPER": upper}
"""Three ways to write a name, all from the contract's own."""
FREE = frozenset({"externalData", "remoteData"})
"""Members whose contents are the ERP's own: their names mean what they say."""


def styled(value: Any, style: Callable[[str], str]) -> Any:
    """A record with its members' names written in a style, nested ones too."""
    if isinstance(value, dict):
        return {style(n): v if n in FREE else styled(v, style) for n, v in value.items()}
    return [styled(item, style) for item in value] if isinstance(value, list) else value
