"""A warehouse that the loader of 0.1.0 made: it is refused in clear words, stays as it is, and there is a way over."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import duckdb

from ap_connectors.sandbox.process import SandboxProcess
from tests import preloaded
from tests.conftest import catalogs, renewed, tap_command
from tests.upgrade import record
from tests.upgrade.record_warehouse import STREAMS

HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs/upgrade.md").read_text(encoding="utf-8")


def test_the_way_over_from_target_duckdb(sandbox: SandboxProcess, tmp_path: Path) -> None:
    renewed(sandbox, **record.SANDBOX, vicai={"rate_requests": 0, "age": "0.20"})
    invoices = sandbox.control.vicai.records("invoices")
    path, before = tmp_path / "warehouse.duckdb", tmp_path / "warehouse-0.1.duckdb"
    with duckdb.connect(str(path)) as old:
        old.execute((HERE / "v0_1/warehouse.sql").read_text(encoding="utf-8"))
        (gone,) = old.execute("SELECT max(internalid) FROM vicai.invoices").fetchall()[0]
    made = path.read_bytes()
    total = next(one["totalAmount"] for one in invoices if one["internalId"] == gone)
    sandbox.control.vicai.delete("invoices", [gone])
    account = {"client_id": sandbox.client_id, "client_secret": sandbox.client_secret, "api_url": sandbox.vicai_url}
    tap = tap_command(tmp_path, account, catalog=catalogs("tap_vicai")(*STREAMS), module="tap_vicai")
    read = preloaded.run(tap).stdout
    config = tmp_path / "target.json"
    config.touch(0o600)
    config.write_text(json.dumps({"database": str(path), "schema": "vicai"}), encoding="utf-8")
    target = [sys.executable, "-m", "target_warehouse", "--config", str(config)]

    refused = preloaded.run(target, input=read)
    said = refused.stderr.decode()
    assert (refused.returncode, refused.stdout) == (1, b"")
    assert re.search(r"The table \w+ was not made by target-warehouse. Nothing was loaded.", said), said
    assert "Tables of target-duckdb cannot be taken over" in said
    assert "docs/upgrade.md" in said
    assert path.read_bytes() == made

    path.rename(before)
    loaded = preloaded.run(target, input=read)
    assert loaded.returncode == 0, loaded.stderr.decode()
    assert json.loads(loaded.stdout.splitlines()[-1])["bookmarks"]["invoices"]
    (queries,) = re.findall(r"```sql\n(ATTACH .*?)```", PAGE, re.DOTALL)
    with duckdb.connect(str(path)) as new:
        (count,) = new.execute("SELECT count(*) FROM vicai.invoices").fetchall()[0]
        assert count == sum(one["status"] == "POSTED" for one in invoices if one["internalId"] != gone)
        found = new.execute(queries.replace("output/", f"{tmp_path}/")).fetchall()
    assert [(id_, f"{amount.normalize():f}") for id_, amount in found] == [(gone, total.rstrip("0").rstrip("."))]
