"""Messages as they came: every digit, and clear words for lines that are none."""

from __future__ import annotations

import codecs
import io
import json
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest

from ap_connectors.core.errors import Reject, Stop
from ap_connectors.core.messages import Line, Message, read


def record_line(record: str, rest: str = "") -> bytes:
    return f'{{"type": "RECORD", "stream": "vendors", "record": {record}{rest}}}\n'.encode()


def one(line: bytes) -> Message:
    (only,) = read([line])
    return only.message


def taken(record: str) -> dict[str, Any]:
    found = one(record_line(record)).record
    assert found is not None
    return found


def stopped(*lines: bytes) -> str:
    with pytest.raises(Stop) as caught:
        list(read(lines))
    return str(caught.value)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("12345678901234567.89", Decimal("12345678901234567.89")),
        ("0.10", Decimal("0.10")),
        ("-0.0", Decimal("-0.0")),
        ("1e2", Decimal("1e2")),
        ("1e400", Decimal("1e400")),
        ("18446744073709551616", 18446744073709551616),
        ("-9223372036854775809", -9223372036854775809),
        ("123456789012345678901234567890", 123456789012345678901234567890),
        ("1", 1),
    ],
)
def test_numbers_keep_every_digit(written: str, value: Any) -> None:
    found = taken(f'{{"a": {written}, "deep": [{{"b": {written}}}]}}')
    for number in (found["a"], found["deep"][0]["b"]):
        assert (type(number), str(number)) == (type(value), str(value))


@pytest.mark.parametrize("written", ["1e99999999999999999999", "-1.5E-99999999999999999999", "9" * 5000])
def test_numbers_beyond_any_measure_become_text_and_the_rest_stays_exact(written: str) -> None:
    assert taken(f'{{"a": {written}, "b": 0.10, "c": 7}}') == {"a": written, "b": Decimal("0.10"), "c": 7}
    assert str(taken(f'{{"a": {written}, "b": 0.10}}')["b"]) == "0.10"


def test_half_a_character_is_for_the_fields_to_judge() -> None:
    found = one(record_line(r'{"name": "a\ud800b", "amount": 0.10, "whole": "\ud83d\ude00"}', ', "version": 5'))
    assert found.record == {"name": "a\ud800b", "amount": Decimal("0.10"), "whole": "😀"}
    assert (found.type, found.stream, found.version) == ("RECORD", "vendors", 5)


def test_a_record_that_is_nested_too_deeply_keeps_the_rest() -> None:
    """So it is set aside alone; its mark says why it was before."""
    mark = {"code": "too_long", "params": {"reasons": [{"code": "a"}]}}
    rest = f', "rejected": {json.dumps(mark)}, "version": 7'
    for levels in (1_500, 100_000):
        deep = '{"x":' * levels + "1" + "}" * levels
        raw_line = record_line(f'{{"id": "a\\"[{{", "deep": {deep}, "lines": [{{"n": 0.10}}]}}', rest)
        (found,) = read([raw_line])
        assert found.too_deep
        assert found.raw == raw_line.strip()
        assert found.message.record is not None
        assert found.message.record["id"] == 'a"[{'
        assert found.message.record["lines"] == [{"n": Decimal("0.10")}]
        assert (found.message.rejected, found.message.version) == (mark, 7)
        with pytest.raises(Reject, match="nested too deeply"):
            found.checked(found.message.record)


def test_of_equal_names_the_last_counts() -> None:
    assert taken('{"a": 1, "a": 2}') == {"a": 2}
    assert taken(r'{"x": "\ud800", "a": 1, "a": 2}')["a"] == 2


def test_lines_are_counted_and_the_empty_ones_skipped() -> None:
    lines = [b"\n", record_line('{"a": 1}'), b"   \r\n", b'  {"type": "STATE", "value": {}} \r\n', b""]
    found = list(read(lines))
    assert [line.number for line in found] == [2, 4]
    assert found[1].raw == b'{"type": "STATE", "value": {}}'


@pytest.mark.parametrize("start", [codecs.BOM_UTF8, codecs.BOM_UTF8 + b"  "])
def test_a_byte_order_mark_is_passed_over_on_the_first_line_only(start: bytes) -> None:
    (line,) = read([start + record_line('{"a": 1}')])
    assert line.raw == record_line('{"a": 1}').strip()
    assert "Line 2 of the input is not JSON" in stopped(record_line("{}"), start + record_line("{}"))
    assert list(read([codecs.BOM_UTF8 + b"\r\n"])) == []


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [True, False])
def test_what_windows_tools_write(encoding: str, end: str, last: bool) -> None:
    """`tap > file` in PowerShell is UTF-16; an editor leaves out the last line's end."""
    text = end.join(record_line(f'{{"a": "Ž{n}"}}').decode().strip() for n in range(3)) + end * last
    found = list(read(io.BytesIO(text.encode(encoding))))
    assert [(line.number, line.message.record) for line in found] == [(n + 1, {"a": f"Ž{n}"}) for n in range(3)]
    assert all(line.raw == text.split(end)[n].encode() for n, line in enumerate(found))


def test_windows_line_ends_and_large_lines() -> None:
    name = "Žąsis " * 3_500_000  # 28 MB
    line = json.dumps({"type": "RECORD", "stream": "vendors", "record": {"name": name}}, ensure_ascii=False)
    content = io.BytesIO(line.encode() + b"\r\n" + record_line('{"a": 1}').replace(b"\n", b"\r\n"))
    first, second = read(content)
    assert first.message.record == {"name": name}
    assert second.message.record == {"a": 1}


def test_a_state_is_the_bytes_that_came() -> None:
    written = b'{"bookmarks": {"a":  1.10, "b": 1e400, "c": "\\u0105"}}'
    assert bytes(one(b'{"type": "STATE", "value": ' + written + b"}").value) == written
    assert not one(record_line("{}")).value


def test_schemas_and_versions() -> None:
    schema = one(b'{"type": "SCHEMA", "stream": "a", "schema": {"properties": {}}, "key_properties": ["id"]}')
    assert (schema.stream, schema.schema, schema.key_properties) == ("a", {"properties": {}}, ["id"])
    assert one(b'{"type": "SCHEMA", "stream": "a", "schema": {}}').key_properties is None
    assert one(b'{"type": "ACTIVATE_VERSION", "stream": "a", "version": 1700000000000}').version == 1700000000000


def test_a_reject_file_is_input() -> None:
    rest = ', "rejected": {"reason": "too long", "at": "2026-11-21T12:00:00.000Z", "line": 7}'
    message = one(record_line('{"a": 1}', rest))
    assert message.rejected == {"reason": "too long", "at": "2026-11-21T12:00:00.000Z", "line": 7}
    assert message.record == {"a": 1}
    assert one(record_line('{"rejected": {}}')).rejected is None
    half = one(record_line(r'{"a": "\ud800"}', rest))
    assert half.rejected == message.rejected


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            b"2026-11-21 INFO tap-erp: Syncing\n",
            "is not JSON at column 5: '2026-11-21 INFO tap-erp: Syncing'. Is the tap's",
        ),
        (b"{'type': 'RECORD'}", "is not JSON at column 2"),
        (b'{"type": "RECORD", "stream": "a", "rec', "ends in the middle of a message"),
        (b'{"type": "RECORD", "stream": "a", "record": {"a": 1}', "ends in the middle of a message"),
        (record_line("{}").strip() + record_line("{}"), "goes on after the end of its JSON, at column 54"),
        (record_line('{"a": NaN}'), "holds NaN, which is neither JSON nor a number"),
        (record_line('{"a": -Infinity}'), "holds -Infinity"),
        (record_line('{"a": 01}'), "is not JSON"),
        (record_line('{"a": "\x01"}'), "is not JSON"),
        (b'{"type": "STATE", "value": {"a": NaN}}', "holds NaN"),
        (record_line('{"a": "?"}').replace(b"?", b"\xff"), "is not UTF-8 text. Singer"),
        (record_line("{}", ', "more": "?"').replace(b"?", b"\xff"), "is not UTF-8 text. Singer"),
        (record_line('{"a": "?"}').replace(b"?", b"\xed\xa0\x80"), "is not UTF-8 text"),
        (b'{"type": "STATE", "value": ' + b"[" * 5000 + b"]" * 5000 + b"}", "nested too deeply"),
        (record_line('{"a": ' + "[" * 5000), "nested too deeply"),
        (record_line("[1]"), "not a Singer message: Expected `object | null`, got `array` - at `$.record`"),
        (b"[1]", "not a Singer message"),
        (b"7", "not a Singer message"),
        (b'{"stream": "a"}', "not a Singer message: Object missing required field `type`"),
        (b'{"type": "RECORD", "stream": 7, "record": {}}', "`$.stream`"),
        (b'{"type": "SCHEMA", "stream": "a", "schema": {}, "key_properties": "id"}', "`$.key_properties`"),
        (b'{"type": "RECORD", "stream": "a"}', "is of type RECORD, but has no 'record'"),
        (b'{"type": "RECORD", "record": {}}', "is of type RECORD, but has no 'stream'"),
        (b'{"type": "RECORD", "stream": null, "record": {}}', "is of type RECORD, but has no 'stream'"),
        (b'{"type": "SCHEMA", "stream": "a"}', "is of type SCHEMA, but has no 'schema'"),
        (b'{"type": "STATE"}', "is of type STATE, but has no 'value'"),
        (b'{"type": "ACTIVATE_VERSION", "stream": "a"}', "is of type ACTIVATE_VERSION, but has no 'version'"),
        (rb'{"type": "STATE", "value": {"a": "\ud800"}}', "half a character"),
        (b'{"type": "BATCH", "stream": "a", "manifest": []}', "is a BATCH message"),
        (b'{"type": "record", "stream": "a", "record": {}}', "unknown type 'record'; known are RECORD, SCHEMA, STATE"),
    ],
)
def test_what_is_no_message_stops_with_its_line_and_words(line: bytes, words: str) -> None:
    message = stopped(b'{"type": "STATE", "value": {}}\n', b"\n", line)
    assert message.startswith("Line 3 of the input ")
    assert words in message


def test_what_comes_before_a_broken_line_is_handed_out_first() -> None:
    lines = read([record_line('{"a": 1}'), b"oops"])
    assert isinstance(next(lines), Line)
    with pytest.raises(Stop, match="Line 2"):
        next(lines)


def test_little_of_a_line_is_shown() -> None:
    assert len(stopped(b"secret " * 1000)) < 220
    assert len(stopped(b'{"type": "' + b"x" * 1000 + b'"}')) < 220
    assert "hidden" not in stopped(b'{"type": "RECORD", "stream": ["hidden"], "record": {"a": "hidden"}}')


def test_a_pipe_is_read_line_by_line() -> None:
    """A message is there before the tap has written the next one."""
    code = (
        "import sys; from ap_connectors.core.messages import read\n"
        "for line in read(sys.stdin.buffer): print(line.number, line.message.record['a'], flush=True)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        for number in (1, 2):
            process.stdin.write(record_line('{"a": 0.10}'))
            process.stdin.flush()
            assert process.stdout.readline() == f"{number} 0.10\n".encode()
        process.stdin.close()
        assert process.wait(10) == 0
