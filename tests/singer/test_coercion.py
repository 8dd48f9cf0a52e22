"""Every way in which a value can fail to fit: the sentence for a person, the code and the parameters for programs."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from ap_connectors.core.errors import Reject
from ap_connectors.core.reject_codes import CODES
from ap_connectors.singer.schema import ObjectSchema

LONE = "Šilut\ud800"
NUMBER = " (write it like 1234.50, with a point and without an exponent)"
DAY = {"type": "string", "format": "date"}
INNER = {"type": "object", "properties": {"b": {"type": "string"}}, "required": ["b"]}


@pytest.mark.parametrize(
    ("declared", "value", "words", "code", "params"),
    [
        ({"type": "string"}, ["x"], "is not text: a list", "not_text", {"value": "a list"}),
        (
            {"type": "string", "maxLength": 3},
            "abcd",
            "is longer than 3 characters (4)",
            "too_long",
            {"most": 3, "length": 4, "value": "'abcd'"},
        ),
        (
            {"type": "string"},
            LONE,
            "holds half a character (a lone surrogate), which JSON can't carry",
            "half_a_character",
            {},
        ),
        ({"type": "number"}, "12,50", f"is not a number: '12,50'{NUMBER}", "not_a_number", {"value": "'12,50'"}),
        (
            {"type": "string", "format": "decimal"},
            True,
            f"is not a number: true{NUMBER}",
            "not_a_number",
            {"value": "true"},
        ),
        ({"type": "integer"}, Decimal("1.5"), "is not a whole number: 1.5", "not_a_whole_number", {"value": "1.5"}),
        (
            {"type": "number"},
            Decimal("1E+9999"),
            "is not a finite number of at most 1000 digits",
            "too_many_digits",
            {"most": 1000},
        ),
        ({"type": "integer", "minimum": 1}, 0, "is less than 1: 0", "too_small", {"least": "1", "value": "0"}),
        ({"type": "number", "maximum": 9}, 10, "is more than 9: 10", "too_large", {"most": "9", "value": "10"}),
        ({"type": "boolean"}, "ja", "is neither true nor false: 'ja'", "not_true_or_false", {"value": "'ja'"}),
        (DAY, "31.01.2026", "is not a date such as 2026-01-31: '31.01.2026'", "not_a_date", {"value": "'31.01.2026'"}),
        (DAY, 2026, "is not a date such as 2026-01-31: 2026", "not_a_date", {"value": "2026"}),
        (
            {"type": "string", "format": "date-time"},
            "soon",
            "is not a time such as 2026-01-31T10:11:12: 'soon'",
            "not_a_time",
            {"value": "'soon'"},
        ),
        (
            {"type": "string", "format": "date-time"},
            "2026-01-31",
            "has no time of day: '2026-01-31' (write it like 2026-01-31T00:00:00)",
            "not_a_time",
            {"value": "'2026-01-31'"},
        ),
        ({"type": "string", "format": "uuid"}, "7", "is not a UUID: '7'", "not_a_uuid", {"value": "'7'"}),
        (INNER, 7, "is not an object: 7", "not_an_object", {"value": "7"}),
        ({"type": "object"}, "x", "is not an object: 'x'", "not_an_object", {"value": "'x'"}),
        ({"type": "array"}, {}, "is not a list: an object", "not_a_list", {"value": "an object"}),
        (
            {"oneOf": [{"type": "integer"}, {"type": "array"}]},
            True,
            f"is not a number: true{NUMBER}",
            "not_a_number",
            {"value": "true"},
        ),
    ],
)
def test_the_field_itself(declared: dict[str, Any], value: Any, words: str, code: str, params: dict[str, Any]) -> None:
    reject = refused(
        {"a": {"type": "array", "items": {"properties": {"amount": declared}}}}, {"A": [{}, {"amount": value}]}
    )
    assert str(reject) == f"a[1].amount {words}"
    assert (reject.code, reject.params) == (code, {"field": "a[1].amount", **params})
    assert code in CODES


@pytest.mark.parametrize(
    ("record", "sentence", "code", "params"),
    [
        ({"a": {}}, "a.b is missing", "missing_field", {"fields": ["a.b"]}),
        ({"a": {"b": None}}, "a.b must not be null", "null_not_allowed", {"field": "a.b"}),
        ({"list": [None]}, "list[0] must not be null", "null_not_allowed", {"field": "list[0]"}),
        (
            {"a": {"b": "1", "B": "2"}},
            "a.b comes in more than one spelling: b, B",
            "two_spellings",
            {"field": "a.b", "spellings": ["b", "B"]},
        ),
        (
            {"a": {"b": "1", "unknown": LONE}},
            "a holds half a character (a lone surrogate), which JSON can't carry",
            "half_a_character",
            {"field": "a"},
        ),
    ],
)
def test_what_is_around_it(record: dict[str, Any], sentence: str, code: str, params: dict[str, Any]) -> None:
    reject = refused({"a": INNER, "list": {"type": "array", "items": {"type": "string"}}}, record)
    assert (str(reject), reject.code, reject.params) == (sentence, code, params)
    assert code in CODES


def refused(members: dict[str, Any], record: dict[str, Any]) -> Reject:
    with pytest.raises(Reject) as caught:
        ObjectSchema.of({"type": "object", "properties": members}).coerce_record(record)
    return caught.value
