"""The house stands: imports go down only, and what is written about the commands is what they say of themselves."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from target_vicai.streams import ALL
from tests.conftest import PLUGINS, discovered

ROOT = Path(__file__).parent.parent
SHARED = ROOT / "ap_connectors"
# Rooms of one floor do not know each other, but for those that `NEIGHBOURS` names.
FLOORS = {
    "core": 1,
    "http": 2,
    "ivesk": 3,
    "vicai": 3,
    "singer": 3,
    "sandbox": 4,
    "tieout": 4,
    "webhooks": 4,
    **dict.fromkeys(PLUGINS, 4),
}
NEIGHBOURS = {
    # The inbox is what tap-webhooks reads, as the clients are what the other taps read.
    "tap_webhooks": {"webhooks"},
}
NO_HTTP = {"requests", "urllib3"}


def folder(room: str) -> Path:
    return ROOT / room if room in PLUGINS else SHARED / room


def imports(room: str) -> set[str]:
    """What a room imports, wherever in its files: rooms of the house by their names, the rest by the top-level name."""
    found: set[str] = set()
    for path in folder(room).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules: list[str] = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module == "ap_connectors":
                modules = [f"ap_connectors.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: a relative import hides which room is meant"
                assert node.module
                modules = [node.module]
            for module in modules:
                first, _, rest = module.partition(".")
                found.add(rest.partition(".")[0] if first == "ap_connectors" else first)
    return found - {room}


def test_every_room_has_a_floor() -> None:
    assert {path.name for path in SHARED.iterdir() if (path / "__init__.py").exists()} == FLOORS.keys() - set(PLUGINS)


@pytest.mark.parametrize("room", FLOORS)
def test_imports_go_down_only(room: str) -> None:
    known = NEIGHBOURS.get(room, set())
    assert all(FLOORS[other] < FLOORS[room] for other in imports(room) & FLOORS.keys() - known)


def test_core_knows_neither_http_nor_the_sdk() -> None:
    assert not imports("core") & {"singer_sdk", *NO_HTTP}


@pytest.mark.parametrize("room", ["http", "ivesk", "vicai", "sandbox", "tieout", "webhooks"])
def test_the_sdk_is_for_plugins_and_their_base(room: str) -> None:
    assert "singer_sdk" not in imports(room)


def test_the_sandbox_stands_alone() -> None:
    assert imports("sandbox") & FLOORS.keys() <= {"core", "vicai"}
    # The frame of a command, sums; and of the client the contract, which is data: none of the code that it tests.
    known = {f"ap_connectors.{name}" for name in ("core.cli", "core.errors", "core.exact", "vicai.contract")}
    for path in folder("sandbox").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and re.match(r"ap_connectors\.(core|vicai)\b", node.module or ""):
                assert node.module in known or {f"{node.module}.{one.name}" for one in node.names} <= known, path


def about(command: str) -> dict[str, Any]:
    printed = subprocess.run(
        [sys.executable, "-m", command, "--about", "--format=json"], capture_output=True, encoding="utf-8", check=True
    )
    result: dict[str, Any] = json.loads(printed.stdout)
    return result


def table(heading: str, page: str = "README.md") -> list[list[str]]:
    """The cells of the first table after a heading of a page, without its head."""
    text = (ROOT / page).read_text(encoding="utf-8").partition(f"\n{heading}\n")[2]
    assert text, f"{page} has no {heading!r}"
    rows = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert rows
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[0].splitlines()[2:]]


REQUIRED: dict[str, set[str]] = {
    "tap_ivesk": {"api_key"},
    "tap_vicai": {"client_id", "client_secret"},
    "tap_saft": {"path"},
    "tap_rejects": set(),
    "tap_webhooks": {"inbox"},
    "target_vicai": {"client_id", "client_secret"},
    "target_ivesk": {"api_key"},
    "mapper_ivesk_vicai": {"company_code"},
}
SECRET = {
    "tap_ivesk": {"api_key"},
    "tap_vicai": {"client_secret"},
    "target_vicai": {"client_secret"},
    "target_ivesk": {"api_key"},
    # It may be a URL with a password.
    "tap_webhooks": {"inbox"},
}
# The README has the settings of the two services' first three; of the others it names the page.
PAGES = {
    "tap_saft": "docs/tap-saft.md",
    "tap_rejects": "docs/errors-to-ivesk.md",
    "tap_webhooks": "docs/webhooks.md",
    "target_ivesk": "docs/target-ivesk.md",
    "mapper_ivesk_vicai": "docs/mapper-ivesk-vicai.md",
}


def as_written(default: Any) -> str:
    """A setting's default as the README writes it: text bare, the rest as JSON."""
    if default in (None, []):
        return ""
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


@pytest.mark.parametrize("command", PLUGINS)
def test_documents_and_about_agree_on_settings(command: str) -> None:
    settings = about(command)["settings"]["properties"]
    ours = {name: setting for name, setting in settings.items() if not re.match("stream_map|faker|flattening", name)}
    page = PAGES.get(command)
    of_command = f"### Settings of {command.replace('_', '-')}"
    # A page that is about more than one command has a table for each.
    rows = table(of_command if page in {None, "docs/webhooks.md"} else "## Settings", page or "README.md")
    assert not page or f"({page})" in (ROOT / "README.md").read_text(encoding="utf-8")
    written = {row[0].strip("`"): row for row in rows}
    assert list(written) == list(ours)
    for name, setting in ours.items():
        _, default, description = written[name]
        assert description == setting["description"]
        assert default == ("required" if name in REQUIRED[command] else as_written(setting.get("default")))
        assert setting.get("secret", False) == (name in SECRET.get(command, ()))


@pytest.mark.parametrize("command", ["tap_ivesk", "tap_vicai"])
def test_readme_and_discovery_agree_on_streams(command: str) -> None:
    streams = {stream["tap_stream_id"]: stream for stream in json.loads(discovered(command))["streams"]}
    written = {row[0].strip("`"): row for row in table(f"### Streams of {command.replace('_', '-')}")}
    assert set(written) == set(streams)
    for name, stream in streams.items():
        assert re.findall(r"`(\w+)`", written[name][1]) == stream["key_properties"]
        assert re.findall(r"`(\w+)`", written[name][2]) == [
            stream[key] for key in ("replication_key",) if key in stream
        ]
        (root,) = [entry["metadata"] for entry in stream["metadata"] if not entry["breadcrumb"]]
        assert root["selected-by-default"] == written[name][3].startswith("yes")


def test_readme_names_every_stream_that_can_be_loaded() -> None:
    written = {re.findall(r"`(\w+)`", row[0])[0]: row[0] for row in table("### Streams of target-vicai")}
    assert list(written) == [loader.name for loader in ALL]
    for name, cell in written.items():
        assert f"(docs/target-vicai/{name}.md)" in cell
        assert (ROOT / f"docs/target-vicai/{name}.md").exists()


def test_versions_agree() -> None:
    version = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version
    printed = subprocess.run([sys.executable, "-m", "tap_ivesk", "--version"], capture_output=True, encoding="utf-8")
    assert printed.stdout.startswith(f"tap-ivesk v{version[1]},")
