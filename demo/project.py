"""Where things are: this Meltano project, and the folder that the demo writes to."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "output" / "demo"
SYSTEM = ROOT / ".meltano"

_MARK = ".made-by-the-demo"


class DemoError(RuntimeError):
    """What stops the demo, in words for the person who started it."""


def shown(path: Path) -> str:
    """A path as a person would type it here."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


@contextlib.contextmanager
def claim(folder: Path) -> Iterator[None]:
    """Makes a folder the demo's own, and one demo's at a time.

    Raises:
        DemoError: The folder has content that no demo has made, or another demo is at work there.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / _MARK).exists():
        raise DemoError(f"{shown(folder)} holds something that no demo has made; choose another --output.")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _MARK).open("w") as mark:
        try:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoError(f"Another demo is at work in {shown(folder)}.") from None
        yield
