"""Reads the bodies of requests within limits of size, time and memory; and from a form, an invoice and its document."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import anyio
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from ap_connectors.webhooks.errors import Refused, unavailable

_MB = 1_000_000
_DRAIN_BYTES = 2 * _MB
_DRAIN_SECONDS = 1.0


class Memory:
    """What the bodies of all requests in progress hold in memory, and the most that they may hold."""

    def __init__(self, most_mb: float) -> None:
        self._most = most_mb * _MB
        self.held = 0

    def take(self, count: int) -> bool:
        """Count bytes as held; return False if they are more than fit."""
        self.held += count
        return self.held <= self._most

    def release(self, count: int) -> None:
        """Count bytes as held no longer."""
        self.held -= count


class RequestBody:
    """The body of one request, read within limits; its bytes count as held until the `with` ends.

    Args:
        request: whose body it is.
        memory: what is shared with other requests.
        limit_mb: the largest size.
        seconds: the longest time to arrive.

    Raises:
        Refused: 413, its Content-Length is above the limit.
    """

    def __init__(self, request: Request, memory: Memory, *, limit_mb: float, seconds: float) -> None:
        self._request, self._memory, self._limit_mb, self._seconds = request, memory, limit_mb, seconds
        self._size = 0
        length = request.headers.get("content-length", "")
        if length.isdecimal():
            self._check_size(int(length))

    def __enter__(self) -> RequestBody:
        return self

    def __exit__(self, *_: object) -> None:
        self._memory.release(self._size)

    async def read(self) -> bytes:
        """Return the whole body; raises like `feed`."""
        found = bytearray()
        await self.feed(found.extend)
        return bytes(found)

    async def feed(self, sink: Callable[[bytes], object]) -> None:
        """Pass the pieces of the body to `sink` as they arrive.

        Raises:
            Refused: 413, it is too large; 503, it takes too long, or too much is held already; 400, it is incomplete.
        """
        try:
            with anyio.fail_after(self._seconds):
                async for piece in self._request.stream():
                    self._size += len(piece)
                    fits = self._memory.take(len(piece))
                    self._check_size(self._size)
                    if not fits:
                        raise unavailable("Too many requests are in progress.", detail="See max_waiting_mb.")
                    sink(piece)
        except TimeoutError:
            # Not 408: what Vic.ai gets a 4XX for counts as delivered, and SNS does not send it again.
            raise Refused(503, "slow", f"The body took longer than {self._seconds:g} s.") from None
        except ClientDisconnect:
            raise Refused(
                400, "broken", "The body is incomplete.", detail="The sender closed the connection; nothing is stored."
            ) from None

    def _check_size(self, size: int) -> None:
        if size > self._limit_mb * _MB:
            raise Refused(413, "oversized", f"The body is larger than {self._limit_mb:g} MB.")


async def drain(request: Request) -> None:
    """Read the rest of a refused body if it is short and arrives soon.

    A connection that is closed over unread bytes is reset, and the sender would never see the answer.
    """
    left = _DRAIN_BYTES
    try:
        with anyio.move_on_after(_DRAIN_SECONDS):
            async for piece in request.stream():
                left -= len(piece)
                if left < 0:
                    return
    except (ClientDisconnect, RuntimeError):
        return


_DATA, _DOCUMENT = "invoiceData", "invoiceDocument"
_MOST_PARTS = 20
_UNENCODED = {"", "binary", "7bit", "8bit"}


@dataclass(frozen=True)
class Invoice:
    """The two parts of a call: `data` is the JSON as received; `document_name` has no folders."""

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
    """Parses a form from pieces of a body.

    Args:
        content_type: the header of the request.

    Raises:
        Refused: 400, the header does not announce a form.
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
                    "on_headers_finished": self._end_headers,
                    "on_part_data": lambda data, start, end: self._parts[-1].content.extend(data[start:end]),
                    "on_end": self._end,
                },
            )
        except FormParserError:
            raise _malformed("The boundary of the form is not valid.") from None

    def write(self, piece: bytes) -> None:
        """Parse the next piece.

        Raises:
            Refused: 400, this is not a form.
        """
        try:
            self._parser.write(piece)
        except FormParserError:
            raise _malformed("The body is not multipart/form-data.") from None

    def finish(self) -> Invoice:
        """Return the invoice after the last piece.

        Raises:
            Refused: 400, a part is missing or given twice, or the form is incomplete.
        """
        if not self._ended:
            raise _malformed("The form is incomplete.")
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
    def unknown_parts(self) -> list[str]:
        """Names of parts that the contract does not have."""
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

    def _end_headers(self) -> None:
        part = self._parts[-1]
        if part.headers.get("content-transfer-encoding", "").lower() not in _UNENCODED:
            raise _malformed("The parts of the form must not be encoded.")
        part.name = _option(part.headers.get("content-disposition", ""), "name") or ""
        part.file_name = _base_name(_option(part.headers.get("content-disposition", ""), "filename"))

    def _end(self) -> None:
        self._ended = True


def _option(header: str, name: str) -> str | None:
    # The parser decodes latin-1 only; file names arrive in UTF-8.
    _, options = parse_options_header(header.encode().decode("latin-1"))
    value = options.get(name.encode())
    return None if value is None else value.decode("utf-8", "replace")


def _base_name(name: str | None) -> str | None:
    plain = "".join(letter for letter in name or "" if letter.isprintable())
    return plain.replace("\\", "/").rpartition("/")[2] or None


def _malformed(message: str) -> Refused:
    return Refused(400, "malformed", message)
