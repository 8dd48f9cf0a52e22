"""Warehouses as target-warehouse makes them: typed, names as the service writes them, many companies in one schema."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests.tieout.conftest import (
    IVESK_DOCUMENT,
    IVESK_LINE,
    Record,
    Tables,
    TieOut,
    encode,
    run_tieout,
    value,
    vic_settings,
)

INVOICES = {
    **dict.fromkeys(
        ("internalId", "externalId", "currency", "status", "transactionType", "vendorExternalId"), "varchar"
    ),
    **dict.fromkeys(("amountWithoutTax", "amountTax", "totalAmount"), "decimal(38,9)"),
    **dict.fromkeys(("issueDate", "dueDate"), "date"),
    **dict.fromkeys(("lineItems", "vendor", "paymentInfo", "unheardOf"), "json"),
    "internalUpdatedAt": "timestamptz",
    "externalUpdatedAt": "timestamp",
}
LINES = {
    **dict.fromkeys(("invoice_id", "description", "costAccountExternalId"), "varchar"),
    **dict.fromkeys(("invoiceLineItemInfo", "dimensionsExternalIds"), "json"),
    "amount": "decimal(38,9)",
    "index": "bigint",
    "invoice_updated_at": "timestamptz",
}
VENDORS = {
    **dict.fromkeys(("internalId", "externalId", "name", "countryCode"), "varchar"),
    "defaultPaymentInfo": "json",
    "internalUpdatedAt": "timestamptz",
}


class Typed(Tables):
    """Tables with typed columns under the service's own names, and a comment that says who made them."""

    def store(
        self, table: str, columns: Mapping[str, str], records: Iterable[Mapping[str, Any]], company: str | None = None
    ) -> None:
        part = self.path.with_suffix(".json")
        rows = [{name: plain(record.get(name), kind) for name, kind in columns.items()} for record in records]
        part.write_bytes(b"\n".join(map(encode, rows)))
        texts = ", ".join(f"'{name}': 'varchar'" for name in columns)
        casts = ", ".join(f'"{name}"::{kind} as "{name}"' for name, kind in columns.items())
        whose = "" if company is None else f"'{company.replace(chr(39), chr(39) * 2)}' as company, "
        source = f"read_json('{part}', format = 'newline_delimited', columns = {{{texts}}})"
        said = json.dumps({"stream": table, "key": ["internalId"], "by_company": company is not None})
        statement = f"select {whose}{casts}, null::timestamptz as _sdc_deleted_at from {source}"
        there = self.sql(
            f"select count(*) from duckdb_tables() where table_name = '{table}' and schema_name = '{self.schema}'"
        )
        self.sql(
            "set TimeZone = 'UTC'",
            f"insert into {table} {statement}" if there[0][0] else f"create table {table} as {statement}",
            f"comment on table {table} is '{said}'",
            "create table if not exists _state (company varchar, pipeline varchar, state json)",
        )


def plain(given: Any, kind: str) -> str | None:
    """A value as target-warehouse hands it to the database: JSON to the byte, empty text as it is."""
    if kind == "json":
        return None if given is None else encode(given).decode()
    return "" if given == "" else value(given, kind)


def load(vicai: SandboxProcess, typed: Typed, company: str | None = None) -> None:
    control = vicai.control.vicai
    invoices = [one for one in control.records("invoices") if one["status"] == "POSTED"]
    lines = [
        line | {"invoice_id": one["internalId"], "invoice_updated_at": one["internalUpdatedAt"]}
        for one in invoices
        for line in control.line_items(one["internalId"])
    ]
    typed.store("invoices", INVOICES, invoices, company)
    typed.store("invoice_line_items", LINES, lines, company)
    typed.store("vendors", VENDORS, control.records("vendors"), company)


@pytest.fixture
def typed(vicai: SandboxProcess, tmp_path: Path) -> Typed:
    made = Typed(tmp_path / "typed.duckdb", "vicai")
    load(vicai, made)
    return made


@pytest.fixture
def tie(vicai: SandboxProcess, typed: Typed, tmp_path: Path) -> TieOut:
    def run(*arguments: str) -> Any:
        # A file may be called like its schema.
        path = shutil.copy(typed.path, tmp_path / "vicai.duckdb")
        command = ("vic-warehouse", "--warehouse", str(path), *arguments)
        return run_tieout(tmp_path, vic_settings(vicai), *command)

    return run


def test_typed_columns_tie_and_tell(vicai: SandboxProcess, typed: Typed, tie: TieOut) -> None:
    typed.sql("create view invoices_signed as select * from invoices")
    before = tie()
    assert before.status == 0, before.out
    told = " ".join(before.report["not_compared"] + before.stream("invoices")["notes"])
    for name in ("_state", "invoices_signed", "rounds", "Lines of invoices"):
        assert name not in told
    invoices = [one for one in vicai.control.vicai.records("invoices") if one["status"] == "POSTED"]
    a, b, c, d = [one["internalId"] for one in invoices if len(one["lineItems"]) > 1 and one["externalUpdatedAt"]][:4]
    typed.sql(
        f"update invoices set totalAmount = totalAmount + 0.000000001 where internalId = '{a}'",
        f"update invoices set externalUpdatedAt = externalUpdatedAt + interval 1 millisecond where internalId = '{b}'",
        f'update invoices set lineItems = replace(lineItems::varchar, \'"description":"\', \'"description":"X\')::json '
        f"where internalId = '{c}'",
        f"update invoices set dueDate = dueDate + 1 where internalId = '{d}'",
        "update vendors set _sdc_deleted_at = now() where internalId = (select min(internalId) from vendors)",
        "update invoice_line_items set amount = -amount where index = 1 and amount <> 0",
    )
    result = tie()
    assert result.status == 1
    assert result.found("invoices")["changed"] == (1, [a])
    assert "000001" in result.words("invoices", "changed")[0]
    fields = dict(zip(result.found("invoices")["field"][1], result.words("invoices", "field"), strict=True))
    assert fields.keys() == {b, c, d}
    assert fields[b].startswith("externalUpdatedAt ")
    assert "lineItems[0].description " in fields[c]
    assert fields[d].startswith("dueDate ")
    assert result.found("vendors")["missing"][0] == 1
    assert result.stream("vendors")["documents"] == {"source": 40, "destination": 39}
    assert all("amount" in words for words in result.words("invoice_line_items", "field"))


def test_json_columns_hold_texts_and_numbers(vicai: SandboxProcess, typed: Typed, tie: TieOut) -> None:
    """A field without a declared type is a JSON column: a text stands in quotes there."""
    contents = ("plain", "", "12.50", "null", 'with "quotes"', "tru", ["a", {"b": "1.0"}], {"a": None})
    posted = [one["internalId"] for one in vicai.control.vicai.records("invoices") if one["status"] == "POSTED"]
    for id_, content in zip(posted, contents, strict=False):
        vicai.control.vicai.touch("invoices", [id_], unheardOf=content)
    last = posted[len(contents) - 1]
    typed.sql("drop table invoices", "drop table invoice_line_items", "drop table vendors")
    load(vicai, typed)
    result = tie("--no-line-items")
    assert result.status == 0, result.out
    held = typed.sql("select unheardOf from invoices where unheardOf is not null")
    assert len(held) >= len(contents) - 1, "Vic's invoices have them, and so has the table"
    typed.sql(f"update invoices set unheardOf = '\"other\"' where internalId = '{last}'")
    assert tie("--no-line-items").words("invoices", "field") == ['unheardOf {"a":null} became other']


def test_a_state_whose_time_is_lost_and_structures(vicai: SandboxProcess, typed: Typed, tie: TieOut) -> None:
    for odd in ("null", "'infinity'"):
        with typed.broken(f"update invoices set internalUpdatedAt = {odd} where internalId = '1000001'"):
            result = tie("--no-line-items")
            assert result.found("invoices")["changed"] == (1, ["1000001"])
            assert result.words("invoices", "changed")[0].endswith(" is there without a time")
    invoices = [one for one in vicai.control.vicai.records("invoices") if one["status"] == "POSTED"]
    members = sorted({member for one in invoices for member in one["vendor"] or ()})
    kinds = ", ".join(f'"{member}" varchar' for member in [*members, "extra"])
    shape = encode(dict.fromkeys([*members, "extra"], "VARCHAR")).decode()
    typed.sql(f"alter table invoices alter vendor type struct({kinds}) using from_json(vendor, '{shape}')")
    result = tie("--no-line-items")
    assert result.status == 0, result.out
    typed.sql("update invoices set vendor = struct_update(vendor, extra := 'x') where internalId = '1000001'")
    assert tie("--no-line-items").found("invoices")["field"] == (1, ["1000001"])


def test_companies_of_one_schema(vicai: SandboxProcess, tmp_path: Path) -> None:
    typed = Typed(tmp_path / "all.duckdb", "vicai")
    load(vicai, typed, "acme")
    one = run_tieout(tmp_path, vic_settings(vicai), "vic-warehouse", "--warehouse", str(typed.path))
    assert one.status == 0, one.out
    load(vicai, typed, "beta's")
    typed.sql("update invoices set totalAmount = 0 where company = 'acme'")

    def tie(*arguments: str) -> Any:
        command = ("vic-warehouse", "--warehouse", str(typed.path), "--no-line-items", *arguments)
        return run_tieout(tmp_path, vic_settings(vicai), *command)

    missing, unknown = tie(), tie("--company", "gamma")
    assert (missing.status, unknown.status) == (2, 2)
    assert "--company is missing: the schema vicai holds several companies. Name one of: acme, beta's." in missing.err
    assert "--company gamma: the schema vicai holds nothing of it, but of: acme, beta's." in unknown.err
    assert tie("--company", "beta's").status == 0
    assert tie("--company", "acme").status == 1


def test_documents_of_ivesk(sandbox: SandboxProcess, tmp_path: Path) -> None:
    documents = sandbox.control.documents()
    lines = [
        line | {"document_id": one["id"], "exportedat": one["exportedat"], "line_number": number}
        for one in documents
        for number, line in enumerate(one["lines"], 1)
    ]

    def as_typed(columns: Mapping[str, str]) -> Record:
        amounts = ("subtotal", "vat", "total", "currencyrate", "quantity", "price", "vatpercent")
        kinds = {"timestamp": "timestamptz", "hugeint": "bigint"}
        found = {name: kinds.get(kind, kind) for name, kind in columns.items()}
        return (
            found
            | {name: "decimal(38,9)" for name in amounts if name in found}
            | ({"date": "date"} if "date" in found else {})
        )

    typed = Typed(tmp_path / "a.b.c.duckdb", "ivesk")
    typed.store("exported_documents", as_typed(IVESK_DOCUMENT) | {"lines": "json"}, documents)
    typed.store("exported_document_lines", as_typed(IVESK_LINE), lines)
    settings = {"api_key": sandbox.api_key, "api_url": sandbox.ivesk_url}
    command = ("ivesk-warehouse", "--warehouse", str(typed.path))
    result = run_tieout(tmp_path, settings, *command)
    assert result.status == 0, result.out
    least = "(select min(id) from exported_documents)"
    typed.sql(f"update exported_documents set buyerisfavorite = not buyerisfavorite where id = {least}")
    assert run_tieout(tmp_path, settings, *command).status == 1
