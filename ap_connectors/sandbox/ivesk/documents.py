"""Documents as the service hands them out: as JSON in pages of a queue, and as PDFs in object storage."""

from __future__ import annotations

import functools
import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from urllib.parse import quote, unquote

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ap_connectors.sandbox import clock, pdf
from ap_connectors.sandbox.answers import HTML, LinkKey, LinkSigner, xml_error
from ap_connectors.sandbox.ivesk.parties import Parties
from ap_connectors.sandbox.ivesk.seed import Document, DocumentMaker, PlannedDocument
from ap_connectors.sandbox.ivesk.store import Store, UnknownDocumentError

MOST_BYTES = 250_000_000
_LINK = b'"url":"'
_ENCODER = msgspec.json.Encoder(decimal_format="number")


class Record(NamedTuple):
    """A rendered document, in pieces around what changes from answer to answer.

    With a link: `head` ends where its URL begins, `tail` begins with the quotation mark behind it; `path` and `decoded`
    are the PDF's path with and without percent-encoding. Without (the document was ordered with a `url` of its own, or
    with none): all is in `head`. The closing brace is missing; `stamped` says that `exportedat` comes before it.
    """

    head: bytes
    path: bytes
    decoded: bytes
    tail: bytes
    stamped: bool


class Renderer:
    """Renders a store's documents, and keeps the most recently used ones up to a number of bytes."""

    def __init__(self, store: Store, most_bytes: int = MOST_BYTES) -> None:
        self._store, self._most = store, most_bytes
        self._cache: OrderedDict[int, Record] = OrderedDict()
        self._bytes = 0

    def forget(self) -> None:
        """Drop what is kept: the options changed what documents look like."""
        self._cache.clear()
        self._bytes = 0

    def join(self, queue: str, numbers: Iterable[int], base: bytes, signer: LinkSigner) -> bytes:
        """Return documents as JSON, with commas between them, as the queue serves them.

        Args:
            queue: `exported` or `digitized`.
            numbers: Document numbers.
            base: Scheme, host and port of the links.
            signer: Signs the links.
        """
        pieces: list[bytes] = []
        add, start, sign, prefix = pieces.append, b"", signer.signature, signer.prefix
        for (head, path, decoded, tail, _), end in self._with_ends(queue, numbers):
            add(start)
            add(head)
            if path:
                add(base)
                add(path)
                add(prefix)
                add(sign(decoded))
                add(tail)
            add(end)
            start = b","
        return b"".join(pieces)

    def plain(self, queue: str, numbers: Iterable[int]) -> Iterator[bytes]:
        """Yield each document as JSON, as the queue serves it but without its link."""
        for record, end in self._with_ends(queue, numbers):
            if not record.path:
                yield record.head + end
                continue
            before = record.head.removesuffix(_LINK)
            after = record.tail[1:]
            # One comma too many goes; members never end in one.
            yield before + after.removeprefix(b",") + end if after or end == b"}" else before + end.removeprefix(b",")

    def _with_ends(self, queue: str, numbers: Iterable[int]) -> Iterator[tuple[Record, bytes]]:
        """Yield each document's pieces, and what closes it: a brace, in the exported queue `exportedat` before it."""
        exported_at, stamp = self._store.exported_at, queue == "exported"
        instant, stamped_end = -1, b""
        for number in numbers:
            record = self.record(number)
            if not (stamp and record.stamped):
                yield record, b"}"
                continue
            if exported_at[number] != instant:
                instant = exported_at[number]
                stamped_end = b',"exportedat":"%b"}' % clock.iso(instant).encode()
            yield record, stamped_end

    def record(self, number: int) -> Record:
        """Return a document's pieces."""
        record = self._cache.get(number)
        if record is not None:
            self._cache.move_to_end(number)
            return record
        record = self._make(number)
        self._cache[number] = record
        self._bytes += _size(record)
        while self._bytes > self._most:
            _, old = self._cache.popitem(last=False)
            self._bytes -= _size(old)
        return record

    def _make(self, number: int) -> Record:
        store, variant = self._store, self._store.variants.get(number)
        if variant is None:
            options = store.options
            kinds = options.extra_fields, options.big_amounts
            return _seeded(store.seed, store.customer, *kinds, store.planned(number))
        document = store.document(number)
        stamped = "exportedat" not in document and "exportedat" not in variant.remove
        if "url" in variant.overrides or "url" in variant.remove or "url" not in document:
            return Record(_ENCODER.encode(document)[:-1], b"", b"", b"", stamped)
        return _linked(document, store.id_of(number), stamped=stamped)


@functools.lru_cache(maxsize=4_000)
def _seeded(seed: int, customer: int, extra_fields: bool, big_amounts: bool, planned: PlannedDocument) -> Record:
    """Render a document that is as it was made; a sandbox that starts afresh finds those of before."""
    made = DocumentMaker(seed, Parties.of(seed, customer), extra_fields, big_amounts).document(planned)
    return _linked(made, planned.id, stamped=True)


def _linked(document: Document, id_: str, *, stamped: bool) -> Record:
    # The link is null here; rendered last of the first half, it leaves the place for the real one.
    names = list(document)
    place = names.index("url") + 1
    head = _ENCODER.encode({name: document[name] for name in names[:place]}).removesuffix(b"null}") + b'"'
    tail = b'",' + _ENCODER.encode({name: document[name] for name in names[place:]})[1:-1]
    # A file name such as ".." must not vanish when a client tidies the path up.
    name = str(document.get("filename") or "document.pdf")
    parts = ("storage", "documents", id_, name)
    path = "".join(f"/{quote(part, safe='') if part.strip('.') else part.replace('.', '%2E')}" for part in parts)
    decoded = "/".join(("", *parts)).encode()
    return Record(head, path.encode(), decoded, tail.removesuffix(b","), stamped)


def _size(record: Record) -> int:
    # The interpreter's own share: four bytes objects, a tuple, a number and a place in the cache.
    return len(record.head) + len(record.tail) + 2 * len(record.path) + 450


class Storage:
    """Object storage: serves and stores files by pre-signed links, which `links` signs."""

    def __init__(self, store: Store, links: LinkKey) -> None:
        self._store = store
        self._links = links

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI request."""
        request = Request(scope, receive)
        body = await request.body()
        response = self._answer(request, body)
        await response(scope, receive, send)

    def _answer(self, request: Request, body: bytes) -> Response:
        if "x-api-key" in request.headers:
            # S3 ignores it; here it shows that a key leaks to another host.
            return xml_error(400, "InvalidArgument", "The service's API key must not be sent to object storage.")
        # The raw path: a file name may hold slashes of its own.
        raw = request.scope["raw_path"].decode("ascii", "replace").partition("?")[0]
        parts = [unquote(part) for part in raw.split("/")[2:]]
        if wrong := self._links.problem(unquote(raw), request.query_params):
            return xml_error(403, *wrong)
        if request.method == "GET" and len(parts) == 3 and parts[0] == "documents":
            return self._stored(parts[1])
        if request.method == "PUT" and len(parts) == 2 and parts[0] == "uploads":
            return self._upload(parts[1], request, body)
        return xml_error(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")

    def _stored(self, document_id: str) -> Response:
        try:
            return self.document(self._store.number_of(document_id))
        except UnknownDocumentError:
            return xml_error(404, "NoSuchKey", "The specified key does not exist.")

    def document(self, number: int) -> Response:
        """Answer the PDF of a document, in the state that it is in."""
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
