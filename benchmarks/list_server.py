"""A Vic.ai that has nothing but accounts, all of them made up on demand: its own memory and time are not in the way.

    python -m benchmarks.list_server COUNT

It prints its address, and serves until it is terminated: `POST /token`, `GET /healthCheck`, `GET /accounts` in pages of
100 by cursor, `GET` and `PUT /accounts/{id}`; `GET /counts` tells what was asked. It checks no token.
"""

from __future__ import annotations

import json
import socket
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import uvicorn

PREFIX = "/vicai/v0"
PAGE = 100
_TOKEN = {"access_token": "t" * 530, "token_type": "Bearer", "expires_in": 3600}
_HEALTH = {"status": "PASS", "version": "0.20.0", "company": "Fjordlys Regnskap AS"}
_SENT = (
    b'{"externalId":"A%07d","externalUpdatedAt":"2026-01-05T10:00:00","number":"%d","name":"Account %d, \xc3\x98st",'
    b'"externalData":{"group":"%d"}}'
)
_HELD = b'{"internalId":"%d","internalUpdatedAt":"2026-01-05T10:00:00.000Z",'


def sent(number: int) -> bytes:
    """Return the JSON of what the ERP says of an account."""
    return _SENT % (number, 1_000_000 + number, number, number % 10)


def held(number: int) -> bytes:
    """Return the JSON of the same account as Vic shows it."""
    return _HELD % (number + 1) + sent(number)[1:]


class Lists:
    """Answers as an ASGI application, and counts what was asked.

    Args:
        count: how many accounts there are.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._asked: Counter[str] = Counter(pages=0, lookups=0, writes=0, others=0)

    async def __call__(self, scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        """Answer a request."""
        while (await receive()).get("more_body"):
            pass
        path = scope["path"].removeprefix(PREFIX)
        body, headers, status = self._answer(scope["method"], path, scope["query_string"].decode())
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *headers]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _answer(self, method: str, path: str, query: str) -> tuple[bytes, list[tuple[bytes, bytes]], int]:
        if path == "/counts":
            return json.dumps(self._asked).encode(), [], 200
        if path == "/accounts":
            self._asked["pages"] += 1
            start = int(parse_qs(query).get("cursor", ["0"])[0])
            end = min(start + PAGE, self._count)
            more = [(b"x-next", b"%d" % end)] if end < self._count else []
            return b"[" + b",".join(map(held, range(start, end))) + b"]", more, 200
        if path.startswith("/accounts/A"):
            self._asked["lookups" if method == "GET" else "writes"] += 1
            return held(int(path.removeprefix("/accounts/A"))), [], 200
        self._asked["others"] += 1
        if path in {"/token", "/healthCheck"}:
            return json.dumps(_TOKEN if path == "/token" else _HEALTH).encode(), [], 200
        return b'{"code":404,"message":"There are only accounts here."}', [], 404


def main(count: int) -> None:
    """Serve on a free port."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
        config = uvicorn.Config(Lists(count), log_level="critical", lifespan="off", http="httptools")
        uvicorn.Server(config).run([listening])


if __name__ == "__main__":
    main(int(sys.argv[1]))
