"""A sandbox, and a receiver that subscribes there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests.conftest import renewed
from tests.webhooks.serve_process import Webhooks
from tests.webhooks.sns_double import SnsDouble


@pytest.fixture(scope="module")
def sns() -> Iterator[SnsDouble]:
    double = SnsDouble()
    yield double
    double.close()


@pytest.fixture
def vic(request: pytest.FixtureRequest, _sandbox_process: SandboxProcess) -> SandboxProcess:
    """A sandbox without documents; as Vic.ai's API 0.20.0 unless a test asks for the live age."""
    return renewed(_sandbox_process, documents=0, invoices=20, vicai={"age": getattr(request, "param", "0.20")})


@pytest.fixture
def hooks(vic: SandboxProcess, tmp_path: Path) -> Iterator[Webhooks]:
    """`ap-webhooks` with the credentials of the sandbox; rules are the tests'."""
    settings = {
        "vicai_token": None,
        "vicai_client_id": vic.client_id,
        "vicai_client_secret": vic.client_secret,
        "vicai_api_url": vic.vicai_url,
        "ivesk_api_key": vic.api_key,
        "ivesk_api_url": vic.ivesk_url,
        "ivesk_test_hosts": [vic.url.removeprefix("http://")],
        "grace": "0s",
    }
    with Webhooks(tmp_path, **settings) as webhooks:
        yield webhooks
