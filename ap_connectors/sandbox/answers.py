"""Answers that services and faults share: errors, a proxy's error page, signed links to object storage."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from hashlib import blake2b
from xml.sax.saxutils import escape

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ExceptionHandler

from ap_connectors.sandbox import clock

HTML = "<!doctype html>\n<html><head><title>Error</title></head><body><h1>Something went wrong</h1></body></html>\n"


def xml_error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return an error as object storage writes it (Amazon S3, Error responses)."""
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message><RequestId>SANDBOX</RequestId></Error>"
    )
    return Response(body, status, headers, media_type="application/xml")


async def refuse(request: Request, error: Exception) -> Response:
    """Refuse a call as the services do: `{"message": ...}` and a status."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else ""
    words = {404: f"{request.url.path} does not exist.", 405: f"{request.method} is not allowed here."}
    plain = detail in ("Not Found", "Method Not Allowed")
    headers = error.headers if isinstance(error, HTTPException) else None
    return JSONResponse({"message": words[status] if plain else detail}, status, headers)


async def fail(_: Request, error: Exception) -> Response:
    """Answer after an error in the sandbox itself; the traceback goes to standard error."""
    return JSONResponse({"message": f"The sandbox itself has failed: {error!r}"}, 500)


EXCEPTION_HANDLERS: dict[type[Exception], ExceptionHandler] = {HTTPException: refuse, Exception: fail}


_FORM = "%Y%m%dT%H%M%SZ"


OWNER = "X-Amz-Credential"


@dataclass(frozen=True)
class LinkKey:
    """What opens a storage: links that this key signs. They name their owner, if it has a name."""

    secret: bytes
    owner: str = ""

    def signer(self, seconds: float) -> LinkSigner:
        """Return what signs links that all expire `seconds` from now."""
        return LinkSigner(self, seconds)

    def problem(self, decoded: str, query: Mapping[str, str]) -> tuple[str, str] | None:
        """Return what is wrong with a link, as an S3 (code, message), or None if it opens its path."""
        date, expires = query.get("X-Amz-Date", ""), query.get("X-Amz-Expires", "")
        words = f"{decoded}?X-Amz-Date={date}&X-Amz-Expires={expires}".encode()
        if not hmac.compare_digest(self.mac(words).encode(), query.get("X-Amz-Signature", "").encode()):
            return (
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided. Check your key and "
                "signing method.",
            )
        signed = datetime.strptime(date, _FORM).replace(tzinfo=timezone.utc).timestamp()
        if clock.now() >= signed + float(expires):
            return "AccessDenied", "Request has expired"
        return None

    def mac(self, words: bytes) -> str:
        """Return the signature of some words."""
        # Not S3's own HMAC-SHA256: a page of queue answers has a hundred links, and this is several times as quick.
        return blake2b(words, key=self.secret, digest_size=32).hexdigest()


class LinkSigner:
    """Signs paths with a key, as Amazon S3 does; all links of a signer expire `seconds` from now."""

    def __init__(self, key: LinkKey, seconds: float) -> None:
        now = clock.now()
        # X-Amz-Date has whole seconds: the rest is added to the lifetime of links that live shortly.
        lifetime = seconds + (now % 1 if 0 < seconds < 10 else 0)
        date = datetime.fromtimestamp(now // 1, timezone.utc).strftime(_FORM)
        self._key = key
        self._terms = b"X-Amz-Date=%b&X-Amz-Expires=%b" % (
            date.encode(),
            f"{lifetime:.3f}".removesuffix(".000").encode(),
        )

        owner = f"&{OWNER}={key.owner}" if key.owner else ""
        self.prefix = b"?X-Amz-Algorithm=AWS4-HMAC-SHA256%b&%b&X-Amz-Signature=" % (owner.encode(), self._terms)

    def signature(self, decoded: bytes) -> bytes:
        """Return the signature of a path, given without percent-encoding; it follows `prefix` in the link's query."""
        return self._key.mac(b"%b?%b" % (decoded, self._terms)).encode()
