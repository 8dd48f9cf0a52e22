"""Progress of long work: a bar on a terminal, lines elsewhere, nothing between programs. No test waits for a clock."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest

SCRIPT = """
from ap_connectors.core.progress import Progress
seconds = iter(range(0, 1000))
with Progress({what!r}, {total}, {unit!r}, clock=lambda: next(seconds), rated={rated}) as progress:
    progress.note = {note!r}
    for _ in range(25):
        progress.advance({step})
print("done")
"""


def run(out: int, err: int, **given: Any) -> None:
    usual = {"what": "vendors", "total": 50, "unit": "records", "step": 1, "rated": True, "note": ""}
    script = SCRIPT.format(**usual | given)
    subprocess.run([sys.executable, "-c", script], stdout=out, stderr=err, check=True, timeout=60)


def test_lines_in_a_file(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as out, (tmp_path / "err").open("wb") as err:
        run(out.fileno(), err.fileno())
    assert (tmp_path / "out").read_text() == "done\n"
    assert (tmp_path / "err").read_text().splitlines() == [
        "vendors: 10 records, 1 record/s (20%, 40 s left)",
        "vendors: 20 records, 1 record/s (40%, 30 s left)",
    ]


def test_what_takes_seconds_each(tmp_path: Path) -> None:
    with (tmp_path / "err").open("wb") as err:
        run(err.fileno(), err.fileno(), rated=False, note="2 failed", unit="pipelines")
    assert (tmp_path / "err").read_text().splitlines()[0] == "vendors: 10 of 50 pipelines, 2 failed (20%, 40 s left)"


def test_without_a_total(tmp_path: Path) -> None:
    with (tmp_path / "err").open("wb") as err:
        run(err.fileno(), err.fileno(), total=None, unit="B", step=2_500_000)
    assert (tmp_path / "err").read_text().splitlines()[0] == "vendors: 25.0 MB, 2.5 MB/s"


def drawn(tmp_path: Path, columns: int, **given: Any) -> list[str]:
    """What is drawn on a terminal, a text for each time that the line is cleared."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with (tmp_path / "out").open("wb") as out:
        run(out.fileno(), theirs, **given)
    os.close(theirs)
    said = b""
    while piece := _read(ours):
        said += piece
    os.close(ours)
    return said.decode().split("\x1b[2K")


@pytest.mark.parametrize("columns", [0, 80, 200])
def test_a_bar_on_a_terminal(tmp_path: Path, columns: int) -> None:
    bars = drawn(tmp_path, columns)
    assert "vendors: [############............] 25 records, 1 record/s (50%, 25 s left)\r" in bars
    assert bars[-1] == "", "and it goes away"
    assert "\n" not in "".join(bars)


@pytest.mark.parametrize(
    ("columns", "last"),
    [
        (80, "Making documents: [########.......] 25 documents, 1 document/s (50%, 25 s left)"),
        (64, "Making documents: 25 documents, 1 document/s (50%, 25 s left)"),
        (20, "Making documents: 2"),
    ],
)
def test_a_bar_is_no_wider_than_the_terminal(tmp_path: Path, columns: int, last: str) -> None:
    bars = [bar.rstrip("\r") for bar in drawn(tmp_path, columns, what="Making documents", unit="documents")]
    assert max(map(len, bars)) < columns
    assert bars[-2] == last


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


def test_lines_in_the_log_of_meltano() -> None:
    script = SCRIPT.format(what="vendors", total=None, unit="records", step=1, rated=True, note="")
    environment = {**os.environ, "MELTANO_PROJECT_ROOT": "/project"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, timeout=60, text=True)
    assert (done.returncode, done.stdout) == (0, "done\n")
    assert done.stderr.splitlines() == ["vendors: 10 records, 1 record/s", "vendors: 20 records, 1 record/s"]
