"""Every command that sends credentials: over https, or to this machine; and settings that others may read are told."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests import preloaded
from tests.campaign import one_in

VICAI = {"client_id": "me", "client_secret": "geheim-geheim"}
IVESK = {"api_key": "geheim-geheim"}


@one_in(3)
@pytest.mark.parametrize(
    ("module", "arguments", "given"),
    [
        ("tap_ivesk", ("--test",), IVESK),
        ("tap_vicai", ("--test",), VICAI),
        ("target_ivesk", (), IVESK),
        ("target_vicai", (), VICAI),
        ("ap_connectors.tieout", ("ivesk-warehouse", "--warehouse", "a.duckdb"), IVESK),
        ("ap_connectors.tieout", ("vic-warehouse", "--warehouse", "a.duckdb"), VICAI),
    ],
)
def test_http_to_another_machine_is_refused(
    module: str, arguments: tuple[str, ...], given: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if module.endswith("tieout"):
        duckdb = pytest.importorskip("duckdb")
        duckdb.connect("a.duckdb").execute("create schema ivesk; create schema vicai").close()
    config = tmp_path / "config.json"
    config.write_text(json.dumps({**given, "api_url": "http://api.example.com/v0"}), encoding="utf-8")
    config.chmod(0o644)
    done = preloaded.run([sys.executable, "-m", module, *arguments, "--config", str(config)], input=b"")
    said = done.stderr.decode()
    assert done.returncode == (2 if module.endswith("tieout") else 1), said
    assert "api_url: begins with http, so that everyone between here and api.example.com could read" in said
    assert f"config.json: holds secrets, and every user of this machine may read it. Run: chmod 600 {config}" in said
    assert "geheim" not in said
