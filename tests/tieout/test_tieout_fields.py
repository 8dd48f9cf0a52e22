"""`--fields` and `--files`: what counts and exact sums cannot see."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import cast

import msgspec
import pytest

from ap_connectors.sandbox.process import SandboxProcess
from ap_connectors.tieout.fields import FieldCheck
from ap_connectors.tieout.result import Comparison
from ap_connectors.tieout.warehouse import Table
from tests.tieout.conftest import Tables, TieOut

LINE = {
    **dict.fromkeys(("invoice_id", "description"), "varchar"),
    "index": "hugeint",
    "invoice_updated_at": "timestamp",
}


FIELDS = [
    ("update exported_documents set vat = '0' where vat = '0.00'", "vat 0.00 became 0"),
    ("update exported_documents set total = total || '0' where id = '{id}'", "total {total} became {total}0"),
    ("update exported_documents set docnum = null where id = '{id}'", "docnum {docnum} became nothing"),
    ("update exported_documents set buyerisfavorite = not buyerisfavorite where id = '{id}'", "buyerisfavorite"),
    ("update exported_document_lines set name = 'X' where document_id = '{id}' and line_number = 1", "became X"),
    ("update exported_document_lines set vatpercent = null where document_id = '{id}'", "vatpercent"),
    ("alter table exported_documents add invented varchar default 'x'", "invented nothing became x"),
]


def test_a_field_that_is_not_as_it_was_sent(sandbox: SandboxProcess, ivesk: Tables, tie_ivesk: TieOut) -> None:
    document = sandbox.control.documents()[17]
    assert tie_ivesk("--fields").status == 0
    for breaking, words in FIELDS:
        with ivesk.broken(breaking.format(**document)):
            result = tie_ivesk("--fields")
            assert result.status == 1, breaking
            assert any(words.format(**document) in told for told in result.words("exported_documents", "field"))
            assert tie_ivesk("--fields", "--allow", "field", "--allow", "changed").status == 0, breaking


def test_fields_without_a_column_are_named(tie_ivesk: TieOut) -> None:
    told = " ".join(tie_ivesk("--fields").stream("exported_documents")["notes"])
    assert "exported_documents has no column for " in told
    assert "filename" in told
    assert "url" not in told


def test_another_state_of_a_document_is_not_compared(sandbox: SandboxProcess, ivesk: Tables, tie_ivesk: TieOut) -> None:
    ivesk.sql("update exported_documents set docnum = 'X', exportedat = exportedat - interval 1 hour")
    assert "field" not in tie_ivesk("--fields").found("exported_documents")


def test_files_are_read(ivesk: Tables, tie_ivesk: TieOut, tmp_path: Path) -> None:
    assert tie_ivesk().status == 0
    file = tmp_path / "a.pdf"
    file.write_bytes(b"%PDF")
    ivesk.sql(f"update document_files set path = '{file}', sha256 = '{hashlib.sha256(b'%PDF').hexdigest()}'")
    assert tie_ivesk("--files").status == 0
    file.write_bytes(b"%PDX")
    result = tie_ivesk("--files")
    assert result.status == 1
    assert result.words("exported_documents", "file")[0] == f"the SHA-256 of {file} is not the one in the warehouse"
    file.unlink()
    assert tie_ivesk("--files").words("exported_documents", "file")[0] == f"{file} does not exist"
    assert tie_ivesk().status == 0


OF_VIC = [
    ("invoices", "update invoices set status = 'NEW' where status = 'POSTED'", "field", "POSTED became NEW"),
    ("invoices", "update invoices set lineitems = replace(lineitems, '\"amount\"', '\"Amount\"')", "field", ""),
    ("purchase_order_line_items", "update {stream} set unitamount = unitamount || '0'", "field", ""),
    ("payments", "update payments set approvedat = null where approvedat is not null", "field", "became nothing"),
    ("tags", "update tags set value = 'X'", "field", "became X"),
    ("training_invoices", "insert into {stream} from {stream} limit 1", "doubled", "2 times"),
    ("payment_batches", "update payment_batches set name = 'X'", "field", "became X"),
    ("invoice_line_items", "update {stream} set description = 'X'", "field", "became X"),
    ("invoice_line_items", "delete from {stream} where index = 0", "missing", ""),
    (
        "invoice_line_items",
        "insert into {stream} select * replace (99 as index) from {stream} limit 1",
        "extra",
        "",
    ),
]


@pytest.mark.long
def test_what_of_vic_is_not_as_it_was_sent(vicai: SandboxProcess, vic: Tables, tie_vic: TieOut) -> None:
    control = vicai.control.vicai
    lines = [
        line | {"invoice_id": one["internalId"], "invoice_updated_at": one["internalUpdatedAt"]}
        for one in control.records("invoices")
        if one["status"] == "POSTED"
        for line in control.line_items(one["internalId"])
    ]
    vic.fill("invoice_line_items", LINE, lines)
    result = tie_vic("--fields")
    assert result.status == 0, result.out
    assert result.stream("invoice_line_items")["documents"] == {"source": len(lines), "destination": len(lines)}
    for stream, breaking, kind, words in OF_VIC:
        with vic.broken(breaking.format(stream=stream)):
            result = tie_vic("--fields")
            assert result.status == 1, breaking
            told = "purchase_orders" if stream == "purchase_order_line_items" else stream
            assert any(words in one for one in result.words(told, kind))
            assert {one["stream"] for one in result.report["streams"] if not one["ties"]} == {told}
            if stream not in {"purchase_order_line_items", "invoices", "payments"}:
                assert tie_vic("--no-fields", "--no-line-items").status == 0


def test_what_only_looks_alike_differs_and_what_means_the_same_does_not() -> None:
    def differences(type_: str, sent: str, held: str | None) -> list[str]:
        class Held:
            """A table of one row."""

            name, types = "t", {"id": "VARCHAR", "x": type_}

            def require(self, names: object) -> None: ...

            def has(self, name: str) -> bool:
                return name in self.types

            def records(self, *_: object, **__: object) -> list[dict[str, str | None]]:
                return [{"id": "1", "x": held}]

        comparison = Comparison("t")
        check = FieldCheck(comparison, cast("Table", Held()), ("id",))
        check.add({"id": msgspec.Raw(b'"1"'), "x": msgspec.Raw(sent.encode())})
        check.finish()
        return [one.words for one in comparison.differences["field"].named] if comparison.differences else []

    for type_, sent, held, same in (
        ("VARCHAR", '"[sic] one"', "[sic] other", False),
        ("VARCHAR", '"{x"', "y", False),
        ("VARCHAR", '"[1.0]"', "[1]", False),
        ("JSON", "[1.0]", "[1]", True),
        ("JSON", '"abc"', "ABC", False),
        ("JSON", '"007"', "7", False),
        ("JSON", "12.50", "12.5", True),
        ("ENUM('EUR')", '"EUR"', "eur", False),
        ("ENUM('7')", '"007"', "7", False),
        ("INTERVAL", '"x"', "X", False),
        ("UUID", '"AB"', "ab", True),
        ("INTEGER", "true", "1", True),
        ("VARCHAR", "false", "F", True),
        ("INTEGER", "true", "0", False),
        ("DECIMAL(38,9)", '"1e3"', "1000.000000000", True),
        ("DECIMAL(38,9)", '"1.50"', "NaN", False),
        ("VARCHAR", '"2026-01-06T09:16:43.500Z"', "2026-01-06 11:16:43.5+02", True),
        ("TIMESTAMP", '"2026-01-06T09:16:43.500001Z"', "2026-01-06 09:16:43.500002", False),
        ("TIMESTAMP", '"2026-01-06"', "2026-01-06 00:00:00", True),
    ):
        assert (not differences(type_, sent, held)) is same, (type_, sent, held)
