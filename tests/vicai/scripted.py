"""A service that says what a test tells it to, over real HTTP: for answers that the sandbox never gives."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "scripted-token-" + "t" * 600


@dataclass(frozen=True)
class Asked:
    """A request: `path` without the query, header names in small letters, the body as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Said:
    """An answer; `content` that is no bytes is sent as JSON."""

    content: Any = None
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


Script = Callable[[Asked], Said]


class Scripted:
    """A running service: its address, and what it was asked, in order."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[Asked] = []

    def paths(self) -> list[str]:
        return [one.path for one in self.asked]


def granting(script: Script) -> Script:
    """Grant `TOKEN` to everybody; leave all else to `script`."""

    def answer(asked: Asked) -> Said:
        if asked.path == "/token":
            return Said({"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600})
        return script(asked)

    return answer


@contextmanager
def serving(script: Script) -> Iterator[Scripted]:
    """Serve on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            asked = Asked(self.command, parts.path, query, headers, body)
            service.asked.append(asked)
            said = script(asked)
            content = said.content if isinstance(said.content, bytes) else json.dumps(said.content).encode()
            self.send_response(said.status)
            for name, value in (*said.headers, ("Content-Length", str(len(content)))):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - the server looks them up by these names

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    service = Scripted(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
