"""Downloaded files: a folder, or any fsspec URL, under names that stay inside it; and the streams of their facts."""

from __future__ import annotations

import dataclasses
import hashlib
import mimetypes
import os
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, ClassVar

import msgspec

from ap_connectors.core.errors import Reject, Stop
from ap_connectors.core.files import replacing
from ap_connectors.core.raw_json import Record
from ap_connectors.http.concurrency import ordered
from ap_connectors.singer.stream import ExactStream

FILE_FACTS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "path": {"type": ["string", "null"], "description": "Where the file is, beginning with documents_dir."},
        "bytes": {"type": ["integer", "null"], "description": "Size in bytes."},
        "sha256": {"type": ["string", "null"], "description": "SHA-256 of the bytes, hexadecimal."},
        "content_type": {"type": ["string", "null"], "description": "Media type."},
        "error": {"type": ["string", "null"], "description": "Why there is no file; null when there is one."},
    },
}
"""Schema of the facts of a file: a `StoredFile`, or the reason why it was not downloaded."""

_IN_MEMORY = 8 * 1024 * 1024
_CHUNK = 256 * 1024
_UNSAFE = re.compile(r"[^\w.,+()\-]+")
_ENDING = re.compile(r"[A-Za-z0-9]{1,8}")
_as_json = msgspec.json.Encoder().encode


def safe_part(text: str, *, longest: int = 80) -> str:
    """Make one part of a path from any text: letters of any alphabet and digits stay, all else becomes ``_``.

    The result is never empty, ``.`` or ``..``, does not begin with a dot, and is at most `longest` bytes long. Texts
    that had to be changed or cut get eight hexadecimal digits of their hash, so that two of them never become one name.
    """
    name = _UNSAFE.sub("_", unicodedata.normalize("NFC", text)).strip("._ ")
    if name and name == text and len(name.encode()) <= longest:
        return name
    mark = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    kept = name.encode()[: longest - 9].decode(errors="ignore")
    return f"{kept}-{mark}" if kept else mark


def safe_name(text: str) -> str:
    """Make a file's name as `safe_part` does; an ordinary ending stays the ending."""
    stem, _, ending = text.rpartition(".")
    return f"{safe_part(stem)}.{ending}" if stem and _ENDING.fullmatch(ending) else safe_part(text)


@dataclass(frozen=True)
class StoredFile:
    """Facts of a stored file: where it is, its size in bytes, the hex SHA-256 of its bytes, its media type."""

    path: str
    bytes: int
    sha256: str
    content_type: str


class FileStore:
    """A folder (or fsspec URL such as ``s3://bucket/invoices``) for files.

    A file becomes visible only when it is whole. Names are relative, of `safe_part`s joined by ``/``.

    Raises:
        Stop: the folder cannot be used.
    """

    def __init__(self, root: str) -> None:
        # fsspec takes a tenth of a second to import; a discovery has no use for it.
        import fsspec  # noqa: PLC0415
        from fsspec.implementations.local import LocalFileSystem  # noqa: PLC0415

        # What records and messages show: a user name and password in the URL stay out.
        self._root = re.sub(r"^(\w+://)[^/]*@", r"\1", root.rstrip("/") or "/")
        try:
            self._fs, self._base = fsspec.core.url_to_fs(os.path.expanduser(root.rstrip("/") or "/"))  # noqa: PTH111
            self._fs.makedirs(self._base, exist_ok=True)
        except ImportError as error:
            raise Stop(f"documents_dir: {error}.") from None
        except Exception as error:  # each file system has errors of its own
            raise Stop(f"documents_dir: {self._root} cannot be used: {_reason(error)}.") from None
        self._local = isinstance(self._fs, LocalFileSystem)
        # Asked for here, before there are threads: to read it is to set it.
        umask = os.umask(0o022)
        os.umask(umask)
        self._mode = 0o666 & ~umask

    def find(self, name: str) -> StoredFile | None:
        """Return the facts of a file that exists already, or None."""
        path = f"{self._base}/{name}"
        digest, size = hashlib.sha256(), 0
        try:
            if not self._fs.isfile(path):
                return None
            with self._fs.open(path, "rb") as file:
                while chunk := file.read(_CHUNK):
                    digest.update(chunk)
                    size += len(chunk)
        except Exception as error:  # each file system has errors of its own
            raise Stop(f"documents_dir: {self._root}/{name} cannot be read: {_reason(error)}.") from None
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return StoredFile(f"{self._root}/{name}", size, digest.hexdigest(), kind) if size else None

    def write(self, name: str, chunks: Iterable[bytes], content_type: str) -> StoredFile:
        """Store the bytes of `chunks` under a name and return the facts of the file.

        Raises:
            Reject: the file is empty, or is labelled as a PDF but is not one.
            Stop: it cannot be stored.
        """
        digest, size = hashlib.sha256(), 0
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as spool:
            for chunk in chunks:
                digest.update(chunk)
                size += len(chunk)
                spool.write(chunk)
            spool.seek(0)
            _check(spool.read(1024), name, content_type)
            spool.seek(0)
            try:
                self._publish(spool, f"{self._base}/{name}")
            except Exception as error:  # each file system has errors of its own
                raise Stop(f"documents_dir: {self._root}/{name} cannot be written: {_reason(error)}.") from None
        return StoredFile(f"{self._root}/{name}", size, digest.hexdigest(), content_type)

    def _publish(self, spool: IO[Any], path: str) -> None:
        if self._local:
            # An ordinary new file follows the user's own rules.
            with replacing(Path(path), mode=self._mode, durable=False) as file:
                shutil.copyfileobj(spool, file)
            return
        # Object storage shows an object when its upload is complete.
        self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        with self._fs.open(path, "wb") as file:
            shutil.copyfileobj(spool, file)


def _check(start: bytes, name: str, content_type: str) -> None:
    if not start:
        raise Reject(f"{name}: the file is empty", "document_empty", document=name)
    unspecific = content_type in {"", "application/octet-stream", "binary/octet-stream"}
    labelled_pdf = content_type == "application/pdf" or (unspecific and name.lower().endswith(".pdf"))
    if labelled_pdf and b"%PDF-" not in start:
        raise Reject(f"{name}: is labelled as a PDF but is not one", "document_not_a_pdf", document=name)


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) and error.strerror else str(error)) or type(error).__name__


class FileStream(ExactStream):
    """Downloads a file for each record of its parent; selected when `documents_dir` is set.

    A file that cannot be downloaded makes a record with the reason in `error` and no path; the run goes on.
    """

    key_fields: ClassVar[tuple[str]]
    """Our name for the id of the record that a file belongs to."""
    downloads: int = 8
    """Files downloaded at once."""

    def __init__(self, tap: Any, *, of: str) -> None:
        self.selected_by_default = bool(tap.config.get("documents_dir"))
        own = {self.key_fields[0]: {"type": ["string"], "description": f"Id of the {of}."}}
        super().__init__(tap, FILE_FACTS | {"properties": own | FILE_FACTS["properties"]})

    def open(self, exits: ExitStack) -> None:
        """Prepare to `emit`; tell if no folder to download to is set."""
        super().open(exits)
        if not self.config.get("documents_dir"):
            self.logger.info("%s is selected, but documents_dir is not set: no files are downloaded", self.name)

    def owner(self, record: Record) -> msgspec.Raw | None:
        """Return the id of the parent's record, as JSON; None if it has no id to request a file by."""
        raise NotImplementedError

    def fetch(self, record: Record) -> StoredFile:
        """Download the file of a parent's record. Thread-safe.

        Raises:
            Reject: it cannot be downloaded; the record says why.
        """
        raise NotImplementedError

    def derive(self, parents: list[Record]) -> Iterator[Record]:
        """Yield the facts of the files, in the parents' order; nothing without a folder for them."""
        if not self.config.get("documents_dir"):
            return
        owners = [(owner, parent) for parent in parents if (owner := self.owner(parent)) is not None]
        if len(owners) < len(parents):
            self.logger.warning("%s: %d records have no id to request a file by", self.name, len(parents) - len(owners))
        files = ordered(self._fetch, [parent for _, parent in owners], workers=self.downloads)
        for (owner, _), found in zip(owners, files, strict=True):
            if isinstance(found, Reject):
                self.logger.warning("%s", found)
            facts = {"error": str(found)} if isinstance(found, Reject) else dataclasses.asdict(found)
            own = {name: msgspec.Raw(_as_json(facts.get(name))) for name in FILE_FACTS["properties"]}
            yield {self.key_fields[0]: owner} | own

    def _fetch(self, record: Record) -> StoredFile | Reject:
        try:
            return self.fetch(record)
        except Reject as reason:
            return reason
