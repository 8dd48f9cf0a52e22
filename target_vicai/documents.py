"""Documents of records: whether Vic.ai can take what a record brings, and of what type it is.

A document's first bytes tell its type; where those leave it open, its name or the record does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ap_connectors.core.errors import Reject
from ap_connectors.singer import input_files
from ap_connectors.singer.document_sources import DocumentSources
from ap_connectors.singer.input_files import LONGEST_START, InputFile, Limit, file_type
from ap_connectors.vicai.client import Part
from target_vicai.sink import TEXT

FIELDS: Mapping[str, Any] = {
    "document": {"type": "string"},
    "documentBase64": {"type": "string"},
    "documentName": TEXT,
    "documentType": TEXT,
}
"""What a record says of its document: a path or fsspec URL, or its bytes; its name; its media type or its suffix."""

MOST_BYTES = {False: 64 * 1024 * 1024, True: 100 * 1024 * 1024}
"""The largest document that Vic.ai takes: 64 MB in 0.20.0 (Invoices, Create an invoice), 100 MB today (True)."""


class Document(InputFile):
    """A document that Vic.ai can take: not empty, not too large, of a type that it processes. Made by `opened`.

    Args:
        found: what the record brings.
        stated: what the record says of its type.

    Raises:
        Reject: Vic.ai would refuse it.
    """

    def __init__(self, found: InputFile, stated: str | None) -> None:
        super().__init__(found.shown, found.name, found.size, found.read)
        self.media = _media_type(found.name or found.shown, found.start(LONGEST_START), stated)
        self.name = found.name or f"document{_suffix_of(self.media)}"

    def part(self, field: str) -> Part:
        """Return the part of a form that holds the document, opened anew; the caller closes it."""
        return Part(field, self.open(), self.name, self.media)


def is_given(extras: Mapping[str, Any]) -> bool:
    """Return whether a record brings a document.

    Raises:
        Reject: it brings two.
    """
    return input_files.is_given(extras.get("document"), extras.get("documentBase64"))


@contextmanager
def opened(extras: Mapping[str, Any], sources: DocumentSources, *, live: bool = False) -> Iterator[Document | None]:
    """Give a record's document, fetched and checked; None if the record brings none (see `input_files.opened`).

    `live` says whether the service takes the larger files of today (`VicaiClient.is_live`).

    Raises:
        Reject: there are two, it may not be or cannot be read, or Vic.ai would refuse it.
    """
    limit = Limit(MOST_BYTES[live], "100 MB" if live else "64 MB", "Vic.ai")
    given = extras.get("document"), extras.get("documentBase64"), extras.get("documentName")
    with input_files.opened(*given, sources=sources, limit=limit) as found:
        yield None if found is None else Document(found, extras.get("documentType"))


# Types

_OFFICE = "application/vnd.openxmlformats-officedocument"
_WORD, _EXCEL = "application/vnd.ms-word", "application/vnd.ms-excel"

_FAMILIES: Mapping[str, Mapping[str, str]] = {
    "PDF": {".pdf": "application/pdf"},
    "TIFF": {".tif": "image/tiff", ".tiff": "image/tiff"},
    "JPEG": {".jpg": "image/jpeg", ".jpeg": "image/jpeg"},
    "PNG": {".png": "image/png"},
    "GIF": {".gif": "image/gif"},
    "XML": {".xml": "text/xml"},
    "Office": {
        ".docx": f"{_OFFICE}.wordprocessingml.document",
        ".dotx": f"{_OFFICE}.wordprocessingml.template",
        ".docm": f"{_WORD}.document.macroEnabled.12",
        ".dotm": f"{_WORD}.template.macroEnabled.12",
        ".xlsx": f"{_OFFICE}.spreadsheetml.sheet",
        ".xltx": f"{_OFFICE}.spreadsheetml.template",
        ".xlsm": f"{_EXCEL}.sheet.macroenabled.12",
        ".xltm": f"{_EXCEL}.template.macroenabled.12",
        ".xlam": f"{_EXCEL}.addin.macroenabled.12",
        ".xlsb": f"{_EXCEL}.sheet.binary.macroenabled.12",
    },
    "old Office": {".doc": "application/msword", ".dot": "application/msword", ".xls": _EXCEL, ".xlt": _EXCEL},
}
"""What Vic.ai processes, by suffix (Attachments, Supported content types)."""

_CONTAINERS = {"ZIP": "Office", "OLE": "old Office"}
"""The containers that Office files come in."""

_OTHER_WORDS = {"application/xml": "text/xml", "image/jpg": "image/jpeg", "image/tif": "image/tiff"}
_SAYS_NOTHING = {"", "application/octet-stream", "binary/octet-stream"}

_SUFFIX = re.compile(r"\.\w{1,5}$")


def _media_type(name: str, start: bytes, stated: str | None) -> str:
    """Return a document's media type.

    Args:
        name: the file's name, or another word for it; a suffix counts.
        start: its first bytes (see `input_files.file_type`).
        stated: what the record says: a media type, or a suffix ("pdf").

    Raises:
        Reject: Vic.ai does not process it, or it is not what the record says.
    """
    container = file_type(start)
    family = _CONTAINERS.get(container or "", container)
    if family is None:
        raise Reject(
            f"The document {name} is not of a type that Vic.ai processes: its first bytes are not those of a PDF, "
            "TIFF, JPEG, PNG, GIF, XML, Word or Excel file. Send such a file.",
            "document_type",
            document=name,
        )
    types = _FAMILIES[family]
    said = _stated_type(stated)
    if said is not None:
        if said not in types.values():
            raise Reject(
                f"documentType is {stated}, but the document {name} begins like a file of type {family}. "
                "Correct documentType, or leave it out.",
                "document_type_differs",
                document=name,
                stated=stated,
                found=family,
            )
        return said
    media = set(types.values())
    if len(media) == 1:
        return media.pop()
    found = _SUFFIX.search(name)
    by_suffix = types.get(found[0].lower()) if found else None
    if by_suffix is None:
        raise Reject(
            f"The document {name} is a file of type {family}, and its name does not say which: "
            f"end the name in one of {', '.join(types)}, or say it in documentType.",
            "document_type_unclear",
            document=name,
            found=family,
            suffixes=list(types),
        )
    return by_suffix


def _suffix_of(media: str) -> str:
    """Return the suffix that files of a media type have."""
    return next(suffix for types in _FAMILIES.values() for suffix, type_ in types.items() if type_ == media)


def _stated_type(stated: str | None) -> str | None:
    """Return the media type that the record means, as Vic.ai writes it; None if the record says nothing.

    Raises:
        Reject: Vic.ai does not process it.
    """
    said = (stated or "").partition(";")[0].strip().lower()
    if said in _SAYS_NOTHING:
        return None
    said = _OTHER_WORDS.get(said, said)
    for types in _FAMILIES.values():
        for suffix, media in types.items():
            if said in {media.lower(), suffix, suffix[1:]}:
                return media
    raise Reject(
        f"documentType is {stated}, which Vic.ai does not process: give a media type or a suffix, such as pdf.",
        "document_type",
        stated=stated,
    )
