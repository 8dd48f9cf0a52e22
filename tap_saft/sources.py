"""The files to read: one, a folder's, a glob's; plain or in a ZIP; local or at any fsspec URL."""

from __future__ import annotations

import os
import re
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import IO, Any

from ap_connectors.core.errors import Stop
from ap_connectors.core.redact import printable

_SUFFIXES = (".xml", ".zip")
_ENCRYPTED = 0x1
_ARCHIVES = 4
# Deflate does not get beyond 1,032 to 1; XML of accounts gets to about 30 to 1.
_BOMB_BYTES, _BOMB_RATIO = 256 * 1024 * 1024, 250


@dataclass(frozen=True)
class Source:
    """One XML file, by itself or in a ZIP.

    Args:
        name: what STATE and records call it: its path inside the folder of `path`, with the ZIP's name before its
            member's.
        shown: what messages call it: where it is, without user name and password.
        size: bytes of the XML.
    """

    name: str
    shown: str
    size: int
    _open: Callable[[], IO[bytes]]

    @contextmanager
    def opened(self) -> Iterator[Bytes]:
        """Open the XML for reading.

        Raises:
            Stop: it cannot be read.
        """
        with _explained(self.shown):
            file = self._open()
        with file:
            yield Bytes(file, self.shown)


class _Archives:
    """ZIP files that stay open, a few at a time: their table of contents is as long as they have members."""

    def __init__(self, fs: Any) -> None:
        self._fs = fs
        self._zips: OrderedDict[str, zipfile.ZipFile] = OrderedDict()

    def archive(self, path: str) -> zipfile.ZipFile:
        """Return an open ZIP file."""
        if path not in self._zips:
            if len(self._zips) >= _ARCHIVES:
                self._close(next(iter(self._zips)))
            self._zips[path] = zipfile.ZipFile(self._fs.open(path, "rb"))
        self._zips.move_to_end(path)
        return self._zips[path]

    def _close(self, path: str) -> None:
        archive = self._zips.pop(path)
        file = archive.fp
        archive.close()
        if file:
            file.close()  # a ZIP file does not close what it was given


class Bytes:
    """An open file whose errors name it."""

    def __init__(self, file: IO[bytes], shown: str) -> None:
        self._file, self._shown = file, shown

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes; at the end an empty string. Raises Stop."""
        with _explained(self._shown):
            return self._file.read(size)


def find(path: str) -> list[Source]:
    """Return the files of a path in the order of their names.

    Raises:
        Stop: there are no files, or they cannot be read.
    """
    # fsspec takes a tenth of a second to import; a discovery has no use for it.
    import fsspec  # noqa: PLC0415

    shown = re.sub(r"^(\w+://)[^/]*@", r"\1", path)
    with _explained(f"path {shown}"):
        fs, base = fsspec.core.url_to_fs(os.path.expanduser(path))  # noqa: PTH111
        base = base.rstrip("/") or "/"
        if fs.isdir(base):
            found = [entry["name"] for entry in fs.ls(base, detail=True) if entry["type"] == "file"]
            found, folder = [one for one in found if one.lower().endswith(_SUFFIXES)], base
            nothing = "contains no .xml or .zip"
        elif fs.exists(base):
            found, folder, nothing = [base], base.rpartition("/")[0], ""
        elif re.search(r"[*?\[]", base):
            folder = re.split(r"[*?\[]", base, maxsplit=1)[0].rpartition("/")[0]
            found, nothing = [one for one in fs.glob(base) if not fs.isdir(one)], "does not match any file"
        else:
            raise Stop(
                f"path: {shown} does not exist. Give a SAF-T file, a folder, or a pattern such as /exports/*.xml, "
                "as seen from where the command runs."
            )
    if not found:
        raise Stop(f"path: {shown} {nothing}, so there is nothing to read.")
    sources: list[Source] = []
    archives = _Archives(fs)
    for one in sorted(found):
        inside = one[len(folder) :].lstrip("/")
        # What the user typed rather than what the file system makes of it, where possible.
        where = inside if len(found) > 1 or one != base else one
        place = f"{shown.rstrip('/')}/{where}" if fs.isdir(base) else _masked(one)
        sources += _of(fs, archives, one, inside, printable(place))
    return sources


def _masked(path: str) -> str:
    return re.sub(r"^(\w+://)[^/]*@", r"\1", path)


def _of(fs: Any, archives: _Archives, path: str, name: str, shown: str) -> list[Source]:
    with _explained(shown):
        size = int(fs.info(path)["size"] or 0)
        with fs.open(path, "rb") as file:
            if file.read(4) != b"PK\x03\x04":
                return [Source(name, shown, size, partial(fs.open, path, "rb"))]
        members = [one for one in archives.archive(path).infolist() if one.filename.lower().endswith(".xml")]
    members = [one for one in members if not one.is_dir() and not one.filename.startswith("__MACOSX/")]
    if not members:
        raise Stop(f"{shown}: the ZIP contains no .xml. Is it the right one?")
    for one in members:
        if one.flag_bits & _ENCRYPTED:
            raise Stop(
                f"{shown}: {printable(one.filename)} in it is encrypted. Unpack it, or zip it without a password."
            )
        if one.file_size > _BOMB_BYTES and one.file_size > _BOMB_RATIO * max(one.compress_size, 1):
            raise Stop(
                f"{shown}: {printable(one.filename)} in it would unpack to {one.file_size} bytes, more than "
                f"{_BOMB_RATIO} times its packed size. SAF-T does not shrink that much; if you trust "
                "it, unpack it first."
            )
    return [
        Source(
            f"{name}/{one.filename}",
            f"{shown}/{printable(one.filename)}",
            one.file_size,
            lambda one=one: archives.archive(path).open(one),  # type: ignore[misc]
        )
        for one in sorted(members, key=lambda one: one.filename)
    ]


@contextmanager
def _explained(shown: str) -> Iterator[None]:
    try:
        yield
    except Stop:
        raise
    except zipfile.BadZipFile as error:
        raise Stop(f"{shown}: the ZIP is broken or cut off ({error}). Fetch it again.") from None
    except (EOFError, zipfile.LargeZipFile, NotImplementedError) as error:
        raise Stop(f"{shown}: the ZIP cannot be unpacked ({error or 'it is cut off'}). Fetch it again.") from None
    except FileNotFoundError:
        raise Stop(f"{shown} no longer exists. Run again when files are not being moved.") from None
    except PermissionError:
        raise Stop(f"{shown} cannot be read: permission denied. Let the user who runs the command read it.") from None
    except (OSError, ImportError, ValueError, zipfile.zlib.error) as error:  # type: ignore[attr-defined]
        reason = (error.strerror if isinstance(error, OSError) and error.strerror else str(error)) or type(
            error
        ).__name__
        raise Stop(f"{shown} cannot be read: {reason}.") from None
