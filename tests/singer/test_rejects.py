"""A reject file: records as they came, durable, free of secrets, and input to a later run."""

from __future__ import annotations

import json
import logging
import re
import signal
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ap_connectors.core.errors import Reject, Stop
from ap_connectors.core.messages import read
from ap_connectors.core.redact import Redactor
from ap_connectors.singer.rejects import RejectFile
from ap_connectors.singer.run_report import write_json

SCHEMA = b'{"type": "SCHEMA", "stream": "vendors", "schema": {"properties": {}}, "key_properties": ["externalId"]}'
RECORD = (
    '{"type": "RECORD",  "stream": "vendors", "record": {"externalId": "v1", "limit": 1234567890123456789.10, '
    '"big": 1e400, "name": "Ąžuolas\\u0105 \\"x\\"\\/", "empty":  null}, "time_extracted": "2026-01-01T00:00:00Z", '
    '"version": 17, "more": [1.00]}'
).encode()
MARK = re.compile(
    rb', "rejected": (\{"code":"\w+","params":\{[^{}]*\},"reason":"[^{}]*",'
    rb'"at":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z","line":\d+\})\}$'
)


def masking(text: str) -> str:
    return text.replace('s3cr"et/ą', "***")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "folder" / "rejects.jsonl"


def lines(path: Path) -> list[bytes]:
    content = path.read_bytes()
    assert content.endswith(b"\n")
    return content[:-1].split(b"\n")


def test_there_is_no_file_without_a_reject(path: Path) -> None:
    rejects = RejectFile(str(path), None)
    rejects.schema("vendors", SCHEMA)
    rejects.sync()
    assert (rejects.count, rejects.path, path.parent.exists()) == (0, None, False)


def test_the_home_in_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a reject file, and of what is written whole, such as reports."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    rejects = RejectFile("~/new/rejects.jsonl", None)
    rejects.schema("vendors", SCHEMA)
    rejects.add("vendors", RECORD, Reject("too long", "too_long"), line=7)
    rejects.sync()
    write_json("report_path", "~/new/report.json", {})
    assert rejects.path == str(tmp_path / "home/new/rejects.jsonl")
    assert sorted(path.name for path in (tmp_path / "home/new").iterdir()) == ["rejects.jsonl", "report.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_a_record_leaves_as_it_came_and_says_why(path: Path) -> None:
    rejects = RejectFile(str(path), masking)
    rejects.schema("vendors", SCHEMA + b"\n")
    reject = Reject('name is "too" long\nby far', "too_long", field="name", most=40)
    rejects.add("vendors", RECORD + b"\r\n", reject, line=7)
    rejects.sync()
    schema, record = lines(path)
    assert schema == SCHEMA
    mark = MARK.search(record)
    assert mark
    assert record == RECORD[:-1] + mark[0]
    said = json.loads(mark[1])
    assert (said["reason"], said["line"]) == ('name is "too" long\nby far', 7)
    assert (said["code"], said["params"], "company" in said) == ("too_long", {"field": "name", "most": 40}, False)
    assert (rejects.count, rejects.path) == (1, str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_replay_reads_it_and_a_second_reject_replaces_the_first(tmp_path: Path) -> None:
    first, second = tmp_path / "1.jsonl", tmp_path / "2.jsonl"
    rejects = RejectFile(str(first), None)
    rejects.schema("vendors", SCHEMA)
    rejects.add("vendors", RECORD, Reject("first reason", "unclassified"), line=7)
    again = RejectFile(str(second), None)
    with first.open("rb") as file:
        for line in read(file):
            if line.message.type == "SCHEMA":
                again.schema("vendors", line.raw)
            else:
                assert line.message.rejected
                assert line.message.rejected["reason"] == "first reason"
                again.add("vendors", line.raw, Reject("second reason", "unclassified"), line=line.number)
    with second.open("rb") as file:
        _, found = read(file)
    assert found.message.rejected
    assert (found.message.rejected["reason"], found.message.rejected["line"]) == ("second reason", 2)
    assert found.raw.count(b'"rejected"') == 1
    assert b"1234567890123456789.10" in found.raw
    (original,) = read([RECORD])
    assert found.message.record == original.message.record
    # Every value is still the bytes that came; between members white space may go.
    assert re.sub(rb"\s", b"", found.raw).startswith(re.sub(rb"\s", b"", RECORD[:-1]))


def test_a_field_called_rejected_is_a_field(path: Path) -> None:
    record = b'{"type": "RECORD", "stream": "a", "record": {"rejected": {"reason":  1.10}}}'
    RejectFile(str(path), None).add("a", record, Reject("why", "unclassified"), line=1)
    (found,) = lines(path)
    assert found.startswith(record[:-1])


@pytest.mark.parametrize("old", ["", r', "rejected": {"reason": "old", "at": "", "line": 1}'])
def test_half_a_character_survives(path: Path, old: str) -> None:
    record = rf'{{"type": "RECORD", "stream": "a", "record": {{"name": "\ud800", "n": 1.10}}{old}}}'.encode()
    RejectFile(str(path), masking).add(
        "a", record, Reject("name: '\ud800' is not text", "not_text", field="name"), line=1
    )
    assert lines(path)[0].startswith(record[:-1])
    with path.open("rb") as file:
        (found,) = read(file)
    assert found.message.record
    assert found.message.record["name"] == "\ud800"
    assert found.message.rejected
    assert found.message.rejected["reason"] == "name: '?' is not text"


def test_a_schema_comes_once_before_the_first_reject_of_its_stream_and_again_when_it_changed(path: Path) -> None:
    def schema(stream: str, keys: str) -> bytes:
        return json.dumps({"type": "SCHEMA", "stream": stream, "schema": {}, "key_properties": [keys]}).encode()

    def record(stream: str) -> bytes:
        return json.dumps({"type": "RECORD", "stream": stream, "record": {}}).encode()

    rejects = RejectFile(str(path), None)
    for stream in "abc":
        rejects.schema(stream, schema(stream, "id"))
    for stream in "aba":
        rejects.add(stream, record(stream), Reject("why", "unclassified"), line=1)
        rejects.schema(stream, schema(stream, "id"))
    rejects.schema("a", schema("a", "other"))
    for stream in "ab":
        rejects.add(stream, record(stream), Reject("why", "unclassified"), line=1)
    with path.open("rb") as file:
        kinds = [(line.message.type[0], line.message.stream) for line in read(file)]
    assert kinds == [("S", "a"), ("R", "a"), ("S", "b"), ("R", "b"), ("R", "a"), ("S", "a"), ("R", "a"), ("R", "b")]


def test_secrets_are_masked_however_they_are_written(path: Path) -> None:
    record = rb"""{"type": "RECORD", "stream": "a", "record": {"x": "<s3cr\"et/\u0105>", "y": ["s3cr\u0022et\/\u0105"],
        "s3cr\"et\/\u0105": 1.10, "kept":  "\u0105\/ \\"}}""".replace(b"\n", b"")
    rejects = RejectFile(str(path), masking)
    rejects.schema("a", SCHEMA.replace(b"externalId", rb"s3cr\"et/\u0105"))
    rejects.add("a", record, Reject('Vic says: s3cr"et/ą is wrong', "unclassified"), line=1)
    schema, found = lines(path)
    assert json.loads(schema)["key_properties"] == ["***"]
    assert rb'"x": "<***>", "y": ["***"],        "***": 1.10, "kept":  "\u0105\/ \\"' in found
    assert json.loads(found)["rejected"]["reason"] == "Vic says: *** is wrong"


def test_what_spoils_records_is_not_taken_for_masking(path: Path) -> None:
    with pytest.raises(ValueError, match="without a secret"):
        RejectFile(str(path), Redactor(["secret"]))
    with pytest.raises(ValueError, match="without a secret"):
        RejectFile(str(path), lambda text: Redactor()(text, limit=10**6))
    for secret in ("a", "test", "https", "0", "~", "secret"):
        RejectFile(str(path), Redactor([secret]).mask)


def test_the_time_in_the_name(tmp_path: Path) -> None:
    rejects = RejectFile(str(tmp_path / "rejects-{timestamp}-{x}.jsonl"), None)
    rejects.add("a", RECORD, Reject("why", "unclassified"), line=1)
    (file,) = tmp_path.iterdir()
    assert re.fullmatch(r"rejects-20\d{6}T\d{6}Z-\{x\}\.jsonl", file.name)
    assert rejects.path == str(file)


def test_runs_of_one_second_have_files_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However close they come: each name is taken by one run alone."""
    monkeypatch.setattr("time.strftime", lambda *_: "20261121T120000Z")
    (tmp_path / "rejects-20261121T120000Z_3.jsonl").mkdir()
    runs = [RejectFile(str(tmp_path / "rejects-{timestamp}.jsonl"), None) for _ in range(20)]
    for run in runs:
        run.check()

    def reject(number: int) -> None:
        for _ in range(3):
            runs[number].add("a", RECORD, Reject("why", "unclassified"), line=number)

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(reject, range(20)))
    names = {run.path for run in runs}
    assert len(names) == 20
    assert str(tmp_path / "rejects-20261121T120000Z.jsonl") in names
    for number, run in enumerate(runs):
        with Path(str(run.path)).open("rb") as file:
            assert [(line.message.rejected or {})["line"] for line in read(file)] == [number] * 3


def test_a_link_that_was_planted_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.strftime", lambda *_: "20261121T120000Z")
    (tmp_path / "rejects-20261121T120000Z.jsonl").symlink_to(tmp_path / "elsewhere")
    rejects = RejectFile(str(tmp_path / "rejects-{timestamp}.jsonl"), None)
    rejects.add("a", RECORD, Reject("why", "unclassified"), line=1)
    assert rejects.path == str(tmp_path / "rejects-20261121T120000Z_2.jsonl")
    assert not (tmp_path / "elsewhere").exists()


def test_a_dry_run_counts_only(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rejects = RejectFile(str(path), None, dry_run=True)
    rejects.check()
    rejects.schema("vendors", SCHEMA)
    for _ in range(21):
        rejects.add("vendors", RECORD, Reject("why", "unclassified"), line=1)
        rejects.log(logging.getLogger("x"), "vendors v1", Reject("why", "unclassified"), line=1)
    rejects.sync()
    assert (rejects.count, rejects.path, path.parent.parent.exists()) == (21, None, False)
    assert caplog.messages[0].startswith("Would be set aside: vendors v1")
    assert "the plan" in caplog.messages[-1]
    with pytest.raises(Stop, match="21 records would be set aside; 1 are allowed"):
        rejects.end(1, "Correct them.")


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_file_that_exists_is_added_to_on_a_line_of_its_own(path: Path, end: bytes) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b'{"half a line' + end)
    RejectFile(str(path), None).add("a", RECORD, Reject("why", "unclassified"), line=1)
    kept, added = lines(path)
    assert kept == b'{"half a line'
    assert added.startswith(RECORD[:-1])


def test_threads_do_not_mix_their_lines(path: Path) -> None:
    rejects = RejectFile(str(path), masking)
    rejects.schema("vendors", SCHEMA)

    def reject(number: int) -> None:
        rejects.add("vendors", RECORD, Reject("why " * (number % 50), "unclassified"), line=number)
        if number % 10 == 0:
            rejects.sync()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(reject, range(1, 1001)))
    with path.open("rb") as file:
        schema, *found = read(file)
    assert schema.raw == SCHEMA
    assert sorted((line.message.rejected or {})["line"] for line in found) == list(range(1, 1001))
    assert rejects.count == 1000


def test_a_kill_loses_no_line(path: Path) -> None:
    code = (
        "import os, signal, sys; from ap_connectors.core.errors import Reject\n"
        "from ap_connectors.singer.rejects import RejectFile\n"
        f"rejects = RejectFile(sys.argv[1], None); rejects.schema('vendors', {SCHEMA!r})\n"
        f"for n in range(100): rejects.add('vendors', {RECORD!r}, Reject('why', 'unclassified'), line=n)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)]).returncode == -signal.SIGKILL
    with path.open("rb") as file:
        assert len(list(read(file))) == 101


def test_sync_asks_the_disk_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    rejects = RejectFile(str(path), None)
    rejects.add("a", RECORD, Reject("why", "unclassified"), line=1)
    monkeypatch.setattr("os.fsync", asked.append)
    for _ in range(3):
        rejects.sync()
    assert len(asked) == 1
    rejects.add("a", RECORD, Reject("why", "unclassified"), line=2)
    rejects.sync()
    assert len(asked) == 2


def test_a_full_disk_stops_and_counts_nothing() -> None:
    rejects = RejectFile("/dev/full", None)
    with pytest.raises(Stop, match=r"rejects_path: /dev/full cannot be written: No space left on device\."):
        rejects.add("a", RECORD, Reject("why", "unclassified"), line=1)
    assert rejects.count == 0


def test_a_path_that_cannot_be_stops(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "rejects.jsonl"):
        with pytest.raises(Stop, match=r"rejects_path: .* cannot be written: "):
            RejectFile(str(path), None).add("a", RECORD, Reject("why", "unclassified"), line=1)
