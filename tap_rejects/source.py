"""Reject files on the disk: which there are, their whole lines, and which ivesk document each reject stems from."""

from __future__ import annotations

import glob
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ap_connectors.core import messages, text_files
from ap_connectors.core.companies import same_company
from ap_connectors.core.errors import Stop
from ap_connectors.singer.schema import canonical

DEFAULT = "rejects-*.jsonl"
"""Default name of reject files, also those of a folder."""

_decoder = json.JSONDecoder(strict=False)


class Place(msgspec.Struct, frozen=True):
    """How far a file has been read: number of bytes, and their SHA-256."""

    size: int = 0
    sha256: str = hashlib.sha256().hexdigest()


def places(bookmark: Mapping[str, Any]) -> dict[str, Place]:
    """Return how far each file was read, by path; treat an invalid bookmark as unread."""
    try:
        return msgspec.convert(bookmark.get("files") or {}, dict[str, Place])
    except msgspec.ValidationError:
        return {}


def find(path: str) -> list[str]:
    """Return the paths of the reject files, in the order of their names.

    Args:
        path: a file, a folder (its `rejects-*.jsonl`) or a glob (`**` goes into folders); "{timestamp}" in it stands
            for any time, as in the setting that named the files.

    Raises:
        Stop: the folder does not exist. A folder without reject files is not an error.
    """
    if Path(path).is_file():  # its name may contain wildcards
        return [path]
    if Path(path).is_dir():
        return _files(str(Path(glob.escape(path)) / DEFAULT))
    path = path.replace("{timestamp}", "*")
    if not glob.has_magic(path) and (path.endswith("/") or not Path(path).suffix):
        raise Stop(f"path: there is no file or folder {path}. Give a reject file, a folder or a glob.")
    folder = Path(path).parent
    while glob.has_magic(str(folder)) and not folder.is_dir():
        folder = folder.parent
    if not folder.is_dir():
        raise Stop(f"path: the folder {folder} does not exist, so {path} cannot match any file.")
    return _files(path)


def _files(pattern: str) -> list[str]:
    return sorted(found for found in glob.glob(pattern, recursive=True) if Path(found).is_file())  # noqa: PTH207


class Source:
    """A reject file, read from its first byte: an earlier reject may explain a later one.

    Args:
        path: of the file.
        warn: called with a message about a line that a killed run left unfinished.

    Attributes:
        path: as given.
        number: of the last line read, from 1.
    """

    def __init__(self, path: str, warn: Callable[[str], None]) -> None:
        self.path, self.number = path, 0
        self._warn = warn
        self._size, self._digest = 0, hashlib.sha256()

    @property
    def start(self) -> int:
        """Offset of the last line yielded, in bytes."""
        return self._size

    def place(self) -> Place:
        """Return how far the file is read: to the end of the line before the last one yielded."""
        return Place(self._size, self._digest.hexdigest())

    def holds(self, place: Place) -> bool:
        """Return whether the file still begins with what was read of it.

        Raises:
            OSError: it cannot be read.
        """
        digest, rest = hashlib.sha256(), place.size
        with Path(self.path).open("rb") as file:
            for raw in text_files.utf8_lines(file, self.path):
                piece = raw[:rest]
                digest.update(piece)
                rest -= len(piece)
                if not rest:
                    break
        return not rest and digest.hexdigest() == place.sha256

    def lines(self, since: Place) -> Iterator[messages.Line]:
        """Yield the lines; the last one only if its JSON is complete, because a load may be writing it.

        Raises:
            Stop: a line is not one of a reject file; it names file and line. OSError: the file cannot be read.
        """
        with Path(self.path).open("rb") as file:
            try:
                yield from messages.read(self._whole(text_files.utf8_lines(file, self.path), since))
            except Stop:
                raise Stop(
                    f"{self.path}, line {self.number}: not a line of a reject file (a Singer message in JSON). Set "
                    "path to the files that target-vicai and mapper-ivesk-vicai wrote, or repair the line. Everything "
                    "before it was read."
                ) from None

    def _whole(self, file: Iterable[bytes], since: Place) -> Iterator[bytes]:
        for raw in file:
            self.number += 1
            if not raw.endswith(b"\n") and not _is_whole(raw.strip()):
                self._warn(
                    f"{self.path}, line {self.number}, the last, is not complete yet, and was not read. If no run is "
                    "writing the file, a run was killed there."
                )
                return
            torn = _is_torn(raw.strip())
            if torn and self._size >= since.size:
                # The run that was killed while writing it had not emitted a STATE: the record comes again.
                self._warn(f"{self.path}, line {self.number} is incomplete and was skipped: a run was killed there.")
            yield b"" if torn else raw
            self._size += len(raw)
            self._digest.update(raw)


def _is_torn(line: bytes) -> bool:
    """Return whether a line is only the beginning of a message."""
    return line.startswith(b"{") and not line.endswith(b"}") and not _is_whole(line)


def _is_whole(line: bytes) -> bool:
    """Return whether a line, unless it is empty, begins with a whole value of JSON."""
    try:
        _decoder.raw_decode(line.decode(errors="replace"))
    except (ValueError, RecursionError):
        return not line
    return True


# Which ivesk document

_DOCUMENT, _COMPANY, _EXPORT = map(canonical, ("ivesk_document_id", "ivesk_company_code", "ivesk_exported_at"))
"""Fields that mapper-ivesk-vicai adds to every record it makes of a document."""

_QUEUES = frozenset(map(canonical, ("exported_documents", "digitized_documents")))
"""Streams whose records are ivesk's documents themselves; the mapper sets these aside unchanged."""


class Origin(NamedTuple):
    """A document: its id, the registration code of the company that it belongs to, and its state.

    Args:
        document, company: id and code.
        exported: when ivesk exported it, or digitised it; empty if that is not known. Refused again after a new
            export, it was not mended.
    """

    document: str
    company: str
    exported: str = ""


def fields(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record's fields by the canonical spelling of their names."""
    return {canonical(name): value for name, value in record.items()}


def origin(
    stream: str, record: Mapping[str, Any], company_code: str | None, mark: Mapping[str, Any] | None = None
) -> Origin | None:
    """Return the document that a record was made of; None if it was made of something else.

    Args:
        stream: the record's.
        record: its `fields`.
        company_code: company of documents whose reject does not name it.
        mark: its member `rejected`, in which the mapper names its company.

    Raises:
        Stop: the company of the document is not known.
    """
    document, company = _text(record.get(_DOCUMENT)), _text(record.get(_COMPANY)) or company_code
    exported = _text(record.get(_EXPORT))
    if not document and canonical(stream) in _QUEUES:
        company = _as_ivesk_has_it(record, _text((mark or {}).get("company_code")) or company_code) or _owner(record)
        document = _text(record.get("id"))
        exported = _text(record.get("exportedat")) or _text(record.get("digitizedat"))
    if not document:
        return None
    if not company:
        raise Stop(f"document {document} names no company, which ivesk needs: set company_code.")
    return Origin(document, company, exported)


def _as_ivesk_has_it(document: Mapping[str, Any], company: str | None) -> str | None:
    """Return the company's code as the document spells it, if it is one of its parties: ivesk asks for that."""
    codes = [_text(document.get(f"{party}code")) for party in ("buyer", "seller")]
    return next((code for code in codes if same_company(code, company)), company)


def _owner(document: Mapping[str, Any]) -> str:
    """Return the code of the party that the accountant works for, else of the buyer."""
    favourites = [party for party in ("buyer", "seller") if document.get(f"{party}isfavorite") is True]
    codes = (_text(document.get(f"{party}code")) for party in (*favourites, "buyer"))
    return next(filter(None, codes), "")


def _text(value: Any) -> str:
    """Return an id as text: a warehouse may have turned codes into numbers."""
    return str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
