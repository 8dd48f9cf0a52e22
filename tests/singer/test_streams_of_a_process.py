"""Standard streams that are not what a command expects: closed, full, cut off, or in another encoding."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.campaign import further, one_in

STATE = b'{"type":"STATE","value":{"a":1}}\n'


def ended(tmp_path: Path, module: str, *arguments: str, shell: str = "", **env: str) -> Any:
    """Run a command; `shell` redirects its streams."""
    (tmp_path / "c.json").write_text(json.dumps({"company_code": "1", "rejects_path": str(tmp_path / "r.jsonl")}))
    command = f"exec {sys.executable} -m {module} {' '.join(arguments)} {shell}"
    return subprocess.run(
        ["sh", "-c", command], input=STATE, capture_output=True, env={**os.environ, **env}, timeout=60
    )


def complaints(done: Any) -> list[str]:
    lines = done.stderr.decode().splitlines()
    assert "Traceback" not in done.stderr.decode()
    assert "Unexpected" not in done.stderr.decode()
    assert "Exception ignored" not in done.stderr.decode()
    return [line.split(" | ")[-1].strip() for line in lines if "| ERROR" in line]


@pytest.mark.parametrize("encoding", ["ascii", *further("cp1252", "latin-1", "utf-8")])
@pytest.mark.parametrize("page", ["--about", "--help", "--about=markdown"])
def test_pages_on_any_terminal(tmp_path: Path, encoding: str, page: str) -> None:
    done = ended(tmp_path, "tap_ivesk", page, PYTHONIOENCODING=encoding)
    assert (done.returncode, complaints(done)) == (0, [])
    assert b"api_key" in done.stdout or page == "--help"


@one_in(3)
@pytest.mark.parametrize(
    ("module", "argument", "shell", "words"),
    [
        ("mapper_ivesk_vicai", "--config", "<&-", "Standard input is closed, so there is nothing to read."),
        ("mapper_ivesk_vicai", "--config", ">&-", "Standard output is closed, so there is nowhere to write to."),
        ("tap_ivesk", "--discover", ">&-", "Standard output is closed"),
        ("mapper_ivesk_vicai", "--config", ">/dev/full", "Standard output cannot be written: No space left on device."),
        ("tap_ivesk", "--discover", ">/dev/full", "No space left on device"),
        ("tap_ivesk", "--about", ">/dev/full", "No space left on device"),
    ],
)
def test_closed_and_full_streams(tmp_path: Path, module: str, argument: str, shell: str, words: str) -> None:
    if "full" in shell and not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    arguments = [argument, str(tmp_path / "c.json")] if argument == "--config" else [argument]
    done = ended(tmp_path, module, *arguments, shell=shell)
    assert done.returncode == 1
    [said] = complaints(done)
    assert words in said


@pytest.mark.parametrize("page", ["--discover", "--about", "--help"])
def test_a_page_may_be_cut_by_head(page: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "tap_ivesk", page], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        said = process.stderr.read().decode()
    assert process.returncode == 0
    assert "ERROR" not in said
    assert "Exception ignored" not in said


@pytest.mark.parametrize("level", ["foo", *further("", "10")])
@pytest.mark.parametrize("variable", ["LOGLEVEL", "TAP_IVESK_LOGLEVEL"])
def test_a_log_level_that_does_not_exist(tmp_path: Path, variable: str, level: str) -> None:
    done = ended(tmp_path, "tap_ivesk", "--config", str(tmp_path / "c.json"), **{variable: level})
    assert done.returncode == 1
    assert any("api_key is missing" in line for line in complaints(done))


def test_an_empty_input_is_a_warning(tmp_path: Path) -> None:
    done = ended(tmp_path, "mapper_ivesk_vicai", "--config", str(tmp_path / "c.json"), shell="</dev/null")
    assert (done.returncode, done.stdout) == (0, b"")
    assert b"The input is empty" in done.stderr
