"""Settings of a plugin: checked before a run, defaults filled in, and explained."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any, ClassVar

import click
import pytest
from singer_sdk import typing as th
from singer_sdk.exceptions import ConfigValidationError

from ap_connectors.singer.plugin import ClearCommand, ClearPlugin
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


def test_what_may_mean_a_setting_that_is_set_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("MAX_REJECTS", "MAX_REJECT"):
        monkeypatch.setenv(f"TARGET_TRIAL_{name}", "3")
    with caplog.at_level(logging.WARNING):
        Plugin(config={"report_path": "a.json", "report_paht": "x"}, parse_env_config=True)
    hint = "is unknown and has no effect; did you mean"
    assert caplog.messages == [
        f"The setting report_paht {hint} report_path, which is set as well?",
        f"The setting TARGET_TRIAL_MAX_REJECT {hint} TARGET_TRIAL_MAX_REJECTS, which is set as well?",
    ]


def test_a_misspelt_variable_is_named_as_in_a_file(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("MAX_REJECT", "COLOUR", "_SELECT", ""):
        monkeypatch.setenv(f"TARGET_TRIAL_{name}", "s3cret")
    monkeypatch.setenv("TARGET_TRIAL_LOGLEVEL", "info")
    with caplog.at_level(logging.WARNING), pytest.raises(ConfigValidationError) as caught:
        Plugin(config={}, parse_env_config=True)
    assert caught.value.errors == ["TARGET_TRIAL_MAX_REJECT sets nothing; did you mean TARGET_TRIAL_MAX_REJECTS?"]
    assert caplog.messages == ["The setting TARGET_TRIAL_COLOUR is unknown and has no effect."]
    # Without --config=ENV the environment is not read.
    assert Plugin(config={}).config["max_rejects"] == 0


def test_variables_that_files_alone_leave_without_effect_are_warnings(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    names = ("MAX_REJECTS", "REPORT_PAHT", "_SELECT", "COLOUR", "ACME_REPORT_PATH", "REPORT_PATH_X", "REJECTS_PATH")
    for name in names:
        monkeypatch.setenv(f"TARGET_TRIAL_{name}", "3")
    monkeypatch.setattr(Plugin, "given_config", ("config.json",))
    with caplog.at_level(logging.WARNING):
        Plugin(config={"rejects_path": "a.jsonl"})
    assert caplog.messages == [
        "TARGET_TRIAL_MAX_REJECTS has no effect here: add --config=ENV, or set max_rejects in the file of --config.",
        "TARGET_TRIAL_REPORT_PAHT sets nothing; did you mean TARGET_TRIAL_REPORT_PATH?",
    ]


@pytest.mark.parametrize("empty", [None, "", "  ", "\u00a0\n"])
def test_what_is_empty_is_left_out(empty: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = Plugin(config={"max_rejects": empty, "rejects_path": empty, "report_path": empty})
    assert dict(plugin.config) == {"max_rejects": 0, "rejects_path": "rejects-{timestamp}.jsonl"}
    monkeypatch.setenv("TARGET_TRIAL_REJECTS_PATH", empty or "")
    monkeypatch.setenv("TARGET_TRIAL_MAX_REJECTS", empty or "")
    plugin = Plugin(config={"rejects_path": "mine.jsonl"}, parse_env_config=True)
    assert dict(plugin.config) == {"max_rejects": 0, "rejects_path": "mine.jsonl"}


def test_white_space_around_a_setting_goes() -> None:
    class Nested(Plugin):
        """Has settings inside settings."""

        config_jsonschema: ClassVar[dict[str, Any]] = th.PropertiesList(
            th.Property("names", th.ArrayType(th.StringType)),
            th.Property(
                "limit", th.ObjectType(th.Property("word", th.StringType), th.Property("seconds", th.NumberType))
            ),
            th.Property("columns", th.ArrayType(th.ObjectType(th.Property("code", th.StringType)))),
            th.Property("free", th.ObjectType()),
            th.Property("flattening_separator", th.StringType),
        ).to_dict()

    given = {
        "names": [" a", "b\u2003"],
        "limit": {"word": " w ", "seconds": " 2.5 "},
        "columns": [{"code": "\tc\r\n"}, {"code": None}],
        "free": {" a ": " b ", "c": None},
        "flattening_separator": " ",
    }
    assert dict(Nested(config=given).config) == {
        "names": ["a", "b"],
        "limit": {"word": "w", "seconds": 2.5},
        "columns": [{"code": "c"}, {}],
        "free": {" a ": " b ", "c": None},
        "flattening_separator": " ",
    }


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
    assert Fraction(config=read_settings.config, validate_config=False).config == {"fraction": read, "name": "1.5"}


def test_a_file_without_its_option_is_told_the_option() -> None:
    command = ClearCommand("target-trial", params=[click.Option(["--input"]), click.Option(["--config"])], logger=None)
    with pytest.raises(click.UsageError, match=r"argument \(vendors.xlsx\)\. Name a file with --config or --input\."):
        command.make_context("target-trial", ["vendors.xlsx"])
