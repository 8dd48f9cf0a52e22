"""Settings of a plugin: checked before a run, defaults filled in, and explained."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path
from typing import Any, ClassVar

import click
import pytest
from singer_sdk import typing as th
from singer_sdk.exceptions import ConfigValidationError

from ap_connectors.core.errors import Stop
from ap_connectors.singer.plugin import ClearPlugin, read_state
from ap_connectors.singer.settings import MAX_REJECTS, REJECTS_PATH, REPORT_PATH


class Plugin(ClearPlugin):
    name = "target-trial"
    config_jsonschema: ClassVar[dict[str, Any]] = th.PropertiesList(MAX_REJECTS, REJECTS_PATH, REPORT_PATH).to_dict()


def test_the_settings_of_rejects() -> None:
    plugin = Plugin(config={})
    assert plugin.config["max_rejects"] == 0
    assert plugin.config["rejects_path"] == "rejects-{timestamp}.jsonl"
    assert "report_path" not in plugin.config
    with pytest.raises(ConfigValidationError) as caught:
        Plugin(config={"max_rejects": -1, "report_paht": "x"})
    assert caught.value.errors == [
        "max_rejects must be at least 0.",
        "report_paht is not a setting; did you mean report_path?",
    ]


def test_the_environment_wins_over_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TARGET_TRIAL_MAX_REJECTS", "3")
    assert Plugin(config={"max_rejects": 1}, parse_env_config=True).config["max_rejects"] == 3


def test_an_unknown_setting_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        Plugin(config={"colour": "red"})
    assert caplog.messages == ["The setting colour is unknown and has no effect."]


STATE: dict[str, Any] = {"bookmarks": {"vendors": {}}}


@pytest.mark.parametrize("written", [STATE, {"type": "STATE", "value": STATE}, {"singer_state": STATE}])
def test_a_state_in_any_form(written: dict[str, Any]) -> None:
    assert json.load(read_state(io.StringIO(json.dumps(written)))) == STATE


def test_an_empty_state_and_a_wrong_one() -> None:
    assert json.load(read_state(io.StringIO(" \n"))) == {}
    with pytest.raises(Stop, match="--state: has no 'bookmarks'"):
        read_state(io.StringIO('{"vendors": {}}'))


@pytest.mark.parametrize(("given", "read"), [("0.25", 0.25), (0.5, 0.5), ("half", "half"), ("nan", "nan")])
def test_a_number_may_be_given_as_text_in_a_file(given: Any, read: Any, tmp_path: Path) -> None:
    class Fraction(Plugin):
        """Has a setting that is a number."""

        config_jsonschema: ClassVar[dict[str, Any]] = th.PropertiesList(
            th.Property("fraction", th.NumberType), th.Property("name", th.StringType)
        ).to_dict()

    file = tmp_path / "config.json"
    file.write_text(json.dumps({"fraction": given, "name": "1.5"}))
    command = Fraction.get_singer_command()
    read_settings = Fraction.cb_config(click.Context(command), click.Option(["--config"]), (str(file),))
    assert read_settings.config == {"fraction": read, "name": "1.5"}
