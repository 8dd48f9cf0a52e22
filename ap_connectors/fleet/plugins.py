"""Plugins by their commands: what is installed says which there are. None is imported by name."""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import logging
import signal
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from importlib import metadata
from typing import Any

from ap_connectors.core import settings
from ap_connectors.core.errors import Stop

_PREFIXES = ("tap-", "target-", "mapper-", "ap-tieout")
# They say where and whose the data are, not which fields these have; so one catalog serves all companies.
_OF_THE_COMPANY = {
    *("client_id", "client_secret", "api_key", "api_url", "start_date", "path", "expected_company", "user_agent"),
    *("company_codes", "company_code", "company_id", "rate_limit", "max_concurrency", "request_timeout", "allow_http"),
}


@functools.cache
def _commands() -> Mapping[str, metadata.EntryPoint]:
    found = metadata.entry_points(group="console_scripts")
    return {entry.name: entry for entry in found if entry.name.startswith(_PREFIXES)}


def is_program(plugin: str) -> bool:
    """Return whether a plugin is named by the path of its program."""
    return "/" in plugin


def names() -> Sequence[str]:
    """Return the commands of all plugins that are installed beside this one."""
    return sorted(_commands())


def command(plugin: str) -> Any:
    """Return what the command of a plugin calls.

    Raises:
        Stop: it is not installed here.
    """
    entry = _commands().get(plugin)
    if entry is None:
        meant = settings.closest(plugin, _commands())
        raise Stop(f"{plugin} is not installed here{f'; did you mean {meant}?' if meant else '.'}")
    return entry.load()


@functools.cache
def plugin_class(plugin: str) -> Any:
    """Return the class of a plugin that is built on the SDK; None of others.

    Raises:
        Stop: it is not installed here.
    """
    with _own_log():
        command(plugin)
    entry = _commands()[plugin]
    found = getattr(importlib.import_module(entry.module), entry.attr.partition(".")[0], None)
    return found if hasattr(found, "config_jsonschema") else None


@functools.cache
def schema(plugin: str) -> Mapping[str, Any]:
    """Return the JSON Schema of a plugin's settings; an empty one where it is not known."""
    found = None if is_program(plugin) else plugin_class(plugin)
    if found is None:
        return {}
    with contextlib.suppress(AttributeError):
        found.append_builtin_config(found.config_jsonschema)
    known: Mapping[str, Any] = found.config_jsonschema
    return known


def has(plugin: str, name: str) -> bool:
    """Return whether a plugin has a setting."""
    return name in schema(plugin).get("properties", {})


_catalogs: dict[str, bytes] = {}


def catalog(tap: str, select: Sequence[str], given: Mapping[str, Any]) -> bytes | None:
    """Return a tap's catalog with streams and fields selected; None if the tap decides.

    Args:
        tap: its command.
        select: as Meltano's.
        given: its settings, which some schemas depend on.
    """
    if not select or is_program(tap) or (found := plugin_class(tap)) is None:
        return None
    properties = schema(tap).get("properties", {})
    shaping = {
        name: value
        for name, value in given.items()
        if name not in _OF_THE_COMPANY and not properties.get(name, {}).get("secret")
    }
    key = json.dumps([tap, *select, shaping], sort_keys=True, default=str)
    if key not in _catalogs:
        with _quiet(), _own_signals():
            whole = found(config=dict(shaping), validate_config=False).catalog_dict
        _select(whole, select)
        _catalogs[key] = json.dumps(whole).encode()
    return _catalogs[key]


@contextlib.contextmanager
def _own_log() -> Iterator[None]:
    """Have plugins leave the log as it is: each sets it up as it is loaded, and all would be said by each."""
    handlers, level = logging.root.handlers[:], logging.root.level
    try:
        yield
    finally:
        logging.root.handlers[:] = handlers
        logging.root.setLevel(level)


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Have plugins leave the handlers of signals as they are: each sets its own as it is made, and would end us."""
    numbers = {signal.SIGINT, signal.SIGTERM}
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    handlers = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    logging.disable(logging.WARNING)
    try:
        with _own_log():
            yield
    finally:
        logging.disable(logging.NOTSET)


def _select(catalog: dict[str, Any], patterns: Sequence[str]) -> None:
    """Select by patterns such as `invoices.*` and `!purchase_orders.lineItems`; what none names is left out."""
    wanted = [pattern for pattern in patterns if not pattern.startswith("!")]
    unwanted = [pattern[1:] for pattern in patterns if pattern.startswith("!")]

    def is_selected(name: str) -> bool:
        return any(fnmatchcase(name, one) for one in wanted) and not any(fnmatchcase(name, one) for one in unwanted)

    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            fields = [part for part in entry["breadcrumb"] if part not in {"properties", "items"}]
            if fields:
                entry["metadata"]["selected"] = is_selected(".".join((stream["tap_stream_id"], *fields)))
            else:
                stream_patterns = [one.partition(".")[0] for one in wanted]
                entry["metadata"]["selected"] = any(
                    fnmatchcase(stream["tap_stream_id"], one) for one in stream_patterns
                )
