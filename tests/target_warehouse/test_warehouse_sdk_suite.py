"""The SDK's own tests of a target, and output of other taps."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from singer_sdk import testing
from singer_sdk.testing import get_target_test_class

from target_warehouse.target import TargetWarehouse
from tests.target_warehouse.conftest import Database, Target

_settings: dict[str, Any] = {"database": ":memory:", "schema": "sdk", "max_rejects": 100}


@pytest.fixture(scope="module", autouse=True)
def _places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("sdk")
    _settings.update(database=str(folder / "w.duckdb"), rejects_path=str(folder / "rejects.jsonl"))
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


_Suite: Any = get_target_test_class(TargetWarehouse, config=_settings)


class TestTargetWarehouse(_Suite):  # type: ignore[misc]
    """All tests of the SDK; one of them as it is here."""

    def test_target_record_missing_key_property(self, resource: Any, runner: Any) -> None:  # noqa: ARG002
        """The SDK's targets stop; ours sets the record aside and goes on."""
        runner.input_filepath = Path(testing.__file__).parent / "target_test_streams/record_missing_key_property.singer"
        runner.sync_all()
        runner.target_input.close()
        rejected = Path(_settings["rejects_path"]).read_text(encoding="utf-8")
        assert '"code":"missing_key"' in rejected


OTHERS = [
    # As tap-github, tap-postgres and PipelineWise's taps write: shared definitions, `additionalProperties`, no types.
    {
        "type": "SCHEMA",
        "stream": "public-issues",
        "schema": {
            "definitions": {"sdc_recursive_integer": {"type": ["null", "integer"]}},
            "type": ["null", "object"],
            "additionalProperties": False,
            "properties": {
                "id": {"type": ["null", "integer"], "minimum": -2147483648, "maximum": 2147483647},
                "counts": {"anyOf": [{"type": "array", "items": {"$ref": "#/definitions/sdc_recursive_integer"}}, {}]},
                "one": {"$ref": "#/definitions/sdc_recursive_integer"},
                "price": {"type": ["null", "number"], "multipleOf": 0.01},
                "closed_at": {"anyOf": [{"type": "null"}, {"type": "string", "format": "date-time"}]},
                "labels": {"type": "array"},
                "state": {"enum": ["open", "closed"]},
                "_sdc_deleted_at": {"type": ["null", "string"], "format": "date-time"},
            },
        },
        "key_properties": ["id"],
        "bookmark_properties": ["updated_at"],
    },
    {
        "type": "RECORD",
        "stream": "public-issues",
        "record": {
            "id": 1,
            "counts": [1, None],
            "one": 7,
            "price": 0.07,
            "closed_at": "2026-01-05T10:00:00.000000Z",
            "labels": [],
            "state": "open",
            "_sdc_deleted_at": None,
        },
        "version": 1574426993906,
        "time_extracted": "2019-11-22T12:49:54.464000Z",
    },
    {"type": "ACTIVATE_VERSION", "stream": "public-issues", "version": 1574426993906},
    {"type": "STATE", "value": {"currently_syncing": None}},
]


def test_what_other_taps_write(target: Target, database: Database) -> None:
    run = target("\n".join(map(json.dumps, OTHERS)).encode())
    assert run.states == [{"currently_syncing": None}]
    types = database.types("public-issues")
    assert [types[name] for name in ("id", "one", "closed_at", "state", "counts", "labels")] == [
        "bigint",
        "bigint",
        "timestamp with time zone",
        "text" if database.is_postgresql else "varchar",
        "json",
        "json",
    ]
    assert database.texts("public-issues", "id", "one", "closed_at", "counts") == [
        ("1", "7", "2026-01-05 10:00:00+00", "[1, null]")
    ]
