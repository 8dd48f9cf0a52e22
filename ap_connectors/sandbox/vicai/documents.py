"""Documents of invoices: as uploaded, or drawn; in the answer, or behind a signed link."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ap_connectors.sandbox import pdf
from ap_connectors.sandbox.answers import HTML, LinkKey, xml_error
from ap_connectors.sandbox.vicai.call import Call, Handler, Refusal
from ap_connectors.sandbox.vicai.resources import Entry
from ap_connectors.sandbox.vicai.store import File, Store

PREFIX = "/storage/vicai/"


def document(call: Call) -> Response:
    """Answer an invoice's document, or a redirect to it."""
    store, resource, entry = call.store, call.resource.name, call.entry()
    file = file_of(store, resource, entry)
    if file is None:
        raise Refusal(404, f"{call.resource.component} {call.id[:100]} has no document.")
    if store.options.documents_by == "direct":
        return _served(store, resource, entry, file)
    path = f"{PREFIX}{resource}/{entry.id}/document".encode()
    signer = call.links.signer(store.options.link_seconds)
    link = b"".join((call.base, quote(path).encode(), signer.prefix, signer.signature(path)))
    return Response(status_code=302, headers={"Location": link.decode()})


FILES = "/files/supporting/"
"""Where supporting attachments are, below the API's root."""


def supporting(store: Store, id_: str) -> Response:
    """Answer the file of a supporting attachment."""
    file = store.files.get(("supporting", id_))
    if file is None:
        raise Refusal(404, "The attachment does not exist.")
    return Response(file.data, headers={"Content-Type": file.media})


def has_document(store: Store, resource: str, entry: Entry) -> bool:
    """Tell whether a document was uploaded, or is drawn."""
    return (resource, entry.id) in store.files or entry.drawn


class Storage:
    """Object storage, where links that `links` signed lead; it does not take access tokens."""

    def __init__(self, store: Store, links: LinkKey) -> None:
        self._store, self._links = store, links

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI request."""
        request = Request(scope, receive)
        await request.body()
        await self._answer(request)(scope, receive, send)

    def _answer(self, request: Request) -> Response:
        if "authorization" in request.headers:
            return xml_error(
                400, "InvalidArgument", "Only one auth mechanism allowed; the Authorization header must not be sent."
            )
        path = request.scope["path"]
        if wrong := self._links.problem(path, request.query_params):
            return xml_error(403, *wrong)
        if request.method != "GET":
            return xml_error(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
        resource, id_ = path.removeprefix(PREFIX).split("/")[:2]
        entry = self._store[resource].by_id.get(id_)
        file = None if entry is None else file_of(self._store, resource, entry)
        if entry is None or file is None:
            return xml_error(404, "NoSuchKey", "The specified key does not exist.")
        return _served(self._store, resource, entry, file)


def file_of(store: Store, resource: str, entry: Entry) -> File | None:
    """Return a record's document, uploaded or drawn; None if it has none, or it is gone."""
    if store.file_states.get((resource, entry.id)) == "gone" or not has_document(store, resource, entry):
        return None
    return store.files.get((resource, entry.id)) or File(_drawn(store, resource, entry), "application/pdf")


def _served(store: Store, resource: str, entry: Entry, file: File) -> Response:
    state = store.file_states.get((resource, entry.id), "ok")
    if state == "html":
        return Response(HTML, media_type="text/html")
    data = file.data[: len(file.data) // 2] if state == "short" else file.data
    # `media_type` would add a charset to text, and the type must stay what was uploaded.
    return Response(data, headers={"Content-Type": file.media})


def _drawn(store: Store, resource: str, entry: Entry) -> bytes:
    record = store.record(entry)
    lines = store.line_items(entry) if resource == "invoices" else record.get("lineItems") or []
    return pdf.render(_page(record, lines))


def _page(record: Mapping[str, Any], lines: list[Any]) -> dict[str, Any]:
    """Return the invoice in the words of `pdf.render`."""
    vendor = record.get("vendor") or {}
    return {
        "doctype": record.get("transactionType"),
        "docnum": record.get("refNumber"),
        "date": record.get("issueDate"),
        "sellername": vendor.get("name") or record.get("vendorExternalId"),
        "sellercode": vendor.get("orgNumber"),
        "currency": record.get("currency"),
        "subtotal": record.get("amountWithoutTax"),
        "vat": record.get("amountTax"),
        "total": record.get("totalAmount"),
        "lines": [
            {
                "name": line.get("description"),
                "quantity": line.get("quantityInvoiced"),
                "price": line.get("unitPrice"),
                "total": line.get("amount"),
                "vatclass": (line.get("vat") or {}).get("code"),
            }
            for line in lines
        ],
    }


HANDLERS: dict[str, Handler] = {"getInvoiceDocument": document, "getTrainingInvoiceDocument": document}
