"""Įvesk against the warehouse: what ties, and everything that can be wrong, one thing at a time."""

from __future__ import annotations

import json
import os
import sqlite3
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ap_connectors.core.exact import counted
from ap_connectors.core.settings import closest
from ap_connectors.fleet import plugins
from ap_connectors.sandbox.process import SandboxProcess
from ap_connectors.tieout.settings import USED
from tests.campaign import one_in
from tests.tieout.conftest import Tables, TieOut, load_ivesk, run_tieout

STREAM = "exported_documents"
BIG, SHOWN = "1234567890123456789.12", "1,234,567,890,123,456,789.12"


def sums(sandbox: SandboxProcess) -> dict[tuple[str, str, str], dict[str, Any]]:
    """Documents, lines and amounts by company, month and currency, counted by the test itself."""
    found: dict[tuple[str, str, str], dict[str, Any]] = defaultdict(
        lambda: {"documents": 0, "lines": 0, "subtotal": Decimal(0), "vat": Decimal(0), "total": Decimal(0)}
    )
    for one in sandbox.control.documents():
        company = one["buyercode"] if one["buyerisfavorite"] else one["sellercode"]
        row = found[company, one["date"][:7], one["currency"]]
        row["documents"] += 1
        row["lines"] += len(one["lines"])
        for name in ("subtotal", "vat", "total"):
            row[name] += Decimal(one[name])
    return found


def test_all_ties_and_the_sums_are_right(sandbox: SandboxProcess, tie_ivesk: TieOut) -> None:
    result = tie_ivesk(process=True)
    assert (result.status, result.err) == (0, "")
    assert result.report["ties"]
    expected = sums(sandbox)
    rows = result.stream(STREAM)["rows"]
    assert {(row["company"], row["period"], row["currency"]) for row in rows} == expected.keys()
    for row in rows:
        mine = expected[row["company"], row["period"], row["currency"]]
        for side in (row["source"], row["destination"]):
            assert {name: Decimal(side[name]) for name in mine} == mine
    assert (
        f"It ties: {len(sandbox.control.documents())} records of 1 stream; not all was compared, see above."
        in result.out
    )
    assert rows[0]["company"] in result.out


@one_in(3)
@pytest.mark.parametrize(
    "wrong",
    [
        ("delete from exported_documents where id = '{id}'", "missing", "{date} {total} {currency}"),
        (
            "update exported_documents set total = (total::decimal(38, 2) + 0.01)::varchar where id = '{id}'",
            "changed",
            "total {total} became {cent_more}",
        ),
        ("update exported_documents set date = '2019-01-31' where id = '{id}'", "changed", "became 2019-01-31"),
        ("update exported_documents set currency = 'XXX' where id = '{id}'", "changed", "became XXX"),
        ("update exported_documents set vat = null where id = '{id}'", "changed", "became nothing"),
        (
            "insert into exported_documents select * from exported_documents where id = '{id}'",
            "doubled",
            "2 times",
        ),
        (
            "insert into exported_documents select * replace ('a-new-one' as id) from exported_documents "
            "where id = '{id}'",
            "extra",
            "{date} {total} {currency}",
        ),
        (
            "delete from exported_document_lines where document_id = '{id}' and line_number = 1",
            "changed",
            "{lines} became {one_less}",
        ),
        (
            "update exported_document_lines set price = '0.001' where document_id = '{id}' and line_number = 1",
            "changed",
            "its lines differ, though they add up to the same",
        ),
        ("delete from document_files where document_id = '{id}'", "file", "no row in document_files"),
        (
            "update document_files set path = null, error = 'the storage does not have it' where document_id = '{id}'",
            "file",
            "the storage does not have it",
        ),
        (
            "update exported_documents set exportedat = exportedat - interval 1 hour where id = '{id}'",
            "older",
            "its state of",
        ),
    ],
)
def test_one_thing_that_is_wrong_is_found_and_named(
    sandbox: SandboxProcess, ivesk: Tables, tie_ivesk: TieOut, wrong: tuple[str, str, str]
) -> None:
    breaking, kind, words = wrong
    document = sandbox.control.documents()[17]
    total = Decimal(document["total"])
    facts = {
        **{name: document[name] for name in ("id", "date", "currency")},
        "total": f"{total:,.2f}",
        "cent_more": f"{total + Decimal('0.01'):,.2f}",
        "lines": counted(len(document["lines"]), "line"),
        "one_less": len(document["lines"]) - 1,
    }
    ivesk.sql(breaking.format(**facts))
    result = tie_ivesk()
    key = "a-new-one" if kind == "extra" else document["id"]
    assert result.status == 1, result.err
    assert result.found(STREAM)[kind] == (1, [key])
    assert words.format(**facts) in result.words(STREAM, kind)[0]
    # What of a line differs is named beside.
    beside = {"file", "field"} if "_lines" in breaking else {"file"}
    assert beside | {kind} >= result.found(STREAM).keys()
    assert "It does NOT tie: exported_documents." in result.out
    assert key in result.out
    assert document["docnum"] in result.out


def test_sums_show_what_a_cent_changes(sandbox: SandboxProcess, ivesk: Tables, tie_ivesk: TieOut) -> None:
    document = sandbox.control.documents()[3]
    ivesk.sql(
        "update exported_documents set total = (total::decimal(38, 2) - 0.01)::varchar where id = '"
        + document["id"]
        + "'"
    )
    result = tie_ivesk()
    currency = document["currency"]
    ours, theirs = (Decimal(result.amount(STREAM, currency, side)) for side in ("source", "destination"))
    assert ours - theirs == Decimal("0.01")
    (row,) = [row for row in result.stream(STREAM)["rows"] if not row["ties"]]
    assert (row["period"], row["currency"]) == (document["date"][:7], currency)
    assert "-0.01" in result.out
    assert "DOES NOT TIE" in result.out


def test_nineteen_digits_stay_nineteen(sandbox: SandboxProcess, ivesk: Tables, tie_ivesk: TieOut) -> None:
    amounts = {"subtotal": BIG, "vat": "0.00", "total": BIG}
    sandbox.control.add(2, overrides=amounts | {"currency": "SEK"}, line_overrides=amounts)
    load_ivesk(sandbox, ivesk)
    result = tie_ivesk("--allow", "header")
    assert result.status == 0, result.out
    others = sum(Decimal(one["total"]) for one in sandbox.control.documents() if one["currency"] == "SEK")
    assert Decimal(result.amount(STREAM, "SEK", "destination")) == others
    assert others > 2 * Decimal(BIG) - 1
    ivesk.sql(f"update exported_documents set total = '{BIG[:-1]}3' where total = '{BIG}'")
    broken = tie_ivesk("--allow", "header")
    assert broken.status == 1
    assert broken.found(STREAM)["changed"][0] == 2
    assert f"total {SHOWN} became {SHOWN[:-1]}3" in broken.words(STREAM, "changed")


def test_header_that_its_lines_do_not_make_up(sandbox: SandboxProcess, ivesk: Tables, tie_ivesk: TieOut) -> None:
    (id_,) = sandbox.control.add(1, overrides={"total": "10000000.00"})
    load_ivesk(sandbox, ivesk)
    result = tie_ivesk()
    assert result.status == 1
    assert result.found(STREAM) == {"header": (1, [id_])}
    assert "total 10,000,000.00, its lines add up to" in result.words(STREAM, "header")[0]
    assert tie_ivesk("--allow", "header").status == 0


def test_what_came_after_the_load_is_left_out(sandbox: SandboxProcess, ivesk: Tables, tie_ivesk: TieOut) -> None:
    before = len(sandbox.control.documents())
    sandbox.control.add(3, export=True)
    again = [one["id"] for one in sandbox.control.documents()[:2]]
    sandbox.control.export(again)
    result = tie_ivesk()
    assert (result.status, result.stream(STREAM)["newer_left_out"]) == (0, 5), result.out
    assert result.stream(STREAM)["documents"] == {"source": before - 2, "destination": before - 2}
    assert "5 newer left out" in result.out
    now = tie_ivesk("--until", "now")
    assert now.status == 1
    assert now.found(STREAM)["missing"][0] == 3
    assert sorted(now.found(STREAM)["older"][1]) == sorted(again)


def test_since_leaves_out_on_both_sides(sandbox: SandboxProcess, ivesk: Tables, tie_ivesk: TieOut) -> None:
    documents = sandbox.control.documents()
    since = documents[40]["exportedat"]
    wanted = [one for one in documents if one["exportedat"] >= since]
    ivesk.sql(f"delete from exported_documents where id = '{documents[5]['id']}'")
    result = tie_ivesk("--since", since)
    assert result.status == 0, result.out
    assert result.stream(STREAM)["documents"]["source"] == len(wanted)
    assert tie_ivesk(start_date=since).stream(STREAM)["documents"]["destination"] == len(wanted)


def test_lines_of_older_exports_do_not_count(sandbox: SandboxProcess, ivesk: Tables, tie_ivesk: TieOut) -> None:
    ivesk.sql(
        "insert into exported_document_lines select * replace (exportedat - interval 1 day as exportedat, 99 as "
        "line_number) from exported_document_lines limit 4"
    )
    result = tie_ivesk()
    assert result.status == 0
    assert "4 lines of older exports left over" in result.out


def test_only_the_companies_that_the_tap_loads(sandbox: SandboxProcess, ivesk: Tables, tie_ivesk: TieOut) -> None:
    code = sandbox.control.documents()[0]["buyercode"]
    result = tie_ivesk(company_codes=[code])
    assert result.status == 0
    assert {row["company"] for row in result.stream(STREAM)["rows"]} == {code}


def test_only_the_kinds_that_the_tap_loads(ivesk: Tables, tie_ivesk: TieOut) -> None:
    kinds = ["Invoice", "creditnote"]
    whole = tie_ivesk(doctype=kinds)
    assert whole.status == 0
    # What the tap would leave out is not missing.
    ivesk.sql("delete from exported_documents where doctype not in ('invoice', 'creditnote')")
    result = tie_ivesk(doctype=kinds)
    assert result.status == 0
    assert result.stream(STREAM)["documents"]["source"] == whole.stream(STREAM)["documents"]["source"] > 0
    assert tie_ivesk().status == 1


def test_a_warehouse_without_lines_and_files_says_so(ivesk: Tables, tie_ivesk: TieOut) -> None:
    ivesk.sql("drop table exported_document_lines", "drop table document_files")
    result = tie_ivesk()
    assert result.status == 0
    assert "lines are not compared" in result.out
    assert "Files are not in the warehouse" in result.out
    assert result.stream(STREAM)["currencies"][0]["source"]["lines"] is None


def test_an_amount_that_is_none(sandbox: SandboxProcess, ivesk: Tables, tie_ivesk: TieOut) -> None:
    key = sandbox.control.documents()[0]["id"]
    ivesk.sql(f"update exported_documents set total = '12,50' where id = '{key}'")
    result = tie_ivesk()
    assert result.status == 1
    assert result.found(STREAM)["changed"] == (1, [key])


def test_named_are_so_many_as_asked_for(sandbox: SandboxProcess, ivesk: Tables, tie_ivesk: TieOut) -> None:
    ivesk.sql("delete from document_files")
    result = tie_ivesk("--named", "3", "--brief", documents_dir="files")
    count, named = result.found(STREAM)["file"]
    assert (count, len(named)) == (len(sandbox.control.documents()), 3)
    assert f"and {count - 3} more" in result.out


def test_json_is_the_report(tie_ivesk: TieOut) -> None:
    result = tie_ivesk("--format", "json")
    assert json.loads(result.out) == result.report


@pytest.mark.parametrize("kind", ["DOUBLE", "FLOAT"])
def test_doubles_are_not_compared(ivesk: Tables, tie_ivesk: TieOut, kind: str) -> None:
    ivesk.sql(f"alter table exported_documents alter vat type {kind}")
    result = tie_ivesk()
    assert result.status == 2
    assert result.out == ""
    assert f"keeps exported_documents.vat as {kind}" in result.err


def test_decimals_are_exact_too(ivesk: Tables, tie_ivesk: TieOut) -> None:
    ivesk.sql("alter table exported_documents alter total type decimal(38, 9)")
    assert tie_ivesk().status == 0


@pytest.mark.parametrize(
    ("breaking", "said"),
    [
        ("drop table exported_documents", "Has the job ivesk-to-warehouse run?"),
        ("alter table exported_documents drop total", "has no column total"),
        (
            "create schema acme; create table acme.exported_documents as select * from exported_documents; "
            "drop table exported_documents",
            "in the schema acme: set --schema",
        ),
    ],
)
def test_a_warehouse_that_lacks_something(ivesk: Tables, tie_ivesk: TieOut, breaking: str, said: str) -> None:
    ivesk.sql(breaking)
    result = tie_ivesk()
    assert result.status == 2
    assert said in result.err
    assert len(result.err.splitlines()) == 1


def test_schema_of_another_company(ivesk: Tables, tie_ivesk: TieOut) -> None:
    ivesk.sql(
        "create schema acme",
        *(
            f"create table acme.{name} as select * from ivesk.{name}"
            for name in ("exported_documents", "exported_document_lines", "document_files")
        ),
        "drop schema ivesk cascade",
    )
    assert tie_ivesk("--schema", "acme").status == 0


def test_another_database(sandbox: SandboxProcess, ivesk: Tables, tmp_path: Path) -> None:
    path = tmp_path / "warehouse.sqlite"
    with sqlite3.connect(path) as connection:
        for name in ("exported_documents", "exported_document_lines"):
            columns = [row[0] for row in ivesk.sql(f"describe {name}")]
            connection.execute(f"create table {name} ({', '.join(columns)})")
            rows = ivesk.sql(f"select {', '.join(f'{column}::varchar' for column in columns)} from {name}")
            connection.executemany(f"insert into {name} values ({', '.join('?' for _ in columns)})", rows)
    settings = {"api_key": sandbox.api_key, "api_url": sandbox.ivesk_url}
    command = ("ivesk-warehouse", "--warehouse", f"sqlite:///{path}", "--schema", "main")
    assert run_tieout(tmp_path, settings, *command).status == 0
    with sqlite3.connect(path) as connection:
        connection.execute("update exported_documents set total = total || '1' where rowid = 5")
    assert run_tieout(tmp_path, settings, *command).found(STREAM)["changed"][0] == 1
    connection.close()


def test_a_database_that_cannot_be_reached(sandbox: SandboxProcess, tie_ivesk: TieOut) -> None:
    wrong = ("sqlite:////no/such/folder/file", "nonsense://user:a-secret-word@127.0.0.1/x", "://")
    for url in wrong:
        result = tie_ivesk("--warehouse", url)
        assert result.status == 2
        assert "--warehouse" in result.err
        assert "a-secret-word" not in result.err


def test_a_file_that_somebody_writes_to(ivesk: Tables, tie_ivesk: TieOut, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AP_DUCKDB_WAIT", "0.2")
    with duckdb.connect(str(ivesk.path)):
        result = tie_ivesk(process=True)
    assert result.status == 2
    assert f"process {os.getpid()}); waiting until it is free, 0.2 s at most." in result.err
    assert f"process {os.getpid()}), which did not let go of it." in result.err


def test_no_warehouse(tmp_path: Path, ivesk: Tables, tie_ivesk: TieOut) -> None:
    ivesk.path.write_bytes(b"no database")
    assert "is not a DuckDB file" in tie_ivesk().err
    ivesk.path.unlink()
    result = tie_ivesk()
    assert result.status == 2
    assert "there is no such file" in result.err


@one_in(3)
@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"api_key": "a-wrong-secret-key"}, "the api_key is not accepted"),
        ({"api_key": ""}, "api_key is missing"),
        ({"api_url": "ftp://nowhere"}, "api_url"),
        ({"start_date": "yesterday"}, "--since"),
        ({"company_codes": "1"}, "company_codes must be a list"),
        ({"request_timeout": "x"}, "request_timeout must be a number"),
        ({"company_cods": ["1"]}, "company_cods is not a setting; did you mean company_codes?"),
    ],
)
def test_settings_that_cannot_be(tie_ivesk: TieOut, changed: dict[str, Any], said: str) -> None:
    result = tie_ivesk(process=changed.keys() == {"api_key"}, **changed)
    assert result.status == 2
    assert said in result.err
    assert "a-wrong-secret-key" not in result.err + result.out
    assert "Traceback" not in result.err


@pytest.mark.long
def test_settings_from_the_environment(sandbox: SandboxProcess, tie_ivesk: TieOut) -> None:
    env = {"TAP_IVESK_API_KEY": sandbox.api_key, "TAP_IVESK_API_URL": sandbox.ivesk_url}
    assert tie_ivesk("--config=ENV", env=env).status == 0
    assert tie_ivesk("--config=ENV", env={}).status == 2
    said = tie_ivesk("--config=ENV", env={**env, "TAP_IVESK_COMPANY_COD": "[1]"}).err
    assert "TAP_IVESK_COMPANY_COD sets nothing; did you mean TAP_IVESK_COMPANY_CODES?" in said
    assert "did you mean --config?" in tie_ivesk("--cofig=ENV", env=env).err


def test_no_setting_of_a_plugin_is_taken_for_a_misspelt_one() -> None:
    for plugin, ours in USED.items():
        theirs = [name for name in plugins.schema(plugin)["properties"] if name not in ours]
        assert [name for name in theirs if closest(name, ours)] == []


def test_an_outage(sandbox: SandboxProcess, tie_ivesk: TieOut) -> None:
    sandbox.control.fault("status", path="/ivesk", status=404)
    result = tie_ivesk()
    assert result.status == 2
    assert "not found" in result.err


def test_an_empty_warehouse_does_not_tie(sandbox: SandboxProcess, ivesk: Tables, tie_ivesk: TieOut) -> None:
    ivesk.sql("delete from exported_documents", "delete from exported_document_lines")
    result = tie_ivesk()
    assert result.status == 1
    assert result.found(STREAM)["missing"][0] == len(sandbox.control.documents())
