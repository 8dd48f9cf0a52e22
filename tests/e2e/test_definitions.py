"""The project's `meltano.yml` and the definition file for other projects say what the tap says of itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from demo import meltano
from demo.project import ROOT

# Settings that every tap of the SDK has; Meltano takes them without a declaration.
OF_THE_SDK = {"stream_maps", "stream_map_config", "faker_config"}


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = YAML(typ="safe").load(path)
    return content


@pytest.fixture(scope="module")
def own() -> dict[str, Any]:
    extractors = read(ROOT / "meltano.yml")["plugins"]["extractors"]
    return next(plugin for plugin in extractors if plugin["name"] == "tap-ivesk")


@pytest.fixture(scope="module")
def for_others() -> dict[str, Any]:
    return read(ROOT / "plugins/tap-ivesk.yml")


def test_both_say_the_same(own: dict[str, Any], for_others: dict[str, Any]) -> None:
    assert for_others["pip_url"] == "ap-connectors"
    assert "variant" not in for_others
    environment = for_others["env"]
    assert {**for_others, "pip_url": own["pip_url"]} == {**own, "env": environment}
    assert {name: json.loads(value) for name, value in environment.items()} == {"TAP_IVESK__SCHEMA": own["schema"]}


def test_they_say_what_the_tap_says(own: dict[str, Any]) -> None:
    command = [sys.executable, "-m", "tap_ivesk", "--about", "--format=json"]
    about = json.loads(subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout)
    assert set(own["capabilities"]) == set(about["capabilities"])

    declared = {
        name: setting
        for name, setting in about["settings"]["properties"].items()
        if name not in OF_THE_SDK and not name.startswith("flattening_")
    }
    settings = {setting["name"]: setting for setting in own["settings"]}
    assert list(settings) == list(declared)
    for name, setting in declared.items():
        kind = next(each for each in setting["type"] if each != "null")
        kind = "date_iso8601" if setting.get("format") == "date-time" else kind
        assert settings[name]["kind"] == kind, name
        assert settings[name].get("sensitive", False) == setting.get("secret", False), name
        assert settings[name].get("value") == (setting.get("default") or None), name


@pytest.mark.e2e
def test_another_project_can_add_it_without_the_hub(own: dict[str, Any], tmp_path: Path) -> None:
    project = tmp_path / "meltano.yml"
    project.write_text("send_anonymous_usage_stats: false\nhub_url: http://127.0.0.1:9\n")
    command = [*meltano.COMMAND, "add", "--no-install", "--plugin-type", "extractor", "tap-ivesk"]
    command += ["--from-ref", str(ROOT / "plugins/tap-ivesk.yml")]
    subprocess.run(command, cwd=tmp_path, env=meltano.environment({}), capture_output=True, check=True)
    [added] = read(project)["plugins"]["extractors"]
    assert added["pip_url"] == "ap-connectors"
    for name in ("settings", "capabilities", "commands", "executable", "namespace"):
        assert added[name] == own[name], name
    # Exact amounts come with it; Meltano leaves `schema` itself out.
    assert json.loads(added["env"]["TAP_IVESK__SCHEMA"]) == own["schema"]
