"""The project's `meltano.yml` and the definition file for other projects say what the plugins say of themselves."""

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
from tests.conftest import PLUGINS

PACKAGE = {"tap-webhooks": "ap-connectors[webhooks]"}
# Settings that every tap of the SDK has; Meltano takes them without a declaration.
OF_THE_SDK = {"stream_maps", "stream_map_config", "faker_config"}


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = YAML(typ="safe").load(path)
    return content


@pytest.fixture(scope="module", params=[name.replace("_", "-") for name in PLUGINS])
def own(request: pytest.FixtureRequest) -> dict[str, Any]:
    plugins = read(ROOT / "meltano.yml")["plugins"]
    return next(plugin for kind in plugins.values() for plugin in kind if plugin["name"] == request.param)


@pytest.fixture
def for_others(own: dict[str, Any]) -> dict[str, Any]:
    return read(ROOT / f"plugins/{own['name']}.yml")


def schema_of(plugin: dict[str, Any]) -> dict[str, Any]:
    """A plugin's `schema`, a mapping or the JSON of one."""
    schema = plugin["schema"]
    content: dict[str, Any] = json.loads(schema) if isinstance(schema, str) else schema
    return content


def command_of(plugin: dict[str, Any]) -> list[str]:
    return [sys.executable, "-m", plugin["namespace"]]


def test_both_say_the_same(own: dict[str, Any], for_others: dict[str, Any]) -> None:
    assert for_others["pip_url"] == PACKAGE.get(own["name"], "ap-connectors")
    assert "variant" not in for_others
    environment = for_others.pop("env", {})
    assert {**for_others, "pip_url": own["pip_url"]} == own
    schema = {f"{own['namespace'].upper()}__SCHEMA": schema_of(own)} if "schema" in own else {}
    assert {name: json.loads(value) for name, value in environment.items()} == schema


def test_they_say_what_the_plugin_says(own: dict[str, Any]) -> None:
    command = [*command_of(own), "--about", "--format=json"]
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
        kind = {"number": "decimal"}.get(kind, kind)
        kind = "date_iso8601" if setting.get("format") == "date-time" else kind
        assert settings[name]["kind"] == kind, name
        assert settings[name].get("sensitive", False) == setting.get("secret", False), name
        assert settings[name].get("value") == (None if setting.get("default") == [] else setting.get("default")), name


@pytest.mark.e2e
def test_another_project_can_add_it_without_the_hub(own: dict[str, Any], tmp_path: Path) -> None:
    project = tmp_path / "meltano.yml"
    project.write_text("send_anonymous_usage_stats: false\nhub_url: http://127.0.0.1:9\n")
    kind = {"tap": "extractor", "target": "loader", "mapper": "mapper"}[own["name"].partition("-")[0]]
    command = [*meltano.COMMAND, "add", "--no-install", "--plugin-type", kind, own["name"]]
    command += ["--from-ref", str(ROOT / f"plugins/{own['name']}.yml")]
    subprocess.run(command, cwd=tmp_path, env=meltano.environment({}), capture_output=True, check=True)
    [added] = read(project)["plugins"][f"{kind}s"]
    assert added["pip_url"] == PACKAGE.get(own["name"], "ap-connectors")
    for name in ("settings", "capabilities", "commands", "executable", "namespace"):
        assert added.get(name) == own.get(name), name
    if "schema" not in own:
        return
    # Exact amounts come with it; Meltano leaves `schema` itself out.
    assert json.loads(added["env"][f"{own['namespace'].upper()}__SCHEMA"]) == schema_of(own)


@pytest.mark.parametrize("own", ["tap-vicai"], indirect=True)
def test_whatever_may_hold_a_number_arrives_as_text(own: dict[str, Any]) -> None:
    done = subprocess.run([*command_of(own), "--discover"], capture_output=True, encoding="utf-8", check=True)
    may_hold_one = {
        stream["tap_stream_id"]: {
            name: {"type": ["string", "null"]}
            for name, field in stream["schema"]["properties"].items()
            if {"number", "object", "array"} & set(field["type"])
        }
        for stream in json.loads(done.stdout)["streams"]
    }
    assert schema_of(own) == {stream: fields for stream, fields in may_hold_one.items() if fields}


@pytest.mark.parametrize("own", ["tap-vicai"], indirect=True)
def test_every_stream_is_selected_but_the_one_that_cannot_be_had(own: dict[str, Any]) -> None:
    done = subprocess.run([*command_of(own), "--discover"], capture_output=True, encoding="utf-8", check=True)
    streams = {stream["tap_stream_id"]: stream["schema"]["properties"] for stream in json.loads(done.stdout)["streams"]}
    chosen = [pattern.split(".") for pattern in own["select"] if not pattern.startswith("!")]
    assert {name for name, _ in chosen} == streams.keys() - {"training_invoice_documents"}
    left_out = [pattern[1:].split(".") for pattern in own["select"] if pattern.startswith("!")]
    assert all(field in streams[name] for name, field in left_out)
