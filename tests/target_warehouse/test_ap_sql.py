"""`ap-sql` shows an answer whole, and writes nothing."""

from __future__ import annotations

import pytest

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
