"""Documents of invoices, and attachments: where they come from, and whether Vic.ai can take them."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from ap_http.errors import Reject
from ap_http.redact import Redactor
from target_vicai.document_types import LONGEST_START, media_type, suffix_of
from vicai.client import Part

_NAME = {"type": "string", "maxLength": 255}

FIELDS: Mapping[str, Any] = {
    "document": {"type": "string"},
    "documentBase64": {"type": "string"},
    "documentName": _NAME,
    "documentType": _NAME,
}
"""What a record says of its document: a path or fsspec URL, or its bytes; its name; its media type or its suffix."""

MOST_BYTES = 64 * 1024 * 1024
"""The largest document that Vic.ai takes: 64 MB (Invoices, Create an invoice)."""

_CHUNK = 256 * 1024
_IN_BASE64 = "in documentBase64"
_LOGIN = re.compile(r"(\w+://)[^/\s@]*@")
_redact = Redactor()


class Document:
    """A document that Vic.ai can take: not empty, at most 64 MB, of a type that it processes. Made by `opened`.

    Args:
        shown: what messages call it.
        name: how the file is called; empty if nobody says.
        size: bytes.
        read: opens it, anew each time.
        stated: what the record says of its type.

    Raises:
        Reject: Vic.ai would not take it.
    """

    def __init__(self, shown: str, name: str, size: int, read: Callable[[], IO[bytes]], stated: str | None) -> None:
        self.shown, self.size, self._read = shown, size, read
        if not size:
            raise Reject(f"The document {shown} is empty.")
        _check_size(shown, size)
        with self._open() as file:
            self.media = media_type(name or shown, file.read(LONGEST_START), stated)
        self.name = name or f"document{suffix_of(self.media)}"

    def part(self, field: str) -> Part:
        """Return the part of a form that holds the document, opened anew; whoever takes it closes it."""
        return Part(field, self._open(), self.name, self.media)

    def sha256(self) -> str:
        """Return the SHA-256 of the bytes, hexadecimal."""
        digest = hashlib.sha256()
        with self._open() as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
        return digest.hexdigest()

    def _open(self) -> IO[bytes]:
        try:
            return self._read()
        except OSError as error:
            raise _unreadable(self.shown, error) from None


def is_given(extras: Mapping[str, Any]) -> bool:
    """Return whether a record brings a document.

    Raises:
        Reject: it brings two.
    """
    if extras.get("document") and extras.get("documentBase64"):
        raise Reject("document and documentBase64 are both given: only one of them can be the document.")
    return bool(extras.get("document") or extras.get("documentBase64"))


@contextmanager
def opened(extras: Mapping[str, Any]) -> Iterator[Document | None]:
    """Give a record's document, fetched and looked at; None if the record brings none.

    What lies elsewhere is fetched once, into a temporary file; base64 is decoded once. Both go when the context ends.

    Raises:
        Reject: there are two, it can't be had, or Vic.ai would not take it.
    """
    if not is_given(extras):
        yield None
        return
    with ExitStack() as exits:
        stated = extras.get("documentType")
        if extras.get("documentBase64"):
            content = _decoded(extras["documentBase64"])
            name = extras.get("documentName") or ""
            yield Document(name or _IN_BASE64, name, len(content), lambda: io.BytesIO(content), stated)
            return
        text = extras["document"]
        shown = show(text)
        path = _fetched(text, shown, exits) if "://" in text else Path(text)
        path, size = _checked(path, shown)
        name = extras.get("documentName") or _file_name(text)
        yield Document(shown, name, size, lambda: path.open("rb"), stated)


def show(text: str) -> str:
    """Return a path or URL as messages may show it: without login and without query, which may be a signature."""
    return _redact(_LOGIN.sub(r"\1", text))


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


def _fetched(url: str, shown: str, exits: ExitStack) -> Path:
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
                _check_size(shown, copy.tell())
        copy.flush()
        return Path(copy.name)
    except Reject:
        raise
    except Exception as error:  # each file system has errors of its own
        raise _unreadable(shown, error) from None


def _decoded(text: str) -> bytes:
    _check_size(_IN_BASE64, len(text) * 3 // 4 - 2 - text.count("\n") - text.count("\r"))
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except ValueError as error:
        raise Reject(f"documentBase64 is not base64: {error}.") from None


def _check_size(shown: str, size: int) -> None:
    if size > MOST_BYTES:
        raise Reject(f"The document {shown} is larger than 64 MB, which is the most that Vic.ai takes.")


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
