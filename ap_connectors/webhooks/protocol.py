"""HTTP as uvicorn speaks it, with limits to what comes before a body and beside it: anybody may send that."""

from __future__ import annotations

import asyncio
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_SECONDS = 10.0
_MOST_BYTES = 64 * 1024
_MOST_HEADERS = 100
_ANSWER = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n%b"
)
_WORDS = b'{"code":431,"message":"The headers are larger than 64 KB, or more than 100."}'


class _OversizedError(Exception):
    """The headers are too large."""


class BoundedProtocol(HttpToolsProtocol):
    """Closes connections whose headers do not arrive in time, and answers 431 to headers that are too large.

    The parser keeps a header until it is complete, and trailers like headers. So what counts is every byte that is not
    part of a body: 64 KB, and as much as the body has for the framing of its chunks.
    """

    _deadline: asyncio.TimerHandle | None = None
    _beside = 0
    """Bytes of this request that are not of its body, less those that are."""
    _count = 0
    _size = 0

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for headers."""
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came, and measure it."""
        if self._deadline is None and (self.cycle is None or self.cycle.response_complete):
            self._start_timer()
        self._beside += len(data)
        super().data_received(data)
        if self._beside > _MOST_BYTES:
            self._refuse()

    def on_message_begin(self) -> None:
        """Count the headers of the next request from zero."""
        self._count = self._size = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, or a trailer."""
        self._count += 1
        self._size += len(name) + len(value)
        if self._count > _MOST_HEADERS or self._size > _MOST_BYTES:
            raise _OversizedError
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Stop waiting: how long the body may take, the application says."""
        self._stop_timer()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body; as much may come beside it."""
        self._beside -= 2 * len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request. Another one may have begun in the same piece; it counts anew."""
        self._beside = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP; it may be us who stopped the parser."""
        if self._count > _MOST_HEADERS or self._size > _MOST_BYTES:
            self._refuse()
        else:
            super().send_400_response(msg)

    def _refuse(self) -> None:
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(_ANSWER % (len(_WORDS), _WORDS))
        self.transport.close()

    def _start_timer(self) -> None:
        self._deadline = self.loop.call_later(_SECONDS, self.transport.close)

    def _stop_timer(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def bounded_config(app: ASGIApp, **more: Any) -> uvicorn.Config:
    """Return how uvicorn serves an app: bounded, without an access log, and with no trust in the headers of proxies."""
    return uvicorn.Config(
        app,
        http=BoundedProtocol,
        loop="asyncio",
        ws="none",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        **more,
    )
