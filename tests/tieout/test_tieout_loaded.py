"""tap → target-warehouse → ap-tieout, all of them real, into DuckDB and into PostgreSQL."""

from __future__ import annotations

import contextlib
import json
import random
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests import preloaded
from tests.campaign import one_in, seeds
from tests.conftest import catalogs, discovered, runner
from tests.postgresql import empty_database, needs_postgresql
from tests.tieout.conftest import run_tieout, vic_settings

FILES = {"invoice_documents", "training_invoice_documents", "document_files"}


class Loaded:
    """A warehouse that target-warehouse has made."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder

    def load(self, lines: list[str], schema: str, **settings: Any) -> None:
        config = self.folder / "warehouse.json"
        config.write_text(json.dumps({"database": self.url, "schema": schema, **settings}), encoding="utf-8")
        config.chmod(0o600)
        command = [sys.executable, "-m", "target_warehouse", "--config", str(config)]
        done = preloaded.run(command, input="".join(f"{line}\n" for line in lines).encode())
        assert done.returncode == 0, done.stderr.decode()[-3000:]

    @contextlib.contextmanager
    def connected(self) -> Iterator[Any]:
        if "://" in self.url:
            with psycopg.connect(self.url, autocommit=True) as connection:
                yield connection
        else:
            with duckdb.connect(self.url) as connection:
                yield connection

    def sql(self, *statements: str) -> list[tuple[Any, ...]]:
        with self.connected() as connection:
            for statement in statements:
                found = connection.execute(statement)
            return list(found.fetchall()) if found.description and statement.startswith("select") else []


@pytest.fixture(params=["duckdb", pytest.param("postgresql", marks=needs_postgresql)])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Loaded:
    url = empty_database("tieout") if request.param == "postgresql" else str(tmp_path / "a b.duckdb")
    return Loaded(url, tmp_path)


def everything(module: str) -> tuple[str, ...]:
    streams = json.loads(discovered(module))["streams"]
    return tuple(name for one in streams if (name := one["tap_stream_id"]) not in FILES)


@pytest.mark.long
def test_vic_as_it_is_loaded(vicai: SandboxProcess, warehouse: Loaded, tmp_path: Path) -> None:
    vicai.control.vicai.options(extra_fields=True)
    tap = runner("tap_vicai", tmp_path, vic_settings(vicai))
    streams = everything("tap_vicai")
    vicai.control.vicai.delete("invoices", [vicai.control.vicai.records("invoices")[0]["internalId"]])
    run = tap(catalog=catalogs("tap_vicai")(*streams), company_ids=["ALL"])
    warehouse.load(run.lines, "vic", company="acme")

    def tie(*arguments: str) -> Any:
        command = ("vic-warehouse", "--warehouse", warehouse.url, "--schema", "vic", *arguments)
        return run_tieout(tmp_path, vic_settings(vicai), *command)

    before = tie("--company", "acme")
    assert before.status == 0, before.out
    compared = {one["stream"] for one in before.report["streams"]}
    loaded = {stream for stream in streams if run.records[stream]}
    assert {"companies", "company_invoices"} <= loaded
    left = loaded - compared - {"company", "purchase_order_line_items"}
    assert not left, f"ap-tieout does not compare {left}: MASTER_DATA of tieout/vic_streams.py lacks a row"
    assert not [one for one in before.report["not_compared"] if "Tables" in one]

    ((key,),) = warehouse.sql(
        'select "internalId" from vic.invoices where cast("lineItems" as varchar) like \'%"description":"%\' '
        "order by 1 limit 1"
    )
    warehouse.sql(
        f"update vic.invoices set \"status\" = 'X', \"dueDate\" = '1999-01-01' where \"internalId\" = '{key}'",
        'update vic.invoices set "lineItems" = cast(replace(cast("lineItems" as varchar), \'"description":"\', '
        f'\'"description":"X\') as json) where "internalId" = \'{key}\'',
        "update vic.vat_codes set rate = rate + 0.000000001 where code = (select min(code) from vic.vat_codes)",
        "update vic.payments set \"voidedAt\" = '2026-01-01T00:00:00Z' where id = (select min(id) from vic.payments)",
        "delete from vic.tags where id = (select min(id) from vic.tags)",
        "update vic.accounts set _sdc_deleted_at = now() where number = (select min(number) from vic.accounts)",
    )
    after = tie()
    assert after.status == 1
    (words,) = after.words("invoices", "field")
    assert after.found("invoices")["field"] == (1, [key])
    assert "status POSTED became X" in words
    assert "became 1999-01-01" in words
    assert "lineItems[0].description " in words
    (rate,) = after.words("vat_codes", "field")
    assert rate.startswith("rate ")
    assert "voidedAt " in after.words("payments", "field")[0]
    assert "became 2026-01-01 00:00:00+00" in after.words("payments", "field")[0]
    assert after.found("tags")["missing"][0] == 1
    assert after.found("accounts")["missing"][0] == 1


@one_in(2)
def test_ivesk_as_it_is_loaded(sandbox: SandboxProcess, warehouse: Loaded, tmp_path: Path) -> None:
    settings = {"api_key": sandbox.api_key, "api_url": sandbox.ivesk_url}
    tap = runner("tap_ivesk", tmp_path, settings)
    run = tap(catalog=catalogs("tap_ivesk")(*(name for name in everything("tap_ivesk") if name != "columns")))
    warehouse.load(run.lines, "documents")
    command = ("ivesk-warehouse", "--warehouse", warehouse.url, "--schema", "documents")
    before = run_tieout(tmp_path, settings, *command)
    assert before.status == 0, before.out
    least = "(select min(id) from documents.exported_documents)"
    warehouse.sql(
        f"update documents.exported_documents set total = total + 0.000000001 where id = {least}",
        f"update documents.exported_document_lines set vatclass = 'X' where document_id = {least} and line_number = 1",
    )
    after = run_tieout(tmp_path, settings, *command)
    assert after.status == 1
    assert after.found("exported_documents")["changed"][0] == 1
    assert any("vatclass " in words for words in after.words("exported_documents", "field"))


_ODD: dict[str, tuple[str, ...]] = {
    "json": ("null", "[]", "{}", '"a"', "1", "true", "[null]", '[{"amount": []}]', '[{"amount": null}]', '""'),
    "text": ("", "x", "1e5", "NaN", "2026-13-45", "[]", "null", " ", "2026-01-01T00:00:00", "Infinity", "-"),
}


def _make_odd(warehouse: Loaded, dice: random.Random, tables: Iterable[str]) -> list[str]:
    """Damage tables: null, blank, another type, no rows, rows twice, infinity; return how."""
    types = (
        "select table_name, column_name, lower(data_type) from information_schema.columns where table_schema = 'vic'"
    )
    columns = sorted(one for one in warehouse.sql(types) if one[0] in tables)
    done = []
    for table, column, type_ in dice.sample(columns, 40):
        where = f'vic."{table}"'
        values = _ODD["json" if type_ == "json" else "text"]
        odd = dice.choice(values).replace("'", "''")
        ways = [f'update {where} set "{column}" = null', f'delete from {where} where "{column}" is not null']
        if type_ == "json":
            ways = [f"update {where} set \"{column}\" = '{odd}'"] * 3
        elif type_.startswith(("timestamp", "date")):
            ways.append(f"update {where} set \"{column}\" = 'infinity'")
        elif type_ not in {"text", "varchar"}:
            ways.append(f'alter table {where} alter column "{column}" type varchar using cast("{column}" as varchar)')
        else:
            ways += [f"update {where} set \"{column}\" = '{odd}'"] * 3
        statement = dice.choice(ways)
        # What a key or a type forbids does not happen.
        with contextlib.suppress(duckdb.Error, psycopg.Error):
            warehouse.sql(statement)
            done.append(statement)
    return done


@pytest.mark.long
@seeds(range(20), sample=1)
def test_whatever_the_tables_hold_is_told_in_words(
    vicai: SandboxProcess, warehouse: Loaded, tmp_path: Path, seed: int
) -> None:
    tap = runner("tap_vicai", tmp_path, vic_settings(vicai))
    run = tap(catalog=catalogs("tap_vicai")(*everything("tap_vicai")), company_ids=["ALL"])
    warehouse.load(run.lines, "vic", metadata_columns=True)
    dice = random.Random(seed)
    for _ in range(2):
        done = _make_odd(warehouse, dice, run.records)
        said = run_tieout(
            tmp_path, vic_settings(vicai), "vic-warehouse", "--warehouse", warehouse.url, "--schema", "vic"
        )
        assert done
        assert said.status in {1, 2}, done
        assert "Unexpected" not in said.err, (done, said.err)


@needs_postgresql
def test_postgresql_that_is_not_there(vicai: SandboxProcess, tmp_path: Path) -> None:
    url = "postgresql://user:a-secret-word@127.0.0.1:9/nothing"
    result = run_tieout(tmp_path, vic_settings(vicai), "vic-warehouse", "--warehouse", url)
    assert result.status == 2
    assert "PostgreSQL" in result.err
    assert "a-secret-word" not in result.err + result.out
