"""The emulated Vic.ai, with fresh data and a client that holds a token."""

from __future__ import annotations

import pytest

from ap_sandbox.process import SandboxProcess
from tests.ap_sandbox.emulated_vic import Vic

INVOICES = 80


@pytest.fixture
def vic(sandbox: SandboxProcess) -> Vic:
    """Vic.ai with 80 invoices as if just started, without a rate limit."""
    sandbox.control.reset(documents=0, invoices=INVOICES, vicai={"rate_requests": 0})
    client = Vic(sandbox)
    client.login()
    sandbox.control.clear_calls()
    return client
