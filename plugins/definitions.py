"""Write down elsewhere what the plugins say of themselves: `make definitions`.

A setting, a stream and a capability are typed once, in the plugin's code. Made from it are

- tables in the pages, between `<!-- settings: tap-vicai -->` (`streams: tap-vicai`, `options: vicai`, `codes: rejects`)
  and `<!-- end -->`;
- `description`, `capabilities` and `settings` of our plugins in `meltano.yml`, and `select` of those that are in a
  pipeline of `ap-fleet`; its rest is written by hand;
- `plugins/NAME.yml` for other projects: the plugin's entry in `meltano.yml` in the form that `meltano add` takes.

`tests/test_docs.py` fails while one of them is stale.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
import yaml

from ap_connectors.core.reject_codes import CODES
from ap_connectors.fleet import pipelines
from ap_connectors.sandbox.options import Options, VicaiOptions, described
from ap_connectors.webhooks.config_file import Seconds, Truth
from ap_connectors.webhooks.rules import Rule
from ap_connectors.webhooks.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
PLUGIN_TYPES = {"extractors": "extractor", "loaders": "loader", "mappers": "mapper"}
"""The word for each list of plugins in `meltano.yml`, as `meltano add --plugin-type` takes it."""

_OF_THE_SDK = re.compile("stream_map|faker_config|flattening_")
_TABLE = re.compile(r"(<!-- (settings|streams|options|codes): ([\w -]+?) -->\n).*?(<!-- end -->)", re.DOTALL)
# Meltano reads `01.02.2026` as the 2nd of January where a setting is a date, and fails with a traceback where a
# decimal comes from the environment. Text reaches the plugin as it was typed.
_KINDS = {"number": "string"}
_NOT_ADDED = ("package_name", "log_parser", "select", "load_schema", "mappings", "config")
"""Members of a definition file that `meltano add` of Meltano 4.4 leaves out."""
_OPTIONS: Mapping[str, tuple[str, type[msgspec.Struct]]] = {
    "ivesk": ("--", Options),
    "vicai": ("--vicai-", VicaiOptions),
}
_STRUCTS: Mapping[str, type[msgspec.Struct]] = {"ap-webhooks": Settings, "rules of ap-webhooks": Rule}
_HEAD = """\
# Made by `make definitions` from meltano.yml: do not edit. In another project:
#
#   meltano add --plugin-type {type} {name} --from-ref path/to/plugins/{name}.yml
#
# It has no `variant`: with one, Meltano would look for the plugin at its Hub.
"""
_SOURCE = """\
# AP_CONNECTORS (in the environment, or in the project's .env) says where to install from: the path of a checkout, or
# git+https://YOUR.GIT/ap-connectors.
"""


# What the plugins say


def load(command: str) -> Any:
    """Return what a command runs: the plugin's class, or the function."""
    (entry,) = metadata.distribution("ap-connectors").entry_points.select(name=command)
    return getattr(importlib.import_module(entry.module), entry.attr.partition(".")[0])


def ours() -> list[str]:
    """Return the names of our plugins."""
    names = (entry.name for entry in metadata.distribution("ap-connectors").entry_points)
    return sorted(name for name in names if name.startswith(("tap-", "target-", "mapper-")))


def settings(command: str) -> dict[str, dict[str, Any]]:
    """Return the JSON Schemas of a plugin's own settings by name; each also says whether it is `required`."""
    schema = load(command).config_jsonschema
    return {
        name: {**setting, "required": name in schema.get("required", ()), "description": _with_choices(setting)}
        for name, setting in schema["properties"].items()
        if not _OF_THE_SDK.match(name)
    }


def _with_choices(setting: Mapping[str, Any]) -> str:
    """Return a setting's description, with the values that it may have unless the words name them already."""
    words: str = setting["description"]
    choices = [str(one) for one in setting.get("enum") or setting.get("items", {}).get("enum", ()) if one is not None]
    if all(re.search(rf"\b{choice}\b", words) for choice in choices):
        return words
    return f"{words} {'One of' if 'enum' in setting else 'Any of'}: {', '.join(choices)}."


def definition(command: str) -> dict[str, Any]:
    """Return what `meltano.yml` holds of a plugin's own words."""
    plugin = load(command)
    return {
        "description": _first_line(plugin),
        "capabilities": sorted(str(one.value) for one in plugin.capabilities),
        "settings": [_setting(name, schema) for name, schema in settings(command).items()],
    }


def _setting(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    kind = next(one for one in schema["type"] if one != "null")
    found = {"name": name, "kind": _KINDS.get(kind, kind)}
    if schema.get("default") not in (None, []):
        found["value"] = schema["default"]
    found |= {"label": schema["title"], "description": schema["description"]}
    return found | ({"sensitive": True} if schema.get("secret") else {})


def _first_line(plugin: type) -> str:
    return (plugin.__doc__ or "").partition("\n")[0]


# Tables in pages


def _settings_table(command: str) -> Iterator[str]:
    if command in _STRUCTS:
        yield from _struct_table(_STRUCTS[command])
        return
    yield from ("| setting | default | what it does |", "|---|---|---|")
    for name, schema in settings(command).items():
        default = "required" if schema["required"] else _as_code(schema.get("default"))
        yield f"| `{name}` | {default} | {schema['description']} |"


def _struct_table(struct: type[msgspec.Struct]) -> Iterator[str]:
    """Yield the rows of a struct's fields, as the "Args" of its docstring describe them."""
    described = textwrap.dedent((struct.__doc__ or "").partition("    Args:\n")[2].partition("\n\n")[0])
    words = dict(re.findall(r"^(\w+): (.*(?:\n .*)*)", described, re.MULTILINE))
    yield from ("| setting | default | what it does |", "|---|---|---|")
    for field in msgspec.structs.fields(struct):
        text = " ".join(words[field.name].split())
        yield f"| `{field.name}` | {_as_code(_shown(field.default))} | {text[0].upper()}{text[1:]} |"


def _shown(default: Any) -> Any:
    """Return a default as the settings file would have it; None without a default."""
    if isinstance(default, Seconds):
        unit, size = next(((u, n) for u, n in (("h", 3600), ("m", 60)) if default % n == 0), ("s", 1))
        return f"{default / size:g}{unit}" if default >= 0 else None
    if isinstance(default, Truth):
        return bool(default)
    if isinstance(default, Path):
        return str(default) if default.parts else None
    return default or None


def _streams_table(command: str) -> Iterator[str]:
    yield from ("| stream | key | bookmark | selected | what it holds |", "|---|---|---|---|---|")
    for stream in load(command)(config={}, validate_config=False).discover_streams():
        keys = ", ".join(f"`{key}`" for key in stream.primary_keys) or "none"
        bookmark = f"`{stream.replication_key}`" if stream.replication_key else ""
        if stream.parent_stream_type:
            bookmark = f"that of `{stream.parent_stream_type.name}`"
        words = re.sub(r" \([^()]+\)(?=[.;])", "", _first_line(type(stream)))
        yield f"| `{stream.name}` | {keys} | {bookmark} | {_selected(command, stream.name)} | {words} |"


def _selected(command: str, stream: str) -> str:
    """Say whether a stream is selected by default; or by which setting, tried with its example."""
    examples = {name: schema["examples"][0] for name, schema in settings(command).items() if "examples" in schema}
    for name in (None, *examples):
        config = {name: examples[name]} if name else {}
        if load(command)(config=config, validate_config=False).streams[stream].selected:
            return f"when `{name}` is set" if name else "yes"
    return "no"


def _options_table(service: str) -> Iterator[str]:
    prefix, options = _OPTIONS[service]
    yield from ("| option | default | what it does |", "|---|---|---|")
    for name, kind, default, words in described(options):
        choices = " · ".join(f"`{choice}`" for choice in getattr(kind, "__args__", ()))
        yield f"| `{prefix}{name.replace('_', '-')}` | {_as_code(default)} | {words} {choices}".rstrip() + " |"


def _codes_table(_: str) -> Iterator[str]:
    yield from ("| code | meaning, and parameters |", "|---|---|")
    yield from (f"| `{code}` | {words} |" for code, words in CODES.items())


def _as_code(default: Any) -> str:
    if default in (None, []):
        return ""
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


_TABLES: Mapping[str, Callable[[str], Iterator[str]]] = {
    "settings": _settings_table,
    "streams": _streams_table,
    "options": _options_table,
    "codes": _codes_table,
}


def page(text: str) -> str:
    """Return a page with its tables as they should be."""
    return _TABLE.sub(lambda found: "\n".join((found[1] + "\n".join(_TABLES[found[2]](found[3])), found[4])), text)


# Meltano's files


def _entry(meltano: str, name: str) -> str:
    """Return a plugin's entry in `meltano.yml`."""
    found = re.search(rf"^  - name: {name}\n(?:    .*\n|\n)*", meltano, re.MULTILINE)
    if not found:
        raise SystemExit(f"meltano.yml has no {name}: add its name, namespace, label, pip_url and executable.")
    return found[0]


def _replaced(entry: str, member: str, text: str) -> str:
    """Return such an entry with one of its members replaced by a text."""
    return re.sub(rf"^    {member}:.*\n(?:    (?:- |  ).*\n)*", lambda _: text, entry, flags=re.MULTILINE)


def project(meltano: str) -> str:
    """Return `meltano.yml` with our plugins' own words as they should be; they stand behind `executable`."""
    for name in ours():
        known = entry = _entry(meltano, name)
        words = definition(name)
        for member in words:
            entry = _replaced(entry, member, "")
        lines = textwrap.indent(yaml.safe_dump(words, sort_keys=False, allow_unicode=True, width=110), "    ")
        head, executable, rest = entry.partition(f"    executable: {name}\n")
        meltano = meltano.replace(known, head + executable + lines + rest)
    for pipeline in pipelines.ALL:
        known = _entry(meltano, pipeline.variant or pipeline.tap)
        select = yaml.safe_dump({"select": list(pipeline.select)})
        meltano = meltano.replace(known, _replaced(known, "select", textwrap.indent(select, "    ")))
    return meltano


def for_others(meltano: str) -> dict[str, str]:
    """Return the definition files by name, made of `meltano.yml`."""
    return {
        f"{plugin['name']}.yml": _for_others(PLUGIN_TYPES[kind], plugin, _entry(meltano, plugin["name"]))
        for kind, plugins in yaml.safe_load(meltano)["plugins"].items()
        for plugin in plugins
        if "inherit_from" not in plugin
    }


def _for_others(kind: str, plugin: Mapping[str, Any], entry: str) -> str:
    head = _HEAD.format(type=kind, name=plugin["name"])
    if plugin["name"] in ours():
        head += _SOURCE
        entry = entry.replace("pip_url: -e ${MELTANO_PROJECT_ROOT}", "pip_url: ${AP_CONNECTORS}")
    if by_hand := [name for name in _NOT_ADDED if name in plugin]:
        head += f"# Copy by hand what Meltano 4.4 leaves out: {', '.join(by_hand)}.\n"
    return head + textwrap.dedent(entry.replace("  - name:", "    name:", 1)).rstrip("\n") + "\n"


# All of it


def wanted() -> dict[Path, str]:
    """Return what the files should hold."""
    meltano = project((ROOT / "meltano.yml").read_text(encoding="utf-8"))
    files = {ROOT / "meltano.yml": meltano}
    files |= {ROOT / "plugins" / name: text for name, text in for_others(meltano).items()}
    pages = (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"))
    return files | {path: page(path.read_text(encoding="utf-8")) for path in sorted(pages)}


def stale() -> dict[Path, str]:
    """Return what the files should hold and do not."""
    return {
        path: text for path, text in wanted().items() if not path.exists() or path.read_text(encoding="utf-8") != text
    }


def main() -> int:
    """Write what is stale, or with `--check` only name it; return the exit status."""
    check, found = "--check" in sys.argv[1:], stale()
    for path, text in found.items():
        if not check:
            path.write_text(text, encoding="utf-8")
        print(f"{path.relative_to(ROOT)}{' is stale: make definitions' if check else ''}")  # noqa: T201
    return int(check and bool(found))


if __name__ == "__main__":
    sys.exit(main())
