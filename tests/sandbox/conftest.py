"""The emulated Vic.ai, with fresh data and a client that holds a token; a receiver of webhooks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests.conftest import renewed
from tests.sandbox.emulated_vic import Vic
from tests.sandbox.receiver import Receiver

INVOICES = 80


@pytest.fixture
def vic(_sandbox_process: SandboxProcess) -> Vic:
    """Vic.ai with 80 invoices as if just started, without a rate limit."""
    sandbox = renewed(_sandbox_process, documents=0, invoices=INVOICES, vicai={"rate_requests": 0})
    client = Vic(sandbox)
    client.login()
    sandbox.control.clear_calls()
    return client


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver of webhooks that takes everything."""
    receiver = Receiver()
    yield receiver
    receiver.close()
