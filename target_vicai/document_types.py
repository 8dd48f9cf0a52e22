"""What a document is: told by its first bytes, and where those leave it open, by its name or by who sends it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ap_connectors.core.errors import Reject
from ap_connectors.singer.input_files import file_type

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

_OFFICE_KINDS = {"ZIP": "Office", "OLE": "old Office"}
"""What the containers are that Office files come in."""

_OTHER_WORDS = {"application/xml": "text/xml", "image/jpg": "image/jpeg", "image/tif": "image/tiff"}
_SAYS_NOTHING = {"", "application/octet-stream", "binary/octet-stream"}

_SUFFIX = re.compile(r"\.\w{1,5}$")


def media_type(name: str, start: bytes, stated: str | None) -> str:
    """Return a document's media type.

    Args:
        name: the file's name, or another word for it; what ends in a suffix counts.
        start: its first bytes (see `ap_connectors.singer.input_files.file_type`).
        stated: what the sender says: a media type, or a suffix ("pdf").

    Raises:
        Reject: Vic.ai does not process it, or it is not what it is said to be.
    """
    found_kind = file_type(start)
    family = _OFFICE_KINDS.get(found_kind or "", found_kind)
    if family is None:
        raise Reject(
            f"The document {name} is not of a type that Vic.ai processes: it begins like no PDF, TIFF, JPEG, PNG, GIF, "
            "XML, Word or Excel file."
        )
    types = _FAMILIES[family]
    said = _stated(stated)
    if said is not None:
        if said not in types.values():
            raise Reject(f"documentType is {stated}, but the document {name} begins like a file of type {family}.")
        return said
    media = set(types.values())
    if len(media) == 1:
        return media.pop()
    found = _SUFFIX.search(name)
    by_suffix = types.get(found[0].lower()) if found else None
    if by_suffix is None:
        raise Reject(
            f"The document {name} is a file of type {family}, and its name does not say which: "
            f"it must end in one of {', '.join(types)}, or documentType must say it."
        )
    return by_suffix


def suffix_of(media: str) -> str:
    """Return the suffix that files of a media type have."""
    return next(suffix for types in _FAMILIES.values() for suffix, type_ in types.items() if type_ == media)


def _stated(stated: str | None) -> str | None:
    """Return the media type that the sender means, as Vic.ai writes it; None if the sender says nothing.

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
        f"documentType is {stated}, which Vic.ai does not process: give a media type or a suffix, such as pdf."
    )
