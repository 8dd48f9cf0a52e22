"""Messages: STATE in its place and as it came, rejects safe before it, clear words when the input is wrong."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.mapper_ivesk_vicai.conftest import Mapper, command, document, encoded, line, messages, record, schema

STATES = [
    b'{"type": "STATE", "value": {"bookmarks": {"exported_documents": {"n": 1.10, "\\u0161": "\xc5\xa1"}}}}',
    b'{"value":{},"type":"STATE"}',
]


def test_states_keep_their_place_and_their_bytes(mapper: Mapper) -> None:
    done = mapper(
        [
            schema("exported_document_lines"),
            schema("columns"),
            {"type": "SCHEMA", "stream": "document_files", "schema": {}, "key_properties": []},
            STATES[0],
            *messages(document()),
            record({"document_id": "d-1"}, "exported_document_lines"),
            schema("exported_document_lines"),
            b"  " + STATES[1] + b"  ",
            {"type": "ACTIVATE_VERSION", "stream": "exported_documents", "version": 1},
            schema("digitized_documents"),
            record(document(id="d-2", exportedat=None, digitizedat="2026-03-06T07:08:09+02:00"), "digitized_documents"),
            STATES[0],
        ]
    )
    assert [one["type"] for one in done.lines] == [
        "STATE", "SCHEMA", "SCHEMA", "RECORD", "RECORD", "STATE", "RECORD", "STATE",
    ]  # fmt: skip
    written = done.raw.splitlines()
    assert [written[0], written[5], written[7]] == [STATES[0], STATES[1], STATES[0]]
    assert [one["key_properties"] for one in done.lines[1:3]] == [["externalId"]] * 2
    first, second = done.records("training_invoices")
    assert set(first) <= set(done.lines[2]["schema"]["properties"])
    assert (second["externalId"], second["externalUpdatedAt"]) == ("d-2", "2026-03-06T05:08:09.000")
    assert done.err.count("is left out: documents are mapped, with the lines in them.") == 2


def test_a_stream_of_the_input_may_be_called_like_one_of_ours(mapper: Mapper) -> None:
    done = mapper([schema("vendors"), record({"id": "1"}, "vendors"), *messages(document())])
    assert [(one["type"], one["stream"]) for one in done.lines] == [
        (kind, stream) for kind in ("SCHEMA", "RECORD") for stream in ("vendors", "training_invoices")
    ]


def test_no_company_is_said_before_anything_is_read(mapper: Mapper) -> None:
    done = mapper(messages(document()), company_code=" ", expect=1)
    assert done.lines == []
    assert done.complaints[0].startswith("company_code is missing")


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        (
            [record(document())],
            "Line 3: a RECORD of the stream exported_documents came before its SCHEMA. Nothing from this line on was "
            "mapped; the tap has to send a SCHEMA first.",
        ),
        (
            [schema("exported_documents", "lines", "total")],
            "Line 3: the stream exported_documents comes without total, lines: select them at the tap (select: "
            "exported_documents.*).",
        ),
        (
            [b'{"type":"RECORD","stream":"digitized_documents","rec'],
            "Line 3 of the input ends in the middle of a message: did the tap break off? See its own messages.",
        ),
    ],
)
def test_wrong_input_ends_the_run_after_what_came_before(mapper: Mapper, said: list[bytes], complaint: str) -> None:
    before = [schema("digitized_documents"), record(document(), "digitized_documents")]
    done = mapper([*before, *said, STATES[0]], expect=1)
    assert done.complaints == [complaint]
    assert done.only["externalId"] == "d-1"
    assert [one["type"] for one in done.lines] == ["SCHEMA", "SCHEMA", "RECORD", "RECORD"]
    assert done.report["documents"]["mapped"] == 1


def test_what_was_set_aside_is_input_to_a_later_run(mapper: Mapper) -> None:
    said = [document(id=f"d-{n}", docnum=f"SF-{n}", lines=[line(code="77"), line(code="77")]) for n in (1, 2)]
    for one in said:
        one |= {part: 2 * one[part] for part in ("subtotal", "vat", "total")}
    first = mapper(messages(*said), max_rejects=2)
    assert first.reasons == ["No mapping for account 77 (accounts)."] * 2
    assert first.warnings[-1] == "account 77 has no mapping (accounts): 2 documents set aside, for example SF-1."
    assert first.report["unmapped"] == {"accounts": {"77": {"documents": 2, "example": "SF-1"}}}
    again = mapper(first.reject_path.read_bytes().splitlines(), accounts={"77": "KTO-77"})
    assert [found["externalId"] for found in again.records("training_invoices")] == ["d-1", "d-2"]
    direct = mapper(messages(*said), accounts={"77": "KTO-77"})
    assert again.lines == direct.lines


def test_a_reject_file_is_not_read_and_written_at_once(mapper: Mapper, tmp_path: Path) -> None:
    first = mapper(messages(document(total=1)), expect=1)
    before = first.reject_path.read_bytes()
    done = mapper([], f"--input={first.reject_path}", rejects_path=str(first.reject_path), expect=1)
    assert "is the file that is read" in done.complaints[-1]
    assert first.reject_path.read_bytes() == before


def test_a_reject_file_that_cannot_be_is_told_before_anything_is_read(mapper: Mapper, tmp_path: Path) -> None:
    done = mapper(messages(document()), rejects_path=str(tmp_path), expect=1)
    assert done.lines == []
    assert "Is a directory" in done.complaints[-1]


@contextmanager
def started(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The mapper under way; one that says nothing for half a minute is ended, so that the test ends too."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command(folder, {}), stdin=pipe, stdout=pipe, stderr=pipe) as process:
        patience = threading.Timer(30, process.kill)
        patience.start()
        try:
            yield process
        finally:
            patience.cancel()


def test_a_reject_is_on_the_disk_before_the_state_that_covers_it(tmp_path: Path) -> None:
    with started(tmp_path) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(encoded([*messages(document(total=1)), STATES[0]]))
        process.stdin.flush()
        lines = [process.stdout.readline() for _ in range(3)]
        process.kill()
    assert lines[2] == STATES[0] + b"\n"
    assert b'"rejected"' in (tmp_path / "rejects.jsonl").read_bytes().splitlines()[1]


def test_a_signal_ends_it_with_whole_lines_and_no_more_states(tmp_path: Path) -> None:
    with started(tmp_path) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(encoded([*messages(document()), STATES[0], record(document(id="d-2"))]))
        process.stdin.flush()
        before = [process.stdout.readline() for _ in range(5)]
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    assert before[-1] == STATES[0] + b"\n"
    assert out == b"" or (b'"d-2"' in out and out.endswith(b"}\n"))
    assert b"Ended by signal 15" in err
    assert b"Traceback" not in err


def test_a_reader_that_goes_away_is_named(tmp_path: Path) -> None:
    with started(tmp_path) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(encoded([*messages(document()), STATES[0]]))
        process.stdin.flush()
        process.stdout.readline()
        process.stdout.close()
        process.stdin.write(encoded([*messages(document(id="d-2")), STATES[0]]))
        process.stdin.close()
        err = process.stderr.read().decode()
    assert process.returncode == 1
    assert "The program that reads our output has ended" in err
    assert "Traceback" not in err


def test_a_report_is_json(mapper: Mapper, tmp_path: Path) -> None:
    """The mapper makes no pages: an ending that is not known is refused before anything is mapped."""
    path = tmp_path / "report.html"
    run = mapper(messages(document()), expect=1, report_path=str(path))
    assert f"report_path: {path} has the ending .html. Name a file that ends in .json." in run.err
    assert (run.lines, path.exists()) == ([], False)
