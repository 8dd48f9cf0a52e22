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
FLOORS = {"ap_http": 1, "ivesk": 2, "vicai": 2, "ap_singer": 3, **dict.fromkeys(PLUGINS, 4)}
# Packages of one floor do not know each other, and these are known to nobody but tests, demo and benchmarks.
BESIDE = {"ap_sandbox", "ap_tieout", "ap_webhooks"}


def imports(package: str) -> set[str]:
    """Top-level names that a package imports, wherever in its files."""
    found: set[str] = set()
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("package", FLOORS)
def test_imports_go_down_only(package: str) -> None:
    # The inbox is what tap-webhooks reads, as the clients are what the other taps read.
    known = {"ap_webhooks"} if package == "tap_webhooks" else set()
    others = imports(package) & (FLOORS.keys() | BESIDE) - {package} - known
    assert all(other in FLOORS and FLOORS[other] < FLOORS[package] for other in others), others


@pytest.mark.parametrize("package", ["ap_http", "ivesk", "vicai", *sorted(BESIDE)])
def test_the_ground_knows_no_singer(package: str) -> None:
    assert "singer_sdk" not in imports(package)


def test_the_base_never_knows_a_client() -> None:
    assert not imports("ap_singer") & {"ivesk", "vicai"}


@pytest.mark.parametrize("package", sorted(BESIDE - {"ap_sandbox"}))
def test_what_stands_beside_uses_the_ground_only(package: str) -> None:
    assert imports(package) & (FLOORS.keys() | BESIDE) - {package} <= {"ap_http", "ivesk", "vicai"}


def test_the_sandbox_stands_alone() -> None:
    assert imports("ap_sandbox") & FLOORS.keys() <= {"vicai"}
    # Of the client it knows the contract, which is data, and none of the code that it is to put to the test.
    for path in (ROOT / "ap_sandbox").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "vicai":
                names = {alias.name for alias in node.names}
                assert node.module == "vicai.contract" or names == {"contract"}, path


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
