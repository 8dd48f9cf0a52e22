"""Documents that records bring: a path, a URL that fsspec knows, or the bytes in base64; fetched, and looked at."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

from ap_connectors.core.errors import Reject
from ap_connectors.core.redact import Redactor

# What kind of file some bytes are, told by how they begin.

LONGEST_START = 1024
"""So many bytes from the beginning are enough: a PDF may have so much before its mark."""

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


def kind(start: bytes) -> str | None:
    """Return PDF, TIFF, JPEG, PNG, GIF, XML, ZIP (Office files are), OLE (older ones are); None for anything else.

    A web page is no XML here: it is what somebody gets who was to sign in first.

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


_CHUNK = 256 * 1024
_IN_BASE64 = "in documentBase64"
_LOGIN = re.compile(r"(\w+://)[^/\s@]*@")
_redact = Redactor()


@dataclass(frozen=True)
class Limit:
    """The largest document that a service takes: bytes, how a person writes that, and the service's name."""

    most_bytes: int
    written: str
    service: str

    def check(self, shown: str, size: int) -> None:
        """Raise Reject if a document of so many bytes is too large; messages call it `shown`."""
        if size > self.most_bytes:
            raise Reject(
                f"The document {shown} is larger than {self.written}, which is the most that {self.service} takes."
            )


class InputFile:
    """A document that is there, not empty and not too large. Made by `opened`.

    Args:
        shown: what messages call it.
        name: how the file is called; empty if nobody says.
        size: bytes.
        read: opens it, anew each time.
    """

    def __init__(self, shown: str, name: str, size: int, read: Callable[[], IO[bytes]]) -> None:
        self.shown, self.name, self.size, self.read = shown, name, size, read

    def open(self) -> IO[bytes]:
        """Open it anew; whoever does closes it.

        Raises:
            Reject: it has become unreadable, or has another size by now: somebody is still writing it.
        """
        try:
            file = self.read()
            size = file.seek(0, io.SEEK_END)
            file.seek(0)
        except OSError as error:
            raise _unreadable(self.shown, error) from None
        if size != self.size:
            file.close()
            raise Reject(f"The document {self.shown} changed while it was being sent.")
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
    """Return whether a record brings a document.

    Raises:
        Reject: it brings two.
    """
    if document and in_base64:
        raise Reject("document and documentBase64 are both given: only one of them can be the document.")
    return bool(document or in_base64)


@contextmanager
def opened(document: str | None, in_base64: str | None, name: str | None, limit: Limit) -> Iterator[InputFile | None]:
    """Give a record's document; None if the record brings none.

    What lies elsewhere is fetched once, into a temporary file; base64 is decoded once. Both go when the context ends.

    Args:
        document: path or fsspec URL.
        in_base64: the bytes in base64.
        name: how the file is called; else the last part of the path.
        limit: what is too large.

    Raises:
        Reject: there are two, it can't be had, or it is empty or too large.
    """
    if not is_given(document, in_base64):
        yield None
        return
    with ExitStack() as exits:
        if in_base64:
            content = _decoded(in_base64, limit)
            yield _looked_at(
                InputFile(name or _IN_BASE64, name or "", len(content), lambda: io.BytesIO(content)), limit
            )
            return
        text = document or ""
        shown = show(text)
        path = _fetched(text, shown, limit, exits) if "://" in text else Path(text)
        path, size = _checked(path, shown)
        yield _looked_at(InputFile(shown, name or _file_name(text), size, lambda: path.open("rb")), limit)


def show(text: str) -> str:
    """Return a path or URL as messages may show it: without login and without query, which may be a signature."""
    return _redact(_LOGIN.sub(r"\1", text))


def _looked_at(given: InputFile, limit: Limit) -> InputFile:
    if not given.size:
        raise Reject(f"The document {given.shown} is empty.")
    limit.check(given.shown, given.size)
    return given


def _checked(path: Path, shown: str) -> tuple[Path, int]:
    """Return a file's path and its size in bytes.

    Raises:
        Reject: it is no file that we may read.
    """
    try:
        path = path.expanduser()
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise Reject(f"The document {shown} is {'a folder' if path.is_dir() else 'no ordinary file'}.")
        with path.open("rb"):
            return path, facts.st_size
    except (OSError, ValueError, RuntimeError) as error:
        # A path may hold a character that no path can, or the home of somebody unknown.
        raise _unreadable(shown, error) from None


def _fetched(url: str, shown: str, limit: Limit, exits: ExitStack) -> Path:
    """Copy what lies elsewhere into a temporary file; what lies here is read where it lies.

    Raises:
        Reject: it can't be had.
    """
    # fsspec takes a tenth of a second to import; most loads have no use for it.
    import fsspec  # noqa: PLC0415
    from fsspec.implementations.local import LocalFileSystem  # noqa: PLC0415

    try:
        files, path = fsspec.core.url_to_fs(url)
        if isinstance(files, LocalFileSystem):
            return Path(path)
        copy = exits.enter_context(tempfile.NamedTemporaryFile())  # noqa: SIM115 - it ends with the document
        with files.open(path, "rb") as source:
            while chunk := source.read(_CHUNK):
                copy.write(chunk)
                limit.check(shown, copy.tell())
        copy.flush()
        return Path(copy.name)
    except Reject:
        raise
    except Exception as error:  # each file system has errors of its own
        raise _unreadable(shown, error) from None


def _decoded(text: str, limit: Limit) -> bytes:
    limit.check(_IN_BASE64, len(text) * 3 // 4 - 2 - text.count("\n") - text.count("\r"))
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except ValueError as error:
        raise Reject(f"documentBase64 is not base64: {error}.") from None


def _file_name(text: str) -> str:
    """Return the last part of a path or URL; of a chain of URLs that of the first."""
    if "://" not in text:
        return Path(text).name
    url = next(link for link in text.split("::") if "://" in link)
    if url.startswith(("http://", "https://")):
        return unquote(urlsplit(url).path).rpartition("/")[2]
    return url.rpartition("/")[2]


def _unreadable(shown: str, error: Exception) -> Reject:
    if isinstance(error, FileNotFoundError):
        return Reject(f"The document {shown} is not there.")
    if isinstance(error, PermissionError):
        return Reject(f"The document {shown} may not be read by the user who runs this.")
    reason = (error.strerror if isinstance(error, OSError) and error.strerror else str(error)) or type(error).__name__
    return Reject(f"The document {shown} can't be read: {show(reason).rstrip('.')}.")
