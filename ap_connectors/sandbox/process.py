"""A sandbox in a process of its own, and a small client of its control API: for tests, demo and benchmarks."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from decimal import Decimal
from types import TracebackType
from typing import Any

import msgspec
import requests

from ap_connectors.sandbox.vicai.remote import VicaiControl

_DECODER = msgspec.json.Decoder(float_hook=Decimal)
_ENCODER = msgspec.json.Encoder(decimal_format="number")


class SandboxError(RuntimeError):
    """The sandbox did not start, or refused a control call."""


class Control:
    """The control API: every method is one call; decimals are exact both ways.

    Args:
        url: The sandbox's address, such as `http://127.0.0.1:8722`.
    """

    def __init__(self, url: str) -> None:
        self._url = f"{url}/_control"
        self._session = requests.Session()
        self._session.trust_env = False
        self.vicai = VicaiControl(self)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Makes any control call; `path` starts with a slash."""
        return _DECODER.decode(self.raw(method, path, body))

    def ivesk(self, sums: bool = True) -> Any:
        """Counts, options, first and last instants, and, if asked, exact sums by currency."""
        return self.call("GET", "/ivesk" if sums else "/ivesk?sums=false")

    def documents(self, queue: str = "exported", with_url: bool = False) -> list[dict[str, Any]]:
        """All documents of a queue, in its order."""
        return [_DECODER.decode(line) for line in self.document_lines(queue, with_url)]

    def document_lines(self, queue: str = "exported", with_url: bool = False) -> Iterator[bytes]:
        """As `documents`, but the JSON text of each, exactly as served."""
        yield from self.raw("GET", f"/ivesk/documents?queue={queue}&with_url={str(with_url).lower()}").splitlines()

    def add(self, count: int = 1, **order: Any) -> list[str]:
        """New documents (`instant`, `company`, `export`, `overrides`, `line_overrides`, `remove`); gives their ids."""
        ids: list[str] = self.call("POST", "/ivesk/documents", {"count": count, **order})["ids"]
        return ids

    def export(self, ids: list[str] | None = None, count: int = 0) -> list[str]:
        """Exports documents again: these, or so many of the oldest."""
        done: list[str] = self.call("POST", "/ivesk/export", {"ids": ids or [], "count": count})["ids"]
        return done

    def options(self, **changes: Any) -> dict[str, Any]:
        """Changes options (names as in `Options`); gives all of them."""
        options: dict[str, Any] = self.call("PATCH", "/ivesk/options", changes)
        return options

    def file(self, document_id: str, state: str) -> None:
        """Makes a document's PDF `gone`, `html`, `short` or `ok` again."""
        self.call("POST", "/ivesk/files", {"id": document_id, "state": state})

    def uploads(self) -> list[dict[str, Any]]:
        """Upload locations that were asked for, and what was put there."""
        return list(self.call("GET", "/ivesk/uploads"))

    def sync_errors(self) -> list[dict[str, Any]]:
        """Sync errors that were reported."""
        return list(self.call("GET", "/ivesk/syncerrors"))

    def subscriptions(self) -> list[dict[str, Any]]:
        """Webhook subscriptions."""
        return list(self.call("GET", "/ivesk/subscriptions"))

    def webhook_subscriptions(self) -> list[dict[str, Any]]:
        """Who is subscribed to Įvesk's events: event, name, target (without secrets), arn, state (`pending`, ...)."""
        return list(self.call("GET", "/webhooks/subscriptions"))

    def webhooks(self) -> list[dict[str, Any]]:
        """The latest attempts to deliver webhooks, of both services, oldest first.

        Each has n, at, service, event, id (SNS's MessageId, or the request id), url (without secrets), attempt (1 = the
        first), outcome, status, seconds, why. Outcomes: `delivered`; `refused` (a 4XX, which counts as received);
        `failed` (another attempt follows); `given up`; `withheld` (not sent; `why` says the reason); `under way`.
        """
        return list(self.call("GET", "/webhooks")["attempts"])

    def wait_for_webhooks(self, timeout: float = 30) -> list[dict[str, Any]]:
        """Waits until every webhook is delivered or given up; gives the attempts.

        Raises:
            SandboxError: Some still wait after so many seconds.
        """
        until = time.monotonic() + timeout
        while True:
            left = max(0.0, until - time.monotonic())
            found = self.call("GET", f"/webhooks?wait={min(left, 20.0):.3f}")
            if not found["waiting"]:
                return list(found["attempts"])
            if not left:
                last = found["attempts"][-1] if found["attempts"] else None
                raise SandboxError(
                    f"{found['waiting']} webhooks still wait after {timeout} s; the last attempt: {last}"
                )

    def wait_until_confirmed(self, timeout: float = 30) -> None:
        """Waits until no subscription to Įvesk's events is pending any more.

        Raises:
            SandboxError: One still is after so many seconds.
        """
        until = time.monotonic() + timeout
        while pending := [one for one in self.webhook_subscriptions() if one["state"] == "pending"]:
            if time.monotonic() > until:
                raise SandboxError(f"not confirmed after {timeout} s: {pending}; attempts: {self.webhooks()[-3:]}")
            time.sleep(0.02)

    def columns(self, company: str, column: str, items: list[dict[str, Any]]) -> None:
        """Adds or changes values of a company's column."""
        self.call("POST", "/columns", {"company": company, "column": column, "items": items})

    def calls(self) -> list[dict[str, Any]]:
        """The latest calls to the services."""
        return list(self.call("GET", "/calls"))

    def clear_calls(self) -> None:
        """Forgets the calls."""
        self.call("DELETE", "/calls")

    def fault(self, kind: str, **order: Any) -> dict[str, Any]:
        """Orders a fault (see `faults.Order`)."""
        fault: dict[str, Any] = self.call("POST", "/faults", {"kind": kind, **order})
        return fault

    def faults(self) -> list[dict[str, Any]]:
        """The faults on order, and how often each has hit."""
        return list(self.call("GET", "/faults"))

    def clear_faults(self) -> None:
        """Takes all faults back."""
        self.call("DELETE", "/faults")

    def reset(self, **setup: Any) -> None:
        """Starts afresh: `documents`, `invoices`, `seed`, any options, `vicai={...}`; all else as at the start."""
        self.call("POST", "/reset", setup)

    def close(self) -> None:
        """Closes the connection."""
        self._session.close()

    def raw(self, method: str, path: str, body: Any = None) -> bytes:
        """Makes any control call and gives the bytes of its answer."""
        data = None if body is None else _ENCODER.encode(body)
        response = self._session.request(method, self._url + path, data=data, timeout=300)
        if response.status_code != 200:
            raise SandboxError(f"{method} /_control{path}: {response.status_code} {response.text[:300]}")
        return response.content


class SandboxProcess:
    """Runs the sandbox on a free port, and ends it: `with SandboxProcess(documents=50) as sandbox: ...`.

    Args:
        documents: How many documents to start with.
        invoices: How many invoices Vic.ai starts with.
        seed: Which data.
        api_key: What `x-api-key` must be.
        client_id: Whom Vic.ai grants tokens to.
        client_secret: What proves it.
        vicai: Any of `VicaiOptions`, by name.
        port: 0 = any free one.
        start_seconds: How long to wait for it to serve.
        options: Any of `Options`, by name.
    """

    def __init__(
        self,
        documents: int = 400,
        *,
        seed: int = 1,
        invoices: int = 0,
        api_key: str = "sandbox-key",
        client_id: str = "sandbox-client",
        client_secret: str = "sandbox-secret",  # noqa: S107 - nothing secret is behind it
        vicai: Mapping[str, Any] | None = None,
        port: int = 0,
        start_seconds: float = 60,
        **options: Any,
    ) -> None:
        self.api_key, self.client_id, self.client_secret = api_key, client_id, client_secret
        flags = {"port": port, "documents": documents, "invoices": invoices, "seed": seed, "api_key": api_key}
        flags |= {"client_id": client_id, "client_secret": client_secret, **options}
        flags |= {f"vicai_{name}": value for name, value in (vicai or {}).items()}
        arguments = [f"--{name.replace('_', '-')}={_plain(value)}" for name, value in flags.items()]
        # A file, not a pipe: nobody reads it while the sandbox runs.
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self._child = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "ap_connectors.sandbox", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            bufsize=0,
        )
        try:
            self.line = self._first_line(start_seconds)
            self.url = self.line.split()[1]
        except BaseException:
            self._end()
            self._errors.close()
            raise
        self.control = Control(self.url)

    @property
    def ivesk_url(self) -> str:
        """What to give to a connector as `api_url`."""
        return f"{self.url}/ivesk/api"

    @property
    def vicai_url(self) -> str:
        """What to give to a connector of Vic.ai as `api_url`."""
        return f"{self.url}/vicai/v0"

    @property
    def pid(self) -> int:
        """The process, for those who measure it."""
        return self._child.pid

    def stop(self) -> None:
        """Ends the process; a second time does nothing."""
        self.control.close()
        self._end()
        self._errors.close()
        self._errors.close()

    def __enter__(self) -> SandboxProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _first_line(self, seconds: float) -> str:
        output = self._child.stdout
        assert output is not None  # noqa: S101
        line, until = b"", time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                piece = b""
                if selector.select(max(0.0, until - time.monotonic())):
                    piece = os.read(output.fileno(), 4096)
                if not piece:
                    self._end()
                    self._errors.seek(0)
                    said = self._errors.read().decode("utf-8", "replace").strip()
                    raise SandboxError(f"the sandbox did not start within {seconds} s: {said or 'no word from it'}")
                line += piece
        return line.decode()

    def _end(self) -> None:
        if self._child.poll() is None:
            self._child.terminate()
            try:
                self._child.wait(5)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
        if self._child.stdout is not None:
            self._child.stdout.close()


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
