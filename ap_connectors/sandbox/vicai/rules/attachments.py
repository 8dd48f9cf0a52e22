"""Attachments: original invoice documents, uploaded for processing."""

from __future__ import annotations

import hashlib

from starlette.responses import Response

from ap_connectors.sandbox.vicai.answers import Refusal, value_answer
from ap_connectors.sandbox.vicai.asked import Asked, Handler
from ap_connectors.sandbox.vicai.store import File

_OFFICE = "application/vnd.openxmlformats-officedocument"
_EXCEL = "application/vnd.ms-excel"
MEDIA = frozenset(
    {
        "application/msword",
        "application/pdf",
        "application/vnd.ms-word.document.macroenabled.12",
        "application/vnd.ms-word.template.macroenabled.12",
        f"{_OFFICE}.wordprocessingml.document",
        f"{_OFFICE}.wordprocessingml.template",
        f"{_OFFICE}.spreadsheetml.sheet",
        f"{_OFFICE}.spreadsheetml.template",
        _EXCEL,
        *(f"{_EXCEL}.{kind}.macroenabled.12" for kind in ("addin", "sheet.binary", "sheet", "template")),
        "image/tiff",
        "image/jpg",
        "image/jpeg",
        "image/png",
        "image/gif",
        "text/xml",
    }
)


def upload(asked: Asked) -> Response:
    """Keep a file of a supported type; its id is the answer."""
    part, store = asked.parts["file"], asked.store
    if part.media not in MEDIA:
        raise Refusal(422, f"Files of type {part.media[:100]} are not supported.")
    if not part.data:
        raise Refusal(422, "The file is empty.")
    facts = {
        "fileName": part.file_name,
        "contentType": part.media,
        "bytes": len(part.data),
        "sha256": hashlib.sha256(part.data).hexdigest(),
    }
    entry = store.save("attachments", facts)
    store.files["attachments", entry.id] = File(part.data, part.media, part.file_name or "")
    return value_answer({"id": entry.id}, 201)


HANDLERS: dict[str, Handler] = {"uploadAttachment": upload}
