"""`ap-webhooks serve`: runs the receiver on uvicorn, and the runner that acts on the events it stores."""

from __future__ import annotations

import logging
import signal
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import uvicorn
from prometheus_client import CollectorRegistry, Counter
from starlette.applications import Starlette

from ap_connectors.core import pages
from ap_connectors.core.errors import Outage, Stop
from ap_connectors.webhooks.config_file import UNSET
from ap_connectors.webhooks.inbox import Inbox
from ap_connectors.webhooks.metrics import Gauges
from ap_connectors.webhooks.protocol import bounded_config
from ap_connectors.webhooks.purge import purge
from ap_connectors.webhooks.receiver import Receiver
from ap_connectors.webhooks.rules import problems
from ap_connectors.webhooks.runner import Runner
from ap_connectors.webhooks.runs import Runs
from ap_connectors.webhooks.settings import Settings

if TYPE_CHECKING:
    from ap_connectors.webhooks.page.app import PageServer

_LOG = logging.getLogger("ap_connectors.webhooks.serve")
_WATCH_SECONDS = 0.5
_PURGE_SECONDS = 3600.0
_CONNECTIONS = 800


def serve(settings: Settings, ready: Callable[[str], None], shows: Callable[[str], None] = lambda _url: None) -> None:
    """Receive events and act on them until SIGTERM or SIGINT. Call it in the main thread.

    Args:
        settings: all of them.
        ready: called with the address as soon as connections are accepted.
        shows: called with the page's address, if there is a page.

    Raises:
        Stop: the settings, the inbox or an address cannot be used.
    """
    for warning in settings.warnings():
        _LOG.warning("%s", warning)
    for problem in problems(settings.rules):
        _LOG.error("%s", problem)
    inbox = Inbox(settings.inbox)
    runner: Runner | None = None
    page: PageServer | None = None
    stopped = threading.Event()
    try:
        registry = CollectorRegistry()
        if settings.rules:
            outcomes = Counter(
                "ap_webhooks_runs",
                "Tries by outcome: done, repeated (another one follows), failed (no other follows).",
                ["job", "outcome"],
                registry=registry,
            )
            runner = Runner(inbox, settings, lambda job, outcome: outcomes.labels(job, outcome).inc())
        else:
            _LOG.warning("There are no rules: events are stored, but nothing is run for them.")
        registry.register(Gauges(runner.runs if runner else Runs(inbox.database), settings.tokens))
        receiver = Receiver(settings.with_live_tokens(), inbox, runner.wake if runner else lambda _ids: None, registry)
        watcher = threading.Thread(target=_watch_tokens, args=(settings, receiver, stopped), name="tokens", daemon=True)
        watcher.start()
        if settings.keep_events != UNSET:
            threading.Thread(target=_purge, args=(settings, inbox, stopped), name="purge", daemon=True).start()
        if settings.page_port is not None:
            page = _page(settings, settings.page_port, inbox, runner)

        def start(url: str) -> None:
            if runner:
                runner.start()
            ready(url)
            if page:
                page.start()
                shows(page.url)

        serve_app(receiver.app, host=settings.host, port=settings.port, ready=start)
    finally:
        stopped.set()
        if page:
            page.stop()
        if runner:
            runner.stop()
        inbox.close()


def _page(settings: Settings, port: int, inbox: Inbox, runner: Runner | None) -> PageServer:
    # What it needs takes long to load, and most receivers have no page.
    from ap_connectors.webhooks.page import app  # noqa: PLC0415

    pages.require("page_port")
    return app.PageServer(
        app.create(settings, inbox, runner.wake if runner else lambda: None), listen(settings.page_host, port)
    )


def _watch_tokens(settings: Settings, receiver: Receiver, stopped: threading.Event) -> None:
    """Accept the tokens that the token file holds, and reject those that have expired since."""
    version, accepted = settings.tokens.version(), settings
    while not stopped.wait(_WATCH_SECONDS):
        found = settings.tokens.version()
        try:
            live = settings.with_live_tokens()
        except Stop as error:
            if found != version:
                _LOG.error("%s The previous tokens stay valid until then.", error)
            version = found
            continue
        if live != accepted:
            receiver.replace_settings(live)
            if found != version:
                counts = len(live.vicai_token), len(live.ivesk_secret)
                _LOG.info("The token file was reloaded: %d tokens for Vic.ai, %d secrets for Įvesk.", *counts)
        version, accepted = found, live


def _purge(settings: Settings, inbox: Inbox, stopped: threading.Event) -> None:
    """Delete processed events that are older than `keep_events`, now and once an hour."""
    while not stopped.is_set():
        try:
            found = purge(settings, inbox, settings.keep_events)
        except Outage as error:
            _LOG.warning("purge: %s", error)
        else:
            if found.deleted:
                _LOG.info("purge: %s", found)
        stopped.wait(_PURGE_SECONDS)


def serve_app(
    app: Starlette,
    *,
    host: str = "127.0.0.1",
    port: int = 8723,
    ready: Callable[[str], None] = lambda _url: None,
    grace: int = 10,
) -> None:
    """Serve until SIGTERM or SIGINT; store and answer what has arrived by then. Call it in the main thread.

    Args:
        app: from `create_app`.
        host: address to listen on; put a proxy with TLS in front of it.
        port: 0 = any free one.
        ready: called with the address as soon as connections are accepted.
        grace: seconds that requests in progress may take after the signal.

    Raises:
        Stop: the address cannot be listened on.
    """
    listener = listen(host, port)
    shown = f"[{host}]" if ":" in host else host
    config = bounded_config(
        app,
        lifespan="on",
        limit_concurrency=_CONNECTIONS,
        backlog=2048,
        timeout_graceful_shutdown=grace,
        # Longer than proxies keep theirs; otherwise a proxy could reuse a connection that is just being closed.
        timeout_keep_alive=90,
    )
    # Our own log lines on starting and stopping say more.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    server = _Server(config, lambda: ready(f"http://{shown}:{listener.getsockname()[1]}"))
    # uvicorn raises the signal again when it has stopped; the caller still has runs to finish.
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        server.run(sockets=[listener])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        listener.close()


class _Server(uvicorn.Server):
    """A server that calls back when it accepts connections."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to an address.

    Raises:
        Stop: it cannot be listened on.
    """
    # asyncio disables Nagle's algorithm only if the protocol is named; otherwise answers take 40 ms more.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or error
        raise Stop(f"Cannot listen on {host}:{port} ({reason}). Set another port, or 0 for any free one.") from None
    return listener
