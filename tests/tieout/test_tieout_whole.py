"""Nothing is said to tie that was not looked at: every table and field is compared, and what is not is listed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from ap_connectors.vicai.settings import client
from tests.campaign import one_in
from tests.tieout.conftest import IVESK_DOCUMENT, IVESK_LINE, Tables, TieOut, load_vic, run_tieout, vic_settings

LINE = {
    **dict.fromkeys(("invoice_id", "description", "amount"), "varchar"),
    "index": "hugeint",
    "invoice_updated_at": "timestamp",
}
VENDOR = {
    **dict.fromkeys(("internalId", "externalId", "name", "email", "currency", "defaultPaymentInfo"), "varchar"),
    "internalUpdatedAt": "timestamp",
}
COLUMN = {**dict.fromkeys(("company_code", "column", "code", "description"), "varchar"), "modifiedat": "timestamp"}
COMPANY = "302320404"
WHOLE = "not all was compared, see above"


@pytest.fixture
def whole(vicai: SandboxProcess, vic: Tables) -> Tables:
    """Vic.ai's warehouse with ungrouped lines, and with what vendors are called and paid by."""
    vic.fill("invoice_line_items", LINE, lines_of(vicai))
    vic.fill("vendors", VENDOR, vicai.control.vicai.records("vendors"))
    return vic


def lines_of(vicai: SandboxProcess) -> list[dict[str, Any]]:
    return [
        line | {"invoice_id": one["internalId"], "invoice_updated_at": one["internalUpdatedAt"]}
        for one in posted(vicai)
        for line in vicai.control.vicai.line_items(one["internalId"])
    ]


def posted(vicai: SandboxProcess) -> list[dict[str, Any]]:
    return [one for one in vicai.control.vicai.records("invoices") if one["status"] == "POSTED"]


def untied(result: Any) -> set[str]:
    return {one["stream"] for one in result.report["streams"] if not one["ties"]}


BROKEN = [
    ("invoice_line_items", "delete from invoice_line_items", "missing", ""),
    ("invoice_line_items", 'delete from invoice_line_items where "index" = 1', "missing", ""),
    ("invoice_line_items", "update invoice_line_items set amount = '0.01'", "field", "became 0.01"),
    ("invoice_line_items", "update invoice_line_items set amount = amount || '0'", "field", "amount "),
    ("vendors", "update vendors set name = 'Another AS'", "field", "became Another AS"),
    ("vendors", "update vendors set email = 'a@b.no' where email is null", "field", "email nothing became a@b.no"),
    (
        "vendors",
        "update vendors set defaultpaymentinfo = "
        'regexp_replace(defaultpaymentinfo, \'"bankAccountNum":"[0-9]+"\', \'"bankAccountNum":"86011117947"\')',
        "field",
        "defaultPaymentInfo.bankAccountNum ",
    ),
    ("vendors", "update vendors set defaultpaymentinfo = null", "field", "became nothing"),
    ("vendors", "alter table vendors add column notes varchar default 'x'", "field", "notes nothing became x"),
]


@pytest.mark.long
def test_what_used_to_tie(whole: Tables, tie_vic: TieOut) -> None:
    before = tie_vic()
    assert before.status == 0, before.out
    for stream, breaking, kind, words in BROKEN:
        with whole.broken(breaking):
            result = tie_vic()
            assert result.status == 1, breaking
            assert any(words in told for told in result.words(stream, kind)), breaking
            assert untied(result) == {stream}, breaking


@pytest.mark.long
def test_the_costly_parts_can_be_left_out_and_are_listed(vicai: SandboxProcess, whole: Tables, tie_vic: TieOut) -> None:
    whole.sql("delete from invoice_line_items", "update vendors set name = 'X'")
    vicai.control.clear_calls()
    result = tie_vic("--no-fields", "--no-line-items")
    assert result.status == 0
    assert "invoice_line_items is not compared (--no-line-items)." in result.out
    assert "amounts are compared (--no-fields)." in result.report["not_compared"][-1]
    assert WHOLE in result.out
    assert not [call for call in vicai.control.calls() if "lineItems" in call["path"]]
    assert untied(tie_vic("--no-fields")) == {"invoice_line_items"}
    assert untied(tie_vic("--no-line-items")) == {"vendors"}


def test_tables_and_fields_that_are_not_compared_are_listed(whole: Tables, tie_vic: TieOut) -> None:
    whole.sql("create table training_invoice_documents (id varchar)", "create table _state (id varchar)")
    result = tie_vic()
    assert result.status == 0
    assert "Tables that are not compared: _state, training_invoice_documents." in result.report["not_compared"]
    told = result.stream("vendors")["not_compared"]
    assert any("vendors has no column for " in words and "addressCity" in words for words in told)
    assert WHOLE in result.out


def test_lines_without_their_invoices(whole: Tables, tie_vic: TieOut) -> None:
    whole.sql("drop table invoices")
    assert "Tables that are not compared: invoice_documents, invoice_line_items." in tie_vic().report["not_compared"]


@pytest.mark.long
def test_lines_of_an_invoice_that_has_none(vicai: SandboxProcess, whole: Tables, tie_vic: TieOut) -> None:
    service = client(vic_settings(vicai), timeout=30, user_agent="test")
    service.send("createInvoice", {"transactionType": "INVOICE", "externalId": "I-1", "currency": "NOK"})
    (id_,) = [one["internalId"] for one in vicai.control.vicai.records("invoices") if one.get("externalId") == "I-1"]
    vicai.control.vicai.touch("invoices", [id_], status="POSTED")
    assert vicai.control.vicai.line_items(id_) == []
    load_vic(vicai, whole)
    assert tie_vic("--allow", "header").status == 0
    whole.sql(
        f"insert into invoice_line_items select * replace ('{id_}' as invoice_id, "
        f"(select internalupdatedat from invoices where internalid = '{id_}') as invoice_updated_at) "
        'from invoice_line_items where "index" = 1 limit 1'
    )
    result = tie_vic("--allow", "header")
    assert untied(result) == {"invoice_line_items"}
    assert result.found("invoice_line_items")["extra"] == (1, [f"{id_} 1"])


def test_lines_of_an_earlier_state_are_counted(whole: Tables, tie_vic: TieOut) -> None:
    whole.sql(
        'insert into invoice_line_items select * replace (99 as "index", '
        "invoice_updated_at - interval 1 day as invoice_updated_at) from invoice_line_items limit 3",
        "insert into purchase_order_line_items select * replace (99 as linenumber, "
        "purchase_order_updated_at - interval 1 day as purchase_order_updated_at) from purchase_order_line_items "
        "limit 2",
    )
    result = tie_vic()
    assert result.status == 0
    assert "3 rows of invoice_line_items came with an earlier state" in result.out
    assert "2 rows of purchase_order_line_items came with an earlier state" in result.out


def test_orders_with_their_lines_in_both_places(vicai: SandboxProcess, vic: Tables, tie_vic: TieOut) -> None:
    columns = {**dict.fromkeys(("internalId", "poNumber", "amount", "currencyId", "issuedOn", "lineItems"), "varchar")}
    orders = vicai.control.vicai.records("purchaseOrders")
    vic.fill("purchase_orders", columns | {"internalUpdatedAt": "timestamp"}, orders)
    assert tie_vic().status == 0
    vic.sql("update purchase_order_line_items set unitamount = '7'")
    assert untied(tie_vic("--no-fields")) == untied(tie_vic()) == {"purchase_orders"}
    vic.sql("drop table purchase_order_line_items", "update purchase_orders set lineitems = '[]'")
    assert untied(tie_vic()) == {"purchase_orders"}


def test_no_alarm_for_files_that_were_never_asked_for(vicai: SandboxProcess, vic: Tables, tie_vic: TieOut) -> None:
    # The stream is selected, so the loader makes its table; without documents_dir nothing comes into it.
    vic.sql("delete from invoice_documents")
    result = tie_vic()
    assert result.status == 0
    assert "documents_dir is not set): they are not compared" in result.out
    lost = tie_vic(documents_dir="output/documents")
    assert lost.status == 1
    assert lost.found("invoices")["file"][0] == len(posted(vicai))
    vic.sql("drop table invoice_documents")
    assert tie_vic().status == 0


def test_no_alarm_for_files_of_ivesk(ivesk: Tables, tie_ivesk: TieOut) -> None:
    ivesk.sql("delete from document_files")
    assert tie_ivesk().status == 0
    assert tie_ivesk(documents_dir="output/documents").status == 1


def test_columns_that_the_loader_put_aside(ivesk: Tables, tie_ivesk: TieOut) -> None:
    ivesk.sql("alter table exported_documents add column docnum_20261121_0229 varchar default 'former'")
    result = tie_ivesk()
    assert result.status == 0
    assert "exported_documents.docnum_20261121_0229 is not compared: the loader put it aside" in result.out


def test_lines_selected_with_their_documents(sandbox: SandboxProcess, ivesk: Tables, tie_ivesk: TieOut) -> None:
    documents = sandbox.control.documents()
    ivesk.fill("exported_documents", {**IVESK_DOCUMENT, "lines": "varchar"}, documents)
    result = tie_ivesk()
    assert result.status == 0, result.out
    ivesk.sql("update exported_documents set lines = replace(lines, '\"lineid\":', '\"LineId\":')")
    assert "lines[0].lineid" in tie_ivesk().words("exported_documents", "field")[0]
    ivesk.sql("alter table exported_documents alter lines type json")
    result = tie_ivesk()
    assert result.status == 0
    assert "exported_documents.lines is not compared: it is kept as JSON" in result.out


OF_IVESK = [
    ("delete from digitized_documents where id = '{id}'", "digitized_documents", "missing"),
    ("update digitized_documents set total = '0.01' where id = '{id}'", "digitized_documents", "changed"),
    ("update digitized_documents set docnum = 'X' where id = '{id}'", "digitized_documents", "field"),
    ("update digitized_document_lines set name = 'X' where document_id = '{id}'", "digitized_documents", "field"),
    ("delete from digitized_document_lines where document_id = '{id}'", "digitized_documents", "changed"),
    ("delete from \"columns\" where code = 'S007'", "columns", "missing"),
    ('insert into "columns" select * replace (\'new\' as code) from "columns" limit 1', "columns", "extra"),
    ("update \"columns\" set description = 'X' where code = 'S007'", "columns", "field"),
]


@pytest.mark.long
def test_the_other_tables_of_ivesk(sandbox: SandboxProcess, ivesk: Tables, tie_ivesk: TieOut) -> None:
    digitized = sandbox.control.documents("digitized")
    lines = [
        line | {"document_id": one["id"], "digitizedat": one["digitizedat"], "line_number": number}
        for one in digitized
        for number, line in enumerate(one["lines"], 1)
    ]
    ivesk.fill("digitized_documents", {**without(IVESK_DOCUMENT), "digitizedat": "timestamp"}, digitized)
    ivesk.fill("digitized_document_lines", {**without(IVESK_LINE), "digitizedat": "timestamp"}, lines)
    ivesk.sql("drop table document_files")
    values = [
        {"code": f"S{number:03}", "description": "Skyrius „Ė“", "modifiedat": f"2026-02-01T00:00:00.{number:03}Z"}
        for number in range(250)
    ]
    sandbox.control.columns(COMPANY, "skyrius", values)
    place = {"company_code": COMPANY, "column": "skyrius"}
    ivesk.fill('"columns"', COLUMN, [value | place for value in values])
    before = tie_ivesk(columns=[place])
    assert before.status == 0, before.out
    assert before.stream("columns")["documents"] == {"source": 250, "destination": 250}
    assert before.stream("digitized_documents")["documents"]["source"] == len(digitized)
    for breaking, stream, kind in OF_IVESK:
        with ivesk.broken(breaking.format(id=digitized[9]["id"])):
            result = tie_ivesk(columns=[place])
            assert result.status == 1, breaking
            assert result.found(stream)[kind][0] >= 1
            assert untied(result) == {stream}
            if stream == "columns":
                result = tie_ivesk()
                assert result.status == 0
                assert "Tables that are not compared: columns." in result.out


def without(columns: dict[str, str]) -> dict[str, str]:
    return {name: kind for name, kind in columns.items() if name != "exportedat"}


@one_in(3)
@pytest.mark.parametrize("name", ["ivesk.duckdb", "IVESK.duckdb", "main.duckdb", "exported_documents.duckdb"])
def test_a_warehouse_file_named_like_what_is_in_it(
    sandbox: SandboxProcess, ivesk: Tables, tmp_path: Path, name: str
) -> None:
    path = Path(shutil.copy(ivesk.path, tmp_path / name))
    settings = {"api_key": sandbox.api_key, "api_url": sandbox.ivesk_url}
    result = run_tieout(tmp_path, settings, "ivesk-warehouse", "--warehouse", str(path))
    assert (result.status, result.err) == (0, "")
