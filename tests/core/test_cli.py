"""The frame of the commands that are not Singer plugins: how they end, and what they say then."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest

from ap_connectors.core import cli, raw_json

PROGRAM = """
import os, signal, sys
from ap_connectors.core import cli
from ap_connectors.core.errors import Stop

def run(given):
    if given.what == "stop":
        raise Stop("The key is wrong. Set it.")
    if given.what == "interrupt":
        signal.raise_signal(signal.SIGINT)
    if given.what == "pipe":
        print("x" * 100_000)
    return {"key": 4, "pipe": 0}[given.what]

parser = cli.parser("ap-test", "Test.")
parser.add_argument("what")
cli.runs(parser, run, **eval(sys.argv.pop()))
sys.exit(cli.main(parser))
"""


def ended(*arguments: str, more: str = "{}", level: str = "") -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments, more],
        capture_output=True,
        encoding="utf-8",
        timeout=30,
        env={"LOGLEVEL": level},
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("what", "status", "said"),
    [
        ("key", 4, ""),
        ("stop", 1, "ap-test: The key is wrong. Set it.\n"),
        ("other", 1, "ap-test: Unexpected KeyError; run with --log-level=debug to see where.\n"),
        ("interrupt", 130, "ap-test: Interrupted.\n"),
    ],
)
def test_every_end_has_its_status_and_at_most_one_line(what: str, status: int, said: str) -> None:
    assert ended(what) == (status, "", said)


def test_an_error_of_ours_says_where_it_came_up() -> None:
    with pytest.raises(TypeError) as caught:
        raw_json.text({}, cast("str", []))
    said = cli.unexpected(caught.value)
    place = r"\(ap_connectors\.core\.raw_json, line \d+\)"
    assert re.fullmatch(rf"Unexpected TypeError {place}; run with --log-level=debug to see where\.", said), said


def test_a_command_chooses_the_statuses_of_its_troubles() -> None:
    assert [ended(what, more="dict(failed=2, interrupted=3)")[0] for what in ("stop", "other", "interrupt")] == [
        2,
        2,
        3,
    ]


@pytest.mark.parametrize(("arguments", "level"), [(["--log-level=debug"], "error"), ([], "DEBUG")])
def test_debug_shows_where_an_error_comes_from(arguments: list[str], level: str) -> None:
    status, _, said = ended("other", *arguments, level=level)
    assert status == 1
    assert "Traceback" in said
    assert said.endswith("ap-test: Unexpected KeyError; run with --log-level=debug to see where.\n")


@pytest.mark.parametrize("level", ["", "info", "odd"])
def test_no_other_level_shows_a_traceback(level: str) -> None:
    assert "Traceback" not in ended("other", level=level)[2]


def test_a_reader_that_has_enough_ends_the_command_quietly() -> None:
    """As `head` has; status 141 as with other commands, for whether all is well was not said."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "pipe", "{}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        said = process.stderr.read().decode()
    assert (process.returncode, said) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_told_once() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, "pipe", "{}"], stdout=full, stderr=subprocess.PIPE, timeout=30
        )
    assert done.returncode == 1
    assert done.stderr.decode().startswith("ap-test: Writing or reading failed: No space left on device; run with")
    assert done.stderr.count(b"\n") == 1


def test_the_version_is_the_distribution_s() -> None:
    status, out, _ = ended("--version")
    assert (status, out.startswith("ap-test "), out.count("\n")) == (0, True, 1)


def test_an_interrupt_while_parts_are_loaded_is_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "parts.py").write_text("import signal\nsignal.raise_signal(signal.SIGINT)\n", encoding="utf-8")
    code = "import sys; from ap_connectors.core import cli; sys.exit(cli.start('ap-test', 'test', 'parts'))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        encoding="utf-8",
        timeout=30,
        env={"PYTHONPATH": str(tmp_path)},
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "ap-test: Interrupted.\n")


def test_a_command_that_is_missing_is_told_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    for metavar in ("COMMAND", None):
        parser = cli.parser("ap-test", "Test.")
        commands = parser.add_subparsers(dest="what", required=True, metavar=metavar)
        commands.add_parser("run")
        commands.add_parser("check")
        with pytest.raises(SystemExit):
            parser.parse_args([])
        assert f"are required: {metavar or 'what'}, one of run, check\n" in capsys.readouterr().err
