"""Forms with files (multipart/form-data, RFC 7578), sent piece by piece: 64 MB take no more memory than 64 kB."""

from __future__ import annotations

import io
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO

from urllib3.fields import RequestField

from ap_connectors.core.errors import Reject

_PIECE = 256 * 1024


@dataclass
class Part:
    """A part of a form.

    Args:
        name: the field's name ("document").
        content: its bytes, or an open file that can tell its length (seekable); sent from where it stands.
        file_name: how the file is called, or None for plain data.
        media: its media type.
    """

    name: str
    content: bytes | IO[bytes]
    file_name: str | None = None
    media: str = "application/octet-stream"


class Form:
    """A body for requests: as long as it says, and read to its end once.

    Raises:
        Reject: a file became shorter or longer while it was sent. The service got no whole form then.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        boundary = secrets.token_hex(16)
        self.content_type = f"multipart/form-data; boundary={boundary}"
        self._parts = [(_head(boundary, part), part, _length(part.content)) for part in parts]
        self._end = f"--{boundary}--\r\n".encode()

    def __len__(self) -> int:
        return sum(len(head) + length + 2 for head, _, length in self._parts) + len(self._end)

    def __iter__(self) -> Iterator[bytes]:
        for head, part, length in self._parts:
            yield head
            yield from _pieces(part, length)
            yield b"\r\n"
        yield self._end


def _head(boundary: str, part: Part) -> bytes:
    field = RequestField(part.name, b"", part.file_name)
    field.make_multipart(content_type=part.media)
    return f"--{boundary}\r\n{field.render_headers()}".encode()


def _length(content: bytes | IO[bytes]) -> int:
    if isinstance(content, bytes):
        return len(content)
    start = content.tell()
    end = content.seek(0, io.SEEK_END)
    content.seek(start)
    return end - start


def _pieces(part: Part, length: int) -> Iterator[bytes]:
    if isinstance(part.content, bytes):
        yield part.content
        return
    while length > 0 and (piece := part.content.read(min(_PIECE, length))):
        length -= len(piece)
        yield piece
    if length or part.content.read(1):
        name = part.file_name or part.name
        raise Reject(f"{name} changed while it was being sent.", "document_changed", document=name)
