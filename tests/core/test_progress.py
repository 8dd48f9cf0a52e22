"""Progress of long work: a bar on a terminal, lines elsewhere, nothing between programs. No test waits for a clock."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
from ap_connectors.core.progress import Progress
seconds = iter(range(0, 1000))
with Progress("vendors", {total}, {unit!r}, clock=lambda: next(seconds)) as progress:
    for _ in range(25):
        progress.advance({step})
print("done")
"""


def run(out: int, err: int, total: int | None = 50, unit: str = "records", step: int = 1) -> None:
    script = SCRIPT.format(total=total, unit=unit, step=step)
    subprocess.run([sys.executable, "-c", script], stdout=out, stderr=err, check=True, timeout=60)


def test_lines_in_a_file(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as out, (tmp_path / "err").open("wb") as err:
        run(out.fileno(), err.fileno())
    assert (tmp_path / "out").read_text() == "done\n"
    assert (tmp_path / "err").read_text().splitlines() == [
        "vendors: 10 records, 1 records/s (20%, 40 s left)",
        "vendors: 20 records, 1 records/s (40%, 30 s left)",
    ]


def test_without_a_total(tmp_path: Path) -> None:
    with (tmp_path / "err").open("wb") as err:
        run(err.fileno(), err.fileno(), total=None, unit="B", step=2_500_000)
    assert (tmp_path / "err").read_text().splitlines()[0] == "vendors: 25.0 MB, 2.5 MB/s"


def test_a_bar_on_a_terminal(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    with (tmp_path / "out").open("wb") as out:
        run(out.fileno(), theirs)
    os.close(theirs)
    said = b""
    while piece := _read(ours):
        said += piece
    os.close(ours)
    bars = said.decode().split("\x1b[2K")
    assert "vendors: [############............] 25 records, 1 records/s (50%, 25 s left)\r" in bars
    assert said.endswith(b"\x1b[2K"), "and it goes away"
    assert b"\n" not in said


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # all has been read
        return b""


@pytest.mark.parametrize("piped", ["out", "err"])
def test_nothing_between_programs(tmp_path: Path, piped: str) -> None:
    source, sink = os.pipe()
    with (tmp_path / "file").open("wb") as file, os.fdopen(source, "rb") as pipe:
        run(*((sink, file.fileno()) if piped == "out" else (file.fileno(), sink)))
        os.close(sink)
        told = pipe.read() + (tmp_path / "file").read_bytes()
    assert told == b"done\n"
