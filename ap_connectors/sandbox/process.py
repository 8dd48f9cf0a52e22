"""A sandbox in a process of its own, for tests, demo and benchmarks."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from ap_connectors.sandbox import naming
from ap_connectors.sandbox.control_client import Control, SandboxError

__all__ = ["Control", "SandboxError", "SandboxProcess"]


class SandboxCompany:
    """What a connector of one company needs, and the control of what is its own.

    Args:
        url: The sandbox's address.
        id: The company.
        api_key: Its `x-api-key` at Įvesk.
        client_id: To whom Vic.ai grants its tokens.
        client_secret: The secret of `client_id`.
    """

    def __init__(self, url: str, id: str, api_key: str, client_id: str, client_secret: str) -> None:
        self.url, self.id = url, id
        self.api_key, self.client_id, self.client_secret = api_key, client_id, client_secret
        self.control = Control(url, id)

    @property
    def ivesk_url(self) -> str:
        """What to give to a connector as `api_url`."""
        return f"{self.url}/ivesk/api"

    @property
    def vicai_url(self) -> str:
        """What to give to a connector of Vic.ai as `api_url`."""
        return f"{self.url}/vicai/v0"


class SandboxProcess(SandboxCompany):
    """Runs the sandbox on a free port, and ends it: `with SandboxProcess(documents=50) as sandbox: ...`.

    It stands for its first company; `company(2)` is the second.

    Args:
        documents: How many documents to start with.
        companies: How many companies there are, each with credentials and data of its own.
        invoices: How many invoices Vic.ai starts with.
        seed: Which data.
        api_key: What `x-api-key` must be.
        client_id: Whom Vic.ai grants tokens to.
        client_secret: The secret of `client_id`.
        big_amounts: Whether either service has amounts of 19 digits, which show code that rounds; the command has none.
        vicai: Any of `VicaiOptions`, by name.
        port: 0 = any free one.
        start_seconds: How long to wait for it to serve.
        options: Any of `Options`, by name.
    """

    def __init__(
        self,
        documents: int = 400,
        *,
        companies: int = 1,
        seed: int = 1,
        invoices: int = 0,
        api_key: str = "sandbox-key",
        client_id: str = "sandbox-client",
        client_secret: str = "sandbox-secret",  # noqa: S107 - nothing secret is behind it
        big_amounts: bool = True,
        vicai: Mapping[str, Any] | None = None,
        port: int = 0,
        start_seconds: float = 60,
        **options: Any,
    ) -> None:
        flags = {"port": port, "documents": documents, "invoices": invoices, "seed": seed, "api_key": api_key}
        flags |= {"companies": companies, "client_id": client_id, "client_secret": client_secret, **options}
        flags |= {"big_amounts": big_amounts, "vicai_big_amounts": big_amounts}
        flags |= {f"vicai_{name}": value for name, value in (vicai or {}).items()}
        arguments = [f"--{name.replace('_', '-')}={_plain(value)}" for name, value in flags.items()]
        # A file, not a pipe, which would fill up: it is read only if the sandbox does not start.
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
            url = self.line.split()[1]
        except BaseException:
            self._end()
            self._errors.close()
            raise
        super().__init__(url, naming.company_id(1), api_key, client_id, client_secret)
        self._others: dict[int, SandboxCompany] = {}

    def company(self, number: int) -> SandboxCompany:
        """Return a company, counted from 1."""
        if number == 1:
            return self
        if number not in self._others:
            given = (self.api_key, self.client_id, self.client_secret)
            own = (naming.credential(one, number) for one in given)
            self._others[number] = SandboxCompany(self.url, naming.company_id(number), *own)
        return self._others[number]

    @property
    def pid(self) -> int:
        """The process id, for those who measure it."""
        return self._child.pid

    def stop(self) -> None:
        """End the process; a second time does nothing."""
        for one in (self, *self._others.values()):
            one.control.close()
        self._end()
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
                    raise SandboxError(f"the sandbox did not start within {seconds} s: {said or 'it said nothing'}")
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
