"""Answers that services and faults share: errors in JSON and in storage's XML, a proxy's error page."""

from __future__ import annotations

from xml.sax.saxutils import escape

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ExceptionHandler

HTML = "<!doctype html>\n<html><head><title>Error</title></head><body><h1>Something went wrong</h1></body></html>\n"


def xml_error(status: int, code: str, message: str) -> Response:
    """An error as object storage writes it (Amazon S3, Error responses)."""
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message><RequestId>SANDBOX</RequestId></Error>"
    )
    return Response(body, status, media_type="application/xml")


async def refuse(request: Request, error: Exception) -> Response:
    """A refusal as the services write it: `{"message": ...}` and a status."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else ""
    words = {404: f"{request.url.path} does not exist.", 405: f"{request.method} is not allowed here."}
    plain = detail in ("Not Found", "Method Not Allowed")
    headers = error.headers if isinstance(error, HTTPException) else None
    return JSONResponse({"message": words[status] if plain else detail}, status, headers)


async def fail(_: Request, error: Exception) -> Response:
    """An error in the sandbox itself; the traceback goes to standard error."""
    return JSONResponse({"message": f"The sandbox has a fault of its own: {error!r}"}, 500)


EXCEPTION_HANDLERS: dict[type[Exception], ExceptionHandler] = {HTTPException: refuse, Exception: fail}
