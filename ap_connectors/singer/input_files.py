"""Documents of records: a path, a URL that fsspec knows, or the bytes in base64; fetched and checked."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

from ap_connectors.core.errors import Reject, Stop
from ap_connectors.singer.document_sources import DocumentSources, show, unreadable, unusable

LONGEST_START = 1024
"""Bytes that tell the type of a file: a PDF may have as many before its mark."""

_CHUNK = 256 * 1024
_IN_BASE64 = "in documentBase64"


@dataclass(frozen=True)
class Limit:
    """The largest document that a service takes: bytes, how a person writes that, and the service's name."""

    most_bytes: int
    written: str
    service: str

    def check(self, shown: str, size: int) -> None:
        """Raise Reject if a document of `size` bytes is too large; messages call it `shown`."""
        if size > self.most_bytes:
            raise Reject(
                f"The document {shown} is larger than {self.written}, which is the most that {self.service} takes.",
                "document_too_large",
                document=shown,
                most=self.written,
                service=self.service,
            )


class InputFile:
    """A document that exists, is not empty and not too large. Made by `opened`.

    Args:
        shown: what messages call it.
        name: of the file; empty if unknown.
        size: bytes.
        read: opens it, anew each time.
    """

    def __init__(self, shown: str, name: str, size: int, read: Callable[[], IO[bytes]]) -> None:
        self.shown, self.name, self.size, self.read = shown, name, size, read

    def open(self) -> IO[bytes]:
        """Open it anew; the caller closes it.

        Raises:
            Reject: it can no longer be read, or has another size by now: it is still being written.
        """
        try:
            file = self.read()
            size = file.seek(0, io.SEEK_END)
            file.seek(0)
        except OSError as error:
            raise unreadable(self.shown, error) from None
        if size != self.size:
            file.close()
            raise _changed(self.shown)
        return file

    def start(self, size: int) -> bytes:
        """Return its first bytes."""
        with self.open() as file:
            return file.read(size)

    def sha256(self) -> str:
        """Return the SHA-256 of the bytes, hexadecimal."""
        digest = hashlib.sha256()
        with self.open() as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
        return digest.hexdigest()


def is_given(document: str | None, in_base64: str | None) -> bool:
    """Return whether a record has a document.

    Raises:
        Reject: it has two.
    """
    if document and in_base64:
        raise Reject(
            "document and documentBase64 are both given: only one of them can be the document.", "document_given_twice"
        )
    return bool(document or in_base64)


@contextmanager
def opened(
    document: str | None, in_base64: str | None, name: str | None, *, sources: DocumentSources, limit: Limit
) -> Iterator[InputFile | None]:
    """Provide a record's document; None if the record has no document.

    A remote file is fetched once, into a temporary file; base64 is decoded once. Both go when the context ends.

    Args:
        document: path or fsspec URL.
        in_base64: the bytes in base64.
        name: of the file; else the last part of the path.
        sources: where it may come from.
        limit: what is too large.

    Raises:
        Reject: there are two, it may not come from there, it cannot be read, or it is empty or too large.
    """
    if not is_given(document, in_base64):
        yield None
        return
    with ExitStack() as exits:
        if in_base64:
            content = _decoded(in_base64, limit)
            shown = name or _IN_BASE64
            yield _checked(InputFile(shown, name or "", len(content), lambda: io.BytesIO(content)), limit)
            return
        text = document or ""
        shown = show(text)
        path, facts = _found(_fetched(text, shown, sources, limit, exits), shown)
        found = InputFile(shown, name or _file_name(text), facts.st_size, lambda: _Unchanged(path, facts, shown))
        yield _checked(found, limit)


class _Unchanged(io.BufferedReader):
    """A file of this machine, read as long as nothing is written to it after it was found.

    A scanner, or a copy that is under way, writes on while the file is sent: the service must not get half of it.
    """

    def __init__(self, path: Path, facts: os.stat_result, shown: str) -> None:
        super().__init__(path.open("rb", buffering=0))
        self._facts, self._shown = facts, shown

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as any file does.

        Raises:
            Reject: it was written to.
        """
        piece, now = super().read(size), os.fstat(self.fileno())
        if (now.st_size, now.st_mtime_ns) != (self._facts.st_size, self._facts.st_mtime_ns):
            raise _changed(self._shown)
        return piece


def _changed(shown: str) -> Reject:
    return Reject(f"The document {shown} changed while it was being sent.", "document_changed", document=shown)


def _checked(file: InputFile, limit: Limit) -> InputFile:
    if not file.size:
        raise Reject(f"The document {file.shown} is empty.", "document_empty", document=file.shown)
    limit.check(file.shown, file.size)
    return file


def _found(path: Path, shown: str) -> tuple[Path, os.stat_result]:
    """Return the path of a readable file, and what the file system says of it.

    Raises:
        Reject: it is not a readable file.
    """
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise unusable(shown, f"is {'a folder' if path.is_dir() else 'not a regular file'}")
        with path.open("rb"):
            return path, facts
    except OSError as error:
        raise unreadable(shown, error) from None


def _fetched(text: str, shown: str, sources: DocumentSources, limit: Limit, exits: ExitStack) -> Path:
    """Return the document's file on this machine.

    Raises:
        Reject: it may not come from there, or cannot be fetched.
    """
    try:
        return sources.found(text, lambda size: limit.check(shown, size), exits)
    except (Reject, Stop):
        raise
    except Exception as error:  # each file system has errors of its own
        raise unreadable(shown, error) from None


def _decoded(text: str, limit: Limit) -> bytes:
    limit.check(_IN_BASE64, len(text) * 3 // 4 - 2 - text.count("\n") - text.count("\r"))
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except ValueError as error:
        raise Reject(f"documentBase64 is not base64: {error}.", "document_not_base64", problem=str(error)) from None


def _file_name(text: str) -> str:
    """Return the last part of a path or URL; of a chain of URLs that of the first."""
    if "://" not in text:
        return Path(text).name
    url = next(link for link in text.split("::") if "://" in link)
    if url.startswith(("http://", "https://")):
        return unquote(urlsplit(url).path).rpartition("/")[2]
    return url.rpartition("/")[2]


# The type of a file, as its first bytes tell it

_MARKS = (
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"PK\x03\x04", "ZIP"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "OLE"),
)
_XML = re.compile(r"[\ufeff\s]*<[?!\w]")
_WEB_PAGE = re.compile(r"<(!doctype\s+)?html\b", re.IGNORECASE)


def file_type(start: bytes) -> str | None:
    """Return PDF, TIFF, JPEG, PNG, GIF, XML, ZIP (also Office files), OLE (older Office files); None for anything else.

    A web page does not count as XML: it is what a service sends that wants a login first.

    Args:
        start: the first bytes, `LONGEST_START` of them if there are as many.
    """
    for mark, found in _MARKS:
        if start.startswith(mark):
            return found
    if b"%PDF-" in start:
        return "PDF"
    wide = start[:2] in {b"\xff\xfe", b"\xfe\xff"}
    text = start.decode("utf-16" if wide else "utf-8", "replace")
    return "XML" if _XML.match(text) and not _WEB_PAGE.search(text) else None
