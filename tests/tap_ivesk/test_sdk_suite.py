"""The SDK's own tests of a tap."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest
from singer_sdk.testing import SuiteConfig, get_tap_test_class

from ap_connectors.sandbox.process import SandboxProcess
from tap_ivesk.tap import TapIvesk

# The address is filled in by `_sandbox_settings`: there is no sandbox yet when the class is made.
_settings: dict[str, Any] = {
    "api_key": "sandbox-key",
    "api_url": "http://127.0.0.1",
    "columns": [{"company_code": "302320404", "column": "skyrius"}],
}


@pytest.fixture(scope="module", autouse=True)
def _sandbox_settings(_sandbox_process: SandboxProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    _sandbox_process.control.reset(documents=120)
    _sandbox_process.control.columns("302320404", "skyrius", [{"code": "S1"}])
    _settings.update(api_url=_sandbox_process.ivesk_url, documents_dir=str(tmp_path_factory.mktemp("files")))
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def _everything() -> dict[str, Any]:
    catalog: dict[str, Any] = TapIvesk(config=dict(_settings)).catalog_dict
    for stream in catalog["streams"]:
        next(entry for entry in stream["metadata"] if not entry["breadcrumb"])["metadata"]["selected"] = True
    return catalog


# A field that no record of the sample has is no fault: `exportedat` of digitised documents, for one.
pytestmark = pytest.mark.filterwarnings("ignore:Fields in transformed catalog but not in records:UserWarning")

TestTapIvesk = get_tap_test_class(
    TapIvesk, config=_settings, suite_config=SuiteConfig(max_records_limit=50), catalog=_everything()
)
