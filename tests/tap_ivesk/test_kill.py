"""Killed at any point and run again from the last STATE: together the runs are complete, whatever else goes wrong."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from ap_connectors.sandbox.process import SandboxProcess
from tests import preloaded
from tests.campaign import seeds
from tests.conftest import Run, tap_command
from tests.trouble import PASSING_FAULTS

DOCUMENTS = 1_000


def interrupted(command: list[str], after_bytes: int, how: signal.Signals) -> tuple[str, int]:
    """Run a tap, end it once it has printed so many bytes; return its whole lines and its status."""
    with tempfile.TemporaryFile() as nothing, tempfile.TemporaryFile() as errors:
        ours, theirs = (os.fdopen(end, mode) for end, mode in zip(os.pipe(), ("rb", "wb"), strict=True))
        with theirs:
            process = preloaded.start(command, stdin=nothing, stdout=theirs, stderr=errors)
        with process, ours:
            out = ours.read(after_bytes)
            process.send_signal(how)
            out += ours.read()
            status = process.wait()
        errors.seek(0)
        assert status in {0, -how, 128 + how}, errors.read().decode()[-3000:]
    return out[: out.rfind(b"\n") + 1].decode(), status


def last_state(out: str) -> dict[str, Any] | None:
    """What a target would keep: the last STATE."""
    states = [json.loads(line)["value"] for line in out.splitlines() if line.startswith('{"type":"STATE"')]
    return states[-1] if states else None


@seeds(range(8))
def test_union_of_killed_runs_is_complete(sandbox: SandboxProcess, tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    from_is, borders = dice.choice(["exclusive", "inclusive"]), dice.choice(["whole", "cut"])
    sandbox.control.reset(
        documents=DOCUMENTS, from_is=from_is, borders=borders, next_when=dice.choice(["more", "always"])
    )
    settings = {"api_key": sandbox.api_key, "api_url": sandbox.ivesk_url, "documents_dir": str(tmp_path / "files")}
    if seed % 5:
        del settings["documents_dir"]
    else:
        sandbox.control.reset(documents=200, from_is=from_is, borders=borders)
    state: dict[str, Any] | None = None
    documents: dict[str, dict[str, Any]] = {}
    lines: set[tuple[str, int]] = set()
    files: set[str] = set()
    for attempt in range(30):
        how = dice.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
        after = dice.choice([1, 5_000, 300_000, 1_500_000, 4_000_000]) if attempt < 6 else 10**9
        out, status = interrupted(tap_command(tmp_path, settings, state=state), after, how)
        run = Run(status, out, "")
        documents |= {record["id"]: record for record in run.records["exported_documents"]}
        lines |= {(line["document_id"], line["line_number"]) for line in run.records["exported_document_lines"]}
        files |= {record["document_id"] for record in run.records["document_files"]}
        state = last_state(out) or state
        if status == 0:
            break
    assert status == 0
    store = sandbox.control.documents()
    assert set(documents) == {document["id"] for document in store}
    assert all(documents[d["id"]]["total"] == d["total"] for d in store)
    assert lines == {(d["id"], number) for d in store for number in range(1, len(d["lines"]) + 1)}
    if "documents_dir" in settings:
        assert files == set(documents)
        whole = list((tmp_path / "files").rglob("*.pdf"))
        assert len(whole) == len(files)
        assert all(path.read_bytes().rstrip().endswith(b"%%EOF") for path in whole)


@seeds(range(6))
def test_random_faults_lose_nothing_and_double_nothing(sandbox: SandboxProcess, tmp_path: Path, seed: int) -> None:
    """Every kind of fault at once, one request in eight: one run is complete, or several together are."""
    dice = random.Random(100 + seed)
    sandbox.control.reset(documents=800, borders=dice.choice(["whole", "cut"]), page_size=20)
    for number, fault in enumerate(PASSING_FAULTS):
        sandbox.control.fault(**fault, rate=0.02, seed=seed * 10 + number)
    settings = {"api_key": sandbox.api_key, "api_url": sandbox.ivesk_url}
    state: dict[str, Any] | None = None
    marks: list[tuple[str, str]] = []
    for _ in range(5):
        run = Run.of(preloaded.run(tap_command(tmp_path, settings, state=state), timeout=300))
        state = last_state(run.out) or state
        marks += [(record["id"], record["exportedat"]) for record in run.records["exported_documents"]]
        if run.status == 0:
            break
    assert sum(fault["hits"] for fault in sandbox.control.faults()) > 0
    assert run.status == 0
    assert sorted(marks) == sorted((d["id"], d["exportedat"]) for d in sandbox.control.documents())


def test_a_terminated_run_is_not_called_done(sandbox: SandboxProcess, tmp_path: Path) -> None:
    sandbox.control.reset(documents=DOCUMENTS, latency_ms=50)
    command = tap_command(tmp_path, {"api_key": sandbox.api_key, "api_url": sandbox.ivesk_url})
    out, status = interrupted(command, 200_000, signal.SIGTERM)
    assert status == 128 + signal.SIGTERM
    # It left a STATE that covers what it wrote, so the next run repeats at most a page.
    run = Run(status, out, "")
    settings = {"api_key": sandbox.api_key, "api_url": sandbox.ivesk_url}
    rest = Run.of(preloaded.run(tap_command(tmp_path, settings, state=last_state(out))))
    assert rest.status == 0
    again = set(run.ids()) & set(rest.ids())
    assert len(again) <= 100
    assert len(run.ids()) > 30


SIGNAL_IN_A_LINE_OF_THE_LOG = """
import io, os, runpy, signal, sys

class Log(io.RawIOBase):
    def writable(self):
        return True

    def write(self, line):
        if b"Beginning sync" in bytes(line):
            os.kill(os.getpid(), signal.SIGTERM)
        return os.write(2, line)

sys.stderr = io.TextIOWrapper(io.BufferedWriter(Log()), line_buffering=True)
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def test_a_signal_that_comes_while_the_log_is_written_ends_it(sandbox: SandboxProcess, tmp_path: Path) -> None:
    python, _, *arguments = tap_command(tmp_path, {"api_key": sandbox.api_key, "api_url": sandbox.ivesk_url})
    ask = [python, "-c", SIGNAL_IN_A_LINE_OF_THE_LOG, *arguments]
    done = subprocess.run(ask, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", timeout=60)
    assert done.returncode == 128 + signal.SIGTERM, done.stderr[-3000:]
    assert "Ended by signal 15; the next run goes on from the last STATE." in done.stderr


def test_a_reader_that_goes_away_is_explained(sandbox: SandboxProcess, tmp_path: Path) -> None:
    sandbox.control.reset(documents=DOCUMENTS)
    command = tap_command(tmp_path, {"api_key": sandbox.api_key, "api_url": sandbox.ivesk_url})
    reading, writing = os.pipe()
    with subprocess.Popen(command, stdout=writing, stderr=subprocess.PIPE, encoding="utf-8") as process:
        os.close(writing)
        os.read(reading, 100_000)
        os.close(reading)
        assert process.stderr is not None
        said = process.stderr.read()
        assert process.wait() == 1
    assert "Traceback" not in said
    assert "reads our output has ended" in said
