"""`ap-fleet export meltano`: the same pipelines as a Meltano project, for those who want one."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from ap_connectors.core import files
from ap_connectors.core.errors import Stop
from ap_connectors.fleet import plugins, values
from ap_connectors.fleet.members import Company, Fleet
from ap_connectors.fleet.pipelines import Pipeline

_KINDS = {"tap": "extractors", "mapper": "mappers", "target": "loaders"}
_TYPES = {"number": "string"}
_HEAD = """\
# Made by `ap-fleet export meltano`. Each company and pipeline has plugins of its own. Credentials are in the
# environment, or in the file .env beside this one (see .env.example). Run one job after the other: `meltano
# run` stops at the first that fails.
"""


def meltano(fleet: Fleet, folder: Path) -> Iterator[str]:
    """Write a project; yield what there is to say.

    Raises:
        Stop: there is a project already, or it cannot be written.
    """
    project = folder / "meltano.yml"
    if project.exists():
        raise Stop(f"{project} is there already; name another folder (--folder).")
    writer = _Writer(fleet)
    text = _HEAD + yaml.safe_dump(writer.project(), sort_keys=False, allow_unicode=True, width=120)
    names = "".join(f"{name}=\n" for name in sorted(writer.variables))
    try:
        files.replace(project, text.encode())
        files.replace(folder / ".env.example", names.encode())
    except OSError as error:
        raise Stop(f"{folder} cannot be written: {error.strerror}.") from None
    yield f"{project}: {len(writer.jobs)} jobs of {len(fleet.companies)} companies."
    yield f"{folder / '.env.example'}: {len(writer.variables)} variables that have to be set."


class _Writer:
    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._plugins: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in _KINDS.values()}
        self.jobs: list[dict[str, Any]] = []
        self.variables: set[str] = set()
        self._values: dict[tuple[str, str], dict[str, str]] = {}
        """By plugin and setting: what each company has."""

    def project(self) -> dict[str, Any]:
        """Return what `meltano.yml` holds."""
        for company in self._fleet.companies:
            for name in company.pipelines:
                self._job(company, self._fleet.pipelines[name])
        return {
            "default_environment": "prod",
            "environments": [{"name": "prod"}],
            "send_anonymous_usage_stats": False,
            "state_backend": {"uri": "file://${MELTANO_SYS_DIR_ROOT}/state"},
            "plugins": {kind: list(found.values()) for kind, found in self._plugins.items() if found},
            "jobs": self.jobs,
        }

    def _job(self, company: Company, pipeline: Pipeline) -> None:
        tasks = []
        for plugin in pipeline.plugins:
            kind = _KINDS[_kind(pipeline, plugin)]
            base = Path(plugin).name
            self._plugins[kind].setdefault(base, _definition(plugin, base))
            name = f"{base}--{company.id}--{pipeline.name}"
            entry: dict[str, Any] = {"name": name, "inherit_from": base}
            config = self._config(company, pipeline, plugin)
            if kind == "mappers":
                entry["mappings"] = [{"name": f"map--{company.id}--{pipeline.name}", "config": config}]
                tasks.append(f"map--{company.id}--{pipeline.name}")
            else:
                entry["config"] = config
                tasks.append(name)
            if kind == "extractors" and pipeline.select:
                entry["select"] = list(pipeline.select)
            self._plugins[kind][name] = entry
        self.jobs.append({"name": f"{company.id}--{pipeline.name}", "tasks": [" ".join(tasks)]})

    def _config(self, company: Company, pipeline: Pipeline, plugin: str) -> dict[str, Any]:
        properties = plugins.schema(plugin).get("properties", {})
        given = self._fleet.settings_of(company, pipeline, plugin)
        config = {}
        for name, value in given.items():
            used = list(values.variables(value))
            if name == "database" and company.duckdb_file is not None:
                value = str(self._fleet.path.parent / files.place(value))  # noqa: PLW2901 - a path, and no secret
            elif isinstance(value, values.File | values.Command) or (
                properties.get(name, {}).get("secret") and not used
            ):
                whose = "" if self._is_common(plugin, name) else f"{company.id}_"
                used = [re.sub(r"\W", "_", f"{whose}{Path(plugin).name}_{name}").upper()]
                value = f"${{{used[0]}}}"  # noqa: PLW2901 - it stands for the secret
            self.variables.update(used)
            config[name] = _plain(value)
        return config

    def _is_common(self, plugin: str, name: str) -> bool:
        """Return whether all companies have one value, such as the URL of their warehouse."""
        if not self._values:
            for company in self._fleet.companies:
                for pipeline in map(self._fleet.pipeline, company.pipelines):
                    for one in pipeline.plugins:
                        for setting, value in self._fleet.settings_of(company, pipeline, one).items():
                            self._values.setdefault((one, setting), {})[company.id] = str(value)
        found = self._values[plugin, name]
        return len(found) > 1 and len(set(found.values())) == 1


def _plain(value: Any) -> Any:
    """Return a value as YAML writes it; texts lose their types of ours."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping):
        return {name: _plain(member) for name, member in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _kind(pipeline: Pipeline, plugin: str) -> str:
    return "tap" if plugin == pipeline.tap else "target" if plugin == pipeline.target else "mapper"


def _definition(plugin: str, name: str) -> dict[str, Any]:
    """Return the plugin that those of companies inherit from; it is installed already."""
    properties = plugins.schema(plugin).get("properties", {})
    found = None if plugins.is_program(plugin) else plugins.plugin_class(plugin)
    definition: dict[str, Any] = {
        "name": name,
        "namespace": name.replace("-", "_"),
        "executable": plugin if plugins.is_program(plugin) else _installed(plugin),
    }
    if found is not None:
        definition["capabilities"] = sorted(str(one.value) for one in found.capabilities)
    definition["settings"] = [
        {"name": one, "kind": _kind_of(schema), **({"sensitive": True} if schema.get("secret") else {})}
        for one, schema in properties.items()
    ]
    return definition


def _installed(plugin: str) -> str:
    """Return the program of a plugin: that of this environment, wherever Meltano itself is installed."""
    beside = Path(sys.executable).with_name(plugin)
    return str(beside) if beside.exists() else shutil.which(plugin) or plugin


def _kind_of(schema: Mapping[str, Any]) -> str:
    types = schema.get("type", "string")
    kind = next((one for one in ([types] if isinstance(types, str) else types) if one != "null"), "string")
    return _TYPES.get(kind, kind)
