"""Documents of invoices that an event tells of by their address only (`documentUrl`)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import requests

from ap_connectors.http.bodies import file_pieces
from ap_connectors.vicai.client import Forbidden, NotFound, Refused, VicaiClient, document_type

T = TypeVar("T")


def link(content: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the address of an event's document and the invoice's id, from its body; None if it tells of none."""
    data = content.get("data")
    subject = data if isinstance(data, dict) else content
    url, invoice = subject.get("documentUrl"), subject.get("internalId")
    return (url, str(invoice)) if isinstance(url, str) and url and invoice is not None else None


def whole(response: requests.Response) -> tuple[bytes, str]:
    """Return a document and its media type.

    Raises:
        Reject: it is too large, or compressed on its way. Retry: it comes too slowly.
    """
    return b"".join(file_pieces(response, "the document")), document_type(response)


def fetch(client: VicaiClient, url: str, invoice: str, read: Callable[[requests.Response], T]) -> T:
    """Fetch a document; `read` gets the streamed answer.

    The token goes to Vic.ai's own address only: a document with another address is asked for by the invoice's id, and
    so is one whose address Vic.ai does not take any more.

    Raises:
        NotFound, Forbidden, Refused: the service refuses. Outage: it failed for too long.
    """
    if client.is_own(url):
        with contextlib.suppress(NotFound, Forbidden, Refused):
            return client.linked(url, read, f"document of invoice {invoice}")
    return client.document("getInvoiceDocument", read, id=invoice, useSystem="INTERNAL")
