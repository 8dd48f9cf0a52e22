"""Multipart bodies (RFC 7578), taken apart byte for byte."""

from __future__ import annotations

from dataclasses import dataclass
from email.message import Message

from ap_connectors.sandbox.vicai.answers import Refusal

MOST_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Part:
    """A part of a form: its bytes, content type and file name (None if it has none)."""

    data: bytes
    media: str
    file_name: str | None


def parts(content_type: str, body: bytes) -> dict[str, Part]:
    """Take a form apart; of two parts of one name the last counts.

    Raises:
        Refusal: 400, it is no form; 413, a part is too large.
    """
    boundary = _header("content-type", content_type).get_param("boundary", header="content-type")
    if not isinstance(boundary, str) or not boundary:
        raise Refusal(400, "The multipart body's boundary is missing in Content-Type.")
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary.encode("latin-1", "replace"))
    if len(pieces) < 3 or not pieces[-1].startswith(b"--"):
        raise Refusal(400, "The body does not hold the parts that its boundary announces.")
    found: dict[str, Part] = {}
    for piece in pieces[1:-1]:
        head, gap, data = piece.partition(b"\r\n\r\n")
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head.decode("utf-8", "replace").split("\r\n"))
        }
        disposition = _header("content-disposition", headers.get("content-disposition", ""))
        name = disposition.get_param("name", header="content-disposition")
        if not gap or not isinstance(name, str):
            raise Refusal(400, "A part of the multipart body has no name.")
        if len(data) > MOST_BYTES:
            raise Refusal(413, f"{name} is larger than 64 MB.")
        media = headers.get("content-type", "text/plain").partition(";")[0].strip().lower()
        found[name] = Part(data, media, disposition.get_filename())
    return found


def _header(name: str, value: str) -> Message:
    message = Message()
    message[name] = value.replace("\r", " ").replace("\n", " ")
    return message
