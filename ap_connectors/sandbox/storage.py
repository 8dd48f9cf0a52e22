"""The object storage behind the ivesk half, under `/storage`: PDFs out, uploads in, errors in S3's XML."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime, timezone
from hashlib import blake2b
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ap_connectors.sandbox import clock, pdf
from ap_connectors.sandbox.answers import HTML, xml_error
from ap_connectors.sandbox.ivesk.store import Store, UnknownDocumentError

# Pre-signed, time-limited links to object storage, in the manner of Amazon S3.

_FORM = "%Y%m%dT%H%M%SZ"


class LinkSigner:
    """Signs paths with a secret; all links of one signer expire at the same time, `seconds` from now."""

    def __init__(self, secret: bytes, seconds: float) -> None:
        now = clock.now()
        # X-Amz-Date has whole seconds: the rest is added to the lifetime of links that live shortly.
        lifetime = seconds + (now % 1 if 0 < seconds < 10 else 0)
        date = datetime.fromtimestamp(now // 1, timezone.utc).strftime(_FORM)
        self._secret = secret
        self._terms = b"X-Amz-Date=%b&X-Amz-Expires=%b" % (
            date.encode(),
            f"{lifetime:.3f}".removesuffix(".000").encode(),
        )

        self.prefix = b"?X-Amz-Algorithm=AWS4-HMAC-SHA256&%b&X-Amz-Signature=" % self._terms

    def signature(self, decoded: bytes) -> bytes:
        """The signature of a path, given without percent-encoding; it follows `prefix` in the link's query."""
        return _mac(self._secret, b"%b?%b" % (decoded, self._terms)).encode()


def link_problem(secret: bytes, decoded: str, query: Mapping[str, str]) -> tuple[str, str] | None:
    """What is wrong with a link, as an S3 (code, message), or None if it opens its path."""
    date, expires = query.get("X-Amz-Date", ""), query.get("X-Amz-Expires", "")
    words = f"{decoded}?X-Amz-Date={date}&X-Amz-Expires={expires}".encode()
    mac = _mac(secret, words)
    if not hmac.compare_digest(mac.encode(), query.get("X-Amz-Signature", "").encode()):
        return (
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. Check your key and "
            "signing method.",
        )
    signed = datetime.strptime(date, _FORM).replace(tzinfo=timezone.utc).timestamp()
    if clock.now() >= signed + float(expires):
        return "AccessDenied", "Request has expired"
    return None


def _mac(secret: bytes, words: bytes) -> str:
    # Not S3's own HMAC-SHA256: a page of queue answers has a hundred links, and this is several times as quick.
    return blake2b(words, key=secret, digest_size=32).hexdigest()


class Storage:
    """Serves and stores files by pre-signed links; `secret` signs them."""

    def __init__(self, store: Store, secret: bytes) -> None:
        self._store = store
        self._secret = secret

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one ASGI request."""
        request = Request(scope, receive)
        body = await request.body()
        response = self._answer(request, body)
        await response(scope, receive, send)

    def _answer(self, request: Request, body: bytes) -> Response:
        if "x-api-key" in request.headers:
            # S3 would take no notice, and nobody would ever see that a key leaks to another host.
            return xml_error(400, "InvalidArgument", "The service's API key must not be sent to object storage.")
        # The raw path: a file name may hold slashes of its own.
        raw = request.scope["raw_path"].decode("ascii", "replace").partition("?")[0]
        parts = [unquote(part) for part in raw.split("/")[2:]]
        if wrong := link_problem(self._secret, unquote(raw), request.query_params):
            return xml_error(403, *wrong)
        if request.method == "GET" and len(parts) == 3 and parts[0] == "documents":
            return self._document(parts[1])
        if request.method == "PUT" and len(parts) == 2 and parts[0] == "uploads":
            return self._upload(parts[1], request, body)
        return xml_error(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")

    def _document(self, document_id: str) -> Response:
        try:
            number = self._store.number_of(document_id)
        except UnknownDocumentError:
            return xml_error(404, "NoSuchKey", "The specified key does not exist.")
        state = self._store.file_states.get(number, "ok")
        if state == "gone":
            return xml_error(404, "NoSuchKey", "The specified key does not exist.")
        if state == "html":
            return Response(HTML, media_type="text/html")
        data = pdf.render(self._store.document(number))
        return Response(data[: len(data) // 2] if state == "short" else data, media_type="application/pdf")

    def _upload(self, token: str, request: Request, body: bytes) -> Response:
        upload = self._store.uploads.get(token)
        if upload is None:
            return xml_error(404, "NoSuchKey", "The specified key does not exist.")
        sent = (request.headers.get("content-type"), request.headers.get("content-disposition"))
        if sent != (upload.content_type, upload.disposition):
            return xml_error(
                403,
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match: Content-Type and Content-Disposition are signed.",
            )
        upload.sha256, upload.size = hashlib.sha256(body).hexdigest(), len(body)
        upload.puts += 1
        tag = hashlib.md5(body, usedforsecurity=False).hexdigest()
        return Response(b"", 200, {"ETag": f'"{tag}"'})
