"""The page's server: a port, a thread and an event loop of its own, so that it holds up no delivery."""

from __future__ import annotations

import socket
import threading

import uvicorn
from starlette.types import ASGIApp

from ap_connectors.webhooks.protocol import bounded_config

_CONNECTIONS = 50
_STOP_SECONDS = 5.0


class PageServer:
    """Serves the page from `start` to `stop`.

    Args:
        app: the page.
        listener: a bound socket.
    """

    def __init__(self, app: ASGIApp, listener: socket.socket) -> None:
        self._listener = listener
        config = bounded_config(app, lifespan="off", limit_concurrency=_CONNECTIONS, timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, name="page", daemon=True
        )

    @property
    def url(self) -> str:
        """Its address."""
        host, port = self._listener.getsockname()[:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}/"

    def start(self) -> None:
        """Accept connections from now on."""
        self._listener.listen(_CONNECTIONS)
        self._thread.start()

    def stop(self) -> None:
        """End it."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)
        self._listener.close()
