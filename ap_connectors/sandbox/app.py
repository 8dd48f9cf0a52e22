"""Puts the sandbox together: services behind the calls log and the faults, beside them control API and start page."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ap_connectors.sandbox import control, faults, page
from ap_connectors.sandbox.answers import EXCEPTION_HANDLERS
from ap_connectors.sandbox.ivesk.service import PREFIX
from ap_connectors.sandbox.state import Call, Sandbox, Setup
from ap_connectors.sandbox.vicai.documents import PREFIX as VICAI_STORAGE
from ap_connectors.sandbox.vicai.service import PREFIX as VICAI
from ap_connectors.sandbox.webhooks.sns import PREFIX as SNS


class Gate:
    """Writes down every call to a service, and lets faults strike first."""

    def __init__(self, app: ASGIApp, sandbox: Sandbox) -> None:
        self._app = app
        self._sandbox = sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one ASGI request."""
        path = scope.get("path", "")
        if scope["type"] != "http" or path == "/" or path.startswith("/_control"):
            await self._app(scope, receive, send)
            return
        sandbox = self._sandbox
        headers = dict(scope["headers"])
        query = scope["query_string"].decode("latin-1")
        call = sandbox.calls.begin(scope["method"], path, query, sandbox.key_state(path, headers))
        call.request_id = headers.get(b"x-request-id", b"").decode("latin-1") or None
        order = sandbox.faults.meeting(scope["method"], path)
        if order is None:
            await self._app(scope, receive, _noting(call, send))
            return
        call.fault = order.kind
        coded = path.startswith(VICAI)
        await faults.strike(order, _Noted(self._app, call), scope, receive, send, coded=coded)


class _Noted:
    """An app whose answers' status goes to the log even if a fault then swallows the answer."""

    def __init__(self, app: ASGIApp, call: Call) -> None:
        self._app = app
        self._call = call

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, _noting(self._call, send))


def _noting(call: Call, send: Send) -> Send:
    async def noted(message: Message) -> None:
        if message["type"] == "http.response.start":
            call.status = message["status"]
        await send(message)

    return noted


def build(setup: Setup) -> ASGIApp:
    """The ASGI application."""
    sandbox = Sandbox(setup)

    async def start_page(request: Request) -> Response:
        return HTMLResponse(page.render(sandbox, str(request.base_url).rstrip("/")))

    app: ASGIApp = Starlette(
        routes=[
            Route("/", start_page, methods=["GET"]),
            Mount("/_control", routes=control.routes(sandbox)),
        ],
        exception_handlers=EXCEPTION_HANDLERS,
    )

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        # Looked up at each call, for a reset replaces the services. By prefix rather than by route: storage reads paths
        # by itself, as a file name may hold slashes and line breaks.
        path, service = scope.get("path", ""), app
        if path.startswith(PREFIX + "/"):
            service = sandbox.ivesk
        elif path.startswith(VICAI + "/"):
            service = sandbox.vicai
        elif path.startswith(VICAI_STORAGE):
            service = sandbox.vicai.storage
        elif path.startswith("/storage/"):
            service = sandbox.ivesk.storage
        elif path.startswith(SNS):
            service = sandbox.topics
        await service(scope, receive, send)

    return Gate(dispatch, sandbox)
