"""Access tokens (Vic.ai API 0.20.0, Authentication): one per process, renewed before they expire and when refused."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

import msgspec

from ap_http.payload import decode

_USUAL_LIFE = 3600.0
_MARGIN = 60.0
"""Seconds before its end that a token counts as expired: a request may be on its way for a while."""


class Grant(msgspec.Struct):
    """An answer to ``POST /token``: the token, and how many seconds it lives (an hour where that is not said)."""

    access_token: str
    expires_in: float | None = None


class Token:
    """A bearer token that all threads share.

    Args:
        obtain: asks the service for a grant.
        keep_secret: is told every token, so that no message shows it.
    """

    def __init__(self, obtain: Callable[[], Grant], keep_secret: Callable[[str], None]) -> None:
        self._obtain = obtain
        self._keep_secret = keep_secret
        self._lock = threading.Lock()
        self._header: Mapping[str, str] = {}
        self._good_until = 0.0

    def header(self) -> Mapping[str, str]:
        """Return the header that lets a request in; the first caller, and one a life, waits for a new token.

        Raises:
            Stop: client_id or client_secret are wrong. Outage: the service failed for too long.
        """
        with self._lock:
            if not self._header or time.monotonic() >= self._good_until:
                asked = time.monotonic()
                grant = self._obtain()
                self._keep_secret(grant.access_token)
                self._header = {"Authorization": f"Bearer {grant.access_token}"}
                life = grant.expires_in or _USUAL_LIFE
                # A token that lives shortly is used for half its life, not renewed before every request.
                self._good_until = asked + max(life - _MARGIN, life / 2)
            return self._header

    def refused(self, sent: Mapping[str, str]) -> None:
        """Take note that the service refused the token in these headers; another thread may have renewed it already."""
        with self._lock:
            if sent.get("Authorization") == self._header.get("Authorization"):
                self._header = {}


def grant(body: bytes) -> Grant:
    """Read the answer to a token request.

    Raises:
        Retry: it is none.
    """
    return decode(body, _GRANT)


# Not strict: a number in quotes is one.
_GRANT = msgspec.json.Decoder(Grant, strict=False)
