"""Where things are, and what the demo says while it runs."""

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ap_connectors.core.redact import shortened

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "output" / "demo"
SYSTEM = ROOT / ".meltano"

_MARK = ".made-by-the-demo"
_WIDE = 100


class DemoError(RuntimeError):
    """What stops the demo, in words for the person who started it."""


def shown(path: Path) -> str:
    """Return a path as a person would type it here."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


@dataclass(frozen=True)
class Places:
    """What the demo leaves in its folder."""

    folder: Path

    @property
    def warehouse(self) -> Path:
        """The DuckDB file."""
        return self.folder / "warehouse.duckdb"

    @property
    def documents(self) -> Path:
        """The folder of the PDFs."""
        return self.folder / "documents"

    def file(self, name: str) -> Path:
        """Return the path of a log, a settings file, a reject file, a report or a ledger."""
        return self.folder / name

    @contextlib.contextmanager
    def claimed(self) -> Iterator[None]:
        """Hold the folder for one demo at a time; refuse one with content that no demo has made."""
        mark = self.folder / _MARK
        if self.folder.exists() and any(self.folder.iterdir()) and not mark.exists():
            raise DemoError(f"{shown(self.folder)} contains files that no demo has made; choose another --output.")
        self.folder.mkdir(parents=True, exist_ok=True)
        with mark.open("w") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DemoError(f"Another demo is running in {shown(self.folder)}.") from None
            yield

    def clear(self) -> None:
        """Remove what an earlier demo left."""
        for path in self.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != _MARK:
                path.unlink()


class Teller:
    """Prints what begins at once, and what came of it, with the seconds it took, when it is known."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def command(self, line: str) -> None:
        """Print a command that is run."""
        print(f"$ {line}", flush=True)

    def begin(self, title: str) -> None:
        """Print what begins: a command, or a part of it."""
        self._began = time.monotonic()
        print(f"{title if title.startswith('$') else f'  {title}':22}", end="", flush=True)

    def end(self, outcome: str, *more: str) -> None:
        """Print the rest of the line that has begun, and further lines below it."""
        print(f"{outcome:{_WIDE - 30}}{time.monotonic() - self._began:6.1f} s")
        for line in more:
            print(f"  {'':20}{shortened(line, _WIDE - 22)}", flush=True)
