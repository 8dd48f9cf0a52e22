"""Settings from files and the environment: read with their types, or named when that cannot be; values never show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from ap_connectors.core import settings
from ap_connectors.core.errors import Stop

PREFIX = "TARGET_TRIAL_"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "dry_run": {"type": ["boolean", "null"]},
        "fraction": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
        "max_rejects": {"type": ["integer", "null"], "minimum": 0},
        "report_path": {"type": ["string", "null"], "minLength": 1},
        "region": {"type": "string", "enum": ["us", "no", "eu"]},
        "company_codes": {"type": ["array", "null"], "items": {"type": ["string"]}},
        "columns": {
            "type": "array",
            "items": {"type": "object", "required": ["code"], "properties": {"code": {"type": "string"}}},
        },
        "rate_limit": {"type": ["object", "null"], "properties": {"requests": {"type": "integer", "minimum": 1}}},
        "table": {"type": ["string", "object", "null"]},
    },
    "required": ["region"],
}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("dry_run", "Yes", True),
        ("dry_run", "1", True),
        ("dry_run", "off", False),
        ("fraction", "0.25", 0.25),
        ("max_rejects", "3", 3),
        ("report_path", "1", "1"),
        ("company_codes", '["302320404", "1"]', ["302320404", "1"]),
        ("company_codes", "302320404,1", ["302320404", "1"]),
        ("company_codes", "302320404", ["302320404"]),
        ("company_codes", "001", ["001"]),
        ("rate_limit", '{"requests": 250}', {"requests": 250}),
        ("table", '{"A": "1"}', {"A": "1"}),
        ("table", '"table.csv"', "table.csv"),
        ("table", "tables/vat.csv", "tables/vat.csv"),
    ],
)
def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch, name: str, text: str, value: Any) -> None:
    monkeypatch.setenv(f"{PREFIX}{name.upper()}", text)
    monkeypatch.setenv(f"{PREFIX}UNKNOWN", "1")
    found = settings.from_environment(SCHEMA["properties"], PREFIX)
    assert (found, type(found[name])) == ({name: value}, type(value))


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("DRY_RUN", "ja", "must be true or false"),
        ("FRACTION", "0,25", "must be a number"),
        ("FRACTION", "nan", "must be a number"),
        ("MAX_REJECTS", "s3cret", "must be a whole number"),
        ("COLUMNS", "[s3cret", "must be JSON"),
        ("RATE_LIMIT", "s3cret", "must be JSON"),
        ("TABLE", '{"A": s3cret}', "must be JSON"),
        ("COMPANY_CODES", "[s3cret", "must be JSON"),
    ],
)
def test_what_cannot_be_read_is_named_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, words: str
) -> None:
    monkeypatch.setenv(PREFIX + name, text)
    with pytest.raises(Stop, match=f"^{PREFIX}{name} {words}.$") as caught:
        settings.from_environment(SCHEMA["properties"], PREFIX)
    assert text not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"region": "s3cret",}', "invalid JSON at line 1, column 21"),
        (b'["s3cret"]', "must be one JSON object."),
        (b'{"region":\n"s3cret\xff"}', ", line 2: is not UTF-8 text."),
        (b'{"region": "s3cret", "region": "us"}', "region is given twice; leave one."),
        (b'{"region": "s3cret", "limit": {"a": 1, "a": 1}}', "a is given twice; leave one."),
        (b" \n", "is empty."),
        (b"[" * 100_000, "is nested too deeply to be read."),
        (b'{"region": ' + b"1" * 5000 + b"}", "has a number with too many digits to be read."),
        (b'{"region": "\0"}', ", line 1: has a NUL character"),
    ],
)
def test_a_file_that_holds_something_else(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(Stop, match=words) as caught:
        settings.read_file(str(path), {})
    assert str(caught.value).startswith(f"--config {path}")
    assert "s3cret" not in str(caught.value)


def test_a_file_is_read_or_missed(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    with pytest.raises(Stop, match=r"config.json: No such file or directory.$"):
        settings.read_file(str(path), {})
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-be"):
        path.write_bytes(json.dumps({"region": "us"}).encode(encoding))
        assert settings.read_file(str(path), {}) == {"region": "us"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "region is missing: set it in the file of --config, or as TARGET_TRIAL_REGION with --config=ENV."),
        ({"region": "s3cret"}, "region must be us, no or eu."),
        ({"region": "us", "dry_run": "s3cret"}, "dry_run must be true or false."),
        ({"region": "us", "table": 7}, "table must be text in quotes or an object."),
        ({"region": "us", "fraction": 1.5}, "fraction must be at most 1."),
        ({"region": "us", "max_rejects": -1}, "max_rejects must be at least 0."),
        ({"region": "us", "report_path": ""}, "report_path must not be empty."),
        ({"region": "us", "rate_limit": {"requests": 0}}, "rate_limit.requests must be at least 1."),
        ({"region": "us", "company_codes": ["1", 2]}, "company_codes[1] must be text in quotes."),
        ({"region": "us", "columns": [{}]}, "columns[0].code is missing: set it in the file of --config."),
    ],
)
def test_what_is_wrong_is_explained(given: dict[str, Any], words: str) -> None:
    assert list(settings.explain(Draft202012Validator(SCHEMA).iter_errors(given), PREFIX)) == [words]


def test_unknown_settings_and_what_was_meant() -> None:
    given = {"dryrun": True, "compnay_codes": [], "colour": "red", "fractions": 1, "fraction": 1}
    assert dict(settings.unknown(given, SCHEMA["properties"])) == {
        "dryrun": "dry_run",
        "compnay_codes": "company_codes",
        "colour": None,
        "fractions": None,  # fraction is set, too
    }
    assert settings.closest("Report_Path", SCHEMA["properties"]) == "report_path"
