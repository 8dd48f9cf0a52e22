"""The ASGI application: finds the company that a call is for, logs the call, injects faults, and has it answered."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ap_connectors.core.pages import HEADERS
from ap_connectors.sandbox import control, faults
from ap_connectors.sandbox.answers import EXCEPTION_HANDLERS
from ap_connectors.sandbox.ivesk.control import IveskCalls
from ap_connectors.sandbox.ivesk.service import PREFIX
from ap_connectors.sandbox.page import home, reference
from ap_connectors.sandbox.tenants import LoggedCall, Services, Setup, Tenants
from ap_connectors.sandbox.vicai.control import VicaiCalls
from ap_connectors.sandbox.vicai.documents import PREFIX as VICAI_STORAGE
from ap_connectors.sandbox.vicai.service import PREFIX as VICAI
from ap_connectors.sandbox.vicai.service import PREFIX_V2 as VICAI_V2
from ap_connectors.sandbox.webhooks.sns import PREFIX as SNS


class Front:
    """What all calls come to: a page or control call is answered by `pages`, others by a service of their company.

    Calls to a service are logged, and faults injected before it sees them.
    """

    def __init__(self, tenants: Tenants, pages: ASGIApp) -> None:
        self._tenants, self._pages = tenants, pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI request."""
        path = scope.get("path", "")
        if scope["type"] != "http" or path == "/" or path.startswith("/_control"):
            await self._pages(scope, receive, send)
            return
        tenant, receive = await self._tenants.of_call(scope, receive)
        headers = dict(scope["headers"])
        query = scope["query_string"].decode("latin-1")
        call = tenant.calls.begin(scope["method"], path, query, tenant.key_state(path, headers))
        call.request_id = headers.get(b"x-request-id", b"").decode("latin-1") or None
        service = _StatusLogger(_service(path, tenant.services) or self._pages, call)
        order = tenant.faults.matching(scope["method"], path)
        if order is None:
            await service(scope, receive, send)
            return
        call.fault = order.kind
        await faults.inject(order, service, scope, receive, send, coded=path.startswith((VICAI, VICAI_V2)))


def _service(path: str, services: Services) -> ASGIApp | None:
    # By prefix rather than by route: storage reads paths by itself, as a file name may hold slashes and line breaks.
    if path.startswith(PREFIX + "/"):
        return services.ivesk
    if path.startswith((VICAI + "/", VICAI_V2 + "/")):
        return services.vicai
    if path.startswith(VICAI_STORAGE):
        return services.vicai.storage
    if path.startswith("/storage/"):
        return services.ivesk.storage
    return services.topics if path.startswith(SNS) else None


class _StatusLogger:
    """Logs the status of an app's answers even if a fault then swallows the answer."""

    def __init__(self, app: ASGIApp, call: LoggedCall) -> None:
        self._app, self._call = app, call

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def logged(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._call.status = message["status"]
            await send(message)

        await self._app(scope, receive, logged)


def build(setup: Setup, companies: int = 1) -> ASGIApp:
    """Return the ASGI application for a number of companies; `setup` is the first one's."""
    tenants = Tenants(setup, companies)

    parts: tuple[control.Part, ...] = (lambda _: control.AllCalls(tenants), control.SharedCalls, IveskCalls, VicaiCalls)

    async def start_page(request: Request) -> Response:
        query, url = request.query_params, str(request.base_url).rstrip("/")
        number = query.get("page", "1")
        page = max(1, int(number)) if number.isdecimal() else 1
        shown = home.render(tenants, tenants.named(request), url, query.get("view", ""), page)
        return HTMLResponse(shown, headers=HEADERS)

    async def reference_page(request: Request) -> Response:
        url = str(request.base_url).rstrip("/")
        return HTMLResponse(reference.render((part(tenants.first) for part in parts), url), headers=HEADERS)

    pages: ASGIApp = Starlette(
        routes=[
            Route("/", start_page, methods=["GET"]),
            Route("/_control", reference_page, methods=["GET"]),
            Mount("/_control", routes=control.routes(tenants, parts)),
        ],
        exception_handlers=EXCEPTION_HANDLERS,
    )
    return Front(tenants, pages)
