"""`ap-webhooks` as a process, with a settings file, and what tests need to see what it did."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import requests
import sqlalchemy as sa

from ap_connectors.webhooks.inbox_url import address
from tests import preloaded

TOKEN = "token-of-the-settings"


class Webhooks:
    """A folder with `webhooks.yml`; `serve` starts the server on a free port, the `with` ends it."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.config = folder / "webhooks.yml"
        self.settings: dict[str, Any] = {"port": 0, "vicai_token": TOKEN, "first_pause": "200ms"} | settings
        self.write()
        self.http = requests.Session()
        self.http.trust_env = False
        self.process: preloaded.Piped | None = None
        self.url = self.page = ""
        self._log = (folder / "log.txt").open("ab")
        # SQLite's file is read by SQLite itself, not by what wrote it.
        inbox = settings.get("inbox")
        self._engine = sa.create_engine(address(inbox), poolclass=sa.NullPool) if inbox else None

    def write(self, **changes: Any) -> None:
        """JSON is YAML, too."""
        self.settings |= changes
        given = {name: value for name, value in self.settings.items() if value is not None}
        self.config.touch(0o600)
        self.config.write_text(json.dumps(given), encoding="utf-8")

    def serve(self) -> Webhooks:
        command = [sys.executable, "-m", preloaded.WEBHOOKS, "serve", "--config", str(self.config)]
        self.process = preloaded.piped(command, stderr=self._log)
        line = self.process.stdout.readline().decode()
        assert line.startswith("ap-webhooks receives at http"), self.log
        self.url = line.split()[-1]
        if self.settings.get("page_port") is not None:
            line = self.process.stdout.readline().decode()
            assert line.startswith("ap-webhooks shows its page at http"), self.log
            self.page = line.split()[-1]
        return self

    def serve_public(self) -> Webhooks:
        """Serve, and let the services subscribe this address."""
        self.serve()
        self.write(public_url=self.url)
        return self

    def run(self, *arguments: str, expect: int = 0) -> str:
        """A command of `ap-webhooks`; its output."""
        command = [sys.executable, "-m", preloaded.WEBHOOKS, *arguments, "--config", str(self.config)]
        done = preloaded.run(command)
        assert done.returncode == expect, (done.returncode, done.stdout.decode(), done.stderr.decode())
        return done.stdout.decode() + done.stderr.decode()

    def post(self, path: str, body: Any, token: str = TOKEN) -> int:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        answer = self.http.post(f"{self.url}/vicai/{path}", data=json.dumps(body), headers=headers, timeout=30)
        return answer.status_code

    def batch(self, number: int) -> None:
        body = {"event": "payment_batch_processed", "data": {"id": f"batch-{number}", "companyId": "7"}}
        assert self.post("events", body) == 200

    def rows(self, table: str) -> list[dict[str, Any]]:
        if self._engine is not None:
            with self._engine.connect() as server:
                return [dict(row) for row in server.execute(sa.text(f"SELECT * FROM {table} ORDER BY 1")).mappings()]
        with closing(sqlite3.connect(self.folder / "webhooks.db")) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(f"SELECT * FROM {table} ORDER BY 1")]

    def lines(self, name: str = "done.txt") -> list[str]:
        path = self.folder / name
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def wait_for(self, what: Callable[[], object], seconds: float = 30) -> None:
        until = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < until, f"{self.log}\n{self.rows('runs')}"
            time.sleep(0.05)

    def statuses(self) -> list[str]:
        return [row["status"] for row in self.rows("runs")]

    @property
    def log(self) -> str:
        return (self.folder / "log.txt").read_text(encoding="utf-8")

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self._reap()

    def stop(self) -> int:
        assert self.process
        os.kill(self.process.pid, signal.SIGTERM)
        return self._reap()

    def _reap(self) -> int:
        assert self.process
        status = self.process.wait(60)
        self.process.stdout.close()
        self.process = None
        return status

    def __enter__(self) -> Webhooks:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()
        if self.process is not None:
            self.stop()
        self._log.close()


def rule(script: str, **more: Any) -> dict[str, Any]:
    return {"name": "job", "on": ["vicai.*"], "run": ["sh", "-c", script], "debounce": "300ms"} | more
