"""A Vic.ai that has nothing but accounts, all of them made up on demand: its own memory and time are not in the way.

    python -m benchmarks.loading.list_server COUNT

It prints its address, and serves until its standard input ends: `POST /token`, `GET /healthCheck`, `GET /accounts` in
pages of 100 by cursor, `GET` and `PUT /accounts/{id}`; `GET /counts` tells what was asked. It checks no token.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from urllib.parse import parse_qs, unquote

from benchmarks.loading import accounts

PREFIX = "/vicai/v0"
PAGE = 100
_TOKEN = {"access_token": "t" * 530, "token_type": "Bearer", "expires_in": 3600}
_HEALTH = {"status": "PASS", "version": "0.20.0", "company": "Fjordlys Regnskap AS"}


class Lists:
    """What is answered, and how often what was asked.

    Args:
        count: how many accounts there are.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._asked: Counter[str] = Counter(pages=0, lookups=0, writes=0, others=0)

    def answer(self, method: str, target: str) -> bytes:
        """Return a whole HTTP answer."""
        path, _, query = target.partition("?")
        path = path.removeprefix(PREFIX)
        if (method, path) == ("GET", "/accounts"):
            self._asked["pages"] += 1
            return self._page(query)
        if path.startswith("/accounts/"):
            self._asked["lookups" if method == "GET" else "writes"] += 1
            return self._one(unquote(path.removeprefix("/accounts/")))
        if path == "/counts":
            return _http(json.dumps(self._asked).encode())
        self._asked["others"] += 1
        if path in {"/token", "/healthCheck"}:
            return _http(json.dumps(_TOKEN if path == "/token" else _HEALTH).encode())
        return _http(b'{"code":404,"message":"There are only accounts here."}', status=b"404 Not Found")

    def _page(self, query: str) -> bytes:
        start = int(parse_qs(query).get("cursor", ["0"])[0])
        end = min(start + PAGE, self._count)
        body = b"[" + b",".join(map(accounts.held, range(start, end))) + b"]"
        return _http(body, b"x-next: %d\r\n" % end if end < self._count else b"")

    def _one(self, external_id: str) -> bytes:
        try:
            return _http(accounts.held(accounts.number_of(external_id)))
        except ValueError:
            return _http(b'{"code":404,"message":"No such account."}', status=b"404 Not Found")


class Connection(asyncio.Protocol):
    """One client's connection, kept open; the requests that come are answered in their order."""

    def __init__(self, lists: Lists) -> None:
        self._lists = lists
        self._came = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to answer."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that has come whole."""
        self._came += data
        while (end := self._came.find(b"\r\n\r\n")) >= 0:
            head = self._came[:end].decode("latin-1").split("\r\n")
            fields = (line.partition(":") for line in head[1:])
            length = next((int(value) for name, _, value in fields if name.lower() == "content-length"), 0)
            if len(self._came) < end + 4 + length:
                return
            self._came = self._came[end + 4 + length :]
            method, target, _ = head[0].split(" ")
            self._transport.write(self._lists.answer(method, target))


def _http(body: bytes, headers: bytes = b"", status: bytes = b"200 OK") -> bytes:
    head = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%b\r\n"
    return head % (status, len(body), headers) + body


async def serve(count: int) -> None:
    """Serve on a free port until standard input ends."""
    lists = Lists(count)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(lists), "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
