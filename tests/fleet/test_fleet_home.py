"""A path that begins with ~ means the same file to the fleet and to everything that asks the warehouse."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.fleet.conftest import Fleet


@pytest.mark.long
def test_the_home_in_a_path(fleet: Fleet) -> None:
    home = fleet.folder / "home"
    home.mkdir()
    env = {**os.environ, "HOME": str(home), "WHERE": "~/data"}
    (home / "clients.csv").write_text("id\nc1\nc2\n", encoding="utf-8")
    tap = {
        "api_url": fleet.sandbox.vicai_url,
        "client_id": {"file": "~/{company}.id"},
        "client_secret": {"file": "~/{company}"},
    }
    common: dict[str, Any] = {"pipelines": ["vic-to-warehouse"], "settings": {"tap-vicai": tap}}
    for number in (1, 2):
        for name, key in (("client_id", f"c{number}.id"), ("client_secret", f"c{number}")):
            (home / key).write_text(fleet.credentials(number)[name], encoding="utf-8")
            (home / key).chmod(0o600)
    top: dict[str, Any] = {"warehouse": "${WHERE}/w.duckdb", "folder": "~/out", "defaults": common}
    fleet.path.write_text(json.dumps({**top, "companies": {"csv": "~/clients.csv"}}), encoding="utf-8")

    assert fleet.ask("check", env=env).count("is not there yet") == 2
    first = fleet.run(env=env)
    assert all(one["written"] == one["read"] > 0 for one in first.values())
    # The STATE was found, so little is read again.
    again = fleet.run(env=env)
    assert all(0 == one["written"] <= one["read"] < first[id_]["read"] for id_, one in again.items())
    assert fleet.ask("check", env=env).count("the schema vicai of") == 2

    ran = (
        ("ap_connectors.fleet.tie_out", "--only=c1", f"--companies={fleet.path}"),
        ("target_warehouse.ask", "SELECT count(DISTINCT company) FROM vicai.vendors", "--database=~/data/w.duckdb"),
        ("target_warehouse.views.command", "list", "--database=~/data/w.duckdb"),
    )
    for module, *arguments in ran:
        code = f"import sys; from {module} import main; sys.exit(main())"
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], env=env, cwd=fleet.folder, capture_output=True, check=False
        )
        assert done.returncode == 0, (module, done)
    assert "rows of vicai.vendors" in fleet.ask("remove", "c1", "--rows", env=env)
    assert sorted(path.name for path in home.iterdir() if path.is_dir()) == ["data", "out"]
    assert not (fleet.folder / "~").exists()
    listed = {"query": {"database": "~/data/w.duckdb", "sql": "SELECT DISTINCT company AS id FROM vicai._state"}}
    fleet.path.write_text(json.dumps({**top, "companies": listed}), encoding="utf-8")
    assert len(fleet.ask("status", env=env).splitlines()) == 3
