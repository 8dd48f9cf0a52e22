"""The receiver as a process of its own, and what tests need to look into its inbox."""

from __future__ import annotations

import json
import re
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import requests

TOKEN = "token-of-the-subscription-Ąžuolas"
SECRET = "wehwev67sadv56"

_LAUNCH = """
import json, logging, resource, sys
from ap_connectors.core.errors import Stop
from ap_connectors.webhooks.receiver import create_app
from ap_connectors.webhooks.inbox import Inbox
from ap_connectors.webhooks.settings import Settings
from ap_connectors.webhooks.serve import serve_app

logging.basicConfig(level=logging.INFO, stream=sys.stderr)
found = json.loads(sys.argv[1])
largest = found.pop("largest_file", None)
if largest is not None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
given = {name: tuple(v) if isinstance(v, list) else v for name, v in found.items()}
try:
    settings = Settings(**given)
    inbox = Inbox(settings.inbox)
    stored = lambda ids: print("stored", *ids, flush=True)
    serve_app(create_app(settings, inbox, stored), port=0, ready=lambda url: print(url, flush=True))
    inbox.close()
except Stop as error:
    sys.exit(str(error))
"""


class ReceiverProcess:
    """Serves on a free port until the `with` ends; its log is in `log`."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.inbox = folder / "webhooks.db"
        given = {"inbox": str(self.inbox), "vicai_token": [TOKEN], "ivesk_secret": [SECRET]} | settings
        self._errors = (folder / "log.txt").open("a+b")
        self.process = subprocess.Popen(
            [sys.executable, "-c", _LAUNCH, json.dumps(given)],
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        assert self.process.stdout
        self.url = self.process.stdout.readline().decode().strip()
        if not self.url.startswith("http"):
            self.http = requests.Session()
            self.__exit__()
            raise AssertionError(Path(self._errors.name).read_text(encoding="utf-8"))
        self.port = int(self.url.rpartition(":")[2])
        self.http = requests.Session()
        self.http.trust_env = False

    @property
    def log(self) -> str:
        self._errors.flush()
        return Path(self._errors.name).read_text(encoding="utf-8")

    def vicai(self, path: str, *, token: str | None = TOKEN, **request: Any) -> requests.Response:
        headers = dict(request.pop("headers", None) or {})
        if token is not None:
            headers["Authorization"] = f"Bearer {token}".encode()
        return self.http.post(f"{self.url}/vicai/{path}", headers=headers, timeout=30, **request)

    def ivesk(self, body: bytes | str, *, secret: str | None = SECRET) -> requests.Response:
        query = "" if secret is None else f"?secret={secret}"
        headers = {"Content-Type": "text/plain; charset=UTF-8"}
        data = body.encode() if isinstance(body, str) else body
        return self.http.post(f"{self.url}/ivesk{query}", data=data, headers=headers, timeout=30)

    def raw(self, *pieces: bytes, timeout: float = 10) -> bytes:
        """Send bytes as they are, and return all that comes back until the receiver hangs up or says no more."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as connection:
            for piece in pieces:
                connection.sendall(piece)
            found = b""
            while more := connection.recv(65536):
                found += more
                head, end, body = found.partition(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head)
                if end and length and len(body) >= int(length[1]):
                    break
            return found

    def metric(self, name: str, **labels: str) -> float:
        text = self.http.get(f"{self.url}/metrics", timeout=10).text
        wanted = "{" + ",".join(f'{k}="{v}"' for k, v in sorted(labels.items())) + "}" if labels else ""
        for line in text.splitlines():
            if line.startswith(f"{name}{wanted} "):
                return float(line.split()[-1])
        return 0.0

    def events(self) -> list[dict[str, Any]]:
        return events(self.inbox)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(20)

    def __enter__(self) -> ReceiverProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()
        if self.process.poll() is None:
            self.stop()
        assert self.process.stdout
        self.process.stdout.close()
        self._errors.close()


def events(inbox: Path) -> list[dict[str, Any]]:
    """All rows of the inbox, read by SQLite itself."""
    with closing(sqlite3.connect(inbox)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute("SELECT * FROM events ORDER BY id")]


def new_events(receiver: ReceiverProcess) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What the inbox holds more than before."""
    before = {row["id"] for row in receiver.events()}
    yield lambda: [row for row in receiver.events() if row["id"] not in before]
