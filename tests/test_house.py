"""The house stands: imports go down only."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

from tests.conftest import PLUGINS

ROOT = Path(__file__).parent.parent
SHARED = ROOT / "ap_connectors"
# Rooms of one floor do not know each other, but for those that `NEIGHBOURS` names.
FLOORS = {
    "core": 1,
    "http": 2,
    "ivesk": 3,
    "vicai": 3,
    "singer": 3,
    "fleet": 4,
    "sandbox": 4,
    "tieout": 4,
    "webhooks": 4,
    **dict.fromkeys(PLUGINS, 4),
}
NEIGHBOURS = {
    # The inbox is what tap-webhooks reads, as the clients are what the other taps read.
    "tap_webhooks": {"webhooks"},
}
KNOWN_TO_THE_SANDBOX = (
    *("core.cli", "core.errors", "core.exact", "core.manners", "core.pages", "core.progress"),
    "vicai.contract",
)
NO_HTTP = {"requests", "urllib3"}


def folder(room: str) -> Path:
    return ROOT / room if room in PLUGINS else SHARED / room


@functools.cache
def imports(room: str) -> frozenset[str]:
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
    return frozenset(found - {room})


def test_every_room_has_a_floor() -> None:
    assert {path.name for path in SHARED.iterdir() if (path / "__init__.py").exists()} == FLOORS.keys() - set(PLUGINS)


@pytest.mark.parametrize("room", FLOORS)
def test_imports_go_down_only(room: str) -> None:
    known = NEIGHBOURS.get(room, set())
    assert all(FLOORS[other] < FLOORS[room] for other in imports(room) & FLOORS.keys() - known)


def test_core_knows_neither_http_nor_the_sdk() -> None:
    assert not imports("core") & {"singer_sdk", *NO_HTTP}


@pytest.mark.parametrize("room", ["http", "ivesk", "vicai", "fleet", "sandbox", "tieout", "webhooks"])
def test_the_sdk_is_for_plugins_and_their_base(room: str) -> None:
    assert "singer_sdk" not in imports(room)


def test_a_database_does_without_the_drivers_of_others() -> None:
    drivers = {"duckdb", "pyarrow", "psycopg", "target_warehouse.duckdb", "target_warehouse.postgres"}
    for path in folder("target_warehouse").rglob("*.py"):
        if path.stem not in ("duckdb", "postgres"):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                named = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                named += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                assert not drivers & set(named), f"{path}: import it where it is needed, so that a load begins sooner"


def test_all_connect_to_postgresql_at_one_place() -> None:
    """Which notices that a server has gone without a word."""
    own = re.compile(r"psycopg\.(Async)?(Connection\.)?connect\(")
    known = [path for room in FLOORS for path in folder(room).rglob("*.py") if own.search(path.read_text("utf-8"))]
    assert known == [folder("core") / "postgresql.py"]


def test_the_sandbox_stands_alone() -> None:
    assert imports("sandbox") & FLOORS.keys() <= {"core", "vicai"}
    # The frame of commands and pages, sums; and of the client the contract, which is data: no code that it tests.
    known = {f"ap_connectors.{name}" for name in KNOWN_TO_THE_SANDBOX}
    for path in folder("sandbox").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and re.match(r"ap_connectors\.(core|vicai)\b", node.module or ""):
                assert node.module in known or {f"{node.module}.{one.name}" for one in node.names} <= known, path
