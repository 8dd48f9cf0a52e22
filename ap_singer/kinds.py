"""What kind of file some bytes are, told by how they begin."""

from __future__ import annotations

import re

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
