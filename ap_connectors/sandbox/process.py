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

from ap_connectors.sandbox.control_client import Control, SandboxError

__all__ = ["Control", "SandboxError", "SandboxProcess"]


class SandboxProcess:
    """Runs the sandbox on a free port, and ends it: `with SandboxProcess(documents=50) as sandbox: ...`.

    Args:
        documents: How many documents to start with.
        invoices: How many invoices Vic.ai starts with.
        seed: Which data.
        api_key: What `x-api-key` must be.
        client_id: Whom Vic.ai grants tokens to.
        client_secret: The secret of `client_id`.
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
        """The process id, for those who measure it."""
        return self._child.pid

    def stop(self) -> None:
        """End the process; a second time does nothing."""
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
