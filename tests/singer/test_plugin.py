"""Settings from the environment: read as what they are, or named when they cannot be."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from singer_sdk import typing as th

from ap_connectors.core.errors import Stop
from ap_connectors.singer.plugin import ClearPlugin
from ap_connectors.singer.settings import MAX_REJECTS, REJECTS_PATH, REPORT_PATH


class Plugin(ClearPlugin):
    name = "target-trial"
    config_jsonschema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("dry_run", th.BooleanType, default=False),
        th.Property("fraction", th.NumberType(minimum=0, maximum=1)),
        MAX_REJECTS,
        REJECTS_PATH,
        REPORT_PATH,
    ).to_dict()


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("dry_run", "Yes", True),
        ("dry_run", "1", True),
        ("dry_run", "off", False),
        ("fraction", "0.25", 0.25),
        ("max_rejects", "3", 3),
        ("report_path", "1", "1"),
    ],
)
def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch, name: str, text: str, value: Any) -> None:
    monkeypatch.setenv(f"TARGET_TRIAL_{name.upper()}", text)
    found = Plugin._env_var_config
    assert (found, type(found[name])) == ({name: value}, type(value))


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("DRY_RUN", "ja", "must be true or false"),
        ("FRACTION", "0,25", "must be a number"),
        ("FRACTION", "nan", "must be a number"),
        ("MAX_REJECTS", "s3cret", "must be a whole number"),
    ],
)
def test_what_cannot_be_read_is_named_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, words: str
) -> None:
    monkeypatch.setenv(f"TARGET_TRIAL_{name}", text)
    with pytest.raises(Stop, match=f"^TARGET_TRIAL_{name} {words}.$") as caught:
        _ = Plugin._env_var_config
    assert text not in str(caught.value)


def test_the_settings_of_rejects() -> None:
    plugin = Plugin(config={})
    assert plugin.config["max_rejects"] == 0
    assert plugin.config["rejects_path"] == "rejects-{timestamp}.jsonl"
    assert "report_path" not in plugin.config
    assert Plugin(config={"max_rejects": -1}, validate_config=False)._validate_config(raise_errors=False) == [
        "max_rejects is not allowed: minimum is 0."
    ]
