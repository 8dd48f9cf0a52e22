"""What a file is called at Įvesk: the service tells a file's type by its name, so the name must say it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ap_connectors.core.errors import Reject
from ap_connectors.singer.input_files import LONGEST_START, InputFile, file_type

_SUFFIXES: Mapping[str, tuple[str, ...]] = {
    "PDF": (".pdf",),
    "TIFF": (".tif", ".tiff"),
    "JPEG": (".jpg", ".jpeg"),
    "PNG": (".png",),
    "XML": (".xml",),
    "ZIP": (".zip",),
}
"""What is sent, by kind, with the suffixes of its names, the usual one first.

The service's description lists no types; these are what invoices come as, alone or several in a ZIP.
"""
_OFFICE = re.compile(r"\.(doc|dot|xls|xlt)[xm]$|\.(xlsb|pptx|odt|ods)$", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def file_name(document: InputFile) -> str:
    """Return the name to send a document under: its own, with the suffix of what it is.

    Raises:
        Reject: it is nothing that is sent to Įvesk.
    """
    found = file_type(document.start(LONGEST_START))
    suffixes = _SUFFIXES.get(found or "")
    if suffixes is None or _OFFICE.search(document.name):
        raise Reject(
            f"The document {document.shown} is not of a type that is sent to Įvesk: send a PDF, TIFF, JPEG, PNG or XML "
            "file, or a ZIP of them. What counts is how the file begins, not what it is called.",
            "document_type",
            document=document.shown,
        )
    # A path may hold them, a header may not.
    name = _CONTROL.sub("_", document.name) or "document"
    return name if name.lower().endswith(suffixes) else name + suffixes[0]
