"""Access tokens: granted for credentials, looked up at every call, expired by time or revoked; and the rate limit."""

from __future__ import annotations

import base64
import hmac
import json
import math
import secrets
import time
from collections import deque
from typing import Literal


class RateLimit:
    """Counts the requests of one client in a sliding window; `throttled` is how many were refused."""

    def __init__(self) -> None:
        self.throttled = 0
        self._admitted: deque[float] = deque()

    def wait(self, requests: int, seconds: float) -> int | None:
        """Admit a request, or return the whole seconds until another one can pass; `requests` 0 admits all."""
        now = time.monotonic()
        while self._admitted and self._admitted[0] <= now - seconds:
            self._admitted.popleft()
        if requests and len(self._admitted) >= requests:
            self.throttled += 1
            return max(1, math.ceil(self._admitted[len(self._admitted) - requests] + seconds - now))
        self._admitted.append(now)
        return None


State = Literal["ok", "wrong", "none", "expired"]
# The live service's tokens are JWTs of 530 characters and more: a client that cuts them at 512 fails here, too.
_PADDING = 300


class Tokens:
    """The tokens of one client; `client_secret` is never kept anywhere else."""

    def __init__(self, client_id: str, client_secret: str) -> None:
        self._credentials = (client_id.encode(), client_secret.encode())
        self._ends: dict[str, float] = {}

    def knows(self, client_id: str, client_secret: str) -> bool:
        """Tell whether these are the client's credentials."""
        given = (client_id.encode(), client_secret.encode())
        return all(hmac.compare_digest(*pair) for pair in zip(given, self._credentials, strict=True))

    def grant(self, seconds: float) -> str:
        """Make a token that lives so long: three parts of base64, as a JWT has."""
        now = time.time()
        claims = {"sub": self._credentials[0].decode(), "iat": int(now), "exp": int(now + seconds)}
        claims |= {"jti": secrets.token_hex(16), "ctx": "0" * _PADDING}
        parts = ({"alg": "HS256", "typ": "JWT", "kid": "sandbox"}, claims)
        text = ".".join([*(_encoded(json.dumps(part).encode()) for part in parts), _encoded(secrets.token_bytes(32))])
        self._ends[text] = time.monotonic() + seconds
        return text

    def state(self, authorization: str | None) -> State:
        """Judge an `Authorization` header."""
        if not authorization:
            return "none"
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or (end := self._ends.get(token.strip())) is None:
            return "wrong"
        return "ok" if time.monotonic() < end else "expired"

    def revoke(self) -> None:
        """Let all tokens that were granted so far expire now."""
        self._ends = dict.fromkeys(self._ends, 0.0)


def client_of(authorization: str) -> str | None:
    """Return whose token an `Authorization` header says that it has; whether it is good is another question."""
    try:
        claims = authorization.split(".")[1]
        client = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["sub"]
    except (IndexError, ValueError, KeyError, TypeError):
        return None
    return client if isinstance(client, str) else None


def _encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()
