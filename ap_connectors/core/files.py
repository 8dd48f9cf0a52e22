"""Files on the disk that are whole or not there at all, whenever the process is killed."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


def place(text: str) -> str:
    """Return a path as a person writes it, with the home that ~ stands for."""
    return os.path.expanduser(text)  # noqa: PTH111 - a Path would fail where there is no such user


def replace(path: Path, content: bytes) -> None:
    """Write a file atomically and durably, as `replacing` does.

    Raises:
        OSError: it cannot be written; the older file is untouched.
    """
    with replacing(path) as file:
        file.write(content)


@contextmanager
def replacing(path: Path, *, mode: int = 0o600, durable: bool = True) -> Iterator[IO[bytes]]:
    """Write a file atomically; folders are made, an older file is replaced when all is written.

    A link of ours goes on pointing at the file; a device such as /dev/stderr stays what it is.

    Args:
        path: of the file; ~ is the home.
        mode: its permissions; its owner's only unless told otherwise.
        durable: whether it must outlive a power failure from then on.

    Raises:
        OSError: it cannot be written; the older file is untouched.
    """
    path = Path(place(str(path)))
    check_link(path)
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            yield file
        return
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, part = tempfile.mkstemp(suffix=".part", prefix=".", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        Path(part).chmod(mode)
        Path(part).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(part).unlink()
        raise


def check_link(path: Path) -> None:
    """Check that a path is not a link of another user's, who could make us write to any file of ours.

    Raises:
        OSError: it is.
    """
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        facts = path.lstat()
        if stat.S_ISLNK(facts.st_mode) and facts.st_uid not in {0, os.geteuid()}:
            raise OSError(errno.ELOOP, "it is a link that another user made; remove the link, or name another file")


def is_open_to_others(file: int | Path) -> bool:
    """Return whether a file, by its descriptor or path, may be read or written by every user of this machine."""
    mode = os.stat(file).st_mode  # noqa: PTH116 - of a descriptor, too
    return stat.S_ISREG(mode) and bool(mode & (stat.S_IROTH | stat.S_IWOTH))


def create(path: Path) -> tuple[Path, int]:
    """Create a file that no other process has, readable for its owner only.

    Returns:
        Its path, `NAME_2.EXT` and so on where the name is taken; and its descriptor, to read, and to write at the end.

    Raises:
        OSError: it cannot be created.
    """
    own, number = path, 1
    while True:
        try:
            return own, os.open(own, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            number += 1
            own = path.with_name(f"{path.stem}_{number}{path.suffix}")
