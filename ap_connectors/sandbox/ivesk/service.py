"""The HTTP edge of the ivesk half, under `/ivesk/api`; state and rules are in `store` and `queues`."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import secrets
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ap_connectors.sandbox import clock
from ap_connectors.sandbox.answers import EXCEPTION_HANDLERS, LinkKey, LinkSigner
from ap_connectors.sandbox.ivesk import queues
from ap_connectors.sandbox.ivesk.documents import MOST_BYTES, Renderer, Storage
from ap_connectors.sandbox.ivesk.store import ColumnItem, Store, UnknownDocumentError, Upload
from ap_connectors.sandbox.options import Options
from ap_connectors.sandbox.webhooks import sender
from ap_connectors.sandbox.webhooks.sns import Topics

_TEXT = {"type": ["string", "null"]}
_AMOUNT = {"type": ["number", "null"]}
_FLAG = {"type": ["boolean", "null"]}
_DATE = {"type": ["string", "null"], "format": "date"}
_INSTANT = {"type": "string", "format": "date-time"}

_LINE: dict[str, Any] = {
    **dict.fromkeys(("lineid", "code", "name", "unit", "vatclass", "warehouse", "object"), _TEXT),
    **dict.fromkeys(("quantity", "price", "subtotal", "vat", "vatpercent", "total"), _AMOUNT),
}
_DOCUMENT: dict[str, Any] = {
    "id": {"type": "string"},
    **dict.fromkeys(("date", "operationdate", "duedate"), _DATE),
    "paymentterm": {"type": ["integer", "null"]},
    **dict.fromkeys(("docnum", "ordernum", "doctype", "currency", "url", "filename"), _TEXT),
    **dict.fromkeys(("subtotal", "vat", "total", "currencyrate"), _AMOUNT),
    **dict.fromkeys(("report2isaf", "separatevat", "hasreceipt"), _FLAG),
    **{
        f"{side}{part}": _TEXT
        for side in ("seller", "buyer")
        for part in ("id", "code", "vat", "name", "nameascii", "address", "country")
    },
    "selleriban": _TEXT,
    **{f"{side}{part}": _FLAG for side in ("seller", "buyer") for part in ("isperson", "isfavorite")},
    "lines": {"type": "array", "items": {"type": "object", "properties": _LINE}},
    "userdata": {"type": ["string", "object", "null"]},
    "sourcedata": {"type": ["string", "object", "null"]},
    "digitizedat": _INSTANT,
    "exportedat": _INSTANT,
}
SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Documents of a queue",
    "type": "object",
    "required": ["documents"],
    "properties": {
        "$schema": {"type": "string"},
        "documents": {"type": "array", "items": {"type": "object", "required": ["id"], "properties": _DOCUMENT}},
        "next": _INSTANT,
    },
}
"""The JSON Schema of queue answers, served at `/ivesk/api/schema/jsonexport.json`."""


PREFIX = "/ivesk/api"
_TYPES = {
    "pdf": "application/pdf", "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "tif": "image/tiff",
    "tiff": "image/tiff", "zip": "application/zip", "xml": "application/xml",
}  # fmt: skip
_SWITCHES = ("processlines", "splitdocuments", "checkduplicates", "rejectnoninvoices")
_JSON = msgspec.json.Decoder(float_hook=Decimal)
_EVENTS = ("on_exported", "on_digitized")


def base_url(scope: Scope) -> bytes:
    """Return scheme, host and port that the caller used, so that links lead back the same way."""
    headers = dict(scope["headers"])
    host, port = scope.get("server") or ("127.0.0.1", 80)
    return b"http://" + bytes(headers.get(b"host") or f"{host}:{port}".encode())


class Ivesk:
    """Įvesk REST API over one store, with its object storage.

    Args:
        store: The state.
        api_key: What `x-api-key` must be.
        topics: Where webhooks are subscribed.
        links: Signs the links to object storage.
        most_bytes: How much of rendered documents is kept.
    """

    def __init__(
        self, store: Store, api_key: str, topics: Topics, links: LinkKey, most_bytes: int = MOST_BYTES
    ) -> None:
        self.store = store
        self._topics, self._links = topics, links
        self.renderer = Renderer(store, most_bytes)
        self.storage = Storage(store, links)
        self._key = api_key.encode()
        self._answers = 0
        self._app = Starlette(
            routes=[
                Route(f"{PREFIX}/pub/exported", self._queue, methods=["GET"]),
                Route(f"{PREFIX}/pub/digitized", self._queue, methods=["GET"]),
                Route(f"{PREFIX}/pub/uploadlocation/{{name:path}}", self._upload_location, methods=["GET"]),
                Route(f"{PREFIX}/pub/syncerrors", self._sync_error, methods=["POST"]),
                Route(f"{PREFIX}/pub/subscriptions", self._subscribe, methods=["POST"]),
                Route(f"{PREFIX}/pub/columns/{{company}}", self._columns, methods=["GET"]),
                Route(f"{PREFIX}/schema/jsonexport.json", self._schema, methods=["GET"]),
            ],
            exception_handlers=EXCEPTION_HANDLERS,
        )
        self._app.router.redirect_slashes = False

    def change_options(self, options: Options) -> None:
        """Replace the options."""
        self.store.change_options(options)
        self.renderer.forget()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI request below `PREFIX`."""
        if self.store.options.latency_ms:
            await asyncio.sleep(self.store.options.latency_ms / 1000)
        request = Request(scope, receive)
        if scope["path"].startswith(PREFIX + "/pub"):
            given = request.headers.get("x-api-key", "").encode("latin-1")
            if not hmac.compare_digest(given, self._key):
                word = "wrong" if given else "missing"
                await JSONResponse({"message": f"Unauthorized: x-api-key is {word}."}, 401)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def signer(self) -> LinkSigner:
        """Return what signs links that live as long as the option `link_seconds` says."""
        return self._links.signer(self.store.options.link_seconds)

    async def _queue(self, request: Request) -> Response:
        name = request.scope["path"].rpartition("/")[2]
        since = _instant(request, "from")
        page = queues.page(self.store, name, since, request.query_params.get("doctype"))
        options = self.store.options
        following = page.last if page.more or options.next_when == "always" else None
        numbers = page.numbers
        if following is not None and options.empty_page_every:
            self._answers += 1
            if self._answers % options.empty_page_every == 0:
                numbers, following = [], (since or 0) // 1000
        base = base_url(request.scope)
        documents = self.renderer.join(name, numbers, base, self.signer())
        end = b"" if following is None else b',"next":"%b"' % clock.iso(following).encode()
        schema = base + PREFIX.encode() + b"/schema/jsonexport.json"
        body = b'{"$schema":"%b","documents":[%b]%b}' % (schema, documents, end)
        return Response(body, media_type="application/json")

    async def _upload_location(self, request: Request) -> Response:
        name, query = request.path_params["name"], request.query_params
        if not name:
            raise HTTPException(400, "The file name is missing.")
        options: dict[str, Any] = {}
        for switch in _SWITCHES:
            if switch in query:
                if query[switch] not in ("true", "false"):
                    raise HTTPException(400, f"{switch} must be true or false.")
                options[switch] = query[switch] == "true"
        options |= {text: query[text] for text in ("warehouse", "allocation") if text in query}
        if "tags" in query:
            options["tags"] = query["tags"].split(",")
        upload = Upload(
            token=secrets.token_hex(16),
            name=name,
            content_type=_TYPES.get(name.rpartition(".")[2].lower(), "application/octet-stream"),
            # Percent-encoded where a header could not carry it.
            disposition=f'filename="{quote(name, safe=" !#$&+,;=@()[]{}^`~|" + chr(39))}"',
            options=options,
            userdata=query.get("userdata"),
            sourcedata=_source_data(query["sourcedata"]) if "sourcedata" in query else None,
        )
        self.store.uploads[upload.token] = upload
        path = b"/storage/uploads/" + upload.token.encode()
        signer = self.signer()
        answer = {"url": b"".join((base_url(request.scope), path, signer.prefix, signer.signature(path))).decode()}
        style = self.store.options.upload_headers
        if style in ("old", "both"):
            answer |= {"ContentType": upload.content_type, "ContentDisposition": upload.disposition}
        if style in ("new", "both"):
            answer |= {"Content-Type": upload.content_type, "Content-Disposition": upload.disposition}
        return JSONResponse(answer)

    async def _sync_error(self, request: Request) -> Response:
        error = await _texts(request, ("documentid", "companycode", "message"))
        try:
            self.store.number_of(error["documentid"])
        except UnknownDocumentError:
            raise HTTPException(404, f"Document {error['documentid']} does not exist.") from None
        self.store.sync_errors.append(error)
        return JSONResponse({})

    async def _subscribe(self, request: Request) -> Response:
        subscription = await _texts(request, ("name", "eventType", "target"))
        if subscription["eventType"] not in _EVENTS:
            raise HTTPException(400, f"eventType must be one of {', '.join(_EVENTS)}.")
        event, name, target = subscription["eventType"], subscription["name"], subscription["target"]
        if not sender.acceptable(target):
            raise HTTPException(400, "target must be an https URL (the sandbox also takes http on 127.0.0.1).")
        self._topics.subscribe(event, name, target, base_url(request.scope).decode())
        self.store.subscriptions.append(subscription)
        return JSONResponse({})

    async def _columns(self, request: Request) -> Response:
        company, column = request.path_params["company"], request.query_params.get("column")
        if not column:
            raise HTTPException(400, "The parameter column is missing.")
        since = _instant(request, "modifiedsince")
        after = None
        if token := request.query_params.get("next"):
            try:
                after = base64.urlsafe_b64decode(token.encode("ascii")).decode()
            except ValueError:
                raise HTTPException(400, "The parameter next is not a token of an earlier answer.") from None
        try:
            items, more = self.store.column_page(company, column, since, after)
        except KeyError:
            raise HTTPException(404, f"Company {company} has no column {column}.") from None
        answer: dict[str, Any] = {"items": [column_item(item) for item in items]}
        if more:
            answer["next"] = base64.urlsafe_b64encode(items[-1].code.encode()).decode()
        return JSONResponse(answer)

    async def _schema(self, request: Request) -> Response:
        address = base_url(request.scope).decode() + PREFIX + "/schema/jsonexport.json"
        return JSONResponse({"$id": address, **SCHEMA})


def column_item(item: ColumnItem) -> dict[str, str | None]:
    """Return a column's value as the service writes it."""
    return {"code": item.code, "description": item.description, "modifiedat": clock.iso(item.modified)}


def _instant(request: Request, name: str) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        return clock.microseconds(text)
    except (ValueError, OverflowError):
        raise HTTPException(400, f"The parameter {name} is not an ISO 8601 instant: {text[:60]!r}.") from None


def _source_data(text: str) -> Any:
    try:
        return _JSON.decode(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        raise HTTPException(400, "sourcedata must be base64 of a JSON text.") from None


async def _texts(request: Request, names: tuple[str, ...]) -> dict[str, str]:
    """Return the named members of a JSON body, whatever its content type: the description's own examples send none."""
    try:
        body = msgspec.json.decode(await request.body())
    except ValueError:
        raise HTTPException(400, "The body is not JSON.") from None
    if not isinstance(body, dict):
        raise HTTPException(400, "The body must be a JSON object.")
    for name in names:
        if not isinstance(body.get(name), str) or not body[name]:
            raise HTTPException(400, f"The field {name} is missing.")
    return {name: body[name] for name in names}
