"""Settings: those of the plugins, from the same files and the same environment variables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from jsonschema import Draft202012Validator

from ap_connectors.core import settings
from ap_connectors.core.errors import Stop
from ap_connectors.ivesk.doctypes import SCHEMA as DOCTYPES
from ap_connectors.ivesk.settings import CONNECTION as IVESK
from ap_connectors.vicai.settings import CONNECTION as VICAI

_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT}
_COLUMNS = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"company_code": _TEXT, "column": _TEXT},
        "required": ["company_code", "column"],
    },
}
_NUMBER = {"type": "number", "minimum": 1}
_AT_ONCE = {"type": ["string", "integer"], "pattern": "^auto$", "minimum": 1}
_RATE = {"type": "object", "properties": {"requests": _NUMBER, "seconds": _NUMBER}}
_COMMON = {"start_date": _TEXT, "user_agent": _TEXT, "request_timeout": _NUMBER}
_OF_VICAI = {**VICAI, **_COMMON, "max_concurrency": _AT_ONCE, "rate_limit": _RATE}
USED: Mapping[str, Mapping[str, Any]] = {
    "tap-ivesk": {
        **IVESK,
        **_COMMON,
        "doctype": DOCTYPES,
        "company_codes": _TEXTS,
        "columns": _COLUMNS,
        "documents_dir": _TEXT,
    },
    "tap-vicai": {**_OF_VICAI, "invoice_states": _TEXTS, "documents_dir": _TEXT},
    "target-vicai": {**_OF_VICAI, "deletes": _TEXT},
}
"""The settings of each plugin that matter to a comparison; others are ignored."""


def read(sources: Iterable[str], plugin: str, required: Iterable[str]) -> dict[str, Any]:
    """Read settings.

    Args:
        sources: paths of JSON files, or ENV for the environment; the later ones win. Without any: the environment.
        plugin: whose settings they are ("tap-ivesk").
        required: settings that must be there.

    Raises:
        Stop: a file cannot be read, or a setting is missing or of the wrong type. No value is shown.
    """
    prefix = f"{plugin.replace('-', '_').upper()}_"
    properties = USED[plugin]
    given: dict[str, Any] = {}
    for source in list(sources) or ["ENV"]:
        if source == "ENV":
            given |= settings.from_environment(properties, prefix)
            for name, variable in settings.unknown_variables(properties, prefix).items():
                if meant := settings.closest(name, [one for one in properties if one not in given]):
                    raise Stop(f"{variable} sets nothing; did you mean {prefix}{meant.upper()}?")
        else:
            given |= settings.read_file(source, properties)
    for name, meant in settings.unknown(given, properties):
        if meant:
            raise Stop(f"{name} is not a setting; did you mean {meant}? The settings are those of {plugin}.")
    given = {name: value for name, value in settings.tidy(given, properties).items() if name in properties}
    schema = {"properties": properties, "required": list(required)}
    for problem in settings.explain(Draft202012Validator(schema).iter_errors(given), prefix):
        raise Stop(f"{problem} The settings are those of {plugin}.")
    return given
