"""The SDK's own tests of a tap."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from singer_sdk.testing import SuiteConfig, get_tap_test_class

from tap_saft.tap import TapSaft
from tests.tap_saft.conftest import NORWAY_110

# The file is written by `_file`.
_settings: dict[str, Any] = {"path": "none.xml"}
# The suite knows no schema that grows.
_UNHEARD_OF = re.compile(r"<n1:(FutureHeaderField|Kostnadsbærer)>.*|<n1:Name>et fremmed felt.*")


@pytest.fixture(scope="module", autouse=True)
def _file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    path = tmp_path_factory.mktemp("exports") / "x.xml"
    path.write_text(_UNHEARD_OF.sub("", NORWAY_110.read_text(encoding="utf-8")), encoding="utf-8")
    _settings["path"] = str(path)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def _everything() -> dict[str, Any]:
    catalog: dict[str, Any] = TapSaft(config=dict(_settings)).catalog_dict
    for stream in catalog["streams"]:
        next(entry for entry in stream["metadata"] if not entry["breadcrumb"])["metadata"]["selected"] = True
    return catalog


# The sample does not have all fields.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Fields in transformed catalog but not in records:UserWarning"),
    pytest.mark.filterwarnings("ignore:No records were available to test:UserWarning"),
]

TestTapSaft = get_tap_test_class(
    TapSaft, config=_settings, suite_config=SuiteConfig(max_records_limit=50), catalog=_everything()
)
