"""What the pages about schedulers say: it can be read, and names settings, commands and files that exist."""

from __future__ import annotations

import ast
import configparser
import os
import re
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster._config import process_config
from dagster._core.instance.config import dagster_instance_config

from ap_connectors.fleet import companies

ROOT = Path(__file__).parent.parent.parent
DAGSTER, SCHEDULERS = ROOT / "docs/fleet-dagster.md", ROOT / "docs/fleet-schedulers.md"
COMMANDS = {script.name for script in metadata.entry_points(group="console_scripts")}


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def block(beginning: str) -> str:
    (found,) = [one for one in blocks(DAGSTER, "yaml") if one.startswith(beginning)]
    return found


@pytest.fixture(scope="module")
def manifests() -> list[dict[str, Any]]:
    whole = list(yaml.safe_load_all(block("# kubernetes.yaml")))
    return [item for one in whole for item in (one["items"] if one["kind"] == "List" else [one])]


def settings(manifests: list[dict[str, Any]]) -> dict[str, str]:
    (found,) = [one["data"] for one in manifests if one["kind"] == "ConfigMap"]
    return dict(found)


def instance_config(text: str, folder: Path) -> Mapping[str, Any]:
    """Have Dagster read its settings, all of which it has to know."""
    (folder / "dagster.yaml").write_text(text, "utf-8")
    config, _ = dagster_instance_config(str(folder))
    return config


def test_dagster_knows_its_settings(tmp_path: Path, manifests: list[dict[str, Any]]) -> None:
    config = instance_config(block("# dagster.yaml"), tmp_path)
    assert config["run_retries"] == {"enabled": True, "max_retries": 2, "retry_on_asset_or_op_failure": False}
    assert config["concurrency"]["runs"]["tag_concurrency_limits"][0]["key"] == "ap-fleet/client"
    assert instance_config(settings(manifests)["dagster.yaml"], tmp_path)["run_launcher"]["class"] == "K8sRunLauncher"


def test_companies_on_the_pages_are_read(
    tmp_path: Path, manifests: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "companies.yml"
    path.write_text(settings(manifests)["companies.yml"], "utf-8")
    assert companies.read(path).dagster.schedules == {"vic-to-warehouse": "5 * * * *"}
    minimal = "companies: [{id: a, pipelines: [errors-to-ivesk], settings: {target-ivesk: {api_key: k}}}]\n"
    path.write_text(minimal + block("dagster:"), "utf-8")
    read = companies.read(path).dagster
    assert (read.batch, read.timezone, set(read.schedules)) == (50, "Europe/Vilnius", {"all", "tie-out"})


def test_manifests_fit_together(manifests: list[dict[str, Any]]) -> None:
    names = {(one["kind"], one["metadata"]["name"]) for one in manifests}
    files = settings(manifests)
    (secret,) = [one["stringData"] for one in manifests if one["kind"] == "Secret"]
    assert set(re.findall(r"\$\{(\w+)\}", files["companies.yml"])) <= secret.keys()
    assert set(re.findall(r"env: (\w+)", files["dagster.yaml"])) <= secret.keys()
    assert yaml.safe_load(files["workspace.yaml"])["load_from"][0]["grpc_server"]["host"] in {
        name for kind, name in names if kind == "Service"
    }
    pods = [one["spec"]["template"]["spec"] for one in manifests if one["kind"] == "Deployment"]
    (cron,) = [yaml.safe_load(one) for one in blocks(SCHEDULERS, "yaml")]
    pods.append(cron["spec"]["jobTemplate"]["spec"]["template"]["spec"])
    for pod in pods:
        (container,) = pod["containers"]
        assert container["command"][0] in COMMANDS
        assert {one["name"] for one in container["volumeMounts"]} <= {one["name"] for one in pod["volumes"]}
        assert pod["securityContext"]["runAsUser"] == 10001
        for volume in pod["volumes"]:
            for kind, key in (("ConfigMap", "configMap"), ("PersistentVolumeClaim", "persistentVolumeClaim")):
                if key in volume:
                    assert (kind, volume[key].get("name") or volume[key].get("claimName")) in names


@pytest.mark.campaign
@pytest.mark.long
def test_the_run_launcher_knows_its_settings(manifests: list[dict[str, Any]]) -> None:
    from dagster_k8s import K8sRunLauncher  # noqa: PLC0415 - a second of imports

    given = yaml.safe_load(settings(manifests)["dagster.yaml"])["run_launcher"]["config"]
    checked = process_config(K8sRunLauncher.config_type(), given)  # type: ignore[no-untyped-call] # of Dagster
    assert checked.success, checked.errors
    mounts = {one["mountPath"]: one["name"] for one in given["volume_mounts"]}
    assert mounts[given["dagster_home"]] == "home"


def test_snippets_can_be_read() -> None:
    for text in blocks(SCHEDULERS, "ini"):
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        parser.optionxform = str  # type: ignore[assignment, method-assign]
        parser.read_string(text)
        assert set(parser.sections()) <= {"Unit", "Service", "Timer", "Install"}
    (airflow,) = blocks(SCHEDULERS, "python")
    ast.parse(airflow)
    whole = SCHEDULERS.read_text("utf-8")
    parts = re.findall(r"\bap-fleet (run|status|history|check)\b((?: --[\w-]+)*)", whole)
    assert len(parts) >= 5
    for line in re.findall(r"^[\d*]+ .*", blocks(SCHEDULERS, "text")[0], re.MULTILINE):
        assert len(line.split()[:6]) == 6
        assert line.split()[5] == "ap"


def test_cron_mails_only_what_failed(tmp_path: Path) -> None:
    """A run that takes long says how far it is, where standard error is no terminal: cron mails whatever is printed."""
    program = tmp_path / "ap-fleet"
    program.write_text('#!/bin/sh\necho "ap-fleet: 3 of 40" >&2\necho "the table of $1"\nexit $STATUS\n', "utf-8")
    program.chmod(0o700)
    (tmp_path / "secrets.env").write_text("export STATUS=$WANTED\n", "utf-8")
    lines = re.findall(r"^[\d*]+ (?:\S+ ){5}(.*)", blocks(SCHEDULERS, "text")[0], re.MULTILINE)
    assert len(lines) == 2
    for line in lines:
        for wanted in ("0", "1"):
            env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "WANTED": wanted}
            command = ["/bin/sh", "-c", line.replace("/srv/fleet", str(tmp_path))]
            done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
            assert ("the table of" in done.stdout, done.stderr) == (wanted == "1", ""), line
