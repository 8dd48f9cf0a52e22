"""`ap-sql` shows an answer whole, and writes nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from ap_connectors.core import duckdb_files
from target_warehouse import ask
from tests.target_vicai.conftest import record
from tests.target_warehouse.conftest import Database, Target, raw, schema

LONG = "Žąsis " * 40


def test_a_table_and_csv(target: Target, database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    head = schema("things", {"id": "string", "amount": "number", "words": "string"})
    target([head, raw("things", '{"id": "1", "amount": -12.50}'), record("things", id="2", words=f'{LONG}\n"x", y')])
    query = "select id, amount, words from stored.things order by id"
    assert ask.run([query, "--database", database.url]) == 0
    titles, rule, first, second = capsys.readouterr().out.splitlines()
    assert titles.split() == ["id", "amount", "words"]
    assert set(rule) == {"-", " "}
    assert first.split()[1].startswith("-12.5")
    assert second.endswith(f'{LONG}\\n"x", y')
    assert ask.run(["--csv", query, "--database", database.url]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "id,amount,words"
    assert lines[2:] == [f'2,,"{LONG}', '""x"", y"']


def test_it_only_reads(target: Target, database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    target([schema("things", {"id": "string"}), record("things", id="1")])
    assert ask.run(["delete from stored.things", "--database", database.url]) == 1
    assert ask.run(["select no_such_column from stored.things", "--database", database.url]) == 1
    assert capsys.readouterr().err.count("ap-sql: ") == 2
    assert database.rows("SELECT id FROM things") == [("1",)]


def test_no_database(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("TARGET_WAREHOUSE_DATABASE", raising=False)
    assert ask.run(["select 1"]) == 1
    assert "TARGET_WAREHOUSE_DATABASE" in capsys.readouterr().err
    assert ask.run(["select 1", "--database", "nope.duckdb"]) == 1
    assert "nope.duckdb: there is no such file; the first load of target-warehouse makes it." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("module", "arguments"),
    [("target_warehouse.ask", ["--csv", "select 1 as one"]), ("target_warehouse.views.command", ["list"])],
)
def test_whoever_reads_has_enough(module: str, arguments: list[str], tmp_path: Path) -> None:
    """As `head` has: the status of all commands, and no traceback."""
    duckdb.connect(tmp_path / "w.duckdb").close()
    read, write = os.pipe()
    os.close(read)
    command = [
        sys.executable,
        "-c",
        f"from {module} import main; main()",
        *arguments,
        f"--database={tmp_path}/w.duckdb",
    ]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (done.returncode, done.stderr.decode()) == (141, "")


def test_a_file_of_another_user(tmp_path: Path) -> None:
    """What DuckDB says of it is no matter of its version."""
    error = OSError(f'IO Error: Cannot open file "{tmp_path}/w.duckdb": Permission denied')
    said = str(duckdb_files.trouble(error, str(tmp_path / "w.duckdb")))
    assert "may not read and write the file" in said
    assert "DuckDB 1." not in said


def test_no_progress_is_shown_among_what_a_program_prints(tmp_path: Path) -> None:
    """DuckDB takes a program without a file for a session of a person."""
    code = (
        "import sys; from ap_connectors.core import duckdb_files; file = duckdb_files.connect(sys.argv[1], print); "
        """print(file.execute("SELECT current_setting('enable_progress_bar')").fetchall())"""
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "w.duckdb")], capture_output=True, check=True)
    assert done.stdout == b"[(False,)]\n"
