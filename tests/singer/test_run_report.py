"""The counts of a run: by stream, in the log and in the report."""

from __future__ import annotations

import json
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ap_connectors.core.errors import Stop
from ap_connectors.http.request_counts import count, counting
from ap_connectors.singer.run_report import METRICS, RunReport

FIGURES = [*METRICS, "requests", "retries", "throttled", "seconds"]


def test_one_line_per_stream_with_every_figure() -> None:
    report = RunReport()
    vendors = report.of("vendors")
    for number, metric in enumerate(METRICS, 1):
        vendors.add(metric, number)
    vendors.seconds = 3.21
    with counting(report.of("vendors").request_counts):
        count(requests=1502, retries=2, throttled=1)
    report.of("tags").add("received")
    assert list(report.lines()) == [
        "vendors: 1 received, 2 created, 3 updated, 4 unchanged, 5 older, 6 deleted, 7 rejected, 8 failed, "
        "3.2 s; "
        "1502 requests, 2 retries, 1 throttled",
        "tags: 1 received, 0 created, 0 updated, 0 unchanged, 0 older, 0 deleted, 0 rejected, 0 failed, 0.0 s; "
        "0 requests, 0 retries, 0 throttled",
    ]


def test_the_report_has_streams_and_their_sum(tmp_path: Path) -> None:
    report = RunReport()
    report.of("vendors").add("received", 3)
    report.of("vendors").add("created", 2)
    report.of("žymos").add("received")
    with counting(report.of("žymos").request_counts):
        count(requests=4)
    path = tmp_path / "new" / "report.json"
    report.write(str(path), {"plan": ["x"]})
    report = json.loads(path.read_text(encoding="utf-8"))
    assert list(report) == ["streams", "total", "reject_codes", "rejects", "plan"]
    assert list(report["streams"]) == ["vendors", "žymos"]
    for figures in (*report["streams"].values(), report["total"]):
        assert list(figures) == FIGURES
    assert (report["streams"]["vendors"]["received"], report["streams"]["vendors"]["created"]) == (3, 2)
    assert report["streams"]["žymos"]["requests"] == 4
    assert {name: report["total"][name] for name in ("received", "created", "requests")} == {
        "received": 4,
        "created": 2,
        "requests": 4,
    }


def test_seconds_run_from_the_first_count_to_the_latest() -> None:
    counts = RunReport().of("vendors")
    time.sleep(0.05)
    counts.add("received")
    assert counts.seconds == 0
    time.sleep(0.02)
    counts.add("created")
    took = counts.seconds
    assert 0.02 <= took < 10
    time.sleep(0.02)
    assert counts.seconds == took


def test_threads_lose_no_count() -> None:
    report = RunReport()

    def work(_: int) -> None:
        for _ in range(2000):
            report.of("vendors").add("created")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert report.of("vendors").created == 16_000


def test_a_report_replaces_the_older_one_whole(tmp_path: Path) -> None:
    path, link = tmp_path / "report.json", tmp_path / "link.json"
    path.write_text("older " * 10_000)
    link.symlink_to(path)
    RunReport().write(str(link))
    assert json.loads(path.read_text())["streams"] == {}
    assert link.is_symlink()
    assert {entry.name for entry in tmp_path.iterdir()} == {"report.json", "link.json"}


def test_a_failed_write_leaves_the_older_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "report.json"
    path.write_text("older")
    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(Stop, match=r"report_path: .*report\.json cannot be written: No space left on device\."):
        RunReport().write(str(path))
    assert path.read_text() == "older"
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.json"]


def test_devices_stay_devices() -> None:
    RunReport().write("/dev/null")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
