"""Runs the receiver on uvicorn."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ap_connectors.core.errors import Stop

_HEADER_SECONDS = 10.0
_CONNECTIONS = 800


def serve(
    app: Starlette,
    *,
    host: str = "127.0.0.1",
    port: int = 8723,
    ready: Callable[[str], None] = lambda _url: None,
    grace: int = 10,
) -> None:
    """Serve until SIGTERM or SIGINT; what has come in by then is stored and answered. Call it in the main thread.

    Args:
        app: from `create_app`.
        host: address to listen on; a proxy with TLS stands before it.
        port: 0 = any free one.
        ready: told the address, once connections are accepted.
        grace: seconds that deliveries under way may take after the signal.

    Raises:
        Stop: the address cannot be listened on.
    """
    listener = _listen(host, port)
    shown = f"[{host}]" if ":" in host else host
    config = uvicorn.Config(
        app,
        http=_Patient,
        loop="asyncio",
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=_CONNECTIONS,
        backlog=2048,
        timeout_graceful_shutdown=grace,
        # Longer than proxies keep theirs, or one of them would use a connection that we are just closing.
        timeout_keep_alive=90,
    )
    # Its lines on starting and stopping say less than ours.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    server = _Server(config, lambda: ready(f"http://{shown}:{listener.getsockname()[1]}"))
    # uvicorn sends itself the signal once more when all is done; whoever called us has something to finish, too.
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        server.run(sockets=[listener])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        listener.close()


class _Server(uvicorn.Server):
    """Tells when it accepts connections."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()


class _Patient(HttpToolsProtocol):
    """Hangs up on those who do not come to the end of their headers."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._come()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._deadline is None and (self.cycle is None or self.cycle.response_complete):
            self._wait()
        super().data_received(data)

    def on_headers_complete(self) -> None:
        self._come()
        super().on_headers_complete()

    def _wait(self) -> None:
        self._deadline = self.loop.call_later(_HEADER_SECONDS, self.transport.close)

    def _come(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _listen(host: str, port: int) -> socket.socket:
    # The protocol is named because asyncio turns Nagle's delay off only where it is; answers would take 40 ms more.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise Stop(f"Cannot listen on {host}:{port} ({error}); another port, or 0 for any free one, will do.") from None
    return listener
