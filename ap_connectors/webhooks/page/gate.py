"""Who may see the page and press its buttons: people at this machine, or who know `page_token`.

The page has a port of its own, so that no proxy that passes what the services send can lead to it. A browser at this
machine may also run scripts of other sites. They can send forms here, and give a name of their own the address of this
machine (DNS rebinding), so both are told apart from a person's own requests by what the browser says of them.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ap_connectors.core import validate
from ap_connectors.core.pages import HEADERS

_PROXIED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via")

_ASKS = 'Basic realm="ap-webhooks: any name, and page_token as the password"'


class Gate:
    """Lets requests through to an application, or refuses them.

    Args:
        app: what is behind it.
        token: the setting `page_token`; empty = only this machine may ask.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if self._token and not self._knows_token(headers):
            asks = {**HEADERS, "WWW-Authenticate": _ASKS}
            refused = PlainTextResponse("Give any name, and page_token as the password.\n", 401, asks)
        elif problem := self._problem(headers, scope["method"]):
            refused = PlainTextResponse(f"{problem}\n", 403, HEADERS)
        else:
            await self._app(scope, receive, send)
            return
        await refused(scope, receive, send)

    def _knows_token(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            _, _, token = base64.b64decode(given, validate=True).partition(b":")
        except (binascii.Error, ValueError):
            return False
        return hmac.compare_digest(token, self._token.encode())

    def _problem(self, headers: Headers, method: str) -> str:
        """Return why a request is refused, or ""."""
        hosts = headers.getlist("host")
        if len(hosts) != 1:
            return "There has to be one Host."
        if not self._token and not _is_here(hosts[0]):
            return "Without page_token the page is shown at addresses of this machine only, such as 127.0.0.1."
        if not self._token and any(name in headers for name in _PROXIED):
            return "This came through a proxy. Set page_token to let others than this machine see the page."
        if method not in {"GET", "HEAD"} and not _is_own(headers, hosts[0]):
            return "Only the page itself may ask for this."
        return ""


def _is_here(host: str) -> bool:
    try:
        return validate.is_this_machine(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False


def _is_own(headers: Headers, host: str) -> bool:
    """Return whether the page itself sent a request; a browser says so in one of two ways, and scripts cannot."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    return urlsplit(headers.get("origin", "")).netloc == host
