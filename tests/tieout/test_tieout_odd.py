"""Warehouses that users and other loaders have filled: odd types and spellings, views, tables without rights."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests.postgresql import empty_database, needs_postgresql
from tests.tieout.conftest import IVESK_DOCUMENT, IVESK_LINE, Result, Tables, TieOut, load_ivesk, run_tieout

STREAM = "exported_documents"
SAME = (
    "alter table exported_documents alter date type timestamp using date::timestamp",
    "alter table exported_documents alter buyerisfavorite type integer using buyerisfavorite::integer",
    "alter table exported_documents alter sellerisfavorite type varchar using upper(sellerisfavorite::varchar)",
    "alter table exported_documents alter total type json using total::json",
    "alter table exported_documents alter vat type decimal(38,9) using vat::decimal(38,9)",
    "alter table exported_documents alter docnum type json using to_json(docnum)",
    'alter table exported_documents rename subtotal to "SubTotal"',
    "alter table exported_documents alter exportedat type varchar using replace(exportedat::varchar, ' ', 'T') || 'Z'",
    "create table kept as select * from exported_document_lines; drop table exported_document_lines; "
    "create view exported_document_lines as select * from kept",
    "create table \"Sąskaitų žurnalas ŽŪ\" as select '\\xAA'::blob as b, interval 1 day as i, uuid() as u, [1] as l",
)


def test_what_is_kept_in_another_type_ties(ivesk: Tables, tie_ivesk: TieOut) -> None:
    ivesk.sql(*SAME)
    result = tie_ivesk()
    assert result.status == 0, result.out + result.err
    assert "sąskaitų žurnalas žū" in " ".join(result.report["not_compared"])
    least = "(select min(id) from exported_documents)"
    ivesk.sql(f"update exported_documents set date = date + interval 1 hour where id = {least}")
    (words,) = tie_ivesk("--no-fields").words(STREAM, "changed")
    assert words.startswith("date ")


def test_what_is_no_amount_in_the_warehouse(sandbox: SandboxProcess, ivesk: Tables, tie_ivesk: TieOut) -> None:
    """Also where the service has no amount: no sum can tell that."""
    (empty,) = sandbox.control.add(1, overrides={"total": None}, export=True)
    load_ivesk(sandbox, ivesk)
    ids = [one["id"] for one in sandbox.control.documents()]
    held = dict(zip(ids, ("NaN", "1,50", "1.50-", "Infinity", "1e3"), strict=False))
    held[empty] = "NaN"
    ivesk.sql(*(f"update exported_documents set total = '{odd}' where id = '{id_}'" for id_, odd in held.items()))
    lines = "update exported_document_lines set vat = '0,0' where document_id = '{}'"
    other = ids[20]
    ivesk.sql(lines.format(other))
    result = tie_ivesk("--no-fields")
    told = dict(zip(result.found(STREAM)["changed"][1], result.words(STREAM, "changed"), strict=True))
    assert told.keys() == {*held, other}
    assert told.pop(other).endswith("the destination's line has: vat is '0,0'")
    for id_, odd in held.items():
        assert told[id_].endswith("became 1,000.00" if odd == "1e3" else f"the destination's total is '{odd}'")


def test_what_cannot_be_read_is_named(ivesk: Tables, tie_ivesk: TieOut) -> None:
    rows = "alter table exported_document_lines rename to kept", "create view exported_document_lines as select "
    for columns in ("*, error('odd') as x from kept", "*, name::integer as x from kept", "x.* from kept as x, gone"):
        with ivesk.broken(
            rows[0],
            "create table gone as select 1 as one",
            rows[1] + columns,
            *(["drop table gone"] if "gone" in columns else []),
        ):
            result = tie_ivesk()
            assert (result.status, result.out) == (2, ""), columns
            assert 'DuckDB cannot read "warehouse"."ivesk"."exported_document_lines": ' in result.err


def test_keys_that_are_null_and_rows_that_are_not_there(ivesk: Tables, tie_ivesk: TieOut) -> None:
    change = "update {} set {} = null"
    with ivesk.broken(
        change.format("exported_documents", "id"), change.format("exported_document_lines", "document_id")
    ):
        result = tie_ivesk()
        assert result.status == 1
        found = result.found(STREAM)
        assert found["missing"][0] == found["extra"][0] > 50
        assert "older" not in result.out.replace("older exports left", "")
        for currency in ("EUR", "NOK"):
            totals = [result.amount(STREAM, currency, side) for side in ("source", "destination")]
            assert totals[0] == totals[1]
    with ivesk.broken("delete from exported_documents", "delete from exported_document_lines"):
        result = tie_ivesk()
        assert result.status == 1
        assert result.found(STREAM).keys() == {"missing"}


@pytest.fixture
def server(sandbox: SandboxProcess, ivesk: Tables, tmp_path: Path) -> Iterator[Server]:
    """The same tables on PostgreSQL, typed as somebody may have done it."""
    url = empty_database("odd")
    with psycopg.connect(url, autocommit=True) as connection:
        yield Server(connection, url, sandbox, ivesk, tmp_path)


class Server:
    def __init__(
        self, connection: psycopg.Connection[Any], url: str, sandbox: SandboxProcess, ivesk: Tables, folder: Path
    ) -> None:
        self.url, self._connection, self._sandbox, self._folder = url, connection, sandbox, folder
        self.sql("create schema ivesk")
        for table, typed in (("exported_documents", IVESK_DOCUMENT), ("exported_document_lines", IVESK_LINE)):
            kinds = {name.lower(): "numeric" if kind == "hugeint" else kind for name, kind in typed.items()}
            self.sql(f"create table ivesk.{table} ({', '.join(f'{name} {kind}' for name, kind in kinds.items())})")
            rows = ivesk.sql(f"select {', '.join(kinds)} from {table}")
            with connection.cursor() as cursor:
                cursor.executemany(f"insert into ivesk.{table} values ({', '.join(['%s'] * len(kinds))})", rows)

    def sql(self, *statements: str) -> None:
        for statement in statements:
            self._connection.execute(statement.encode())

    def tie(self, *arguments: str, url: str = "") -> Result:
        settings = {"api_key": self._sandbox.api_key, "api_url": self._sandbox.ivesk_url}
        return run_tieout(
            self._folder, settings, "ivesk-warehouse", "--warehouse", url or self.url, "--schema", "ivesk", *arguments
        )


@needs_postgresql
def test_postgresql_as_somebody_has_filled_it(server: Server) -> None:
    change = "alter table ivesk.exported_documents alter {0} type {1} using {0}::{1}"
    server.sql(
        "create type ivesk.currency as enum ('EUR', 'eur', 'USD', 'GBP', 'NOK', 'PLN', 'SEK', 'VND')",
        "create domain ivesk.money as numeric; create domain ivesk.rough as double precision",
        *(
            change.format(name, kind)
            for name, kind in (
                ("currency", "ivesk.currency"),
                ("total", "ivesk.money"),
                ("vat", "numeric"),
                ("subtotal", "jsonb"),
                ("date", "timestamptz"),
                ("docnum", "char(40)"),
            )
        ),
        "alter table ivesk.exported_documents alter buyerisfavorite type integer using buyerisfavorite::integer",
        'create table ivesk."Sąskaitų žurnalas" as select 1 as a',
        "create view ivesk.exported_digits as select 1 / 0 as a",
    )
    result = server.tie()
    assert result.status == 0, result.out + result.err
    least = "where id = (select min(id) from ivesk.exported_documents)"
    server.sql(
        f"update ivesk.exported_documents set currency = 'eur' {least}",
        f"update ivesk.exported_documents set total = 'NaN', vat = 1e60 + 0.000000001 {least}",
    )
    (words,) = server.tie().words(STREAM, "changed")
    assert "the destination's total is 'NaN'" in words
    assert f"became 1{',000' * 20}.000000001" in words
    server.sql(change.format("vat", "ivesk.rough"))
    assert "vat as DOUBLE PRECISION: digits are lost already" in server.tie().err


@needs_postgresql
def test_names_that_differ_in_capitals_only(server: Server) -> None:
    server.sql(
        'create table ivesk."Exported_documents" as select * from ivesk.exported_documents limit 3',
        'create table ivesk."EXPORTED_documents" as select * from ivesk.exported_documents limit 3',
        'create schema "IVESK"; create table "IVESK".document_files (document_id text, path text)',
        "insert into \"IVESK\".document_files values ('x', 'x')",
    )
    result = server.tie()
    assert result.status == 0, result.out + result.err
    server.sql('alter table ivesk.exported_documents add "Total" numeric default 1')
    result = server.tie()
    assert result.status == 2
    assert "has the columns total and Total, which differ in capitals only" in result.err


@needs_postgresql
def test_postgresql_that_does_not_let_in(server: Server) -> None:
    reader = f"reader_{os.getpid()}"
    server.sql(
        f"create role {reader} login password 'a-secret-word'",
        f"grant usage on schema ivesk to {reader}",
        f"grant select on ivesk.exported_documents to {reader}",
    )
    forbidden = server.tie(url=server.url.replace("tester@", f"{reader}:a-secret-word@"))
    server.sql(f"drop owned by {reader}; drop role {reader}")
    server.sql(
        "alter table ivesk.exported_document_lines rename to held",
        "create view ivesk.exported_document_lines as select *, 1 / (line_number - 1) as x from ivesk.held",
    )
    failing = server.tie()
    for result, said in (
        (forbidden, 'cannot read "ivesk"."exported_document_lines": permission denied'),
        (failing, 'cannot read "ivesk"."exported_document_lines": division by zero'),
    ):
        assert (result.status, result.out) == (2, "")
        assert said in result.err
        assert "Unexpected" not in result.err
        assert "password" not in result.err


@needs_postgresql
def test_a_database_that_knows_no_letters(sandbox: SandboxProcess, ivesk: Tables, tmp_path: Path) -> None:
    """SQL_ASCII: PostgreSQL hands out the bytes that it was given."""
    url = empty_database("letters")
    other = urlsplit(url)._replace(path=f"{urlsplit(url).path}_ascii").geturl()
    with psycopg.connect(url, autocommit=True) as connection:
        name = urlsplit(other).path[1:]
        connection.execute(f'drop database if exists "{name}" with (force)'.encode())
        connection.execute(f"create database \"{name}\" encoding 'SQL_ASCII' template template0 locale 'C'".encode())
    with psycopg.connect(other, autocommit=True, client_encoding="UTF8") as connection:
        server = Server(connection, other, sandbox, ivesk, tmp_path)
        result = server.tie()
        assert result.status == 0, result.out + result.err
        connection.execute("update ivesk.exported_documents set docnum = E'\\xe6'")
        result = server.tie()
        assert (result.status, result.out) == (2, "")
        assert 'cannot read "ivesk"."exported_documents": ' in result.err
        assert "Unexpected" not in result.err
