"""Settings: those of the plugins, from the same files and the same environment variables."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ap_connectors.core.errors import Stop

_AS_JSON = {"company_codes", "invoice_states", "rate_limit", "request_timeout", "max_concurrency"}
_TEXTS = ("api_key", "api_url", "client_id", "client_secret", "region", "doctype", "user_agent", "deletes")
_LISTS = ("company_codes", "invoice_states")


def read(sources: Iterable[str], plugin: str, required: Iterable[str]) -> dict[str, Any]:
    """Read settings.

    Args:
        sources: paths of JSON files, or ENV for the environment; the later ones win. None at all means ENV.
        plugin: whose settings they are ("tap-ivesk").
        required: settings that must be there.

    Raises:
        Stop: a file cannot be read, or a setting is missing or of the wrong kind. No value is shown.
    """
    prefix = f"{plugin.replace('-', '_').upper()}_"
    settings: dict[str, Any] = {}
    for source in list(sources) or ["ENV"]:
        settings |= _environment(prefix) if source == "ENV" else _file(source)
    settings = {name: value for name, value in settings.items() if value not in (None, "")}
    for name in required:
        if name not in settings:
            raise Stop(
                f"{name} is missing: set it in the file of --config, or as {prefix}{name.upper()} with --config=ENV. "
                f"The settings are those of {plugin}."
            )
    for name in settings:
        if name in _TEXTS and not isinstance(settings[name], str):
            raise Stop(f"{name} must be text in quotes.")
        if name in _LISTS and not _is_list_of_texts(settings[name]):
            raise Stop(f"{name} must be a list of texts.")
    _check_numbers(settings)
    return settings


def _check_numbers(settings: Mapping[str, Any]) -> None:
    limit = settings.get("rate_limit") or {}
    if not isinstance(limit, dict):
        raise Stop("rate_limit must be an object.")
    numbers = {name: settings.get(name) for name in ("request_timeout", "max_concurrency")}
    numbers |= {f"rate_limit.{name}": limit.get(name) for name in ("requests", "seconds")}
    for name, value in numbers.items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if value is not None and not (is_number and value >= 1):
            raise Stop(f"{name} must be a number from 1.")


def _is_list_of_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _environment(prefix: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for variable, value in os.environ.items():
        if not variable.startswith(prefix) or "__" in variable:
            continue
        name = variable.removeprefix(prefix).lower()
        found[name] = _as_json(variable, value) if name in _AS_JSON and value else value
    return found


def _as_json(variable: str, value: str) -> Any:
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        raise Stop(f"{variable} must be JSON.") from None


def _file(path: str) -> dict[str, Any]:
    try:
        settings = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise Stop(f"--config {path}: {error.strerror or 'cannot be read'}.") from None
    except json.JSONDecodeError as error:
        raise Stop(
            f"--config {path}: no valid JSON at line {error.lineno}, column {error.colno}: {error.msg}."
        ) from None
    except UnicodeDecodeError:
        raise Stop(f"--config {path}: is not UTF-8 text.") from None
    if not isinstance(settings, dict):
        raise Stop(f"--config {path}: must hold one JSON object with the settings.")
    return settings
