"""`python -m benchmarks` notices what is lost, and every service of it can be measured."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from benchmarks import inputs, loading, output
from benchmarks.__main__ import judge
from benchmarks.contestants import beside, creating
from benchmarks.output import Layout
from benchmarks.results import Order, Results, Row
from benchmarks.services import Service
from tests.campaign import further
from tests.conftest import renewed

ROOT = Path(__file__).parent.parent
ORDER = Order()


def test_what_a_reader_lost_or_altered_is_counted(tmp_path: Path) -> None:
    written = [
        '{"type":"RECORD","stream":"bills","record":{"id":"1","total":100.00,"note":"a","lines":[{},{}]}}',
        '{"type":"RECORD","stream":"bills","record":{"id":"1","total":100.00,"note":"a","lines":[]}}',
        '{"type":"RECORD","stream":"bills","record":{"id":"2","total":7.5,"own_field":2}}',
        '{"type":"RECORD","stream":"lines","record":{}}',
        '{"type":"STATE","value":{}}',
    ]
    (tmp_path / "output").write_text("\n".join(written), encoding="utf-8")
    layout = Layout("bills", "id", "lines", "lines")
    assert output.count(tmp_path, layout) == output.Count(2, 3, 2, 1)
    store = [
        b'{"id":"1","total":100.00,"note":"a","ownField":1}',
        b'{"id":"2","total":7.50,"note":"b","ownField":2}',
        b'{"id":"3","total":3}',
    ]
    known: dict[str, Any] = {"properties": {"id": {}, "total": {}, "note": {}}}
    kept = output.compare(tmp_path, layout, store, known)
    assert (kept.numbers.sent, kept.numbers.same, kept.numbers.equal) == (3, 1, 2)
    assert (kept.unknown.sent, kept.unknown.same, kept.unknown.equal) == (2, 1, 1)
    assert (kept.others.sent, kept.others.same) == (5, 3)


def test_the_report_shows_and_judges(tmp_path: Path) -> None:
    results = Results("tap", ORDER)
    mine, other = f"tap{beside(tmp_path)}", "tap"
    rows = [Row(other, {"seconds": 1.0, "cpu_seconds": 3.0}), Row(mine, {"seconds": 2.0, "cpu_seconds": 2.0})]
    results.table("speed", "Title", ("seconds", "cpu_seconds", "records"), rows)
    results.losses.append("one record")
    judge(tmp_path, results)
    assert results.aims == [
        (False, "tap: 150% of the other's CPU time, 50% of its time on the clock; aim 110% of the CPU time")
    ]
    lines = results.text().splitlines()
    assert lines[3].split() == ["seconds", "CPU", "s", "records"]
    assert lines[4].split() == ["tap", "1.00", "3.00", "-"]
    assert lines[-1] == "LOST  one record"
    assert json.loads(json.dumps(results.as_json()))["speed"][mine] == {"seconds": 2.0, "cpu_seconds": 2.0}


@pytest.fixture
def service(_sandbox_process: SandboxProcess) -> Service:
    sandbox = renewed(_sandbox_process, documents=0, vicai={"rate_requests": 0})
    secret = {"client_id": sandbox.client_id, "client_secret": sandbox.client_secret}
    return Service(sandbox, {"api_url": sandbox.vicai_url, **secret})


@pytest.mark.long
def test_what_a_loader_lost_altered_or_doubled_is_counted(service: Service, tmp_path: Path) -> None:
    given = inputs.new(tmp_path / "input", service.vic, 60, bad=True)
    results, target = Results("target-vicai", ORDER), creating("target-vicai", 60)
    row = loading.load(service, tmp_path, target, given, results)
    assert (row["loaded"], row["set_aside"], row["wrong"], results.losses) == (59, 1, 0, [])
    # What it has to do is now something else than what it is given.
    keys = sorted(given.write)
    write = {keys[0]: given.write[keys[0]], keys[1]: given.write[keys[1]], "gone": given.write[keys[2]]}
    touched = service.vic.records("vendors")
    service.vic.delete("vendors", [one["internalId"] for one in touched if one.get("externalId") in keys])
    write[keys[1]] |= {"name": "Another", "total": Decimal(1)}
    (tmp_path / "rejects.jsonl").unlink()
    changed = dataclasses.replace(given, write=write, by_contract=frozenset({"never"}))
    row = loading.load(service, tmp_path, target, changed, results)
    assert (row["loaded"], row["wrong"]) == (1, 1 + 1 + 57 + 1 + 1)
    assert [loss.partition(": ")[2] for loss in results.losses] == [
        "1 missing",
        "1 with other values",
        "57 changed, or there, for no reason",
        "1 bad, not set aside",
        "1 set aside for no reason, or twice",
    ]


@pytest.mark.parametrize("name", further("vicai", "ivesk", "loading", "distances", "warehouse", "fleet", "webhooks"))
def test_every_service_is_measured(name: str, tmp_path: Path) -> None:
    records = "3" if name == "fleet" else "120"
    command = [sys.executable, "-m", "benchmarks", "--service", name, "--records", records, "--rounds", "1"]
    command += ["--memory", "200", "--json", str(tmp_path / "figures")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads((tmp_path / "figures").read_text(encoding="utf-8"))[name]
    assert figures["aims"] or figures["not_measured"]
    assert figures["losses"] == []
