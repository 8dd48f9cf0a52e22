"""The HTTP edge of the Vic half, under `/vicai/v0` and `/vicai/v2`: limit, route, token, checks, and the operation."""

from __future__ import annotations

import asyncio
import traceback
import uuid
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ap_connectors.sandbox.answers import LinkKey
from ap_connectors.sandbox.vicai import crud, documents, rules
from ap_connectors.sandbox.vicai.call import Call, Handler, Part, Refusal
from ap_connectors.sandbox.vicai.parsing import check_body, check_parameters, find_operation, form_parts
from ap_connectors.sandbox.vicai.resources import DECODER
from ap_connectors.sandbox.vicai.store import Store
from ap_connectors.sandbox.vicai.tokens import RateLimit, Tokens
from ap_connectors.vicai.contract import Operation

PREFIX = "/vicai/v0"
PREFIX_V2 = "/vicai/v2"
TOKEN = f"{PREFIX}/token"
_JSON, _FORM = "application/json", "multipart/form-data"
_UNAUTHORIZED = {
    "none": "The access token is missing: Authorization: Bearer ...",
    "wrong": "The access token is not one of ours.",
    "expired": "The access token has expired.",
}


class Vicai:
    """Vic.ai API of either age over one store, with its object storage.

    Args:
        store: the state.
        client_id: whom tokens are granted to.
        client_secret: what proves it.
        links: signs the links to object storage.
    """

    def __init__(self, store: Store, client_id: str, client_secret: str, links: LinkKey) -> None:
        self.store, self._links = store, links
        self.tokens = Tokens(client_id, client_secret)
        self.limit = RateLimit()
        self.storage = documents.Storage(store, links)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI request below `PREFIX`."""
        request = Request(scope, receive)
        body = await request.body()
        if self.store.options.latency_ms:
            await asyncio.sleep(self.store.options.latency_ms / 1000)
        response = self._answer(request, body)
        response.headers["x-request-id"] = str(uuid.uuid4())
        await response(scope, receive, send)

    def _answer(self, request: Request, body: bytes) -> Response:
        try:
            return self._handled(request, body)
        except Refusal as refusal:
            return refusal.answer(v2=request.scope["path"].startswith(PREFIX_V2))
        except Exception as error:  # an error of the sandbox itself
            traceback.print_exc()
            return Refusal(500, f"The sandbox itself has failed: {error!r}").answer()

    def _handled(self, request: Request, body: bytes) -> Response:
        options = self.store.options
        if (seconds := self.limit.wait(options.rate_requests, options.rate_seconds)) is not None:
            raise Refusal(429, "Too many requests.", {"Retry-After": str(seconds)})
        # The raw path: an external id may hold slashes of its own.
        path = request.scope["raw_path"].decode("ascii", "replace").partition("?")[0].removeprefix(PREFIX)
        path = path.removeprefix("/vicai") if path.startswith(PREFIX_V2) else path
        if (request.method, path) != ("POST", "/token"):
            state = self.tokens.state(request.headers.get("authorization"))
            if state != "ok":
                raise Refusal(401, _UNAUTHORIZED[state], {"WWW-Authenticate": "Bearer"})
        if request.method == "GET" and path.startswith(documents.FILES):
            return documents.supporting(self.store, path.removeprefix(documents.FILES))
        operation, ids = find_operation(options.age, request.method, path)
        query = check_parameters(operation, ids, request.query_params.multi_items(), request.headers)
        value, parts = _body(operation, request.headers, body)
        base = b"http://" + request.headers.get("host", "127.0.0.1").encode("latin-1")
        self.store.base = base.decode("latin-1")
        call = Call(self.store, self.tokens, self._links, operation, ids, query, base, value, parts)
        return _handler(operation)(call)


def _handler(operation: Operation) -> Handler:
    return rules.HANDLERS.get(operation.name) or crud.default(operation)


def _body(operation: Operation, headers: Mapping[str, str], body: bytes) -> tuple[Any, dict[str, Part]]:
    """Read and check a body: its JSON, and the parts of a form."""
    if not operation.body:
        return None, {}
    media = headers.get("content-type", "").partition(";")[0].strip().lower()
    takes = {*operation.body, _JSON} if operation.name == "upsertTrainingInvoice" else {*operation.body}
    if media == _FORM and _FORM in takes:
        return _form(operation, headers["content-type"], body)
    if media != _JSON or _JSON not in takes:
        if not body and not media and not operation.body_required:
            return _checked(operation, {}), {}
        raise Refusal(
            415, f"{operation.name} takes {' or '.join(sorted(takes))}, not {media[:60] or 'no content type'}."
        )
    return _checked(operation, _decoded(body)), {}


def _form(operation: Operation, content_type: str, body: bytes) -> tuple[Any, dict[str, Part]]:
    parts = form_parts(operation.age, content_type, body)
    schema = operation.body[_FORM]
    status = crud.refused_by(operation)
    if unknown := sorted(parts.keys() - schema["properties"].keys()):
        raise Refusal(status, f"{operation.name} takes no part {', '.join(unknown)[:120]}.")
    if missing := sorted(set(schema["required"]) - parts.keys()):
        raise Refusal(status, f"The part {missing[0]} is missing.")
    if "invoiceData" not in parts:
        return None, parts
    return _checked(operation, _decoded(parts["invoiceData"].data)), parts


def _decoded(body: bytes) -> Any:
    try:
        return DECODER.decode(body)
    except (ValueError, msgspec.DecodeError):
        raise Refusal(400, "The body is not JSON.") from None


def _checked(operation: Operation, value: Any) -> Any:
    check_body(operation, value)
    return value
