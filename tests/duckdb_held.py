"""Another program that has a DuckDB file open."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_CODE = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "read")
print("open", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def held(path: str | Path, how: str = "write") -> Iterator[int]:
    """Have a program hold a file open, to write or to read; yield its process's id."""
    with subprocess.Popen(
        [sys.executable, "-c", _CODE, str(path), how], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stdin
        assert process.stdout.readline() == b"open\n"
        try:
            yield process.pid
        finally:
            process.stdin.close()
