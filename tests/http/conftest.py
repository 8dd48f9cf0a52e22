"""A client of the sandbox."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ap_connectors.core.raw_json import Record
from ap_connectors.http.session import HttpClient
from ap_connectors.sandbox.process import SandboxProcess
from tests.http.clients import ask_through, make_client


@pytest.fixture
def client(sandbox: SandboxProcess) -> HttpClient:
    return make_client(sandbox)


@pytest.fixture
def ask(sandbox: SandboxProcess, client: HttpClient) -> Callable[[], Record]:
    return lambda: ask_through(client, sandbox)
