"""The emulated Vic.ai, with fresh data and a client that holds a token; a receiver of webhooks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from ap_connectors.vicai import contract
from ap_connectors.vicai.contract import Age
from tests.conftest import renewed
from tests.sandbox.emulated_vic import Vic
from tests.sandbox.receiver import Receiver

INVOICES = 80


def _started(process: SandboxProcess, age: Age) -> Vic:
    sandbox = renewed(process, documents=0, invoices=INVOICES, vicai={"rate_requests": 0, "age": age})
    client = Vic(sandbox, age)
    client.login()
    sandbox.control.clear_calls()
    return client


@pytest.fixture
def vic(_sandbox_process: SandboxProcess) -> Vic:
    """Vic.ai 0.20.0 with 80 invoices as if just started, without a rate limit."""
    return _started(_sandbox_process, contract.FIRST)


@pytest.fixture
def live(_sandbox_process: SandboxProcess) -> Vic:
    """The same as it answers today."""
    return _started(_sandbox_process, contract.LIVE)


@pytest.fixture(params=["0.20", "live"])
def either(_sandbox_process: SandboxProcess, request: pytest.FixtureRequest) -> Vic:
    """One after the other."""
    return _started(_sandbox_process, request.param)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver of webhooks that takes everything."""
    receiver = Receiver()
    yield receiver
    receiver.close()
