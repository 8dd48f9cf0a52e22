"""Records a warehouse as the jobs of 0.1.0 left it: `python record_warehouse.py TARGET_DUCKDB FOLDER`, run once.

TARGET_DUCKDB is the command of target-duckdb 0.8.0, in an environment of its own with DuckDB 1.2. Of each table the
first rows are kept, as SQL that every DuckDB takes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from ap_connectors.sandbox.process import SandboxProcess
from tests.upgrade import record

STREAMS = ("company", "vat_codes", "vendors", "invoices", "purchase_order_line_items")
LOADER = {
    "default_target_schema": "vicai",
    "flush_all_streams": True,
    "add_metadata_columns": True,
    "primary_key_required": False,
}
"""The loader's settings in the meltano.yml of 0.1.0; its catalog declared numbers as text, as `decimals` does."""
_ROWS = 4
_DUMP = """
import duckdb, sys
c = duckdb.connect(sys.argv[1])
print("CREATE SCHEMA vicai;")
for (made, table) in c.execute(
    "SELECT sql, table_name FROM duckdb_tables() WHERE schema_name = 'vicai' ORDER BY 2"
).fetchall():
    print(made)
    for row in c.execute(f"SELECT COLUMNS(*)::VARCHAR FROM vicai.{table} ORDER BY 1 LIMIT " + sys.argv[2]).fetchall():
        values = ", ".join("NULL" if v is None else "'" + v.replace("'", "''") + "'" for v in row)
        print(f"INSERT INTO vicai.{table} VALUES ({values});")
"""


def main(loader: Path, folder: Path) -> None:
    """Read the sandbox with this checkout's tap, and load with the loader of before."""
    tap = [str(Path(sys.executable).with_name("tap-vicai"))]
    with SandboxProcess(record.SANDBOX["documents"], invoices=record.SANDBOX["invoices"], vicai={"age": "0.20"}) as vic:
        account = {"client_id": vic.client_id, "client_secret": vic.client_secret, "api_url": vic.vicai_url}
        with tempfile.TemporaryDirectory() as place:
            path = Path(place) / "warehouse.duckdb"
            settings = _file(place, "tap", account | {"decimals": "text"})
            catalog = json.loads(_output([*tap, "--config", settings, "--discover"]))
            for stream in catalog["streams"]:
                root = next(one["metadata"] for one in stream["metadata"] if not one["breadcrumb"])
                root["selected"] = stream["tap_stream_id"] in STREAMS
            lines = _output([*tap, "--config", settings, "--catalog", _file(place, "catalog", catalog)])
            _output([str(loader), "--config", _file(place, "loader", LOADER | {"path": str(path)})], lines)
            dumped = _output([str(loader.with_name("python")), "-c", _DUMP, str(path), str(_ROWS)])
    (folder / "warehouse.sql").write_bytes(dumped)


def _file(folder: str, name: str, content: Any) -> str:
    path = Path(folder) / f"{name}.json"
    path.touch(0o600)
    path.write_text(json.dumps(content), encoding="utf-8")
    return str(path)


def _output(command: list[str], given: bytes = b"") -> bytes:
    env = os.environ | {"PYTHONUTF8": "1"}
    return subprocess.run(command, input=given, stdout=subprocess.PIPE, check=True, env=env).stdout


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
