"""Files of DuckDB: one program may have a file open to write, and only while no other reads it. The others wait."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ap_connectors.core import files
from ap_connectors.core.errors import Outage, Stop

if TYPE_CHECKING:
    import duckdb

VARIABLE = "AP_DUCKDB_WAIT"
"""Seconds to wait for a file, in the environment; `PATIENCE` without it."""
PATIENCE = 300.0
_PAUSE = 0.2
_LONGEST = 300
_HEADERS = 3 * 4096
"""Bytes that every file has once it is made, before the first table."""

Tell = Callable[[str], None]


def connect(
    path: str, tell: Tell, *, read_only: bool = False, most: float = PATIENCE, config: Mapping[str, Any] | None = None
) -> duckdb.DuckDBPyConnection:
    """Connect to a file, once it is free.

    Args:
        path: of the file; ~ is the home.
        tell: is told once for whom it waits.
        read_only: whether nothing is written.
        most: seconds to wait; fewer if `VARIABLE` says so.
        config: of DuckDB.

    Raises:
        Outage: another program did not let go of the file in time. Stop: it cannot be opened.
    """
    try:
        import duckdb  # noqa: PLC0415 - an extra brings it
    except ImportError:
        raise Stop("duckdb is not installed here: pip install 'ap-connectors[duckdb]'.") from None

    path = files.place(path)
    patience = min(most, _patience())
    until, told, tries_anew = time.monotonic() + patience, False, not read_only
    while True:
        try:
            connection = duckdb.connect(path, read_only=read_only, config=dict(config or {}))
        except duckdb.Error as error:
            if tries_anew and not _is_held(error) and _drop(path):
                tries_anew = False
                continue
            if not _is_held(error) or time.monotonic() >= until:
                raise trouble(error, path) from None
            if not told:
                tell(f"{path} is in use by {_holder(error)}; waiting until it is free, {_long(patience)} at most.")
            told = True
            time.sleep(max(0.0, min(_PAUSE, until - time.monotonic())))
        else:
            # Where it takes a program for a session of a person (python -c), it shows its progress among our output.
            connection.execute("SET enable_progress_bar = false")
            return connection


def is_made(path: str | Path) -> bool:
    """Return whether there is a file, and not only what a full disk or a kill has left of its making."""
    try:
        with Path(path).open("rb") as file:
            return not _is_rest(file, path)
    except FileNotFoundError:
        return False
    except OSError:
        return True


def _is_rest(file: IO[bytes], path: str | Path) -> bool:
    """Return whether DuckDB began to make a file, and did not come to its first table; it then opens it no more."""
    size = os.fstat(file.fileno()).st_size
    return size < _HEADERS and (size == 0 or file.read(12)[8:] == b"DUCK") and not Path(f"{path}.wal").exists()


def _drop(path: str) -> bool:
    """Remove what is left of a file's making, unless another program is at it; return whether that was done."""
    with contextlib.suppress(ImportError, OSError):
        import fcntl  # noqa: PLC0415 - Windows has none

        with Path(path).open("r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Another program may have made it anew before we had the lock.
            if _is_rest(file, path) and os.path.samestat(os.fstat(file.fileno()), Path(path).stat()):
                Path(path).unlink()
                return True
    return False


def reader(path: str) -> str | None:
    """Return who reads a file, so that it cannot be written to now; None if nothing does. It is not changed."""
    with contextlib.suppress(ImportError, OSError):
        import fcntl  # noqa: PLC0415 - Windows has none

        with Path(path).expanduser().open("r+b") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return _named(path)
    return None


def _named(path: str) -> str | None:
    import duckdb  # noqa: PLC0415 - as above

    try:
        duckdb.connect(path).close()
    except duckdb.Error as error:
        return _holder(error) if _is_held(error) else None
    return None  # it has just ended


def trouble(error: Exception, path: str) -> Stop:
    """Say what DuckDB says of a file that cannot be opened, or of a statement; without its links."""
    words = str(error)
    if _is_held(error):
        return Outage(
            f"database: {path} is in use by {_holder(error)}, which did not let go of it. DuckDB lets one program "
            "write to a file, and only while no other reads it. Close it there, or run again later."
        )
    if "in-memory database" in words:
        return forgets(path)
    if "Permission denied" in words:
        return Stop(
            f"database: {path} cannot be opened: the user that runs this may not read and write the file, or not write "
            "to its folder (Permission denied). Change their owner or mode."
        )
    if "No space left" in words:
        return Stop(f"database: {path} cannot be written: No space left on device. Make room, and run again.")
    if not is_made(path):
        there = "the file is empty" if Path(path).exists() else "there is no such file"
        return Stop(f"database: {path}: {there}; the first load of target-warehouse makes it.")
    if "not a valid DuckDB" in words:
        return Stop(f"database: {path} is not a DuckDB file. Name one; a new one is made by the first load.")
    import duckdb  # noqa: PLC0415 - as above

    if "version number" in words:
        return Stop(
            f"database: {path}: a newer DuckDB wrote it than the one that is installed here ({duckdb.__version__}). "
            "Install the one that wrote it: pip install --upgrade duckdb."
        )
    line = words.splitlines()[0].removeprefix("IO Error: ")[:_LONGEST]
    return Stop(f"database: {path} cannot be opened as a DuckDB file by DuckDB {duckdb.__version__}: {line}")


def forgets(path: str) -> Stop:
    """Say that a path names no file of DuckDB."""
    return Stop(
        f"database: {path} is not a DuckDB file: DuckDB would keep what is loaded in memory only. Name a .duckdb file; "
        "a new one is made."
    )


def _patience() -> float:
    given = os.environ.get(VARIABLE, "").strip()
    if not given:
        return PATIENCE
    if not re.fullmatch(r"\d{1,6}(\.\d{1,3})?", given):
        raise Stop(f"{VARIABLE} must be a number of seconds, such as 60.")
    return float(given)


def _is_held(error: Exception) -> bool:
    return "lock on file" in str(error)


def _holder(error: Exception) -> str:
    """Return who has the file, as DuckDB says it."""
    found = re.search(r"held in (.+?) \(PID (\d+)\)", str(error))
    return f"{Path(found[1]).name} (process {found[2]})" if found else "another program"


def _long(seconds: float) -> str:
    return f"{seconds / 60:g} minutes" if seconds >= 120 else f"{seconds:g} s"
