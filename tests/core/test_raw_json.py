"""JSON bodies: no digit, escape or field is touched, and what is no JSON is told."""

from __future__ import annotations

import json

import msgspec
import pytest

from ap_connectors.core.errors import Retry
from ap_connectors.core.raw_json import NULL, Record, decode, text, truth

RECORD = msgspec.json.Decoder(Record)

VALUES = [
    "0.10", "1234567890123456789.12", "-0.00", "1e400", "1E+2", "12345678901234567890123456789", "true", "null",
    '"\\u0105 ą 😀 \\ud83d\\ude00 \u2028"', '"\\"\\\\\\/\\b\\f\\n\\r\\t"', "[0.10, 1.00]", '{"a":{"b":[0.10]}}', '""',
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES)
def test_values_stay_as_they_came(value: str) -> None:
    record = decode(f'{{"x": {value}, "y":1}}'.encode(), RECORD)
    assert bytes(record["x"]).decode() == value
    assert msgspec.json.encode(record).decode() == f'{{"x":{value},"y":1}}'


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
def test_no_line_break_survives_between_tokens(value: str, line_break: str) -> None:
    body = f'{{{line_break}  "x" :{line_break} {{"z":{line_break}[{value} ]}}{line_break}}}'
    encoded = msgspec.json.encode(decode(body.encode(), RECORD)).decode()
    assert encoded == f'{{"x":{{"z":[{value.replace(", ", ",")}]}}}}'


def test_half_a_surrogate_pair_becomes_the_replacement_character() -> None:
    body = rb'{"a":"x\ud800y","b":"\ude00","c":"\ud83d\ude00","d":"\\ud800","e":"\\\ud800","f":"\uD83D"}'
    record = decode(body, RECORD)
    assert json.loads(msgspec.json.encode(record)) == {
        "a": "x\ufffdy", "b": "\ufffd", "c": "😀", "d": "\\ud800", "e": "\\\ufffd", "f": "\ufffd",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not complete JSON"),
        (b'{"a": 1', "not complete JSON"),
        (b"<!DOCTYPE html><html>", "HTML page"),
        (b"  <HTML>", "HTML page"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (b"[1]", "unexpected shape"),
        (b"null", "unexpected shape"),
        (b'{"a": tru}', "not complete JSON"),
    ],
)
def test_what_is_no_record_is_told(body: bytes, words: str) -> None:
    with pytest.raises(Retry, match=words):
        decode(body, RECORD)


def test_text_and_truth() -> None:
    record = decode(b'{"s":"\\u0105","n":1.50,"z":null,"t":true,"f":false,"o":{"a":1.0}}', RECORD)
    assert [text(record, name) for name in ("s", "n", "z", "absent", "o")] == ["ą", "1.50", None, None, '{"a":1.0}']
    assert [truth(record, name) for name in ("t", "f", "z", "absent", "s")] == [True, False, False, False, False]
    assert bytes(NULL) == b"null"
