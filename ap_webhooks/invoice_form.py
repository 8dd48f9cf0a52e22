"""Reads an invoice with its document from multipart/form-data, piece by piece as it comes in."""

from __future__ import annotations

from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from ap_webhooks.refused import Refused

_DATA, _DOCUMENT = "invoiceData", "invoiceDocument"
_MOST_PARTS = 20
_PLAIN = {"", "binary", "7bit", "8bit"}


@dataclass(frozen=True)
class Invoice:
    """The two parts of a call: `data` is JSON as it came; `document_name` has no folders."""

    data: bytes
    document: bytes | None
    document_name: str | None
    document_type: str | None


@dataclass
class _Part:
    headers: dict[str, str] = field(default_factory=dict)
    name: str = ""
    file_name: str | None = None
    content: bytearray = field(default_factory=bytearray)


class InvoiceForm:
    """Takes pieces of a body with `write`, and gives the invoice with `finish`.

    Args:
        content_type: the header of the request.

    Raises:
        Refused: 400, the header names no form.
    """

    def __init__(self, content_type: bytes) -> None:
        kind, options = parse_options_header(content_type.decode("latin-1"))
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise _malformed("The body must be multipart/form-data with invoiceData and invoiceDocument.")
        self._parts: list[_Part] = []
        self._header = bytearray()
        self._value = bytearray()
        self._ended = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
                    "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._name,
                    "on_part_data": lambda data, start, end: self._parts[-1].content.extend(data[start:end]),
                    "on_end": self._end,
                },
            )
        except FormParserError:
            raise _malformed("The boundary of the form cannot be used.") from None

    def write(self, piece: bytes) -> None:
        """Take the next piece.

        Raises:
            Refused: 400, this is no form.
        """
        try:
            self._parser.write(piece)
        except FormParserError:
            raise _malformed("The body is no multipart/form-data.") from None

    def finish(self) -> Invoice:
        """Give the invoice, once all has come.

        Raises:
            Refused: 400, a part is missing, there twice, or the form breaks off.
        """
        if not self._ended:
            raise _malformed("The form breaks off before its end.")
        data, documents = self._named(_DATA), self._named(_DOCUMENT)
        if len(data) != 1 or len(documents) > 1:
            raise _malformed(
                f"The form must have one {_DATA} and one {_DOCUMENT}; it has {len(data)} and {len(documents)}."
            )
        document = documents[0] if documents else _Part()
        return Invoice(
            data=bytes(data[0].content),
            document=bytes(document.content) if documents else None,
            document_name=document.file_name,
            document_type=document.headers.get("content-type"),
        )

    @property
    def strangers(self) -> list[str]:
        """Names of parts that nobody has told us of."""
        return [part.name for part in self._parts if part.name not in {_DATA, _DOCUMENT}]

    def _named(self, name: str) -> list[_Part]:
        return [part for part in self._parts if part.name == name]

    def _begin(self) -> None:
        if len(self._parts) == _MOST_PARTS:
            raise _malformed(f"The form has more than {_MOST_PARTS} parts.")
        self._parts.append(_Part())

    def _end_header(self) -> None:
        name = self._header.decode("latin-1").strip().lower()
        self._parts[-1].headers[name] = self._value.decode("utf-8", "replace").strip()
        self._header.clear()
        self._value.clear()

    def _name(self) -> None:
        part = self._parts[-1]
        if part.headers.get("content-transfer-encoding", "").lower() not in _PLAIN:
            raise _malformed("The parts of the form must not be encoded.")
        part.name = _option(part.headers.get("content-disposition", ""), "name") or ""
        part.file_name = _base_name(_option(part.headers.get("content-disposition", ""), "filename"))

    def _end(self) -> None:
        self._ended = True


def _option(header: str, name: str) -> str | None:
    # The parser speaks latin-1 only; file names come in UTF-8.
    _, options = parse_options_header(header.encode().decode("latin-1"))
    value = options.get(name.encode())
    return None if value is None else value.decode("utf-8", "replace")


def _base_name(name: str | None) -> str | None:
    plain = "".join(letter for letter in name or "" if letter.isprintable())
    return plain.replace("\\", "/").rpartition("/")[2] or None


def _malformed(message: str) -> Refused:
    return Refused(400, "malformed", message)
