"""The definition file for Meltano, and the documentation, say what the command says of itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from mapper_ivesk_vicai import mapper, records, tables

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs/mapper-ivesk-vicai.md").read_text("utf-8")


@pytest.fixture(scope="module")
def about() -> dict[str, Any]:
    command = [sys.executable, "-m", "mapper_ivesk_vicai", "--about", "--format=json"]
    said: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return said


def test_the_definition_says_the_same(about: dict[str, Any]) -> None:
    plugin = YAML(typ="safe").load(ROOT / "plugins/mapper-ivesk-vicai.yml")
    assert (plugin["name"], plugin["executable"]) == (mapper.MapperIveskVicai.name, mapper.MapperIveskVicai.name)
    assert set(plugin["capabilities"]) == set(about["capabilities"])
    written = {setting["name"]: setting for setting in plugin["settings"]}
    declared = about["settings"]["properties"]
    assert list(written) == list(declared)
    for name, setting in declared.items():
        assert written[name]["kind"] == next(kind for kind in setting["type"] if kind != "null"), name
        assert written[name].get("value") == setting.get("default"), name
        assert (written[name]["label"], written[name]["description"]) == (setting["title"], setting["description"])
    assert [mapping["name"] for mapping in plugin["mappings"]] == ["ivesk-to-vicai"]


def test_the_page_says_the_same(about: dict[str, Any]) -> None:
    for name, setting in about["settings"]["properties"].items():
        default = setting.get("default")
        told = "required" if name == "company_code" else "" if default is None else f"`{default}`"
        assert f"| `{name}` | {told} | {setting['description']} |\n" in PAGE
    for table in tables.TABLES:
        assert f"| `{table.setting}` | `{table.key}`, `{table.columns[0]}`" in PAGE
    # What is sent is what the page speaks of.
    for stream in records.STREAMS:
        for name in records.schema_of(stream)["properties"]:
            assert f"`{name}" in PAGE or f".{name}" in PAGE, name
