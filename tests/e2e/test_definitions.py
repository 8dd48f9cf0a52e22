"""Another project can use the plugins by their definition files, and what `meltano.yml` selects is what there is."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from demo import commands, meltano
from demo.project import ROOT
from tests import preloaded
from tests.campaign import one_in


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = YAML(typ="safe").load(path)
    return content


@pytest.fixture
def own(request: pytest.FixtureRequest) -> dict[str, Any]:
    """A plugin's entry in `meltano.yml`."""
    plugins = read(ROOT / "meltano.yml")["plugins"]
    return next(plugin for kind in plugins.values() for plugin in kind if plugin["name"] == request.param)


def command_of(plugin: dict[str, Any]) -> list[str]:
    return [sys.executable, "-m", plugin["namespace"]]


@one_in(4)
@pytest.mark.e2e
@pytest.mark.parametrize("own", sorted(path.stem for path in (ROOT / "plugins").glob("*.yml")), indirect=True)
def test_another_project_can_add_it_without_the_hub(own: dict[str, Any], tmp_path: Path) -> None:
    project = tmp_path / "meltano.yml"
    project.write_text("send_anonymous_usage_stats: false\nhub_url: http://127.0.0.1:9\n")
    kind = {"tap": "extractor", "target": "loader", "mapper": "mapper"}[own["name"].partition("-")[0]]
    command = [*meltano.COMMAND, "add", "--no-install", "--plugin-type", kind, own["name"]]
    command += ["--from-ref", str(ROOT / f"plugins/{own['name']}.yml")]
    preloaded.run_meltano(command, commands.environment({}), tmp_path)
    [added] = read(project)["plugins"][f"{kind}s"]
    assert added["pip_url"] == own["pip_url"].replace("-e ${MELTANO_PROJECT_ROOT}", "${AP_CONNECTORS}")
    for name in ("settings", "capabilities", "commands", "executable", "namespace"):
        assert added.get(name) == own.get(name), name


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("own", "setting", "value"),
    [
        # As a date it would become the 2nd of January.
        ("tap-ivesk", "start_date", "01.02.2026"),
        ("tap-vicai", "start_date", "2026"),
        # As a decimal it would end Meltano with a traceback.
        ("target-vicai", "max_delete_fraction", "0.25"),
    ],
    indirect=["own"],
)
def test_meltano_hands_on_what_the_environment_says(
    own: dict[str, Any], setting: str, value: str, tmp_path: Path
) -> None:
    (tmp_path / "meltano.yml").write_text((ROOT / "meltano.yml").read_text(encoding="utf-8"), encoding="utf-8")
    given = {f"{own['namespace'].upper()}_{setting.upper()}": value}
    command = [*meltano.COMMAND, "invoke", "--no-install", "--dump=config", own["name"]]
    dumped = preloaded.run_meltano(command, commands.environment(given), tmp_path)
    assert json.loads(dumped)[setting] == value


@pytest.mark.parametrize("own", ["tap-vicai"], indirect=True)
def test_every_stream_is_selected_but_what_cannot_be_had_or_costs_requests(own: dict[str, Any]) -> None:
    done = preloaded.run([*command_of(own), "--discover"])
    streams = {stream["tap_stream_id"]: stream["schema"]["properties"] for stream in json.loads(done.stdout)["streams"]}
    chosen = [pattern.split(".") for pattern in own["select"] if not pattern.startswith("!")]
    cannot_be_had_or_cost = {"training_invoice_documents", "supporting_attachments", "dimension_dependencies"}
    odd = {name for name, _ in chosen} ^ (streams.keys() - cannot_be_had_or_cost)
    assert not odd, f"{odd}: belongs into _VICAI_STREAMS of fleet/pipelines.py, or has to be named here"
    left_out = [pattern[1:].split(".") for pattern in own["select"] if pattern.startswith("!")]
    assert all(field in streams[name] for name, field in left_out)
