"""The page: its routes, one that shows it and one that makes runs due again; and a server of its own.

The server has a port, a thread and an event loop, so that it holds up no delivery.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from ap_connectors.core import pages
from ap_connectors.core.errors import ApError, Stop
from ap_connectors.webhooks import status
from ap_connectors.webhooks.inbox import Inbox
from ap_connectors.webhooks.page.content import Content
from ap_connectors.webhooks.page.gate import Gate
from ap_connectors.webhooks.protocol import bounded_config
from ap_connectors.webhooks.runs import Runs
from ap_connectors.webhooks.settings import Settings

_HERE = Path(__file__).parent
_LOG = logging.getLogger("ap_connectors.webhooks.page")
_MOST_BYTES = 4096
_SHARE = 10
"""What takes S seconds to read is read again after this many times S, however many people look at it."""
_CONNECTIONS = 50
_STOP_SECONDS = 5.0


def create(settings: Settings, inbox: Inbox, wake: Callable[[], None]) -> ASGIApp:
    """Return the application.

    Args:
        settings: all of them.
        inbox: what it shows.
        wake: called when a run was made due.
    """
    page = _Page(settings, inbox, wake)
    routes = [Route("/", page.show, methods=["GET"]), Route("/retry", page.retry, methods=["POST"])]
    return Gate(Starlette(routes=routes), settings.page_token)


class _Page:
    """What the requests share."""

    def __init__(self, settings: Settings, inbox: Inbox, wake: Callable[[], None]) -> None:
        self._settings, self._inbox, self._wake = settings, inbox, wake
        self._content = Content(settings, inbox.database)
        # Of the forms that the page itself has; another page cannot know it.
        self._form_token = secrets.token_urlsafe(32)
        self._reading = asyncio.Lock()
        self._read: dict[str, Any] = {}
        self._until = 0.0

    async def show(self, _request: Request) -> Response:
        async with self._reading:
            if time.monotonic() >= self._until:
                began = time.monotonic()
                try:
                    self._read = await asyncio.to_thread(self._content.read)
                except ApError as error:
                    return _plain(str(error), 503)
                self._until = time.monotonic() + (time.monotonic() - began) * _SHARE
        text = pages.render(_HERE, "home", server=True, token=self._form_token, **self._read)
        return HTMLResponse(text, headers=pages.HEADERS)

    async def retry(self, request: Request) -> Response:
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > _MOST_BYTES:
                return _plain("The form is too large.", 413)
        given = {name: values[0] for name, values in parse_qs(body.decode("latin-1")).items()}
        if not hmac.compare_digest(given.get("token", "").encode(), self._form_token.encode()):
            return _plain("The receiver has started anew since this page was loaded: load it again.", 403)
        try:
            lines = await asyncio.to_thread(self._retry, given)
        except Stop as error:
            return _plain(str(error), 409)
        except ApError as error:
            return _plain(str(error), 503)
        for line in lines:
            _LOG.info("From the page: %s", line)
        self._until = 0.0
        self._wake()
        return RedirectResponse("/", 303, pages.HEADERS)

    def _retry(self, given: Mapping[str, str]) -> list[str]:
        every = given.get("run") == "failed"
        numbers = {
            name: [int(text)] if text.isascii() and text.isdecimal() and len(text) < 19 else []
            for name, text in ((name, given.get(name, "")) for name in ("run", "event"))
        }
        if not every and not any(numbers.values()):
            raise Stop("retry: there is no such run or event.")
        return status.retried(
            self._settings.rules,
            self._inbox,
            Runs(self._inbox.database),
            run_ids=numbers["run"],
            event_ids=numbers["event"],
            failed=every,
        )


def _plain(text: str, code: int) -> Response:
    return PlainTextResponse(f"{text}\n", code, pages.HEADERS)


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
