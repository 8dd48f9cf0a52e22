"""What is written about the commands is what they say of themselves, and links lead somewhere."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from plugins import definitions
from target_vicai.streams import ALL
from tests import preloaded
from tests.campaign import one_in
from tests.conftest import PLUGINS, discovered

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
REQUIRED: dict[str, set[str]] = {
    "tap_ivesk": {"api_key"},
    "tap_vicai": {"client_id", "client_secret"},
    "tap_saft": {"path"},
    "tap_rejects": set(),
    "tap_webhooks": {"inbox"},
    "target_vicai": {"client_id", "client_secret"},
    "target_ivesk": {"api_key"},
    "target_warehouse": {"database"},
    "mapper_ivesk_vicai": {"company_code"},
}
SECRET = {
    "tap_ivesk": {"api_key"},
    "tap_vicai": {"client_secret"},
    "target_vicai": {"client_secret"},
    "target_ivesk": {"api_key"},
    # It may be a URL with a password.
    "tap_webhooks": {"inbox", "vicai_client_secret"},
    "target_warehouse": {"database"},
}


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = YAML(typ="safe").load(path)
    return content


def about(command: str) -> dict[str, Any]:
    printed = preloaded.run([sys.executable, "-m", command, "--about", "--format=json"])
    assert printed.returncode == 0, printed.stderr.decode()[-2000:]
    result: dict[str, Any] = json.loads(printed.stdout)
    return result


def table(marker: str) -> dict[str, list[str]]:
    """The rows of the one table with this marker, by what is in their first cells."""
    found = [
        rows
        for path in PAGES
        for rows in re.findall(rf"<!-- {marker} -->\n(.*?)<!-- end -->", path.read_text(encoding="utf-8"), re.DOTALL)
    ]
    assert len(found) == 1, f"{marker}: in {len(found)} places"
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in found[0].splitlines()[2:]]
    return {row[0].strip("`"): row for row in rows}


def as_written(default: Any) -> str:
    """A setting's default as the pages write it: text bare, the rest as JSON."""
    if default in (None, []):
        return ""
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


# What is made of the code


def test_what_is_made_of_the_code_is_fresh() -> None:
    stale = [str(path.relative_to(ROOT)) for path in definitions.stale()]
    assert not stale, "run `make definitions`"


@one_in(3)
@pytest.mark.parametrize("command", PLUGINS)
def test_about_and_what_is_written_agree(command: str) -> None:
    name, said = command.replace("_", "-"), about(command)
    settings = {
        key: setting
        for key, setting in said["settings"]["properties"].items()
        if not re.match("stream_map|faker|flattening", key)
    }
    assert {key for key, setting in settings.items() if setting.get("secret")} == SECRET.get(command, set())

    plugins = [plugin for kind in read(ROOT / "meltano.yml")["plugins"].values() for plugin in kind]
    for_us = next(plugin for plugin in plugins if plugin["name"] == name)
    for known in (for_us, read(ROOT / f"plugins/{name}.yml")):
        assert set(known["capabilities"]) == set(said["capabilities"])
        assert [one["name"] for one in known["settings"]] == list(settings)
        for one in known["settings"]:
            setting = settings[one["name"]]
            assert one["description"].startswith(setting["description"])
            assert one.get("sensitive", False) == setting.get("secret", False)
            assert one.get("value", []) == (setting.get("default") if setting.get("default") is not None else [])

    written = table(f"settings: {name}")
    assert list(written) == list(settings)
    for key, (_, default, description) in written.items():
        assert description.startswith(settings[key]["description"])
        assert default == ("required" if key in REQUIRED[command] else as_written(settings[key].get("default")))


@pytest.mark.parametrize("command", ["tap_ivesk", "tap_vicai"])
def test_pages_and_discovery_agree_on_streams(command: str) -> None:
    streams = {stream["tap_stream_id"]: stream for stream in json.loads(discovered(command))["streams"]}
    written = table(f"streams: {command.replace('_', '-')}")
    assert set(written) == set(streams)
    for name, stream in streams.items():
        _, keys, bookmark, selected, words = written[name]
        assert re.findall(r"`(\w+)`", keys) == stream["key_properties"]
        if "replication_key" in stream:
            assert bookmark == f"`{stream['replication_key']}`"
        (root,) = [entry["metadata"] for entry in stream["metadata"] if not entry["breadcrumb"]]
        assert root["selected-by-default"] == (selected == "yes")
        assert words
    assert written["document_files" if command == "tap_ivesk" else "invoice_documents"][3] == (
        "when `documents_dir` is set"
    )


@pytest.mark.parametrize("path", sorted((ROOT / "plugins").glob("*.yml")), ids=lambda path: path.stem)
def test_no_setting_has_a_kind_that_meltano_spoils(path: Path) -> None:
    # A date's `01.02.2026` would become the 2nd of January, and a decimal from the environment a traceback.
    assert not {setting["kind"] for setting in read(path)["settings"]} & {"date_iso8601", "decimal"}


def test_a_marker_without_its_table_is_filled() -> None:
    page = "before\n<!-- settings: tap-rejects -->\nstale\n<!-- end -->\nafter\n"
    made = definitions.page(page)
    assert made.startswith("before\n<!-- settings: tap-rejects -->\n| setting |"), made
    assert made.endswith("|\n<!-- end -->\nafter\n")
    assert "stale" not in made
    assert definitions.page(made) == made


# What is written by hand


def test_a_page_for_every_command() -> None:
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for command in metadata.distribution("ap-connectors").entry_points:
        (row,) = [line for line in readme.splitlines() if line.startswith(f"| `{command.name}`")]
        (page,) = re.findall(r"\]\(docs/([^)#]+)", row)
        assert (ROOT / "docs" / page).exists()
        assert f"({page})" in index, f"{page} is not in docs/README.md"


def test_the_site_has_every_page_in_its_contents() -> None:
    listed = re.findall(r'"([\w/-]+\.md)"', (ROOT / "zensical.toml").read_text(encoding="utf-8"))
    pages = [str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")]
    wrong = sorted({*listed} ^ {*pages})
    assert not wrong, f"In `nav` of zensical.toml, or in docs/, but not in both: {wrong}"
    assert len(listed) == len(pages), "a page is listed twice"


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 200


def test_every_stream_that_can_be_loaded_has_a_page() -> None:
    page = (ROOT / "docs/target-vicai/README.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| \[`(\w+)`\]\(\1\.md\)", page, re.MULTILINE) == [sink.name for sink in ALL]
    for sink in ALL:
        assert (ROOT / f"docs/target-vicai/{sink.name}.md").exists()


def anchor(heading: str) -> str:
    """What a heading is called in a link."""
    plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match("https?:", target):
            continue
        where, _, part = target.partition("#")
        path = (page.parent / where).resolve() if where else page
        assert path.exists(), target
        # A site is built of docs/ alone.
        assert path.is_relative_to(ROOT / "docs") or ROOT / "docs" not in page.parents, target
        if part:
            headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            assert part in {anchor(heading) for heading in headings}, target


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_paths_of_code_exist(page: Path) -> None:
    if page.name in {"CHANGELOG.md", "upgrade.md"}:
        return  # They name what was.
    text = page.read_text(encoding="utf-8")
    for path in re.findall(
        r"`((?:ap_connectors|tap_\w+|target_\w+|mapper_\w+|tests|demo|benchmarks)/[\w./-]+\.\w+)`", text
    ):
        if path.rpartition(".")[2] not in {"py", "json", "csv", "yml", "yaml", "md"}:
            continue
        assert (ROOT / path).exists(), path


def test_versions_agree() -> None:
    version = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version
    printed = subprocess.run([sys.executable, "-m", "tap_ivesk", "--version"], capture_output=True, encoding="utf-8")
    assert printed.stdout.startswith(f"tap-ivesk v{version[1]},")


def said_in_code() -> str:
    """All text constants of the product, one after another."""
    found = []
    for package in ("ap_connectors", *PLUGINS):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.append(node.value)
                elif isinstance(node, ast.JoinedStr):
                    parts = (part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
                    found.append("".join(map(str, parts)))
    return "\n".join(found)


def test_messages_that_are_explained_exist() -> None:
    page = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
    messages = re.findall(r"^\| `([^`]+)`", page, re.MULTILINE)
    assert len(messages) > 20
    said = said_in_code()
    assert [message for message in messages if message not in said] == []
