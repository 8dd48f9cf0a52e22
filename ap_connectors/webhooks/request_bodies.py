"""Reads an invoice with its document from multipart/form-data, piece by piece as it comes in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from ap_connectors.webhooks.errors import Refused, unavailable

# Takes the bodies of requests in, within limits of size, time and memory.

_MB = 1_000_000
_LINGER_BYTES = 2 * _MB
_LINGER_SECONDS = 1.0


class Intake:
    """Bounds what is read.

    Args:
        seconds: how long one body may take.
        most_mb: what all bodies may hold together.
    """

    def __init__(self, seconds: float, most_mb: float) -> None:
        self._seconds = seconds
        self._most = most_mb * _MB
        self.held = 0

    @contextmanager
    def hold(self) -> Iterator[Hold]:
        """Give what reads one body; its bytes count as held until the context ends."""
        hold = Hold(self)
        try:
            yield hold
        finally:
            self.held -= hold.taken

    def check(self, request: Request, limit_mb: float) -> None:
        """Refuse what says itself that it is too large.

        Raises:
            Refused: 413.
        """
        said = request.headers.get("content-length", "")
        if said.isdecimal() and int(said) > limit_mb * _MB:
            raise _too_large(limit_mb)

    async def read(self, hold: Hold, request: Request, limit_mb: float, sink: Callable[[bytes], object]) -> None:
        """Give the pieces of a body to `sink`; see `Hold.read`."""
        self.check(request, limit_mb)
        try:
            with anyio.fail_after(self._seconds):
                async for piece in request.stream():
                    hold.taken += len(piece)
                    self.held += len(piece)
                    if hold.taken > limit_mb * _MB:
                        raise _too_large(limit_mb)
                    if self.held > self._most:
                        raise unavailable("Too much is under way.", detail="See max_waiting_mb.")
                    sink(piece)
        except TimeoutError:
            raise Refused(408, "slow", f"The body took longer than {self._seconds:g} s.") from None
        except ClientDisconnect:
            raise Refused(
                400, "broken", "The body broke off.", detail="The sender hung up; nothing is stored."
            ) from None


class Hold:
    """Reads one body; `taken` are its bytes so far."""

    def __init__(self, intake: Intake) -> None:
        self.taken = 0
        self._intake = intake

    async def read(self, request: Request, limit_mb: float, sink: Callable[[bytes], object]) -> None:
        """Give the pieces of a body to `sink` as they come.

        Raises:
            Refused: 413, it is too large; 408, it takes too long; 400, it breaks off; 503, we hold too much already.
        """
        await self._intake.read(self, request, limit_mb, sink)


async def linger(request: Request) -> None:
    """Take in what is left of a body that is not wanted, if it is little and comes soon.

    A connection that is closed over unread bytes is reset, and the sender would never see why.
    """
    left = _LINGER_BYTES
    try:
        with anyio.move_on_after(_LINGER_SECONDS):
            async for piece in request.stream():
                left -= len(piece)
                if left < 0:
                    return
    except (ClientDisconnect, RuntimeError):
        return


def _too_large(limit_mb: float) -> Refused:
    return Refused(413, "oversized", f"The body is larger than {limit_mb:g} MB.")


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
