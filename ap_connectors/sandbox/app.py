"""The sandbox as a whole: the services' state, the log of calls, and the ASGI application in front of them."""

from __future__ import annotations

import hmac
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ap_connectors.sandbox import clock, control, faults, page
from ap_connectors.sandbox.answers import EXCEPTION_HANDLERS
from ap_connectors.sandbox.fake_data import uuid_like
from ap_connectors.sandbox.faults import Faults
from ap_connectors.sandbox.ivesk.control import IveskCalls
from ap_connectors.sandbox.ivesk.service import PREFIX, Ivesk
from ap_connectors.sandbox.ivesk.store import Store
from ap_connectors.sandbox.options import Options, VicaiOptions
from ap_connectors.sandbox.vicai.control import VicaiCalls
from ap_connectors.sandbox.vicai.documents import PREFIX as VICAI_STORAGE
from ap_connectors.sandbox.vicai.service import PREFIX as VICAI
from ap_connectors.sandbox.vicai.service import PREFIX_V2 as VICAI_V2
from ap_connectors.sandbox.vicai.service import Vicai
from ap_connectors.sandbox.vicai.store import Store as VicaiStore
from ap_connectors.sandbox.webhooks.callbacks import Callbacks
from ap_connectors.sandbox.webhooks.dispatcher import Dispatcher
from ap_connectors.sandbox.webhooks.signer import Signer
from ap_connectors.sandbox.webhooks.sns import PREFIX as SNS
from ap_connectors.sandbox.webhooks.sns import DocumentEvents, Topics

MOST = 20_000


@dataclass
class LoggedCall:
    """One call.

    `key` says whether `x-api-key` or the access token was `ok`, `wrong`, `expired` or `none`, and never what it was;
    `request_id` is the X-Request-Id that the caller gave.
    """

    n: int
    at: str
    method: str
    path: str
    query: str
    key: str
    status: int | None = None
    fault: str | None = None
    request_id: str | None = None


@dataclass
class CallLog:
    """The latest 20,000 calls."""

    latest: deque[LoggedCall] = field(default_factory=lambda: deque(maxlen=MOST))
    count: int = 0

    def begin(self, method: str, path: str, query: str, key: str) -> LoggedCall:
        """Log a call; its status follows when it is answered."""
        self.count += 1
        call = LoggedCall(self.count, clock.iso(int(clock.now() * 1000)), method, path, query, key)
        self.latest.append(call)
        return call

    def clear(self) -> None:
        """Forget all calls."""
        self.latest.clear()
        self.count = 0


@dataclass(frozen=True)
class Setup:
    """What the sandbox starts with."""

    documents: int = 400
    seed: int = 1
    api_key: str = "sandbox-key"
    options: Options = field(default_factory=Options)
    invoices: int = 400
    client_id: str = "sandbox-client"
    client_secret: str = "sandbox-secret"  # noqa: S105 - nothing secret is behind it
    vicai: VicaiOptions = field(default_factory=VicaiOptions)


class Sandbox:
    """The state of all services, and what they share: the log of calls, faults, webhooks."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.calls = CallLog()
        self.faults = Faults()
        self.dispatcher = Dispatcher()
        # One key for the process: receivers may keep its certificate over a reset.
        self.signer = Signer()
        self.reset(setup)

    def reset(self, setup: Setup) -> None:
        """Start afresh, as if the command had been started with this setup."""
        self.calls.clear()
        self.faults.clear()
        self.dispatcher.clear()
        self.current = setup
        account = uuid_like(setup.seed, "webhook account")
        self.topics = Topics(self.dispatcher, self.signer, account, lambda: self.ivesk.store.options)
        self.ivesk = Ivesk(Store.seeded(setup.seed, setup.documents, setup.options), setup.api_key, self.topics)
        self.document_events = DocumentEvents(self.ivesk, self.topics)
        store = VicaiStore.seeded(setup.seed, setup.invoices, setup.vicai)
        self.vicai = Vicai(store, setup.client_id, setup.client_secret)
        self.callbacks = Callbacks(store, self.dispatcher)

    def key_state(self, path: str, headers: Mapping[bytes, bytes]) -> str:
        """Tell whether a call's key or access token is `ok`, `wrong`, `expired` (a token) or absent (`none`)."""
        if path.startswith((VICAI, VICAI_V2, VICAI_STORAGE)):
            return self.vicai.tokens.state(headers.get(b"authorization", b"").decode("latin-1"))
        if (key := headers.get(b"x-api-key")) is None:
            return "none"
        return "ok" if hmac.compare_digest(key, self.setup.api_key.encode()) else "wrong"


class CallMiddleware:
    """Logs every call to a service, and injects faults before the service sees it."""

    def __init__(self, app: ASGIApp, sandbox: Sandbox) -> None:
        self._app = app
        self._sandbox = sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI request."""
        path = scope.get("path", "")
        if scope["type"] != "http" or path == "/" or path.startswith("/_control"):
            await self._app(scope, receive, send)
            return
        sandbox = self._sandbox
        headers = dict(scope["headers"])
        query = scope["query_string"].decode("latin-1")
        call = sandbox.calls.begin(scope["method"], path, query, sandbox.key_state(path, headers))
        call.request_id = headers.get(b"x-request-id", b"").decode("latin-1") or None
        order = sandbox.faults.matching(scope["method"], path)
        if order is None:
            await self._app(scope, receive, _logging_status(call, send))
            return
        call.fault = order.kind
        coded = path.startswith((VICAI, VICAI_V2))
        await faults.inject(order, _StatusLogger(self._app, call), scope, receive, send, coded=coded)


class _StatusLogger:
    """Logs the status of an app's answers even if a fault then swallows the answer."""

    def __init__(self, app: ASGIApp, call: LoggedCall) -> None:
        self._app = app
        self._call = call

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, _logging_status(self._call, send))


def _logging_status(call: LoggedCall, send: Send) -> Send:
    async def logged(message: Message) -> None:
        if message["type"] == "http.response.start":
            call.status = message["status"]
        await send(message)

    return logged


def build(setup: Setup) -> ASGIApp:
    """Return the ASGI application."""
    sandbox = Sandbox(setup)

    calls = {
        path: by_verb
        for part in (control.SharedCalls, IveskCalls, VicaiCalls)
        for path, by_verb in part(sandbox).handlers.items()
    }

    async def start_page(request: Request) -> Response:
        return HTMLResponse(page.render(sandbox, str(request.base_url).rstrip("/")))

    app: ASGIApp = Starlette(
        routes=[
            Route("/", start_page, methods=["GET"]),
            Mount("/_control", routes=control.routes(calls)),
        ],
        exception_handlers=EXCEPTION_HANDLERS,
    )

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        # Looked up at each call, for a reset replaces the services. By prefix rather than by route: storage reads paths
        # by itself, as a file name may hold slashes and line breaks.
        path, service = scope.get("path", ""), app
        if path.startswith(PREFIX + "/"):
            service = sandbox.ivesk
        elif path.startswith((VICAI + "/", VICAI_V2 + "/")):
            service = sandbox.vicai
        elif path.startswith(VICAI_STORAGE):
            service = sandbox.vicai.storage
        elif path.startswith("/storage/"):
            service = sandbox.ivesk.storage
        elif path.startswith(SNS):
            service = sandbox.topics
        await service(scope, receive, send)

    return CallMiddleware(dispatch, sandbox)
